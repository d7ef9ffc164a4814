//! **Once nothing goes wrong any more, everything goes on**: every server serves within a bounded time, clients are
//! served again, and all servers come to the same tree.

use ringkeeper_core::id::Zxid;

use super::{Verdict, memberships, must};
use crate::world::World;

pub(crate) const PROMISE: &str = "once nothing goes wrong, everything goes on";

/// Whether every server serves, and one of them leads, all in its epoch: who has not noticed yet that its leader is
/// gone serves too.
pub(crate) fn all_serve(world: &World) -> bool {
    let leaders = world.servers.iter().filter(|server| server.leads()).count();
    let epoch = world.leader().and_then(|leader| world.servers[leader].epoch());
    leaders == 1 && world.members().all(|server| server.is_serving() && server.epoch() == epoch)
}

/// Whether every client has an open session and an answer to everything.
pub(crate) fn all_are_answered(world: &World) -> bool {
    world.clients.iter().all(|client| client.is_content())
}

/// Whether every server shows the whole history, and nothing is under way: a leader's own tree is ahead of it then.
pub(crate) fn all_have_all(world: &World) -> bool {
    let last = world.checks.history.last();
    let len = |zxid| world.checks.history.len_at(zxid);
    world.members().all(|server| {
        let Some(process) = &server.process else { return false };
        let shards = process.shards.iter().map(|role| role.shard.tree().last_zxid());
        let is_whole = |zxid: Zxid| len(zxid) == len(last) && (zxid <= last || zxid.counter() == 0);
        shards.chain([process.seat.member().tree().last_zxid()]).all(is_whole)
            && server.disk.durable() >= last
    })
}

/// What must hold at the end: all servers have the same tree.
pub(crate) fn check_end(world: &World) -> Verdict {
    let checks = &world.checks;
    for server in &world.servers {
        // What a server that was removed and does not follow has in its log, it may not have published.
        let Some(process) = server.process.as_ref().filter(|_| server.is_serving()) else { continue };
        let trees = process.shards.iter().map(|role| role.shard.tree());
        let whose = format!("server {}", server.id);
        for tree in trees.chain([process.seat.member().tree()]) {
            checks.history.check_tree(tree, &whose)?;
            if checks.history.len_at(tree.last_zxid()) == checks.history.len() {
                checks.ephemerals.check_tree(tree, &whose)?;
            }
        }
        checks.history.check_tree(&process.snapshotter.tree, &format!("the snapshotter of {whose}"))?;
    }
    for server in world.members() {
        let (epoch, current) = (server.disk.epochs().current, checks.history.last().epoch());
        must!(PROMISE, epoch >= current, "server {} is in epoch {epoch} of {current}", server.id);
    }
    memberships::check_end(world)?;
    for client in &world.clients {
        let session = ringkeeper_core::id::SessionId(client.session());
        let is_open = checks.history.is_open(session) || checks.sessions.may_be_local(session);
        must!(PROMISE, is_open, "{} has {session}, which is closed", client.name());
    }
    Ok(())
}
