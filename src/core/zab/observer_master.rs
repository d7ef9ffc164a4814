//! A follower that brings observers up to date in its leader's place (`observerMasterPort`, zab §11), decided
//! without I/O.
//!
//! ```text
//!            OBSERVERINFO               ACKEPOCH                                 ACK
//!  AwaitInfo ------------> AwaitAckEpoch -------> AwaitLog, AwaitTree, AwaitAck -----> Serving
//!             LEADERINFO                           DIFF, TRUNC, SNAP, NEWLEADER         UPTODATE
//! ```
//!
//! An observer has no part in what is decided, so nobody waits for a quorum here: it is given what this server
//! was told to be committed, from [`ObserverMaster::on_delivered`], and what it wants of the leader goes the way
//! of this server's own requests.

use std::collections::BTreeMap;

use super::history::{History, LogExcerpt, Logged};
use super::leader::LinkId;
use super::options::{SyncBy, ZabOptions};
use super::packet::{FromLeader, FromLearner, LearnerInfo, LearnerKind};
use super::reason::CloseReason;
use super::sync::{Choice, choose};
use crate::flow::ForwardedRequest;
use crate::id::{ServerId, SessionId, Zxid};
use crate::time::Instant;

/// What must be done for observers, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterAction {
    /// Send a packet.
    Send(LinkId, FromLeader),
    /// Send the tree that was taken for this observer: it was just told so.
    SendTree(LinkId),
    /// Take the tree as it is published, and say [`ObserverMaster::on_tree_taken`].
    TakeTree(LinkId),
    /// Read the log from the last record that is not after `from` on, up to `upto` at least, and say
    /// [`ObserverMaster::on_log_read`].
    ReadLog {
        /// For whom.
        link: LinkId,
        /// Where the observer's log ends.
        from: Zxid,
        /// What is in memory follows this.
        upto: Zxid,
    },
    /// Close the connection. [`ObserverMaster::on_closed`] is not needed for it.
    Close(LinkId, CloseReason),
    /// Forward a request to the leader. If it is a sync, say [`ObserverMaster::on_synced`] when it is done.
    Forward(LinkId, ForwardedRequest),
    /// Sessions that an observer heard, and their timeouts in milliseconds.
    Touch(Vec<(SessionId, i32)>),
    /// Ask the leader about a session whose client came to an observer, and say
    /// [`ObserverMaster::on_revalidated`].
    Revalidate {
        /// The observer.
        link: LinkId,
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
}

/// What the observers of a follower are given. See the module's documentation.
pub struct ObserverMaster {
    options: ZabOptions,
    epoch: u32,
    links: BTreeMap<LinkId, Link>,
    next_ping: Instant,
}

/// What this server knows and gives to observers.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The last transaction applied.
    pub last: Zxid,
    /// The last of them, as far as they are in memory.
    pub history: &'a History,
}

struct Link {
    stage: Stage,
    /// How it is being brought up to date, until it has acknowledged that.
    syncing: Option<SyncBy>,
    observer: Option<ServerId>,
    /// When the observer is given up unless it is heard.
    deadline: Instant,
    last_heard: Instant,
}

/// What an observer's connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AwaitInfo,
    AwaitAckEpoch,
    /// The driver's reading of the log, for an observer whose log ends there.
    AwaitLog(Zxid),
    /// The driver's tree; how often it was asked for one.
    AwaitTree(u32),
    /// The observer's acknowledgement of NEWLEADER. It is told what happens from here on.
    AwaitAck,
    Serving,
}

impl ObserverMaster {
    /// A follower, which serves, of the leader of this epoch.
    pub fn new(options: ZabOptions, epoch: u32, now: Instant) -> ObserverMaster {
        ObserverMaster { options, epoch, links: BTreeMap::new(), next_ping: now }
    }

