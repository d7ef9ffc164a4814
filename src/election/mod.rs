//! The election port on its executor: moves bytes between other servers' sockets and the
//! [`ElectionPeer`] machine.
//!
//! A connection has one task, which reads. What is sent is sent by whoever decided it; a peer that does
//! not keep up gets a task of its own for the one message that it may have outstanding. Whatever blocks,
//! resolving names, connecting and accepting, is done by ordinary threads, each for one thing.
//!
//! [`ElectionPeer`]: ringkeeper_core::election::ElectionPeer

mod dial;
mod driver;
mod link;

use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use ringkeeper_core::config::Ensemble;
use ringkeeper_core::election::{LastLogged, LinkId, Outcome};

use crate::net::peers::PeerPort;
use crate::runtime::{Clock, Inbox, Sender, sleep, spawn};
use dial::Dialler;
use driver::Driver;

/// The election role, ready to run.
pub struct ElectionRole {
    /// Who the servers are, and where.
    pub ensemble: Ensemble,
    /// What this server's first vote says.
    pub last_logged: LastLogged,
    /// Where it is told.
    pub inbox: Inbox<ToElection>,
    /// For its own threads.
    pub sender: Sender<ToElection>,
    /// Who is told how an election ended. Until then this server is looking.
    pub decided: Box<dyn Fn(Outcome) + Send>,
    /// The time.
    pub clock: Clock,
}

/// What the election role is told.
#[derive(Debug)]
pub enum ToElection {
    /// The leader is lost, or the followers: look for a leader again.
    Look(LastLogged),
    /// The leader that was elected last is not to be followed again for so long; to be said before
    /// [`ToElection::Look`].
    Avoid(Duration),
    /// The epoch of the leader that was elected is established.
    Epoch(i64),
    /// Somebody connected to the election port.
    Accepted(TcpStream),
    /// A connection that was to be made is there, or cannot be made.
    Dialled(LinkId, Option<TcpStream>),
    /// Close all connections, and end.
    Stop,
}

impl ElectionRole {
    /// Looks for a leader and answers other servers until [`ToElection::Stop`]. Ends the process if the
    /// election port can't be had.
    pub async fn run(self) {
        let ElectionRole { ensemble, last_logged, mut inbox, sender, decided, clock } = self;
        let own = ensemble.election_addresses().find(|(id, _)| *id == ensemble.my_id);
        let (addresses, accepted) = (own.map(|(_, addresses)| addresses).unwrap_or_default(), sender.clone());
        let port = PeerPort::listen(
            "election port",
            addresses,
            ensemble.listens_on_all,
            ensemble.bind_attempts,
            move |stream| accepted.post(ToElection::Accepted(stream)),
        );
        let dialler = Dialler::new(sender, ensemble.election.connect);
        let driver = Rc::new(Driver::new(&ensemble, last_logged, dialler, decided, clock));
        driver.begin();
        spawn(keep_time(driver.clone()));
        while let Some(message) = inbox.take_one().await {
            match message {
                ToElection::Look(last_logged) => driver.on_look(last_logged),
                ToElection::Avoid(pause) => driver.on_avoid(pause),
                ToElection::Epoch(epoch) => driver.on_epoch(epoch),
                ToElection::Accepted(stream) => driver.on_accepted(stream),
                ToElection::Dialled(link, stream) => driver.on_dialled(link, stream),
                ToElection::Stop => break,
            }
        }
        driver.stop();
        port.stop();
    }
}

/// Tells the machine when its time has come.
async fn keep_time(driver: Rc<Driver>) {
    while let Some(wait) = driver.time_to_next() {
        future::or(sleep(wait), driver.something_happened()).await;
        driver.on_timeout();
    }
}
