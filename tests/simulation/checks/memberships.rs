//! **Everybody agrees on who decides**: a configuration of one version is the same everywhere, and once nothing goes
//! wrong any more, every server goes by the newest that was activated, and shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringkeeper_core::config::{Configurations, Membership};
use ringkeeper_core::ops::CONFIG_NODE;
use ringkeeper_core::tree::{DataTree, Delta};

use super::{Verdict, must};
use crate::world::World;

pub(crate) const PROMISE: &str = "everybody agrees on who decides";

#[derive(Default)]
pub(crate) struct Memberships {
    /// Those that some server has activated, by version.
    activated: BTreeMap<i64, Arc<Membership>>,
}

impl Memberships {
    /// A server goes by these from now on.
    pub(crate) fn on_configure(&mut self, server: usize, configurations: &Configurations) -> Verdict {
        let committed = configurations.committed();
        let known = self.activated.entry(committed.version()).or_insert_with(|| committed.clone());
        must!(PROMISE, known == committed, "server {server} activates {committed:?}, others have {known:?}");
        Ok(())
    }

    /// How many were activated.
    pub(crate) fn count(&self) -> usize {
        self.activated.len()
    }
}

/// The servers that a reconfig's transaction makes the ensemble, as the changes that are made by it tell.
pub(crate) fn made_by(deltas: &[Delta]) -> Option<Membership> {
    deltas.iter().find_map(|delta| match delta {
        Delta::SetData(node) if node.path() == CONFIG_NODE => {
            Membership::of_peer(node.data().unwrap_or_default()).ok()
        }
        _ => None,
    })
}

/// What must hold at the end.
pub(crate) fn check_end(world: &World) -> Verdict {
    let newest = world.membership();
    for server in world.members() {
        let (id, configurations) = (server.id, server.configurations());
        must!(PROMISE, !configurations.is_pending(), "server {id} does not know who decides");
        let committed = configurations.committed();
        must!(PROMISE, **committed == *newest, "server {id} goes by {committed:?} instead of {newest:?}");
        let Some(process) = &server.process else { continue };
        let shown = |tree: &DataTree| {
            tree.get(CONFIG_NODE).and_then(|found| found.node.data().map(<[u8]>::to_vec)).unwrap_or_default()
        };
        for role in &process.shards {
            let shown = shown(role.shard.tree());
            let is_right = shown == newest.text().as_bytes();
            must!(PROMISE, is_right, "server {id} shows {} as {newest:?}", String::from_utf8_lossy(&shown));
        }
    }
    Ok(())
}
