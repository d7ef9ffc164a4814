//! **A write that was acknowledged to a client is never lost**: it is in the history with the effect that the client
//! was told of, and whoever serves as the leader of a later epoch has it.

use ringkeeper_core::election::PeerState;
use ringkeeper_core::id::Zxid;

use super::{Verdict, must};
use crate::server::Server;

pub(crate) const PROMISE: &str = "a write that was acknowledged is never lost";

#[derive(Default)]
pub(crate) struct Acknowledged {
    last: Zxid,
}

impl Acknowledged {
    /// A client was told that its write has this number. That the history has it there with its effect is seen to
    /// where the reply is looked at.
    pub(crate) fn on_reply(&mut self, zxid: Zxid) {
        self.last = self.last.max(zxid);
    }

    /// A server is about to serve.
    pub(crate) fn on_serve(&self, server: &Server) -> Verdict {
        let Some(process) = &server.process else { return Ok(()) };
        let (id, shown, last) = (server.id, process.shown, self.last);
        // One whose followers have left it may serve late, in an epoch that is over without its knowing.
        let leads = |(state, epoch)| state == PeerState::Leading && epoch > last.epoch();
        if process.seat.standing().is_some_and(leads) {
            must!(PROMISE, last <= shown, "server {id} leads from {shown}, {last} was acknowledged");
        }
        Ok(())
    }
}
