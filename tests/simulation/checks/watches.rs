//! **A client hears of a change that it watches before it is shown anything newer**, exactly once, and of nothing
//! else.
//!
//! For each client this knows which watches its server has, and goes through the history as far as a reply shows it:
//! each change that fires a watch must have brought its event before that reply.

use std::collections::BTreeSet;

use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{Delta, parent_of};
use ringkeeper_kit::wire::Event;

use super::history::History;
use super::{Verdict, must};

pub(crate) const PROMISE: &str = "a watch's event comes before anything newer";

/// One client's watches.
#[derive(Default)]
pub(crate) struct Watches {
    pub(crate) data: BTreeSet<String>,
    pub(crate) child: BTreeSet<String>,
    pub(crate) persistent: BTreeSet<String>,
    pub(crate) recursive: BTreeSet<String>,
    /// How much of the history was gone through.
    checked: usize,
    /// Events that have come and were not looked for yet.
    events: Vec<(i32, String, Zxid)>,
}

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        [&self.data, &self.child, &self.persistent, &self.recursive].iter().all(|paths| paths.is_empty())
    }

    /// How much of the history the watches know.
    pub(crate) fn checked(&self) -> usize {
        self.checked
    }

    /// So much of the history was shown when the watches were left, which is known only now.
    pub(crate) fn catch_up(&mut self, len: usize) {
        self.checked = self.checked.max(len);
    }

    /// The connection has gone, and with it what it had for the client.
    pub(crate) fn on_disconnected(&mut self) {
        self.events.clear();
    }

    /// An event has come. `is_renewing` is true while the server is told of the watches anew.
    pub(crate) fn on_event(&mut self, event: &Event, is_renewing: bool) {
        let path = event.path.lossy();
        if is_renewing {
            self.fire(event.kind, &path);
        } else {
            self.events.push((event.kind, path, Zxid(event.zxid)));
        }
    }

    /// The server has all watches anew, and has sent events for those that would have fired meanwhile.
    pub(crate) fn on_renewed(&mut self, history: &History, len: usize, whose: &str) -> Verdict {
        for (watched, is_child) in [(&self.data, false), (&self.child, true)] {
            for path in watched {
                let (before, after) = (history.node(path, self.checked), history.node(path, len));
                let is_same = match (before, after) {
                    (None, None) => true,
                    (Some(before), Some(after)) if is_child => {
                        before.czxid() == after.czxid()
                            && history.children(path, self.checked) == history.children(path, len)
                    }
                    (Some(before), Some(after)) => before.mzxid() == after.mzxid(),
                    _ => false,
                };
                must!(
                    PROMISE,
                    is_same,
                    "{whose} renewed its watch of {path}, missed a change and heard nothing"
                );
            }
        }
        self.checked = len;
        Ok(())
    }

    /// A reply shows so much of the history.
    pub(crate) fn on_shown(&mut self, history: &History, len: usize, whose: &str) -> Verdict {
        for index in self.checked..len {
            let txn = history.txn(index);
            for (kind, path) in txn.deltas.iter().flat_map(events_of) {
                if !self.fire(kind, path) {
                    continue;
                }
                let wanted = |(k, p, z): &(i32, String, Zxid)| (*k, &**p, *z) == (kind, path, txn.zxid);
                let found = self.events.iter().position(wanted);
                let Some(found) = found else {
                    let text = format!(
                        "{whose} is shown {len} transactions, no event {kind} of {path} at {}",
                        txn.zxid
                    );
                    return Err(super::broken(PROMISE, text));
                };
                self.events.remove(found);
            }
        }
        self.checked = self.checked.max(len);
        let odd = self.events.iter().find(|(.., zxid)| history.len_at(*zxid) <= len);
        must!(PROMISE, odd.is_none(), "{whose} heard of what it does not watch, or twice: {odd:?}");
        Ok(())
    }

    /// Whether somebody watches that; a watch for one event is gone then.
    fn fire(&mut self, kind: i32, path: &str) -> bool {
        let mut fires = self.persistent.contains(path);
        if kind == CHILDREN_CHANGED {
            return self.child.remove(path) || fires;
        }
        fires |= self.data.remove(path);
        if kind == DELETED {
            fires |= self.child.remove(path);
        }
        let mut above = Some(path);
        while let Some(watched) = above {
            fires |= self.recursive.contains(watched);
            above = parent_of(watched);
        }
        fires
    }
}

/// The events of a change: kind and path.
fn events_of(delta: &Delta) -> Vec<(i32, &str)> {
    let (kind, node, is_new_child) = match delta {
        Delta::Create { node, .. } => (CREATED, node, true),
        Delta::SetData(node) => (CHANGED, node, false),
        Delta::Delete(node) => (DELETED, node, true),
        _ => return Vec::new(),
    };
    let parent = parent_of(node.path()).filter(|_| is_new_child);
    [(kind, node.path())].into_iter().chain(parent.map(|parent| (CHILDREN_CHANGED, parent))).collect()
}

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;
