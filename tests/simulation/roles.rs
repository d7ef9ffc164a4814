//! The roles of a server and what they tell each other: this stands where the glommio drivers stand in production,
//! and only moves things, but where a [`Mischief`] is at work.

use std::sync::Arc;

use ringkeeper_core::config::{Configurations, Membership};
use ringkeeper_core::durable::Durable;
use ringkeeper_core::election::{self, ElectionPeer, Electorate, PeerState};
use ringkeeper_core::flow::{CommitBatch, Step};
use ringkeeper_core::format::snapshot::SnapshotWriter;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::jute::Reader;
use ringkeeper_core::log_room::LogRoom;
use ringkeeper_core::member::{Action, Attempt, Duty, LeaderEvent, LearnerEvent, Moment, Seat};
use ringkeeper_core::shard::Service;
use ringkeeper_core::time::Instant;
use ringkeeper_core::zab::packet::{FromLeader, FromLearner, Payload};
use ringkeeper_core::zab::{CloseReason, DownReason, EpochFile, LinkId};

use crate::deliver::{CONNECT_PATIENCE, DESIGNATED_PATIENCE, MASTER_PATIENCE, PROTOCOL, Socket};
use crate::mischief::Mischief;
use crate::network::Port;
use crate::server::{
    Busy, Input, LeaderLink, Message, Process, Role, ToLog, Use, addresses, leader_stream, server_at,
};
use crate::world::{Event, MS, TICK, US, World};

impl World {
    /// Tells a role something. What is told it comes in order, and a little later.
    pub(crate) fn post(&mut self, server: usize, life: u32, role: Role, message: Message) {
        let delay = if self.rng.u8(0..8) == 0 { self.rng.u64(0..500) } else { self.rng.u64(0..20) };
        let earliest = self.now + delay * US;
        let Some(process) = self.servers[server].process(life) else { return };
        let last = process.last_post.entry(role).or_default();
        *last = earliest.max(*last);
        let delay = *last - self.now;
        self.after(delay, Event::Post(server, life, role, message));
    }

    pub(crate) fn on_message(&mut self, server: usize, life: u32, role: Role, message: Message) {
        if self.servers[server].process(life).is_none() {
            return;
        }
        match (role, message) {
            (Role::Election, Message::Look(last_logged)) => {
                self.checks.elections.on_look(server, last_logged);
                self.tell_election(server, life, |peer, now, out| peer.look(last_logged, now, out));
            }
            (Role::Election, Message::Configure(configurations)) => {
                self.configure_election(server, life, configurations);
            }
            (Role::Election, Message::Designated(leader, zxid)) => {
                self.tell_election(server, life, |peer, now, out| peer.designate(leader, zxid, now, out));
            }
            (Role::Election, Message::Avoid(pause)) => {
                let now = self.at(server).now;
                let Some(process) = self.servers[server].process(life) else { return };
                process.election.avoid(pause, now);
            }
            (Role::Election, Message::Epoch(epoch)) => {
                let Some(process) = self.servers[server].process(life) else { return };
                process.election.on_epoch(epoch);
            }
            (Role::Log, Message::ToLog(what)) => {
                let Some(process) = self.servers[server].process(life) else { return };
                process.log.queue.push_back(what);
                self.work_log(server, life);
            }
            (Role::Shard(shard), message) => self.tell_shard(server, life, shard, message),
            (Role::Snapshotter, message) => self.tell_snapshotter(server, life, message),
            (_, message) => self.tell_commit(server, life, message),
        }
    }

