//! **A session is one client's, and the ensemble's only if it needs to be**: no two clients are given the same one, a
//! server's own is opened by no transaction before its client asks for an ephemeral, and by none at all where sessions
//! don't become the ensemble's.

use std::collections::{BTreeMap, BTreeSet};

use ringkeeper_core::id::SessionId;
use ringkeeper_core::session::NewSessions;
use ringkeeper_core::tree::Delta;

use super::history::Txn;
use super::{Counts, Verdict, must};

pub(crate) const PROMISE: &str = "a session is one client's, and the ensemble's only if it needs to be";

pub(crate) struct Sessions {
    kind: NewSessions,
    /// Who was given each of them, as far as clients have heard.
    given: BTreeMap<SessionId, usize>,
    /// Those whose clients have asked for an ephemeral.
    needed: BTreeSet<SessionId>,
    /// Those that were ever the ensemble's.
    opened: BTreeSet<SessionId>,
}

impl Sessions {
    pub(crate) fn new(kind: NewSessions) -> Sessions {
        let (given, needed, opened) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Sessions { kind, given, needed, opened }
    }

    /// A client that had none is given a session.
    pub(crate) fn on_given(&mut self, session: SessionId, client: usize) -> Verdict {
        let before = self.given.insert(session, client);
        must!(PROMISE, before.is_none(), "client {client} is given {session}, as client {before:?} was");
        Ok(())
    }

    /// A client asks for an ephemeral.
    pub(crate) fn on_ephemeral_asked(&mut self, session: SessionId) {
        self.needed.insert(session);
    }

    pub(crate) fn on_committed(&mut self, txn: &Txn, counts: &mut Counts) -> Verdict {
        for delta in &txn.deltas {
            let Delta::OpenSession { id, .. } = delta else { continue };
            let zxid = txn.zxid;
            let may_be = match self.kind {
                NewSessions::Global => true,
                NewSessions::Local { upgrades } => upgrades && self.needed.contains(id),
            };
            must!(PROMISE, may_be, "{id} is opened at {zxid}, and is its server's own");
            self.opened.insert(*id);
            counts.upgrades += u64::from(self.kind != NewSessions::Global);
        }
        Ok(())
    }

    /// Whether a client may hold a session that is not open for all: it is, or was, a server's own.
    pub(crate) fn may_be_local(&self, session: SessionId) -> bool {
        self.kind != NewSessions::Global && !self.opened.contains(&session)
    }

    /// Whether an ephemeral may be refused because the session is a server's own.
    pub(crate) fn are_only_local(&self) -> bool {
        self.kind == NewSessions::Local { upgrades: false }
    }
}
