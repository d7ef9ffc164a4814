//! Many clients that act at once: what ZooKeeper's recipes make of a service.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::tree;
use super::workload::Scenario;
use crate::engine::now;
use crate::fleet::{Fleet, Told, What};
use crate::latency::Recorder;
use crate::session::Session;
use crate::wire;

/// Latencies with a name.
pub(super) type Found = Vec<(String, Recorder)>;

/// Runs a scenario with so many clients below `root`, again and again until `limit`, but once at least.
pub(super) fn run(
    scenario: Scenario,
    addrs: &[SocketAddr],
    clients: usize,
    limit: Duration,
    root: &str,
) -> Result<Found> {
    let mut session = Session::open(*addrs.first().context("there are no servers")?)?;
    session.create(root)?;
    let end = now() + limit.as_nanos() as u64;
    let found = match scenario {
        Scenario::Storm => storm(addrs, clients, end),
        Scenario::Herd => herd(addrs, clients, end, root),
        Scenario::Locks => locks(addrs, clients, end, root),
        Scenario::Barrier => barrier(addrs, clients, end, root),
    }?;
    session.close()?;
    tree::remove_all(addrs, root)?;
    Ok(found)
}

/// Handshakes at once. The connections break afterwards, as those of clients that die.
fn storm(addrs: &[SocketAddr], clients: usize, end: u64) -> Result<Found> {
    let (mut each, mut last) = (Recorder::new(), Recorder::new());
    loop {
        let (_, round) = Fleet::open(addrs, clients, OPEN_WITHIN)?;
        last.record((round.took.quantile_us(1.0) * 1e3) as u64);
        each.add(&round.took);
        if now() >= end {
            return Ok(vec![("handshake".into(), each), ("all handshakes".into(), last)]);
        }
    }
}

/// All watch one znode, and one of them writes it.
fn herd(addrs: &[SocketAddr], clients: usize, end: u64, root: &str) -> Result<Found> {
    let (mut fleet, _) = Fleet::open(addrs, clients, OPEN_WITHIN)?;
    let [mut watches, mut write, mut each, mut last] = [(); 4].map(|()| Recorder::new());
    loop {
        let begun = now();
        for index in 0..clients {
            fleet.ask(index, |xid, out| wire::append_get(xid, root, true, out))?;
        }
        fleet.replies(clients)?;
        watches.record(now() - begun);

        let begun = now();
        fleet.ask(0, |xid, out| out.extend(wire::set_request(xid, root, b"")))?;
        let (mut events, mut replied) = (0, false);
        while events < clients || !replied {
            for Told { at, what, .. } in fleet.listen(STEP)? {
                match what {
                    What::Event => {
                        each.record(at - begun);
                        events += 1;
                    }
                    What::Reply(0, _) => {
                        write.record(at - begun);
                        replied = true;
                    }
                    What::Reply(code, _) => bail!("the write that fires the herd got the error {code}"),
                }
            }
            if now() > begun + WITHIN {
                bail!("{events} of {clients} watches fired, and the write was answered: {replied}");
            }
        }
        last.record(now() - begun);
        if now() >= end {
            let names = ["set all watches", "write", "event", "last event"];
            return Ok(names.map(String::from).into_iter().zip([watches, write, each, last]).collect());
        }
    }
}

/// What a client that wants the lock waits for.
#[derive(Clone, Debug)]
enum Wants {
    /// Its own znode, created since then.
    Place(u64),
    /// The list of all, to see whether it is first.
    List { since: u64, own: String },
    /// Whether the one before it is there, and is watched.
    Watch { since: u64, own: String },
    /// That one's end.
    Turn { since: u64, own: String },
    /// That its own znode is deleted, which hands the lock on.
    Release,
}

/// ZooKeeper's recipe without herds: ephemeral sequential znodes, each watching the one before.
fn locks(addrs: &[SocketAddr], clients: usize, end: u64, root: &str) -> Result<Found> {
    let (mut fleet, _) = Fleet::open(addrs, clients, OPEN_WITHIN)?;
    let mut acquire = Recorder::new();
    let place = format!("{root}/lock-");
    let mut wants: Vec<Wants> = Vec::new();
    for index in 0..clients {
        wants.push(Wants::Place(now()));
        fleet.ask(index, |xid, out| wire::append_create(xid, &place, true, out))?;
    }
    let (mut heard, mut acquired) = (now(), 0);
    // The lock is handed on in the order of waiting, so by then each has had it.
    while now() < end || acquired < clients {
        for Told { index, at, what } in fleet.listen(STEP)? {
            heard = at;
            wants[index] = match (wants[index].clone(), what) {
                (Wants::Place(since), What::Reply(0, body)) => {
                    let own = wire::read_string(&body)?.to_owned();
                    fleet.ask(index, |xid, out| wire::append_get_children(xid, root, out))?;
                    Wants::List { since, own }
                }
                (Wants::List { since, own }, What::Reply(0, body)) => {
                    match before(&own, wire::read_names(&body)?) {
                        None => {
                            acquire.record(at - since);
                            acquired += 1;
                            fleet.ask(index, |xid, out| wire::append_delete(xid, &own, out))?;
                            Wants::Release
                        }
                        Some(name) => {
                            let path = format!("{root}/{name}");
                            fleet.ask(index, |xid, out| wire::append_exists(xid, &path, true, out))?;
                            Wants::Watch { since, own }
                        }
                    }
                }
                (Wants::Watch { since, own }, What::Reply(0, _)) => Wants::Turn { since, own },
                // It went meanwhile; its watch waits for a znode that never comes again.
                (Wants::Watch { since, own }, What::Reply(NO_NODE, _))
                | (Wants::Turn { since, own }, What::Event) => {
                    fleet.ask(index, |xid, out| wire::append_get_children(xid, root, out))?;
                    Wants::List { since, own }
                }
                (Wants::Release, What::Reply(0, _)) => {
                    fleet.ask(index, |xid, out| wire::append_create(xid, &place, true, out))?;
                    Wants::Place(at)
                }
                (wants, what) => bail!("client {index} that wants {wants:?} was told {what:?}"),
            };
        }
        if now() > heard + WITHIN {
            bail!("nobody got the lock for {} s", WITHIN / 1_000_000_000);
        }
    }
    drop(fleet);
    remove_places(addrs, root)?;
    Ok(vec![("acquire".into(), acquire)])
}

