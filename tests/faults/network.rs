//! What lies between the servers of an ensemble, and can be cut.

mod links;
mod namespaces;

use ringkeeper_kit::server::Settings;

pub(crate) use links::Links;
pub(crate) use namespaces::{Namespaces, in_a_network_of_its_own};

/// Servers with the ids from 0 that reach each other, as long as they are let.
///
/// What is held back between two of them is so in one direction. TCP's bytes are not lost: they arrive once the
/// network is whole again, if both sides have had the patience.
pub(crate) trait Network {
    fn server_count(&self) -> usize;

    /// Where `from` finds `to`, which may be itself: host, quorum port and election port.
    fn address(&self, from: usize, to: usize) -> String;

    /// What a server needs to run in this network.
    fn settle(&self, id: usize, settings: Settings) -> Settings;

    /// Holds back what `from` sends to `to` from now on.
    fn cut(&self, from: usize, to: usize);

    /// Lets everything through again.
    fn heal(&self);

    /// Holds back all between `some` and the others.
    fn isolate(&self, some: &[usize]) {
        let pairs =
            (0..self.server_count()).flat_map(|from| (0..self.server_count()).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| some.contains(from) != some.contains(to))
            .for_each(|(from, to)| self.cut(from, to));
    }
}
