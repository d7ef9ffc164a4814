use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

/// The connections to one port of which is not known yet what they speak, or that are not done with its handshake.
/// There are only so many: the oldest gives way to one more, so that those that say nothing keep nobody out.
pub(super) struct Arrivals {
    /// The port, as the operator knows it.
    port: &'static str,
    open_max: usize,
    state: Mutex<State>,
    one_is_gone: Condvar,
}

/// A connection that counts as one of them until this is dropped.
pub(super) struct Arrival {
    arrivals: Arc<Arrivals>,
    number: u64,
    tcp: Arc<TcpStream>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// In the order in which they came.
    open: BTreeMap<u64, Arc<TcpStream>>,
    /// How many there are, with those that gave way and do not know it yet.
    arrivals: usize,
    tally: Tally,
}

/// How many gave way, and when that was told last.
#[derive(Default)]
struct Tally {
    untold: u64,
    told_at: Option<Instant>,
}

impl Arrivals {
    /// Of a port that the operator knows as this, so many at a time.
    pub(super) fn new(port: &'static str, open_max: usize) -> Arc<Arrivals> {
        Arc::new(Arrivals { port, open_max, state: Mutex::default(), one_is_gone: Condvar::new() })
    }

    /// Takes a connection in. Waits only if many that gave way are still there.
    pub(super) fn admit(self: &Arc<Self>, tcp: TcpStream) -> Arrival {
        let tcp = Arc::new(tcp);
        let mut state = self.state();
        while state.arrivals >= self.open_max * 2 {
            // Each is at its end, or hangs in the name service, from which nothing calls it back.
            state = self.one_is_gone.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let is_full = state.open.len() >= self.open_max;
        let oldest = if is_full { state.open.pop_first() } else { None };
        let untold = oldest.as_ref().and_then(|_| state.tally.add(Instant::now()));
        let number = state.next;
        state.next += 1;
        state.arrivals += 1;
        state.open.insert(number, tcp.clone());
        drop(state);
        if let Some((_, oldest)) = oldest {
            self.close(&oldest, untold);
        }
        Arrival { arrivals: self.clone(), number, tcp }
    }

    /// Wakes whoever waits for the connection.
    fn close(&self, oldest: &TcpStream, untold: Option<u64>) {
        if let Some(count) = untold {
            let remote = oldest.peer_addr();
            let remote = remote.map_or_else(|_| "somebody who is gone".to_owned(), |peer| peer.to_string());
            warn!(
                "more than {} connections to the {} have not said what they speak or not completed the handshake of \
                 TLS; the oldest are closed, {count} since this was told last, this time one from {remote}: see what \
                 connects there",
                self.open_max, self.port
            );
        }
        // One that has ended already is as good as closed.
        let _ = oldest.shutdown(Shutdown::Both);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrival {
    /// The connection, which is closed when it gives way.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether the connection was closed, for a newer one.
    pub(super) fn gave_way(&self) -> bool {
        !self.arrivals.state().open.contains_key(&self.number)
    }

    /// The connection, which gives way no more; `None` if it has.
    pub(super) fn into_tcp(self) -> Option<TcpStream> {
        let tcp = self.arrivals.state().open.remove(&self.number)?;
        drop(self);
        Arc::into_inner(tcp)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut state = self.arrivals.state();
        state.open.remove(&self.number);
        state.arrivals -= 1;
        self.arrivals.one_is_gone.notify_one();
    }
}

impl Tally {
    /// Counts one more, and returns how many there are to tell of, if it is time to.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        if self.told_at.is_some_and(|told_at| now < told_at + BETWEEN_WARNINGS) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn the_oldest_gives_way_and_what_is_known_does_not() {
        let port = Arrivals::new("port", 2);
        let ((_known_peer, known), (mut oldest_peer, oldest)) = (pair(), pair());
        let ((_newer_peer, newer), (_newest_peer, newest)) = (pair(), pair());
        let known = port.admit(known).into_tcp();
        assert!(known.is_some());
        let (oldest, newer) = (port.admit(oldest), port.admit(newer));
        assert!(!oldest.gave_way() && !newer.gave_way());
        let newest = port.admit(newest);
        assert_eq!(oldest_peer.read(&mut [0]).expect("closed in good order"), 0);
        assert!(oldest.gave_way() && oldest.into_tcp().is_none());
        assert!(newer.into_tcp().is_some() && newest.into_tcp().is_some());
        let state = port.state();
        assert_eq!((state.open.len(), state.arrivals), (0, 0));
    }

    #[test]
    fn those_that_do_not_know_yet_that_they_gave_way_are_waited_for() {
        let port = Arrivals::new("port", 1);
        let ((_first_peer, first), (_second_peer, second), (_third_peer, third)) = (pair(), pair(), pair());
        let (first, second) = (port.admit(first), port.admit(second));
        let is_going = Arc::new(AtomicBool::new(false));
        let (of_thread, seen) = (port.clone(), is_going.clone());
        let waiting = thread::spawn(move || {
            let third = of_thread.admit(third);
            assert!(seen.load(Ordering::SeqCst), "there is room only when another has gone");
            third.into_tcp().is_some()
        });
        assert!(first.gave_way());
        is_going.store(true, Ordering::SeqCst);
        drop(first);
        assert!(waiting.join().expect("no panic"), "the newest is looked after");
        assert!(second.gave_way());
    }

    #[test]
    fn a_flood_is_told_of_now_and_then_and_in_full() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        assert_eq!(tally.add(start), Some(1));
        let untold = (0..1000).filter_map(|ms| tally.add(start + Duration::from_millis(ms))).count();
        assert_eq!(untold, 0);
        assert_eq!(tally.add(start + BETWEEN_WARNINGS), Some(1001));
        assert_eq!(tally.add(start + BETWEEN_WARNINGS), None);
    }

    /// Both ends of a connection, first that of who has made it.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let dialled = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
        (dialled, listener.accept().expect("somebody connects").0)
    }
}
