use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use ringkeeper_core::election::PeerState::{Following, Leading};

use crate::member::{Member, Ports};

#[test]
fn three_servers_elect_the_one_with_the_largest_id() {
    let ports = Ports::claim(3);
    let members: Vec<Member> = (0..3).map(|id| Member::start(&ports, id)).collect();
    let outcomes: Vec<_> = members.iter().map(Member::decides).collect();
    // The first two may have agreed before the third was there.
    let leader = outcomes[0].vote.leader.0 as usize;
    for (id, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.vote.leader.0 as usize, leader, "{outcomes:?}");
        assert_eq!(outcome.state, if id == leader { Leading } else { Following });
    }
    members.into_iter().for_each(Member::stop);
}

#[test]
fn servers_restarted_in_ascending_and_descending_order_get_back_in_without_the_others_help() {
    let ports = Ports::claim(5);
    let mut members: Vec<Option<Member>> = (0..5).map(|id| Some(Member::start(&ports, id))).collect();
    let leader = members.iter().flatten().map(|member| member.decides().vote.leader.0).max();
    let leader = leader.expect("five outcomes") as usize;
    for id in (0..5).chain((0..5).rev()).filter(|id| *id != leader) {
        members[id].take().expect("it runs").stop();
        let member = Member::start(&ports, id);
        let outcome = member.decides();
        assert_eq!((outcome.state, outcome.vote.leader.0 as usize), (Following, leader));
        members[id] = Some(member);
    }
    // The leader is restarted and hears from its followers that they follow it no more.
    members[leader].take().expect("it runs").stop();
    let restarted = Member::start(&ports, leader);
    members.iter().flatten().for_each(Member::looks_again);
    let outcome = restarted.decides();
    for member in members.iter().flatten() {
        assert_eq!(member.decides().vote.leader, outcome.vote.leader);
    }
    restarted.stop();
    members.into_iter().flatten().for_each(Member::stop);
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
