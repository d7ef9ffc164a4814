//! How the operations of a load are asked of etcd, and the keys that it needs.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use super::plan::{Plan, Step};
use super::workload::{Kind, Workload};
use crate::engine::{ANSWER_TIMEOUT, Queue, Work};
use crate::etcd::{Client, Expected, Read, Request, Session};
use crate::paths::Paths;

/// What stands for an operation in etcd, in words; `None` if nothing does.
pub(super) fn counterpart(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Get => Some("Range of a key, serializable: from what the server asked has itself"),
        Kind::Exists => Some("the same Range, without the value"),
        Kind::Children => Some("Range of all keys below the path, serializable, without their values"),
        Kind::Set => Some("Put, which would also make a key that is not there"),
        Kind::Create => Some("Txn: if the key's create revision is 0, put it"),
        Kind::Churn => Some("the Txn of create, then DeleteRange of that key"),
        Kind::Delete => Some("DeleteRange of a key that the connection made"),
        Kind::Multi => Some("Txn of puts"),
        Kind::SyncGet => Some("Range of a key, linearizable"),
        Kind::Ephemeral | Kind::Sequential => None,
    }
}

/// How the operations of `workload` are asked of etcd, one in each line.
///
/// # Errors
/// When some of it can't be.
pub(super) fn mapping(workload: &Workload) -> Result<Vec<String>> {
    ensure!(
        workload.scenario.is_none(),
        "{} is about ZooKeeper's sessions, watches and recipes, which etcd does not have: choose operations for it",
        workload.name
    );
    let mut lines = Vec::new();
    for (kind, _) in &workload.mix {
        match counterpart(*kind) {
            Some(what) => lines.push(format!("{kind}: {what}")),
            None => bail!(
                "etcd has no counterpart of `{kind}`: its keys belong to no session, and it does not number them. \
                 Leave it out of the mix"
            ),
        }
    }
    if workload.mix.iter().any(|(kind, _)| *kind == Kind::Multi) {
        let size = workload.multi_size;
        ensure!(
            size <= TXN_OPS_MAX,
            "etcd takes {TXN_OPS_MAX} puts in one transaction (--max-txn-ops), and a multi has {size}: \
             choose a smaller --multi-size"
        );
        ensure!(
            size <= workload.nodes,
            "etcd refuses a transaction that puts a key twice: a multi of {size} sets needs as many --nodes"
        );
    }
    Ok(lines)
}

/// The keys of a load, all of them below one prefix. They are named as ZooKeeper's znodes are, but have no
/// parents: etcd's keys are a flat list.
pub(super) struct Keys {
    prefix: String,
    /// Those that are read and set.
    nodes: Paths,
    /// Those that the load makes.
    made: Paths,
    /// What those that are listed begin with.
    listed: String,
}

impl Keys {
    /// Makes the keys that `workload` needs, below `root`.
    pub(super) fn make(addrs: &[SocketAddr], workload: &Workload, root: &str) -> Result<Keys> {
        let mut session = open(addrs)?;
        let keys = Keys {
            prefix: format!("{root}/"),
            nodes: Paths::deep(&format!("{root}/nodes"), workload.depth, workload.path_len),
            made: Paths::deep(&format!("{root}/made"), 1, workload.path_len),
            listed: format!("{root}/listed/"),
        };
        let value = Bytes::from(vec![b'd'; workload.data_len]);
        session.put_all((0..workload.nodes).map(|node| keys.nodes.path(node)), &value)?;
        if workload.mix.iter().any(|(kind, _)| *kind == Kind::Children) {
            let children = Paths::flat(keys.listed.trim_end_matches('/'));
            session.put_all((0..workload.children).map(|child| children.path(child)), &Bytes::new())?;
        }
        session.compact()?;
        Ok(keys)
    }

    /// Removes all of them, what the load made included.
    pub(super) fn remove(self, addrs: &[SocketAddr]) -> Result<()> {
        open(addrs)?.delete_all(&self.prefix).map(drop)
    }
}

fn open(addrs: &[SocketAddr]) -> Result<Session> {
    Session::open(*addrs.first().context("there are no servers")?, ANSWER_TIMEOUT)
}

/// Asks etcd for what a plan chooses.
pub(super) struct EtcdWork<'a> {
    plan: Plan,
    keys: &'a Keys,
    value: Bytes,
    children: u32,
}

