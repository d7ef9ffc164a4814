use super::*;
use crate::election::{PeerState, VERSION, Vote};
use crate::id::Zxid;

/// The connections of one server, which tests play the network to.
struct Port {
    connections: Connections,
    out: Vec<ConnectionAction>,
    now: Instant,
}

impl Port {
    /// Server `me` of 1, 2 and 3.
    fn new(me: i64) -> Port {
        let peers = (1..=3).map(|id| (ServerId(id), vec![address(&format!("zk{id}"))]));
        let advertised = vec![address(&format!("zk{me}"))];
        let connections = Connections::new(ServerId(me), advertised, peers, ElectionTiming::default());
        Port { connections, out: Vec::new(), now: Instant::from_ms(10_000) }
    }

    fn sends(&mut self, to: i64, round: i64) {
        self.connections.send(ServerId(to), looking(round), self.now, &mut self.out);
    }

    /// A connection is accepted on which a server says who it is.
    fn is_dialled_by(&mut self, id: i64, addresses: &[&str]) -> LinkId {
        let link = self.connections.on_accepted(self.now, &mut self.out);
        let addresses = addresses.iter().map(|host| address(host)).collect();
        let mut bytes = Vec::new();
        InitialMessage { server: ServerId(id), addresses }.encode(&mut bytes);
        self.connections.on_received(link, &bytes, self.now, &mut self.out);
        link
    }

    fn waits(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(at) = self.connections.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.connections.on_timeout(self.now, &mut self.out);
        }
        self.now = until;
    }

    /// The link of the one attempt to connect since the last look.
    fn dials(&mut self) -> (LinkId, i64) {
        let dials = self.out.drain(..).filter_map(|action| match action {
            ConnectionAction::Dial { link, peer, .. } => Some((link, peer.0)),
            _ => None,
        });
        let dials: Vec<_> = dials.collect();
        assert_eq!(dials.len(), 1, "{dials:?}");
        dials[0]
    }

    /// What was done since the last look, in short.
    fn does(&mut self) -> Vec<String> {
        let short = |action: ConnectionAction| match action {
            ConnectionAction::Dial { link, peer, addresses } => {
                let hosts: Vec<_> = addresses.into_iter().map(|address| address.host).collect();
                format!("{}: dial {peer} at {}", link.0, hosts.join(" "))
            }
            ConnectionAction::Write { link, bytes } => match Notification::decode(&bytes[4..]) {
                Ok(said) if bytes.len() > 44 => format!("{}: say r{}", link.0, said.round),
                _ => format!("{}: greet", link.0),
            },
            ConnectionAction::Close { link } => format!("{}: close", link.0),
            ConnectionAction::Received { from, notification } => {
                format!("{from} says r{}", notification.round)
            }
            ConnectionAction::Connected { peer } => format!("connected {peer}"),
            ConnectionAction::Disconnected { peer } => format!("disconnected {peer}"),
            ConnectionAction::Note { link, note } => format!("{}: {note}", link.0),
        };
        self.out.drain(..).map(short).collect()
    }
}

fn address(host: &str) -> HostPort {
    HostPort { host: host.to_owned(), port: 3888 }
}

fn looking(round: i64) -> Notification {
    let vote = Vote { epoch: 0, zxid: Zxid::ZERO, leader: ServerId(1) };
    Notification { state: PeerState::Looking, vote, round, version: VERSION, config: Vec::new() }
}

fn frame(round: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    looking(round).encode_frame(&mut bytes);
    bytes
}

const SMALLER: &str = "Have smaller server identifier, so dropping the connection: (myId:1 --> sid:2)";

#[test]
fn the_larger_id_keeps_the_connection_that_it_dials() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    let (link, peer) = port.dials();
    assert_eq!(peer, 1);
    port.connections.on_dialled(link, port.now, &mut port.out);
    assert_eq!(port.does(), ["0: greet", "connected 1"]);
    port.sends(1, 8);
    assert_eq!(port.does(), [""; 0], "one write at a time");
    port.sends(1, 9);
    port.connections.on_written(link, port.now, &mut port.out);
    assert_eq!(port.does(), ["0: say r9"], "the newest message is the only one");
    let mut bytes = frame(3);
    bytes.extend(&frame(4)[..5]);
    port.connections.on_received(link, &bytes, port.now, &mut port.out);
    port.connections.on_received(link, &frame(4)[5..], port.now, &mut port.out);
    assert_eq!(port.does(), ["1 says r3", "1 says r4"]);
}