    fn tell_commit(&mut self, server: usize, life: u32, message: Message) {
        self.tell_seat(server, life, |seat, at, out| match message {
            Message::Turn(turn) => seat.on_turn(turn, true, at, out),
            Message::Durable(zxid, cuts) => seat.tell(at, out, |member, at, actions| {
                member.on_durable(Durable::in_a_test(zxid), cuts, at, actions);
            }),
            Message::LogRoom(room) => seat.tell(at, out, |member, _, _| member.on_log_room(room)),
            Message::Elected(outcome) => seat.on_elected(outcome, at, out),
            Message::ConfigurationHeard(heard) => seat.tell(at, out, |member, at, actions| {
                member.on_configuration_heard(&heard, at, actions);
            }),
            Message::ConfigurationsSaved => seat.tell(at, out, |member, at, actions| {
                member.on_configurations_saved(at, actions);
            }),
            Message::EpochSaved(file, epoch) => seat.tell(at, out, |member, at, actions| {
                member.on_epoch_saved(file, epoch, at, actions);
            }),
            Message::LogCut(tree) => seat.tell(at, out, |member, at, actions| {
                member.on_truncated(tree.map(|tree| *tree), at, actions);
            }),
            Message::TreeSaved => {
                seat.tell(at, out, |member, at, actions| member.on_tree_saved(at, actions));
            }
            Message::TreeTaken(link, zxid) => seat.tell(at, out, |member, at, actions| {
                member.on_tree_taken(link, zxid, at, actions);
            }),
            Message::LogRead(link, excerpt) => seat.tell(at, out, |member, at, actions| {
                member.on_log_read(link, excerpt, at, actions);
            }),
            Message::TreeSent(link) => seat.on_learner(link, LearnerEvent::TreeSent, at, out),
            Message::Unreachable(attempt) => seat.on_leader(attempt, LeaderEvent::Unreachable, at, out),
            _ => {}
        });
    }

    pub(crate) fn on_learner(&mut self, server: usize, life: u32, link: LinkId, event: LearnerEvent) {
        self.tell_seat(server, life, |seat, at, out| seat.on_learner(link, event, at, out));
    }

    pub(crate) fn on_leader(
        &mut self,
        server: usize,
        life: u32,
        attempt: Attempt,
        event: LeaderEvent<Socket>,
    ) {
        self.tell_seat(server, life, |seat, at, out| seat.on_leader(attempt, event, at, out));
    }

    pub(crate) fn on_tick(&mut self, server: usize, life: u32) {
        let now = self.at(server).now;
        let Some(process) = self.servers[server].process(life) else { return };
        let shards = process.shards.len();
        for shard in 0..shards {
            let Some(process) = self.servers[server].process(life) else { return };
            process.shards[shard].shard.on_tick(now);
            self.perform_shard(server, life, shard);
            self.on_turn_due(server, life, shard);
        }
        self.tell_seat(server, life, |seat, at, out| seat.on_tick(at, out));
        self.after(TICK, Event::Tick(server, life));
    }

    pub(crate) fn tell_election(
        &mut self,
        server: usize,
        life: u32,
        tell: impl FnOnce(&mut ElectionPeer, Instant, &mut Vec<election::Action>),
    ) {
        let (mut out, now) = (Vec::new(), self.at(server).now);
        let Some(process) = self.servers[server].process(life) else { return };
        tell(&mut process.election, now, &mut out);
        self.perform_election(server, life, out);
    }

    pub(crate) fn on_wake(&mut self, server: usize, life: u32) {
        if let Some(process) = self.servers[server].process(life) {
            process.wake_at = None;
            self.tell_election(server, life, |peer, now, out| peer.on_timeout(now, out));
        }
    }

    pub(crate) fn perform_election(&mut self, server: usize, life: u32, actions: Vec<election::Action>) {
        for action in actions {
            match action {
                election::Action::Dial { link, addresses, .. } => {
                    let Some(target) = server_at(&addresses) else { continue };
                    let conn = self.dial(Port::Election, (server, life), target);
                    let Some(process) = self.servers[server].process(life) else { return };
                    process.uses.insert(conn, Use::Election(link));
                    process.election_links.insert(link, (conn, 0));
                }
                election::Action::Write { link, bytes } => {
                    if !self.setup.reconfigs {
                        let verdict = self.checks.elections.on_said(server, link, &bytes);
                        self.check(verdict);
                    }
                    self.after(0, Event::Written(server, life, link));
                    let Some(process) = self.servers[server].process(life) else { return };
                    if let Some((conn, side)) = process.election_links.get(&link).copied() {
                        self.send_bytes(conn, 1 - side, &bytes);
                    }
                }
                election::Action::Close { link } => {
                    let Some(process) = self.servers[server].process(life) else { return };
                    if let Some((conn, side)) = process.election_links.remove(&link) {
                        process.uses.remove(&conn);
                        self.hang_up(conn, side);
                    }
                }
                election::Action::Note { .. } | election::Action::AskOracle => {}
                election::Action::Adopt(membership) => self.adopt(server, life, membership),
                election::Action::Decided(mut outcome) => {
                    // A reconfig can hand the lead over without a vote.
                    if !self.setup.reconfigs {
                        let quorum = self.setup.verifier();
                        let verdict = self.checks.elections.on_decided(server, &outcome, &quorum);
                        self.check(verdict);
                    }
                    if self.is_troubled && self.setup.bad_elections && self.rng.u8(0..4) == 0 {
                        self.mistake(server, &mut outcome);
                    }
                    let (state, leader, round) = (outcome.state, outcome.vote.leader, outcome.round);
                    let now = self.now;
                    self.trace.note(now, format_args!("server {server}: {state:?}, {leader}, round {round}"));
                    self.post(server, life, Role::Commit, Message::Elected(outcome));
                }
            }
        }
        let (clock, now) = (self.servers[server].clock, self.now);
        let Some(process) = self.servers[server].process(life) else { return };
        if let Some(at) = process.election.next_timeout()
            && process.wake_at.is_none_or(|wake_at| at < wake_at)
        {
            process.wake_at = Some(at);
            self.after(clock.until(at, now), Event::Wake(server, life));
        }
    }

