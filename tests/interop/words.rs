//! Four-letter words that list what is there, as Java prints them.

use std::collections::BTreeMap;

use regex::Regex;
use ringkeeper_kit::java;
use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{Client, ConnectRequest, Request, create_mode, watch_mode};

#[test]
fn dump_wchc_and_wchp_list_what_a_java_server_lists() {
    let java = Listed::on(java::server());
    assert!(java.words["dump"].contains("Sessions with Ephemerals (2):"), "{}", java.words["dump"]);
    assert!(java.words["wchc"].contains("<long>\n\t/deep\n\t/none\n\t/p\n"), "{}", java.words["wchc"]);
    assert!(java.words["wchp"].contains("/p\n\t<long>\n\t<short>\n"), "{}", java.words["wchp"]);
    let single = crate::ringkeeper_server().config("ringkeeper.layout", "single");
    assert_eq!(Listed::on(single), java);
    let split =
        crate::ringkeeper_server().config("ringkeeper.layout", "split").config("ringkeeper.shards", 2);
    assert_eq!(Listed::on(split), java);
}

#[test]
fn nothing_is_listed_where_nothing_is_there() {
    let own = r"(?m)^Connections Sets .*\n|^\d+ expire at .*\n|^\tip: .*\n";
    let own = Regex::new(own).expect("a pattern");
    for word in ["dump", "wchc", "wchp"] {
        let answers = [java::server(), crate::ringkeeper_server()].map(|settings| {
            let server = settings.start();
            // Starting asks words of its own, whose connections a dump may still list.
            let answer = server.word(word).expect("an answer");
            own.replace_all(&answer, "").into_owned()
        });
        assert_eq!(answers[0], answers[1], "{word}");
    }
}

/// The digests themselves hold times; `tests/ensemble` compares them.
#[test]
fn hash_shows_what_java_shows_with_digests_and_without() {
    let digest = Regex::new(r"(?m): -?[1-9]\d*$").expect("a pattern");
    for enabled in [true, false] {
        let [java, own] = [java::server(), crate::ringkeeper_server()].map(|settings| {
            let server = settings.property("zookeeper.digest.enabled", enabled).start();
            let mut client = Client::connect(server.addr()).expect("a session");
            assert_eq!(server.word("hash").expect("an answer"), "");
            // The session's own transaction was the first.
            for number in 2..=300 {
                does(&mut client, Request::create(format!("/{number}"), b"", 0));
            }
            let mntr = server.word("mntr").expect("an answer");
            assert!(mntr.contains("zk_digest_mismatches_count\t0\n"), "{mntr}");
            server.word("hash").expect("an answer")
        });
        let without_digests = |answer: &str| match enabled {
            true => digest.replace_all(answer, ": N").into_owned(),
            false => answer.to_owned(),
        };
        if enabled {
            assert_eq!(without_digests(&java), "80: N\n100: N\n");
        }
        assert_eq!(without_digests(&own), without_digests(&java), "digest.enabled={enabled}");
    }
}

/// What the words list once two clients have done the same as on any other server.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    words: BTreeMap<&'static str, String>,
}

impl Listed {
    fn on(settings: Settings) -> Listed {
        let server = settings.start();
        let mut clients = [("short", 10_000), ("long", 30_000)].map(|(name, timeout_ms)| {
            let request = ConnectRequest { timeout_ms, ..ConnectRequest::default() };
            (name, Client::connect_as(server.addr(), &request).expect("a session"))
        });
        let [(_, short), (_, long)] = &mut clients;
        for path in ["/p", "/p/of-nobody"] {
            does(short, Request::create(path, b"", 0));
        }
        does(short, Request::create("/e", b"", create_mode::EPHEMERAL));
        does(short, Request::create("/p/e", b"", create_mode::EPHEMERAL));
        does(long, Request::create("/p/of-long", b"", create_mode::EPHEMERAL));
        does(short, Request::get_data("/p", true));
        does(short, Request::GetChildren { path: "/e".into(), watch: true });
        does(long, Request::exists("/p", true));
        assert_eq!(long.call(&Request::exists("/none", true)).expect("a reply").err, NO_NODE);
        does(long, Request::AddWatch { path: "/deep".into(), mode: watch_mode::PERSISTENT_RECURSIVE });
        does(short, Request::AddWatch { path: "/wide".into(), mode: watch_mode::PERSISTENT });

        let names: Vec<_> = clients
            .iter_mut()
            .flat_map(|(name, client)| {
                let session = client.granted().session;
                let address = client.wire().local_addr().expect("a connected socket");
                [
                    (format!("0x{session:x}"), format!("<{name}>")),
                    (address.to_string(), format!("{name}:port")),
                ]
            })
            .collect();
        let words = ["dump", "wchc", "wchp"].map(|word| (word, listed(&server, word, &names)));
        Listed { words: words.into() }
    }
}

/// An answer with names for what differs from run to run, and its groups and their items in order, which Java
/// leaves to its hash tables.
fn listed(server: &Server, word: &str, names: &[(String, String)]) -> String {
    let mut answer = server.word(word).expect("an answer");
    for (from, to) in names {
        answer = answer.replace(from, to);
    }
    // Who asks is among the connections, and who asked last may still be.
    let asker = Regex::new(r"\tip: /127\.0\.0\.1:\d+ sessionId: 0x0\n").expect("a pattern");
    answer = asker.replace_all(&answer, "").into_owned();
    // When a connection expires is rounded otherwise: each server has its own sets.
    let set = Regex::new(
        r"(?m)^\d+ expire at (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]+ \d{4}:\n",
    );
    answer = set.expect("a pattern").replace_all(&answer, "").into_owned();
    let count = Regex::new(r"Sets \(\d+\)/\(\d+\):").expect("a pattern");
    in_order(&count.replace_all(&answer, "Sets:"))
}

/// The groups of each part of an answer, in order: a group is a line and those with a tab that follow it, a part
/// ends where a line that says "dump:" begins the next.
fn in_order(answer: &str) -> String {
    let mut parts: Vec<Vec<(&str, Vec<&str>)>> = vec![Vec::new()];
    for line in answer.lines() {
        if line.ends_with("dump:") {
            parts.push(Vec::new());
        }
        let groups = parts.last_mut().expect("there is one from the start");
        match groups.last_mut() {
            Some((_, items)) if line.starts_with('\t') => items.push(line),
            _ => groups.push((line, Vec::new())),
        }
    }
    let mut lines = Vec::new();
    for groups in &mut parts {
        groups.iter_mut().for_each(|(_, items)| items.sort_unstable());
        groups.sort();
        lines.extend(
            groups.iter().flat_map(|(heading, items)| [*heading].into_iter().chain(items.iter().copied())),
        );
    }
    lines.join("\n")
}

fn does(client: &mut Client, request: Request) {
    assert_eq!(client.call(&request).expect("a reply").err, 0, "{request:?}");
}

const NO_NODE: i32 = -101;
