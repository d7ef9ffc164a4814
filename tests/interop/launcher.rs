//! The launcher that harnesses take for `java`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::source;

#[test]
fn the_launcher_starts_ringkeeper_where_java_was_to_start_the_server() {
    let arguments = ["-cp", "a.jar:b.jar", "-Xmx1g", "-Dname=two words", "-Dflag", SERVER_MAIN, "zoo.cfg"];
    assert_eq!(launched(Some("echo"), &arguments), "-Dname=two words -Dflag start-foreground zoo.cfg\n");
}

#[test]
fn the_launcher_leaves_everything_else_to_the_real_java() {
    assert_eq!(launched(Some("echo"), &["-version"]), "java -version\n");
    let shell =
        ["-cp", "a.jar", "-Dname=value", "org.apache.zookeeper.ZooKeeperMain", "-server", SERVER_MAIN];
    assert_eq!(launched(Some("echo"), &shell), format!("java {}\n", shell.join(" ")));
    let server = ["-cp", "a.jar", SERVER_MAIN, "zoo.cfg"];
    assert_eq!(launched(None, &server), format!("java {}\n", server.join(" ")));
}

/// What is printed by what the launcher starts, with `echo` in the place of the real java.
fn launched(ringkeeper: Option<&str>, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let java = folder.path().join("java");
    fs::write(&java, "#!/bin/sh\necho java \"$@\"\n").expect("a file in it");
    fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let launcher = source("launcher");
    let path = format!("{}:{}:/usr/bin:/bin", launcher.display(), folder.path().display());
    let mut command = Command::new(launcher.join("java"));
    command.args(arguments).env("PATH", path).env_remove("RINGKEEPER_BIN");
    if let Some(ringkeeper) = ringkeeper {
        command.env("RINGKEEPER_BIN", ringkeeper);
    }
    let run = command.output().expect("the launcher can be run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}

const SERVER_MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