    /// The configurations are these from now on, unless another server has told of a newer one meanwhile.
    fn configure_election(&mut self, server: usize, life: u32, configurations: Configurations) {
        let Some(process) = self.servers[server].process(life) else { return };
        if configurations.committed().version() >= process.electorate.committed().version() {
            process.electorate = configurations;
            self.reconfigure_election(server, life);
        }
    }

    /// Another server has told of a newer configuration.
    fn adopt(&mut self, server: usize, life: u32, membership: Membership) {
        let membership = Arc::new(membership);
        let Some(process) = self.servers[server].process(life) else { return };
        if process.electorate.commit(&membership) {
            self.post(server, life, Role::Commit, Message::ConfigurationHeard(membership));
            self.reconfigure_election(server, life);
        }
    }

    fn reconfigure_election(&mut self, server: usize, life: u32) {
        let (me, adopts) = (ServerId(server as i64), self.setup.reconfigs);
        let Some(process) = self.servers[server].process(life) else { return };
        let configurations = process.electorate.clone();
        let electorate = Electorate::of(me, &configurations, adopts);
        let own = configurations.knowing(me).election_addresses(me);
        let peers = addresses(&configurations);
        self.tell_election(server, life, |peer, now, out| {
            peer.reconfigure(electorate, own, peers, now, out);
        });
    }

    /// Makes it another leader, who might be one.
    fn mistake(&mut self, server: usize, outcome: &mut election::Outcome) {
        let voters: Vec<ServerId> =
            self.servers[server].configurations().committed().verifier().voters().collect();
        let wrong = voters[self.rng.usize(0..voters.len())];
        let leader = wrong.0 as usize;
        outcome.vote.leader = wrong;
        if let Some(process) = &mut self.servers[server].process {
            process.is_misled = true;
        }
        // What kind of a learner it is, its configuration says.
        outcome.state = if leader == server { PeerState::Leading } else { PeerState::Following };
    }

    pub(crate) fn tell_seat(
        &mut self,
        server: usize,
        life: u32,
        tell: impl FnOnce(&mut Seat<Socket>, Moment, &mut Vec<Duty<Socket>>),
    ) {
        let (mut out, at) = (Vec::new(), self.at(server));
        let turn = self.rng.u64(0..=self.setup.turn_us_max) * US;
        let Some(process) = self.servers[server].process(life) else { return };
        tell(&mut process.seat, at, &mut out);
        let begins = !std::mem::replace(&mut process.is_in_turn, true);
        self.perform_all(server, life, out);
        match turn {
            _ if !begins => {}
            0 => self.on_turn_ends(server, life),
            _ => self.after(turn, Event::TurnEnds(server, life)),
        }
    }

    pub(crate) fn on_turn_ends(&mut self, server: usize, life: u32) {
        let (mut out, at) = (Vec::new(), self.at(server));
        let Some(process) = self.servers[server].process(life) else { return };
        process.is_in_turn = false;
        process.seat.end_turn(at, &mut out);
        self.perform_all(server, life, out);
    }

