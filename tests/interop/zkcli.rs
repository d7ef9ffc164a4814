//! The real client shell, zkCli, through scripts of its commands.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _, pipe};
use std::mem;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use regex::Regex;
use ringkeeper_kit::deps;
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::{Server, Settings};

use crate::golden::assert_same_transcript;
use crate::source;

#[test]
fn zkcli_answers_every_command_as_with_java() {
    assert_same_answers("every_command");
}

#[test]
fn zkcli_answers_the_same_as_with_java_where_extended_types_and_quotas_are_left_off() {
    assert_same_answers("defaults");
}

fn assert_same_answers(name: &str) {
    let path = source(&format!("zkcli/{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let steps: Vec<Step> = text.lines().filter_map(Step::parse).collect();
    let configure = |settings: Settings| {
        steps.iter().fold(settings, |settings, step| match step {
            Step::Property(name, value) => settings.property(name, value),
            _ => settings,
        })
    };
    assert_same_transcript(&format!("zkcli_{name}.txt"), configure, |server| transcript(&steps, server));
}

/// A line of a script; the form is told in every_command.txt.
enum Step {
    Property(String, String),
    Heading(String),
    Command(String),
    /// So many watch events more are to come before the script goes on.
    Events(usize),
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        if let Some(property) = line.strip_prefix("%property ") {
            let (name, value) = property.split_once('=').expect("%property name=value");
            return Some(Self::Property(name.into(), value.into()));
        }
        if let Some(count) = line.strip_prefix("%events ") {
            return Some(Self::Events(count.parse().expect("%events N")));
        }
        if line.starts_with('#') {
            return Some(Self::Heading(line.into()));
        }
        (!line.is_empty()).then(|| Self::Command(line.into()))
    }
}

/// What zkCli printed, command by command, without what differs from run to run.
fn transcript(steps: &[Step], server: &Server) -> String {
    let address = server.addr().to_string();
    let mut shell = Shell::start(&address);
    let mut transcript = Vec::new();
    shell.wait_for_events(1); // SyncConnected.
    let mut command = "";
    for step in steps {
        match step {
            Step::Property(..) => {}
            Step::Events(count) => shell.wait_for_events(*count),
            Step::Heading(_) | Step::Command(_) => transcript.extend(ordered(command, shell.take_output())),
        }
        match step {
            Step::Property(..) | Step::Events(_) => {}
            Step::Heading(heading) => transcript.extend([String::new(), heading.clone()]),
            Step::Command(next) => {
                command = next;
                transcript.push(format!("> {command}"));
                shell.run(&command.replace("{server}", &address));
            }
        }
    }
    shell.wait_for_end();
    transcript.extend(ordered(command, shell.take_output()));
    normalised(&transcript.join("\n"), &address)
}

/// A running zkCli. Without a terminal it prints neither prompt nor echo, so each command is followed by one
/// whose answer is known, which marks where the first one's output ends.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    printed: Vec<String>,
    events: Vec<String>,
    events_seen: usize,
    events_due: usize,
    /// Without a connection zkCli adds a complaint to the marker's answer.
    marked: bool,
}

impl Shell {
    fn start(address: &str) -> Self {
        let (reader, writer) = pipe().expect("a pipe");
        let mut child = Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"])
            // The answers alone: what the client library logs goes to the same place.
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=off")
            .arg("-cp")
            .arg(deps::java_classpath(Release::V3_9))
            .args(["org.apache.zookeeper.ZooKeeperMain", "-waitforconnection", "-server", address])
            .stdin(Stdio::piped())
            // One pipe for answers and errors keeps their order.
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer)
            .spawn()
            .expect("java");
        let stdin = child.stdin.take().expect("it is piped");
        let lines = lines_of(reader);
        Self {
            child,
            stdin,
            lines,
            printed: Vec::new(),
            events: Vec::new(),
            events_seen: 0,
            events_due: 0,
            marked: false,
        }
    }

    fn run(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("zkCli takes commands");
        if command == QUIT {
            return;
        }
        writeln!(self.stdin, "{MARKER}").expect("zkCli takes commands");
        while self.printed.pop_if(|line| line == MARKER_ANSWER).is_none() {
            self.read_line();
        }
        self.marked = true;
    }

    /// Waits for `count` events more than earlier calls waited for.
    fn wait_for_events(&mut self, count: usize) {
        self.events_due += count;
        while self.events_seen < self.events_due {
            self.read_line();
        }
    }

    fn wait_for_end(&mut self) {
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "zkCli ended with {status}");
    }

    /// What was printed since the last call; events come after answers, since zkCli prints them from another
    /// thread.
    fn take_output(&mut self) -> Vec<String> {
        let mut output = mem::take(&mut self.printed);
        output.extend(self.events.drain(..).map(|event| format!("  {event}")));
        output
    }

    fn read_line(&mut self) {
        let line = self.lines.recv_timeout(SILENCE_MAX).unwrap_or_else(|error| {
            panic!("zkCli: {error} after {:#?}, events {:#?}", self.printed, self.events)
        });
        let marked = mem::take(&mut self.marked);
        if marked && line == NOT_CONNECTED {
            return;
        }
        if line == EVENT_HEADING {
            self.printed.pop(); // zkCli sets each of an event's two lines off by a blank one.
        } else if line.starts_with(EVENT) {
            self.printed.pop();
            self.events.push(line);
            self.events_seen += 1;
        } else {
            self.printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended already.
        let _ = self.child.wait();
    }
}

fn lines_of(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The lines that `command` printed, those sorted that Java leaves in the order of its hash tables.
fn ordered(command: &str, mut lines: Vec<String>) -> Vec<String> {
    match command.split(' ').next() {
        Some("whoami") => lines.sort(),
        Some("getEphemerals") => {
            for line in &mut lines {
                let mut paths: Vec<&str> = line.trim_matches(['[', ']']).split(", ").collect();
                paths.sort_unstable();
                *line = format!("[{}]", paths.join(", "));
            }
        }
        // `auth::` stands for the identities of the session. Each entry is of two lines.
        Some("getAcl") if command.ends_with("mine") => {
            let mut entries: Vec<&[String]> = lines.chunks(2).collect();
            entries.sort_unstable();
            lines = entries.concat();
        }
        _ => {}
    }
    lines
}

/// Session ids, times and the server's address become names.
fn normalised(transcript: &str, address: &str) -> String {
    let replacements = [
        (r"(?m)^((?:Connecting to|connect) ).*$", "${1}<server>"),
        (r"(?m)^([cm]time = ).*$", "${1}<time>"),
        // An ephemeral's owner; those of containers and TTL nodes are marks, the same everywhere.
        (r"(?m)^(ephemeralOwner = )0x[1-7][0-9a-f]+$", "${1}<session>"),
    ];
    let transcript = transcript.replace(address, "<server>");
    replacements.iter().fold(transcript, |text, (pattern, name)| {
        Regex::new(pattern).expect("a pattern of this file").replace_all(&text, *name).into_owned()
    })
}

const QUIT: &str = "quit";
const MARKER: &str = "printwatches";
const MARKER_ANSWER: &str = "printwatches is on";
const NOT_CONNECTED: &str = "Not connected";
const EVENT_HEADING: &str = "WATCHER::";
const EVENT: &str = "WatchedEvent ";

/// How long zkCli may print nothing while an answer or event is awaited, before the test gives up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
