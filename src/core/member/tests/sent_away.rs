//! A server that its leader does not take.

use std::time::Duration;

use super::server::Server;
use crate::election::{Outcome, PeerState, Vote};
use crate::id::{ServerId, Zxid};
use crate::member::{Action, Attempt, Duty, LeaderEvent, Moment, Seat};
use crate::time::{Instant, WallTime};
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::{DownReason, EpochFile};

/// Server 0 of three voters, and what its seat wants.
struct Table {
    seat: Seat<()>,
    now_ms: u64,
    out: Vec<Duty<()>>,
}

impl Table {
    fn new() -> Table {
        let mut server = Server::new(0, 3);
        server.options.zab.timing.tick_ms = 2000;
        server.start();
        let member = server.process.take().expect("it runs").member;
        Table { seat: Seat::new(member), now_ms: 1000, out: Vec::new() }
    }

    fn at(&self) -> Moment {
        Moment { now: Instant::from_ms(self.now_ms), wall: WallTime(0) }
    }

    /// Server 2 is elected, and there is a connection to it.
    fn follow(&mut self) -> Attempt {
        let vote = Vote { epoch: 1, zxid: Zxid::ZERO, leader: ServerId(2) };
        let outcome = Outcome { vote, round: 1, state: PeerState::Following };
        self.seat.on_elected(outcome, self.at(), &mut self.out);
        let attempt = match self.take()[..] {
            [Duty::Dial(attempt, ServerId(2))] => attempt,
            ref other => panic!("{other:?}"),
        };
        self.hears(attempt, LeaderEvent::Connected(()));
        attempt
    }

    fn hears(&mut self, attempt: Attempt, event: LeaderEvent<()>) -> Vec<Duty<()>> {
        let at = self.at();
        self.seat.on_leader(attempt, event, at, &mut self.out);
        self.take()
    }

    fn saved(&mut self, file: EpochFile) {
        self.seat.tell(self.at(), &mut self.out, |member, at, out| member.on_epoch_saved(file, 1, at, out));
    }

    fn take(&mut self) -> Vec<Duty<()>> {
        std::mem::take(&mut self.out)
    }

    /// How long the leader is avoided that closes the connection after so long.
    fn is_left_after(&mut self, attempt: Attempt, ms: u64) -> Duration {
        self.now_ms += ms;
        match self.hears(attempt, LeaderEvent::Closed)[..] {
            [Duty::Act(Action::Down(_)), Duty::Look(..)] => Duration::ZERO,
            [Duty::Act(Action::Down(_)), Duty::Avoid(pause), Duty::Look(..)] => pause,
            ref other => panic!("{other:?}"),
        }
    }

    fn is_sent_away_after(&mut self, ms: u64) -> Duration {
        let attempt = self.follow();
        self.is_left_after(attempt, ms)
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_time_between_tries_grows_up_to_half_a_tick() {
    let mut table = Table::new();
    let pauses: Vec<Duration> = (0..7).map(|_| table.is_sent_away_after(0)).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000].map(ms));
    assert_eq!(table.is_sent_away_after(300), ms(700), "it is counted from one try to the next");
    assert_eq!(table.is_sent_away_after(1000), ms(0));
}

#[test]
fn one_that_served_tries_again_at_once() {
    let mut table = Table::new();
    assert_eq!(table.is_sent_away_after(0), ms(100));
    assert_eq!(table.is_sent_away_after(0), ms(200));

    let attempt = table.follow();
    table.hears(attempt, LeaderEvent::Packets(vec![FromLeader::LeaderInfo { epoch: 1 }]));
    table.saved(EpochFile::Accepted);
    let zxid = Zxid::new(1, 0);
    let packets =
        [FromLeader::Diff(Zxid::ZERO), FromLeader::NewLeader { zxid, config: None }, FromLeader::UpToDate];
    for packet in packets {
        table.hears(attempt, LeaderEvent::Packets(vec![packet]));
        table.saved(EpochFile::Current);
    }
    assert!(table.seat.member().is_serving());
    table.take();
    assert_eq!(table.is_left_after(attempt, 0), ms(0));
    assert_eq!(table.is_sent_away_after(0), ms(100), "and is patient at first");
}

/// A leader's tree may hold what is never committed, and the log before it is gone: simulated as seed 42597.
#[test]
fn who_cannot_be_cut_back_wants_the_whole_tree() {
    let mut table = Table::new();
    let attempt = table.follow();
    table.hears(attempt, LeaderEvent::Packets(vec![FromLeader::LeaderInfo { epoch: 1 }]));
    table.saved(EpochFile::Accepted);
    let trunc = FromLeader::Trunc(Zxid::new(1, 7));
    let duties = table.hears(attempt, LeaderEvent::Packets(vec![trunc]));
    let Some(Duty::Look(last, DownReason::CannotTruncate { .. })) = duties.last() else {
        panic!("{duties:?}")
    };
    assert_eq!(last.zxid, Zxid::UNKNOWN, "its vote does not count");

    let attempt = table.follow();
    table.hears(attempt, LeaderEvent::Packets(vec![FromLeader::LeaderInfo { epoch: 2 }]));
    let at = table.at();
    table
        .seat
        .tell(at, &mut table.out, |member, at, out| member.on_epoch_saved(EpochFile::Accepted, 2, at, out));
    let duties = table.take();
    let [Duty::Act(Action::ToLeader(FromLearner::AckEpoch { zxid: Zxid::UNKNOWN, .. }))] = duties[..] else {
        panic!("{duties:?}")
    };
}
