use std::future::Future;
use std::io;
use std::time::Duration;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};

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
        builder.spawn(main).map(Running).map_err(|error| io::Error::other(error.to_string()))
    }
}

impl<T: Send + 'static> Running<T> {
    /// Waits for the executor's end; `None` if it did not end by itself.
    pub fn join(self) -> Option<T> {
        self.0.join().ok()
    }
}

/// Starts a task on this executor that nobody waits for.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(task).detach();
}

/// Waits on this executor, to about a millisecond.
pub async fn sleep(time: Duration) {
    glommio::timer::sleep(time).await;
}

/// When a task queue must let others run. Not shorter: with 1 ms, two executors that wake each other
/// stopped for good in every run of 20,000 rounds (a wake-up is lost in the runtime), with 5, 10 and
/// 100 ms in none of ten. Turns are short by themselves, and each executor also has a timer of
/// [`super::TICK`] that finds whatever a lost wake-up left behind.
const PREEMPT_AFTER: Duration = Duration::from_millis(100);
/// For direct I/O; only the log uses it, a few buffers at a time.
const IO_MEMORY_BYTES: usize = 4 << 20;
