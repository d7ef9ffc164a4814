use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::testing::picture;
use crate::tree::{Frozen, FrozenNode, SnapshotTree};

fn node(path: &str, zxid: i64, owner: Owner) -> Node {
    let fields = NodeFields {
        czxid: Zxid(zxid),
        mzxid: Zxid(zxid),
        ctime: zxid,
        mtime: zxid,
        version: 0,
        aversion: 0,
        owner: owner.stored(),
        acl: AclRef::open(),
    };
    Node::new(path, Some(b"data"), fields)
}

fn create(path: &str, zxid: i64, parent_cversion: i32) -> Delta {
    Delta::Create { node: node(path, zxid, Owner::None), parent_cversion }
}

fn tree() -> DataTree {
    DataTree::new(TreeOptions { extended_types: true, digest: true, seed: 7 })
}

#[test]
fn an_empty_database_has_zookeeper_s_built_in_nodes() {
    let tree = tree();
    assert_eq!((tree.node_count(), tree.approximate_data_size()), (5, 44));
    let stat = |path: &str| tree.get(path).expect("a built-in node").stat();
    assert_eq!(stat("/"), Stat { cversion: -1, num_children: 1, ..Stat::default() });
    assert_eq!(stat("/zookeeper"), Stat { cversion: -2, num_children: 2, ..Stat::default() });
    assert_eq!(stat("/zookeeper/config"), Stat { aversion: -1, ..Stat::default() });
    assert!(tree.get("").is_none(), "the alias of the root is the operations' matter");
}

#[test]
fn creating_and_deleting_children_shows_in_the_parent_s_cversion_and_pzxid() {
    let mut tree = tree();
    tree.apply(Zxid(1), &create("/a", 1, 1));
    tree.apply(Zxid(2), &create("/a/b", 2, 1));
    tree.apply(Zxid(3), &create("/a/c", 3, 2));
    let stat = tree.get("/a").expect("/a").stat();
    assert_eq!((stat.cversion, stat.num_children, stat.pzxid, stat.mzxid), (2, 2, Zxid(3), Zxid(1)));
    tree.apply(Zxid(4), &Delta::Delete(node("/a/b", 2, Owner::None)));
    let stat = tree.get("/a").expect("/a").stat();
    assert_eq!((stat.cversion, stat.num_children, stat.pzxid), (3, 1, Zxid(4)));
    assert_eq!(tree.get("/").expect("the root").descendants_count(), 5);
}

#[test]
fn a_tree_is_frozen_in_pieces_and_has_each_znode_once() {
    let mut tree = tree();
    for number in 1..=3000 {
        tree.apply(Zxid(number), &create(&format!("/{number}"), number, number as i32));
    }
    let mut pauses = 0;
    let state = SnapshotTree::of(&tree).freeze(|| pauses += 1);
    assert_eq!(pauses, 2, "of three pieces");
    assert_eq!(frozen(&state), frozen(&tree.freeze()));
    assert_eq!(state.nodes.len(), tree.walk().count());
}

#[test]
fn a_deleted_parent_forgets_its_counters() {
    let mut tree = tree();
    tree.apply(Zxid(1), &create("/a", 1, 1));
    tree.apply(Zxid(2), &create("/a/b", 2, 1));
    tree.apply(Zxid(3), &Delta::Delete(node("/a/b", 2, Owner::None)));
    tree.apply(Zxid(4), &Delta::Delete(node("/a", 1, Owner::None)));
    tree.apply(Zxid(5), &create("/a", 5, 2));
    let stat = tree.get("/a").expect("/a").stat();
    assert_eq!((stat.cversion, stat.pzxid), (0, Zxid(5)));
}

#[derive(Clone, Debug)]
enum Step {
    Create(usize, usize),
    SetData(usize, Vec<u8>),
    Delete(usize),
    OpenSession(i64),
    CloseSession(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..PATHS.len(), 0..4usize).prop_map(|(path, kind)| Step::Create(path, kind)),
        (0..PATHS.len(), any::<Vec<u8>>()).prop_map(|(path, data)| Step::SetData(path, data)),
        (0..PATHS.len()).prop_map(Step::Delete),
        (1..4i64).prop_map(Step::OpenSession),
        (1..4i64).prop_map(Step::CloseSession),
    ]
}

const PATHS: [&str; 7] = ["/a", "/a/b", "/a/c", "/a/b/d", "/e", "/e/f", "/zookeeper/quota/x"];

/// The delta that this step makes of the tree as it is, if it is possible.
fn delta(tree: &DataTree, step: &Step, zxid: i64) -> Option<Delta> {
    match step {
        Step::Create(path, kind) => {
            let path = PATHS[*path];
            let parent = tree.get(parent_of(path)?)?;
            if tree.get(path).is_some() {
                return None;
            }
            let owner = [Owner::None, Owner::Session(SessionId(2)), Owner::Container, Owner::Ttl(9)][*kind];
            Some(Delta::Create { node: node(path, zxid, owner), parent_cversion: parent.cversion() + 1 })
        }
        Step::SetData(path, data) => {
            let found = tree.get(PATHS[*path])?;
            let version = found.node.version() + 1;
            Some(Delta::SetData(found.node.with_data(Some(data), version, Zxid(zxid), zxid)))
        }
        Step::Delete(path) => {
            let found = tree.get(PATHS[*path])?;
            (found.num_children() == 0).then(|| Delta::Delete(found.node.clone()))
        }
        Step::OpenSession(id) => Some(Delta::OpenSession { id: SessionId(*id), timeout_ms: zxid as i32 }),
        Step::CloseSession(id) => Some(Delta::CloseSession(SessionId(*id))),
    }
}

