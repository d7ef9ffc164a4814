use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::checks::Checks;
use super::clients::{Answered, Change, Client};
use super::disk::{Done, Write, records};
use super::server::Server;
use crate::config::Configurations;
use crate::durable::Durable;
use crate::flow::{CommitBatch, ConnId, ShardId, ShardTurn, Step};
use crate::format::snapshot::SnapshotWriter;
use crate::id::{ServerId, Zxid};
use crate::member::{Action, Member, Moment, ROLLOVER_AT};
use crate::ops::CONFIG_NODE;
use crate::testing::picture;
use crate::time::{Instant, WallTime};
use crate::zab::packet::{FromLearner, QuorumPacket, Split};
use crate::zab::{CloseReason, DownReason, EpochFile, Item, LeaderStream, LinkId};

/// What may go wrong.
#[derive(Clone, Copy)]
pub(super) struct Faults {
    pub(super) crashes: bool,
    pub(super) broken_links: bool,
    pub(super) bad_elections: bool,
    /// Clients change who the servers are.
    pub(super) reconfigs: bool,
    pub(super) rollover_at: u32,
}

impl Faults {
    pub(super) const NONE: Faults = Faults {
        crashes: false,
        broken_links: false,
        bad_elections: false,
        reconfigs: false,
        rollover_at: ROLLOVER_AT,
    };
    pub(super) const ALL: Faults =
        Faults { crashes: true, broken_links: true, bad_elections: true, ..Faults::NONE };
}

/// An ensemble, its network, its clients, and what comes when.
pub(super) struct World {
    rng: Rng,
    faults: Faults,
    now_us: u64,
    sequence: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    what: BTreeMap<u64, Event>,
    servers: Vec<Server>,
    clients: Vec<Client>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    next_conn: u64,
    /// Whom the last election chose.
    elected: Option<usize>,
    checks: Checks,
    trace: Vec<String>,
    is_loud: bool,
    sessions_lost: usize,
    /// The versions of the configurations that some server has activated.
    agreed: BTreeSet<i64>,
}

struct Link {
    learner: (usize, u64),
    leader: (usize, u64),
    /// When the last bytes arrive, to the leader and to the learner.
    arrives_us: [u64; 2],
    /// The leader is not to hear of its end soon.
    is_half_open: bool,
}

enum Event {
    Tick(usize),
    Disk(usize, u64),
    Epoch { server: usize, life: u64, file: EpochFile, epoch: u32 },
    Configured { server: usize, life: u64, configurations: Configurations },
    Bytes { link: LinkId, to_learner: bool, bytes: Vec<u8> },
    Closed { link: LinkId, to_learner: bool },
    Elect,
    Client(usize),
    Fault,
    Restart(usize),
    Follow { server: usize, life: u64, leader: usize },
    Designated { server: usize, life: u64, leader: usize },
    TreeTaken { server: usize, life: u64, link: LinkId },
}

impl World {
    pub(super) fn new(seed: u64, voters: usize, observers: usize, faults: Faults) -> World {
        let mut servers: Vec<Server> =
            (0..voters + observers).map(|id| Server::new(id, voters, observers, faults)).collect();
        servers.iter_mut().for_each(Server::start);
        let mut world = World {
            rng: Rng(seed),
            faults,
            now_us: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            what: BTreeMap::new(),
            servers,
            clients: (0..4).map(Client::new).collect(),
            links: BTreeMap::new(),
            next_link: 1,
            next_conn: 1,
            elected: None,
            checks: Checks::default(),
            trace: Vec::new(),
            sessions_lost: 0,
            agreed: BTreeSet::new(),
            is_loud: std::env::var_os("TRACE").is_some(),
        };
        (0..world.servers.len()).for_each(|server| world.after(1, Event::Tick(server)));
        (0..world.clients.len()).for_each(|client| world.after(1, Event::Client(client)));
        world.after(1, Event::Elect);
        world.after(50_000, Event::Fault);
        world
    }

    pub(super) fn run_faulty(&mut self) {
        self.run_until(6_000_000);
    }