    fn perform_all(&mut self, server: usize, life: u32, duties: Vec<Duty<Socket>>) {
        let Some(process) = self.servers[server].process(life) else { return };
        // An observer publishes what its log gets in the same turn.
        for duty in &duties {
            if let Duty::Act(Action::Append(records)) = duty {
                for (zxid, payload) in payloads(records) {
                    self.checks.ephemerals.on_logged(zxid, self.now);
                    let end = std::mem::replace(&mut process.end, zxid);
                    self.checks.history.on_logged(end, zxid, &payload);
                    process.logged.insert(zxid, payload);
                }
            }
        }
        for duty in duties {
            self.perform(server, life, duty);
        }
        for conn in self.dropped.take() {
            self.hang_up_of(server, life, conn);
        }
    }

    fn hang_up_of(&mut self, server: usize, life: u32, conn: crate::network::ConnId) {
        let Some(process) = self.servers[server].process(life) else { return };
        process.early.remove(&conn);
        match process.uses.remove(&conn) {
            Some(Use::Leader(..)) => self.hang_up(conn, 0),
            Some(_) => self.hang_up(conn, 1),
            None => {}
        }
    }

    fn perform(&mut self, server: usize, life: u32, duty: Duty<Socket>) {
        match duty {
            Duty::Act(action) => self.act(server, life, action),
            Duty::Dial(attempt, leader) => self.call(server, life, attempt, leader, Port::Quorum),
            Duty::DialMaster(attempt, master) => self.call(server, life, attempt, master, Port::Observers),
            Duty::Begin(socket) => {
                let Some(process) = self.servers[server].process(life) else { return };
                if let Some(leader) = &mut process.leader {
                    leader.conn = socket.take();
                }
            }
            Duty::HangUp => self.leave_leader(server, life),
            Duty::LetIn(link, socket) => {
                let Some(conn) = socket.take() else { return };
                if let Some(count) = &mut self.servers[server].sent_away {
                    *count += 1;
                    self.hang_up(conn, 1);
                    return self.on_learner(server, life, link, LearnerEvent::Closed);
                }
                let Some(process) = self.servers[server].process(life) else { return };
                let (bytes, has_ended) = process.early.remove(&conn).unwrap_or_default();
                process.learners.insert(link, Input { conn, bytes });
                process.uses.insert(conn, Use::Learner(link));
                self.after(0, Event::LetIn { server, life, link, has_ended });
            }
            Duty::LetGo(link) => self.let_go(server, life, link),
            Duty::Avoid(pause) => self.post(server, life, Role::Election, Message::Avoid(pause)),
            Duty::Look(last_logged, reason) => {
                self.trace.note(self.now, format_args!("server {server} looks: {reason}"));
                let last_logged = self.setup.mischief.vote(last_logged);
                if let Some(process) = self.servers[server].process(life) {
                    process.patience = CONNECT_PATIENCE;
                }
                self.post(server, life, Role::Election, Message::Look(last_logged));
            }
            Duty::Designated(leader, zxid) => {
                self.trace.note(self.now, format_args!("server {server} goes on under {leader}, by {zxid}"));
                if let Some(process) = self.servers[server].process(life) {
                    process.patience = DESIGNATED_PATIENCE;
                }
                self.post(server, life, Role::Election, Message::Designated(leader, zxid));
            }
        }
    }

    fn call(&mut self, server: usize, life: u32, attempt: Attempt, leader: ServerId, port: Port) {
        self.leave_leader(server, life);
        let Some(process) = self.servers[server].process(life) else { return };
        let (stream, bytes) = (leader_stream(), Vec::new());
        process.leader = Some(LeaderLink { attempt, port, conn: None, stream, bytes });
        let patience = if port == Port::Observers { MASTER_PATIENCE } else { process.patience };
        let until = self.now + patience;
        self.dial_leader(server, life, attempt, leader.0 as usize, until);
    }

    fn let_go(&mut self, server: usize, life: u32, link: LinkId) {
        let Some(process) = self.servers[server].process(life) else { return };
        process.trees.remove(&link);
        if let Some(learner) = process.learners.remove(&link) {
            process.uses.remove(&learner.conn);
            self.hang_up(learner.conn, 1);
        }
    }

    fn leave_leader(&mut self, server: usize, life: u32) {
        let Some(process) = self.servers[server].process(life) else { return };
        if let Some(conn) = process.leader.take().and_then(|leader| leader.conn) {
            process.uses.remove(&conn);
            self.hang_up(conn, 0);
        }
    }

