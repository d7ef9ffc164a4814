//! Ensembles whose servers change while they run: ringkeepers alone, and with Java servers that lead or follow.

use std::fs;
use std::time::Duration;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::ports::Port;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Client, Request, Stat, Text, create_mode};
use rustix::process::Signal;

use crate::ensemble;
use crate::observe::assert_alike;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn ringkeepers_come_go_and_change_their_roles() {
    servers_come_go_and_change_their_roles(&[Ringkeeper; 4]);
}

#[test]
fn java_servers_come_go_and_change_their_roles_under_a_ringkeeper() {
    servers_come_go_and_change_their_roles(&[JAVA, JAVA, Ringkeeper, JAVA]);
}

#[test]
fn ringkeepers_come_go_and_change_their_roles_under_a_java_server() {
    servers_come_go_and_change_their_roles(&[Ringkeeper, Ringkeeper, JAVA, Ringkeeper]);
}

/// Of these four, the first three are an ensemble, led by the third; the last comes as an observer.
fn servers_come_go_and_change_their_roles(kinds: &[Kind]) {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    let first = settled(&ensemble, &[1, 2, 3]);
    assert!(first.ends_with("\nversion=100000000"), "{first}");
    assert!(!first.contains("server.4"), "{first}");
    for id in [1, 2, 3] {
        assert_files(&mut ensemble, id, &first);
        let kept = fs::read_to_string(ensemble.server(id).dir().join("zoo.cfg.bak")).expect("a copy");
        assert!(kept.contains("server.1=") && !kept.contains("dynamicConfigFile"), "{kept}");
    }

    // Not a member yet, it follows all the same.
    ensemble.start(&[4]);
    assert_eq!(settled(&ensemble, &[1, 2, 3, 4]), first);
    assert_eq!(ensemble.mode(4).as_deref(), Some("follower"), "no observer, as nobody says so");

    // A watch on the node fires wherever it is set.
    let mut watching: Vec<Client> = [1, 2, 3].map(|id| connected(&ensemble, id)).into();
    for client in &mut watching {
        assert!(matches!(call(client, &watched_config()), (0, Body::Data(..))));
    }
    let observer = line(&ensemble, 4, "observer");
    let (text, stat) = reconfigured(&mut connected(&ensemble, 1), &join(&observer));
    assert_eq!((stat.version, stat.data_length), (-1, text.len() as i32));
    assert!(text.ends_with(&format!("\nversion={:x}", stat.mzxid)), "{text} {stat:?}");
    assert!(text.contains(":observer;"), "{text}");
    for client in &mut watching {
        let event = client.next_event(Duration::from_secs(20)).expect("a connection").expect("an event");
        assert_eq!((event.kind, event.path.lossy()), (NODE_DATA_CHANGED, CONFIG.to_owned()));
    }
    assert_eq!(settled(&ensemble, &[1, 2, 3, 4]), text);
    until("server 4 is an observer", || ensemble.mode(4).as_deref() == Some("observer"));

    // Its role changes without a restart.
    let pid = ensemble.server(4).pid();
    let participant = line(&ensemble, 4, "participant");
    let (text, _) = reconfigured(&mut connected(&ensemble, 2), &join(&participant));
    until("server 4 is a follower", || ensemble.mode(4).as_deref() == Some("follower"));
    assert_eq!(settled(&ensemble, &[1, 2, 3, 4]), text);
    write(&ensemble, &[1, 2, 3, 4], "/with-four");
    (1..=4).for_each(|id| assert_files(&mut ensemble, id, &text));

    assert_refusals(&ensemble, &text);

    // A server that leaves goes on to serve, and does not count.
    let (text, _) = reconfigured(&mut connected(&ensemble, 4), &leave("1"));
    assert_eq!(settled(&ensemble, &[1, 2, 3, 4]), text);
    assert_eq!(ensemble.mode(1).as_deref(), Some("follower"));
    ensemble.server(2).kill();
    write(&ensemble, &[1, 3, 4], "/without-two");
    ensemble.server(1).kill();

    // One that was away learns of it.
    let members = format!(
        "{},{},{}",
        line(&ensemble, 2, "participant"),
        line(&ensemble, 3, "participant"),
        line(&ensemble, 4, "participant")
    );
    let (text, _) = reconfigured(&mut connected(&ensemble, 4), &full(&members));
    ensemble.start(&[2]);
    assert_eq!(settled(&ensemble, &[2, 3, 4]), text);
    assert_files(&mut ensemble, 2, &text);
    assert_eq!(ensemble.server(4).pid(), pid);
    assert_alike(&ensemble, &[2, 3, 4]);

    // All of it is there after all were killed at once.
    [2, 3, 4].iter().for_each(|id| ensemble.server(*id).kill());
    ensemble.start(&[2, 3, 4]);
    let again = settled(&ensemble, &[2, 3, 4]);
    assert_eq!(again, text);
    write(&ensemble, &[2, 3, 4], "/after-all");
    assert_alike(&ensemble, &[2, 3, 4]);
}