/// The name just before one's own among those that wait; `None` for the first.
fn before(own: &str, names: Vec<String>) -> Option<String> {
    let own = own.rsplit('/').next().unwrap_or(own);
    names.into_iter().filter(|name| name.as_str() < own).max()
}

/// ZooKeeper's barrier: each enters by a znode of its own, and the last one to see all of them opens it.
fn barrier(addrs: &[SocketAddr], clients: usize, end: u64, root: &str) -> Result<Found> {
    let (mut fleet, _) = Fleet::open(addrs, clients, OPEN_WITHIN)?;
    let (mut enter, mut whole) = (Recorder::new(), Recorder::new());
    let (places, ready) = (format!("{root}/places"), format!("{root}/ready"));
    fleet.ask(0, |xid, out| wire::append_create(xid, &places, false, out))?;
    fleet.replies(1)?;
    loop {
        // Who asks for the barrier watches it, whether or not it is there.
        for index in 0..clients {
            fleet.ask(index, |xid, out| wire::append_exists(xid, &ready, true, out))?;
        }
        let mut answers = 0;
        while answers < clients {
            for Told { what, .. } in fleet.listen(STEP)? {
                let What::Reply(NO_NODE, _) = what else { bail!("the barrier is open too early: {what:?}") };
                answers += 1;
            }
        }
        let begun = now();
        for index in 0..clients {
            let place = format!("{places}/{index}");
            fleet.ask(index, |xid, out| wire::append_create(xid, &place, false, out))?;
        }
        // Of each client, first the reply to its entering, then that with the list, then the event.
        let mut replies = vec![0; clients];
        let (mut through, mut opened) = (0, false);
        while through < clients {
            for Told { index, at, what } in fleet.listen(STEP)? {
                match what {
                    What::Event => {
                        enter.record(at - begun);
                        through += 1;
                    }
                    What::Reply(0, body) => {
                        replies[index] += 1;
                        if replies[index] == 1 {
                            fleet.ask(index, |xid, out| wire::append_get_children(xid, &places, out))?;
                        } else if replies[index] == 2 && !opened && wire::read_names(&body)?.len() == clients
                        {
                            opened = true;
                            fleet.ask(index, |xid, out| wire::append_create(xid, &ready, false, out))?;
                        }
                    }
                    What::Reply(code, _) => bail!("client {index} got the error {code} at the barrier"),
                }
            }
            if now() > begun + WITHIN {
                bail!("only {through} of {clients} clients are through the barrier");
            }
        }
        whole.record(now() - begun);
        let missing: usize = replies.iter().map(|replies| 2usize.saturating_sub(*replies)).sum();
        fleet.replies(missing + usize::from(replies.iter().all(|replies| *replies < 3)))?;
        for index in 0..clients {
            let place = format!("{places}/{index}");
            fleet.ask(index, |xid, out| wire::append_delete(xid, &place, out))?;
        }
        fleet.ask(0, |xid, out| wire::append_delete(xid, &ready, out))?;
        fleet.replies(clients + 1)?;
        if now() >= end {
            return Ok(vec![("enter".into(), enter), ("all through".into(), whole)]);
        }
    }
}

/// Ephemeral znodes outlive a broken connection by as long as their sessions last.
fn remove_places(addrs: &[SocketAddr], path: &str) -> Result<()> {
    let mut session = Session::open(addrs[0])?;
    for name in session.children(path)? {
        session.delete_if_there(&format!("{path}/{name}"))?;
    }
    session.close()
}

const OPEN_WITHIN: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(100);
/// In ns: nothing that is awaited takes so long unless something hangs.
const WITHIN: u64 = 60_000_000_000;
const NO_NODE: i32 = -101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_before_is_the_greatest_that_is_less() {
        let names = ["lock-0000000003", "lock-0000000001", "lock-0000000010"].map(String::from);
        assert_eq!(before("/r/lock-0000000010", names.to_vec()).as_deref(), Some("lock-0000000003"));
        assert_eq!(before("/r/lock-0000000001", names.to_vec()), None);
    }
}
