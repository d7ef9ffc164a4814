use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::warn;

use super::tally::Tally;

/// The connections to one port of which is not known yet what they speak, or that are not done with its handshake.
/// There are only so many: the oldest gives way to one more, so that those that say nothing keep nobody out. Of the
/// descriptors that are kept from clients they get a part, lest none is left for servers that are known.
pub(super) struct Arrivals {
    /// The port, as the operator knows it.
    port: &'static str,
    open_max: usize,
    /// The descriptors that are kept from clients.
    reserved: Range<u64>,
    state: Mutex<State>,
    one_is_gone: Condvar,
    gave_way: Tally,
    turned_away: TurnedAway,
}

/// Connections to the port that were closed, by why they were.
#[derive(Default)]
pub(super) struct TurnedAway {
    /// They spoke something else than TLS.
    pub(super) plain: Tally,
    /// They said nothing.
    pub(super) silent: Tally,
    /// Their handshake failed.
    pub(super) failed: Tally,
}

/// A connection that counts as one of them until this is dropped.
pub(super) struct Arrival {
    arrivals: Arc<Arrivals>,
    number: u64,
    tcp: Arc<TcpStream>,
    is_reserved: bool,
}

#[derive(Default)]
struct State {
    next: u64,
    /// In the order in which they came.
    open: BTreeMap<u64, Arc<TcpStream>>,
    /// How many there are, with those that gave way and do not know it yet.
    arrivals: usize,
    /// How many of these have a descriptor that is kept from clients.
    arrivals_reserved: usize,
}

impl Arrivals {
    /// Of a port that the operator knows as this, so many at a time. If the descriptors of this process are limited,
    /// `reserved` are those that no client gets.
    pub(super) fn new(port: &'static str, open_max: usize, reserved: Option<Range<u64>>) -> Arc<Arrivals> {
        Arc::new(Arrivals {
            port,
            open_max,
            reserved: reserved.unwrap_or(u64::MAX..u64::MAX),
            state: Mutex::default(),
            one_is_gone: Condvar::new(),
            gave_way: Tally::default(),
            turned_away: TurnedAway::default(),
        })
    }

    /// Takes a connection in. Waits only if many that gave way are still there.
    pub(super) fn admit(self: &Arc<Self>, tcp: TcpStream) -> Arrival {
        let (is_reserved, reserved_max) = (self.is_reserved(&tcp), self.reserved_max());
        let tcp = Arc::new(tcp);
        let mut state = self.state();
        while state.arrivals >= self.open_max * 2
            || (is_reserved && state.arrivals_reserved >= reserved_max * 2)
        {
            // Each is at its end, or hangs in the name service, from which nothing calls it back.
            state = self.one_is_gone.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let others = state.open.iter().filter(|(_, other)| is_reserved && self.is_reserved(other));
        let others: Vec<u64> = others.map(|(number, _)| *number).collect();
        let oldest = match others.first() {
            Some(number) if others.len() >= reserved_max => state.open.remove(number),
            _ if state.open.len() >= self.open_max => state.open.pop_first().map(|(_, oldest)| oldest),
            _ => None,
        };
        let number = state.next;
        state.next += 1;
        state.arrivals += 1;
        state.arrivals_reserved += usize::from(is_reserved);
        state.open.insert(number, tcp.clone());
        drop(state);
        if let Some(oldest) = oldest {
            self.close(&oldest, is_reserved);
        }
        Arrival { arrivals: self.clone(), number, tcp, is_reserved }
    }

    /// The kernel gives the lowest descriptor that is free: one of those that are kept from clients shows that there is
    /// no other.
    fn is_reserved(&self, tcp: &TcpStream) -> bool {
        u64::try_from(tcp.as_raw_fd()).is_ok_and(|number| number >= self.reserved.start)
    }

    /// How many of these descriptors may be held at a time: of all ports, with those that gave way and do not know it
    /// yet, no more than half of them.
    fn reserved_max(&self) -> usize {
        let kept = self.reserved.end - self.reserved.start;
        usize::try_from(kept / (2 * 2 * PORTS_MAX)).unwrap_or(usize::MAX).max(1)
    }

    /// Wakes whoever waits for the connection.
    fn close(&self, oldest: &TcpStream, is_reserved: bool) {
        if let Some(count) = self.gave_way.add(Instant::now()) {
            let room = if is_reserved { self.reserved_max() } else { self.open_max };
            let hint =
                if is_reserved { " (there are hardly any descriptors left, see `ulimit -n`)" } else { "" };
            let remote = oldest.peer_addr();
            let remote = remote.map_or_else(|_| "somebody who is gone".to_owned(), |peer| peer.to_string());
            warn!(
                "more than {room} connections to the {}{hint} have not said what they speak or not completed the handshake of \
                 TLS; the oldest are closed, {count} since this was told last, this time one from {remote}: see what \
                 connects there",
                self.port
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

    /// Those of its port that were closed for what they said.
    pub(super) fn turned_away(&self) -> &TurnedAway {
        &self.arrivals.turned_away
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
        state.arrivals_reserved -= usize::from(self.is_reserved);
        self.arrivals.one_is_gone.notify_one();
    }
}

/// The election port, the quorum port, and that of an observer's master.
const PORTS_MAX: u64 = 3;

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn the_oldest_gives_way_and_what_is_known_does_not() {
        let port = Arrivals::new("port", 2, None);
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
        let port = Arrivals::new("port", 1, None);
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
    fn of_the_last_descriptors_they_get_a_part_and_the_oldest_there_gives_way() {
        // By their numbers all are among the last.
        let port = Arrivals::new("port", 100, Some(0..24));
        let ((_oldest_peer, oldest), (_newer_peer, newer), (_newest_peer, newest)) = (pair(), pair(), pair());
        let (oldest, newer) = (port.admit(oldest), port.admit(newer));
        assert!(!oldest.gave_way() && !newer.gave_way());
        let newest = port.admit(newest);
        assert!(oldest.gave_way() && !newer.gave_way() && !newest.gave_way());
        assert_eq!(port.state().arrivals_reserved, 3, "who gave way holds one until it knows");
        drop((oldest, newer));
        assert!(newest.into_tcp().is_some());
        assert_eq!(port.state().arrivals_reserved, 0);
    }

    #[test]
    fn who_has_another_descriptor_takes_none_of_the_last() {
        let port = Arrivals::new("port", 100, Some(1 << 30..(1 << 30) + 24));
        let pairs: Vec<_> = (0..10).map(|_| pair()).collect();
        let (_peers, tcps): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let all: Vec<_> = tcps.into_iter().map(|tcp| port.admit(tcp)).collect();
        assert!(all.iter().all(|one| !one.gave_way()));
        assert_eq!(port.state().arrivals_reserved, 0);
    }

    #[test]
    fn all_ports_get_half_of_the_last_descriptors_at_most() {
        let part = |reserved| Arrivals::new("port", 100, Some(reserved)).reserved_max();
        assert_eq!((part(896..1024), part(192..256), part(9..12)), (10, 5, 1));
    }

    /// Both ends of a connection, first that of who has made it.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let dialled = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
        (dialled, listener.accept().expect("somebody connects").0)
    }
}
