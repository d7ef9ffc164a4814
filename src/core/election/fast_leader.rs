use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::notification::{Notification, VERSION};
use super::vote::{Ballot, PeerState, Vote};
use crate::config::{Configurations, ElectionTiming, Membership, Part};
use crate::id::{ServerId, Zxid};
use crate::quorum::JointQuorum;
use crate::time::Instant;

/// Fast leader election, decided without I/O (election §4).
///
/// ```text
///            better vote or newer round: adopt it, tell everyone
///              .----.
///              v    |
///  start --> Looking ---- quorum agrees ---> settling -- 200 ms, or all who are left agree -> Decided
///              ^ ^                               |                                            |
///              | '----------- better vote -------'                                            |
///              '---------------------- look(), when the leader or the followers are lost -----'
/// ```
///
/// Besides, what followers and a leader say of an election that is over decides at once, when they are a
/// quorum and the leader itself says that it leads.
///
/// Votes are counted as Java counts them, with four exceptions: nobody waits for a better vote when all
/// voters have voted for the same but those whose connection has ended, as a killed leader's does; what
/// followers and leaders say counts while settling as well, and if they are a quorum of the committed
/// configuration, whatever this server knows to be proposed; and a server without a vote only follows what
/// others have decided. Besides, who votes for less than this server in the same round is told so at once,
/// where Java leaves that to the next notification, 200 ms later.
///
/// Of two voters, one may go on alone if an oracle lets it ([`Electorate::has_oracle`]): it is asked when the other's vote
/// is all that is missing. Where it does not, it has let the other one, who is followed when it says that it leads.
///
/// A leader that does not take this server is [avoided](Election::avoid) for a while: others keep saying that it
/// leads, and would send this server back to it at once, again and again.
#[derive(Debug)]
pub struct Election {
    electorate: Electorate,
    timing: ElectionTiming,
    last_logged: LastLogged,
    round: i64,
    /// Whose connection has ended, and who has not come back since.
    gone: BTreeSet<ServerId>,
    avoided: Option<Avoided>,
    /// Whether the oracle was asked, and has not answered yet.
    asks_oracle: bool,
    phase: Phase,
}

/// A leader that is not followed before this, on the word of others that it leads.
#[derive(Clone, Copy, Debug)]
struct Avoided {
    leader: ServerId,
    until: Instant,
}

/// Who takes part in an election.
#[derive(Clone, Debug)]
pub struct Electorate {
    /// This server.
    pub me: ServerId,
    /// Whose votes count.
    pub quorum: JointQuorum,
    /// The committed configuration as text, which every notification carries.
    pub config: Vec<u8>,
    /// Whether this server only follows by its configuration. One that is not in it is no observer.
    pub observes: bool,
    /// Whether a newer configuration that another server tells takes the place of this one.
    pub adopts: bool,
    /// Whether there is somebody to ask if one of two voters may go on alone (`oraclePath`).
    pub has_oracle: bool,
}

impl Electorate {
    /// The electorate by these configurations.
    pub fn of(me: ServerId, configurations: &Configurations, adopts: bool) -> Electorate {
        let committed = configurations.committed();
        Electorate {
            me,
            quorum: configurations.quorum(),
            config: committed.text().into_bytes(),
            observes: committed.part(me) == Part::Observer,
            adopts,
            has_oracle: false,
        }
    }

    /// The same with an oracle, or without one.
    pub fn with_oracle(self, has_oracle: bool) -> Electorate {
        Electorate { has_oracle, ..self }
    }
}

/// How much history a server has: what its vote for itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastLogged {
    /// `currentEpoch`, the epoch of the leader that it followed last.
    pub epoch: i64,
    /// The last transaction in its log; [`Zxid::UNKNOWN`] if its database must not be trusted (election §3.2).
    pub zxid: Zxid,
}

/// How an election ended for this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What to be now: anything but looking.
    pub state: PeerState,
    /// The leader, and what was known of its history.
    pub vote: Vote,
    /// The round in which it was elected.
    pub round: i64,
}

/// What the election wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionAction {
    /// Tell a server. A newer message for the same server replaces one that has not left yet.
    Send {
        /// Whom.
        to: ServerId,
        /// What.
        notification: Notification,
    },
    /// Another server goes by a newer configuration, which is to be adopted.
    Adopt(Membership),
    /// Ask the oracle whether this server may go on without the other one that votes, and say
    /// [`Election::on_oracle`].
    AskOracle,
    /// The election is over.
    Decided(Outcome),
}

#[derive(Debug)]
enum Phase {
    Looking(Looking),
    Decided(Outcome),
}

