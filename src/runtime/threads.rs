use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ringkeeper_core::Workers;

/// Threads for as long as the work takes, one for each CPU: good before there are executors.
pub struct Threads {
    count: usize,
}

impl Threads {
    /// As many as this process may use CPUs; one if nobody knows.
    pub fn per_cpu() -> Threads {
        Threads { count: thread::available_parallelism().map_or(1, usize::from) }
    }
}

impl Workers for Threads {
    fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let take_turns = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            numbers
                .take_while(|number| *number < count)
                .map(|number| (number, work(number)))
                .collect::<Vec<_>>()
        };
        let mut done = thread::scope(|scope| {
            let others = 1..self.count.min(count);
            // A thread that cannot be had leaves its work to the others.
            let others: Vec<_> =
                others.map_while(|_| thread::Builder::new().spawn_scoped(scope, take_turns).ok()).collect();
            let mut done = take_turns();
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_and_the_results_are_in_order() {
        for threads in [1, 2, 7] {
            for count in [0, 1, 2, 100] {
                let calls = AtomicUsize::new(0);
                let squares = Threads { count: threads }.map(count, |number| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    number * number
                });
                assert_eq!(squares, (0..count).map(|number| number * number).collect::<Vec<_>>());
                assert_eq!(calls.into_inner(), count);
            }
        }
    }
}
