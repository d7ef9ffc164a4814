use std::collections::VecDeque;

use super::database::{Database, Trail};
use crate::flow::Step;
use crate::id::Zxid;
use crate::tree::{Delta, Place, Undo};

/// The steps that are applied to the one database that is ahead, in order, to be published once they are
/// durable; and how to undo those of the last transaction, or on request all of them.
#[derive(Debug, Default)]
pub struct Changes {
    steps: VecDeque<Step>,
    undos: VecDeque<Undo>,
    /// Where in `undos` the last transaction starts.
    start: usize,
    keeps_undos: bool,
}

impl Changes {
    /// Without any steps; if it `keeps_undos`, all that are not taken out can be [rolled
    /// back](Changes::roll_back).
    pub fn new(keeps_undos: bool) -> Changes {
        Changes { keeps_undos, ..Changes::default() }
    }

    /// Starts a transaction.
    pub fn begin(&mut self, zxid: Zxid) {
        if !self.keeps_undos {
            self.undos.clear();
        }
        self.start = self.undos.len();
        self.steps.push_back(Step::Zxid(zxid));
    }

    /// Appends a step that changes nothing.
    pub fn push(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes the first `count` steps out, in time that does not depend on how many are left.
    pub fn take_first(&mut self, count: usize) -> Vec<Step> {
        let taken: Vec<Step> = self.steps.drain(..count).collect();
        if self.keeps_undos {
            let changed = taken.iter().filter(|step| matches!(step, Step::Delta(..))).count();
            self.undos.drain(..changed);
            self.start = self.start.saturating_sub(changed);
        }
        taken
    }

    /// Undoes everything that was not taken out. Needs all undos.
    pub fn roll_back(&mut self, db: &mut Database) {
        while let Some(undo) = self.undos.pop_back() {
            db.undo(undo);
        }
        self.start = 0;
        self.steps.clear();
    }

    /// Undoes the transaction: its zxid stays, as that of one that changed nothing.
    pub(super) fn take_back(&mut self, db: &mut Database) {
        while self.undos.len() > self.start
            && let Some(undo) = self.undos.pop_back()
        {
            self.steps.pop_back();
            db.undo(undo);
        }
    }
}

impl Trail for Changes {
    fn note(&mut self, delta: Delta, place: Place, undo: Undo) {
        self.steps.push_back(Step::Delta(delta, place));
        self.undos.push_back(undo);
    }
}
