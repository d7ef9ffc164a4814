use std::thread;
use std::time::{Duration, Instant};

use ringkeeper_core::config::HostPort;
use tracing::{info, warn};

use crate::net::peers::{self, Patience};
use crate::net::{ConnectError, PeerStream, Protection};

/// Connects to whichever of the addresses answers, on a thread of its own, resolving names anew at each try;
/// `None` if none has in time.
pub(super) fn start(
    addresses: Vec<HostPort>,
    patience: Patience,
    protection: Protection,
    done: impl FnOnce(Option<PeerStream>) + Send + 'static,
) {
    let work =
        move || done(connect(&addresses, Instant::now() + patience.all, patience.handshake_min, &protection));
    if let Err(error) = thread::Builder::new().name("leader dial".into()).spawn(work) {
        // The machine's own limit ends the attempt.
        warn!("no connection to the leader can be made: no thread could be started: {error}");
    }
}

fn connect(
    addresses: &[HostPort],
    deadline: Instant,
    handshake_min: Duration,
    protection: &Protection,
) -> Option<PeerStream> {
    loop {
        let mut pause = AFTER_A_FAILURE;
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let all = peers::share(left, addresses.len() - tried).min(CONNECT_TIMEOUT);
            if all.is_zero() {
                return None;
            }
            match peers::connect(address, Patience { all, handshake_min }, protection) {
                Ok(stream) => return Some(stream),
                Err(error @ ConnectError::Unprotected(_)) => {
                    pause = AFTER_A_REFUSAL;
                    warn!("the leader at {address}: {error}");
                }
                Err(error) => info!("the leader does not answer at {address} yet: {error}"),
            }
        }
        if Instant::now() + pause > deadline {
            return None;
        }
        thread::sleep(pause);
    }
}

/// The leader may just be about to listen: it learns of its election when we do.
const AFTER_A_FAILURE: Duration = Duration::from_millis(50);
/// Somebody has to change something first.
const AFTER_A_REFUSAL: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn nobody_is_tried_when_the_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let addresses = [HostPort { host: "127.0.0.1".to_owned(), port }];
        let connect = |deadline| connect(&addresses, deadline, Duration::ZERO, &Protection::default());
        assert!(connect(Instant::now() + Duration::from_secs(600)).is_some());
        assert!(connect(Instant::now()).is_none());
    }
}
