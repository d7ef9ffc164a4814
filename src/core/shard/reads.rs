//! Requests that are answered from the tree (client-protocol §5, check order in server-semantics §3).

use super::stats::Sent;
use super::watch_requests::WatchRequests;
use super::{CloseReason, Shard, input, multi_read, reply};
use crate::acl::{Policy, encode_redacted, permits, user_name};
use crate::error::Code;
use crate::flow::ConnId;
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};
use crate::proto::{Identity, OpCode, PathWatch, perms, xid};
use crate::time::Instant;
use crate::tree::{DataTree, Found, parent_and_name};
use crate::watch::Modes;

impl Shard {
    /// Answers a request of a connection that has nothing else pending before it.
    pub(super) fn answer(
        &mut self,
        id: ConnId,
        xid: i32,
        number: i32,
        record: &[u8],
        received: Instant,
        now: Instant,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let watcher = conn.watcher();
        let reads = Reads {
            tree: &self.tree,
            policy: &self.options.policy,
            identities: &conn.identities,
            session: conn.session,
        };
        let mut watches = WatchRequests { watches: &mut self.watches, tree: &self.tree, watcher };
        let (zxid, out) = (self.tree.last_zxid(), &mut conn.out);
        let reader = &mut Reader::new(record);
        let op = OpCode::from_number(number).filter(|_| input::is_known(number));
        let len = match op {
            Some(OpCode::GetData) => {
                reply::whole(out, xid, zxid, |out| reads.get_data(reader, &mut watches, out))
            }
            Some(OpCode::Exists) => {
                reply::whole(out, xid, zxid, |out| reads.exists(reader, &mut watches, out))
            }
            Some(OpCode::GetChildren) => {
                reply::whole(out, xid, zxid, |out| reads.get_children(reader, false, &mut watches, out))
            }
            Some(OpCode::GetChildren2) => {
                reply::whole(out, xid, zxid, |out| reads.get_children(reader, true, &mut watches, out))
            }
            Some(OpCode::Ping) => reply::header(out, xid::PING, zxid, Code::Ok),
            Some(OpCode::GetAcl) => reply::whole(out, xid, zxid, |out| reads.get_acl(reader, out)),
            Some(OpCode::GetAllChildrenNumber) => {
                reply::whole(out, xid, zxid, |out| reads.get_all_children_number(reader, out))
            }
            Some(OpCode::GetEphemerals) => {
                reply::whole(out, xid, zxid, |out| reads.get_ephemerals(reader, out))
            }
            Some(OpCode::WhoAmI) => reply::whole(out, xid, zxid, |out| reads.who_am_i(out)),
            Some(OpCode::MultiRead) => {
                reply::whole(out, xid, zxid, |out| multi_read::multi_read(&reads, reader, out))
            }
            Some(OpCode::SetWatches) => watches.set_watches(reader, false, xid, zxid, out),
            Some(OpCode::SetWatches2) => watches.set_watches(reader, true, xid, zxid, out),
            Some(OpCode::AddWatch) => reply::whole(out, xid, zxid, |out| watches.add_watch(reader, out)),
            Some(OpCode::CheckWatches) => reply::whole(out, xid, zxid, |_| watches.check_watches(reader)),
            Some(OpCode::RemoveWatches) => reply::whole(out, xid, zxid, |_| watches.remove_watches(reader)),
            _ => reply::header(out, xid, UNKNOWN_OP_ZXID, Code::Unimplemented),
        };
        let sent = Sent { xid, op, zxid, len, received, now };
        sent.count(&mut conn.stats, &mut self.stats);
        sent.count_if_stale(self.options.stale, conn.timeout_ms, &mut self.stats);
        conn.flush(&mut self.effects);
        self.is_turn_spent |= op.is_some_and(input::takes_long);
        if op.is_none() {
            return self.close(id, CloseReason::UnknownOp(number));
        }
        let max = self.options.watches_len_max;
        if self.watches.len_of(watcher) > max {
            self.close(id, CloseReason::TooManyWatches { max });
        }
    }
}

/// What reads look at.
pub(super) struct Reads<'a> {
    tree: &'a DataTree,
    policy: &'a Policy,
    identities: &'a [Identity],
    session: SessionId,
}

impl<'a> Reads<'a> {
    fn exists(
        &self,
        reader: &mut Reader<'_>,
        watches: &mut WatchRequests<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), Code> {
        let PathWatch { path, watch } = PathWatch::decode(reader).map_err(malformed)?;
        if path.contains('\0') {
            return Err(Code::BadArguments);
        }
        let found = lookup(self.tree, &path);
        if let Some(found) = &found {
            self.check(found, perms::READ)?;
        }
        if watch {
            watches.leave(&path, Modes::DATA);
        }
        found.ok_or(Code::NoNode)?.stat().encode(out);
        Ok(())
    }

