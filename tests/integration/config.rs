//! Starting: what an operator reads when a configuration or the machine is not right, and how the process
//! then ends.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::{NotServing, Settings};
use tempfile::TempDir;

#[test]
fn a_bad_value_ends_the_start_with_file_line_key_and_javas_last_words() {
    for (line, expected) in [
        ("tickTime=2000 # ms", "tickTime: For input string: \"2000 # ms\""),
        ("standaloneEnabled=yes", "Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'"),
        ("clientPort=70000", "clientPort: port out of range:70000"),
        ("electionAlg=1", "Invalid electionAlg value. Only 3 is supported."),
        ("ringkeeper.layout=wide", "ringkeeper.layout: \"wide\" is not allowed"),
        ("x=\\u12", "Malformed \\uxxxx encoding."),
    ] {
        let folder = folder();
        let file = write(&folder, "zoo.cfg", &format!("{}clientPort=0\n\n{line}\n", data_dir(&folder)));
        let ended = run([file.as_os_str()]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let place = format!("Error processing {}, line 4", file.display());
        assert!(ended.stderr.contains(&place) && ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("\nInvalid config, exiting abnormally\n"), "{}", ended.stderr);
        assert!(!folder.path().join("data").exists(), "nothing is made before the configuration is proven");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let folder = folder();
    let file = folder.path().join("none.cfg");
    let ended = run([OsStr::new("start-foreground"), file.as_os_str()]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{} file is missing", file.display())), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("\nInvalid config, exiting abnormally\n"), "{}", ended.stderr);
}

#[test]
fn a_member_without_its_id_is_not_started_and_never_as_a_standalone_server() {
    let ensemble = |settings: Settings| {
        let settings =
            settings.config("server.1", "127.0.0.1:2888:3888").config("server.2", "127.0.0.1:2889:3889");
        settings.config("initLimit", 10).config("syncLimit", 5)
    };
    let without_id = refused(ensemble(server()));
    assert_eq!(without_id.status.and_then(|status| status.code()), Some(2), "{without_id}");
    assert!(without_id.log.contains("myid"), "{without_id}");
    assert!(without_id.log.contains("Invalid config, exiting abnormally"), "{without_id}");
}

#[test]
fn a_member_whose_key_cannot_be_opened_is_not_started() {
    let stores = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    for (file, password, expected) in [
        ("own.p12", "other", "own.p12: its password is wrong"),
        ("none.p12", "", "none.p12: it cannot be read: No such file"),
    ] {
        let folder = folder();
        fs::create_dir(folder.path().join("data")).expect("a folder");
        fs::write(folder.path().join("data/myid"), "1").expect("writable");
        let text = format!(
            "{}clientPort=0\ninitLimit=10\nsyncLimit=5\nserver.1=127.0.0.1:2888:3888\nserver.2=127.0.0.1:2889:3889\n\
             sslQuorum=true\nssl.quorum.keyStore.location={stores}/{file}\nssl.quorum.keyStore.password={password}\n\
             ssl.quorum.trustStore.location={stores}/own.crt.pem\n",
            data_dir(&folder)
        );
        let ended = run([write(&folder, "zoo.cfg", &text).as_os_str()]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("\nInvalid config, exiting abnormally\n"), "{}", ended.stderr);
    }
}

#[test]
fn properties_come_from_the_environment_and_last_from_the_command_line() {
    let folder = folder();
    let file = write(&folder, "zoo.cfg", &format!("{}clientPort=0\n", data_dir(&folder)));
    let layout = |value| format!("-Xmx1g -Dzookeeper.ringkeeper.layout={value}");
    let run = |with_jvmflags: bool, on_command_line: Option<&str>| {
        let mut command = command(on_command_line.map(OsStr::new).into_iter().chain([file.as_os_str()]));
        command.env("SERVER_JVMFLAGS", layout("first"));
        if with_jvmflags {
            command.env("JVMFLAGS", layout("second"));
        }
        finish(command).stderr
    };
    let third = "-Dzookeeper.ringkeeper.layout=third";
    assert!(run(false, None).contains("SERVER_JVMFLAGS, ringkeeper.layout: \"first\" is not allowed"));
    assert!(run(true, None).contains(", JVMFLAGS, ringkeeper.layout: \"second\" is not allowed"));
    assert!(run(true, Some(third)).contains(", command line, ringkeeper.layout: \"third\" is not allowed"));
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    let none: [&str; 0] = [];
    for ended in [run(none), run(["1", "/d", "3", "4", "5"]), run(["--no-such-option"])] {
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("start-foreground [ZOO_CFG]"), "{}", ended.stderr);
    }
    let ended = run(["2181x", "/d"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("argument 1, clientPort: For input string: \"2181x\""), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("\nInvalid arguments, exiting abnormally\n"), "{}", ended.stderr);
}

#[test]
fn questions_are_answered_on_stdout() {
    for (arguments, expected) in [
        (&["version"][..], "Apache ZooKeeper, version 3."),
        (&["--help"], "RINGKEEPER_LOG"),
        (&["keys", "tickTime"], "default: 3000"),
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(ended.stdout.contains(expected), "{arguments:?}: {}", ended.stdout);
    }
}

#[test]
fn a_data_folder_that_cannot_be_made_ends_with_status_3() {
    let folder = folder();
    let in_the_way = write(&folder, "file", "");
    let refused = refused(server().config("dataDir", in_the_way.display()));
    assert_eq!(refused.status.and_then(|status| status.code()), Some(3), "{refused}");
    let expected = format!("Unable to create data directory {}/version-2", in_the_way.display());
    assert!(refused.log.contains(&expected), "{refused}");
    assert!(refused.log.contains("\nUnable to access datadir, exiting abnormally\n"), "{refused}");
}

#[test]
fn a_second_server_on_one_data_folder_is_told_who_has_it() {
    let first = server().start();
    let refused = refused(server().config("dataDir", first.data_dir().display()));
    assert_eq!(refused.status.and_then(|status| status.code()), Some(3), "{refused}");
    let holder = format!("version-2 is in use by another ringkeeper, process {}", first.pid());
    assert!(refused.log.contains(&holder), "{refused}");
}

#[test]
fn what_is_asked_for_and_not_there_is_loud_and_stops_nothing() {
    let mut server = server()
        .config("secureClientPort", 2281)
        .config("flushDelay", 10)
        .property("zookeeper.tickTime", 1)
        .start();
    let log = server.log();
    for expected in [
        "secureClientPort is not supported by this version yet and has no effect",
        "flushDelay is not supported by this version yet",
        "-Dzookeeper.tickTime (command line) has no effect",
    ] {
        assert!(log.lines().any(|line| line.contains(" WARN ") && line.contains(expected)), "{log}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

/// How a process ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    finish(command(arguments))
}

fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper"));
    command.args(arguments).env_remove("SERVER_JVMFLAGS").env_remove("JVMFLAGS").env_remove("RINGKEEPER_LOG");
    command
}

/// Runs a command to its end. One that serves instead is killed, and then has no exit code.
fn finish(mut command: Command) -> Ended {
    let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().expect("the program");
    let (stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let stdout = thread::spawn(move || read_all(stdout));
    let (sender, ended) = mpsc::channel();
    let stderr = thread::spawn(move || {
        let text = read_all(stderr);
        // Whoever waits may have given up.
        let _ = sender.send(());
        text
    });
    if ended.recv_timeout(DEADLINE).is_err() {
        child.kill().expect("a child that was not waited for");
    }
    let code = child.wait().expect("a child").code();
    let (stdout, stderr) = (stdout.join().expect("no panic"), stderr.join().expect("no panic"));
    Ended { code, stdout, stderr }
}

fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("text");
    text
}

fn server() -> Settings {
    ringkeeper::server(env!("CARGO_BIN_EXE_ringkeeper"))
}

fn refused(settings: Settings) -> NotServing {
    settings.try_start().err().expect("a server that refuses to start")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    path
}

fn data_dir(folder: &TempDir) -> String {
    format!("dataDir={}\n", Path::new(folder.path()).join("data").display())
}

/// Long enough for a loaded machine; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(30);