    fn act(&mut self, server: usize, life: u32, action: Action) {
        let is_at_work = |mischief| self.setup.mischief == mischief;
        match action {
            Action::ToLearner(_, FromLeader::Commit(zxid))
                if is_at_work(Mischief::LoseCommitOnReconnect) && self.loses_commit(server, life, zxid) => {}
            Action::ToLearner(link, packet) => {
                let Some(process) = self.servers[server].process(life) else { return };
                let Some(learner) = process.learners.get(&link) else { return };
                let (conn, mut bytes) = (learner.conn, Vec::new());
                packet.encode(&mut bytes);
                self.send_bytes(conn, 0, &bytes);
            }
            Action::SendTree(link) => {
                let Some(process) = self.servers[server].process(life) else { return };
                let (tree, learner) = (process.trees.remove(&link), process.learners.get(&link));
                if let (Some(tree), Some(learner)) = (tree, learner) {
                    let (conn, mut bytes, mut writer) =
                        (learner.conn, Vec::new(), SnapshotWriter::for_learner(tree));
                    while writer.fill(&mut bytes, 1 << 16) {}
                    self.send_bytes(conn, 0, &bytes);
                }
                self.post(server, life, Role::Commit, Message::TreeSent(link));
            }
            Action::TakeTree(link) => self.post(server, life, Role::Snapshotter, Message::Freeze(link)),
            Action::ReadLog { link, from, upto } => {
                let excerpt = self.servers[server].disk.excerpt(from, upto);
                self.post(server, life, Role::Commit, Message::LogRead(link, excerpt));
            }
            Action::CloseLearner(link, reason) => {
                self.trace.note(self.now, format_args!("server {server} closes {link:?}: {reason}"));
                let is_wrong = match &reason {
                    CloseReason::Unexpected { .. } => true,
                    CloseReason::LaterConfig { .. } => !self.setup.reconfigs,
                    _ => false,
                };
                if is_wrong {
                    self.blame(PROTOCOL, format!("server {server}: {reason}"));
                }
                self.let_go(server, life, link);
            }
            Action::ToLeader(packet) => {
                let verdict = self.checks.durability.on_to_leader(&self.servers[server], &packet);
                self.check(verdict);
                self.send_to_leader(server, life, &packet);
            }
            Action::SaveEpoch(file, epoch) => {
                let Some(process) = self.servers[server].process(life) else { return };
                if file == EpochFile::Current && process.seat.member().leader().is_some() {
                    self.checks.history.on_opening(epoch, process.end);
                }
                let delay = self.disk_delay(server);
                self.after(delay, Event::EpochWritten(server, life, file, epoch));
            }
            Action::Configure(configurations) => self.configure(server, life, configurations),
            Action::Append(records) => {
                let last = records.last();
                let Some(process) = self.servers[server].process(life) else { return };
                let cuts = process.cuts_asked;
                self.post(server, life, Role::Log, Message::ToLog(ToLog::Records(records)));
                if let (Mischief::AcknowledgeBeforeDurable, Some(last)) = (self.setup.mischief, last) {
                    self.post(server, life, Role::Commit, Message::Durable(last, cuts));
                }
            }
            Action::Truncate { zxid, rebuild } => {
                self.trace.note(self.now, format_args!("server {server} cuts off after {zxid}"));
                let Some(process) = self.servers[server].process(life) else { return };
                process.cuts_asked += 1;
                process.logged.split_off(&zxid.next());
                process.end = zxid;
                self.post(server, life, Role::Log, Message::ToLog(ToLog::Cut { zxid, rebuild }));
            }
            Action::SaveTree(tree) => {
                let zxid = tree.last_zxid();
                self.trace.note(self.now, format_args!("server {server} gets the tree of {zxid}"));
                let Some(process) = self.servers[server].process(life) else { return };
                process.cuts_asked += 1;
                // What the log had before it may be in no history.
                process.logged.clear();
                process.end = zxid;
                self.post(server, life, Role::Log, Message::ToLog(ToLog::Restart(tree.clone())));
                self.replace(server, life, tree);
            }
            Action::Replace(tree) => self.replace(server, life, tree),
            Action::Publish(batch) => self.publish(server, life, batch),
            Action::Serve => self.serve(server, life),
            Action::ServeReadOnly => self.tell_shards(server, life, |_| Message::Serve(Service::ReadOnly)),
            Action::EndReadOnly => self.tell_shards(server, life, |_| Message::Serve(Service::Nobody)),
            Action::AskOracle => {}
            Action::Down(reason) => {
                if let DownReason::OutOfOrder { .. }
                | DownReason::Unexpected { .. }
                | DownReason::Undecodable { .. }
                | DownReason::BadConfiguration { .. } = reason
                {
                    self.blame(PROTOCOL, format!("server {server}: {reason}"));
                }
                let Some(process) = self.servers[server].process(life) else { return };
                process.trees.clear();
                let learners: Vec<LinkId> = process.learners.keys().copied().collect();
                learners.into_iter().for_each(|link| self.let_go(server, life, link));
                self.leave_leader(server, life);
                self.tell_shards(server, life, |_| Message::Serve(Service::Nobody));
            }
        }
    }

