//! Which servers a test runs against.

use std::{env, fs};

use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::{java, ringkeeper};

/// Runs a test once for each layout of ringkeeper's roles, with these settings on top of the kit's.
///
/// A test that fails shows the zoo.cfg it failed with.
///
/// `INTEGRATION_PEER=java` runs it once against real ZooKeeper instead: what a test demands of a server
/// is then shown to be what ZooKeeper does.
pub(crate) fn each(settings: impl Fn(Settings) -> Settings, test: impl Fn(&mut Server)) {
    for peer in peers() {
        let mut server = settings(peer).start();
        println!("{}", fs::read_to_string(server.dir().join("zoo.cfg")).unwrap_or_default());
        test(&mut server);
    }
}

/// Whether the test runs against real ZooKeeper.
pub(crate) fn is_java() -> bool {
    env::var("INTEGRATION_PEER").is_ok_and(|peer| peer == "java")
}

/// ringkeeper in each of its layouts.
pub(crate) fn peers() -> Vec<Settings> {
    if is_java() {
        return vec![java::server()];
    }
    let ringkeeper = || ringkeeper::server(env!("CARGO_BIN_EXE_ringkeeper"));
    vec![
        ringkeeper().config("ringkeeper.layout", "single"),
        ringkeeper().config("ringkeeper.layout", "split").config("ringkeeper.shards", 2),
    ]
}