#[test]
fn a_ringkeeper_that_leads_is_removed() {
    the_leader_is_removed(&[Ringkeeper; 3]);
}

#[test]
fn a_ringkeeper_that_leads_java_servers_is_removed() {
    the_leader_is_removed(&[JAVA, JAVA, Ringkeeper]);
}

#[test]
fn a_java_server_that_leads_ringkeepers_is_removed() {
    the_leader_is_removed(&[Ringkeeper, Ringkeeper, JAVA]);
}

/// The third leads, and leaves: one of the others is designated, and the third follows it.
fn the_leader_is_removed(kinds: &[Kind]) {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    settled(&ensemble, &[1, 2, 3]);
    write(&ensemble, &[1, 2, 3], "/before");
    let mut client = connected(&ensemble, 1);
    client.send(&leave("3")).expect("a connection");
    // Whoever asks may lose the connection before the answer, as the leader changes.
    let _ = client.next_reply();
    let leader = ensemble.leader_among(&[1, 2]);
    until("all have the new configuration", || {
        (1..=3).all(|id| config_of(&ensemble, id).is_some_and(|text| !text.contains("server.3=")))
    });
    assert_eq!(ensemble.mode(3).as_deref(), Some("follower"), "led by {leader}");
    let text = settled(&ensemble, &[1, 2, 3]);
    (1..=2).for_each(|id| assert_files(&mut ensemble, id, &text));
    write(&ensemble, &[1, 2, 3], "/after");
    assert_alike(&ensemble, &[1, 2, 3]);
    // It is not needed any more.
    ensemble.server(3).kill();
    write(&ensemble, &[1, 2], "/without");
}

#[test]
fn ringkeepers_agree_on_who_decides_when_their_leader_dies_in_a_reconfig() {
    the_leader_dies_in_a_reconfig(&[Ringkeeper; 4]);
}

#[test]
fn ringkeepers_agree_on_who_decides_when_a_java_leader_dies_in_a_reconfig() {
    the_leader_dies_in_a_reconfig(&[Ringkeeper, Ringkeeper, JAVA, Ringkeeper]);
}

#[test]
fn java_servers_agree_on_who_decides_when_a_ringkeeper_that_leads_dies_in_a_reconfig() {
    the_leader_dies_in_a_reconfig(&[JAVA, JAVA, Ringkeeper, Ringkeeper]);
}

/// The followers are halted, so that the reconfig is proposed and not committed; then the leader is killed.
fn the_leader_dies_in_a_reconfig(kinds: &[Kind]) {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    let before = settled(&ensemble, &[1, 2, 3]);
    ensemble.start(&[4]);
    write(&ensemble, &[1, 2, 3, 4], "/before");
    let mut client = connected(&ensemble, 3);
    let request = Request::Reconfig {
        joining: line(&ensemble, 4, "participant").into(),
        leaving: "1".into(),
        members: Text::from_bytes(None),
        config: -1,
    };
    for id in [1, 2, 4] {
        ensemble.server(id).freeze();
    }
    client.send(&request).expect("a connection");
    let next = ensemble.server(3).dir().join("zoo.cfg.dynamic.next");
    until("the leader has proposed it", || next.exists());
    ensemble.server(3).kill();
    for id in [1, 2, 4] {
        ensemble.server(id).signal(Signal::CONT);
    }
    write(&ensemble, &[1, 2, 4], "/without");
    ensemble.start(&[3]);
    let after = settled(&ensemble, &[1, 2, 3, 4]);
    let is_new = after.contains("server.4=") && !after.contains("server.1=");
    assert!(is_new || after == before, "{after}");
    for id in 1..=4 {
        assert_files(&mut ensemble, id, &after);
    }
    write(&ensemble, &[1, 2, 3, 4], "/after");
    assert_alike(&ensemble, &[1, 2, 3, 4]);
}

