//! What `tests/setup` fetches, and where it is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::java::Release;

/// The class path to run a ZooKeeper server, or the shell of 3.9.5, with the `java` found on `PATH`.
///
/// # Panics
/// When it was not fetched yet; the message says what to run.
pub fn java_classpath(release: Release) -> OsString {
    let folder = match release {
        Release::V3_4 => fetched("java-3.4.14", "kit/java/3.4.14.xml"),
        Release::V3_5 => fetched("java-3.5.10", "kit/java/3.5.10.xml"),
        Release::V3_6 => fetched("java-3.6.4", "kit/java/3.6.4.xml"),
        Release::V3_7 => fetched("java-3.7.2", "kit/java/3.7.2.xml"),
        Release::V3_8 => return debian_classpath(),
        Release::V3_8_6 => fetched_by("tests/setup --all", "java-3.8.6", "kit/java/3.8.6.xml"),
        Release::V3_9_2 => fetched_by("tests/setup --all", "java-3.9.2", "kit/java/3.9.2.xml"),
        Release::V3_9 => fetched("java", "kit/java/pom.xml"),
    };
    let mut jars: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();
    class_path(&jars)
}

/// ZooKeeper 3.8.0 as Debian builds it, from its package and those of what it uses.
fn debian_classpath() -> OsString {
    packaged("/usr/share/java/zookeeper-3.8.0.jar");
    let jars: Vec<PathBuf> =
        DEBIAN_JARS.iter().map(|jar| Path::new("/usr/share/java").join(jar).with_extension("jar")).collect();
    for jar in &jars {
        assert!(jar.exists(), "{} is missing: run tests/setup", jar.display());
    }
    class_path(&jars)
}

fn class_path(jars: &[PathBuf]) -> OsString {
    std::env::join_paths(jars).expect("a path without a colon")
}

/// The interpreter of the virtual environment that has kazoo.
///
/// # Panics
/// When it was not fetched yet; the message says what to run.
pub fn python() -> PathBuf {
    fetched("python", "kit/python/requirements.txt").join("bin/python")
}

/// The server of etcd, the measure that the bench can take besides.
///
/// # Panics
/// When it was not fetched yet; the message says what to run.
pub fn etcd() -> PathBuf {
    fetched("etcd", "kit/etcd.txt").join("usr/bin/etcd")
}

/// A program or header that one of the Debian packages of `tests/setup` brings.
///
/// # Panics
/// When it is not there; the message says what to run.
pub fn packaged(path: &'static str) -> &'static Path {
    let path = Path::new(path);
    assert!(path.exists(), "{} is missing: run tests/setup", path.display());
    path
}

/// The repository's `tests` folder.
pub fn tests_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit is a folder of tests")
}

/// A folder of `tests/.deps`, proven complete and of the versions that `pins` names.
fn fetched(name: &str, pins: &str) -> PathBuf {
    fetched_by("tests/setup", name, pins)
}

fn fetched_by(command: &str, name: &str, pins: &str) -> PathBuf {
    let folder = tests_dir().join(".deps").join(name);
    let wanted = fs::read(tests_dir().join(pins)).unwrap_or_else(|error| panic!("tests/{pins}: {error}"));
    match fs::read(folder.join(".pins")) {
        Ok(found) if found == wanted => folder,
        Ok(_) => panic!("tests/.deps/{name} is not what tests/{pins} names: run {command}"),
        Err(_) => panic!("tests/.deps/{name} is missing: run {command}"),
    }
}

/// What a server of Debian's needs, without what its HTTP port does.
const DEBIAN_JARS: [&str; 16] = [
    "zookeeper",
    "zookeeper-jute",
    "netty-buffer",
    "netty-codec",
    "netty-common",
    "netty-handler",
    "netty-resolver",
    "netty-transport",
    "netty-transport-native-epoll",
    "netty-transport-native-unix-common",
    "slf4j-api",
    "slf4j-simple",
    "snappy-java",
    "metrics-core",
    "commons-cli",
    "commons-io",
];