#[derive(Debug)]
struct Looking {
    proposal: Vote,
    /// What was said in this round, by voter.
    received: BTreeMap<ServerId, Ballot>,
    /// What those said who are not looking, in whatever round.
    outside: BTreeMap<ServerId, Ballot>,
    interval: Duration,
    next_notification: Instant,
    /// When the proposal, on which a quorum agrees, is final.
    settled_at: Option<Instant>,
    /// Whether the oracle has said last that this server may go on alone.
    is_granted: bool,
}

impl Election {
    /// An election in which this server looks for a leader from the start.
    pub fn start(
        electorate: Electorate,
        timing: ElectionTiming,
        last_logged: LastLogged,
        now: Instant,
        out: &mut Vec<ElectionAction>,
    ) -> Election {
        let phase = Phase::Looking(Looking::new(Vote::OBSERVER, now, &timing));
        let (gone, avoided) = (BTreeSet::new(), None);
        let mut election =
            Election { electorate, timing, last_logged, round: 0, gone, avoided, asks_oracle: false, phase };
        election.look(last_logged, now, out);
        election
    }

    /// Looks for a leader anew, in the next round.
    pub fn look(&mut self, last_logged: LastLogged, now: Instant, out: &mut Vec<ElectionAction>) {
        self.last_logged = last_logged;
        self.round += 1;
        self.phase = Phase::Looking(Looking::new(self.initial_vote(), now, &self.timing));
        self.broadcast(now, out);
        self.count(now, out);
    }

    /// Other servers decide from now on. Who is looking for a leader starts anew, unless they are the same; who has one
    /// tells so by the role that it has now.
    pub fn reconfigure(&mut self, electorate: Electorate, now: Instant, out: &mut Vec<ElectionAction>) {
        let votes_as_before = self.electorate.quorum.decides_like(&electorate.quorum)
            && self.electorate.observes == electorate.observes;
        self.electorate = electorate;
        let state = self.state_under(self.current_vote().leader);
        if let Phase::Decided(outcome) = &mut self.phase {
            outcome.state = state; // What an observer says of its leader counts for nothing.
        } else if !votes_as_before {
            self.look(self.last_logged, now, out);
        }
    }

    /// A reconfig has determined who leads from here on: no election is needed (election §4.6).
    pub fn designate(&mut self, leader: ServerId, zxid: Zxid, out: &mut Vec<ElectionAction>) {
        self.round = NO_ROUND;
        self.decide(Vote { epoch: UNKNOWN_EPOCH, zxid, leader }, out);
    }

    /// The leader that was elected last did not take this server. When it [looks](Election::look) now, it asks for
    /// that leader only after so long, unless a quorum of servers that look as well elects it anew.
    pub fn avoid(&mut self, pause: Duration, now: Instant) {
        if let Phase::Decided(outcome) = &self.phase {
            self.avoided = Some(Avoided { leader: outcome.vote.leader, until: now + pause });
        }
    }

    /// The epoch that this server leads or follows is established: what it says of its leader carries it
    /// from now on (election §4.6).
    pub fn on_epoch(&mut self, epoch: i64) {
        if let Phase::Decided(outcome) = &mut self.phase {
            outcome.vote.epoch = epoch;
        }
    }

    /// Another server's message arrived.
    pub fn on_notification(
        &mut self,
        from: ServerId,
        message: &Notification,
        now: Instant,
        out: &mut Vec<ElectionAction>,
    ) {
        let is_looking = message.state == PeerState::Looking;
        if self.state() == PeerState::Looking
            && self.electorate.adopts
            && let Some(newer) = self.newer_configuration(message)
        {
            out.push(ElectionAction::Adopt(newer));
        }
        if !self.electorate.quorum.is_voter(from) {
            // Observers, and who is not in the configuration yet, ask to learn the leader.
            if is_looking {
                self.answer(from, self.round, out);
            }
            return;
        }
        let round = match &self.phase {
            Phase::Decided(outcome) => {
                if is_looking {
                    self.answer(from, outcome.round, out);
                }
                return;
            }
            Phase::Looking(_) => self.round,
        };
        if is_looking && self.votes() && self.is_behind(message, round) {
            self.answer(from, round, out);
        }
        if !self.electorate.quorum.is_voter(message.vote.leader) {
            return; // Nobody may lead whom nobody may vote for: normal while configurations differ.
        }
        match message.state {
            PeerState::Looking => self.on_ballot(from, message, now, out),
            // Once it is avoided no more, all are asked anew.
            PeerState::Following | PeerState::Leading if self.avoids(message.vote.leader) => {}
            PeerState::Following | PeerState::Leading => self.on_verdict(from, message, out),
            PeerState::Observing => {}
        }
    }