    /// Other servers decide from now on. What is to be written is written in order.
    fn configure(&mut self, server: usize, life: u32, configurations: Configurations) {
        let voters =
            |membership: &Membership| -> Vec<i64> { membership.verifier().voters().map(|id| id.0).collect() };
        let (committed, last_seen) = (configurations.committed(), configurations.last_seen());
        self.trace.note(
            self.now,
            format_args!(
                "server {server} goes by {:x}, where {:?} vote, and has seen {:x}, where {:?} do",
                committed.version(),
                voters(committed),
                last_seen.version(),
                voters(last_seen)
            ),
        );
        let verdict = self.checks.memberships.on_configure(server, &configurations);
        self.check(verdict);
        self.post(server, life, Role::Election, Message::Configure(configurations.clone()));
        let (now, delay) = (self.now, self.disk_delay(server));
        let Some(process) = self.servers[server].process(life) else { return };
        process.configured_at = process.configured_at.max(now + delay);
        let wait = process.configured_at - now;
        self.after(wait, Event::ConfigurationsWritten(server, life, configurations));
    }

    pub(crate) fn on_configurations_written(
        &mut self,
        server: usize,
        life: u32,
        configurations: Configurations,
    ) {
        if self.servers[server].process(life).is_some() && !self.ends_without_room(server) {
            self.servers[server].disk.save_configurations(configurations);
            self.post(server, life, Role::Commit, Message::ConfigurationsSaved);
        }
    }

    fn loses_commit(&mut self, server: usize, life: u32, zxid: Zxid) -> bool {
        let Some(process) = self.servers[server].process(life) else { return false };
        // Those of the time before UPTODATE; a commit of the present goes to all at once.
        let member = process.seat.member();
        let is_old = member.leader().is_some_and(|leader| zxid.epoch() < leader.epoch());
        is_old && member.published() <= zxid
    }

    fn send_to_leader(&mut self, server: usize, life: u32, packet: &FromLearner) {
        let Some(process) = self.servers[server].process(life) else { return };
        if let Some(conn) = process.leader.as_ref().and_then(|leader| leader.conn) {
            let mut bytes = Vec::new();
            packet.encode(&mut bytes);
            self.send_bytes(conn, 1, &bytes);
        }
    }

    fn replace(&mut self, server: usize, life: u32, tree: Arc<ringkeeper_core::tree::DataTree>) {
        let Some(process) = self.servers[server].process(life) else { return };
        process.shown = tree.last_zxid();
        self.checks.read_only.on_found(tree.last_zxid());
        self.tell_shards(server, life, |_| Message::Replace(tree.clone()));
        self.post(server, life, Role::Snapshotter, Message::Replace(tree));
    }

    fn publish(&mut self, server: usize, life: u32, mut batch: CommitBatch) {
        let World { checks, servers, .. } = self;
        let verdict = checks.on_publish(servers, server, &batch);
        self.check(verdict);
        if self.setup.mischief == Mischief::KeepEphemeral {
            let steps = &batch.steps;
            let gone = steps.iter().position(crate::checks::ephemerals::is_deletion);
            let closes =
                |step: &Step| matches!(step, Step::Delta(ringkeeper_core::tree::Delta::CloseSession(_), _));
            if let Some(gone) = gone.filter(|gone| steps[*gone..].iter().any(closes)) {
                batch.steps.remove(gone);
            }
        }
        let Some(process) = self.servers[server].process(life) else { return };
        process.published += 1;
        let batch = Arc::new(batch);
        self.tell_shards(server, life, |_| Message::Commit(batch.clone()));
        self.post(server, life, Role::Snapshotter, Message::Commit(batch));
    }

