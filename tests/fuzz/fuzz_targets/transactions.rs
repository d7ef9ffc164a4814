#![no_main]
//! Whatever a transaction from a leader or a log says: it is read or refused, read again as the same from what is
//! written of it, and applied without a panic, to a tree of which a snapshot can be written and read.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Sections, Snapshot, SnapshotWriter};
use ringkeeper_core::id::{ServerId, SessionId, Zxid};
use ringkeeper_core::jute::Reader;
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{Pipeline, PipelineOptions, ReaperOptions};
use ringkeeper_core::proto::{AclRef, CreateKind, Txn, TxnHeader};
use ringkeeper_core::time::WallTime;
use ringkeeper_core::tree::{DataTree, TreeOptions};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    extended_types: bool,
    txns: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// What is behind the header, and of which type it is said to be.
    Raw {
        kind: i8,
        record: &'a [u8],
    },
    One(Change<'a>),
    Multi(Vec<Change<'a>>),
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Open { timeout_ms: i32 },
    Close { paths: Option<Vec<u8>> },
    Error(i32),
    Create { kind: u8, ttl_ms: i64, path: u8, data: Option<&'a [u8]>, parent_cversion: i32 },
    Delete(u8),
    SetData { path: u8, data: Option<&'a [u8]>, version: i32 },
    SetAcl { path: u8, version: i32 },
    Named { path: &'a str, data: &'a [u8] },
}

fuzz_target!(|input: Input| {
    let options = PipelineOptions {
        server: ServerId(1),
        shards: 1,
        tick_ms: 100,
        new_sessions: ringkeeper_core::session::NewSessions::Global,
        settings: Settings::default(),
        reaper: ReaperOptions::default(),
    };
    let tree_options = TreeOptions { extended_types: input.extended_types, digest: true, seed: 1 };
    let mut pipeline = Pipeline::new(options, DataTree::new(tree_options));
    for (step, counter) in input.txns.iter().zip(1..) {
        let payload = step.payload(Zxid::new(1, counter));
        let mut reader = Reader::new(&payload);
        match TxnHeader::decode(&mut reader) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok((header, txn)) => {
                let mut again = Vec::new();
                header.encode(&txn, &mut again);
                assert_eq!(TxnHeader::decode(&mut Reader::new(&again)), Ok((header, txn)));
            }
        }
        if pipeline.recover(&payload).is_err() {
            break;
        }
    }
    let tree = pipeline.tree();
    let mut writer = SnapshotWriter::new(tree.freeze(), Sections::default());
    let mut file = Vec::new();
    while writer.fill(&mut file, 64) {}
    let read = Snapshot::decode(&file, tree.last_zxid(), tree_options, &mut Interner::new(), &Alone);
    let read = read.expect("what was written").tree;
    assert_eq!(read.node_count(), tree.node_count());
    assert_eq!(read.sessions(), tree.sessions());
});

impl Step<'_> {
    fn payload(&self, zxid: Zxid) -> Vec<u8> {
        let session = SessionId(zxid.0 % 3);
        let header = TxnHeader { client_id: session, cxid: 0, zxid, time: WallTime(1) };
        let mut payload = Vec::new();
        match self {
            Step::Raw { kind, record } => {
                header.encode(&Txn::Error { err: 0 }, &mut payload);
                payload.truncate(28);
                payload.extend(i32::from(*kind).to_be_bytes());
                payload.extend_from_slice(record);
            }
            Step::One(change) => header.encode(&change.txn(), &mut payload),
            Step::Multi(changes) => {
                header.encode(&Txn::Multi(changes.iter().map(Change::txn).collect()), &mut payload);
            }
        }
        payload
    }
}

impl Change<'_> {
    fn txn(&self) -> Txn<'_> {
        match *self {
            Change::Open { timeout_ms } => Txn::CreateSession { timeout_ms },
            Change::Close { ref paths } => Txn::CloseSession {
                ephemerals: paths.as_ref().map(|paths| paths.iter().map(|at| path(*at).into()).collect()),
            },
            Change::Error(err) => Txn::Error { err },
            Change::Create { kind, ttl_ms, path: at, data, parent_cversion } => Txn::Create {
                kind: match kind % 6 {
                    0 => CreateKind::Create { ephemeral: false },
                    1 => CreateKind::Create { ephemeral: true },
                    2 => CreateKind::Create2 { ephemeral: false },
                    3 => CreateKind::Create2 { ephemeral: true },
                    4 => CreateKind::Container,
                    _ => CreateKind::Ttl { ttl_ms },
                },
                path: path(at).into(),
                data: data.map(Into::into),
                acl: AclRef::open(),
                parent_cversion,
            },
            Change::Delete(at) => Txn::Delete { path: path(at).into() },
            Change::SetData { path: at, data, version } => {
                Txn::SetData { path: path(at).into(), data: data.map(Into::into), version }
            }
            Change::SetAcl { path: at, version } => {
                Txn::SetAcl { path: path(at).into(), acl: AclRef::open(), version }
            }
            Change::Named { path, data } => Txn::Create {
                kind: CreateKind::Create { ephemeral: false },
                path: path.into(),
                data: Some(data.into()),
                acl: AclRef::open(),
                parent_cversion: -1,
            },
        }
    }
}

/// A few paths that are each other's parents, and ZooKeeper's own.
fn path(at: u8) -> &'static str {
    PATHS[at as usize % PATHS.len()]
}

const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/d",
    "/e",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/config",
];