    /// There is a fresh connection to a server, which may have missed what was said before. Something is said in any
    /// case: who need not be told by SASL who this server is waits for that, to see that it is not.
    pub fn on_connected(&mut self, peer: ServerId, out: &mut Vec<ElectionAction>) {
        self.gone.remove(&peer);
        let round = match &self.phase {
            Phase::Decided(outcome) => outcome.round,
            Phase::Looking(_) => self.round,
        };
        self.answer(peer, round, out);
    }

    /// The connection to a server has broken, and with it what was on the way.
    pub fn on_disconnected(&mut self, peer: ServerId, now: Instant, out: &mut Vec<ElectionAction>) {
        self.gone.insert(peer);
        self.tell_again(peer, out);
        self.count(now, out);
    }

    /// Time has passed; to be called at [`Election::next_timeout`], and harmless at other times.
    pub fn on_timeout(&mut self, now: Instant, out: &mut Vec<ElectionAction>) {
        let Phase::Looking(looking) = &mut self.phase else { return };
        if self.avoided.is_some_and(|avoided| avoided.until <= now) {
            self.avoided = None;
            return self.broadcast(now, out);
        }
        if looking.settled_at.is_some_and(|at| at <= now) {
            let proposal = looking.proposal;
            self.decide(proposal, out);
        } else if looking.next_notification <= now {
            looking.interval = (looking.interval * 2).min(self.timing.max_notification);
            self.broadcast(now, out);
            self.count(now, out); // The oracle may have changed its mind.
        }
    }

    /// The answer to [`ElectionAction::AskOracle`].
    pub fn on_oracle(&mut self, grants: bool, now: Instant, out: &mut Vec<ElectionAction>) {
        self.asks_oracle = false;
        let Phase::Looking(looking) = &mut self.phase else { return };
        looking.is_granted = grants;
        let leads = |(from, said): (&ServerId, &Ballot)| {
            (said.state == PeerState::Leading && said.vote.leader == *from).then_some(*said)
        };
        match looking.outside.iter().find_map(leads).filter(|said| !self.avoids(said.vote.leader)) {
            // The grant is the other's, who leads by it. Who has no vote has none to lead by either.
            Some(said) if !grants || !self.votes() => {
                self.round = said.round;
                self.decide(said.vote, out);
            }
            _ => {
                self.tally(now, out);
            }
        }
    }

