//! What an operator asks a running server: the four-letter words.
//!
//! A word comes in on a client port, at one shard. What it asks for is mostly spread over all of them, so it
//! goes round: each shard, and the commit role, adds its report of what the word needs; the
//! last one makes the answer and returns it to the first.

mod desk;
mod host;
mod words;

pub use desk::{CommitReport, Desk, DeskOptions, DigestReport, Question, Reset};