    /// An observer has connected.
    pub fn on_accepted(&mut self, id: LinkId, now: Instant) {
        let deadline = now + self.options.timing.init();
        let (stage, last_heard) = (Stage::AwaitInfo, now);
        self.links.insert(id, Link { stage, syncing: None, observer: None, deadline, last_heard });
    }

    /// An observer's connection is gone.
    pub fn on_closed(&mut self, id: LinkId) {
        self.links.remove(&id);
    }

    /// An observer sent a packet. One from a connection that is closed is left out.
    pub fn on_packet(
        &mut self,
        id: LinkId,
        packet: FromLearner,
        known: Known<'_>,
        now: Instant,
        out: &mut Vec<MasterAction>,
    ) {
        let sync = self.options.timing.sync();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.last_heard = now;
        if link.stage == Stage::Serving {
            link.deadline = now + sync;
        }
        match (link.stage, packet) {
            (_, FromLearner::Unknown(_)) => {}
            (Stage::AwaitInfo, FromLearner::Info(info)) => self.on_info(id, info, now, out),
            (Stage::AwaitAckEpoch, FromLearner::AckEpoch { zxid, .. }) => {
                self.sync(id, zxid, known, now, out);
            }
            (Stage::AwaitAck, FromLearner::Ack(_)) => {
                (link.stage, link.syncing, link.deadline) = (Stage::Serving, None, now + sync);
                out.push(MasterAction::Send(id, FromLeader::UpToDate));
            }
            // The answer to UPTODATE.
            (Stage::Serving, FromLearner::Ack(_)) => {}
            (Stage::Serving, FromLearner::Ping { touched, .. }) => out.push(MasterAction::Touch(touched)),
            (Stage::Serving, FromLearner::Revalidate { session, timeout_ms }) => {
                out.push(MasterAction::Revalidate { link: id, session, timeout_ms });
            }
            (Stage::Serving, FromLearner::Request(request)) => {
                out.push(MasterAction::Forward(id, request));
            }
            (stage, packet) => {
                let (packet, awaited) = (packet.name(), stage.name());
                self.close(id, CloseReason::Unexpected { packet, awaited }, out);
            }
        }
    }

    /// What [`MasterAction::ReadLog`] found; `None` if the log does not reach back so far, or if a tree takes
    /// less than what would have to be read.
    pub fn on_log_read(
        &mut self,
        id: LinkId,
        excerpt: Option<LogExcerpt>,
        known: Known<'_>,
        now: Instant,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(Stage::AwaitLog(peer)) = self.links.get(&id).map(|link| link.stage) else { return };
        let joined = excerpt.and_then(|excerpt| known.history.preceded_by(excerpt));
        match joined.map(|joined| (choose(peer, known.last, &joined), joined)) {
            Some((Choice::Send { start, after }, joined)) => {
                self.send_history(id, start, after, &joined, now, out);
            }
            _ => self.take_tree(id, 1, now, out),
        }
    }

    /// The tree as of `zxid`, which was published, was taken for this observer.
    pub fn on_tree_taken(
        &mut self,
        id: LinkId,
        zxid: Zxid,
        known: Known<'_>,
        now: Instant,
        out: &mut Vec<MasterAction>,
    ) {
        let Some(Stage::AwaitTree(tries)) = self.links.get(&id).map(|link| link.stage) else { return };
        if zxid >= known.history.after() {
            self.send_history(id, FromLeader::Snap(zxid), zxid, known.history, now, out);
        } else if tries < TREES_PER_OBSERVER_MAX {
            self.take_tree(id, tries + 1, now, out);
        } else {
            self.close(id, CloseReason::FellBehind, out);
        }
    }

    /// The tree has been sent: the observer's time to load it starts.
    pub fn on_tree_sent(&mut self, id: LinkId, now: Instant) {
        self.await_from(id, Stage::AwaitAck, now);
    }

