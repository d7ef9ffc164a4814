use ringkeeper_core::config::{Ensemble, HostPort};

use super::FromPeers;
use crate::net::Protection;
use crate::net::peers::PeerPort;
use crate::runtime::Sender;
use crate::wiring::ToCommit;

/// This server's own quorum port, which goes where the configuration says. It is listened on whether the server
/// leads or not: a learner may come before this server knows.
pub struct QuorumPort {
    addresses: Vec<HostPort>,
    listens_on_all: bool,
    protection: Protection,
    post: Sender<ToCommit>,
    port: PeerPort,
}

impl QuorumPort {
    /// Listens where the committed configuration says.
    pub fn listen(ensemble: &Ensemble, protection: Protection, post: Sender<ToCommit>) -> QuorumPort {
        let addresses = ensemble.configurations.committed().quorum_addresses(ensemble.my_id);
        let listens_on_all = ensemble.listens_on_all;
        let port = QuorumPort::bind(addresses.clone(), listens_on_all, protection.clone(), &post);
        QuorumPort { addresses, listens_on_all, protection, post, port }
    }

    /// Listens there instead, if it is elsewhere. A server that the configuration names no more stays where it is.
    pub fn follow(&mut self, addresses: Vec<HostPort>) {
        if addresses.is_empty() || addresses == self.addresses {
            return;
        }
        let port =
            QuorumPort::bind(addresses.clone(), self.listens_on_all, self.protection.clone(), &self.post);
        std::mem::replace(&mut self.port, port).stop();
        self.addresses = addresses;
    }

    /// Stops listening.
    pub fn stop(self) {
        self.port.stop();
    }

    fn bind(
        addresses: Vec<HostPort>,
        listens_on_all: bool,
        protection: Protection,
        post: &Sender<ToCommit>,
    ) -> PeerPort {
        let accepted = post.clone();
        PeerPort::listen("quorum port", addresses, listens_on_all, None, protection, move |stream| {
            accepted.post(ToCommit::Peers(FromPeers::Accepted(stream)));
        })
    }
}
