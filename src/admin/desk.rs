use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ringkeeper_core::config::{Config, Membership};
use ringkeeper_core::flow::{ConnId, ShardId};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::member::MemberFigures;
use ringkeeper_core::ops::Digests;
use ringkeeper_core::session::SessionsReport;
use ringkeeper_core::shard::{Lists, ShardReport};

use super::words::{Facts, Word};
use crate::runtime::{Clock, Sender};
use crate::storage::wal::WalStats;
use crate::wiring::{Mode, ToCommit, ToShard};

/// Where four-letter words are answered.
pub struct Desk {
    options: DeskOptions,
    mode: Mutex<Option<Mode>>,
}

/// What the desk must know.
pub struct DeskOptions {
    /// The configuration, which it quotes and whose whitelist it keeps.
    pub config: Arc<Config>,
    /// The port that clients really connect to, where the configuration leaves it open.
    pub client_port: Arc<AtomicU16>,
    /// Every shard, by its number.
    pub shards: Vec<Sender<ToShard>>,
    /// The commit role.
    pub commit: Sender<ToCommit>,
    /// The log's figures.
    pub wal: Arc<WalStats>,
    /// What this server is at first.
    pub mode: Option<Mode>,
    /// The time.
    pub clock: Clock,
}

/// A four-letter word on its way round those who know something of its answer.
#[derive(Debug)]
pub struct Question {
    word: Word,
    shard: ShardId,
    conn: ConnId,
    reports: Mutex<Reports>,
    awaited: AtomicUsize,
}

/// What has been said to a question.
#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) shards: Vec<ShardReport>,
    pub(super) commit: Option<CommitReport>,
}

/// The commit role's part of what words show.
#[derive(Debug)]
pub struct CommitReport {
    /// The open sessions, if they were asked for.
    pub sessions: Option<SessionsReport>,
    /// What only a member of an ensemble has.
    pub member: Option<MemberFigures>,
    /// Who the servers are.
    pub membership: Option<Arc<Membership>>,
    /// Of the tree's digests.
    pub digests: DigestReport,
}

/// What words show of the tree's digests.
#[derive(Debug, Default)]
pub struct DigestReport {
    /// How many were not what others say of them.
    pub mismatches: u64,
    /// Some of the states that are published, and the tree's digests then.
    pub log: Vec<(Zxid, u64)>,
}

impl DigestReport {
    /// What a commit role knows that has published so far.
    pub fn new(digests: &Digests, published: Zxid) -> DigestReport {
        let log = digests.log().filter(|(zxid, _)| *zxid <= published).collect();
        DigestReport { mismatches: digests.mismatches(), log }
    }
}

impl Question {
    /// What this shard's report must list.
    pub fn lists(&self, shard: ShardId) -> Lists {
        let lists = self.word.needs().lists;
        // The tree is the same on every shard.
        Lists { ephemerals: lists.ephemerals && shard == self.shard, ..lists }
    }

    /// Whether the commit role's report must list the sessions.
    pub fn lists_sessions(&self) -> bool {
        self.word.needs().sessions
    }

    /// What the roles should forget once they have reported.
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
        let mode = Mutex::new(options.mode);
        Desk { options, mode }
    }

    /// What this server is to its clients from now on; `None` while it serves none.
    pub fn on_mode(&self, mode: Option<Mode>) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Takes a word that came to a connection of this shard. The answer comes as [`ToShard::Answer`].
    pub fn ask(&self, shard: ShardId, conn: ConnId, word: [u8; 4]) {
        let name = String::from_utf8_lossy(&word).into_owned();
        let known = Word::from_bytes(word);
        match known.filter(|_| self.options.config.admin.allows_word(&name)) {
            None => self.answer(shard, conn, not_allowed(&name)),
            Some(word) => self.send_round(word, shard, conn),
        }
    }

    /// Takes a shard's report; with the last report the answer is complete.
    pub fn add_shard(&self, question: &Question, report: ShardReport) {
        self.add(question, |reports| reports.shards.push(report));
    }

    /// Takes the commit role's report.
    pub fn add_commit(&self, question: &Question, report: CommitReport) {
        self.add(question, |reports| reports.commit = Some(report));
    }

    /// What a word answers, by what the server is when all has been said.
    fn compose(&self, word: Word, reports: Reports) -> String {
        let mode = *self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        match mode {
            None if word.needs_service() => word.answer_out_of_service().into(),
            mode => word.answer(&Facts::gather(&self.options, mode, reports)),
        }
    }

    fn send_round(&self, word: Word, shard: ShardId, conn: ConnId) {
        let DeskOptions { shards, commit, .. } = &self.options;
        let needs = word.needs();
        if !needs.roles {
            return self.answer(shard, conn, self.compose(word, Reports::default()));
        }
        let awaited = AtomicUsize::new(shards.len() + 1);
        let question = Arc::new(Question { word, shard, conn, reports: Mutex::default(), awaited });
        for shard in shards {
            shard.post(ToShard::Ask(question.clone()));
        }
        commit.post(ToCommit::Ask(question));
    }

    fn add(&self, question: &Question, report: impl FnOnce(&mut Reports)) {
        let mut reports = question.reports.lock().unwrap_or_else(PoisonError::into_inner);
        report(&mut reports);
        if question.awaited.fetch_sub(1, Ordering::AcqRel) == 1 {
            let text = self.compose(question.word, std::mem::take(&mut *reports));
            self.answer(question.shard, question.conn, text);
        }
    }

    fn answer(&self, shard: ShardId, conn: ConnId, text: String) {
        self.options.shards[shard.0 as usize].post(ToShard::Answer(conn, text.into_bytes()));
    }
}

fn not_allowed(word: &str) -> String {
    format!("{word} is not executed because it is not in the whitelist.\n")
}