#[test]
fn a_ringkeeper_moves_to_other_ports() {
    a_follower_moves_to_other_ports(&[Ringkeeper; 3]);
}

#[test]
fn a_ringkeeper_moves_to_other_ports_under_a_java_server() {
    a_follower_moves_to_other_ports(&[Ringkeeper, Ringkeeper, JAVA]);
}

#[test]
fn a_java_server_moves_to_other_ports_under_a_ringkeeper() {
    a_follower_moves_to_other_ports(&[JAVA, Ringkeeper, Ringkeeper]);
}

/// The first goes elsewhere; then the leader dies, and the first must be found there.
fn a_follower_moves_to_other_ports(kinds: &[Kind]) {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    settled(&ensemble, &[1, 2, 3]);
    let [quorum, election, client] = [Port::claim(), Port::claim(), Port::claim()];
    let (quorum, election, new) = (quorum.number(), election.number(), client.number());
    let moved = format!("server.1=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{new}");
    let (text, _) = reconfigured(&mut connected(&ensemble, 2), &join(&moved));
    assert!(text.contains(&moved), "{text}");
    ensemble.move_clients(1, new);
    assert_eq!(settled(&ensemble, &[1, 2, 3]), text);
    write(&ensemble, &[1, 2, 3], "/moved");
    ensemble.server(3).kill();
    ensemble.leader_among(&[1, 2]);
    write(&ensemble, &[1, 2], "/found");
    ensemble.start(&[3]);
    assert_alike(&ensemble, &[1, 2, 3]);
}

