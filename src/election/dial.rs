use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ringkeeper_core::config::HostPort;
use ringkeeper_core::election::LinkId;
use ringkeeper_core::id::ServerId;
use tracing::{info, warn};

use super::ToElection;
use crate::net::{ConnectError, PeerStream, Protection, peers};
use crate::runtime::Sender;

/// Connects to other servers: a thread for each address of each attempt, since resolving a name can take
/// as long as it likes and must delay nothing else.
pub(super) struct Dialler {
    sender: Sender<ToElection>,
    timeout: Duration,
    protection: Protection,
    threads: Arc<AtomicUsize>,
}

/// One attempt. It fails when all its addresses have.
struct Attempt {
    link: LinkId,
    peer: ServerId,
    left: AtomicUsize,
    is_won: AtomicBool,
    sender: Sender<ToElection>,
}

impl Dialler {
    /// `timeout` is for each address of an attempt, all at once; the machine's own limit is for the whole attempt.
    pub(super) fn new(sender: Sender<ToElection>, timeout: Duration, protection: Protection) -> Dialler {
        Dialler { sender, timeout, protection, threads: Arc::default() }
    }

    /// Connects to whichever address answers first; [`ToElection::Dialled`] tells how it went.
    pub(super) fn dial(&self, link: LinkId, peer: ServerId, addresses: Vec<HostPort>) {
        let attempt = Arc::new(Attempt {
            link,
            peer,
            left: AtomicUsize::new(addresses.len()),
            is_won: AtomicBool::new(false),
            sender: self.sender.clone(),
        });
        for address in addresses {
            let (threads, dialling) = (self.threads.clone(), attempt.clone());
            if threads.fetch_add(1, Ordering::Relaxed) >= THREADS_MAX {
                threads.fetch_sub(1, Ordering::Relaxed);
                attempt.failed(&address, &TooMany);
                continue;
            }
            let (target, timeout, protection) = (address.clone(), self.timeout, self.protection.clone());
            let thread = std::thread::Builder::new().name("election dial".into()).spawn(move || {
                match peers::connect(&target, peers::Patience::of(timeout), &protection) {
                    Ok(stream) => dialling.connected(stream),
                    Err(error @ ConnectError::Unprotected(_)) => {
                        warn!("{} at election address {target}: {error}", dialling.peer);
                        dialling.give_up();
                    }
                    Err(error) => dialling.failed(&target, &error),
                }
                threads.fetch_sub(1, Ordering::Relaxed);
            });
            if let Err(error) = thread {
                self.threads.fetch_sub(1, Ordering::Relaxed);
                attempt.failed(&address, &error);
            }
        }
    }
}

impl Attempt {
    fn connected(&self, stream: PeerStream) {
        if !self.is_won.swap(true, Ordering::AcqRel) {
            self.sender.post(ToElection::Dialled(self.link, Some(stream)));
        }
    }

    fn failed(&self, address: &HostPort, error: &dyn std::fmt::Display) {
        info!("Cannot open channel to {} at election address {address}: {error}", self.peer);
        self.give_up();
    }

    fn give_up(&self) {
        let was_last = self.left.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && !self.is_won.load(Ordering::Acquire) {
            self.sender.post(ToElection::Dialled(self.link, None));
        }
    }
}

/// There are [`THREADS_MAX`] others under way.
struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{THREADS_MAX} attempts to connect are under way, and one that takes longer than cnxTimeout hangs in the \
             name service: see whether that answers, and who of the ensemble does not"
        )
    }
}

/// More attempts than an ensemble of any sensible size has under way; each ends in time, unless the resolver does
/// not.
const THREADS_MAX: usize = 64;
