//! What roles say to each other. Roles know these messages and not one another; `server` decides which
//! of them share an executor.

use std::sync::Arc;

use ringkeeper_core::durable::Durable;
use ringkeeper_core::flow::{CommitBatch, ConnId, ShardTurn};

use crate::admin::Question;
use crate::net::Accepted;

/// What the commit role is told.
#[derive(Debug)]
pub enum ToCommit {
    /// What a shard's clients want.
    Turn(ShardTurn),
    /// What the log made durable.
    Durable(Durable),
    /// Time has passed.
    Tick,
    /// Order nothing more; end when everything ordered is durable and published.
    Stop,
    /// The log has written everything it was given and ended.
    LogEnded,
}

/// What a shard is told.
#[derive(Debug)]
pub enum ToShard {
    /// A client has connected.
    Accepted(Accepted),
    /// What is durable.
    Commit(Arc<CommitBatch>),
    /// Somebody asked a four-letter word; this shard adds what it knows.
    Ask(Arc<Question>),
    /// The answer to a four-letter word that came to this shard.
    Answer(ConnId, Vec<u8>),
    /// Send what is due, close all connections and end.
    Stop,
}
