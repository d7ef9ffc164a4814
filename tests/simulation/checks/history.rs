//! **There is one history, and every server shows a prefix of it.**
//!
//! The history is what was published, transaction by transaction, by whichever server was first; what each of them
//! changes is worked out anew from its bytes. Every other server must publish the same bytes and changes in the
//! same order without a gap, and what it serves is the state after some of them.

use std::collections::{BTreeMap, BTreeSet};

use ringkeeper_core::flow::{CommitBatch, Step};
use ringkeeper_core::id::{ServerId, SessionId, Zxid};
use ringkeeper_core::ops::{CONFIG_NODE, Settings};
use ringkeeper_core::prep::{Pipeline, PipelineOptions, ReaperOptions, Replica};
use ringkeeper_core::session::NewSessions;
use ringkeeper_core::tree::{DataTree, Delta, Node, TreeOptions, parent_of};
use ringkeeper_core::zab::packet::Payload;

use super::{Verdict, must};
use crate::server::Server;

pub(crate) const PROMISE: &str = "there is one history, and every server shows a prefix of it";

pub(crate) struct History {
    reference: Replica,
    txns: Vec<Txn>,
    /// What each node was from which length of the history on.
    nodes: BTreeMap<String, Vec<(usize, Option<Node>)>>,
    /// Which children a node ever had.
    children: BTreeMap<String, BTreeSet<String>>,
    /// What anybody's log was ever given, each with what it follows.
    logged: BTreeMap<Zxid, (Zxid, Payload)>,
    /// What each epoch follows that somebody has begun to lead.
    openings: BTreeMap<u32, Zxid>,
}

/// A transaction that was published.
pub(crate) struct Txn {
    pub(crate) zxid: Zxid,
    pub(crate) payload: Payload,
    pub(crate) deltas: Vec<Delta>,
}

impl History {
    pub(crate) fn new() -> History {
        let options = PipelineOptions {
            server: ServerId(0),
            shards: 1,
            tick_ms: 1,
            new_sessions: NewSessions::Global,
            settings: Settings::default(),
            reaper: ReaperOptions::default(),
        };
        let tree = DataTree::new(TreeOptions::default());
        let (mut nodes, mut children) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for found in tree.walk() {
            let path = found.node.path();
            nodes.insert(path.to_owned(), vec![(0, Some(found.node.clone()))]);
            if let Some(parent) = parent_of(path) {
                children.entry(parent.to_owned()).or_default().insert(path.to_owned());
            }
        }
        let reference = Pipeline::new(options, tree).into_replica();
        let (logged, openings) = (BTreeMap::new(), BTreeMap::new());
        History { reference, txns: Vec::new(), nodes, children, logged, openings }
    }

    /// Somebody's log, which ends with `end`, is given a transaction.
    pub(crate) fn on_logged(&mut self, end: Zxid, zxid: Zxid, payload: &Payload) {
        self.logged.entry(zxid).or_insert_with(|| (end, payload.clone()));
    }

    /// Somebody whose log ends with `end` enters an epoch as its leader.
    pub(crate) fn on_opening(&mut self, epoch: u32, end: Zxid) {
        self.openings.entry(epoch).or_insert(end);
    }

    /// How many transactions there are.
    pub(crate) fn len(&self) -> usize {
        self.txns.len()
    }

    pub(crate) fn txn(&self, index: usize) -> &Txn {
        &self.txns[index]
    }

