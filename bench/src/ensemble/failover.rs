//! How long a leader is missed that is killed: from just before `kill -9` until a client's write is
//! acknowledged.
//!
//! The client has its session on the leader, and writes there until the kill. It knows at once that the
//! leader is gone, so what counts is the servers' time and not how a client finds out: it takes its session
//! to the two servers that are left, in turn, until one takes it, and sets a znode there. A server that
//! closes the connection or keeps silent is left for the other one.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tracing::info;

use super::{Bench, Found};
use crate::ground;
use crate::large_tree::{self, TREE, WITHOUT_SNAPSHOTS};
use crate::members::Members;
use crate::server::{Folder, Server, Subject};
use crate::session::Session;

/// One leader that was killed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Failover {
    pub(crate) subject: Subject,
    /// In the tree.
    pub(crate) znodes: u32,
    /// From just before the kill to the reply to the write.
    pub(crate) milliseconds: f64,
    /// How often the client tried to take its session to a server.
    pub(crate) tries: u32,
}

/// Kills leaders of ensembles of each kind and size of the tree, the kinds in turn.
pub(super) fn measure(bench: &Bench, found: &mut Found) {
    for &znodes in &bench.settings.failover_znodes {
        let mut images = Vec::new();
        for &subject in &bench.settings.subjects {
            let what = format!("a tree of {znodes} znodes for {subject}");
            info!("{what}");
            let image = image(bench, subject, znodes);
            images.extend(ground::or_note(&mut found.failures, &what, image).map(|image| (subject, image)));
        }
        for round in 1..=bench.settings.failover_rounds {
            for (subject, image) in &images {
                let what = format!("failover, round {round}: three of {subject} with {znodes} znodes");
                let result = once(bench, *subject, znodes, image, &mut found.failovers);
                ground::or_note(&mut found.failures, &what, result);
            }
        }
    }
}

/// The folder of a single server that has loaded the tree and stopped.
fn image(bench: &Bench, subject: Subject, znodes: u32) -> Result<Folder> {
    let folder = Folder::fresh(bench.root.path().join(format!("{subject}-{znodes}-image")))?;
    let open =
        || Server::open(subject, &bench.programs, &bench.settings.server_cpus, &folder, WITHOUT_SNAPSHOTS);
    let server = open()?;
    large_tree::load(&server, znodes, &bench.data())?;
    large_tree::keep(server, subject, &folder, open)?;
    Ok(folder)
}

fn once(
    bench: &Bench,
    subject: Subject,
    znodes: u32,
    image: &Folder,
    found: &mut Vec<Failover>,
) -> Result<()> {
    let cpus = &bench.settings.server_cpus;
    let mut members = Members::start(subject, &bench.programs, cpus, bench.root.path(), Some(image))?;
    ground::settle(&bench.settings.ground.dir)?;
    for _ in 0..bench.settings.kills {
        let leader = members.leader()?;
        let (took, tries) = kill_leader(&mut members, leader, &bench.data())?;
        info!("{subject}, {znodes} znodes: {:.0} ms, {tries} tries", took.as_secs_f64() * 1e3);
        found.push(Failover { subject, znodes, milliseconds: took.as_secs_f64() * 1e3, tries });
        members.revive(leader)?;
    }
    members.stop()
}

fn kill_leader(members: &mut Members, leader: usize, data: &[u8]) -> Result<(Duration, u32)> {
    let addrs = members.addrs();
    let left: Vec<SocketAddr> =
        addrs.iter().enumerate().filter(|(index, _)| *index != leader).map(|(_, addr)| *addr).collect();
    let mut session = Session::open(addrs[leader])?;
    for _ in 0..WRITES_BEFORE {
        session.set(TREE, data)?;
    }
    let identity = session.identity();

    let killed_at = Instant::now();
    members.kill(leader)?;
    for (tries, &addr) in (1..).zip(left.iter().cycle()) {
        let waited = killed_at.elapsed();
        ensure!(waited < GIVEN_UP_AFTER, "no write was acknowledged for {waited:?} after the kill");
        // A server that does not know yet that the leader is gone keeps what it is asked for until it does.
        let patience = HANDSHAKE_PATIENCE_MIN.max(waited / 4);
        let taken_up = Session::take_up(addr, patience, &identity);
        let Some(mut session) = taken_up.context("the session did not outlive the leader")? else {
            thread::sleep(PAUSE);
            continue;
        };
        session.set_patience(WRITE_PATIENCE)?;
        if session.set(TREE, data).is_ok() {
            let took = killed_at.elapsed();
            session.close()?;
            return Ok((took, tries));
        }
    }
    unreachable!("the servers are tried round and round")
}

const WRITES_BEFORE: u32 = 20;

/// Long beside a handshake, short beside an election.
const HANDSHAKE_PATIENCE_MIN: Duration = Duration::from_millis(40);
/// A server that has taken the session answers, or closes the connection.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);
/// The client shares its CPU with the servers.
const PAUSE: Duration = Duration::from_millis(1);
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
