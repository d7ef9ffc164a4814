use super::database::{Database, Trail};
use crate::flow::Step;
use crate::id::Zxid;
use crate::tree::{Delta, Undo};

/// The steps that are applied to the one database that is ahead, in order, to be published once they are
/// durable; and how to undo those of the last transaction.
#[derive(Debug, Default)]
pub struct Changes {
    steps: Vec<Step>,
    undos: Vec<Undo>,
}

impl Changes {
    /// Starts a transaction.
    pub fn begin(&mut self, zxid: Zxid) {
        self.undos.clear();
        self.steps.push(Step::Zxid(zxid));
    }

    /// Appends a step that changes nothing.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes the first `count` steps out.
    pub fn take_first(&mut self, count: usize) -> Vec<Step> {
        // The next steps are likely to be about as many: they get their room at once.
        let mut rest = Vec::with_capacity(count);
        rest.extend(self.steps.drain(count..));
        std::mem::replace(&mut self.steps, rest)
    }

    /// Undoes the transaction: its zxid stays, as that of one that changed nothing.
    pub(super) fn take_back(&mut self, db: &mut Database) {
        while let Some(undo) = self.undos.pop() {
            self.steps.pop();
            db.undo(undo);
        }
    }
}

impl Trail for Changes {
    fn note(&mut self, delta: Delta, undo: Undo) {
        self.steps.push(Step::Delta(delta));
        self.undos.push(undo);
    }
}
