use std::time::Duration;

use super::{Action, Moment};
use crate::flow::ShardTurn;
use crate::id::Zxid;
use crate::prep::{Pipeline, ReadOnly};
use crate::session::LocalSessions;
use crate::time::Instant;
use crate::tree::DataTree;
use crate::zab::Tail;

/// A server that looks for a leader. If that takes long, it may [serve reads](ReadOnly) meanwhile.
pub(super) struct Looking {
    /// Everything published, and nothing more.
    pipeline: Pipeline,
    /// What the log has beyond that.
    tail: Tail,
    /// The first tick that saw it looking.
    since: Option<Instant>,
    read_only: Option<ReadOnly>,
}

impl Looking {
    pub(super) fn new(pipeline: Pipeline, tail: Tail) -> Looking {
        Looking { pipeline, tail, since: None, read_only: None }
    }

    pub(super) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// What the log has is not known any more.
    pub(super) fn distrust(&mut self) {
        self.tail = Tail::new(Zxid::UNKNOWN);
    }

    /// Whether reads are served.
    pub(super) fn is_serving(&self) -> bool {
        self.read_only.is_some()
    }

    /// The sessions that this server gave.
    pub(super) fn local_sessions(&self) -> Option<&LocalSessions> {
        self.read_only.as_ref()?.local_sessions()
    }

    pub(super) fn on_turn(&mut self, turn: ShardTurn, at: Moment, out: &mut Vec<Action>) {
        if let Some(read_only) = &mut self.read_only {
            read_only.on_turn(turn, &mut self.pipeline, at.now, at.wall);
            self.publish(out);
        }
    }

    /// Lets time pass; begins to serve reads if `patience`, which may be none for now, is over.
    pub(super) fn on_tick(&mut self, at: Moment, patience: Option<Duration>, out: &mut Vec<Action>) {
        let since = *self.since.get_or_insert(at.now);
        match &mut self.read_only {
            Some(read_only) => read_only.on_tick(at.now),
            None if patience.is_some_and(|patience| at.now.since(since) >= patience) => {
                self.read_only = Some(ReadOnly::new(&self.pipeline));
                out.push(Action::ServeReadOnly);
            }
            None => {}
        }
        self.publish(out);
    }

    pub(super) fn replace(&mut self, tree: DataTree) {
        self.pipeline.replace(tree);
    }

    /// There is a leader to follow, or this is the one. Nobody keeps the session that this server gave.
    pub(super) fn end(self, out: &mut Vec<Action>) -> (Pipeline, Tail) {
        if self.read_only.is_some() {
            out.push(Action::EndReadOnly);
        }
        (self.pipeline, self.tail)
    }

    fn publish(&mut self, out: &mut Vec<Action>) {
        out.extend(self.read_only.as_mut().and_then(ReadOnly::publish).map(Action::Publish));
    }
}