proptest! {
    #[test]
    fn undoing_in_reverse_leaves_no_trace(
        before in prop::collection::vec(step(), 0..20),
        undone in prop::collection::vec(step(), 0..20),
    ) {
        let mut tree = tree();
        let mut zxid = 0;
        for step in &before {
            zxid += 1;
            if let Some(delta) = delta(&tree, step, zxid) {
                tree.apply(Zxid(zxid), &delta);
            }
        }
        let expected = picture(&tree);
        let mut undos = Vec::new();
        for step in &undone {
            zxid += 1;
            if let Some(delta) = delta(&tree, step, zxid) {
                undos.push(tree.apply(Zxid(zxid), &delta));
            }
        }
        while let Some(undo) = undos.pop() {
            tree.undo(undo);
        }
        prop_assert_eq!(picture(&tree), expected);
    }

    /// Also if the leader takes back some of what it did and does something else. Looking ahead changes nothing, also
    /// where what it looks for comes only with a step before.
    #[test]
    fn followers_of_what_is_published_have_the_same_tree(
        acts in prop::collection::vec(act(), 0..60),
    ) {
        let (mut leader, mut alone) = (tree(), tree());
        let mut sharer = leader.share();
        let (mut follower, mut written) = (leader.follower(), SnapshotTree::of(&leader));
        let mut pending: VecDeque<(Zxid, Delta, Place)> = VecDeque::new();
        let mut undos = VecDeque::new();
        for (zxid, act) in (1..).zip(acts.into_iter().chain([Act::Publish(usize::MAX)])) {
            let zxid = Zxid(zxid);
            leader.look_ahead(PATHS.iter().map(|path| path.as_bytes()));
            let ahead = || pending.iter().map(|(_, delta, place)| (delta, *place));
            follower.look_ahead_to_steps(ahead());
            sharer.look_ahead_to_steps(ahead());
            written.look_ahead_to_steps(ahead());
            match act {
                Act::Step(step) => {
                    if let Some(delta) = delta(&leader, &step, zxid.0) {
                        let place = leader.place_of(&delta);
                        undos.push_back((leader.apply_at(zxid, &delta, place), alone.apply(zxid, &delta)));
                        pending.push_back((zxid, delta, place));
                    }
                }
                Act::Publish(count) => for (zxid, delta, place) in pending.drain(..count.min(pending.len())) {
                    undos.pop_front();
                    follower.apply_at(zxid, &delta, place);
                    sharer.apply_at(zxid, &delta, place);
                    written.advance(zxid);
                    written.apply_at(&delta, place);
                },
                Act::RollBack => {
                    pending.clear();
                    while let Some((undo, own)) = undos.pop_back() {
                        leader.undo(undo);
                        alone.undo(own);
                    }
                }
            }
            prop_assert_eq!(found_in(&leader), found_in(&alone));
            prop_assert_eq!(found_in(&sharer), found_in(&follower));
        }
        prop_assert_eq!(picture(&leader), picture(&alone));
        prop_assert_eq!(picture(&leader), picture(&sharer));
        prop_assert_eq!(sharer.paths.look(Table::len), Some(sharer.slots.count()), "nothing is left over");
        prop_assert_eq!(picture(&leader), picture(&follower));
        prop_assert_eq!(frozen(&written.freeze(|| ())), frozen(&leader.freeze()));
    }
}

/// Which nodes are found by their paths.
fn found_in(tree: &DataTree) -> [Option<(Slot, Zxid, Zxid)>; PATHS.len()] {
    PATHS.map(|path| tree.get(path).map(|found| (found.slot, found.node.czxid(), found.node.mzxid())))
}

#[test]
fn a_table_is_shared_once_and_a_copy_has_its_own() {
    let mut leader = tree();
    let mut sharer = leader.share();
    let (mut other, mut copy) = (leader.share(), sharer.clone());
    let (made, gone) = (create("/a", 1, 1), Delta::Delete(node("/a", 1, Owner::None)));
    for (zxid, delta) in [(Zxid(1), &made), (Zxid(2), &gone)] {
        let place = leader.place_of(delta);
        leader.apply_at(zxid, delta, place);
        other.apply_at(zxid, delta, place);
    }
    let place = copy.place_of(&made);
    for tree in [&mut copy, &mut sharer] {
        tree.apply_at(Zxid(1), &made, place);
        assert!(tree.get("/a").is_some());
    }
    assert!(leader.get("/a").is_none() && other.get("/a").is_none());
    sharer.apply_at(Zxid(2), &gone, place);
    assert!(sharer.get("/a").is_none() && copy.get("/a").is_some());
}

fn frozen(state: &Frozen) -> Vec<String> {
    let node = |frozen: &FrozenNode| {
        format!("{:?} {:?} {} {}", frozen.node, frozen.node.data(), frozen.pzxid, frozen.cversion)
    };
    let mut lines: Vec<_> = state.nodes.iter().map(node).collect();
    lines.sort();
    lines.push(format!("{:?}", state.sessions));
    lines
}

#[derive(Clone, Debug)]
enum Act {
    Step(Step),
    Publish(usize),
    RollBack,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![8 => step().prop_map(Act::Step), 2 => (0..9usize).prop_map(Act::Publish), 1 => Just(Act::RollBack)]
}