#[test]
fn the_smaller_id_knocks_and_is_called_back() {
    let mut port = Port::new(1);
    port.sends(2, 7);
    let (knock, _) = port.dials();
    port.connections.on_dialled(knock, port.now, &mut port.out);
    assert_eq!(port.does(), ["0: greet".to_owned(), format!("0: {SMALLER}"), "0: close".to_owned()]);
    port.waits(50);
    let link = port.is_dialled_by(2, &["zk2"]);
    assert_eq!(port.does(), ["connected 2"]);
    port.sends(2, 8);
    assert_eq!(port.does(), [format!("{}: say r8", link.0)]);
    port.waits(1900);
    assert_eq!(port.does(), [""; 0], "who has a connection does not knock");
}

#[test]
fn a_knock_that_is_not_answered_is_repeated_ever_more_slowly_and_then_told() {
    let mut port = Port::new(1);
    port.sends(2, 7);
    let mut knocked_at = Vec::new();
    let mut notes = Vec::new();
    while knocked_at.len() < 9 {
        for line in port.out.drain(..).collect::<Vec<_>>() {
            match line {
                ConnectionAction::Dial { link, .. } => {
                    knocked_at.push(port.now.ms());
                    port.connections.on_dialled(link, port.now, &mut port.out);
                }
                ConnectionAction::Note { note, .. } if note.is_warning() => notes.push(note.to_string()),
                _ => {}
            }
        }
        port.waits(50);
    }
    let gaps: Vec<u64> = knocked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("server 2 was asked 8 times") && notes[0].contains("server.1 of its"),
        "{notes:?}"
    );
}

#[test]
fn a_knock_replaces_the_old_connection_and_is_answered_at_both_addresses() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    let (link, _) = port.dials();
    port.connections.on_dialled(link, port.now, &mut port.out);
    port.connections.on_written(link, port.now, &mut port.out);
    port.waits(1500);
    port.does();
    let knock = port.is_dialled_by(1, &["elsewhere"]);
    let (closed, lost) = (format!("{}: close", knock.0), "0: close".to_owned());
    let dial = "2: dial 1 at elsewhere zk1".to_owned();
    assert_eq!(port.does(), [closed, lost, "disconnected 1".to_owned(), dial]);
}

#[test]
fn a_knock_that_was_under_way_when_the_connection_came_is_passed_over() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    let (link, _) = port.dials();
    port.connections.on_dialled(link, port.now, &mut port.out);
    port.waits(900);
    port.does();
    port.is_dialled_by(1, &["zk1"]);
    assert_eq!(port.does(), ["1: close"]);
    assert!(port.connections.is_connected(ServerId(1)));
}

#[test]
fn a_knock_during_an_attempt_to_another_address_starts_one_to_the_right_one() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    port.dials();
    port.is_dialled_by(1, &["zk1"]);
    assert_eq!(port.does(), ["1: close"], "that address is being tried");
    port.waits(100);
    port.is_dialled_by(1, &["moved"]);
    assert_eq!(port.does(), ["2: close", "0: close", "3: dial 1 at moved zk1"]);
}

#[test]
fn who_knocks_is_called_back_at_once_though_it_was_just_tried_in_vain() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    let (refused, _) = port.dials();
    port.connections.on_closed(refused, port.now, &mut port.out);
    assert_eq!(port.does(), [""; 0], "the next attempt waits");
    port.is_dialled_by(1, &["zk1"]);
    assert_eq!(port.does(), ["1: close", "2: dial 1 at zk1"]);
    port.connections.on_closed(LinkId(2), port.now, &mut port.out);
    port.is_dialled_by(1, &["zk1"]);
    assert_eq!(port.does(), ["3: close"], "whoever knocks without a pause is called back with one");
    port.waits(100);
    assert_eq!(port.does(), ["4: dial 1 at zk1"]);
}

#[test]
fn who_knocks_is_called_back_though_an_attempt_from_before_it_was_there_still_hangs() {
    let mut port = Port::new(2);
    port.sends(1, 7);
    port.dials();
    port.waits(1000);
    port.is_dialled_by(1, &["zk1"]);
    assert_eq!(port.does(), ["1: close", "0: close", "2: dial 1 at zk1"]);
}

