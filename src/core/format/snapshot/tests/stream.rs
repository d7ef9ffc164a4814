//! The stream says what loading says, whoever wrote the file and however it is cut or damaged.

use std::io::{self, Read};

use super::*;

/// Hands out a few bytes at a time.
struct Sparing<'a>(&'a [u8], usize);

impl Read for Sparing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(self.1);
        self.0.read(&mut out[..len])
    }
}

fn items(file: &[u8]) -> Result<Vec<Item>, StreamError> {
    let mut stream = SnapshotStream::new(Sparing(file, 7));
    let mut items = Vec::new();
    while let Some(item) = stream.next_item()? {
        items.push(item);
    }
    assert_eq!(stream.offset(), file.len());
    Ok(items)
}

fn sections() -> [Sections; 4] {
    let (_, both) = sample();
    [both, Sections { last_zxid: None, ..both }, Sections { digest: None, ..both }, Sections::default()]
}

#[test]
fn a_stream_yields_every_session_list_node_and_section() {
    let (tree, _) = sample();
    for sections in sections() {
        let items = items(&encode(&tree, sections)).expect("sound");
        let sessions = items.iter().filter_map(|item| match item {
            Item::Session { id, timeout_ms } => Some((*id, *timeout_ms)),
            _ => None,
        });
        assert!(sessions.eq(tree.sessions().iter().map(|(id, timeout_ms)| (*id, *timeout_ms))));
        let list = |number| {
            items.iter().find_map(|item| match item {
                Item::List { number: other, acl } if *other == number => Some(acl.clone()),
                _ => None,
            })
        };
        let nodes: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Node(node) => Some(node),
                _ => None,
            })
            .collect();
        assert_eq!(nodes.len() + 1, tree.node_count());
        for node in nodes {
            let found = tree.get(&node.path).expect("it is in the tree");
            let fields = found.node.fields();
            assert_eq!(node.data.as_deref(), found.node.data());
            assert_eq!((node.cversion, node.pzxid), (found.cversion(), found.pzxid()));
            assert_eq!((node.czxid, node.mzxid, node.owner), (fields.czxid, fields.mzxid, fields.owner));
            assert_eq!((node.ctime, node.mtime), (fields.ctime, fields.mtime));
            assert_eq!((node.version, node.aversion), (fields.version, fields.aversion));
            let open = (node.acl == StoredNode::OPEN_ACL).then(AclRef::open);
            assert_eq!(open.or_else(|| list(node.acl)), Some(fields.acl.clone()));
        }
        let end: Vec<_> = items
            .iter()
            .filter(|item| matches!(item, Item::Digest(_) | Item::LastZxid(_)))
            .cloned()
            .collect();
        let expected = sections.digest.map(Item::Digest).into_iter();
        assert_eq!(end, expected.chain(sections.last_zxid.map(Item::LastZxid)).collect::<Vec<_>>());
    }
}

#[test]
fn a_stream_refuses_what_loading_refuses_at_the_same_place() {
    let (tree, sections) = sample();
    let file = encode(&tree, sections);
    for at in 0..file.len() {
        let (cut, mut flipped) = (file[..at].to_vec(), file.clone());
        flipped[at] ^= 1 << (at % 8);
        for damaged in [cut, flipped] {
            let Err(loading) = decode(&damaged) else {
                // It was cut behind a section, and is a snapshot that has no more of them.
                assert!(damaged.len() == at && items(&damaged).is_ok(), "{at}");
                continue;
            };
            match items(&damaged).expect_err("damaged") {
                // A stream looks at no node's place in the tree, and so finds the damage at the seal.
                StreamError::Snapshot(error) if matches!(loading.reason, Reason::Node(_)) => {
                    assert!(error.offset >= loading.offset, "{at}: {error}, {loading}");
                }
                // How far a count is too large shows only when all has been read.
                StreamError::Snapshot(error) if matches!(loading.reason, Reason::Record(_)) => {
                    assert!(matches!(error.reason, Reason::Record(_)), "{at}: {error}, {loading}");
                }
                StreamError::Snapshot(error) => assert_eq!(error, loading, "{at}"),
                StreamError::Source { source, .. } => panic!("{at}: {source}"),
            }
        }
    }
}

#[test]
fn a_stream_of_a_compressed_file_is_that_of_the_plain_one_and_names_damage() {
    let (tree, sections) = sample();
    let plain = encode(&tree, sections);
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let mut packer = Packer::new(compression);
        let mut file = Vec::new();
        packer.push(&plain, &mut file);
        packer.finish(&mut file);
        let read = |file: &[u8]| {
            let mut unpacked = Vec::new();
            compression.unpacking(Sparing(file, 5)).read_to_end(&mut unpacked).map(|_| unpacked)
        };
        assert_eq!(read(&file).expect("sound"), plain, "{compression:?}");
        if compression == Compression::None {
            continue;
        }
        for len in 0..file.len() {
            // A snappy file may end behind any block; what it holds then lacks its end.
            let unpacked = read(&file[..len]);
            assert!(
                unpacked.is_err() || items(&unpacked.unwrap_or_default()).is_err(),
                "{compression:?} {len}"
            );
        }
    }
}