    /// The last transaction.
    pub(crate) fn last(&self) -> Zxid {
        self.txns.last().map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    /// How much of the history a state has.
    pub(crate) fn len_at(&self, zxid: Zxid) -> usize {
        self.txns.partition_point(|txn| txn.zxid <= zxid)
    }

    /// The transaction of this number, if there is one.
    pub(crate) fn at(&self, zxid: Zxid) -> Option<&Txn> {
        self.len_at(zxid).checked_sub(1).map(|index| &self.txns[index]).filter(|txn| txn.zxid == zxid)
    }

    /// A node as it was after so many transactions.
    pub(crate) fn node(&self, path: &str, len: usize) -> Option<&Node> {
        let versions = self.nodes.get(path)?;
        let known = versions.partition_point(|(from, _)| *from <= len);
        versions[known.checked_sub(1)?].1.as_ref()
    }

    /// The names of a node's children after so many transactions, in order.
    pub(crate) fn children(&self, path: &str, len: usize) -> Vec<&str> {
        let ever = self.children.get(path).into_iter().flatten();
        let there = ever.filter(|child| self.node(child, len).is_some());
        there.filter_map(|child| child.rsplit('/').next()).collect()
    }

    /// Whether these sessions are open now.
    pub(crate) fn is_open(&self, session: SessionId) -> bool {
        self.reference.tree().sessions().contains_key(&session)
    }

    pub(crate) fn on_publish(&mut self, server: &mut Server, batch: &CommitBatch) -> Verdict {
        let id = server.id;
        let Some(process) = &mut server.process else { return Ok(()) };
        let mut steps = batch.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let Step::Zxid(zxid) = step else { continue };
            let mut deltas = Vec::new();
            while let Some(next) = steps.next_if(|next| !matches!(next, Step::Zxid(_))) {
                if let Step::Delta(delta, _) = next
                    && !is_shown_besides(delta, *zxid)
                {
                    deltas.push(delta);
                }
            }
            let shown = std::mem::replace(&mut process.shown, *zxid);
            must!(PROMISE, shown < *zxid, "server {id} publishes {zxid} after {shown}");
            if zxid.counter() == 0 {
                continue;
            }
            let payload = process.logged.get(zxid);
            let Some(payload) = payload else {
                return Err(super::broken(
                    PROMISE,
                    format!("server {id} publishes {zxid}, its log lacks it"),
                ));
            };
            // Who publishes it takes all that it has before it to be committed, also what it recovered.
            self.see_before(id, *zxid)?;
            for (before, payload) in process.logged.range(self.last().next().min(*zxid)..*zxid) {
                self.see(id, *before, payload)?;
            }
            self.see(id, *zxid, payload)?;
            let (had, has) = (self.len_at(shown), self.len_at(*zxid));
            must!(
                PROMISE,
                had + 1 == has,
                "server {id} publishes {zxid} after {shown}: {} are left out",
                has - had
            );
            let known = &self.txns[has - 1].deltas;
            let is_same = known.len() == deltas.len() && known.iter().zip(&deltas).all(|(a, b)| same(a, b));
            must!(PROMISE, is_same, "server {id} makes another of {zxid}: {deltas:?} instead of {known:?}");
        }
        Ok(())
    }

    /// What a server recovered counts as published when it is about to be served.
    pub(crate) fn on_serve(&mut self, server: &Server) -> Verdict {
        let id = server.id;
        let Some(process) = &server.process else { return Ok(()) };
        let upto = process.shown;
        self.see_before(id, upto.next())?;
        for (zxid, payload) in process.logged.range(self.last().next()..) {
            if *zxid <= upto {
                self.see(id, *zxid, payload)?;
            }
        }
        let member = process.seat.member();
        if member.tree().last_zxid() == upto {
            self.check_tree(member.tree(), &format!("server {id}"))?;
        }
        Ok(())
    }

    /// A tree is the state at its zxid.
    pub(crate) fn check_tree(&self, tree: &DataTree, whose: &str) -> Verdict {
        let zxid = tree.last_zxid();
        let len = self.len_at(zxid);
        let mut count = 0;
        for found in tree.walk() {
            count += 1;
            let path = found.node.path();
            // Which configuration it shows, and since when, its server may have learned otherwise than by the history.
            let is_known =
                self.node(path, len).is_some_and(|node| same_node(node, found.node) || path == CONFIG_NODE);
            must!(PROMISE, is_known, "{whose} has another {path} at {zxid}: {:?}", found.node);
        }
        let expected = self.nodes.keys().filter(|path| self.node(path, len).is_some()).count();
        must!(PROMISE, count == expected, "{whose} has {count} nodes at {zxid} instead of {expected}");
        Ok(())
    }

