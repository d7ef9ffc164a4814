//! How a role's tree finds nodes by path: by a table of its own, or by one that two roles share.
//!
//! Two roles on one executor, of which one applies each step some time after the other, need no two tables. Trees
//! that begin as copies of one have each node in the same slot, and a table does not say what is in a slot: whoever
//! looks a path up compares it with that of the node which its own tree has there. So it does no harm that a shared
//! table holds more than one of them should see, as long as it holds all that each should:
//!
//! | step       | a table of its own | shared, by who is ahead | shared, by who is behind |
//! |------------|--------------------|-------------------------|--------------------------|
//! | create     | puts in            | puts in                 |                          |
//! | – undone   | takes out          | takes out               | never had it             |
//! | delete     | takes out          |                         | takes out                |
//! | – undone   | puts in            |                         | never had it             |
//!
//! A path that is deleted and created again before who is behind has heard of it is there twice, perhaps with the same
//! slot, and is taken out as often.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::delta::Delta;
use super::slots::Slot;
use super::table::Table;

/// The paths of one role's tree. A copy has a table of its own.
pub(super) enum Paths {
    /// Nobody looks for a path here: a [`SnapshotTree`](super::SnapshotTree).
    None,
    /// A table of its own.
    Own(Table),
    /// A table that is shared with who is behind.
    Ahead(Shared),
    /// A table that is shared with who is ahead.
    Behind(Shared),
}

/// A table that two trees share. They are on one executor, so nobody ever waits for the lock.
pub(super) struct Shared(Arc<Mutex<Table>>);

impl Paths {
    /// Those of a role that will apply, later, what is applied here from now on; both then share the table. A table
    /// that is shared already is copied.
    pub(super) fn share(&mut self) -> Paths {
        match std::mem::replace(self, Paths::None) {
            Paths::Own(table) => {
                let table = Arc::new(Mutex::new(table));
                *self = Paths::Ahead(Shared(table.clone()));
                Paths::Behind(Shared(table))
            }
            other => {
                *self = other;
                self.clone()
            }
        }
    }

    /// Whether nobody looks for a path here.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Paths::None)
    }

    /// What can be looked up, if anything can.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Table) -> R) -> Option<R> {
        match self {
            Paths::None => None,
            Paths::Own(table) => Some(look(table)),
            Paths::Ahead(shared) | Paths::Behind(shared) => Some(look(&shared.table())),
        }
    }

    /// The path that a step will put in or take out here.
    pub(super) fn changed_by<'d>(&self, delta: &'d Delta) -> Option<&'d [u8]> {
        match (self, delta) {
            (Paths::None, _)
            | (Paths::Ahead(_), Delta::Delete(_))
            | (Paths::Behind(_), Delta::Create { .. }) => None,
            _ => delta.indexed_path(),
        }
    }

    pub(super) fn on_create(&mut self, slot: Slot, path: &[u8]) {
        match self {
            Paths::None | Paths::Behind(_) => {}
            Paths::Own(table) => put_in(table, slot, path),
            Paths::Ahead(shared) => put_in(&mut shared.table(), slot, path),
        }
    }

    pub(super) fn on_uncreate(&mut self, slot: Slot, path: &[u8]) {
        match self {
            Paths::None | Paths::Behind(_) => {}
            Paths::Own(table) => take_out(table, slot, path),
            Paths::Ahead(shared) => take_out(&mut shared.table(), slot, path),
        }
    }

    pub(super) fn on_delete(&mut self, slot: Slot, path: &[u8]) {
        match self {
            Paths::None | Paths::Ahead(_) => {}
            Paths::Own(table) => take_out(table, slot, path),
            Paths::Behind(shared) => take_out(&mut shared.table(), slot, path),
        }
    }

    pub(super) fn on_undelete(&mut self, slot: Slot, path: &[u8]) {
        match self {
            Paths::None | Paths::Ahead(_) | Paths::Behind(_) => {}
            Paths::Own(table) => put_in(table, slot, path),
        }
    }
}

impl Clone for Paths {
    fn clone(&self) -> Paths {
        self.look(Table::clone).map_or(Paths::None, Paths::Own)
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put_in(table: &mut Table, slot: Slot, path: &[u8]) {
    table.insert(slot, table.hash(path));
}

fn take_out(table: &mut Table, slot: Slot, path: &[u8]) {
    table.remove(slot, table.hash(path));
}