    fn serve(&mut self, server: usize, life: u32) {
        let Some(process) = self.servers[server].process(life) else { return };
        let Some((state, epoch)) = process.seat.standing() else { return };
        self.trace.note(self.now, format_args!("server {server} serves as {state:?} in epoch {epoch}"));
        let verdict = match state {
            PeerState::Leading => self.checks.leaders.on_established(epoch, server),
            _ => Ok(()),
        };
        self.check(verdict);
        let verdict = self.checks.on_serve(&self.servers, server);
        self.check(verdict);
        if state == PeerState::Leading {
            self.checks.durability.on_established(self.servers[server].configurations().committed());
        }
        self.post(server, life, Role::Snapshotter, Message::Settle);
        self.post(server, life, Role::Election, Message::Epoch(epoch.into()));
        self.tell_shards(server, life, |_| Message::Serve(Service::Everybody));
    }

    fn tell_shards(&mut self, server: usize, life: u32, message: impl Fn(usize) -> Message) {
        let shards = self.servers[server].process(life).map_or(0, |process| process.shards.len());
        for shard in 0..shards {
            self.post(server, life, Role::Shard(shard), message(shard));
        }
    }

    fn disk_delay(&mut self, server: usize) -> u64 {
        let most = self.servers[server].write_us_max;
        self.rng.u64(most / 10..=most) * US
    }

    pub(crate) fn on_epoch_written(&mut self, server: usize, life: u32, file: EpochFile, epoch: u32) {
        if self.servers[server].process(life).is_none() || self.ends_without_room(server) {
            return;
        }
        if file == EpochFile::Current {
            let verdict = self.checks.durability.on_entered(&self.servers[server], epoch);
            self.check(verdict);
        }
        if self.setup.mischief != Mischief::ForgetEpochs {
            self.servers[server].disk.save_epoch(file, epoch);
        }
        self.post(server, life, Role::Commit, Message::EpochSaved(file, epoch));
    }

    /// Ends a process that cannot write what it must, as `fatal` does.
    fn ends_without_room(&mut self, server: usize) -> bool {
        let is_full = self.servers[server].is_full;
        if is_full {
            self.kill(server, false);
        }
        is_full
    }

    /// Has the log begin what is next, if it is idle.
    fn work_log(&mut self, server: usize, life: u32) {
        let nonce = self.rng.u64(..);
        let has_work = |process: &Process| process.log.busy.is_none() && !process.log.queue.is_empty();
        if !self.servers[server].process(life).is_some_and(|process| has_work(process))
            || self.ends_without_room(server)
        {
            return;
        }
        let target = &mut self.servers[server];
        let Some(process) = target.process.as_mut().filter(|process| process.life == life) else { return };
        let log = &mut process.log;
        log.busy = match log.queue.pop_front() {
            None => return,
            Some(ToLog::Records(mut batch)) => {
                while let Some(ToLog::Records(more)) = log.queue.front_mut()
                    && batch.has_room_for(more)
                {
                    batch.append(more);
                    log.queue.pop_front();
                }
                Some(Busy::Write(target.disk.begin(&mut log.writer, &batch, nonce)))
            }
            Some(ToLog::Cut { zxid, rebuild }) => Some(Busy::Cut { zxid, rebuild }),
            Some(ToLog::Restart(tree)) => Some(Busy::Restart(tree)),
        };
        let delay = self.disk_delay(server);
        self.after(delay, Event::LogDone(server, life));
    }

