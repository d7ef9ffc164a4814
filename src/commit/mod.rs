//! The commit role on its executor: takes the shards' turns and the log's promises, lets the
//! [`Pipeline`] decide, hands its records to the log and its batches to the shards. The only writer.

mod digest_watch;
mod followers;

use std::sync::Arc;

use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::prep::Pipeline;
use ringkeeper_core::session::{GlobalSessions, SessionsReport};

pub(crate) use digest_watch::DigestWatch;
pub use followers::Followers;

use crate::admin::{CommitReport, Desk, DigestReport};
use crate::runtime::{Clock, Inbox, Sender, TICK, sleep, spawn};
use crate::wiring::{ToCommit, ToLog};

/// The commit role, ready to run.
pub struct Commit {
    /// What decides. It has recovered.
    pub pipeline: Pipeline,
    /// Where it is told.
    pub inbox: Inbox<ToCommit>,
    /// For its own ticks.
    pub ticks: Sender<ToCommit>,
    /// The log. Dropped at the end, so that the log ends too.
    pub log: Sender<ToLog>,
    /// Who applies what is published.
    pub followers: Followers,
    /// Who answers four-letter words.
    pub desk: Arc<Desk>,
    /// The time.
    pub clock: Clock,
}

impl Commit {
    /// Runs until [`ToCommit::Stop`] and the log's end; then everything ordered is durable and published.
    pub async fn run(self) {
        let Commit { mut pipeline, mut inbox, ticks, log, followers, desk, clock } = self;
        let mut log = Some(log);
        spawn(tick(ticks));
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN_MAX);
        let mut records = RecordBatch::new();
        let (mut digests, mut ended) = (DigestWatch::default(), false);
        while !ended && inbox.take(&mut messages, MESSAGES_PER_TURN_MAX).await {
            let (now, wall) = (clock.now(), clock.wall());
            for message in messages.drain(..) {
                match message {
                    ToCommit::Turn(turn) if log.is_some() => pipeline.on_turn(turn, now, wall, &mut records),
                    ToCommit::Turn(_) => {}
                    ToCommit::Durable(durable, _) => pipeline.on_durable(durable.upto()),
                    ToCommit::LogRoom(room) => pipeline.on_log_room(room),
                    ToCommit::Tick if log.is_some() => pipeline.on_tick(now, wall, &mut records),
                    ToCommit::Tick => {}
                    ToCommit::Ask(question) => {
                        let expiring = || GlobalSessions::Expiring(pipeline.session_deadlines().collect());
                        let sessions = || SessionsReport { local: None, global: expiring() };
                        let sessions = question.lists_sessions().then(sessions);
                        let digests = DigestReport::new(pipeline.digests(), pipeline.published());
                        let (member, membership) = (None, None);
                        desk.add_commit(&question, CommitReport { sessions, member, membership, digests });
                    }
                    ToCommit::Stop => {
                        submit(&mut records, log.as_ref());
                        log = None;
                    }
                    // What only members of ensembles are told.
                    ToCommit::Peers(_)
                    | ToCommit::Oracle(_)
                    | ToCommit::Elected(_)
                    | ToCommit::ConfigurationHeard(_)
                    | ToCommit::ConfigurationsSaved
                    | ToCommit::EpochSaved(..)
                    | ToCommit::LogCut(_)
                    | ToCommit::TreeSaved
                    | ToCommit::TreeTaken(..)
                    | ToCommit::LogRead(..) => {}
                    ToCommit::LogEnded => ended = true,
                }
            }
            digests.look(pipeline.digests(), now);
            // The log first: the shards' work can run while the device does.
            submit(&mut records, log.as_ref());
            if (ended || followers.are_ready())
                && let Some(batch) = pipeline.publish()
            {
                followers.publish(batch);
            }
        }
    }
}

fn submit(records: &mut RecordBatch, log: Option<&Sender<ToLog>>) {
    if let Some(log) = log.filter(|_| !records.is_empty()) {
        log.post(ToLog::Records(std::mem::take(records)));
    }
}

async fn tick(ticks: Sender<ToCommit>) {
    loop {
        sleep(TICK).await;
        ticks.post(ToCommit::Tick);
    }
}

/// A turn takes no more than this, so that what is durable is not published late.
const MESSAGES_PER_TURN_MAX: usize = 64;
