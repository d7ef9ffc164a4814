//! To whom an observer goes that followers bring up to date.

use super::server::Server;
use crate::election::{Outcome, PeerState, Vote};
use crate::id::{ServerId, Zxid};
use crate::member::{Attempt, Duty, LeaderEvent, Moment, Seat};
use crate::time::{Instant, WallTime};

const AT: Moment = Moment { now: Instant(0), wall: WallTime(0) };

/// Server 3, which observes three voters, of which these bring observers up to date.
fn seat(masters: &[i64]) -> Seat<()> {
    let mut server = Server::new(3, 3);
    server.start();
    let member = server.process.take().expect("it runs").member;
    let masters = masters.iter().copied().map(ServerId).collect();
    Seat::new(member).with_masters(masters)
}

/// Where the seat dials once this server is elected; nobody is there.
fn dialled(seat: &mut Seat<()>, leader: i64) -> (bool, i64) {
    let vote = Vote { epoch: 1, zxid: Zxid::ZERO, leader: ServerId(leader) };
    let mut duties = Vec::new();
    seat.on_elected(Outcome { vote, round: 1, state: PeerState::Observing }, AT, &mut duties);
    let (attempt, to): (Attempt, _) = match duties[..] {
        [Duty::DialMaster(attempt, id)] => (attempt, (true, id.0)),
        [Duty::Dial(attempt, id)] => (attempt, (false, id.0)),
        ref other => panic!("{other:?}"),
    };
    duties.clear();
    seat.on_leader(attempt, LeaderEvent::Unreachable, AT, &mut duties);
    assert!(matches!(duties[..], [Duty::HangUp, Duty::Avoid(_), Duty::Look(..)]), "{duties:?}");
    to
}

#[test]
fn an_observer_tries_the_followers_in_turn_and_a_leader_that_has_none() {
    let mut many = seat(&[0, 1, 2]);
    let mut tried: Vec<_> = (0..4).map(|_| dialled(&mut many, 1)).collect();
    assert_eq!(tried[..2], tried[2..], "in turn");
    tried.truncate(2);
    tried.sort_unstable();
    assert_eq!(tried, [(true, 0), (true, 2)], "and not the leader");

    assert_eq!(dialled(&mut seat(&[1]), 1), (false, 1), "nobody follows");
    assert_eq!(dialled(&mut seat(&[]), 1), (false, 1), "nobody does it in the leader's place");
}
