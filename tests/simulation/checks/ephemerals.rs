//! **An ephemeral exists exactly as long as its session**: it is created by an open one, goes in the transaction
//! that closes it, and no session is closed before its time because its client was not heard.

use std::collections::{BTreeMap, BTreeSet};

use ringkeeper_core::flow::Step;
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::tree::{DataTree, Delta};

use super::history::Txn;
use super::{Verdict, must};

pub(crate) const PROMISE: &str = "an ephemeral exists exactly as long as its session";

#[derive(Default)]
pub(crate) struct Ephemerals {
    open: BTreeMap<SessionId, Session>,
    /// Those whose clients have asked for their end before they were the ensemble's.
    closing: BTreeSet<SessionId>,
    /// When each transaction was ordered: when somebody's log was given it first.
    ordered: BTreeMap<Zxid, u64>,
}

struct Session {
    ephemerals: Vec<String>,
    timeout_ms: u64,
    /// When the client sent something last of which the leader has heard.
    heard: u64,
    /// Whether the client has asked for its end.
    is_closing: bool,
}

impl Ephemerals {
    /// A client has got the answer to a write that it sent at this time: its leader has heard of it then.
    pub(crate) fn on_heard(&mut self, session: SessionId, sent: u64) {
        if let Some(session) = self.open.get_mut(&session) {
            session.heard = session.heard.max(sent);
        }
    }

    /// A client asks for the end of its session.
    pub(crate) fn on_close_asked(&mut self, session: SessionId) {
        match self.open.get_mut(&session) {
            Some(session) => session.is_closing = true,
            None => drop(self.closing.insert(session)),
        }
    }

    /// How many ephemerals a session has, if it is open.
    pub(crate) fn count_of(&self, session: SessionId) -> Option<usize> {
        self.open.get(&session).map(|session| session.ephemerals.len())
    }

    /// Somebody's log is given a transaction.
    pub(crate) fn on_logged(&mut self, zxid: Zxid, now: u64) {
        self.ordered.entry(zxid).or_insert(now);
    }

    pub(crate) fn on_committed(&mut self, txn: &Txn) -> Verdict {
        let zxid = txn.zxid;
        let now = self.ordered.get(&zxid).copied().unwrap_or_default();
        for delta in &txn.deltas {
            match delta {
                Delta::OpenSession { id, timeout_ms } => {
                    let timeout_ms = *timeout_ms as u64;
                    let is_closing = self.closing.contains(id);
                    self.open
                        .insert(*id, Session { timeout_ms, heard: now, is_closing, ephemerals: Vec::new() });
                }
                Delta::Create { node, .. } if node.owner() != 0 => {
                    let owner = SessionId(node.owner());
                    let Some(session) = self.open.get_mut(&owner) else {
                        let text =
                            format!("{} is created at {zxid} by {owner}, which is closed", node.path());
                        return Err(super::broken(PROMISE, text));
                    };
                    session.ephemerals.push(node.path().to_owned());
                }
                Delta::Delete(node) if node.owner() != 0 => {
                    if let Some(session) = self.open.get_mut(&SessionId(node.owner())) {
                        session.ephemerals.retain(|path| path != node.path());
                    }
                }
                Delta::CloseSession(id) => {
                    let Some(session) = self.open.remove(id) else { continue };
                    let left = &session.ephemerals;
                    must!(PROMISE, left.is_empty(), "{id} is closed at {zxid} and leaves {left:?}");
                    let silent_ms = now.saturating_sub(session.heard) / 1_000_000;
                    // Clocks may be off by some percent.
                    let is_due = session.is_closing || silent_ms * 21 / 20 >= session.timeout_ms;
                    let timeout_ms = session.timeout_ms;
                    must!(PROMISE, is_due, "{id} is expired at {zxid} after {silent_ms} of {timeout_ms} ms");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A server's tree has the ephemerals of its open sessions and no others.
    pub(crate) fn check_tree(&self, tree: &DataTree, whose: &str) -> Verdict {
        for owner in tree.ephemeral_owners() {
            let is_open = self.open.contains_key(&owner);
            must!(PROMISE, is_open, "{whose} has ephemerals of {owner}, which is closed");
        }
        for (id, session) in &self.open {
            for path in &session.ephemerals {
                let is_there = tree.get(path).is_some_and(|found| found.node.owner() == id.0);
                must!(PROMISE, is_there, "{whose} lacks {path} of {id}, which is open");
            }
        }
        Ok(())
    }
}

/// Whether a step deletes an ephemeral.
pub(crate) fn is_deletion(step: &Step) -> bool {
    matches!(step, Step::Delta(Delta::Delete(node), _) if node.owner() != 0)
}
