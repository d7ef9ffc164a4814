//! What roles say to each other. Roles know these messages and not one another; `server` decides which
//! of them share an executor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringkeeper_core::durable::Durable;
use ringkeeper_core::flow::{CommitBatch, ConnId, ShardTurn};
use ringkeeper_core::log_room::LogRoom;

use crate::admin::Question;
use crate::net::Accepted;

/// What the commit role is told.
#[derive(Debug)]
pub enum ToCommit {
    /// What a shard's clients want.
    Turn(ShardTurn),
    /// What the log made durable.
    Durable(Durable),
    /// How much the log can still take.
    LogRoom(LogRoom),
    /// Time has passed.
    Tick,
    /// Somebody asked a four-letter word; the commit role adds what it knows.
    Ask(Arc<Question>),
    /// Order nothing more; end when everything ordered is durable and published.
    Stop,
    /// The log has written everything it was given and ended.
    LogEnded,
}

/// How far the commit role has published, for the shards to know whether they are behind.
///
/// A client that was answered by one shard may tell another client, which asks another shard. As long as
/// that shard has not applied what the first one had, the second client would read the past, which it
/// never does with one Java server. So a shard that is behind applies what is published before it takes
/// more input. One load per read from a socket is what that costs.
#[derive(Clone, Debug, Default)]
pub struct Published(Arc<AtomicU64>);

impl Published {
    /// One more batch is about to be posted to the shards.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How many batches have been published.
    pub fn batches(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
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