    /// When something is to be done if nothing happens before; `None` if nothing is.
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Looking(looking) => {
                let avoided_until = self.avoided.map(|avoided| avoided.until);
                let others = looking.settled_at.into_iter().chain(avoided_until);
                Some(others.fold(looking.next_notification, Instant::min))
            }
            Phase::Decided(_) => None,
        }
    }

    /// What this server is doing.
    pub fn state(&self) -> PeerState {
        match &self.phase {
            Phase::Looking(_) => PeerState::Looking,
            Phase::Decided(outcome) => outcome.state,
        }
    }

    /// The vote that this server tells others: its proposal, or the leader it follows.
    pub fn current_vote(&self) -> Vote {
        match &self.phase {
            Phase::Looking(looking) => looking.proposal,
            Phase::Decided(outcome) => outcome.vote,
        }
    }

    /// The round of this server's last election.
    pub fn round(&self) -> i64 {
        self.round
    }

    fn on_ballot(
        &mut self,
        from: ServerId,
        message: &Notification,
        now: Instant,
        out: &mut Vec<ElectionAction>,
    ) {
        let untrusted = self.last_logged.zxid == Zxid::UNKNOWN || message.vote.zxid == Zxid::UNKNOWN;
        if untrusted {
            return;
        }
        if !self.votes() {
            return self.second(message, now, out);
        }
        let initial = self.initial_vote();
        let is_better = self.is_better(message.vote, self.current_vote());
        let is_joined = self.joins(message.round);
        let Phase::Looking(looking) = &mut self.phase else { return };
        let is_behind = message.round < self.round && !is_joined;
        if is_behind || (is_joined && looking.settled_at.is_some() && !is_better) {
            return; // Who is behind has been answered; who is ahead joins what is being settled.
        }
        if is_joined {
            self.round = message.round;
            looking.received.clear();
            let adopts = self.is_better(message.vote, initial);
            self.propose(if adopts { message.vote } else { initial }, now, out);
        } else if is_better {
            self.propose(message.vote, now, out);
        }
        if let Phase::Looking(looking) = &mut self.phase {
            looking.received.insert(from, ballot(message, false));
        }
        self.count(now, out);
    }

    /// Who votes may know of a proposed configuration that this server does not know of yet, in which it votes too: it
    /// says for whom it would. To others that is a question, as all that it says.
    fn second(&mut self, message: &Notification, now: Instant, out: &mut Vec<ElectionAction>) {
        let is_better = message.round == self.round && self.is_better(message.vote, self.current_vote());
        if self.electorate.adopts && (self.joins(message.round) || is_better) {
            self.round = message.round;
            self.propose(message.vote, now, out);
        }
    }

    /// Whether somebody else's round becomes this server's. A later one does; who proposes nobody takes any, as nobody
    /// else would join its own: to others, who proposes nobody says nothing.
    fn joins(&self, round: i64) -> bool {
        round > self.round || (round < self.round && self.proposes_nobody())
    }

    fn proposes_nobody(&self) -> bool {
        !self.electorate.quorum.is_voter(self.current_vote().leader)
    }

    /// What a follower or leader says.
    fn on_verdict(&mut self, from: ServerId, message: &Notification, out: &mut Vec<ElectionAction>) {
        let is_of_this_round = message.round == self.round;
        let Phase::Looking(looking) = &mut self.phase else { return };
        let said = ballot(message, message.version > 0);
        looking.outside.insert(from, said);
        if is_of_this_round {
            looking.received.insert(from, Ballot { versioned: false, ..said });
        }
        let Phase::Looking(looking) = &self.phase else { return };
        let in_this_round = is_of_this_round && self.has_elected(&looking.received, &said);
        if in_this_round || self.has_elected(&looking.outside, &said) {
            self.round = message.round;
            self.decide(message.vote, out);
        } else if message.state == PeerState::Leading {
            self.ask_oracle(message.vote.leader, out);
        }
    }

    /// Whether a quorum says the same as `said`, and the leader agrees to lead.
    ///
    /// To follow a quorum of the committed configuration is enough, and may be all there is: a proposal that they have
    /// never heard of needs this server, which it keeps from following, for a quorum.
    fn has_elected(&self, ballots: &BTreeMap<ServerId, Ballot>, said: &Ballot) -> bool {
        let (leader, quorum) = (said.vote.leader, &self.electorate.quorum);
        let says_so = |id| ballots.get(&id).is_some_and(|ballot| ballot.agrees_with(said));
        match leader == self.electorate.me {
            true => self.round == said.round && quorum.contains_quorum(says_so),
            false => {
                let leads = ballots.get(&leader).is_some_and(|ballot| ballot.state == PeerState::Leading);
                leads && quorum.committed().contains_quorum(says_so)
            }
        }
    }

    /// Looks whether the proposal has a quorum, and otherwise asks the oracle if this server's vote is enough.
    fn count(&mut self, now: Instant, out: &mut Vec<ElectionAction>) {
        if !self.tally(now, out) && self.current_vote().leader == self.electorate.me {
            self.ask_oracle(self.electorate.me, out);
        }
    }

    /// Whether the proposal has a quorum of votes, and how long to wait for a better one: then, and if the oracle lets
    /// this server go on alone.
    fn tally(&mut self, now: Instant, out: &mut Vec<ElectionAction>) -> bool {
        // Of an untrusted server not even its own vote counts, in an ensemble of one.
        if self.proposes_nobody() || self.last_logged.zxid == Zxid::UNKNOWN {
            return true;
        }
        let Phase::Looking(looking) = &mut self.phase else { return true };
        let (vote, round) = (looking.proposal, self.round);
        let mine = Ballot { vote, round, state: PeerState::Looking, versioned: false };
        let agrees = |id: ServerId| looking.received.get(&id).is_some_and(|ballot| ballot.agrees_with(&mine));
        // A leader that has just gone may be back in a moment, but is not to be followed in haste.
        let has_left = |id: ServerId| self.gone.contains(&id) && !self.gone.contains(&vote.leader);
        let is_quorum = self.electorate.quorum.contains_quorum(agrees);
        let is_granted = looking.is_granted
            && vote.leader == self.electorate.me
            && self.electorate.quorum.contains_quorum_by_oracle(agrees);
        if is_quorum && self.electorate.quorum.voters().into_iter().all(|id| agrees(id) || has_left(id)) {
            // No voter is left who could know of a better vote.
            self.decide(vote, out);
        } else if is_quorum || is_granted {
            looking.settled_at.get_or_insert(now + self.timing.finalize_wait);
        } else {
            looking.settled_at = None;
        }
        is_quorum
    }

    /// Asks the oracle, if one server of two may be enough to lead.
    fn ask_oracle(&mut self, leader: ServerId, out: &mut Vec<ElectionAction>) {
        let is_one_of_two = self.electorate.quorum.contains_quorum_by_oracle(|id| id == leader);
        if self.electorate.has_oracle && is_one_of_two && !self.asks_oracle {
            self.asks_oracle = true;
            out.push(ElectionAction::AskOracle);
        }
    }

    fn propose(&mut self, vote: Vote, now: Instant, out: &mut Vec<ElectionAction>) {
        if let Phase::Looking(looking) = &mut self.phase {
            looking.proposal = vote;
            looking.settled_at = None;
        }
        self.broadcast(now, out);
    }

    /// Tells the proposal to all voters, this server among them.
    fn broadcast(&mut self, now: Instant, out: &mut Vec<ElectionAction>) {
        let notification = self.notification(self.round);
        let (me, votes) = (self.electorate.me, self.votes());
        let Phase::Looking(looking) = &mut self.phase else { return };
        looking.next_notification = now + looking.interval;
        if votes {
            looking.received.insert(me, ballot(&notification, false));
        }
        let others = self.electorate.quorum.voters().into_iter().filter(|id| *id != me);
        out.extend(others.map(|to| ElectionAction::Send { to, notification: notification.clone() }));
    }

    fn decide(&mut self, vote: Vote, out: &mut Vec<ElectionAction>) {
        let outcome = Outcome { state: self.state_under(vote.leader), vote, round: self.round };
        self.avoided = None;
        self.phase = Phase::Decided(outcome);
        out.push(ElectionAction::Decided(outcome));
    }

    fn state_under(&self, leader: ServerId) -> PeerState {
        match leader == self.electorate.me {
            true => PeerState::Leading,
            false if self.electorate.observes => PeerState::Observing,
            false => PeerState::Following,
        }
    }

    fn answer(&self, to: ServerId, round: i64, out: &mut Vec<ElectionAction>) {
        out.push(ElectionAction::Send { to, notification: self.notification(round) });
    }

    fn tell_again(&self, peer: ServerId, out: &mut Vec<ElectionAction>) {
        if self.state() == PeerState::Looking && self.electorate.quorum.is_voter(peer) {
            self.answer(peer, self.round, out);
        }
    }

    fn notification(&self, round: i64) -> Notification {
        let (state, vote, config) = (self.state(), self.current_vote(), self.electorate.config.clone());
        Notification { state, vote, round, version: VERSION, config }
    }

    /// Whether who says this would say something else if it knew this server's vote. What was sent before may
    /// have come while it still followed the leader that is lost, and have counted for nothing.
    fn is_behind(&self, message: &Notification, round: i64) -> bool {
        (message.round < round && !self.proposes_nobody())
            || (message.round == round && self.is_better(self.current_vote(), message.vote))
    }

    fn avoids(&self, leader: ServerId) -> bool {
        self.avoided.is_some_and(|avoided| avoided.leader == leader)
    }

    fn is_better(&self, new: Vote, current: Vote) -> bool {
        self.electorate.quorum.committed().weight(new.leader) != 0 && new > current
    }

    /// The configuration in a message, if it is newer than this server's. One that cannot be read is none.
    fn newer_configuration(&self, message: &Notification) -> Option<Membership> {
        let told =
            Some(&message.config).filter(|told| !told.is_empty() && **told != self.electorate.config)?;
        let told = Membership::of_peer(told).ok()?;
        (told.version() > self.electorate.quorum.committed().version()).then_some(told)
    }

    /// A server that votes in a proposed configuration only may not lead yet, and proposes nobody by itself.
    fn initial_vote(&self) -> Vote {
        let LastLogged { epoch, zxid } = self.last_logged;
        match self.electorate.quorum.committed().is_voter(self.electorate.me) {
            true => Vote { epoch, zxid, leader: self.electorate.me },
            false => Vote::OBSERVER,
        }
    }

    /// Whether this server's vote counts, in one configuration at least.
    fn votes(&self) -> bool {
        self.electorate.quorum.is_voter(self.electorate.me)
    }
}

impl Looking {
    fn new(proposal: Vote, now: Instant, timing: &ElectionTiming) -> Looking {
        Looking {
            proposal,
            received: BTreeMap::new(),
            outside: BTreeMap::new(),
            interval: timing.min_notification,
            next_notification: now + timing.min_notification,
            settled_at: None,
            is_granted: false,
        }
    }
}

fn ballot(message: &Notification, versioned: bool) -> Ballot {
    Ballot { vote: message.vote, round: message.round, state: message.state, versioned }
}

/// What Java tells of a leader that a reconfig has designated.
const NO_ROUND: i64 = -1;
const UNKNOWN_EPOCH: i64 = -1;

#[cfg(test)]
mod tests;