    /// This server has applied a transaction that is committed.
    pub fn on_delivered(&mut self, logged: &Logged, out: &mut Vec<MasterAction>) {
        for id in self.forwarding() {
            let (zxid, payload) = (logged.zxid, logged.payload.clone());
            out.push(MasterAction::Send(id, FromLeader::Inform { zxid, payload }));
        }
    }

    /// The observer's oldest sync is done.
    pub fn on_synced(&mut self, id: LinkId, out: &mut Vec<MasterAction>) {
        if self.links.contains_key(&id) {
            out.push(MasterAction::Send(id, FromLeader::Sync));
        }
    }

    /// The leader's word on a session that the observer asked about.
    pub fn on_revalidated(
        &mut self,
        id: LinkId,
        session: SessionId,
        valid: bool,
        out: &mut Vec<MasterAction>,
    ) {
        if self.links.contains_key(&id) {
            out.push(MasterAction::Send(id, FromLeader::Revalidated { session, valid }));
        }
    }

    /// Lets time pass. To be called several times in a `tickTime`.
    pub fn on_tick(&mut self, last: Zxid, now: Instant, out: &mut Vec<MasterAction>) {
        let silent = self.links.iter().filter(|(_, link)| now >= link.deadline);
        let silent: Vec<(LinkId, u64)> =
            silent.map(|(id, link)| (*id, now.since(link.last_heard).as_millis() as u64)).collect();
        for (id, ms) in silent {
            self.close(id, CloseReason::Silent { ms }, out);
        }
        if now >= self.next_ping {
            self.next_ping = now + self.options.timing.tick() / 2;
            for id in self.forwarding() {
                out.push(MasterAction::Send(id, FromLeader::Ping(last)));
            }
        }
    }

    /// Observers that are told what happens.
    pub fn synced_observers(&self) -> usize {
        self.forwarding().len()
    }

    fn on_info(&mut self, id: LinkId, info: LearnerInfo, now: Instant, out: &mut Vec<MasterAction>) {
        let ours = self.options.configurations.committed().version();
        let refusal = match info.config_version {
            _ if info.kind != LearnerKind::Observer => Some(CloseReason::NotAnObserver),
            Some(theirs) if theirs > ours => Some(CloseReason::LaterConfig { theirs, ours }),
            _ => None,
        };
        if let Some(reason) = refusal {
            return self.close(id, reason, out);
        }
        if let Some(observer) = info.id {
            let same = self.links.iter().filter(|(_, link)| link.observer == Some(observer));
            for earlier in same.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.close(earlier, CloseReason::Replaced { id: observer }, out);
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.observer = info.id;
        }
        self.await_from(id, Stage::AwaitAckEpoch, now);
        out.push(MasterAction::Send(id, FromLeader::LeaderInfo { epoch: self.epoch }));
    }

    /// Brings an observer up to date whose log ends at `peer`. One that is ahead of this server has heard of
    /// commits that have not come here yet: it finds another server, or comes again.
    fn sync(&mut self, id: LinkId, peer: Zxid, known: Known<'_>, now: Instant, out: &mut Vec<MasterAction>) {
        let opens_our_epoch = peer == Zxid::new(self.epoch, 0);
        if peer > known.last && opens_our_epoch {
            // Nothing has happened in the epoch: the observer has all that there is.
            return self.send_history(id, FromLeader::Diff(peer), known.last, known.history, now, out);
        }
        if peer > known.last {
            return self.close(id, CloseReason::Ahead { epoch: peer.epoch(), zxid: peer }, out);
        }
        match choose(peer, known.last, known.history) {
            _ if self.options.force_snapshot_sync => self.take_tree(id, 1, now, out),
            Choice::Send { start, after } => self.send_history(id, start, after, known.history, now, out),
            Choice::TakeSnapshot => self.take_tree(id, 1, now, out),
            Choice::ReadLog => {
                self.await_disk(id, Stage::AwaitLog(peer), now);
                let upto = known.history.after();
                out.push(MasterAction::ReadLog { link: id, from: peer, upto });
            }
        }
    }

