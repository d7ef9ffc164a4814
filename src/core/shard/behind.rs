use std::collections::VecDeque;

use crate::queue::pop_front_if;

/// Connections whose input waits until the shard has applied what was published when it came. `W` wakes one.
///
/// Each waits for that and no more: a shard that never has everything, because more is published all the
/// time, still serves everybody.
#[derive(Debug)]
pub struct Behind<W> {
    /// How many batches the shard has applied.
    applied: u64,
    /// How many batches each waits for, the fewest first: what is published only grows.
    waiting: VecDeque<(u64, W)>,
}

impl<W> Default for Behind<W> {
    fn default() -> Self {
        Behind { applied: 0, waiting: VecDeque::new() }
    }
}

impl<W> Behind<W> {
    /// Whether input that comes when so many batches are published has to wait.
    pub fn is_behind(&self, published: u64) -> bool {
        self.applied < published
    }

    /// Has one wait until `published` batches are applied.
    pub fn wait(&mut self, published: u64, resume: W) {
        self.waiting.push_back((published, resume));
    }

    /// One more batch is applied: [`Behind::take_ready`] may have more.
    pub fn advance(&mut self) {
        self.applied += 1;
    }

    /// The next one that need not wait any more.
    pub fn take_ready(&mut self) -> Option<W> {
        let applied = self.applied;
        pop_front_if(&mut self.waiting, |(awaited, _)| *awaited <= applied).map(|(_, resume)| resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_waits_for_what_was_published_before_it_and_not_for_what_comes_after() {
        let mut behind = Behind::default();
        assert!(behind.is_behind(2) && !behind.is_behind(0));
        behind.wait(2, "early");
        behind.wait(3, "late");
        behind.advance();
        assert_eq!(behind.take_ready(), None, "one of two");
        behind.advance();
        assert_eq!(
            (behind.take_ready(), behind.take_ready()),
            (Some("early"), None),
            "though a third is published"
        );
        behind.advance();
        assert_eq!((behind.take_ready(), behind.is_behind(3)), (Some("late"), false));
    }
}
