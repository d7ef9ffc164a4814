//! The commit role as a state machine: every write of the server is checked, ordered, applied ahead of
//! its time and, once the log has it, published (server-semantics §3).

mod pipeline;
mod reaper;

pub use pipeline::{LogSink, Pipeline, PipelineOptions, RecoverError};
pub use reaper::ReaperOptions;

#[cfg(test)]
mod tests;
