//! The commit role as a state machine: every write of the server is checked, ordered, applied ahead of
//! its time and, once the log has it, published (server-semantics §3).

mod leading;
mod pipeline;
mod read_only;
mod reaper;
mod replica;

pub use pipeline::{LogSink, Pipeline, PipelineOptions, RecoverError};
pub use read_only::ReadOnly;
pub use reaper::ReaperOptions;
pub use replica::{Forward, Replica};

#[cfg(test)]
mod ensemble_tests;
#[cfg(test)]
mod tests;
