use std::future::Future;
use std::io;
use std::time::Duration;

use futures_lite::future::yield_now;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};

use super::TICK;
use super::readiness::Readiness;

/// A thread with a glommio executor, not yet started.
pub struct Executor {
    options: ExecutorOptions,
}

/// How an [`Executor`] runs.
#[derive(Clone, Debug, Default)]
pub struct ExecutorOptions {
    /// The thread's name.
    pub name: String,
    /// The CPU to stay on; `None` leaves it to the kernel.
    pub cpu: Option<usize>,
    /// How long to look for work before sleeping. Only sensible on a CPU that is the executor's own:
    /// waking a sleeper takes 31 to 52 µs, a spinning one 2.9.
    pub spin: Option<Duration>,
}

/// An executor that was started.
pub struct Running<T: Send + 'static>(ExecutorJoinHandle<T>);

impl Executor {
    /// An executor with these options.
    pub fn new(options: ExecutorOptions) -> Executor {
        Executor { options }
    }

    /// Starts a thread that runs the future which `main` makes there.
    pub fn start<G, F, T>(self, main: G) -> io::Result<Running<T>>
    where
        G: FnOnce() -> F + Send + 'static,
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let placement = self.options.cpu.map_or(Placement::Unbound, Placement::Fixed);
        let mut builder = LocalExecutorBuilder::new(placement)
            .name(&self.options.name)
            .preempt_timer(PREEMPT_AFTER)
            .io_memory(IO_MEMORY_BYTES)
            // Blocking calls would compete with the executor on its own CPU.
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1));
        if let Some(spin) = self.options.spin {
            builder = builder.spin_before_park(spin);
        }
        let epoll = Readiness::open()?;
        let main = || async {
            Readiness::start(epoll);
            spawn(heartbeat());
            main().await
        };
        builder.spawn(main).map(Running).map_err(|error| io::Error::other(error.to_string()))
    }
}

impl<T: Send + 'static> Running<T> {
    /// Waits for the executor's end; `None` if it did not end by itself.
    pub fn join(self) -> Option<T> {
        self.0.join().ok()
    }
}

/// Starts a task on this executor that nobody waits for, once the current task has had its turn.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    // glommio runs a new task at once, in the middle of its spawner's turn and of what that has borrowed.
    let later = async {
        yield_now().await;
        task.await;
    };
    glommio::spawn_local(later).detach();
}

/// Waits on this executor, to about a millisecond.
pub async fn sleep(time: Duration) {
    glommio::timer::sleep(time).await;
}

/// Keeps an executor from sleeping for ever. The runtime can lose the wake-up that another executor
/// sends; the next time this one looks, it finds it.
async fn heartbeat() {
    loop {
        sleep(TICK).await;
    }
}

/// When a task queue must let others run. Not shorter: with 1 ms, two executors that wake each other
/// stopped for good in every run of 20,000 rounds, for want of a wake-up; with 5, 10 and 100 ms in none
/// of ten. Turns are short by themselves.
const PREEMPT_AFTER: Duration = Duration::from_millis(100);
/// For direct I/O; only the log uses it, a few buffers at a time.
const IO_MEMORY_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_spawned_task_does_not_run_inside_its_spawner() {
        let executor = Executor::new(ExecutorOptions::default()).start(|| async {
            let has_run = Rc::new(Cell::new(false));
            let task = has_run.clone();
            spawn(async move { task.set(true) });
            let ran_at_once = has_run.get();
            while !has_run.get() {
                yield_now().await;
            }
            ran_at_once
        });
        assert_eq!(executor.expect("an executor").join(), Some(false));
    }
}
