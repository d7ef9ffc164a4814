//! What a server of etcd is started with.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// The lines of the configuration that all members have in common, whose ports for peers these are.
pub(crate) fn cluster(peers: &[u16]) -> String {
    let members: Vec<String> =
        (1..).zip(peers).map(|(id, port)| format!("{}={}", name(id), url(*port))).collect();
    format!("initial-cluster: {}\n{LIMITS}", members.join(","))
}

/// The lines of member `id`, from 1.
pub(crate) fn member(id: usize, peer: u16) -> String {
    let (name, peer) = (name(id), url(peer));
    format!("name: {name}\nlisten-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\n")
}

/// The lines of a server with its data in `data` and its clients at `port`.
pub(crate) fn server(data: &Path, port: u16) -> String {
    let (data, clients) = (data.display(), url(port));
    format!("data-dir: {data:?}\nlisten-client-urls: {clients}\nadvertise-client-urls: {clients}\n")
}

/// The program: the one that the operator named, or else the one on the PATH, or what tests/setup fetched.
pub(crate) fn program(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates = env::split_paths(&path).map(|folder| folder.join("etcd"));
    let mut candidates = candidates.filter(|file| fs::metadata(file).is_ok_and(|found| found.is_file()));
    candidates.next().unwrap_or_else(|| FETCHED.into())
}

/// The release of a program, which shows that it is there and runs.
pub(crate) fn release(program: &Path) -> Result<String> {
    let missing = || {
        format!(
            "{} does not run: install etcd (Debian's package is etcd-server), or run tests/setup, which fetches \
             it, or name another program with --etcd",
            program.display()
        )
    };
    let output = Command::new(program).arg("--version").output().with_context(missing)?;
    ensure!(output.status.success(), missing());
    let output = String::from_utf8_lossy(&output.stdout);
    let release = output.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    Ok(release
        .with_context(|| format!("{} does not tell its release: is it etcd?", program.display()))?
        .to_owned())
}

fn name(id: usize) -> String {
    format!("server-{id}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A database of 2 GB, which etcd allows if nobody says otherwise, is full after some minutes of writes, since it
/// keeps what was overwritten. This is the most that its manual advises.
const LIMITS: &str = "quota-backend-bytes: 8589934592\n";

/// Where tests/setup puts it.
const FETCHED: &str = "tests/.deps/etcd/usr/bin/etcd";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_know_each_other_by_name_and_peer_port() {
        let common = cluster(&[5001, 5002]);
        assert!(
            common.starts_with(
                "initial-cluster: server-1=http://127.0.0.1:5001,server-2=http://127.0.0.1:5002\n"
            )
        );
        let second = member(2, 5002);
        assert!(
            second.contains("name: server-2\n")
                && second.contains("listen-peer-urls: http://127.0.0.1:5002\n")
        );
        let lines = server(Path::new("/a b/data"), 4001);
        assert!(lines.starts_with("data-dir: \"/a b/data\"\nlisten-client-urls: http://127.0.0.1:4001\n"));
    }

    #[test]
    fn whoever_has_no_etcd_is_told_what_to_install() {
        let error = release(&program(Some(Path::new("/nowhere/etcd")))).unwrap_err();
        assert!(error.to_string().contains("etcd-server") && error.to_string().contains("/nowhere/etcd"));
        let error = release(Path::new("/bin/true")).unwrap_err();
        assert!(error.to_string().contains("is it etcd?"), "{error:#}");
    }
}