    fn take_tree(&mut self, id: LinkId, tries: u32, now: Instant, out: &mut Vec<MasterAction>) {
        if !self.begin_sync(id, SyncBy::Tree, out) {
            return;
        }
        self.await_disk(id, Stage::AwaitTree(tries), now);
        out.push(MasterAction::TakeTree(id));
    }

    /// Whether the observer may be brought up to date so. One too many is sent away.
    fn begin_sync(&mut self, id: LinkId, by: SyncBy, out: &mut Vec<MasterAction>) -> bool {
        let others = self.links.iter().filter(|(other, _)| **other != id).map(|(_, link)| link.syncing);
        if let Err(reason) = by.admit(self.options.sync_limits, others) {
            self.close(id, reason, out);
            return false;
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.syncing = Some(by);
        }
        true
    }

    /// Sends where to start, the history after it, and NEWLEADER.
    fn send_history(
        &mut self,
        id: LinkId,
        start: FromLeader,
        after: Zxid,
        history: &History,
        now: Instant,
        out: &mut Vec<MasterAction>,
    ) {
        let is_tree = matches!(start, FromLeader::Snap(_));
        if !is_tree && !self.begin_sync(id, SyncBy::Diff, out) {
            return;
        }
        out.push(MasterAction::Send(id, start));
        if is_tree {
            out.push(MasterAction::SendTree(id));
        }
        for logged in history.since(after) {
            let (zxid, payload) = (logged.zxid, logged.payload.clone());
            out.push(MasterAction::Send(id, FromLeader::Proposal { zxid, payload }));
            out.push(MasterAction::Send(id, FromLeader::Commit(zxid)));
        }
        let text = self.options.configurations.committed().text();
        let (zxid, config) = (Zxid::new(self.epoch, 0), Some(text.into_bytes().into()));
        out.push(MasterAction::Send(id, FromLeader::NewLeader { zxid, config }));
        self.await_from(id, Stage::AwaitAck, now);
    }

    fn await_from(&mut self, id: LinkId, stage: Stage, now: Instant) {
        let deadline = now + self.options.timing.init();
        if let Some(link) = self.links.get_mut(&id) {
            (link.stage, link.deadline) = (stage, deadline);
        }
    }

    fn await_disk(&mut self, id: LinkId, stage: Stage, now: Instant) {
        let deadline = now + self.options.timing.init() + self.options.timing.sync();
        if let Some(link) = self.links.get_mut(&id) {
            (link.stage, link.deadline) = (stage, deadline);
        }
    }

    fn forwarding(&self) -> Vec<LinkId> {
        let is_forwarding = |link: &Link| matches!(link.stage, Stage::AwaitAck | Stage::Serving);
        self.links.iter().filter(|(_, link)| is_forwarding(link)).map(|(id, _)| *id).collect()
    }

    fn close(&mut self, id: LinkId, reason: CloseReason, out: &mut Vec<MasterAction>) {
        if self.links.remove(&id).is_some() {
            out.push(MasterAction::Close(id, reason));
        }
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::AwaitInfo => "OBSERVERINFO",
            Stage::AwaitAckEpoch => "ACKEPOCH",
            Stage::AwaitLog(_) | Stage::AwaitTree(_) => "its own disk",
            Stage::AwaitAck => "the ACK of NEWLEADER",
            Stage::Serving => "requests and pings",
        }
    }
}

