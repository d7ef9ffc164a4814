use std::env;
use std::process::{Command, Output};

use ringkeeper_kit::server::Settings;

use super::Network;

/// A network of real interfaces: each server has a namespace of its own, with one cable to the namespace of this
/// process, which forwards. What is held back are packets, so that connections hang and cannot be made.
///
/// Only within [`in_a_network_of_its_own`].
pub(crate) struct Namespaces {
    count: usize,
}

impl Namespaces {
    /// A whole network among servers with the ids from 0.
    pub(crate) fn among(count: usize) -> Namespaces {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
            .expect("a namespace's own settings can be changed");
        ip("link set lo up");
        for id in 0..count {
            ip(&format!("netns add s{id}"));
            ip(&format!("link add v{id} type veth peer name e0 netns s{id}"));
            ip(&format!("addr add {}/24 dev v{id}", hub(id)));
            ip(&format!("link set v{id} up"));
            ip(&format!("-n s{id} addr add {}/24 dev e0", host(id)));
            ip(&format!("-n s{id} link set e0 up"));
            ip(&format!("-n s{id} link set lo up"));
            ip(&format!("-n s{id} route add default via {}", hub(id)));
        }
        Namespaces { count }
    }
}

impl Network for Namespaces {
    fn server_count(&self) -> usize {
        self.count
    }

    fn address(&self, _: usize, to: usize) -> String {
        format!("{}:2888:3888", host(to))
    }

    fn settle(&self, id: usize, settings: Settings) -> Settings {
        settings
            .through(&["ip", "netns", "exec", &format!("s{id}")])
            .config("clientPortAddress", host(id))
            .config("clientPort", 2181)
    }

    fn cut(&self, from: usize, to: usize) {
        ip(&format!("rule add iif v{from} to {} blackhole pref {CUT}", host(to)));
    }

    fn heal(&self) {
        // Until there is none left.
        while run_ip(&format!("rule del pref {CUT}")).status.success() {}
    }
}

/// Runs `work` in a process that has a network and mounts of its own, which go when it ends: this test program again,
/// with nothing but the test that calls this. Where namespaces may not be made, says so and skips it.
pub(crate) fn in_a_network_of_its_own(work: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return work();
    }
    let thread = std::thread::current();
    let test = thread.name().expect("a test's thread has its name");
    let own = ["--net", "--mount", "--propagation", "private", "--"];
    let prepare = format!("mkdir -p {NAMES} && mount -t tmpfs none {NAMES}");
    let probe =
        format!("{prepare} && ip netns add probe && ip link add v type veth peer name e0 netns probe");
    let may = Command::new("unshare").args(own).args(["sh", "-c", &probe]).output();
    if let Some(reason) = refused(may) {
        #[expect(clippy::print_stderr, reason = "who reads the results should know")]
        {
            eprintln!("skipped: no network namespaces can be made here: {reason}");
        }
        return;
    }
    let program = env::current_exe().expect("this program");
    let status = Command::new("unshare")
        .args(own)
        .args(["sh", "-c", &format!("{prepare} && exec \"$@\""), "sh"])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("it was run before");
    assert!(status.success(), "{test} in a network of its own: {status}");
}

fn refused(tried: std::io::Result<Output>) -> Option<String> {
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn ip(arguments: &str) {
    let output = run_ip(arguments);
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn run_ip(arguments: &str) -> Output {
    Command::new("ip").args(arguments.split(' ')).output().expect("tests/setup installs ip")
}

/// A server's address, and that of this process on the server's cable.
fn host(id: usize) -> String {
    format!("10.77.{id}.2")
}

fn hub(id: usize) -> String {
    format!("10.77.{id}.1")
}

/// Set in the process with the network of its own.
const INSIDE: &str = "RINGKEEPER_TEST_NETWORK";
/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";
/// The preference that marks the rules that hold packets back.
const CUT: u32 = 100;