    fn get_data(
        &self,
        reader: &mut Reader<'_>,
        watches: &mut WatchRequests<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), Code> {
        let PathWatch { path, watch } = PathWatch::decode(reader).map_err(malformed)?;
        let found = self.readable(&path)?;
        if watch {
            watches.leave(&path, Modes::DATA);
        }
        encode_data(&found, out);
        Ok(())
    }

    fn get_children(
        &self,
        reader: &mut Reader<'_>,
        with_stat: bool,
        watches: &mut WatchRequests<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), Code> {
        let PathWatch { path, watch } = PathWatch::decode(reader).map_err(malformed)?;
        let found = self.readable(&path)?;
        if watch {
            watches.leave(&path, Modes::CHILD);
        }
        encode_children(&found, out);
        if with_stat {
            found.stat().encode(out);
        }
        Ok(())
    }

    fn get_acl(&self, reader: &mut Reader<'_>, out: &mut Writer<'_>) -> Result<(), Code> {
        let path = reader.text().map_err(malformed)?;
        let found = lookup(self.tree, &path).ok_or(Code::NoNode)?;
        self.check(&found, perms::READ | perms::ADMIN)?;
        let acl = found.node.acl();
        match self.check(&found, perms::ADMIN) {
            Ok(()) => acl.encode(out),
            Err(_) => encode_redacted(acl, out),
        }
        found.stat().encode(out);
        Ok(())
    }

    fn get_all_children_number(&self, reader: &mut Reader<'_>, out: &mut Writer<'_>) -> Result<(), Code> {
        let path = reader.text().map_err(malformed)?;
        let found = self.readable(&path)?;
        let count = match (&*path, found.node.path()) {
            // The root by its other name, whose nodes are all that the root's own name is above.
            ("", _) => self.tree.node_count() - 1,
            // All nodes but the root, which the tree's own count holds twice.
            (_, "/") => self.tree.node_count() - 2,
            _ => found.descendants_count(),
        };
        out.int(count as i32);
        Ok(())
    }

    fn get_ephemerals(&self, reader: &mut Reader<'_>, out: &mut Writer<'_>) -> Result<(), Code> {
        let prefix = reader.ustring().map_err(malformed)?.unwrap_or_default();
        let prefix = if matches!(prefix.trim(), "" | "/") { "" } else { &prefix };
        let paths = || {
            self.tree.ephemerals(self.session).map(|node| node.path()).filter(|path| path.starts_with(prefix))
        };
        out.int(paths().count() as i32);
        paths().for_each(|path| out.text(path));
        Ok(())
    }

    fn who_am_i(&self, out: &mut Writer<'_>) -> Result<(), Code> {
        out.int(self.identities.len() as i32);
        for identity in self.identities {
            out.text(&identity.scheme);
            out.text(user_name(identity));
        }
        Ok(())
    }

    /// The node at `path`, if there is one and the connection may read it.
    pub(super) fn readable(&self, path: &str) -> Result<Found<'a>, Code> {
        let found = lookup(self.tree, path).ok_or(Code::NoNode)?;
        self.check(&found, perms::READ)?;
        Ok(found)
    }

    fn check(&self, found: &Found<'_>, perm: i32) -> Result<(), Code> {
        match permits(found.node.acl(), perm, self.identities, self.policy) {
            true => Ok(()),
            false => Err(Code::NoAuth),
        }
    }
}

/// The node at `path`; the empty path is another name of the root.
pub(super) fn lookup<'a>(tree: &'a DataTree, path: &str) -> Option<Found<'a>> {
    tree.get(if path.is_empty() { "/" } else { path })
}

/// Appends what getData answers.
pub(super) fn encode_data(found: &Found<'_>, out: &mut Writer<'_>) {
    out.buffer(found.node.data());
    found.stat().encode(out);
}

/// Appends what getChildren answers: names, in no particular order.
pub(super) fn encode_children(found: &Found<'_>, out: &mut Writer<'_>) {
    out.int(found.num_children() as i32);
    for child in found.children() {
        if let Some((_, name)) = parent_and_name(child.node.path()) {
            out.text(name);
        }
    }
}

/// What a client is told whose request's record cannot be read.
pub(super) fn malformed(_: DecodeError) -> Code {
    Code::MarshallingError
}

const UNKNOWN_OP_ZXID: Zxid = Zxid(-1);