    /// Ends all faults, and waits until every server serves and has what the leader has.
    pub(super) fn heal_and_settle(&mut self) {
        self.faults = Faults { rollover_at: self.faults.rollover_at, ..Faults::NONE };
        for server in 0..self.servers.len() {
            if self.servers[server].process.is_none() {
                self.after(1, Event::Restart(server));
            }
        }
        self.sessions_lost = self.clients.iter().map(|client| client.sessions_lost).sum();
        let before = self.checks.acknowledged.len();
        self.run_until(self.now_us + 4_000_000);
        assert!(self.checks.acknowledged.len() > before, "nothing goes on after the faults");
        self.clients.clear();
        self.run_until(self.now_us + 2_000_000);
    }

    pub(super) fn check_end(&self) {
        let mut pictures = Vec::new();
        for (id, server) in self.servers.iter().enumerate() {
            let process = server.process.as_ref().expect("all run");
            assert!(process.member.is_serving(), "server {id} does not serve");
            self.checks.check_all(&process.shard, &format!("server {id}"));
            assert_eq!(picture(&process.shard), picture(process.member.tree()), "server {id}'s shard");
            let configurations = process.member.configurations();
            assert!(!configurations.is_pending(), "server {id} does not know who decides");
            let shown = process.shard.get(CONFIG_NODE).and_then(|found| found.node.data());
            assert_eq!(shown, Some(configurations.committed().text().as_bytes()), "server {id}");
            // Each server notes for itself when it learned of the configuration.
            pictures.push(
                picture(&process.shard)
                    .into_iter()
                    .filter(|line| !line.contains(CONFIG_NODE))
                    .chain([configurations.committed().text()])
                    .collect::<Vec<_>>(),
            );
        }
        assert!(pictures.windows(2).all(|two| two[0] == two[1]), "the servers' trees differ");
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.checks.acknowledged.len()
    }

    pub(super) fn elections(&self) -> usize {
        self.checks.elections()
    }

    /// How many configurations were activated.
    pub(super) fn reconfigs(&self) -> usize {
        self.agreed.len()
    }

    /// How many sessions were lost before the faults ended.
    pub(super) fn sessions_lost(&self) -> usize {
        self.sessions_lost
    }

    pub(super) fn trace(self) -> Vec<String> {
        self.trace
    }

