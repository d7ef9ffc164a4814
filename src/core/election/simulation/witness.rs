use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use super::network::Process;
use crate::election::{Action, LastLogged, LinkId, Notification, Outcome, PeerState, Vote};
use crate::id::ServerId;
use crate::time::Instant;

/// Sees all that servers say and decide, and holds it against what must be true of elections.
#[derive(Default)]
pub(super) struct Witness {
    /// What each process votes for at least, and said last over each connection in its present election.
    casts: BTreeMap<Process, Cast>,
    /// Who has ever backed a leader in a round, as looking voter or as follower.
    backers: BTreeMap<(i64, ServerId), BTreeSet<usize>>,
    pub(super) leaders_of_epochs: BTreeMap<i64, BTreeSet<usize>>,
    pub(super) elected: Vec<(usize, Outcome)>,
    pub(super) trace: DefaultHasher,
    pub(super) talks: bool,
}

struct Cast {
    own: LastLogged,
    last: BTreeMap<LinkId, (i64, Vote)>,
}

impl Witness {
    pub(super) fn note(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        let line = format!("{:>9.3} ms: {what}", now.0 as f64 / 1e6);
        self.trace.write(line.as_bytes());
        if self.talks {
            println!("{line}");
        }
    }

    pub(super) fn on_look(&mut self, process: Process, own: LastLogged) {
        self.casts.insert(process, Cast { own, last: BTreeMap::new() });
    }

    pub(super) fn on_action(&mut self, now: Instant, process: Process, action: &Action) {
        let server = process.server;
        match action {
            Action::Write { link, bytes } => match bytes.get(4..).map(Notification::decode) {
                Some(Ok(said)) => {
                    self.note(
                        now,
                        format_args!(
                            "{server} says over {}: {:?} {:?} {}",
                            link.0, said.state, said.vote, said.round
                        ),
                    );
                    self.on_said(process, *link, &said);
                }
                _ => self.note(now, format_args!("{server} greets over {}", link.0)),
            },
            Action::Decided(outcome) => {
                self.note(now, format_args!("{server} decides {outcome:?}"));
                self.backers.entry((outcome.round, outcome.vote.leader)).or_default().insert(server);
                self.elected.push((server, *outcome));
            }
            other => self.note(now, format_args!("{server}: {other:?}")),
        }
    }

    /// In an epoch there is one leader.
    pub(super) fn on_established(&mut self, now: Instant, epoch: i64, leader: usize) {
        let leaders = self.leaders_of_epochs.entry(epoch).or_default();
        if leaders.insert(leader) {
            let others = leaders.len() - 1;
            self.note(now, format_args!("{leader} leads epoch {epoch}"));
            assert_eq!(others, 0, "epoch {epoch} has several leaders");
        }
    }

    /// A vote never falls behind what its server has itself, nor behind what it said before.
    fn on_said(&mut self, process: Process, link: LinkId, said: &Notification) {
        self.backers.entry((said.round, said.vote.leader)).or_default().insert(process.server);
        if said.state != PeerState::Looking || said.vote == Vote::OBSERVER {
            return;
        }
        let cast = self.casts.get_mut(&process).expect("it looks, so it began to");
        let LastLogged { epoch, zxid } = cast.own;
        let own = Vote { epoch, zxid, leader: ServerId(process.server as i64) };
        assert!(said.vote >= own, "{process:?} votes for less than it has: {said:?}, {own:?}");
        let now = (said.round, said.vote);
        if let Some(before) = cast.last.insert(link, now) {
            assert!(before.0 < now.0 || before <= now, "{process:?} takes a vote back: {before:?}, {now:?}");
        }
    }

    /// Whether each leader had the backing of so many servers when it began to lead, itself included.
    pub(super) fn check_backing(&self, voters: usize) {
        for (server, outcome) in
            self.elected.iter().filter(|(_, outcome)| outcome.state == PeerState::Leading)
        {
            let backers = self.backers[&(outcome.round, outcome.vote.leader)].len();
            assert!(backers > voters / 2, "{server} leads by {backers} of {voters} votes: {outcome:?}");
        }
    }

    pub(super) fn leaders_by_round(&self) -> BTreeMap<i64, BTreeSet<ServerId>> {
        let mut leaders: BTreeMap<i64, BTreeSet<ServerId>> = BTreeMap::new();
        for (_, outcome) in &self.elected {
            leaders.entry(outcome.round).or_default().insert(outcome.vote.leader);
        }
        leaders
    }
}
