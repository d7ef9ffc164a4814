//! The znodes of a load: made before it, removed behind it.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::engine::{Engine, Errors, Pacing, Queue, Work, ZooKeeper};
use crate::paths::Paths;
use crate::session::Session;
use crate::wire;

use super::workload::{Kind, Workload};

/// Where they are.
pub(crate) struct Tree {
    root: String,
    /// Those that are read and set.
    pub(crate) nodes: Paths,
    /// Those that the load makes.
    pub(crate) made: Paths,
    /// The one whose children are listed.
    pub(crate) listed: String,
}

impl Tree {
    /// Makes the znodes that `workload` needs, below `root`.
    pub(crate) fn make(addrs: &[SocketAddr], workload: &Workload, root: &str) -> Result<Tree> {
        let mut session = Session::open(*addrs.first().context("there are no servers")?)?;
        let [nodes, made, listed] = ["nodes", "made", "listed"].map(|name| format!("{root}/{name}"));
        for path in [root, &nodes, &made, &listed] {
            session.create(path)?;
        }
        let tree = Tree {
            nodes: Paths::deep(&nodes, workload.depth, workload.path_len),
            made: Paths::deep(&made, 1, workload.path_len),
            listed,
            root: root.to_owned(),
        };
        let data = vec![b'd'; workload.data_len];
        // Parents come before their children, perhaps in the same multi.
        let groups = tree.nodes.groups(workload.nodes);
        create_all(&mut session, groups.into_iter(), &[])?;
        create_all(&mut session, (0..workload.nodes).map(|node| tree.nodes.path(node)), &data)?;
        if workload.mix.iter().any(|(kind, _)| *kind == Kind::Children) {
            let children = Paths::flat(&tree.listed);
            create_all(&mut session, (0..workload.children).map(|child| children.path(child)), &[])?;
        }
        session.close()?;
        Ok(tree)
    }

    /// Removes all of it, what the load made included.
    pub(crate) fn remove(self, addrs: &[SocketAddr]) -> Result<()> {
        remove_all(addrs, &self.root)
    }
}

/// Removes a znode and all below it.
pub(crate) fn remove_all(addrs: &[SocketAddr], root: &str) -> Result<()> {
    let mut session = Session::open(addrs[0])?;
    let mut levels = vec![vec![root.to_owned()]];
    while let Some(level) = levels.last().filter(|level| !level.is_empty()) {
        let mut below = Vec::new();
        for path in level {
            below.extend(session.children(path)?.into_iter().map(|name| format!("{path}/{name}")));
        }
        levels.push(below);
    }
    session.close()?;
    for level in levels.into_iter().rev().filter(|level| !level.is_empty()) {
        let asks = level.len() as u64;
        let pacing = Pacing::Closed { outstanding: 64 };
        let mut engine = Engine::start(addrs, 1, pacing, Deletes(level), 1, (Errors::End, asks))?;
        engine.go_on_until(u64::MAX, asks)?;
        engine.finish().with_context(|| format!("cannot remove what is below {root}"))?;
    }
    Ok(())
}

struct Deletes(Vec<String>);

impl Work for Deletes {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        if let Some(path) = self.0.pop() {
            queue.last(0, 0, None, |xid, out| wire::append_delete(xid, &path, out));
        }
    }
}

fn create_all(session: &mut Session, paths: impl Iterator<Item = String>, data: &[u8]) -> Result<()> {
    let each = (MULTI_LEN_MAX / (data.len() + NODE_LEN)).clamp(1, 250);
    let mut paths = paths.peekable();
    let batches = std::iter::from_fn(move || {
        let batch: Vec<String> = paths.by_ref().take(each).collect();
        (!batch.is_empty()).then_some(batch)
    });
    session.create_all(batches, data)
}

/// Half of what a server takes.
const MULTI_LEN_MAX: usize = 500_000;
/// What a create takes besides its data, at most about.
const NODE_LEN: usize = 400;
