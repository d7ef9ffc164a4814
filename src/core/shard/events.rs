//! Tells connections of changes (server-semantics §8).

use super::conn::State;
use super::{CloseReason, Shard};
use crate::acl::permits;
use crate::flow::ConnId;
use crate::id::Zxid;
use crate::proto::{AclRef, EventType, WatcherEvent, perms};
use crate::tree::{Delta, parent_of};

impl Shard {
    /// Tells everybody who watches of a change that was just applied.
    pub(super) fn tell_of(&mut self, delta: &Delta, zxid: Zxid) {
        if self.watches.is_empty() {
            return;
        }
        match delta {
            Delta::Create { node, .. } => {
                self.tell(EventType::NodeCreated, node.path(), zxid, Some(node.acl()));
                self.tell_of_children(node.path(), zxid);
            }
            Delta::SetData(node) => {
                self.tell(EventType::NodeDataChanged, node.path(), zxid, Some(node.acl()));
            }
            Delta::Delete(node) => {
                self.tell(EventType::NodeDeleted, node.path(), zxid, Some(node.acl()));
                self.tell_of_children(node.path(), zxid);
            }
            Delta::SetSilently(_)
            | Delta::SetCounters { .. }
            | Delta::OpenSession { .. }
            | Delta::CloseSession(_) => {}
        }
    }

    fn tell_of_children(&mut self, path: &str, zxid: Zxid) {
        if let Some(parent) = parent_of(path) {
            self.tell(EventType::NodeChildrenChanged, parent, zxid, None);
        }
    }

    /// Sends one event to everybody whom the watches name and who may read the node: by `acl`, or without
    /// it by the list that the node has now.
    fn tell(&mut self, kind: EventType, path: &str, zxid: Zxid, acl: Option<&AclRef>) {
        self.watches.fire(kind, path, &mut self.hits);
        if self.hits.is_empty() {
            return;
        }
        let acl = match acl {
            Some(acl) => &acl[..],
            None => self.tree.get(path).map_or(&[][..], |found| &found.node.acl()[..]),
        };
        self.event.clear();
        WatcherEvent { kind, path, zxid }.encode_frame(&mut self.event);
        let mut slow: Vec<ConnId> = Vec::new();
        for watcher in self.hits.drain(..) {
            let Some(conn) = self.conns.at_mut(watcher.0) else { continue };
            if conn.state == State::Closed
                || !permits(acl, perms::READ, &conn.identities, &self.options.policy)
            {
                continue;
            }
            if conn.out.len() > self.options.output_len_max {
                slow.push(conn.id);
                continue;
            }
            conn.out.extend_from_slice(&self.event);
            conn.stats.sent += 1;
            self.stats.sent += 1;
            conn.flush(&mut self.effects);
        }
        for id in slow {
            self.close_slow_reader(id);
        }
    }

    /// Closes a connection that takes nothing of what is sent to it.
    pub(super) fn close_slow_reader(&mut self, id: ConnId) {
        let waiting = self.conns.get(id).map_or(0, |conn| conn.out.len());
        self.close(id, CloseReason::SlowReader { waiting });
    }
}