impl EtcdWork<'_> {
    pub(super) fn new<'a>(workload: &Workload, keys: &'a Keys) -> EtcdWork<'a> {
        let value = vec![b'd'; workload.data_len].into();
        EtcdWork { plan: Plan::new(workload), keys, value, children: workload.children }
    }

    /// What to ask for, what is to come of it, and what to call it.
    fn request(&self, step: Step) -> (Request, Expected, u32) {
        let EtcdWork { keys: Keys { nodes, made, listed, .. }, value, children, .. } = self;
        let found = Expected::Value(value.len());
        match step {
            Step::Get(node) => (Request::get(&nodes.path(node), Read::Serializable), found, NOT_MADE),
            Step::SyncGet(node) => (Request::get(&nodes.path(node), Read::Linearizable), found, NOT_MADE),
            Step::Exists(node) => (Request::exists(&nodes.path(node)), Expected::Keys(1), NOT_MADE),
            Step::Set(node) => (Request::put(&nodes.path(node), value), Expected::Put, NOT_MADE),
            Step::Children => (Request::list(listed), Expected::Keys(*children), NOT_MADE),
            Step::Create(number) => (Request::create(&made.path(number), value), Expected::Created, number),
            Step::Ephemeral(_) | Step::Sequential(_) => {
                unreachable!("a mix with operations that have no counterpart was refused")
            }
            Step::Delete(number) => (Request::delete(&made.path(number)), Expected::Deleted, NOT_MADE),
            Step::Multi(chosen) => {
                let expected = Expected::PutAll(chosen.len() as u32);
                let chosen = chosen.into_iter().map(|node| nodes.path(node));
                (Request::put_all(chosen, value), expected, NOT_MADE)
            }
        }
    }
}

impl Work for EtcdWork<'_> {
    type Link = Client;

    fn ask(&mut self, connection: usize, queue: &mut Queue<'_, Client>) {
        let (operation, step) = self.plan.next(connection);
        let (request, expected, tag) = self.request(step);
        queue.call(operation, tag, expected, request);
    }

    fn replied(&mut self, connection: usize, tag: u32) {
        // Calls of one connection are done in any order: only what was answered is there for the next one.
        if tag != NOT_MADE {
            self.plan.is_there(connection, tag);
        }
    }

    fn lost(&mut self, connection: usize) {
        self.plan.lost(connection);
    }
}

/// Keys that are made are numbered from 1.
const NOT_MADE: u32 = 0;

/// --max-txn-ops of a server, unless it was given another.
const TXN_OPS_MAX: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(mix: &[Kind]) -> Workload {
        Workload { mix: mix.iter().map(|kind| (*kind, 1)).collect(), ..Workload::plain() }
    }

    fn keys() -> Keys {
        let [nodes, made] = ["/r/nodes", "/r/made"].map(Paths::flat);
        Keys { prefix: "/r/".into(), nodes, made, listed: "/r/listed/".into() }
    }

    #[test]
    fn what_etcd_has_no_counterpart_of_is_refused_by_its_name() {
        let lines = mapping(&workload(&[Kind::Get, Kind::Create])).unwrap();
        assert!(lines[0].starts_with("get: Range") && lines[1].starts_with("create: Txn"), "{lines:?}");
        for kind in [Kind::Ephemeral, Kind::Sequential] {
            let error = mapping(&workload(&[Kind::Get, kind])).unwrap_err().to_string();
            assert!(error.contains(&format!("`{kind}`")), "{error}");
        }
        let herd = Workload { scenario: Some(super::super::workload::Scenario::Herd), ..workload(&[]) };
        assert!(mapping(&herd).is_err());
        assert!(mapping(&Workload { multi_size: 129, ..workload(&[Kind::Multi]) }).is_err());
        assert!(mapping(&Workload { nodes: 9, ..workload(&[Kind::Multi]) }).is_err(), "a key twice");
        assert!(mapping(&Workload { nodes: 9, ..workload(&[Kind::Get]) }).is_ok(), "no multi");
    }

    #[test]
    fn each_step_asks_for_its_own_key_and_knows_what_is_to_come() {
        let workload = workload(&[Kind::Churn]);
        let keys = keys();
        let work = EtcdWork::new(&workload, &keys);
        let value = Bytes::from(vec![b'd'; 100]);
        for (step, request, expected, tag) in [
            (Step::Get(7), Request::get("/r/nodes/00000007", Read::Serializable), Expected::Value(100), 0),
            (
                Step::SyncGet(7),
                Request::get("/r/nodes/00000007", Read::Linearizable),
                Expected::Value(100),
                0,
            ),
            (Step::Set(8), Request::put("/r/nodes/00000008", &value), Expected::Put, 0),
            (Step::Create(9), Request::create("/r/made/00000009", &value), Expected::Created, 9),
            (Step::Delete(9), Request::delete("/r/made/00000009"), Expected::Deleted, 0),
            (Step::Children, Request::list("/r/listed/"), Expected::Keys(100), 0),
        ] {
            assert_eq!(work.request(step.clone()), (request, expected, tag), "{step:?}");
        }
    }

    #[test]
    fn only_what_etcd_has_confirmed_is_deleted() {
        let workload = workload(&[Kind::Churn]);
        let keys = keys();
        let mut work = EtcdWork::new(&workload, &keys);
        assert_eq!(work.plan.next(0).1, Step::Create(1));
        assert_eq!(work.plan.next(0).1, Step::Create(2));
        work.replied(0, 2);
        work.replied(0, NOT_MADE);
        assert_eq!(work.plan.next(0).1, Step::Delete(2));
        assert_eq!(work.plan.next(0).1, Step::Create(3));
    }
}
