//! What the operator sees: exit statuses and messages (config §2).

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::{NotServing, Server, Settings};
use ringkeeper_kit::wire::{Client, Request, four_letter_word};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_second_server_on_the_port_ends_and_says_who_is_in_the_way() {
    let first = server().start();
    let (port, folder) = (first.addr().port().to_string(), tempfile::tempdir().expect("a folder"));
    let output = run(&[&port, &folder.path().display().to_string()]);
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(&format!(":{port} is already in use")), "{log}");
    assert!(log.contains("Unexpected exception, exiting abnormally"), "{log}");
    is_served(&first);
}

#[test]
fn a_second_server_on_the_folder_ends_and_says_which_process_has_it() {
    let first = server().start();
    for key in ["dataDir", "dataLogDir"] {
        let refused = refused(server().config(key, first.data_dir().display()));
        assert_eq!(refused.status.and_then(|status| status.code()), Some(3), "{refused}");
        assert!(refused.log.contains(&format!("process {}", first.pid())), "{key}: {refused}");
        assert!(refused.log.contains("Unable to access datadir, exiting abnormally"), "{refused}");
    }
    is_served(&first);
}

#[test]
fn a_data_folder_below_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let folder = file.path().join("data");
    let refused = refused(server().config("dataDir", folder.display()));
    assert_eq!(refused.status.and_then(|status| status.code()), Some(3), "{refused}");
    assert!(refused.log.contains(&folder.display().to_string()), "{refused}");
}

#[test]
fn sigterm_ends_a_server_with_status_0_whatever_its_clients_do() {
    let mut server = server().start();
    let mut client = Client::connect(server.addr()).expect("a session");
    client.call(&Request::create("/large", &vec![b'x'; 500_000], 0)).expect("a reply");
    client.send_all(&vec![Request::get_data("/large", false); 100]).expect("the requests leave");
    let _silent: Vec<_> = (0..50).map(|_| Client::connect(server.addr()).expect("a session")).collect();
    assert_eq!(server.stop().code(), Some(0));
    server.start();
    assert!(server.log().contains("last zxid"), "what was there is found again");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_second_signal_while_stopping_ends_the_process_at_once_and_loses_nothing() {
    let mut server = server().start();
    server.until_logged("snapshot.0 is written", 1);
    let mut client = Client::connect(server.addr()).expect("a session");
    // So much that the last snapshot is not written in a moment.
    for number in 0..NODES {
        let create = Request::create(format!("/{number}"), &[b'x'; 1_000_000], 0);
        assert_eq!(client.call(&create).expect("a reply").err, 0);
    }
    // Both signals are there before the server can act on the first.
    server.signal(Signal::STOP);
    server.signal(Signal::INT);
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    let status = server.await_end();
    // Which of two pending signals is handled first is the kernel's choice: they come to any thread.
    let second = status.signal().unwrap_or_else(|| panic!("ended by no signal: {status}"));
    assert!([Signal::INT.as_raw(), Signal::TERM.as_raw()].contains(&second), "{status}");
    assert!(server.log().contains(&format!("signal {second} again: ending at once")), "{}", server.log());
    let names = file_names(&server.data_dir().join("version-2"));
    let snapshots: Vec<_> = names.iter().filter(|name| name.starts_with("snapshot.")).collect();
    assert_eq!(snapshots, ["snapshot.0"], "none of the end");
    server.start();
    let mut client = Client::connect(server.addr()).expect("a session");
    for number in 0..NODES {
        let exists = client.call(&Request::exists(format!("/{number}"), false)).expect("a reply");
        assert_eq!(exists.err, 0, "/{number} was acknowledged");
    }
}

#[test]
fn a_bad_configuration_ends_with_status_2_and_names_the_key() {
    for (key, value) in [("tickTime", "soon"), ("maxClientCnxns", "60 # each"), ("dataDir", "")] {
        let refused = refused(server().config(key, value));
        assert_eq!(refused.status.and_then(|status| status.code()), Some(2), "{refused}");
        assert!(refused.log.contains(key), "{refused}");
        assert!(refused.log.contains("Invalid config, exiting abnormally"), "{refused}");
    }
    let output = run(&["start-foreground", "/no/such/zoo.cfg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/no/such/zoo.cfg file is missing"));
}

#[test]
fn without_arguments_the_usage_is_shown_with_status_2() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("start-foreground"));
}

#[test]
fn the_version_is_told_with_status_0() {
    let output = run(&["version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("ringkeeper"), "{}", text(&output.stdout));
}

#[test]
fn a_server_goes_on_when_nobody_reads_its_log_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(RINGKEEPER)
        .arg("0")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut log = BufReader::new(child.stderr.take().expect("its log"));
    let mut line = String::new();
    while !line.contains("serving clients on") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("its log can be read"), 0, "it ended");
    }
    drop(log);
    let (_, port) = line.trim().rsplit_once(':').expect("an address");
    let server = (Ipv4Addr::LOCALHOST, port.parse().expect("a port")).into();
    for _ in 0..3 {
        // A frame too long, of which the log tells; then the answer shows that it was told.
        TcpStream::connect(server).and_then(|mut to| to.write_all(b"abcd")).expect("the bytes leave");
        assert!(four_letter_word(server, "srvr").expect("an answer").contains("Mode: standalone"));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).expect("a child that was not waited for");
    assert_eq!(child.wait().expect("a child can be waited for").code(), Some(0));
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn server() -> Settings {
    ringkeeper::server(RINGKEEPER)
}

fn refused(settings: Settings) -> NotServing {
    match settings.try_start() {
        Ok(_) => panic!("the server serves"),
        Err(refused) => refused,
    }
}

fn is_served(server: &Server) {
    let mut client = Client::connect(server.addr()).expect("a session");
    assert_eq!(client.call(&Request::exists("/", false)).expect("a reply").err, 0);
}

fn run(arguments: &[&str]) -> Output {
    Command::new(RINGKEEPER).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const RINGKEEPER: &str = env!("CARGO_BIN_EXE_ringkeeper");
/// Each of a million bytes.
const NODES: usize = 40;