#[test]
fn a_larger_id_s_new_connection_takes_the_place_of_the_old_one_at_once() {
    let mut port = Port::new(1);
    let old = port.is_dialled_by(3, &["zk3"]);
    port.does();
    let new = port.is_dialled_by(3, &["zk3"]);
    assert_eq!(port.does(), [format!("{}: close", old.0), "connected 3".to_owned()]);
    port.connections.on_closed(old, port.now, &mut port.out);
    assert!(port.connections.is_connected(ServerId(3)), "the end of the old one is not the new one's");
    port.connections.on_closed(new, port.now, &mut port.out);
    assert_eq!(port.does(), ["disconnected 3"]);
}

#[test]
fn an_attempt_that_hangs_delays_nobody_else_and_is_given_up() {
    let mut port = Port::new(3);
    port.sends(1, 7);
    let (hanging, _) = port.dials();
    port.sends(2, 7);
    assert_eq!(port.dials().1, 2);
    port.waits(4999);
    assert_eq!(port.does(), [""; 0]);
    port.waits(1);
    let done = port.does();
    assert_eq!(done[0], format!("{}: close", hanging.0));
    assert!(done.contains(&"2: dial 1 at zk1".to_owned()), "{done:?}");
    port.connections.on_dialled(hanging, port.now, &mut port.out);
    assert_eq!(port.does(), ["0: close"], "too late");
}

#[test]
fn a_connection_on_which_a_vote_stays_unanswered_is_made_anew() {
    let mut port = Port::new(2);
    port.is_dialled_by(3, &["zk3"]);
    port.sends(3, 7);
    port.does();
    port.connections.on_written(LinkId(0), port.now, &mut port.out);
    port.waits(2000);
    let done = port.does();
    assert!(done[0].contains("server 3 answers nothing"), "{done:?}");
    assert_eq!(done[1..], ["0: close", "disconnected 3"]);
}

/// As a Java server whose election lasts, when what it hears is nothing new.
#[test]
fn who_repeats_its_vote_once_a_minute_keeps_its_connection_in_the_end() {
    let mut port = Port::new(3);
    let mut closed_s = Vec::new();
    let begin = port.now;
    for second in 0..600 {
        if second % 5 == 0 {
            port.sends(2, 7);
        }
        if second % 60 == 59 {
            let bytes = frame(7);
            (0..50)
                .for_each(|link| port.connections.on_received(LinkId(link), &bytes, port.now, &mut port.out));
        }
        while let Some(action) = (!port.out.is_empty()).then(|| port.out.remove(0)) {
            match action {
                ConnectionAction::Dial { link, .. } => {
                    port.connections.on_dialled(link, port.now, &mut port.out);
                }
                ConnectionAction::Write { link, .. } => {
                    port.connections.on_written(link, port.now, &mut port.out);
                }
                ConnectionAction::Disconnected { .. } => {
                    closed_s.push(port.now.since(begin).as_secs());
                }
                _ => {}
            }
        }
        port.waits(1000);
    }
    assert!(closed_s.len() <= 6 && closed_s.iter().all(|at| *at < 180), "closed after {closed_s:?} s");
}

#[test]
fn a_connection_that_takes_nothing_is_closed() {
    let mut port = Port::new(2);
    let link = port.is_dialled_by(3, &["zk3"]);
    port.connections.send(
        ServerId(3),
        Notification { state: PeerState::Following, ..looking(1) },
        port.now,
        &mut port.out,
    );
    port.does();
    port.waits(4999);
    assert_eq!(port.does(), [""; 0]);
    port.waits(1);
    let done = port.does();
    assert!(done[0].contains("server 3 takes nothing"), "{done:?}");
    assert_eq!(done[1], format!("{}: close", link.0));
}

#[test]
fn garbage_costs_its_own_connection_or_message_and_nothing_else() {
    let mut port = Port::new(1);
    let link = port.connections.on_accepted(port.now, &mut port.out);
    port.connections.on_received(link, b"GET / HTTP/1.1\r\n", port.now, &mut port.out);
    let silent = port.is_dialled_by(2, &["zk2"]);
    port.does();
    let mut bytes = vec![0, 0, 0, 3, 1, 2, 3];
    bytes.extend(frame(5));
    port.connections.on_received(silent, &bytes, port.now, &mut port.out);
    let done = port.does();
    assert!(done[0].contains("a message of server 2 is passed over"), "{done:?}");
    assert_eq!(done[1], "2 says r5");
    port.connections.on_received(silent, &[0xff; 4], port.now, &mut port.out);
    assert!(port.does()[0].contains("a frame of -1 bytes was announced"));
    assert!(!port.connections.is_connected(ServerId(2)));
}

