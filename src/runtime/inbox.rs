use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use crossbeam::queue::SegQueue;

/// A role's inbox and the handle to post to it.
///
/// One kind serves roles on one executor and on several: what is posted are whole turns and batches, so
/// the queue's atomics cost little per request, and glommio's waker knows by itself whether the receiver
/// sleeps on another core.
///
/// The queue has no bound of its own. What is in it is bounded by who posts: a shard's turns by
/// `globalOutstandingLimit` and the frames a shard takes per turn, the commit role's batches by the same.
pub fn inbox<T>() -> (Sender<T>, Inbox<T>) {
    let shared = Arc::new(Shared {
        queue: SegQueue::new(),
        receiver: AtomicWaker::new(),
        senders: AtomicUsize::new(1),
    });
    (Sender { shared: shared.clone() }, Inbox { shared })
}

/// Posts to an [`Inbox`], from any thread.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// What a role takes its work from.
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    queue: SegQueue<T>,
    receiver: AtomicWaker,
    senders: AtomicUsize,
}

impl<T> Sender<T> {
    /// Posts, and wakes the receiver if it sleeps. What is posted to a receiver that has ended is lost.
    pub fn post(&self, message: T) {
        self.shared.queue.push(message);
        self.shared.receiver.wake();
    }

    /// How many messages wait to be taken, of all senders', at some moment.
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.receiver.wake();
        }
    }
}

impl<T> Inbox<T> {
    /// Waits until there is something, then moves at most `most` messages to `into`. False once every
    /// sender is gone and everything has been taken.
    pub async fn take(&mut self, into: &mut Vec<T>, most: usize) -> bool {
        let Some(first) = self.take_one().await else { return false };
        into.push(first);
        into.extend(std::iter::from_fn(|| self.try_take()).take(most.saturating_sub(1)));
        true
    }

    /// Waits for one message; `None` once every sender is gone and everything has been taken.
    pub async fn take_one(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_one(cx)).await
    }

    /// Takes one message if there is one.
    pub fn try_take(&mut self) -> Option<T> {
        self.shared.queue.pop()
    }

    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(message) = self.try_take() {
            return Poll::Ready(Some(message));
        }
        self.shared.receiver.register(cx.waker());
        // Whoever posted between the look and the registration did not wake us.
        let closed = self.shared.senders.load(Ordering::Acquire) == 0;
        match self.try_take() {
            Some(message) => Poll::Ready(Some(message)),
            None if closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Executor, ExecutorOptions};

    fn executor(name: &str) -> Executor {
        Executor::new(ExecutorOptions { name: name.into(), ..ExecutorOptions::default() })
    }

    #[test]
    fn everything_posted_arrives_in_order_and_the_end_is_told() {
        let (sender, mut inbox) = inbox();
        let receiver = executor("receiver").start(move || async move {
            let (mut all, mut some) = (Vec::new(), Vec::new());
            while inbox.take(&mut some, 3).await {
                assert!(some.len() <= 3);
                all.append(&mut some);
            }
            all
        });
        for number in 0..1000 {
            sender.post(number);
        }
        drop(sender);
        assert_eq!(receiver.expect("an executor").join(), Some((0..1000).collect::<Vec<_>>()));
    }

    #[test]
    fn two_executors_in_ping_pong_lose_no_wake_up() {
        const ROUNDS: u32 = 20_000;
        let (to_right, mut right) = inbox();
        let (to_left, mut left) = inbox();
        let echo = executor("right").start(move || async move {
            let mut got = Vec::new();
            while right.take(&mut got, 1).await {
                got.drain(..).for_each(|number: u32| to_left.post(number));
            }
        });
        let caller = executor("left").start(move || async move {
            let mut got = Vec::new();
            for number in 0..ROUNDS {
                to_right.post(number);
                left.take(&mut got, 1).await;
                assert_eq!(got.pop(), Some(number));
            }
        });
        assert_eq!(caller.expect("an executor").join(), Some(()));
        assert_eq!(echo.expect("an executor").join(), Some(()));
    }
}
