//! What holds for the format whoever wrote the file; files that Java wrote are looked at in `golden`.

mod damage;
mod golden;
mod stream;

use proptest::prelude::*;

use super::*;
use crate::Alone;
use crate::acl::Interner;
use crate::id::SessionId;
use crate::proto::{Acl, AclRef, perms};
use crate::testing::picture;
use crate::tree::{Counters, DataTree, Delta, Node, NodeFields, Owner, TreeOptions, parent_of};

const OPTIONS: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 5 };

fn encode(tree: &DataTree, sections: Sections) -> Vec<u8> {
    encode_by(tree, sections, usize::MAX)
}

fn encode_by(tree: &DataTree, sections: Sections, piece_len: usize) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(tree.freeze(), sections);
    let mut file = Vec::new();
    while writer.fill(&mut file, piece_len) {}
    assert_eq!(file.len() as u64, writer.len_min(), "the length was known ahead");
    file
}

fn decode(file: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::decode(file, Zxid(99), OPTIONS, &mut Interner::new(), &Alone)
}

/// Every kind of node, list and section.
fn sample() -> (DataTree, Sections) {
    let mut tree = DataTree::new(OPTIONS);
    let steps = [
        ("/a", Some(&b"data"[..]), Owner::None, 0),
        ("/a/null", None, Owner::None, 1),
        ("/a/empty", Some(b""), Owner::Session(SessionId(-7)), 2),
        ("/a/c", None, Owner::Container, 1),
        ("/a/t", None, Owner::Ttl(5), 3),
        ("/é\u{4e2d}", Some(b"\0\xff"), Owner::None, 0),
    ];
    for (at, (path, data, owner, list)) in steps.into_iter().enumerate() {
        create(&mut tree, path, data, owner, lists(list), 1 + at as i64);
    }
    for (id, timeout_ms) in [(SessionId(-7), 4000), (SessionId(5), 30_000)] {
        tree.apply(Zxid(9), &Delta::OpenSession { id, timeout_ms });
    }
    tree.advance(Zxid(99));
    let digest = Digest { zxid: Zxid(99), version: 2, value: 0x1234_5678_9abc };
    (tree, Sections { digest: Some(digest), last_zxid: Some(Zxid(99)) })
}

fn create(tree: &mut DataTree, path: &str, data: Option<&[u8]>, owner: Owner, acl: AclRef, zxid: i64) {
    let fields = NodeFields {
        czxid: Zxid(zxid),
        mzxid: Zxid(zxid + 1),
        ctime: 1000 + zxid,
        mtime: 2000 + zxid,
        version: zxid as i32,
        aversion: -1,
        owner: owner.stored(),
        acl,
    };
    let parent = tree.get(parent_of(path).expect("not the root")).expect("its parent comes first");
    let parent_cversion = parent.cversion().wrapping_add(1);
    tree.apply(Zxid(zxid), &Delta::Create { node: Node::new(path, data, fields), parent_cversion });
}

fn lists(which: usize) -> AclRef {
    let entry = |scheme: &str, id: &str| Acl { perms: perms::READ, scheme: scheme.into(), id: id.into() };
    match which {
        0 => AclRef::open(),
        1 => AclRef::new([entry("digest", "u:é"), entry("ip", "10.0.0.0/8")]),
        2 => AclRef::new([]),
        _ => AclRef::new([entry("sasl", "")]),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create { parent: usize, name: u8, data: Option<Vec<u8>>, owner: u8, list: usize },
    Delete { at: usize },
    Count { at: usize, cversion: i32 },
    Session(i64, i32),
}

fn step() -> impl Strategy<Value = Step> {
    let data = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..400));
    prop_oneof![
        8 => (any::<usize>(), any::<u8>(), data(), any::<u8>(), 0..4usize).prop_map(
            |(parent, name, data, owner, list)| Step::Create { parent, name, data, owner, list }
        ),
        2 => any::<usize>().prop_map(|at| Step::Delete { at }),
        1 => (any::<usize>(), any::<i32>()).prop_map(|(at, cversion)| Step::Count { at, cversion }),
        1 => (any::<i64>(), any::<i32>()).prop_map(|(id, timeout_ms)| Step::Session(id, timeout_ms)),
    ]
}