#[test]
fn idle_connections_are_bounded_in_number_and_time() {
    let mut port = Port::new(1);
    for _ in 0..UNNAMED_MAX {
        port.connections.on_accepted(port.now, &mut port.out);
    }
    assert_eq!(port.does(), [""; 0]);
    port.is_dialled_by(2, &["zk2"]);
    let done = port.does();
    assert_eq!((done[1].as_str(), done[2].as_str()), ("0: close", "connected 2"), "{done:?}");
    port.waits(5000);
    let closed = port.does().into_iter().filter(|line| line.ends_with(": close")).count();
    assert_eq!(closed, UNNAMED_MAX - 1);
}

#[test]
fn strangers_are_served_while_they_are_there_and_bounded() {
    let mut port = Port::new(1);
    for id in 0..STRANGERS_MAX as i64 {
        port.is_dialled_by(100 + id, &[]);
    }
    port.does();
    port.is_dialled_by(1000, &[]);
    assert!(port.does()[0].contains("server 1000, which is not in the configuration, is turned away"));
    port.sends(100, 5);
    assert_eq!(port.does(), ["0: say r5"]);
    port.connections.on_closed(LinkId(0), port.now, &mut port.out);
    port.does();
    port.sends(100, 6);
    assert_eq!(port.does(), [""; 0], "it has gone");
    port.is_dialled_by(1000, &[]);
    assert_eq!(port.does(), ["connected 1000"]);
}

#[test]
fn a_stranger_with_a_smaller_id_is_called_back_where_it_says() {
    let mut port = Port::new(1);
    port.is_dialled_by(-5, &["observer"]);
    assert_eq!(port.does(), ["0: close", "1: dial -5 at observer"]);
    port.connections.on_closed(LinkId(1), port.now, &mut port.out);
    assert_eq!(port.connections.next_timeout(), None, "it is forgotten, and knocks again if it is there");
    port.is_dialled_by(-5, &["0.0.0.0"]);
    assert_eq!(port.does(), ["2: close"], "nobody knows where");
}

#[test]
fn a_second_server_with_this_one_s_id_is_turned_away() {
    let mut port = Port::new(2);
    let link = port.is_dialled_by(2, &["zk2"]);
    let done = port.does();
    assert!(done[0].contains("own id 2"), "{done:?}");
    assert_eq!(done[1], format!("{}: close", link.0));
}

#[test]
fn nobody_is_dialled_to_be_told_something_old() {
    let mut port = Port::new(1);
    port.sends(2, 7);
    let (link, _) = port.dials();
    port.connections.on_closed(link, port.now, &mut port.out);
    port.connections.stop_asking();
    port.waits(60_000);
    assert_eq!(port.does(), [""; 0]);
    assert_eq!(port.connections.next_timeout(), None);
}

#[test]
fn servers_that_join_are_dialled_and_those_that_leave_or_move_are_not_looked_for_where_they_were() {
    let mut port = Port::new(3);
    port.sends(1, 1);
    port.does();
    let peers = [(1, "moved"), (3, "zk3"), (4, "zk4")].map(|(id, host)| (ServerId(id), vec![address(host)]));
    port.connections.reconfigure(vec![address("new")], peers, port.now, &mut port.out);
    assert_eq!(port.does(), ["1: dial 4 at zk4"]);
    port.sends(2, 1);
    assert_eq!(port.does(), [""; 0], "it is a stranger now, and not there");
    port.connections.on_closed(LinkId(0), port.now, &mut port.out);
    port.waits(1000);
    assert_eq!(port.does(), ["2: dial 1 at moved"]);
    port.connections.on_dialled(LinkId(2), port.now, &mut port.out);
    let mut greeting = Vec::new();
    InitialMessage { server: ServerId(3), addresses: vec![address("new")] }.encode(&mut greeting);
    let write = ConnectionAction::Write { link: LinkId(2), bytes: greeting.clone() };
    assert!(port.out.contains(&write), "{:?}", port.out);
    // A server that is removed stays where it is.
    port.connections.reconfigure(Vec::new(), [(ServerId(5), vec![address("zk5")])], port.now, &mut port.out);
    port.out.clear();
    port.connections.on_dialled(LinkId(3), port.now, &mut port.out);
    assert!(
        matches!(&port.out[0], ConnectionAction::Write { bytes, .. } if *bytes == greeting),
        "{:?}",
        port.out
    );
}
