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

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;
use ringkeeper_core::config::{Configurations, Ensemble, HostPort, Membership};
use ringkeeper_core::election::{LastLogged, LinkId, Outcome};
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::sasl::QuorumAuth;

use crate::net::peers::PeerPort;
use crate::net::{PeerStream, Protection};
use crate::oracle::Oracle;
use crate::runtime::{Clock, Inbox, Sender, sleep, spawn};
use dial::Dialler;
use driver::{Driver, Told};

/// The election role, ready to run.
pub struct ElectionRole {
    /// Who the servers are, and where.
    pub ensemble: Ensemble,
    /// What this server's first vote says.
    pub last_logged: LastLogged,
    /// Where it is told.
    pub inbox: Inbox<ToElection>,
    /// How what is said is protected.
    pub protection: Protection,
    /// For its own threads.
    pub sender: Sender<ToElection>,
    /// Who is told how an election ended. Until then this server is looking.
    pub decided: Box<dyn Fn(Outcome) + Send>,
    /// Who is told of a newer configuration that another server goes by, and this one from now on too.
    pub adopted: Box<dyn Fn(Membership) + Send>,
    /// How servers prove to each other who they are, if they do.
    pub auth: Option<QuorumAuth>,
    /// Who says whether one of two servers may go on alone.
    pub oracle: Option<Oracle>,
    /// The time.
    pub clock: Clock,
}

/// What the election role is told.
#[derive(Debug)]
pub enum ToElection {
    /// The leader is lost, or the followers: look for a leader again.
    Look(LastLogged),
    /// These are the configurations from now on.
    Configure(Configurations),
    /// A reconfig, which is this transaction, has determined who leads from here on.
    Designated(ServerId, Zxid),
    /// The leader that was elected last is not to be followed again for so long; to be said before
    /// [`ToElection::Look`].
    Avoid(Duration),
    /// The epoch of the leader that was elected is established.
    Epoch(i64),
    /// What the oracle says: whether this server may go on alone.
    Oracle(bool),
    /// Somebody connected to the election port.
    Accepted(PeerStream),
    /// A connection that was to be made is there, or cannot be made.
    Dialled(LinkId, Option<PeerStream>),
    /// Close all connections, and end.
    Stop,
}

impl ElectionRole {
    /// Looks for a leader and answers other servers until [`ToElection::Stop`]. Ends the process if the
    /// election port can't be had.
    pub async fn run(self) {
        let ElectionRole { ensemble, last_logged, mut inbox, protection, sender, .. } = self;
        let mut port = OwnPort::listen(&ensemble, protection.clone(), sender.clone());
        let answer = sender.clone();
        let asked = Box::new(move || {
            let answer = answer.clone();
            if let Some(oracle) = &self.oracle {
                oracle.ask(move |grants| answer.post(ToElection::Oracle(grants)));
            }
        });
        let dialler = Dialler::new(sender, ensemble.election.connect, protection);
        let told = Told { decided: self.decided, adopted: self.adopted, asked };
        let driver = Rc::new(Driver::new(&ensemble, last_logged, dialler, self.auth, told, self.clock));
        driver.begin();
        spawn(keep_time(driver.clone()));
        while let Some(message) = inbox.take_one().await {
            match message {
                ToElection::Look(last_logged) => driver.on_look(last_logged),
                ToElection::Avoid(pause) => driver.on_avoid(pause),
                ToElection::Oracle(grants) => driver.on_oracle(grants),
                ToElection::Epoch(epoch) => driver.on_epoch(epoch),
                ToElection::Configure(configurations) => driver.on_configure(configurations),
                ToElection::Designated(leader, zxid) => driver.on_designated(leader, zxid),
                ToElection::Accepted(stream) => driver.on_accepted(stream),
                ToElection::Dialled(link, stream) => driver.on_dialled(link, stream),
                ToElection::Stop => break,
            }
            port.follow(driver.own_addresses());
        }
        driver.stop();
        port.stop();
    }
}

/// This server's own election port, which goes where the configuration says.
struct OwnPort {
    addresses: Vec<HostPort>,
    listens_on_all: bool,
    protection: Protection,
    sender: Sender<ToElection>,
    port: PeerPort,
}

impl OwnPort {
    fn listen(ensemble: &Ensemble, protection: Protection, sender: Sender<ToElection>) -> OwnPort {
        let addresses = ensemble.configurations.knowing(ensemble.my_id).election_addresses(ensemble.my_id);
        let (listens_on_all, attempts) = (ensemble.listens_on_all, ensemble.bind_attempts);
        let port = OwnPort::bind(addresses.clone(), listens_on_all, attempts, protection.clone(), &sender);
        OwnPort { addresses, listens_on_all, protection, sender, port }
    }

    /// A server that the configuration names no more stays where it is. What cannot be had is tried for ever.
    fn follow(&mut self, addresses: Vec<HostPort>) {
        if addresses.is_empty() || addresses == self.addresses {
            return;
        }
        let port = OwnPort::bind(
            addresses.clone(),
            self.listens_on_all,
            None,
            self.protection.clone(),
            &self.sender,
        );
        std::mem::replace(&mut self.port, port).stop();
        self.addresses = addresses;
    }

    fn bind(
        addresses: Vec<HostPort>,
        listens_on_all: bool,
        attempts_max: Option<u32>,
        protection: Protection,
        sender: &Sender<ToElection>,
    ) -> PeerPort {
        let accepted = sender.clone();
        PeerPort::listen(
            "election port",
            addresses,
            listens_on_all,
            attempts_max,
            protection,
            move |stream| {
                accepted.post(ToElection::Accepted(stream));
            },
        )
    }

    fn stop(self) {
        self.port.stop();
    }
}

/// Tells the machine when its time has come.
async fn keep_time(driver: Rc<Driver>) {
    while let Some(wait) = driver.time_to_next() {
        future::or(sleep(wait), driver.something_happened()).await;
        driver.on_timeout();
    }
}
