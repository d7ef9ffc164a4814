//! Four-letter words of ensembles (admin §1), ringkeepers' beside Java servers'.

use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::{Server, until};
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;

#[test]
fn operators_see_of_an_ensemble_what_java_shows() {
    assert_eq!(seen(Ringkeeper), seen(Java(Release::V3_9)));
}

/// Three voters, of which the last leads, and an observer; a client with an ephemeral at each.
fn seen(kind: Kind) -> Vec<String> {
    let mut ensemble = ensemble(&[kind; 3], &[kind]);
    ensemble.start_alone(3);
    let mut seen = Vec::new();
    for word in WORDS {
        let answer = ensemble.server(3).word(word).expect("an answer");
        seen.push(format!("looking, {word}: {answer:?}"));
    }
    assert!(ensemble.server(3).word("envi").expect("an answer").starts_with("Environment:\n"));
    ensemble.start(&[1]);
    ensemble.start(&[2, 4]);
    assert_eq!(ensemble.leader_among(&ensemble.ids()), 3);
    until("every learner is up to date", || {
        let mntr = ensemble.server(3).word("mntr").expect("an answer");
        mntr.contains("zk_synced_followers\t2\n") && mntr.contains("zk_synced_observers\t1\n")
    });
    let mut clients: Vec<Client> =
        ensemble.ids().iter().map(|id| Client::connect(ensemble.addr(*id)).expect("a session")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let request = Request::create(format!("/mine-{number}"), b"", create_mode::EPHEMERAL);
        assert_eq!(client.call(&request).expect("a reply").err, 0);
    }
    for client in &mut clients {
        assert_eq!(client.call(&Request::sync("/")).expect("a reply").err, 0);
    }
    for id in ensemble.ids() {
        let server = ensemble.server(id);
        for word in ["isro", "srvr", "stat", "mntr", "conf", "cons", "dump"] {
            let answer = match word {
                "dump" => whole_dump(server),
                _ => server.word(word).expect("an answer"),
            };
            seen.extend(essence(word, &answer).into_iter().map(|line| format!("{id} {word}: {line}")));
        }
    }
    assert_eq!(ensemble.server(3).word("srst").expect("an answer"), "Server stats reset.\n");
    let after = ensemble.server(3).word("srvr").expect("an answer");
    seen.extend(after.lines().filter(|line| line.starts_with("Proposal")).map(str::to_owned));
    seen
}

/// What `dump` lists when it lists all sessions that it counts. A Java server that leads lists one set of them after the
/// other, and in neither what goes from one to another meanwhile, because a follower has told that it was heard.
fn whole_dump(server: &Server) -> String {
    let mut answer = String::new();
    until("as many sessions are listed as are counted", || {
        answer = server.word("dump").expect("an answer");
        let Some((_, sets)) = answer.split_once("\nSession Sets (") else { return true };
        let (counts, sets) = sets.split_once("):\n").expect("sets behind their counts");
        let listed = sets.lines().take_while(|line| !line.ends_with("dump:"));
        let listed = listed.filter(|line| line.starts_with("\t0x")).count();
        counts.split_once(")/(").is_some_and(|(_, counted)| counted.parse() == Ok(listed))
    });
    answer
}

