//! A log replayed over a state that is partly later already (storage-formats §5).

use std::borrow::Cow;

use proptest::prelude::*;

use super::Database;
use crate::Alone;
use crate::id::{SessionId, Zxid};
use crate::proto::{Acl, AclRef, CreateKind, Txn, TxnHeader};
use crate::testing::picture;
use crate::time::WallTime;
use crate::tree::{DataTree, Loader, Node, TreeOptions};

const OPTIONS: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 1 };
const SESSION: SessionId = SessionId(7);

fn database() -> Database {
    Database::new(DataTree::new(OPTIONS))
}

fn apply(db: &mut Database, zxid: i64, txn: &Txn<'_>) {
    apply_by(SESSION, db, zxid, txn);
}

fn apply_by(client_id: SessionId, db: &mut Database, zxid: i64, txn: &Txn<'_>) {
    let header = TxnHeader { client_id, cxid: 0, zxid: Zxid(zxid), time: WallTime(1000 + zxid) };
    db.apply(&header, txn, &mut ());
}

fn create(path: &'static str, parent_cversion: i32) -> Txn<'static> {
    create_kind(path, parent_cversion, CreateKind::Create { ephemeral: false }, AclRef::open())
}

fn create_kind(path: &'static str, parent_cversion: i32, kind: CreateKind, acl: AclRef) -> Txn<'static> {
    Txn::Create { kind, path: path.into(), data: Some(Cow::Borrowed(b"x")), acl, parent_cversion }
}

fn delete(path: &'static str) -> Txn<'static> {
    Txn::Delete { path: path.into() }
}

/// The stored cversion, and the pzxid.
fn counters(db: &Database, path: &str) -> (i32, i64) {
    let found = db.tree().get(path).expect("it is there");
    (found.cversion(), found.pzxid().0)
}

fn private() -> AclRef {
    AclRef::new([Acl { perms: 1, scheme: "ip".into(), id: "10.0.0.1".into() }])
}

#[test]
fn a_create_of_a_node_that_exists_sets_its_list_and_raises_the_parent_s_counters() {
    let kinds = [
        CreateKind::Create { ephemeral: false },
        CreateKind::Create2 { ephemeral: false },
        CreateKind::Container,
        CreateKind::Ttl { ttl_ms: 5 },
    ];
    for kind in kinds {
        let mut db = database();
        apply(&mut db, 1, &create("/a", 1));
        let before = db.tree().get("/a").expect("created").stat();
        apply(&mut db, 5, &create_kind("/a", 3, kind, private()));
        assert_eq!(counters(&db, "/"), (3, 5), "{kind:?}");
        let found = db.tree().get("/a").expect("created");
        assert_eq!(found.node.acl(), &private());
        assert_eq!(found.stat(), before, "nothing else of it changes");
    }
}

#[test]
fn a_create_raises_the_parent_s_counters_only_if_its_count_is_higher() {
    let mut db = database();
    apply(&mut db, 9, &create("/a", 8));
    for (txn, expected) in [
        (create("/a", 8), (8, 9)),
        (create("/a", 3), (8, 9)),
        (create("/b", 2), (8, 9)),
        (create("/a", -1), (9, 4)),
        (create("/c", -1), (10, 4)),
        (create("/missing/c", 3), (10, 4)),
    ] {
        apply(&mut db, 4, &txn);
        assert_eq!(counters(&db, "/"), expected, "{txn:?}");
    }
    assert!(db.tree().get("/b").is_some(), "it is created all the same");
}

#[test]
fn a_delete_of_a_missing_node_leaves_its_zxid_with_the_parent() {
    let mut db = database();
    apply(&mut db, 5, &create("/a", 1));
    apply(&mut db, 7, &delete("/missing"));
    assert_eq!(counters(&db, "/"), (1, 7));
    apply(&mut db, 6, &delete("/missing"));
    assert_eq!(counters(&db, "/"), (1, 7), "it is later already");
    apply(&mut db, 6, &delete("/a"));
    assert_eq!(counters(&db, "/"), (1, 7), "for a node that is there too");
    apply(&mut db, 8, &delete("/missing/too"));
    apply(&mut db, 8, &delete("/"));
    assert_eq!(counters(&db, "/"), (1, 7));
}

#[test]
fn a_delete_takes_children_of_later_with_it_and_they_come_back() {
    let later = [
        create("/a", 1),
        Txn::SetData { path: "/a".into(), data: Some(Cow::Borrowed(b"old")), version: 1 },
        delete("/a"),
        create("/a", 2),
        create("/a/b", 1),
        create("/a/b/c", 1),
    ];
    let mut db = database();
    let replay = |db: &mut Database| (1..).zip(&later).for_each(|(zxid, txn)| apply(db, zxid, txn));
    replay(&mut db);
    let once = picture(db.tree());
    replay(&mut db);
    assert_eq!(picture(db.tree()), once);
}

#[test]
fn a_session_is_closed_whatever_of_it_is_there() {
    let mut db = database();
    let ephemeral = |path, count| create_kind(path, count, CreateKind::Create { ephemeral: true }, private());
    apply(&mut db, 1, &Txn::CreateSession { timeout_ms: 5 });
    apply(&mut db, 2, &ephemeral("/listed", 1));
    apply(&mut db, 3, &ephemeral("/unlisted", 2));
    apply(&mut db, 4, &Txn::CloseSession { ephemerals: Some(vec!["/listed".into(), "/gone".into()]) });
    assert_eq!((db.tree().ephemerals_count(), db.tree().sessions().len()), (0, 0));
    assert_eq!((db.tree().node_count(), db.tree().last_zxid()), (5, Zxid(4)));
    apply(&mut db, 5, &Txn::CloseSession { ephemerals: None });
    assert_eq!(db.tree().last_zxid(), Zxid(5));
}

#[test]
fn a_multi_is_replayed_part_by_part_or_not_at_all() {
    let mut db = database();
    apply(&mut db, 1, &create("/a", 1));
    let parts = || vec![create("/a", 1), create("/b", 2), delete("/missing")];
    let mut failed = parts();
    failed.push(Txn::Error { err: -101 });
    let before = picture(db.tree());
    apply(&mut db, 2, &Txn::Multi(failed));
    assert_eq!(picture(db.tree()), before);
    apply(&mut db, 3, &Txn::Multi(parts()));
    assert!(db.tree().get("/b").is_some());
    assert_eq!(counters(&db, "/"), (2, 3));
}

#[test]
fn a_quota_whose_statistics_are_later_than_its_subtree_is_counted_anew() {
    let set = |path: &'static str, data: &'static str| Txn::SetData {
        path: path.into(),
        data: Some(Cow::Borrowed(data.as_bytes())),
        version: 1,
    };
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    let mut db = database();
    let creates = ["/a", "/a/b", "/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_limits", stats];
    (1..).zip(creates).for_each(|(zxid, path)| apply(&mut db, zxid, &create(path, -1)));
    // As a snapshot may hold it, to whose statistics the log then adds `/a/c` once more.
    apply(&mut db, 6, &set(stats, "count=3,bytes=3"));
    let mut loaded = Database::new(db.tree().clone());
    let data = |db: &Database| {
        let found = db.tree().get(stats).expect("it is there");
        String::from_utf8_lossy(found.node.data().unwrap_or_default()).into_owned()
    };
    assert_eq!(data(&loaded), "count=2,bytes=2");
    apply(&mut loaded, 7, &create("/a/c", -1));
    assert_eq!(data(&loaded), "count=3,bytes=3");
}

/// One transaction of a history, before it is known whether it makes sense.
#[derive(Clone, Copy, Debug)]
struct Wish {
    kind: u8,
    path: usize,
    number: u8,
    session: SessionId,
}

const PATHS: [&str; 7] = ["/a", "/a/a", "/a/b", "/b", "/a/a/a", "/b/a", "/c"];

/// The transaction that a server would have made of the wish.
fn txn(db: &Database, wish: Wish) -> Option<Txn<'static>> {
    let path = PATHS[wish.path % PATHS.len()];
    let parent = db.tree().get(crate::tree::parent_of(path)?);
    let found = db.tree().get(path);
    let data: Cow<'static, [u8]> = Cow::Owned(vec![wish.number; 3]);
    let acl = if wish.number.is_multiple_of(2) { AclRef::open() } else { private() };
    Some(match wish.kind % 8 {
        0..=2 => {
            let parent = parent.filter(|parent| {
                found.is_none() && !matches!(parent.owner(), crate::tree::Owner::Session(_))
            })?;
            let ephemeral = wish.number.is_multiple_of(3) && db.tree().sessions().contains_key(&wish.session);
            let kind = if wish.number.is_multiple_of(5) {
                CreateKind::Create2 { ephemeral }
            } else {
                CreateKind::Create { ephemeral }
            };
            Txn::Create {
                kind,
                path: path.into(),
                data: Some(data),
                acl,
                parent_cversion: parent.cversion() + 1,
            }
        }
        3 | 4 => {
            found.filter(|found| found.num_children() == 0)?;
            delete(path)
        }
        5 => Txn::SetData { path: path.into(), data: Some(data), version: found?.node.version() + 1 },
        6 => Txn::SetAcl { path: path.into(), acl, version: found?.node.aversion() + 1 },
        _ if db.tree().sessions().contains_key(&wish.session) => {
            let ephemerals = super::ephemerals_of(db, wish.session);
            let paths = ephemerals.iter().map(|node| node.path().to_owned().into());
            // Servers up to 3.5 list nothing, and from their logs a fuzzy state cannot always be mended: an
            // ephemeral that went with its session and came back for another keeps what it was set to.
            Txn::CloseSession { ephemerals: Some(paths.collect()) }
        }
        _ => Txn::CreateSession { timeout_ms: 5 },
    })
}

/// The tree as Java writes it while it changes: each node, and the names of its children, as of the
/// moment when it is its turn. `states` are all states, `pace` says how many pass at each node.
fn fuzzy(states: &[DataTree], start: usize, pace: &[usize]) -> DataTree {
    let loader = Loader::new(OPTIONS);
    let mut part = loader.part(0);
    let mut moment = start;
    let mut turns = pace.iter().cycle();
    let mut pending = vec![String::from("/")];
    while let Some(path) = pending.pop() {
        moment = (moment + turns.next().unwrap_or(&0)).min(states.len() - 1);
        // A node that is gone when it is its turn is left out.
        let Some(found) = states[moment].get(&path) else { continue };
        let node: Node = found.node.clone();
        part.push(node, found.cversion(), found.pzxid()).expect("a path");
        pending.extend(found.children().map(|child| child.node.path().to_owned()));
    }
    let sessions = states[start].sessions().clone();
    loader.finish(vec![part], sessions, Zxid(start as i64), &Alone).expect("parents come first")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_fuzzy_snapshot_and_the_log_from_its_start_on_lead_to_the_true_state(
        wishes in proptest::collection::vec((any::<u8>(), any::<usize>(), any::<u8>(), 7..9i64), 1..60),
        start in any::<proptest::sample::Index>(),
        pace in proptest::collection::vec(0..4usize, 1..12),
    ) {
        let mut db = database();
        let mut log = Vec::new();
        let mut states = vec![db.tree().clone()];
        for (kind, path, number, session) in wishes {
            let session = SessionId(session);
            if let Some(txn) = txn(&db, Wish { kind, path, number, session }) {
                let zxid = states.len() as i64;
                apply_by(session, &mut db, zxid, &txn);
                log.push((zxid, session, txn));
                states.push(db.tree().clone());
            }
        }
        let start = start.index(states.len());
        let mut recovered = Database::new(fuzzy(&states, start, &pace));
        for (zxid, session, txn) in log.iter().filter(|(zxid, ..)| *zxid > start as i64) {
            apply_by(*session, &mut recovered, *zxid, txn);
        }
        prop_assert_eq!(picture(recovered.tree()), picture(db.tree()));
    }
}
