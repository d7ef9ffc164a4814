use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringkeeper_core::config::Config;
use ringkeeper_core::flow::{ConnId, ShardId};
use ringkeeper_core::shard::ShardReport;

use super::words::{Facts, Word};
use crate::runtime::{Clock, Sender};
use crate::storage::wal::WalStats;
use crate::wiring::ToShard;

/// Where four-letter words are answered.
pub struct Desk {
    options: DeskOptions,
}

/// What the desk must know.
pub struct DeskOptions {
    /// The configuration, which it quotes and whose whitelist it keeps.
    pub config: Arc<Config>,
    /// The port that clients really connect to, where the configuration leaves it open.
    pub client_port: u16,
    /// Every shard, by its number.
    pub shards: Vec<Sender<ToShard>>,
    /// The log's figures.
    pub wal: Arc<WalStats>,
    /// The time.
    pub clock: Clock,
}

/// A four-letter word on its way round the shards.
#[derive(Debug)]
pub struct Question {
    word: Word,
    shard: ShardId,
    conn: ConnId,
    parts: Mutex<Vec<ShardReport>>,
    awaited: AtomicUsize,
}

impl Question {
    /// What the shards should forget once they have reported.
    pub fn resets(&self) -> Option<Reset> {
        match self.word {
            Word::Crst => Some(Reset::Connections),
            Word::Srst => Some(Reset::Server),
            _ => None,
        }
    }
}

/// What a word sets back to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Each connection's counters.
    Connections,
    /// The server's counters.
    Server,
}

impl Desk {
    /// The desk of this server.
    pub fn new(options: DeskOptions) -> Desk {
        Desk { options }
    }

    /// Takes a word that came to a connection of this shard. The answer comes as [`ToShard::Answer`].
    pub fn ask(&self, shard: ShardId, conn: ConnId, word: [u8; 4]) {
        let name = String::from_utf8_lossy(&word).into_owned();
        let known = Word::from_bytes(word);
        match known.filter(|_| self.options.config.admin.allows_word(&name)) {
            None => self.answer(shard, conn, not_allowed(&name)),
            Some(word) => {
                let awaited = AtomicUsize::new(self.options.shards.len());
                let question = Arc::new(Question { word, shard, conn, parts: Mutex::default(), awaited });
                for shard in &self.options.shards {
                    shard.post(ToShard::Ask(question.clone()));
                }
            }
        }
    }

    /// Takes a shard's report; with the last one the answer is complete.
    pub fn add(&self, question: &Question, report: ShardReport) {
        let mut parts = question.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(report);
        if question.awaited.fetch_sub(1, Ordering::AcqRel) == 1 {
            let facts = Facts::gather(&self.options, std::mem::take(&mut *parts));
            self.answer(question.shard, question.conn, question.word.answer(&facts));
        }
    }

    fn answer(&self, shard: ShardId, conn: ConnId, text: String) {
        self.options.shards[shard.0 as usize].post(ToShard::Answer(conn, text.into_bytes()));
    }
}

fn not_allowed(word: &str) -> String {
    format!("{word} is not executed because it is not in the whitelist.\n")
}