/// What of an answer is the same for servers of both kinds: without what is measured, and the order that Java
/// leaves to its hash tables.
fn essence(word: &str, answer: &str) -> Vec<String> {
    let lines = answer.lines();
    match word {
        "srvr" | "stat" => lines
            .map(|line| match line.split_once(": ") {
                Some((key @ ("Mode" | "Zxid" | "Node count"), value)) => format!("{key}: {value}"),
                Some((key @ "Proposal sizes last/min/max", sizes)) => {
                    let sizes: Vec<i64> =
                        sizes.split('/').map(|size| size.parse().expect("a size")).collect();
                    let is_ordered = 0 < sizes[1] && sizes[1] <= sizes[0] && sizes[0] <= sizes[2];
                    format!("{key}: {is_ordered}")
                }
                Some((key, _)) => key.into(),
                None => line.split('/').next().unwrap_or_default().into(),
            })
            .collect(),
        "mntr" => {
            let mut figures: Vec<String> = lines
                .filter_map(|line| line.split_once('\t'))
                .filter(|(key, _)| FIGURES.contains(&key.trim_start_matches("zk_")))
                .map(|(key, value)| match key {
                    "zk_leader_uptime"
                    | "zk_last_proposal_size"
                    | "zk_min_proposal_size"
                    | "zk_max_proposal_size" => {
                        format!("{key} {}", value.parse::<i64>().is_ok_and(|value| value > 0))
                    }
                    _ => format!("{key} {value}"),
                })
                .collect();
            figures.sort();
            figures
        }
        "conf" => lines
            .filter(|line| !["clientPort=", "data"].iter().any(|key| line.starts_with(key)))
            .map(|line| {
                if line.contains("ort=") || line.starts_with("server.") {
                    without_ports(line)
                } else {
                    line.into()
                }
            })
            .collect(),
        "cons" => lines
            .filter(|line| line.contains("sid="))
            .map(|line| {
                let fields = line.split_once('(').expect("a list").1.trim_end_matches(')').split(',');
                let shown = |field: &str| {
                    let (key, value) = field.split_once('=').expect("a field");
                    let is_same = ["lop", "to", "lcxid", "lzxid", "recved", "sent", "queued"].contains(&key);
                    if is_same { format!("{key}={value}") } else { key.into() }
                };
                fields.map(shown).collect::<Vec<_>>().join(",")
            })
            .collect(),
        "dump" => {
            let mut all: Vec<String> = lines
                .take_while(|line| !line.starts_with("Connections dump"))
                .filter(|line| !line.contains(" expire at "))
                .map(|line| match line.split_once("Sets (") {
                    Some((what, counts)) => {
                        format!("{what}{}", counts.split('/').next_back().unwrap_or_default())
                    }
                    None => by_server(line),
                })
                .collect();
            all.sort();
            all
        }
        _ => vec![answer.into()],
    }
}

/// Ports are claimed where they are free.
fn without_ports(line: &str) -> String {
    let is_port = |part: &str| part.len() > 3 && part.chars().all(|digit| digit.is_ascii_digit());
    line.split_inclusive([':', '=', '|'])
        .map(|part| {
            let bare = part.trim_end_matches([':', '=', '|']);
            if is_port(bare) { part.replace(bare, "PORT") } else { part.into() }
        })
        .collect()
}

/// Of a session's id the digits that name its server.
fn by_server(line: &str) -> String {
    match line.trim_start().strip_prefix("0x") {
        Some(session) => {
            let digits = session.chars().take_while(char::is_ascii_hexdigit).count();
            format!("{}{}", &session[..1], &session[digits..])
        }
        None => line.into(),
    }
}

const WORDS: &[&str] = &[
    "ruok", "isro", "srvr", "stat", "mntr", "conf", "cons", "dump", "dirs", "wchs", "wchc", "wchp", "crst",
    "srst",
];

const FIGURES: &[&str] = &[
    "server_state",
    "peer_state",
    "quorum_size",
    "learners",
    "synced_followers",
    "synced_non_voting_followers",
    "synced_observers",
    "pending_syncs",
    "leader_uptime",
    "last_proposal_size",
    "min_proposal_size",
    "max_proposal_size",
    "global_sessions",
    "local_sessions",
    "ephemerals_count",
    "znode_count",
    "num_alive_connections",
];

#[test]
fn a_leader_that_serves_nobody_leads_and_says_that_it_does_not_serve() {
    assert_eq!(seen_of_an_idle_leader(Ringkeeper), seen_of_an_idle_leader(Java(Release::V3_9)));
}

fn seen_of_an_idle_leader(kind: Kind) -> Vec<String> {
    let mut ensemble = ensemble(&[kind; 3], &[]).property("zookeeper.leaderServes", "no");
    ensemble.start_alone(3);
    ensemble.start(&[1]);
    ensemble.start(&[2]);
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    let created = client.call(&Request::create("/node", b"", create_mode::PERSISTENT)).expect("a reply").err;
    let refused = Client::connect(ensemble.addr(3)).is_err();
    let modes: Vec<_> = [1, 2, 3].iter().map(|id| ensemble.mode(*id)).collect();
    let words = ["srvr", "isro", "ruok"].map(|word| ensemble.server(3).word(word).expect("an answer"));
    vec![format!("{modes:?} {created} {refused} {words:?}")]
}
