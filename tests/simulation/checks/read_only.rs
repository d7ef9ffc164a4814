//! **Without a leader a server shows what it has, and changes nothing**: what a client is shown by a server that serves
//! reads only is the history up to some point, or what the server's own disk had when it was started or brought up to
//! date, of which the end may never become part of the history; and no write and no sync is done for it.

use std::collections::BTreeSet;

use ringkeeper_core::id::Zxid;
use ringkeeper_kit::wire::{Reply, Request};

use super::history::History;
use super::session_order::is_write;
use super::{Verdict, must};
use crate::world::Failure;

pub(crate) const PROMISE: &str = "without a leader a server shows what it has, and changes nothing";

#[derive(Default)]
pub(crate) struct ReadOnly {
    /// Where the states end that servers found on their disks, or were sent.
    found: BTreeSet<Zxid>,
}

impl ReadOnly {
    /// A server's state is what it found on its disk, or was sent, up to here.
    pub(crate) fn on_found(&mut self, zxid: Zxid) {
        self.found.insert(zxid);
    }

    /// A client that has said that it will do with reads is answered by a server without a leader. Whether the answer
    /// is still to be looked at: its state may be in the history, which knows what is true there.
    pub(crate) fn check(
        &self,
        request: &Request,
        reply: &Reply,
        history: &History,
        whose: &str,
    ) -> Result<bool, Failure> {
        let needs_leader = is_write(request) || matches!(request, Request::Sync { .. });
        let is_refused = reply.err == NOT_READ_ONLY;
        must!(PROMISE, needs_leader == is_refused, "{whose} gets {reply:?} to {request:?}");
        let zxid = Zxid(reply.zxid);
        let is_known = zxid.counter() == 0 || history.at(zxid).is_some();
        let is_found = self.found.contains(&zxid);
        must!(PROMISE, is_known || is_found, "{whose} is shown {zxid}, which nobody has published");
        Ok(is_known && !is_refused)
    }

    /// A client is answered by a server that has a leader.
    pub(crate) fn check_other(&self, reply: &Reply, whose: &str) -> Verdict {
        must!(PROMISE, reply.err != NOT_READ_ONLY, "{whose} is refused by a server that may write");
        Ok(())
    }
}

const NOT_READ_ONLY: i32 = -119;