/// How often a tree is taken for one observer before it is given up.
const TREES_PER_OBSERVER_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SyncLimits;
    use crate::testing::configurations;
    use crate::zab::history::HistoryBounds;
    use crate::zab::options::Timing;
    use crate::zab::packet::PROTOCOL_VERSION;

    const LINK: LinkId = LinkId(3);
    const NOW: Instant = Instant(0);

    fn at(counter: u32) -> Zxid {
        Zxid::new(2, counter)
    }

    fn logged(counter: u32) -> Logged {
        Logged { zxid: at(counter), payload: vec![counter as u8].into() }
    }

    /// A follower of epoch 2 with its transactions 1 to 4, of which it has 2 to 4 in memory.
    struct Follower {
        master: ObserverMaster,
        history: History,
        last: Zxid,
    }

    impl Follower {
        fn new() -> Follower {
            let options = ZabOptions {
                id: ServerId(1),
                configurations: configurations(&[1, 2, 3], &[4], 0),
                reconfig: None,
                timing: Timing { tick_ms: 100, init_limit: 10, sync_limit: 5 },
                force_snapshot_sync: false,
                confirm_syncs: true,
                sync_limits: SyncLimits::default(),
                has_oracle: false,
            };
            let mut history = History::new(at(1), HistoryBounds::default());
            (2..=4).for_each(|counter| history.push(logged(counter)));
            Follower { master: ObserverMaster::new(options, 2, NOW), history, last: at(4) }
        }

        fn packet(&mut self, packet: FromLearner) -> Vec<MasterAction> {
            let mut out = Vec::new();
            let known = Known { last: self.last, history: &self.history };
            self.master.on_packet(LINK, packet, known, NOW, &mut out);
            out
        }

        /// What an observer gets whose log ends at `zxid`, up to NEWLEADER.
        fn brings(&mut self, zxid: Zxid) -> Vec<MasterAction> {
            self.master.on_accepted(LINK, NOW);
            let told = self.packet(info(LearnerKind::Observer));
            assert_eq!(told, [MasterAction::Send(LINK, FromLeader::LeaderInfo { epoch: 2 })]);
            self.packet(FromLearner::AckEpoch { zxid, current_epoch: None })
        }
    }

    fn info(kind: LearnerKind) -> FromLearner {
        FromLearner::Info(LearnerInfo {
            kind,
            accepted_epoch: 1,
            id: Some(ServerId(4)),
            protocol_version: PROTOCOL_VERSION,
            config_version: Some(0),
        })
    }

    fn packets(actions: &[MasterAction]) -> Vec<&FromLeader> {
        let packet = |action| match action {
            &MasterAction::Send(LINK, ref packet) => packet,
            other => panic!("{other:?}"),
        };
        actions.iter().map(packet).collect()
    }

    #[test]
    fn an_observer_gets_what_it_lacks_and_then_what_happens() {
        let mut follower = Follower::new();
        let told = follower.brings(at(3));
        let [FromLeader::Diff(_), FromLeader::Proposal { zxid, .. }, FromLeader::Commit(commit), new] =
            packets(&told)[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((*zxid, *commit), (at(4), at(4)));
        let config = configurations(&[1, 2, 3], &[4], 0).committed().text().into_bytes();
        assert_eq!(*new, FromLeader::NewLeader { zxid: at(0), config: Some(config.into()) });

        let mut out = Vec::new();
        follower.master.on_delivered(&logged(5), &mut out);
        assert!(matches!(packets(&out)[..], [FromLeader::Inform { .. }]), "from NEWLEADER on");
        let started = follower.packet(FromLearner::Ack(at(0)));
        assert_eq!(packets(&started), [&FromLeader::UpToDate]);
        assert!(follower.packet(FromLearner::Ack(at(0))).is_empty());
        assert_eq!(follower.master.synced_observers(), 1);
    }

    #[test]
    fn who_lacks_what_is_not_in_memory_gets_it_from_the_disk() {
        let mut follower = Follower::new();
        let read = follower.brings(Zxid::new(1, 7));
        assert_eq!(read, [MasterAction::ReadLog { link: LINK, from: Zxid::new(1, 7), upto: at(1) }]);
        let (mut out, known) = (Vec::new(), Known { last: follower.last, history: &follower.history });
        follower.master.on_log_read(LINK, None, known, NOW, &mut out);
        assert_eq!(out, [MasterAction::TakeTree(LINK)]);
        out.clear();
        follower.master.on_tree_taken(LINK, at(3), known, NOW, &mut out);
        assert_eq!(
            out[..2],
            [MasterAction::Send(LINK, FromLeader::Snap(at(3))), MasterAction::SendTree(LINK)]
        );
        assert!(matches!(
            packets(&out[2..])[..],
            [FromLeader::Proposal { .. }, FromLeader::Commit(_), FromLeader::NewLeader { .. }]
        ));
    }

    #[test]
    fn an_observer_that_would_be_one_too_many_to_be_brought_up_to_date_at_once_is_sent_away() {
        let mut follower = Follower::new();
        follower.master.options.sync_limits = SyncLimits { trees_max: 1, diffs_max: 0 };
        let refused = follower.brings(at(3));
        assert_eq!(refused, [MasterAction::Close(LINK, CloseReason::TooManySyncs { most: 0 })]);

        follower.master.options.sync_limits.diffs_max = 1;
        follower.brings(at(3));
        follower.packet(FromLearner::Ack(at(0)));
        follower.master.on_closed(LINK);
        assert!(matches!(packets(&follower.brings(at(3)))[..], [FromLeader::Diff(_), ..]));
    }

    #[test]
    fn who_has_heard_of_more_is_sent_away_and_loses_nothing() {
        let mut follower = Follower::new();
        let told = follower.brings(at(5));
        assert_eq!(told, [MasterAction::Close(LINK, CloseReason::Ahead { epoch: 2, zxid: at(5) })]);

        // An epoch in which nothing has happened is no more than what was before it.
        follower.history = History::new(Zxid::new(1, 7), HistoryBounds::default());
        follower.last = Zxid::new(1, 7);
        let told = follower.brings(at(0));
        assert!(
            matches!(packets(&told)[..], [FromLeader::Diff(_), FromLeader::NewLeader { .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn followers_silent_observers_and_old_connections_are_closed() {
        let mut follower = Follower::new();
        follower.master.on_accepted(LINK, NOW);
        let told = follower.packet(info(LearnerKind::Follower));
        assert_eq!(told, [MasterAction::Close(LINK, CloseReason::NotAnObserver)]);

        follower.brings(at(4));
        follower.packet(FromLearner::Ack(at(0)));
        let (mut out, again) = (Vec::new(), LinkId(9));
        follower.master.on_accepted(again, NOW);
        let known = Known { last: follower.last, history: &follower.history };
        follower.master.on_packet(again, info(LearnerKind::Observer), known, NOW, &mut out);
        assert_eq!(out[0], MasterAction::Close(LINK, CloseReason::Replaced { id: ServerId(4) }));
        out.clear();
        let late = NOW + std::time::Duration::from_secs(1);
        follower.master.on_tick(follower.last, late, &mut out);
        assert_eq!(out, [MasterAction::Close(again, CloseReason::Silent { ms: 1000 })]);
    }

    #[test]
    fn what_an_observer_wants_of_the_leader_goes_there_and_the_answer_comes_back() {
        let mut follower = Follower::new();
        follower.brings(at(4));
        follower.packet(FromLearner::Ack(at(0)));
        let (session, timeout_ms) = (SessionId(5), 4000);
        let asked = follower.packet(FromLearner::Revalidate { session, timeout_ms });
        assert_eq!(asked, [MasterAction::Revalidate { link: LINK, session, timeout_ms }]);
        let touched = vec![(session, timeout_ms)];
        let heard = follower.packet(FromLearner::Ping { zxid: at(4), touched: touched.clone() });
        assert_eq!(heard, [MasterAction::Touch(touched)]);
        let mut out = Vec::new();
        follower.master.on_revalidated(LINK, session, true, &mut out);
        follower.master.on_synced(LINK, &mut out);
        follower.master.on_synced(LinkId(77), &mut out);
        assert_eq!(packets(&out), [&FromLeader::Revalidated { session, valid: true }, &FromLeader::Sync]);
    }
}
