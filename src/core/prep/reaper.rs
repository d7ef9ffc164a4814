use std::time::Duration;

use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, Found, Node, Owner, Slot};

/// When containers and nodes with a time to live are looked at and deleted (server-semantics §5).
#[derive(Clone, Copy, Debug)]
pub struct ReaperOptions {
    /// `znode.container.checkIntervalMs`: how often all of them are looked at.
    pub check_interval_ms: u64,
    /// `znode.container.maxPerMinute`: how many are deleted in a minute at most.
    pub per_minute_max: u64,
    /// `znode.container.maxNeverUsedIntervalMs`: how long a container may wait for its first child; zero
    /// is for ever.
    pub never_used_ms_max: u64,
}

impl Default for ReaperOptions {
    fn default() -> Self {
        ReaperOptions { check_interval_ms: 60_000, per_minute_max: 10_000, never_used_ms_max: 0 }
    }
}

/// Finds the containers and the nodes with a time to live whose time has come.
pub(super) struct Reaper {
    options: ReaperOptions,
    state: State,
}

enum State {
    AwaitCheck(Instant),
    /// A look at all of them has come as far as this slot.
    Checking {
        after: Option<Slot>,
        next_deletion: Instant,
    },
}

impl Reaper {
    /// A reaper that looks for the first time one interval after `now`.
    pub(super) fn new(options: ReaperOptions, now: Instant) -> Reaper {
        Reaper { options, state: State::AwaitCheck(now + Duration::from_millis(options.check_interval_ms)) }
    }

    /// The nodes to delete now. A call looks at a bounded number of nodes, so that one look at all of
    /// them may take many calls.
    pub(super) fn due(&mut self, tree: &DataTree, now: Instant, wall: WallTime) -> Vec<Node> {
        let mut due = Vec::new();
        let (mut after, mut next_deletion) = match self.state {
            State::AwaitCheck(at) if now < at => return due,
            State::AwaitCheck(_) => (None, now),
            State::Checking { after, next_deletion } => (after, next_deletion),
        };
        let pause = Duration::from_secs(60) / self.options.per_minute_max.clamp(1, u32::MAX.into()) as u32;
        for (looked_at, found) in tree.expendables_after(after).enumerate() {
            if looked_at == NODES_PER_CALL_MAX || next_deletion > now {
                self.state = State::Checking { after, next_deletion };
                return due;
            }
            after = Some(found.slot);
            if self.is_due(found, wall) {
                due.push(found.node.clone());
                next_deletion = next_deletion + pause;
            }
        }
        self.state = State::AwaitCheck(now + Duration::from_millis(self.options.check_interval_ms));
        due
    }

    fn is_due(&self, found: Found<'_>, wall: WallTime) -> bool {
        let unmodified_ms = wall.0.saturating_sub(found.node.mtime());
        let never_used_ms_max = i64::try_from(self.options.never_used_ms_max).unwrap_or(i64::MAX);
        found.num_children() == 0
            && match found.owner() {
                Owner::Container if found.cversion() > 0 => true,
                Owner::Container => never_used_ms_max != 0 && unmodified_ms > never_used_ms_max,
                Owner::Ttl(ttl_ms) => unmodified_ms > ttl_ms,
                Owner::None | Owner::Session(_) => false,
            }
    }
}

const NODES_PER_CALL_MAX: usize = 1000;
