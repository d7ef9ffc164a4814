use std::thread;
use std::time::{Duration, Instant};

use ringkeeper_core::config::HostPort;
use tracing::info;

use crate::net::{PeerStream, peers};

/// Connects to whichever of the addresses answers, on a thread of its own, resolving names anew at each try;
/// `None` if none has in time.
pub(super) fn start(
    addresses: Vec<HostPort>,
    patience: Duration,
    done: impl FnOnce(Option<PeerStream>) + Send + 'static,
) {
    let work = move || done(connect(&addresses, Instant::now() + patience));
    if let Err(error) = thread::Builder::new().name("leader dial".into()).spawn(work) {
        // The machine's own limit ends the attempt.
        tracing::warn!("no connection to the leader can be made: no thread could be started: {error}");
    }
}

fn connect(addresses: &[HostPort], deadline: Instant) -> Option<PeerStream> {
    loop {
        for address in addresses {
            match peers::connect(address, CONNECT_TIMEOUT) {
                Ok(stream) => return Some(stream),
                Err(error) => info!("the leader does not answer at {address} yet: {error}"),
            }
        }
        if Instant::now() + AFTER_A_FAILURE > deadline {
            return None;
        }
        thread::sleep(AFTER_A_FAILURE);
    }
}

/// The leader may just be about to listen: it learns of its election when we do.
const AFTER_A_FAILURE: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
