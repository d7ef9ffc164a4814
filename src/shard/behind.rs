use std::collections::VecDeque;
use std::rc::Rc;

use crate::runtime::Bell;

/// Connections whose input waits until the shard has applied what was published when it came.
///
/// Each waits for that and no more: a shard that never has everything, because more is published all the
/// time, still serves everybody.
#[derive(Default)]
pub(super) struct Behind {
    /// How many batches the shard has applied.
    applied: u64,
    /// How many batches each waits for, the fewest first: what is published only grows.
    waiting: VecDeque<(u64, Rc<Bell>)>,
}

impl Behind {
    /// Whether input that comes when so many batches are published has to wait.
    pub(super) fn is_behind(&self, published: u64) -> bool {
        self.applied < published
    }

    /// Rings once `published` batches are applied.
    pub(super) fn wait(&mut self, published: u64, resume: Rc<Bell>) {
        self.waiting.push_back((published, resume));
    }

    /// One more batch is applied.
    pub(super) fn advance(&mut self) {
        self.applied += 1;
        while self.waiting.front().is_some_and(|(awaited, _)| *awaited <= self.applied) {
            if let Some((_, resume)) = self.waiting.pop_front() {
                resume.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn has_rung(bell: &Bell) -> bool {
        bell.poll_wait(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn input_waits_for_what_was_published_before_it_and_not_for_what_comes_after() {
        let (mut behind, early, late) =
            (Behind::default(), Rc::new(Bell::default()), Rc::new(Bell::default()));
        assert!(behind.is_behind(2) && !behind.is_behind(0));
        behind.wait(2, early.clone());
        behind.wait(3, late.clone());
        behind.advance();
        assert!(!has_rung(&early), "one of two");
        behind.advance();
        assert!(has_rung(&early) && !has_rung(&late), "though a third is published");
        behind.advance();
        assert!(has_rung(&late) && !behind.is_behind(3));
    }
}
