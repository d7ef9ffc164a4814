use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use ringkeeper_core::election::Outcome;
use ringkeeper_core::election::PeerState::{Following, Leading};

use crate::member::{Member, Ports};

#[test]
fn three_servers_agree_on_a_leader() {
    let ports = Ports::claim(3);
    let members: Vec<Member> = (0..3).map(|id| Member::start(&ports, id)).collect();
    let leader = agree(&members.iter().collect::<Vec<_>>());
    assert_ne!(leader, 0, "an id that is larger was there for every quorum");
    members.into_iter().for_each(Member::stop);
}

#[test]
fn servers_restarted_in_ascending_and_descending_order_get_back_in_without_the_others_help() {
    let ports = Ports::claim(5);
    let mut members: Vec<Member> = (0..5).map(|id| Member::start(&ports, id)).collect();
    let leader = agree(&members.iter().collect::<Vec<_>>());
    for id in (0..5).chain((0..5).rev()).filter(|id| *id != leader) {
        members.remove(id).stop();
        members.insert(id, Member::start(&ports, id));
        let outcome = members[id].decides();
        assert_eq!((outcome.state, outcome.vote.leader.0 as usize), (Following, leader));
    }
    members.into_iter().for_each(Member::stop);
}

#[test]
fn when_the_leader_has_gone_the_others_elect_one_and_it_gets_back_in() {
    let ports = Ports::claim(3);
    let mut members: Vec<Member> = (0..3).map(|id| Member::start(&ports, id)).collect();
    let leader = agree(&members.iter().collect::<Vec<_>>());
    members.remove(leader).stop();
    members.iter().for_each(Member::looks_again);
    let others: Vec<usize> = (0..3).filter(|id| *id != leader).collect();
    let new_leader = others[agree(&members.iter().collect::<Vec<_>>())];
    let restarted = Member::start(&ports, leader);
    let outcome = restarted.decides();
    assert_eq!((outcome.state, outcome.vote.leader.0 as usize), (Following, new_leader));
    restarted.stop();
    members.into_iter().for_each(Member::stop);
}

/// Waits until all follow one of them, and returns its position. An election by itself does not see to
/// that: a server can miss a better one by a moment. Who then follows a server that does not lead a
/// quorum looks again, as a whole server would.
fn agree(members: &[&Member]) -> usize {
    let mut outcomes: Vec<_> = members.iter().map(|member| member.decides()).collect();
    loop {
        let followers = |leader: &Outcome| {
            outcomes.iter().filter(|outcome| outcome.vote.leader == leader.vote.leader).count()
        };
        let leads = |outcome: &Outcome| outcome.state == Leading && followers(outcome) > members.len() / 2;
        let position = outcomes.iter().position(leads);
        let leader = position.map(|position| outcomes[position].vote.leader);
        let lost = |outcome: &Outcome| leader.is_none_or(|leader| outcome.vote.leader != leader);
        let lost: Vec<usize> = (0..members.len()).filter(|id| lost(&outcomes[*id])).collect();
        if let (Some(position), true) = (position, lost.is_empty()) {
            return position;
        }
        lost.iter().for_each(|id| members[*id].looks_again());
        lost.iter().for_each(|id| outcomes[*id] = members[*id].decides());
    }
}

#[test]
fn idle_connections_and_garbage_keep_nobody_from_electing() {
    let ports = Ports::claim(3);
    let first = Member::start(&ports, 0);
    let mut idle = Vec::new();
    while idle.len() < 100 {
        match TcpStream::connect(ports.election(0)) {
            Ok(stream) => idle.push(stream),
            Err(_) => std::thread::yield_now(), // It does not listen yet.
        }
    }
    let mut garbage = TcpStream::connect(ports.election(0)).expect("it listens");
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it listens");
    assert_eq!(garbage.read(&mut [0; 8]).unwrap_or(0), 0, "what is no server's is closed, in order or not");
    let second = Member::start(&ports, 1);
    assert_eq!((first.decides().state, second.decides().state), (Following, Leading));
    first.stop();
    second.stop();
}