fn play(steps: &[Step]) -> DataTree {
    let mut tree = DataTree::new(OPTIONS);
    for (at, step) in steps.iter().enumerate() {
        let zxid = 1 + at as i64;
        let nodes: Vec<Node> = tree.walk().map(|found| found.node.clone()).collect();
        match step {
            Step::Create { parent, name, data, owner, list } => {
                let parent = nodes[parent % nodes.len()].path();
                let path = format!("{}/{name}", if parent == "/" { "" } else { parent });
                let owner = match owner % 8 {
                    0 => Owner::Session(SessionId(3)),
                    1 => Owner::Container,
                    2 => Owner::Ttl(77),
                    _ => Owner::None,
                };
                if tree.get(&path).is_none() {
                    create(&mut tree, &path, data.as_deref(), owner, lists(*list), zxid);
                }
            }
            Step::Delete { at } => {
                let node = nodes[at % nodes.len()].clone();
                if node.path() != "/" && tree.get(node.path()).is_some_and(|found| found.num_children() == 0)
                {
                    tree.apply(Zxid(zxid), &Delta::Delete(node));
                }
            }
            Step::Count { at, cversion } => {
                let node = nodes[at % nodes.len()].clone();
                let counters = Counters { cversion: *cversion, pzxid: Zxid(zxid) };
                tree.apply(Zxid(zxid), &Delta::SetCounters { node, counters });
            }
            Step::Session(id, timeout_ms) => {
                tree.apply(Zxid(zxid), &Delta::OpenSession { id: SessionId(*id), timeout_ms: *timeout_ms });
            }
        }
    }
    tree.advance(Zxid(99));
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_tree_reads_back_as_it_was_written(
        steps in proptest::collection::vec(step(), 0..80),
        piece_len in 0..3000usize,
        which in 0..4u8,
    ) {
        let tree = play(&steps);
        let (_, all) = sample();
        let sections = Sections {
            digest: all.digest.filter(|_| which & 1 != 0),
            last_zxid: all.last_zxid.filter(|_| which & 2 != 0),
        };
        let file = encode_by(&tree, sections, piece_len);
        prop_assert_eq!(&file, &encode(&tree, sections), "the pieces make no difference");
        let read = decode(&file).expect("what was just written");
        prop_assert_eq!(picture(&read.tree), picture(&tree));
        prop_assert_eq!((read.sections, read.lists_missing), (sections, 0));
        prop_assert_eq!(read.tree.last_zxid(), Zxid(99));
    }
}

#[test]
fn a_piece_is_no_longer_than_asked_but_for_the_item_that_ends_it() {
    let (tree, sections) = sample();
    let whole = encode(&tree, sections);
    let mut writer = SnapshotWriter::new(tree.freeze(), sections);
    let mut file = Vec::new();
    let mut pieces = 0;
    loop {
        let before = file.len();
        let goes_on = writer.fill(&mut file, 100);
        assert!(file.len() - before < 100 + 200, "a piece of {} bytes", file.len() - before);
        pieces += 1;
        if !goes_on {
            break;
        }
    }
    assert!(pieces > 5);
    assert_eq!(file, whole);
    assert!(!writer.fill(&mut file, 100), "nothing follows");
    assert_eq!(file, whole);
}

#[test]
fn lists_are_shared_by_the_nodes_that_have_them_and_with_the_interner() {
    let (tree, sections) = sample();
    let file = encode(&tree, sections);
    let mut interner = Interner::new();
    let known = interner.share(lists(1));
    let read = Snapshot::decode(&file, Zxid(1), OPTIONS, &mut interner, &Alone).expect("a snapshot");
    for path in ["/a/null", "/a/c"] {
        let found = read.tree.get(path).expect("it was written");
        assert!(std::ptr::eq(&found.node.acl()[0], &known[0]), "{path}");
    }
}

#[test]
fn a_node_whose_list_the_table_lacks_lets_nobody_in() {
    let (tree, _) = sample();
    let mut file = encode(&tree, Sections::default());
    let table = HEADER_LEN + 4 + 2 * SESSION_LEN + 4;
    file[table..table + 8].copy_from_slice(&77i64.to_be_bytes());
    damage::seal_anew(&mut file);
    let read = decode(&file).expect("a fuzzy snapshot");
    let missing = read.tree.walk().filter(|found| found.node.acl()[..] == [NOBODY.clone()]).count();
    assert_eq!(missing, read.lists_missing);
    assert!(missing > 0);
}

#[test]
fn compressed_files_unpack_to_what_was_packed() {
    let mut plain: Vec<u8> = (0..200_000u32).flat_map(|at| (at / 3).to_be_bytes()).collect();
    plain.extend_from_slice(&[0, 0, 0, 1, b'/']);
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let mut file = Vec::new();
        let mut packer = Packer::new(compression);
        plain.chunks(10_007).for_each(|piece| packer.push(piece, &mut file));
        packer.finish(&mut file);
        assert!(compression.seems_whole(&file), "{compression:?}");
        assert_eq!(compression.unpack(&file, plain.len()).expect("sound")[..], plain);
        let refused = compression.unpack(&file, plain.len() - 1);
        assert!(matches!(refused, Err(UnpackError::TooLong(_))), "{compression:?}");
        let mut empty = Vec::new();
        Packer::new(compression).finish(&mut empty);
        assert_eq!(compression.unpack(&empty, 0).expect("sound").len(), 0);
    }
}

static NOBODY: std::sync::LazyLock<Acl> =
    std::sync::LazyLock::new(|| Acl { perms: 0, scheme: "world".into(), id: "anyone".into() });