#[test]
fn servers_of_both_kinds_with_addresses_of_ipv6_come_and_go() {
    servers_come_and_go_at(&[JAVA, Ringkeeper, Ringkeeper, JAVA], of_ipv6);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn servers_with_addresses_of_ipv6_come_and_go_under_a_java_server() {
    servers_come_and_go_at(&[Ringkeeper, JAVA, JAVA, Ringkeeper], of_ipv6);
    servers_come_and_go_at(&[Ringkeeper; 4], of_ipv6);
}

#[test]
fn servers_of_both_kinds_with_several_addresses_come_and_go() {
    servers_come_and_go_at(&[JAVA, Ringkeeper, Ringkeeper, JAVA], several);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn servers_with_several_addresses_come_and_go_under_a_java_server() {
    servers_come_and_go_at(&[Ringkeeper, JAVA, JAVA, Ringkeeper], several);
    servers_come_and_go_at(&[Ringkeeper; 4], several);
}

/// Of these four, the first three are an ensemble, led by the third. The last comes, the first goes, and the leader
/// dies and comes back. Of a server's id and ports `at` makes its address.
fn servers_come_and_go_at(kinds: &[Kind], at: fn(u8, [u16; 2]) -> String) {
    let (voters, strangers) = kinds.split_at(3);
    let mut ensemble = ensemble(voters, strangers).config("multiAddress.enabled", true);
    // Java looks at this one while it reads the file.
    ensemble = ensemble.property("zookeeper.multiAddress.enabled", true);
    let line = |ensemble: &Ensemble, id: u8| {
        let client = ensemble.addr(id).port();
        format!("{}:participant;127.0.0.1:{client}", at(id, ensemble.peer_ports(id)))
    };
    for id in ensemble.ids() {
        let line = line(&ensemble, id);
        ensemble = ensemble.config(&format!("server.{id}"), line.as_str());
    }
    let mut ensemble = open_to_reconfig(ensemble, 3);
    ensemble.change(4, |settings| settings.without("peerType"));
    ensemble.start(&[1, 3]);
    ensemble.start(&[2, 4]);
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    let listed = |ids: &[u8], text: &str| {
        let lines: Vec<String> =
            ids.iter().map(|id| format!("server.{id}={}", line(&ensemble, *id))).collect();
        let (shown, _) = text.rsplit_once("\nversion=").expect("a version");
        assert_eq!(shown, lines.join("\n").replace("[::1]", "[0:0:0:0:0:0:0:1]"));
    };
    listed(&[1, 2, 3], &settled(&ensemble, &[1, 2, 3, 4]));
    let joining = format!("server.4={}", line(&ensemble, 4));
    let (text, _) = reconfigured(&mut connected(&ensemble, 2), &join(&joining));
    listed(&[1, 2, 3, 4], &text);
    let (text, _) = reconfigured(&mut connected(&ensemble, 4), &leave("1"));
    listed(&[2, 3, 4], &text);
    write(&ensemble, &[2, 3, 4], "/without-one");
    assert_eq!(settled(&ensemble, &[2, 3, 4]), text);
    ensemble.server(1).kill();
    ensemble.server(3).kill();
    write(&ensemble, &[2, 4], "/without-the-leader");
    ensemble.start(&[3]);
    for id in [2, 3, 4] {
        assert_files(&mut ensemble, id, &text);
    }
    assert_alike(&ensemble, &[2, 3, 4]);
}

fn of_ipv6(_: u8, [quorum, election]: [u16; 2]) -> String {
    format!("[::1]:{quorum}:{election}")
}

fn several(id: u8, [quorum, election]: [u16; 2]) -> String {
    format!("127.0.1.{id}:{quorum}:{election}|127.0.2.{id}:{quorum}:{election}")
}

#[test]
fn groups_take_the_place_of_majorities_under_a_ringkeeper() {
    groups_take_the_place_of_majorities(&[JAVA, Ringkeeper, Ringkeeper]);
}

#[test]
fn groups_take_the_place_of_majorities_under_a_java_server() {
    groups_take_the_place_of_majorities(&[Ringkeeper, Ringkeeper, JAVA]);
}

/// The third leads, and weighs enough to decide alone from then on.
fn groups_take_the_place_of_majorities(kinds: &[Kind]) {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    settled(&ensemble, &[1, 2, 3]);
    let lines = [1, 2, 3].map(|id| line(&ensemble, id, "participant")).join(",");
    let weights = "group.1=1:2:3,weight.1=1,weight.2=1,weight.3=3";
    let mut client = connected(&ensemble, 3);
    let (text, _) = reconfigured(&mut client, &full(&format!("{lines},{weights}")));
    assert!(text.contains("\nweight.3=3\n"), "{text}");
    assert_eq!(settled(&ensemble, &[1, 2, 3]), text);
    let one_more = join(&line(&ensemble, 1, "observer"));
    assert_eq!(call(&mut client, &one_more).0, BAD_ARGUMENTS, "groups are replaced as a whole");
    for id in [1, 2] {
        ensemble.server(id).kill();
    }
    write(&ensemble, &[3], "/alone");
    ensemble.start(&[1, 2]);
    assert_eq!(settled(&ensemble, &[1, 2, 3]), text);
    assert_alike(&ensemble, &[1, 2, 3]);
}

#[test]
fn one_ringkeeper_grows_to_three() {
    let mut ensemble = reconfigurable(&[Ringkeeper; 3], 1);
    for id in ensemble.ids() {
        ensemble.change(id, |settings| settings.config("standaloneEnabled", "false"));
    }
    ensemble.start(&[1]);
    assert_eq!(ensemble.mode(1).as_deref(), Some("leader"));
    for id in [2, 3] {
        ensemble.start(&[id]);
        let (text, _) =
            reconfigured(&mut connected(&ensemble, 1), &join(&line(&ensemble, id, "participant")));
        assert_eq!(settled(&ensemble, &ensemble.ids()[..usize::from(id)]), text);
    }
    ensemble.server(1).kill();
    ensemble.leader_among(&[2, 3]);
    write(&ensemble, &[2, 3], "/grown");
    ensemble.start(&[1]);
    assert_alike(&ensemble, &[1, 2, 3]);
}

#[test]
fn only_who_may_write_the_node_may_reconfigure() {
    for kinds in [[Ringkeeper; 2], [JAVA; 2]] {
        let mut ensemble = Ensemble::new(env!("CARGO_BIN_EXE_ringkeeper"), &kinds, &[])
            .property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
        for id in ensemble.ids() {
            ensemble.change(id, |settings| settings.config("reconfigEnabled", "true").keep_config());
        }
        ensemble.start(&[1, 2]);
        let mut client = connected(&ensemble, 1);
        let request = join(&line(&ensemble, 1, "participant"));
        assert_eq!(call(&mut client, &request).0, NO_AUTH, "{kinds:?}");
        let auth = Request::Auth { scheme: "digest".into(), auth: "super:admin".into() };
        assert_eq!(call(&mut client, &auth).0, 0);
        assert_eq!(call(&mut client, &request).0, 0, "{kinds:?}");
    }
}

#[test]
fn a_reconfig_is_refused_where_it_is_disabled_and_the_node_shows_the_file() {
    for kinds in [[Ringkeeper; 2], [JAVA; 2]] {
        let mut ensemble = ensemble(&kinds, &[]);
        ensemble.start(&[1, 2]);
        let mut client = connected(&ensemble, 2);
        assert_eq!(call(&mut client, &leave("1")).0, RECONFIG_DISABLED, "{kinds:?}");
        let text = config_of(&ensemble, 1).expect("a configuration");
        assert!(text.starts_with("server.1=127.0.0.1:") && text.ends_with("\nversion=0"), "{text}");
    }
}

#[test]
fn zkcli_reconfigures_and_shows_configurations_as_with_java() {
    let (java, ringkeeper) = (zkcli_answers(&[JAVA; 4]), zkcli_answers(&[Ringkeeper; 4]));
    assert!(java.iter().any(|line| line.contains("Committed new configuration:")), "{java:#?}");
    assert_eq!(ringkeeper, java);
}

/// What zkCli prints for its commands, the ports by their names.
fn zkcli_answers(kinds: &[Kind]) -> Vec<String> {
    let mut ensemble = reconfigurable(kinds, 3);
    start_led_by(&mut ensemble, 3, &[1, 2, 3]);
    settled(&ensemble, &[1, 2, 3]);
    ensemble.start(&[4]);
    let (observer, voter) = (line(&ensemble, 4, "observer"), line(&ensemble, 4, "participant"));
    let file = ensemble.server(1).dir().join("members");
    let members = [1, 2, 3].map(|id| line(&ensemble, id, "participant"));
    fs::write(&file, members.join("\n")).expect("the server's folder can be written");
    let file = file.display().to_string();
    let commands: &[&[&str]] = &[
        &["config"],
        &["config", "-c"],
        &["config", "-s"],
        &["reconfig", "-add", &observer],
        &["reconfig", "-s", "-add", &voter],
        &["reconfig", "-v", "5", "-remove", "4"],
        &["reconfig", "-remove", "4"],
        &["reconfig", "-remove", "1,2"],
        &["reconfig", "-file", &file],
        &["reconfig", "-members", &members.join(",")],
        &["config"],
    ];
    let mut answers = Vec::new();
    for command in commands {
        answers.push(format!("> {}", command[..2.min(command.len())].join(" ")));
        answers.extend(zkcli(&ensemble, 1, command));
    }
    let mut names: Vec<(String, String)> = Vec::new();
    for id in ensemble.ids() {
        let [quorum, election] = ensemble.peer_ports(id);
        let ports = [(quorum, "quorum"), (election, "election"), (ensemble.addr(id).port(), "client")];
        names.extend(ports.map(|(port, name)| (port.to_string(), format!("<{name} port of {id}>"))));
    }
    let named = |line: String| names.iter().fold(line, |line, (port, name)| line.replace(port, name));
    // Versions but the first are zxids, which sessions take as well.
    let versioned =
        |line: String| match ["version=", "mZxid = "].iter().find(|start| line.starts_with(**start)) {
            Some(start) if !line.ends_with("100000000") => format!("{start}<a zxid>"),
            _ => line,
        };
    // When a server learned of its first configuration, it says itself.
    let is_same = |line: &String| !["ctime", "mtime"].iter().any(|time| line.starts_with(time));
    answers.into_iter().map(named).map(versioned).filter(is_same).collect()
}

/// What zkCli prints for one command.
fn zkcli(ensemble: &Ensemble, id: u8, command: &[&str]) -> Vec<String> {
    let address = ensemble.addr(id).to_string();
    let ran = std::process::Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=off")
        .arg("-cp")
        .arg(ringkeeper_kit::deps::java_classpath(Release::V3_9))
        .args(["org.apache.zookeeper.ZooKeeperMain", "-waitforconnection", "-server", &address])
        .args(command)
        .output()
        .expect("a JVM");
    let printed = [ran.stdout, ran.stderr].concat();
    let noise = ["Connecting to", "WATCHER::", "WatchedEvent"];
    let text = String::from_utf8_lossy(&printed).into_owned();
    let is_answer = |line: &&str| !line.is_empty() && !noise.iter().any(|noise| line.starts_with(noise));
    text.lines().filter(is_answer).map(str::to_owned).collect()
}

/// What both answer alike.
fn assert_refusals(ensemble: &Ensemble, text: &str) {
    let mut client = connected(ensemble, 2);
    let stale = Request::Reconfig {
        joining: Text::from_bytes(None),
        leaving: "1".into(),
        members: Text::from_bytes(None),
        config: 5,
    };
    let mut expect = |err: i32, request: &Request, why: &str| {
        assert_eq!(call(&mut client, request).0, err, "{why}: {request:?}");
    };
    expect(BAD_VERSION, &stale, "another version");
    expect(BAD_ARGUMENTS, &leave("1,2,3"), "one voter is left");
    expect(BAD_ARGUMENTS, &join("server.5=127.0.0.1:1:2"), "no client port");
    expect(BAD_ARGUMENTS, &join("server.5"), "no address");
    expect(BAD_ARGUMENTS, &join("server.5=127.0.0.1:1:1;3"), "twice the same port");
    expect(MARSHALLING_ERROR, &join("server.x=127.0.0.1:1:2;3"), "no number");
    expect(MARSHALLING_ERROR, &leave("x"), "no number");
    expect(BAD_ARGUMENTS, &full("nonsense=1"), "a foreign key");
    expect(MARSHALLING_ERROR, &full("server.1=127.0.0.1:1:2:observer;3"), "nobody votes");
    let absent = "server.7=127.0.0.1:1:2;3,server.8=127.0.0.1:4:5;6,server.9=127.0.0.1:7:8;9";
    expect(NEW_CONFIG_NO_QUORUM, &full(absent), "nobody is there");
    assert_eq!(config_of(ensemble, 2).as_deref(), Some(text), "nothing has changed");
}

/// The first `members` of these are an ensemble; each of the others knows that, and itself as an observer.
fn reconfigurable(kinds: &[Kind], members: u8) -> Ensemble {
    open_to_reconfig(ensemble(&kinds[..usize::from(members)], &kinds[usize::from(members)..]), members)
}

/// None of the members' files names the others.
fn open_to_reconfig(mut ensemble: Ensemble, members: u8) -> Ensemble {
    for id in ensemble.ids() {
        let strangers = ensemble.ids().into_iter().filter(|other| *other > members && *other != id);
        let keys: Vec<String> = strangers.map(|other| format!("server.{other}")).collect();
        ensemble.change(id, |settings| {
            let settings = settings.config("reconfigEnabled", "true").config("skipACL", "yes").keep_config();
            keys.iter().fold(settings, |settings, key| settings.without(key))
        });
    }
    ensemble
}

/// With one other it is a quorum, and of two without a history the one with the larger id leads.
fn start_led_by(ensemble: &mut Ensemble, leader: u8, ids: &[u8]) {
    let others: Vec<u8> = ids.iter().copied().filter(|id| *id != leader).collect();
    ensemble.start_alone(leader);
    ensemble.start(&others[..1]);
    ensemble.until_serving(&[leader]);
    ensemble.start(&others[1..]);
    assert_eq!(ensemble.leader_among(ids), leader);
}

fn line(ensemble: &Ensemble, id: u8, role: &str) -> String {
    let [quorum, election] = ensemble.peer_ports(id);
    let client = ensemble.addr(id).port();
    format!("server.{id}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}")
}

fn join(lines: &str) -> Request {
    Request::Reconfig {
        joining: lines.into(),
        leaving: Text::from_bytes(None),
        members: Text::from_bytes(None),
        config: -1,
    }
}

fn leave(ids: &str) -> Request {
    Request::Reconfig {
        joining: Text::from_bytes(None),
        leaving: ids.into(),
        members: Text::from_bytes(None),
        config: -1,
    }
}

fn full(members: &str) -> Request {
    Request::Reconfig {
        joining: Text::from_bytes(None),
        leaving: Text::from_bytes(None),
        members: members.into(),
        config: -1,
    }
}

fn watched_config() -> Request {
    Request::GetData { path: CONFIG.into(), watch: true }
}

fn connected(ensemble: &Ensemble, id: u8) -> Client {
    let mut client = None;
    until(&format!("server {id} takes a client"), || match Client::connect(ensemble.addr(id)) {
        Ok(connected) => client.insert(connected).granted().granted(),
        Err(_) => false,
    });
    client.expect("until returns when it is so")
}

fn call(client: &mut Client, request: &Request) -> (i32, Body) {
    let reply = client.call(request).expect("a reply");
    (reply.err, reply.body)
}

fn reconfigured(client: &mut Client, request: &Request) -> (String, Stat) {
    match call(client, request) {
        (0, Body::Data(Some(data), stat)) => (String::from_utf8(data).expect("text"), stat),
        other => panic!("{request:?}: {other:?}"),
    }
}

/// What a server's node shows; none if the server does not serve.
fn config_of(ensemble: &Ensemble, id: u8) -> Option<String> {
    let mut client = Client::connect(ensemble.addr(id)).ok()?;
    let reply = client.call(&Request::GetData { path: CONFIG.into(), watch: false }).ok()?;
    match reply.body {
        Body::Data(Some(data), _) => String::from_utf8(data).ok(),
        _ => None,
    }
}

/// What all these servers show, as soon as they show the same.
fn settled(ensemble: &Ensemble, ids: &[u8]) -> String {
    let mut shown = String::new();
    until(&format!("servers {ids:?} show one configuration"), || {
        let texts: Option<Vec<String>> = ids.iter().map(|id| config_of(ensemble, *id)).collect();
        let Some(texts) = texts else { return false };
        shown.clone_from(&texts[0]);
        texts.iter().all(|text| *text == texts[0])
    });
    shown
}

/// The files of a server say what the configuration says.
fn assert_files(ensemble: &mut Ensemble, id: u8, text: &str) {
    let (lines, version) = text.rsplit_once("\nversion=").expect("a version");
    let dir = ensemble.server(id).dir().to_owned();
    let dynamic = dir.join(format!("zoo.cfg.dynamic.{version}"));
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default();
    until(&format!("server {id} has written {}", dynamic.display()), || read(&dynamic) == lines);
    let pointer = format!("dynamicConfigFile={}", dynamic.display());
    until(&format!("server {id} points to it"), || read(&dir.join("zoo.cfg")).contains(&pointer));
    assert!(!read(&dir.join("zoo.cfg")).contains("server."));
    until("nothing is proposed", || !dir.join("zoo.cfg.dynamic.next").exists());
}

/// Each of these servers takes a write.
fn write(ensemble: &Ensemble, ids: &[u8], path: &str) {
    for id in ids {
        until(&format!("server {id} takes a write"), || {
            let Ok(mut client) = Client::connect(ensemble.addr(*id)) else { return false };
            let request = Request::create(format!("{path}-{id}"), b"", create_mode::PERSISTENT);
            client.call(&request).is_ok_and(|reply| [0, NODE_EXISTS].contains(&reply.err))
        });
    }
}

const CONFIG: &str = "/zookeeper/config";
const NODE_DATA_CHANGED: i32 = 3;
const MARSHALLING_ERROR: i32 = -5;
const BAD_ARGUMENTS: i32 = -8;
const NEW_CONFIG_NO_QUORUM: i32 = -13;
const NO_AUTH: i32 = -102;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
const RECONFIG_DISABLED: i32 = -123;
/// Of the password `admin`.
const SUPER_DIGEST: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
