//! What ZooKeeper 3.9.5 wrote and served; `RERECORD=1` makes it anew, see `tests/interop/java_files.rs`.

use super::*;
use crate::format::java_log::{End, LogReader, encode_entry, encode_header};
use crate::jute::Reader;
use crate::ops::Database;
use crate::proto::{TxnDigest, TxnHeader};

/// Every node as clients see it, and the sessions.
fn served(tree: &DataTree) -> String {
    let mut lines: Vec<String> = tree.walk().map(line).collect();
    lines.sort();
    lines.extend(tree.sessions().iter().map(|(id, timeout_ms)| format!("session {id} {timeout_ms}\n")));
    lines.concat()
}

fn line(found: crate::tree::Found<'_>) -> String {
    let data = found.node.data().map_or("null".into(), |data| format!("\"{}\"", data.escape_ascii()));
    let acl = found.node.acl().iter();
    let acl: Vec<String> =
        acl.map(|entry| format!("{} {}:{}", entry.perms, entry.scheme, entry.id)).collect();
    let stat = found.stat();
    format!(
        "{} {data} [{}] {} {} {} {} {} {} {} {} {} {} {}\n",
        found.node.path(),
        acl.join(", "),
        stat.czxid.0,
        stat.mzxid.0,
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid.0
    )
}

#[test]
fn snapshots_of_java_hold_what_java_served() {
    // Java knows the digest of a tree that a log was just applied to, and else writes zeros.
    for (compression, file, digest_at) in [
        (Compression::None, PLAIN, LAST),
        (Compression::Gzip, GZIP, Zxid::ZERO),
        (Compression::Snappy, SNAPPY, Zxid::ZERO),
    ] {
        assert!(compression.seems_whole(file));
        let plain = compression.unpack(file, 1 << 20).expect("sound");
        let read = Snapshot::decode(&plain, LAST, OPTIONS, &mut Interner::new(), &Alone).expect("sound");
        assert_eq!(served(&read.tree), SERVED);
        assert_eq!(read.sections.last_zxid, Some(LAST));
        let digest = read.sections.digest.map(|digest| (digest.zxid, digest.version));
        assert_eq!(digest, Some((digest_at, 2)), "{compression:?}");
        if let Some(digest) = read.sections.digest.filter(|digest| digest.zxid == LAST) {
            assert_eq!(read.tree.digest(), Some(digest.value as u64));
        }
        assert_eq!(read.lists_missing, 0);
    }
}

#[test]
fn kinds_of_nodes_are_read_that_clients_do_not_see() {
    let tree = Snapshot::decode(PLAIN, LAST, OPTIONS, &mut Interner::new(), &Alone).expect("sound").tree;
    let owner = |path: &str| tree.get(path).expect("it is there").owner();
    assert_eq!(owner("/container"), Owner::Container);
    assert_eq!(owner("/ttl"), Owner::Ttl(86_400_000));
    assert!(matches!(owner("/ephemeral"), Owner::Session(id) if tree.sessions().contains_key(&id)));
    assert_eq!((tree.ephemerals_count(), tree.expendables().count()), (2, 2));
}

#[test]
fn a_snapshot_of_java_is_written_to_the_same_length() {
    let read = Snapshot::decode(PLAIN, LAST, OPTIONS, &mut Interner::new(), &Alone).expect("sound");
    let again = encode(&read.tree, read.sections);
    // Java gives the list that is open to everybody a number in the table, unless it made the node itself.
    let open = 8 + 4 + 4 + (4 + 5) + (4 + 6);
    assert_eq!(again.len() + open, PLAIN.len());
}

#[test]
fn a_log_of_java_leads_where_java_was() {
    let read = Snapshot::decode(EMPTY, Zxid::ZERO, OPTIONS, &mut Interner::new(), &Alone).expect("sound");
    let mut database = Database::new(read.tree);
    let mut reader = LogReader::new(LOG).expect("a log");
    let mut again = Vec::new();
    encode_header(&mut again);
    while let Some(entry) = reader.next_entry().expect("sound") {
        let mut payload = Reader::new(entry.payload);
        let (header, txn) = TxnHeader::decode(&mut payload).expect("a transaction");
        let mut encoded = Vec::new();
        header.encode(&txn, &mut encoded);
        encoded.extend_from_slice(payload.rest());
        encode_entry(&encoded, &mut again);
        database.apply(&header, &txn, &mut ());
        database.check(TxnDigest::decode(&mut payload));
    }
    assert_eq!((database.digests().compared(), database.digests().mismatches()), (COMPARED, 0));
    assert_eq!(reader.end(), Some(End::Padding));
    assert_eq!(again, LOG[..reader.offset()], "it is written as Java wrote it");
    assert_eq!(served(database.tree()), SERVED);
    assert_eq!(database.tree().last_zxid(), LAST);
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/fixtures/java/", $name))
    };
}

/// All of the log but its errors.
const COMPARED: u64 = 27;
const LAST: Zxid = Zxid(0x1c);
const PLAIN: &[u8] = fixture!("snapshot.1c");
const GZIP: &[u8] = fixture!("snapshot.1c.gz");
const SNAPPY: &[u8] = fixture!("snapshot.1c.snappy");
const EMPTY: &[u8] = fixture!("snapshot.0");
const LOG: &[u8] = fixture!("log.1");
const SERVED: &str = include_str!("../../../../../tests/fixtures/java/served.txt");
