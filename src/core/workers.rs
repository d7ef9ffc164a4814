/// Where work runs that is cut into parts. Core starts no thread: who has some brings them.
pub trait Workers {
    /// What `work` makes of each number below `count`, by number. The parts run at any time, in any order.
    fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T>;
}

/// The caller's own thread.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Workers for Alone {
    fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        (0..count).map(work).collect()
    }
}
