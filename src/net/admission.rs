use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

/// How many client connections there may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// `maxClientCnxns`: from one address; 0 is no limit.
    pub per_client: usize,
    /// `maxCnxns`: in all; 0 is no limit.
    pub total: usize,
    /// The first descriptor that no client gets, if there is a limit on them.
    pub descriptors: Option<u64>,
}

/// Counts the client connections, and deals each to the shard that has the fewest.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    per_client: Mutex<HashMap<IpAddr, usize>>,
    total: AtomicUsize,
    per_shard: Vec<AtomicUsize>,
}

/// A connection that was let in; it counts until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    client: IpAddr,
    shard: usize,
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The client has as many as it may.
    #[error("Too many connections from {client} - max is {max} (maxClientCnxns)")]
    PerClient {
        /// Whose connection.
        client: IpAddr,
        /// The limit.
        max: usize,
    },
    /// The server has as many as it may.
    #[error("Too many connections max allowed is {max} (maxCnxns)")]
    Total {
        /// The limit.
        max: usize,
    },
    /// What is left is for the server's files and for other servers.
    #[error(
        "too many connections for the open files that this process may have (RLIMIT_NOFILE): the server needs the \
         last descriptors itself; see `ulimit -n`"
    )]
    Descriptors,
}

impl Admission {
    /// For a server with so many shards.
    pub fn new(limits: Limits, shards: usize) -> Arc<Admission> {
        Arc::new(Admission {
            limits,
            per_client: Mutex::default(),
            total: AtomicUsize::new(0),
            per_shard: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// Lets a connection in that has this descriptor, or says why not. Only the acceptor asks, so two never race for
    /// the last place.
    pub fn admit(self: &Arc<Self>, client: IpAddr, descriptor: RawFd) -> Result<Admitted, Refusal> {
        let client = client.to_canonical();
        let Limits { per_client, total, descriptors } = self.limits;
        // The kernel gives the lowest that is free.
        if descriptors.is_some_and(|first| u64::try_from(descriptor).is_ok_and(|number| number >= first)) {
            return Err(Refusal::Descriptors);
        }
        if total > 0 && self.total.load(Ordering::Relaxed) >= total {
            return Err(Refusal::Total { max: total });
        }
        let mut counts = self.per_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if per_client > 0 && *count >= per_client {
            return Err(Refusal::PerClient { client, max: per_client });
        }
        *count += 1;
        drop(counts);
        self.total.fetch_add(1, Ordering::Relaxed);
        let loads = self.per_shard.iter().map(|load| load.load(Ordering::Relaxed));
        let shard = loads.enumerate().min_by_key(|(_, load)| *load).map_or(0, |(shard, _)| shard);
        self.per_shard[shard].fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { admission: self.clone(), client, shard })
    }
}

impl Admitted {
    /// The shard that the connection goes to, by index.
    pub fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Admission { per_client, total, per_shard, .. } = &*self.admission;
        let mut counts = per_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
        drop(counts);
        total.fetch_sub(1, Ordering::Relaxed);
        per_shard[self.shard].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FD: RawFd = 20;
    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn a_client_gets_its_place_back_when_a_connection_ends() {
        let admission = Admission::new(Limits { per_client: 2, ..Limits::default() }, 1);
        let first = admission.admit(A, FD).expect("room");
        let _second = admission.admit(A, FD).expect("room");
        assert_eq!(admission.admit(A, FD).err(), Some(Refusal::PerClient { client: A, max: 2 }));
        admission.admit(B, FD).expect("another client has its own count");
        drop(first);
        admission.admit(A, FD).expect("room again");
    }

    #[test]
    fn the_total_holds_over_all_clients() {
        let admission = Admission::new(Limits { total: 1, ..Limits::default() }, 1);
        let only = admission.admit(A, FD).expect("room");
        assert_eq!(admission.admit(B, FD).err(), Some(Refusal::Total { max: 1 }));
        drop(only);
        admission.admit(B, FD).expect("room again");
    }

    #[test]
    fn the_last_descriptors_are_the_server_s() {
        let admission = Admission::new(Limits { descriptors: Some(100), ..Limits::default() }, 1);
        admission.admit(A, 99).expect("room");
        assert_eq!(admission.admit(A, 100).err(), Some(Refusal::Descriptors));
        Admission::new(Limits::default(), 1).admit(A, 1 << 20).expect("nothing limits them");
    }

    #[test]
    fn connections_go_to_the_least_loaded_shard() {
        let admission = Admission::new(Limits::default(), 3);
        let mut held: Vec<_> = (0..6).map(|_| admission.admit(A, FD).expect("room")).collect();
        let shards: Vec<_> = held.iter().map(Admitted::shard).collect();
        assert_eq!(shards, [0, 1, 2, 0, 1, 2]);
        held.remove(4);
        assert_eq!(admission.admit(A, FD).expect("room").shard(), 1);
    }
}
