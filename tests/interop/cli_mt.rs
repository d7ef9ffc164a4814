//! Debian's shell for the C client, `cli_mt`: each of its commands that ends by itself, in a process of its own.

use std::process::{Command, Stdio};

use regex::Regex;
use ringkeeper_kit::deps;
use ringkeeper_kit::server::Server;

use crate::golden::assert_same_transcript;

#[test]
fn cli_mt_answers_every_command_as_with_java() {
    assert_same_transcript(
        "cli_mt.txt",
        |settings| settings.property("zookeeper.extendedTypesEnabled", true),
        |server| COMMANDS.iter().map(|command| transcript(server, command)).collect(),
    );
}

fn transcript(server: &Server, command: &str) -> String {
    let run = Command::new(deps::packaged("/usr/lib/zookeeper/bin/cli_mt"))
        .args(["--host", &server.addr().to_string(), "--cmd", command])
        .stdin(Stdio::null())
        .output()
        .expect("cli_mt can be run");
    assert!(run.status.success(), "cli_mt {command} ended with {}", run.status);
    normalised(&String::from_utf8_lossy(&run.stderr))
}

/// Without times and the news of the session, which another thread prints, without the client's complaint of a
/// close that took longer than its 1.5 seconds, which a busy disk decides, and with children, which the server
/// may list in any order, sorted.
fn normalised(printed: &str) -> String {
    let replacements = [
        (r"(?m)^time = .*\n", ""),
        (r"(?m)^Watcher SESSION_EVENT .*\n", ""),
        (r"(?m)^Got a new session id: .*\n", ""),
        (r"(?m)^.*ZOO_WARN@wait_for_session_to_be_closed@.*\n\n?", ""),
        (r"(?m)^(\t[cm]time ?= ?).*$", "${1}<time>"),
    ];
    let text = replacements.iter().fold(printed.to_owned(), |text, (pattern, name)| {
        Regex::new(pattern).expect("a pattern of this file").replace_all(&text, *name).into_owned()
    });
    let mut lines: Vec<&str> = text.lines().collect();
    let is_child = |line: &str| line.starts_with('\t') && !line.contains('=');
    for children in lines.chunk_by_mut(|a, b| is_child(a) && is_child(b)) {
        children.sort_unstable();
    }
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

const COMMANDS: &[&str] = &[
    "create /a",
    "create /a",
    "create +e /ephemeral",
    "create +s /a/s-",
    "create +es /a/es-",
    "create +c /container",
    "create +t=3600000 /ttl",
    "create /nope/child",
    "create2 /b",
    "create2 /b",
    "create2 +s /b/s-",
    "set /a data",
    "set /nope data",
    "get /a",
    "get /nope",
    "ls /",
    "ls /a",
    "ls /nope",
    "ls2 /",
    "ls2 /nope",
    "sync /",
    "config",
    "reconfig -remove 5",
    "delete /b",
    "delete /container",
    "delete /nope",
    "delete /zookeeper",
];