    fn run_until(&mut self, until_us: u64) {
        while let Some(Reverse((at_us, sequence))) = self.events.peek().copied() {
            if at_us > until_us {
                break;
            }
            self.events.pop();
            self.now_us = at_us;
            let event = self.what.remove(&sequence).expect("each event once");
            self.on_event(event);
        }
        self.now_us = until_us;
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Tick(server) => {
                self.after(20_000, Event::Tick(server));
                self.tell(server, |member, at, out| {
                    let turn =
                        ShardTurn { shard: ShardId(0), submitted: vec![], heard: vec![], as_of: at.now };
                    member.on_turn(turn, at, out);
                    member.on_tick(at, out);
                });
            }
            Event::Disk(server, life) => self.on_disk(server, life),
            Event::Epoch { server, life, file, epoch } => {
                if self.process(server, life).is_some() {
                    let epochs = &mut self.servers[server].disk.epochs;
                    match file {
                        EpochFile::Accepted => epochs.accepted = epoch,
                        EpochFile::Current => epochs.current = epoch,
                    }
                    self.tell(server, |member, at, out| member.on_epoch_saved(file, epoch, at, out));
                }
            }
            Event::Configured { server, life, configurations } => {
                if self.process(server, life).is_some() {
                    self.agreed.insert(configurations.committed().version());
                    self.servers[server].options.zab.configurations = configurations;
                    self.tell(server, |member, at, out| member.on_configurations_saved(at, out));
                }
            }
            Event::Bytes { link, to_learner, bytes } => self.on_bytes(link, to_learner, bytes),
            Event::Closed { link, to_learner } => self.on_closed(link, to_learner),
            Event::Elect => self.elect(),
            Event::Client(client) => self.on_client(client),
            Event::Fault => self.fault(),
            Event::Restart(server) => {
                if self.servers[server].process.is_none() {
                    self.note(format!("server {server} starts"));
                    self.servers[server].start();
                }
            }
            Event::Designated { server, life, leader } => self.designate(server, life, leader),
            Event::Follow { server, life, leader } => self.follow(server, life, leader),
            Event::TreeTaken { server, life, link } => {
                let Some(process) = self.process(server, life) else { return };
                let (tree, zxid) = (process.shard.clone(), process.last);
                process.taken.insert(link, tree);
                self.tell(server, |member, at, out| member.on_tree_taken(link, zxid, at, out));
            }
        }
    }

    fn on_disk(&mut self, server: usize, life: u64) {
        if self.process(server, life).is_none() {
            return;
        }
        let Some(done) = self.servers[server].disk.finish_one() else { return };
        match done {
            Done::Durable(zxid, cuts) => self.tell(server, |member, at, out| {
                member.on_durable(Durable::in_a_test(zxid), cuts, at, out);
            }),
            Done::Truncated(zxid, rebuild) => {
                let tree = rebuild.then(|| self.servers[server].rebuilt(zxid));
                self.tell(server, |member, at, out| member.on_truncated(tree, at, out));
            }
            Done::Tree => self.tell(server, |member, at, out| member.on_tree_saved(at, out)),
        }
        if !self.servers[server].disk.writes.is_empty() {
            let delay = self.rng.below(15_000);
            self.after(delay, Event::Disk(server, life));
        }
    }

    fn on_bytes(&mut self, id: LinkId, to_learner: bool, bytes: Vec<u8>) {
        let Some(link) = self.links.get(&id) else { return };
        let (server, life) = if to_learner { link.learner } else { link.leader };
        let Some(process) = self.process(server, life) else { return };
        if !to_learner {
            let mut input = process.inputs.remove(&id).unwrap_or_default();
            input.extend(bytes);
            let mut start = 0;
            while let Split::Whole(packet, len) =
                QuorumPacket::split(&input[start..], 4 << 20).expect("a packet")
            {
                let packet = FromLearner::decode(&packet).expect("what a learner sends");
                start += len;
                self.tell(server, |member, at, out| member.on_learner(id, packet, at, out));
            }
            input.drain(..start);
            if let Some(process) = self.process(server, life) {
                process.inputs.insert(id, input);
            }
            return;
        }
        let Some((of, mut stream, mut input)) = process.leader.take().filter(|(of, ..)| *of == id) else {
            return;
        };
        input.extend(bytes);
        loop {
            match stream.next(&input).expect("what a leader sends") {
                Item::Part { consumed, wanted } => {
                    input.drain(..consumed);
                    assert!(wanted > input.len());
                    break;
                }
                Item::Packet(packet, len) => {
                    input.drain(..len);
                    self.tell(server, |member, at, out| member.on_leader(packet, at, out));
                }
                Item::Tree(tree, len) => {
                    input.drain(..len);
                    self.tell(server, |member, at, out| member.on_leader_tree(*tree, at, out));
                }
            }
        }
        if let Some(process) = self.process(server, life).filter(|process| !process.member.is_looking()) {
            process.leader = Some((of, stream, input));
        }
    }

    fn on_closed(&mut self, id: LinkId, to_learner: bool) {
        let Some(link) = self.links.get(&id) else { return };
        let (server, life) = if to_learner { link.learner } else { link.leader };
        let Some(process) = self.process(server, life) else { return };
        if !to_learner {
            process.inputs.remove(&id);
            self.tell(server, |member, at, out| member.on_learner_closed(id, at, out));
        } else if process.leader.as_ref().is_some_and(|(of, ..)| *of == id) {
            self.tell(server, |member, at, out| member.on_leader_closed(at, out));
        }
    }

    /// Lets a quorum of those who look choose the best of them, or anybody where elections are bad; whoever
    /// looks follows whom the last election chose.
    fn elect(&mut self) {
        let delay = 100_000 + self.rng.below(100_000);
        self.after(delay, Event::Elect);
        let looking: Vec<usize> = (0..self.servers.len())
            .filter(|id| {
                self.servers[*id].process.as_ref().is_some_and(|process| process.member.is_looking())
            })
            .collect();
        self.gossip(&looking);
        let mut asked = looking.clone();
        self.rng.shuffle(&mut asked);
        let bad = self.faults.bad_elections && self.rng.below(4) == 0;
        // The fewest that may decide, in this order.
        let elected = (1..=asked.len()).find_map(|count| self.best_of(&asked[..count], bad));
        if let Some(elected) = elected {
            self.elected = Some(elected);
            self.note(format!("server {elected} is elected"));
            self.tell(elected, |member, at, out| member.lead(at, out));
        }
        let Some(leader) = self.elected else { return };
        for server in looking.into_iter().filter(|server| *server != leader) {
            let (life, delay) = (self.servers[server].lives, self.rng.below(30_000));
            self.after(delay, Event::Follow { server, life, leader });
        }
    }

    /// Whoever looks hears of the newest configuration that one of them goes by.
    fn gossip(&mut self, looking: &[usize]) {
        let of = |id: &usize| {
            let process = self.servers[*id].process.as_ref().expect("it looks");
            process.member.configurations().committed().clone()
        };
        let Some(newest) = looking.iter().map(of).max_by_key(|membership| membership.version()) else {
            return;
        };
        for server in looking {
            self.tell(*server, |member, at, out| member.on_configuration_heard(&newest, at, out));
        }
    }

    /// Who is elected if these vote, and are enough: the best of them, or where elections are bad the first.
    fn best_of(&self, asked: &[usize], bad: bool) -> Option<usize> {
        let member = |id: usize| &self.servers[id].process.as_ref().expect("it looks").member;
        let may_lead = |id: &usize| {
            let quorum = member(*id).configurations().quorum();
            let is_asked = |id: ServerId| asked.contains(&(id.0 as usize));
            quorum.is_voter(ServerId(*id as i64)) && quorum.contains_quorum(is_asked)
        };
        let mut candidates = asked.iter().copied().filter(may_lead);
        if bad { candidates.next() } else { candidates.max_by_key(|id| (member(*id).position(), *id)) }
    }

    /// A reconfig has determined who leads.
    fn designate(&mut self, server: usize, life: u64, leader: usize) {
        if self.process(server, life).is_none_or(|process| !process.member.is_looking()) {
            return;
        }
        if server == leader {
            self.elected = Some(leader);
            self.note(format!("server {leader} is designated"));
            self.tell(leader, |member, at, out| member.lead(at, out));
        } else {
            self.follow(server, life, leader);
        }
    }

    fn follow(&mut self, server: usize, life: u64, leader: usize) {
        let leads = self.servers[leader].process.as_ref().is_some_and(|p| p.member.leader().is_some());
        let id = LinkId(self.next_link);
        let Some(process) = self.process(server, life).filter(|p| leads && p.member.is_looking()) else {
            return;
        };
        process.leader_link = id;
        process.leader = Some((id, LeaderStream::new(Default::default(), 4 << 20), Vec::new()));
        self.next_link += 1;
        let ends = [(server, life), (leader, self.servers[leader].lives)];
        self.links
            .insert(id, Link { learner: ends[0], leader: ends[1], arrives_us: [0, 0], is_half_open: false });
        self.tell(leader, |member, at, out| member.on_accepted(id, at, out));
        self.tell(server, |member, at, out| member.follow(ServerId(leader as i64), at, out));
    }

    fn on_client(&mut self, number: usize) {
        if number >= self.clients.len() {
            return;
        }
        let delay = 1000 + self.rng.below(30_000);
        self.after(delay, Event::Client(number));
        let now = self.at().now;
        if self.clients[number].at.is_none() {
            let server = self.rng.below(self.servers.len() as u64) as usize;
            let serves = |process: &super::server::Process| process.member.is_serving();
            if self.servers[server].process.as_ref().is_some_and(serves) {
                let conn = ConnId(self.next_conn);
                self.next_conn += 1;
                let turn = self.clients[number].connect(server, conn, now);
                self.tell(server, |member, at, out| member.on_turn(turn, at, out));
            }
            return;
        }
        if self.rng.below(40) == 0 {
            return self.clients[number].disconnect();
        }
        if self.faults.reconfigs && self.rng.below(25) == 0 {
            let change = Change::random(&mut self.rng, self.servers.len() as u64);
            if let Some((server, turn)) = self.clients[number].reconfigure(&change, now) {
                self.note(format!("client {number} asks server {server} for {change:?}"));
                self.tell(server, |member, at, out| member.on_turn(turn, at, out));
            }
            return;
        }
        // One only syncs, so that nothing holds it up where nothing is committed.
        let syncs = number == 0 || self.rng.below(4) == 0;
        let acknowledged = self.checks.acknowledged.len();
        if let Some((server, turn)) = self.clients[number].ask(syncs, acknowledged, now) {
            self.tell(server, |member, at, out| member.on_turn(turn, at, out));
        } else if let Some(((server, _), heard)) =
            self.clients[number].at.zip(self.clients[number].heard(now))
        {
            let turn = ShardTurn { shard: ShardId(0), submitted: vec![], heard: vec![heard], as_of: now };
            self.tell(server, |member, at, out| member.on_turn(turn, at, out));
        }
    }

    fn fault(&mut self) {
        let delay = 50_000 + self.rng.below(400_000);
        self.after(delay, Event::Fault);
        let server = self.rng.below(self.servers.len() as u64) as usize;
        match self.rng.below(5) {
            0 if self.faults.crashes => self.crash(server),
            1 if self.faults.broken_links => {
                let id = LinkId(self.next_link.saturating_sub(1 + self.rng.below(5)));
                self.note(format!("link {} breaks", id.0));
                self.close(id);
            }
            2 => self.snapshot(server),
            3 if self.faults.broken_links => self.isolate_leader(),
            _ => {}
        }
    }

    fn crash(&mut self, server: usize) {
        if self.servers[server].process.take().is_none() {
            return;
        }
        self.note(format!("server {server} crashes"));
        let torn = self.rng.below(10) as usize;
        self.servers[server].disk.crash(torn);
        self.drop_clients(server);
        let is_end = |link: &Link| link.learner.0 == server || link.leader.0 == server;
        let ends: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| is_end(link)).map(|(id, _)| *id).collect();
        ends.into_iter().for_each(|id| self.close(id));
        let delay = 20_000 + self.rng.below(800_000);
        self.after(delay, Event::Restart(server));
    }

    /// Writes a snapshot of what is published, and forgets part of the log before it.
    fn snapshot(&mut self, server: usize) {
        let keep = self.rng.below(30) as usize;
        let Server { disk, process, .. } = &mut self.servers[server];
        let Some(process) = process.as_ref().filter(|process| process.member.is_serving()) else { return };
        if !disk.writes.iter().any(|write| matches!(write, Write::Tree(_) | Write::Truncate { .. })) {
            let zxid = process.last.min(process.member.published());
            assert_eq!(zxid, process.last, "a shard has what is published");
            disk.snapshot = Some(process.shard.clone());
            let covered = disk.log.partition_point(|logged| logged.zxid <= zxid);
            disk.log.drain(..covered.saturating_sub(keep));
        }
    }

    /// The followers leave a leader that does not hear of it before its own time runs out.
    fn isolate_leader(&mut self) {
        let Some(leader) = self.elected else { return };
        self.note(format!("server {leader} is isolated"));
        let led: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.leader.0 == leader).map(|(id, _)| *id).collect();
        for id in led {
            self.links.get_mut(&id).into_iter().for_each(|link| link.is_half_open = true);
            self.close(id);
        }
    }

    /// Each end learns of it in its own time: one may take its peer to be there for long.
    fn close(&mut self, id: LinkId) {
        for to_learner in [true, false] {
            let delay = self.rng.below(20_000);
            let is_half_open = self.links.get(&id).is_some_and(|link| link.is_half_open && !to_learner);
            let is_late = is_half_open || (self.faults.broken_links && self.rng.below(3) == 0);
            let late = if is_late { 700_000 } else { 0 };
            self.after(delay + late, Event::Closed { link: id, to_learner });
        }
    }

    fn tell(&mut self, server: usize, tell: impl FnOnce(&mut Member, Moment, &mut Vec<Action>)) {
        let at = self.at();
        let Some(process) = &mut self.servers[server].process else { return };
        let actions = process.tell(at, tell);
        for action in actions {
            self.perform(server, action);
        }
    }

    fn perform(&mut self, server: usize, action: Action) {
        let life = self.servers[server].lives;
        let at = self.at();
        let Server { process, disk, .. } = &mut self.servers[server];
        let Some(process) = process else { return };
        match action {
            Action::ToLearner(link, packet) => {
                let mut bytes = Vec::new();
                packet.encode(&mut bytes);
                self.send(link, true, bytes);
            }
            Action::SendTree(link) => {
                let tree = process.taken.remove(&link).expect("it was taken");
                let (mut bytes, mut writer) = (Vec::new(), SnapshotWriter::for_learner(tree.freeze()));
                while writer.fill(&mut bytes, 1 << 16) {}
                let half = bytes.len() / 2;
                self.send(link, true, bytes[..half].to_vec());
                self.send(link, true, bytes[half..].to_vec());
                self.tell(server, |member, at, out| member.on_tree_sent(link, at, out));
            }
            Action::TakeTree(link) => {
                let delay = self.rng.below(30_000);
                self.after(delay, Event::TreeTaken { server, life, link });
            }
            Action::ReadLog { link, from, .. } => {
                let excerpt = disk.excerpt(from);
                self.tell(server, |member, at, out| member.on_log_read(link, excerpt, at, out));
            }
            Action::CloseLearner(link, reason) => {
                let blames_a_peer =
                    matches!(reason, CloseReason::Unexpected { .. } | CloseReason::Malformed(_));
                assert!(!blames_a_peer, "server {server}: {reason}");
                self.note(format!("server {server} closes link {}: {reason}", link.0));
                let delay = self.rng.below(20_000);
                self.after(delay, Event::Closed { link, to_learner: true });
            }
            Action::ToLeader(packet) => {
                if let FromLearner::Ack(zxid) = packet
                    && zxid.counter() != 0
                {
                    let durable = disk.durable();
                    assert!(zxid <= durable, "server {server} acknowledges {zxid}, its disk has {durable}");
                }
                if let FromLearner::Ack(zxid) = packet
                    && zxid.counter() == 0
                {
                    assert_eq!(disk.epochs.current, zxid.epoch(), "server {server} has entered the epoch");
                    assert!(
                        !disk.writes.iter().any(|write| write.is_before(zxid)),
                        "server {server} has it all"
                    );
                }
                if let FromLearner::AckEpoch { .. } = packet {
                    let accepted = process.member.learner().map(|learner| learner.epoch());
                    assert_eq!(Some(disk.epochs.accepted), accepted, "server {server} has promised on disk");
                }
                let link = process.leader_link;
                let mut bytes = Vec::new();
                packet.encode(&mut bytes);
                self.send(link, false, bytes);
            }
            Action::SaveEpoch(file, epoch) => {
                let delay = self.rng.below(15_000);
                self.after(delay, Event::Epoch { server, life, file, epoch });
            }
            Action::Configure(configurations) => {
                let delay = self.rng.below(15_000);
                self.after(delay, Event::Configured { server, life, configurations });
            }
            Action::Append(batch) => self.write(server, Write::Append(records(batch.bytes()))),
            Action::Truncate { zxid, rebuild } => {
                self.note(format!("server {server} truncates to {zxid}, {rebuild}"));
                self.write(server, Write::Truncate { zxid, rebuild });
            }
            Action::SaveTree(tree) => {
                (process.shard, process.last) = ((*tree).clone(), tree.last_zxid());
                self.note(format!("server {server} gets the tree of {}", tree.last_zxid()));
                self.write(server, Write::Tree(tree));
            }
            Action::Replace(tree) => {
                (process.shard, process.last) = ((*tree).clone(), tree.last_zxid());
            }
            Action::Publish(batch) => self.publish(server, &batch),
            Action::ServeReadOnly | Action::EndReadOnly => unreachable!("it is not asked to"),
            Action::Serve => {
                let epoch = process.member.leader().map(|leader| leader.epoch());
                epoch.into_iter().for_each(|epoch| self.checks.on_established(epoch, server));
                self.note(format!("server {server} serves, {epoch:?}"));
            }
            Action::Down(reason) => {
                let blames_a_peer = matches!(
                    reason,
                    DownReason::OutOfOrder { .. }
                        | DownReason::Unexpected { .. }
                        | DownReason::Undecodable { .. }
                        | DownReason::CannotTruncate { .. }
                        | DownReason::BadConfiguration { .. }
                );
                assert!(!blames_a_peer, "server {server}: {reason}");
                (process.leader, process.inputs) = (None, Default::default());
                self.note(format!("server {server} is down at {}: {reason}", at.now.ms()));
                self.drop_clients(server);
                let is_end = |link: &Link| link.learner == (server, life) || link.leader == (server, life);
                let ends: Vec<LinkId> =
                    self.links.iter().filter(|(_, link)| is_end(link)).map(|(id, _)| *id).collect();
                ends.into_iter().for_each(|id| self.close(id));
                if let DownReason::Reconfigured { leader: Some(leader), .. } = reason {
                    let (delay, leader) = (self.rng.below(20_000), leader.0 as usize);
                    self.after(delay, Event::Designated { server, life, leader });
                }
            }
        }
    }

    fn publish(&mut self, server: usize, batch: &CommitBatch) {
        let Some(process) = &mut self.servers[server].process else { return };
        process.last = self.checks.on_publish(server, batch, process.last);
        let mut current = Zxid::ZERO;
        for step in &batch.steps {
            match step {
                Step::Zxid(zxid) => {
                    current = *zxid;
                    process.shard.advance(current);
                }
                Step::Delta(delta) => {
                    process.shard.apply(current, delta);
                }
                Step::Close(origin) => {
                    let here = |client: &&mut Client| client.at == Some((server, origin.conn));
                    self.clients.iter_mut().find(here).into_iter().for_each(Client::disconnect);
                }
                Step::Reply(reply) => {
                    let here = |client: &&mut Client| client.at == Some((server, reply.to.conn));
                    let Some(client) = self.clients.iter_mut().find(here) else { continue };
                    match client.on_reply(reply) {
                        Answered::Nothing => {}
                        Answered::Created(path) => self.checks.acknowledged.push(path),
                        Answered::Synced(count) => {
                            self.checks.check_fresh(&process.shard, count);
                        }
                    }
                }
            }
        }
    }

    fn write(&mut self, server: usize, write: Write) {
        let Server { disk, lives, .. } = &mut self.servers[server];
        disk.writes.push_back(write);
        if disk.writes.len() == 1 {
            let (life, delay) = (*lives, self.rng.below(15_000));
            self.after(delay, Event::Disk(server, life));
        }
    }

    fn send(&mut self, id: LinkId, to_learner: bool, bytes: Vec<u8>) {
        let delay = 200 + self.rng.below(if self.rng.0.is_multiple_of(8) { 20_000 } else { 2000 });
        let Some(link) = self.links.get_mut(&id) else { return };
        let arrives_us = &mut link.arrives_us[usize::from(to_learner)];
        *arrives_us = (*arrives_us).max(self.now_us + delay) + 1;
        let delay = *arrives_us - self.now_us;
        self.after(delay, Event::Bytes { link: id, to_learner, bytes });
    }

    fn drop_clients(&mut self, server: usize) {
        let there = |client: &&mut Client| client.at.is_some_and(|(at, _)| at == server);
        self.clients.iter_mut().filter(there).for_each(Client::disconnect);
    }

    fn process(&mut self, server: usize, life: u64) -> Option<&mut super::server::Process> {
        let server = &mut self.servers[server];
        server.process.as_mut().filter(|_| server.lives == life)
    }

    fn at(&self) -> Moment {
        Moment {
            now: Instant(self.now_us * 1000),
            wall: WallTime(1_700_000_000_000 + (self.now_us / 1000) as i64),
        }
    }

    fn after(&mut self, delay_us: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now_us + delay_us, self.sequence)));
        self.what.insert(self.sequence, event);
    }

    fn note(&mut self, text: String) {
        if self.is_loud {
            println!("{:8} {text}", self.now_us);
        }
        self.trace.push(format!("{} {text}", self.now_us));
    }
}

/// SplitMix64.
pub(super) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn shuffle(&mut self, items: &mut [usize]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}