    /// The log has done what it was at.
    pub(crate) fn on_log_done(&mut self, server: usize, life: u32) {
        let nonce = self.rng.u64(..);
        let target = &mut self.servers[server];
        let options = target.options.pipeline.clone();
        let Some(process) = target.process.as_mut().filter(|process| process.life == life) else { return };
        let Some(busy) = process.log.busy.take() else { return };
        let message = match busy {
            Busy::Write(write) => {
                let last = target.disk.finish(write);
                Ok(Message::Durable(last, process.log.cuts))
            }
            Busy::Cut { .. } if self.setup.mischief == Mischief::SkipTruncate => {
                process.log.cuts += 1;
                Ok(Message::LogCut(None))
            }
            Busy::Cut { zxid, rebuild } => target.disk.cut(zxid, rebuild, &options, nonce).map(|cut| {
                process.log.cuts += 1;
                process.log.writer = cut.0;
                Message::LogCut(cut.1.map(Box::new))
            }),
            Busy::Restart(tree) => target.disk.restart(&tree, &options, nonce).map(|writer| {
                process.log.cuts += 1;
                process.log.writer = writer;
                Message::TreeSaved
            }),
        };
        match message {
            Ok(message) => self.post(server, life, Role::Commit, message),
            Err(text) => self.blame("a log can be cut off", format!("server {server}: {text}")),
        }
        self.work_log(server, life);
    }

    fn tell_snapshotter(&mut self, server: usize, life: u32, message: Message) {
        let Some(process) = self.servers[server].process(life) else { return };
        let snapshotter = &mut process.snapshotter;
        match message {
            Message::Commit(batch) => apply(&mut snapshotter.tree, &batch),
            Message::Replace(tree) => snapshotter.tree = (*tree).clone(),
            Message::Settle => snapshotter.is_settled = true,
            Message::Freeze(link) => {
                let frozen = snapshotter.tree.freeze();
                let zxid = frozen.zxid();
                process.trees.insert(link, frozen);
                self.post(server, life, Role::Commit, Message::TreeTaken(link, zxid));
            }
            _ => {}
        }
    }

    /// Begins to write a snapshot, if that may be.
    pub(crate) fn begin_snapshot(&mut self, server: usize) {
        let delay = self.disk_delay(server) * 5;
        let Some(process) = self.servers[server].process.as_mut() else { return };
        let (life, snapshotter) = (process.life, &mut process.snapshotter);
        if snapshotter.is_settled && snapshotter.writing.is_none() {
            snapshotter.writing = Some(snapshotter.tree.clone());
            self.after(delay, Event::SnapshotWritten(server, life));
        }
    }

    pub(crate) fn on_snapshot_written(&mut self, server: usize, life: u32) {
        let kept = self.rng.usize(0..3);
        let target = &mut self.servers[server];
        let Some(process) = target.process.as_mut().filter(|process| process.life == life) else { return };
        if target.is_full {
            process.snapshotter.writing = None;
            return;
        }
        let is_idle = process.log.busy.is_none();
        if let Some(tree) = process.snapshotter.writing.take_if(|_| is_idle) {
            // One that was begun before the state was replaced by an earlier one is left out.
            if tree.last_zxid() <= process.snapshotter.tree.last_zxid() {
                target.disk.add_snapshot(tree, &mut process.log.writer, kept);
            }
        } else {
            self.after(MS, Event::SnapshotWritten(server, life));
        }
    }

    /// Lets nothing more be written to a disk, or again what anybody likes.
    pub(crate) fn fill_disk(&mut self, server: usize, is_full: bool) {
        self.trace.note(self.now, format_args!("the disk of server {server} is full: {is_full}"));
        self.servers[server].is_full = is_full;
    }

    pub(crate) fn set_room(&mut self, server: usize, room: LogRoom) {
        if let Some(life) = self.servers[server].process.as_ref().map(|process| process.life) {
            self.post(server, life, Role::Commit, Message::LogRoom(room));
        }
    }
}

/// Applies a batch as every role with an index does that serves nobody.
fn apply(tree: &mut ringkeeper_core::tree::DataTree, batch: &CommitBatch) {
    for step in &batch.steps {
        match step {
            Step::Zxid(zxid) => tree.advance(*zxid),
            Step::Delta(delta, _) => drop(tree.apply(tree.last_zxid(), delta)),
            Step::Reply(_) | Step::Close(_) => {}
        }
    }
}

/// The records of a batch as they lie on disk.
fn payloads(batch: &RecordBatch) -> Vec<(Zxid, Payload)> {
    let (mut reader, mut records) = (Reader::new(batch.bytes()), Vec::new());
    while !reader.rest().is_empty() {
        let len = reader.int().expect("a length") as usize;
        let zxid = Zxid(reader.long().expect("a zxid"));
        records.push((zxid, reader.rest()[..len].into()));
        reader = Reader::new(&reader.rest()[len..]);
    }
    records
}