    /// What a state has that continues with this number, and the history has not: its server may have it by a tree, and
    /// not in its log.
    fn see_before(&mut self, server: usize, zxid: Zxid) -> Verdict {
        let (mut found, mut end) = (Vec::new(), Zxid(zxid.0 - 1));
        while end > self.last() {
            end = match self.logged.get(&end) {
                Some((before, payload)) => {
                    found.push((end, payload.clone()));
                    *before
                }
                None if end.counter() == 0 => self.openings.get(&end.epoch()).copied().unwrap_or_default(),
                None => break,
            };
        }
        found.into_iter().rev().try_for_each(|(zxid, payload)| self.see(server, zxid, &payload))
    }

    fn see(&mut self, server: usize, zxid: Zxid, payload: &Payload) -> Verdict {
        if let Some(known) = self.at(zxid) {
            must!(PROMISE, known.payload == *payload, "server {server} has another {zxid}");
            return Ok(());
        }
        let last = self.last();
        must!(PROMISE, last < zxid, "server {server} publishes {zxid}, which nobody had before {last}");
        let applied = self.reference.on_txn(payload);
        must!(PROMISE, applied.is_ok(), "server {server} publishes {zxid}, which is no transaction");
        let batch = self.reference.publish();
        let deltas = batch.into_iter().flat_map(|batch| batch.steps).filter_map(|step| match step {
            Step::Delta(delta, _) => Some(delta),
            _ => None,
        });
        let deltas: Vec<Delta> = deltas.collect();
        let len = self.txns.len() + 1;
        for delta in &deltas {
            match delta {
                Delta::Create { node, .. } => {
                    if let Some(parent) = parent_of(node.path()) {
                        self.children.entry(parent.to_owned()).or_default().insert(node.path().to_owned());
                    }
                    self.become_(node.path(), len, Some(node.clone()));
                }
                Delta::SetData(node) | Delta::SetSilently(node) => {
                    self.become_(node.path(), len, Some(node.clone()));
                }
                Delta::Delete(node) => self.become_(node.path(), len, None),
                Delta::SetCounters { .. } | Delta::OpenSession { .. } | Delta::CloseSession(_) => {}
            }
        }
        self.txns.push(Txn { zxid, payload: payload.clone(), deltas });
        Ok(())
    }

    fn become_(&mut self, path: &str, len: usize, node: Option<Node>) {
        if let Some(versions) = self.nodes.get_mut(path) {
            return versions.push((len, node));
        }
        self.nodes.insert(path.to_owned(), vec![(len, node)]);
    }
}

/// Whether a change shows a configuration that the server learned of otherwise than by the transaction before.
fn is_shown_besides(delta: &Delta, zxid: Zxid) -> bool {
    matches!(delta, Delta::SetData(node) if node.path() == CONFIG_NODE && node.mzxid() != zxid)
}

fn same(one: &Delta, other: &Delta) -> bool {
    match (one, other) {
        (
            Delta::Create { node, parent_cversion },
            Delta::Create { node: other, parent_cversion: other_cversion },
        ) => same_node(node, other) && parent_cversion == other_cversion,
        (Delta::SetData(node), Delta::SetData(other))
        | (Delta::SetSilently(node), Delta::SetSilently(other))
        | (Delta::Delete(node), Delta::Delete(other)) => same_node(node, other),
        (
            Delta::OpenSession { id, timeout_ms },
            Delta::OpenSession { id: other, timeout_ms: other_timeout_ms },
        ) => id == other && timeout_ms == other_timeout_ms,
        (Delta::CloseSession(id), Delta::CloseSession(other)) => id == other,
        (Delta::SetCounters { node, counters }, Delta::SetCounters { node: other, counters: others }) => {
            same_node(node, other) && counters == others
        }
        _ => false,
    }
}

pub(crate) fn same_node(one: &Node, other: &Node) -> bool {
    one.path_bytes() == other.path_bytes()
        && one.data() == other.data()
        && (one.czxid(), one.mzxid(), one.version(), one.owner(), one.ctime(), one.mtime(), one.aversion())
            == (
                other.czxid(),
                other.mzxid(),
                other.version(),
                other.owner(),
                other.ctime(),
                other.mtime(),
                other.aversion(),
            )
}
