use super::*;
use crate::acl::{DigestAlgorithm, Interner, Policy, digest_id};
use crate::error::Code;
use crate::flow::{Outcome, PartOutcome, Step};
use crate::id::{SessionId, Zxid};
use crate::jute::Reader;
use crate::proto::{AclRef, CreateKind, Identity, OpCode, Txn, TxnHeader, perms};
use crate::testing::{
    Entry, OPEN, create, create_ttl, create_with, multi, path_version, picture, record, set_acl, set_data,
};
use crate::time::WallTime;
use crate::tree::{DataTree, Delta, TreeOptions};

/// A database, and one connection that writes to it.
struct Bench {
    db: Database,
    interner: Interner,
    settings: Settings,
    session: AskingSession,
    identities: Vec<Identity>,
    reconfig: Option<ReconfigContext>,
    last: Zxid,
}

const SESSION: SessionId = SessionId(0x77);

impl Bench {
    fn new() -> Bench {
        let tree = DataTree::new(TreeOptions { extended_types: true, digest: true, seed: 3 });
        Bench {
            db: Database::new(tree),
            interner: Interner::new(),
            settings: Settings { extended_types: true, ..Settings::default() },
            session: AskingSession::Global,
            identities: vec![identity("ip", "127.0.0.1")],
            reconfig: None,
            last: Zxid(0),
        }
    }

    /// Asks, and says whether a zxid was taken, what was logged, what changed and what is answered.
    fn ask(&mut self, op: OpCode, record: &[u8]) -> (Option<Vec<u8>>, Vec<Step>, Outcome) {
        let time = WallTime(1000 + self.last.0);
        let header = TxnHeader { client_id: SESSION, cxid: 9, zxid: self.last.next(), time };
        let mut changes = Changes::default();
        let mut asker = Asker {
            session: self.session,
            identities: &self.identities,
            settings: &self.settings,
            reconfig: self.reconfig.as_ref(),
            interner: &mut self.interner,
        };
        match order(op, record, &mut self.db, &header, &mut asker, &mut changes) {
            Ok(Ordered { txn, outcome }) => {
                self.last = header.zxid;
                let mut logged = Vec::new();
                header.encode(&txn, &mut logged);
                (Some(logged), changes.take_first(changes.len()), outcome)
            }
            Err(Undecodable { takes_zxid }) => {
                assert!(changes.is_empty());
                (takes_zxid.then(Vec::new), Vec::new(), Outcome::Failed(Code::MarshallingError))
            }
        }
    }

    /// The code that the client hears, `Ok` for success.
    fn code(&mut self, op: OpCode, record: Vec<u8>) -> Code {
        let before = picture(self.db.tree());
        let (logged, steps, outcome) = self.ask(op, &record);
        let Outcome::Failed(code) = outcome else { return Code::Ok };
        assert_eq!(picture(self.db.tree()), before, "a refused request changes nothing");
        assert_eq!(steps.len(), usize::from(logged.is_some()), "it has at most a zxid");
        if let Some(logged) = logged {
            let (_, txn) = TxnHeader::decode(&mut Reader::new(&logged)).expect("a transaction");
            assert_eq!(txn, Txn::Error { err: code.number() });
        }
        code
    }

    fn must(&mut self, op: OpCode, record: Vec<u8>) -> Outcome {
        let (_, _, outcome) = self.ask(op, &record);
        assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
        outcome
    }

    fn create(&mut self, path: &str) {
        self.must(OpCode::Create, create(path, b"", 0));
    }

    fn created_path(&mut self, op: OpCode, record: Vec<u8>) -> String {
        match self.must(op, record) {
            Outcome::Created(node) | Outcome::CreatedWithStat(node) => node.path().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn limit(&mut self, path: &str, acl: &[Entry<'_>]) {
        self.must(OpCode::SetAcl, set_acl(path, Some(acl), -1));
    }

    fn data(&self, path: &str) -> String {
        let found = self.db.tree().get(path).expect("a node");
        String::from_utf8_lossy(found.node.data().unwrap_or_default()).into_owned()
    }
}

fn identity(scheme: &str, id: &str) -> Identity {
    Identity { scheme: scheme.into(), id: id.into() }
}

fn everybody(perms: i32) -> [Entry<'static>; 1] {
    [(perms, Some("world"), Some("anyone"))]
}

const BAD_ACL: Option<&[Entry<'static>]> = Some(&[(1, Some("nobody"), Some("x"))]);

#[test]
fn create_fails_with_the_first_of_its_reasons() {
    use Code::*;
    let mut bench = Bench::new();
    bench.create("/locked");
    bench.create("/locked/there");
    bench.limit("/locked", &everybody(perms::ALL & !perms::CREATE));
    bench.must(OpCode::Create, create("/eph", b"", 1));
    let open = |path: &str, flags: i32| create(path, b"", flags);
    let acl = |path: &str, acl, flags: i32| create_with(path, None, acl, flags, None);

    for (op, record, expected) in [
        (OpCode::Create, vec![0, 0, 0], MarshallingError),
        (OpCode::Create, open("/a", 7), BadArguments),
        (OpCode::Create, open("/a", -1), BadArguments),
        (OpCode::Create, acl("nope", BAD_ACL, 5), BadArguments),
        (OpCode::CreateTtl, create_ttl("/a", 0, 5), BadArguments),
        (OpCode::CreateTtl, create_ttl("/a", 0, -1), BadArguments),
        (OpCode::CreateTtl, create_ttl("/a", 5, 0), BadArguments),
        (OpCode::CreateTtl, create_ttl("/a", 5, -1), BadArguments),
        (OpCode::CreateTtl, create_ttl("/a", 6, 0x100_0000_0000), BadArguments),
        (OpCode::Create, acl("nope", BAD_ACL, 0), BadArguments),
        (OpCode::Create, acl("/missing\0/a", BAD_ACL, 0), BadArguments),
        (OpCode::Create, acl("/missing/a", BAD_ACL, 0), InvalidAcl),
        (OpCode::Create, acl("/missing/a", None, 0), InvalidAcl),
        (OpCode::Create, acl("/missing/a", Some(&[(1, Some("ip"), None)]), 0), MarshallingError),
        (OpCode::Create, open("/missing/a", 0), NoNode),
        (OpCode::Create, open("/locked//b", 0), NoNode),
        (OpCode::Create, open("/locked/..", 0), NoAuth),
        (OpCode::Create, open("/locked/there", 0), NoAuth),
        (OpCode::Create, open("/", 0), NodeExists),
        (OpCode::Create, open("/eph/", 0), BadArguments),
        (OpCode::Create, open("/a\u{1}", 0), BadArguments),
        (OpCode::Create, open("/eph", 0), NodeExists),
        (OpCode::Create, open("/eph/a", 0), NoChildrenForEphemerals),
    ] {
        assert_eq!(bench.code(op, record.clone()), expected, "{op:?} {:?}", String::from_utf8_lossy(&record));
    }

    bench.settings.extended_types = false;
    assert_eq!(bench.code(OpCode::CreateTtl, create_ttl("/a", 5, 0)), Unimplemented);
    assert_eq!(bench.code(OpCode::Create, open("/a", 6)), Unimplemented);
    assert_eq!(bench.code(OpCode::CreateTtl, create_ttl("/a", 0, -1)), BadArguments);
    bench.session = AskingSession::Unknown;
    assert_eq!(bench.code(OpCode::Create, open("/a", 7)), BadArguments);
    assert_eq!(bench.code(OpCode::CreateTtl, create_ttl("/a", 5, 0)), Unimplemented);
    assert_eq!(bench.code(OpCode::Create, open("nope", 0)), SessionExpired);
}

#[test]
fn an_ephemeral_takes_no_sequential_children_either() {
    let mut bench = Bench::new();
    bench.must(OpCode::Create, create("/e", b"", 1));
    assert_eq!(bench.code(OpCode::Create2, create("/e/x", b"", 2)), Code::NoChildrenForEphemerals);
}

#[test]
fn delete_fails_with_the_first_of_its_reasons() {
    use Code::*;
    let mut bench = Bench::new();
    bench.create("/p");
    bench.create("/p/c");
    bench.create("/locked");
    bench.create("/locked/c");
    bench.limit("/locked", &everybody(perms::ALL & !perms::DELETE));
    for (path, version, expected) in [
        ("nope", 5, BadArguments),
        ("", -1, BadArguments),
        ("/p\0", -1, BadArguments),
        ("/", -1, BadArguments),
        ("/zookeeper", -1, BadArguments),
        ("/zookeeper/quota", -1, BadArguments),
        ("/zookeeper/config", -1, BadArguments),
        ("/missing/c", 5, NoNode),
        ("/locked/missing", 5, NoAuth),
        ("/p/missing", 5, NoNode),
        ("/p/", -1, NoNode),
        ("//p", -1, NoNode),
        ("/p", 5, BadVersion),
        ("/p", -2, BadVersion),
        ("/p", 0, NotEmpty),
    ] {
        assert_eq!(bench.code(OpCode::Delete, path_version(path, version)), expected, "{path}");
    }
    bench.limit("/p/c", &everybody(0));
    assert_eq!(bench.code(OpCode::Delete, path_version("/p/c", 0)), Ok, "the parent's list decides");
    bench.session = AskingSession::Unknown;
    assert_eq!(bench.code(OpCode::Delete, path_version("nope", 0)), SessionExpired);
}

#[test]
fn set_data_fails_with_the_first_of_its_reasons() {
    use Code::*;
    let mut bench = Bench::new();
    bench.create("/a");
    bench.create("/locked");
    bench.limit("/locked", &everybody(perms::READ));
    for (path, version, expected) in [
        ("", -1, BadArguments),
        ("/missing/", 5, BadArguments),
        ("/missing", 5, NoNode),
        ("/locked", 5, NoAuth),
        ("/zookeeper/config", -1, NoAuth),
        ("/a", 5, BadVersion),
        ("/a", 0, Ok),
        ("/a", -1, Ok),
        ("/", -1, Ok),
    ] {
        assert_eq!(bench.code(OpCode::SetData, set_data(path, Some(b"x"), version)), expected, "{path}");
    }
    bench.session = AskingSession::Unknown;
    assert_eq!(bench.code(OpCode::SetData, set_data("", None, 0)), SessionExpired);
}

#[test]
fn set_acl_fails_with_the_first_of_its_reasons() {
    use Code::*;
    let mut bench = Bench::new();
    bench.create("/a");
    bench.create("/locked");
    bench.limit("/locked", &everybody(perms::ALL & !perms::ADMIN));
    for (path, acl, version, expected) in [
        ("", BAD_ACL, 5, BadArguments),
        ("/missing", BAD_ACL, 5, InvalidAcl),
        ("/missing", Some(OPEN), 5, NoNode),
        ("/locked", Some(OPEN), 5, NoAuth),
        ("/a", Some(OPEN), 5, BadVersion),
        ("/a", Some(OPEN), 0, Ok),
        ("/a", Some(OPEN), 1, Ok),
    ] {
        assert_eq!(bench.code(OpCode::SetAcl, set_acl(path, acl, version)), expected, "{path} {version}");
    }
}

#[test]
fn reconfig_is_refused_by_a_server_that_stands_alone() {
    let mut bench = Bench::new();
    let request = || {
        record(|out| {
            (0..3).for_each(|_| out.buffer(None));
            out.long(-1);
        })
    };
    assert_eq!(bench.code(OpCode::Reconfig, request()), Code::ReconfigDisabled);
    bench.settings.reconfig_enabled = true;
    assert_eq!(bench.code(OpCode::Reconfig, request()), Code::Unimplemented);
    assert_eq!(bench.code(OpCode::Reconfig, vec![1]), Code::MarshallingError);
}

#[test]
fn permissions_count_for_those_who_proved_who_they_are() {
    let mut bench = Bench::new();
    let bob = digest_id("bob:pw", DigestAlgorithm::Sha1);
    let list = [(perms::ALL, Some("digest"), Some(&*bob))];
    bench.must(OpCode::Create, create_with("/bob", None, Some(&list), 0, None));
    assert_eq!(bench.code(OpCode::SetData, set_data("/bob", None, -1)), Code::NoAuth);
    bench.identities.push(identity("digest", &bob));
    assert_eq!(bench.code(OpCode::SetData, set_data("/bob", None, -1)), Code::Ok);
    bench.identities = vec![identity("super", "")];
    assert_eq!(bench.code(OpCode::SetData, set_data("/zookeeper/config", None, -1)), Code::Ok);
    bench.identities.clear();
    bench.settings.policy = Policy { skip_acl: true, ..Policy::default() };
    assert_eq!(bench.code(OpCode::SetData, set_data("/bob", None, -1)), Code::Ok);
}

#[test]
fn while_a_server_of_3_4_follows_what_it_could_not_read_is_refused() {
    let mut bench = Bench::new();
    bench.settings.extended_types = true;
    bench.settings.has_old_peers = true;
    for (op, record) in [
        (OpCode::Create2, create("/n", b"", 0)),
        (OpCode::CreateContainer, create("/n", b"", 4)),
        (OpCode::CreateTtl, create_ttl("/n", 5, 7)),
    ] {
        assert_eq!(bench.code(op, record.clone()), Code::Unimplemented, "{op:?}");
        bench.settings.has_old_peers = false;
        assert_eq!(bench.code(op, record), Code::Ok, "{op:?}");
        bench.must(OpCode::Delete, path_version("/n", -1));
        bench.settings.has_old_peers = true;
    }
    assert_eq!(bench.code(OpCode::Create2, create("/absent/n", b"", 0)), Code::NoNode, "as far as it gets");
    bench.must(OpCode::Create, create("/n", b"", 0));
}

#[test]
fn each_create_makes_its_kind_of_node() {
    let mut bench = Bench::new();
    let owner = |bench: &Bench, path: &str| bench.db.tree().get(path).expect("a node").node.owner();
    for (op, record, path, expected) in [
        (OpCode::Create, create("/p", b"", 0), "/p", 0),
        (OpCode::Create, create("/e", b"", 1), "/e", SESSION.0),
        (OpCode::Create2, create("/e2", b"", 1), "/e2", SESSION.0),
        (OpCode::Create, create("/flag4", b"", 4), "/flag4", 0),
        (OpCode::CreateContainer, create("/c", b"", 4), "/c", i64::MIN),
        (OpCode::CreateContainer, create("/c0", b"", 0), "/c0", i64::MIN),
        (OpCode::CreateTtl, create_ttl("/t", 5, 7), "/t", (0xff00_0000_0000_0007_u64) as i64),
    ] {
        assert_eq!(bench.created_path(op, record), path);
        assert_eq!(owner(&bench, path), expected, "{path}");
    }
    let stat = bench.db.tree().get("/c").expect("a node").stat();
    assert_eq!(stat.ephemeral_owner, 0);
    let Outcome::CreatedWithStat(node) = bench.must(OpCode::Create2, create("/s", b"abc", 1)) else {
        panic!("create2 answers with a stat")
    };
    let stat = bench.db.tree().stat_of_childless(&node);
    assert_eq!(stat, bench.db.tree().get("/s").expect("a node").stat());
    assert_eq!((stat.ephemeral_owner, stat.data_length, stat.czxid), (SESSION.0, 3, bench.last));
}

#[test]
fn a_sequence_counts_all_creates_of_the_parent() {
    let mut bench = Bench::new();
    bench.create("/q");
    bench.create("/q/a");
    bench.must(OpCode::Delete, path_version("/q/a", -1));
    assert_eq!(bench.created_path(OpCode::Create, create("/q/n-", b"", 2)), "/q/n-0000000001");
    assert_eq!(bench.created_path(OpCode::Create2, create("/q/", b"", 3)), "/q/0000000002");
    assert_eq!(bench.created_path(OpCode::CreateTtl, create_ttl("/q/t", 6, 5)), "/q/t0000000003");
    assert_eq!(bench.created_path(OpCode::Create, create("/", b"", 2)), "/0000000001");
}

#[test]
fn a_sequence_goes_on_below_zero() {
    let mut bench = Bench::new();
    bench.create("/q");
    let path = || "/q/last".into();
    let full = Txn::Create {
        kind: CreateKind::Create { ephemeral: false },
        path: path(),
        data: None,
        acl: AclRef::open(),
        parent_cversion: i32::MAX,
    };
    let header = TxnHeader { client_id: SESSION, cxid: 0, zxid: bench.last.next(), time: WallTime(0) };
    bench.db.apply(&header, &full, &mut ());
    bench.last = header.zxid;
    for expected in ["/q/2147483647", "/q/-2147483648", "/q/-2147483647"] {
        assert_eq!(bench.created_path(OpCode::Create, create("/q/", b"", 2)), expected);
    }
}

#[test]
fn a_multi_s_parts_see_each_other_and_share_one_zxid() {
    let mut bench = Bench::new();
    let (_, steps, outcome) = bench.ask(
        OpCode::Multi,
        &multi(&[
            (OpCode::Create, create("/a", b"1", 0)),
            (OpCode::SetData, set_data("/a", Some(b"22"), 0)),
            (OpCode::Check, path_version("/a", 1)),
            (OpCode::Create2, create("/a/s", b"", 2)),
            (OpCode::Create, create("/a/s", b"", 4)),
            (OpCode::CreateTtl, create_ttl("/a/t", 1, -1)),
            (OpCode::Delete, path_version("/a/s0000000000", 0)),
        ]),
    );
    let Outcome::Multi(parts) = outcome else { panic!("{outcome:?}") };
    let told: Vec<_> = parts
        .iter()
        .map(|part| match part {
            PartOutcome::Created(node) => format!("created {}", node.path()),
            PartOutcome::CreatedWithStat(node, stat) => format!("created {} {}", node.path(), stat.czxid),
            PartOutcome::Changed(stat) => format!("changed {} {}", stat.version, stat.num_children),
            PartOutcome::Deleted => "deleted".to_owned(),
            PartOutcome::Checked => "checked".to_owned(),
            PartOutcome::Failed(code) => format!("failed {code}"),
        })
        .collect();
    let expected = [
        "created /a",
        "changed 1 0",
        "checked",
        "created /a/s0000000000 0x1",
        "created /a/s 0x1",
        "created /a/t",
        "deleted",
    ];
    assert_eq!(told, expected);
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Zxid(_))).count(), 1);
}

#[test]
fn a_failed_multi_tells_which_part_failed_and_leaves_no_trace() {
    let mut bench = Bench::new();
    bench.create("/q");
    let before = picture(bench.db.tree());
    let (logged, steps, outcome) = bench.ask(
        OpCode::Multi,
        &multi(&[
            (OpCode::Create, create("/q/s", b"", 2)),
            (OpCode::SetData, set_data("/q", Some(b"x"), 0)),
            (OpCode::Delete, path_version("/missing", -1)),
            (OpCode::Create, create("/q/t", b"", 2)),
        ]),
    );
    let Outcome::Multi(parts) = outcome else { panic!("{outcome:?}") };
    let codes: Vec<_> = parts
        .iter()
        .map(|part| match part {
            PartOutcome::Failed(code) => *code,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(codes, [Code::Ok, Code::Ok, Code::NoNode, Code::RuntimeInconsistency]);
    assert_eq!(picture(bench.db.tree()), before);
    assert!(matches!(steps[..], [Step::Zxid(_)]));
    let logged = logged.expect("a failed multi is logged");
    let (_, txn) = TxnHeader::decode(&mut Reader::new(&logged)).expect("a transaction");
    let Txn::Multi(txns) = txn else { panic!("{txn:?}") };
    assert!(matches!(
        &txns[..],
        [Txn::Create { .. }, Txn::SetData { .. }, Txn::Error { err: -101 }, Txn::Error { err: -2 }]
    ));
    assert_eq!(bench.created_path(OpCode::Create, create("/q/s", b"", 2)), "/q/s0000000000");
}

#[test]
fn a_multi_that_java_cannot_read_fails_whole() {
    let mut bench = Bench::new();
    let first = || (OpCode::Create, create("/x", b"", 0));
    let before = picture(bench.db.tree());
    let null_list = |op, ttl_ms| multi(&[first(), (op, create_with("/y", None, None, 0, ttl_ms))]);
    for (record, takes_zxid) in [
        (multi(&[first(), (OpCode::Create, create("/y", b"", 7))]), true),
        (multi(&[first(), (OpCode::Create2, create("/y", b"", 5))]), true),
        (multi(&[first(), (OpCode::GetData, path_version("/y", 5))]), true),
        (multi(&[first(), (OpCode::SetAcl, set_acl("/y", Some(OPEN), 5))]), true),
        (multi(&[first()])[..20].to_vec(), true),
        (vec![], true),
        (null_list(OpCode::Create, None), false),
    ] {
        let (logged, _, outcome) = bench.ask(OpCode::Multi, &record);
        assert!(matches!(outcome, Outcome::Failed(Code::MarshallingError)), "{outcome:?}");
        assert_eq!(logged.is_some(), takes_zxid);
        assert_eq!(picture(bench.db.tree()), before);
    }
    let null_id = [(1, Some("digest"), None)];
    let late = multi(&[first(), (OpCode::Create, create_with("/y", None, Some(&null_id), 0, None))]);
    assert_eq!(bench.code(OpCode::Multi, late), Code::MarshallingError);
    for (part, expected) in [
        ((OpCode::CreateTtl, create_with("/y", None, None, 0, Some(3))), Code::InvalidAcl),
        ((OpCode::CreateTtl, create_ttl("/y", 9, 3)), Code::BadArguments),
        ((OpCode::CreateTtl, create_ttl("/y", 5, 0)), Code::BadArguments),
    ] {
        let (_, _, outcome) = bench.ask(OpCode::Multi, &multi(&[part]));
        let Outcome::Multi(parts) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(parts[..], [PartOutcome::Failed(code)] if code == expected), "{parts:?}");
    }
}

#[test]
fn an_empty_multi_succeeds_and_takes_a_zxid() {
    let mut bench = Bench::new();
    let (logged, _, outcome) = bench.ask(OpCode::Multi, &multi(&[]));
    assert!(matches!(outcome, Outcome::Multi(parts) if parts.is_empty()));
    assert!(logged.is_some());
}

/// Makes `/q` a subtree with these limits.
fn with_quota(bench: &mut Bench, limits: &str) {
    bench.create("/q");
    bench.create("/zookeeper/quota/q");
    bench.must(OpCode::Create, create("/zookeeper/quota/q/zookeeper_limits", limits.as_bytes(), 0));
    bench.must(OpCode::Create, create("/zookeeper/quota/q/zookeeper_stats", b"count=9,bytes=9", 0));
}

const STATS: &str = "/zookeeper/quota/q/zookeeper_stats";

#[test]
fn a_quota_counts_nodes_and_bytes_of_its_subtree_silently() {
    let mut bench = Bench::new();
    bench.create("/q-not");
    with_quota(&mut bench, "count=1,bytes=1");
    assert_eq!(bench.data(STATS), "count=1,bytes=0");
    bench.must(OpCode::Create, create("/q/a", b"12345", 0));
    bench.must(OpCode::Create, create("/q-not/a", b"12345", 0));
    assert_eq!(bench.data(STATS), "count=2,bytes=5");
    let (_, steps, _) = bench.ask(OpCode::SetData, &set_data("/q/a", Some(b"1"), -1));
    assert!(matches!(
        steps[..],
        [Step::Zxid(_), Step::Delta(Delta::SetData(_), _), Step::Delta(Delta::SetSilently(_), _)]
    ));
    assert_eq!(bench.data(STATS), "count=2,bytes=1");
    assert_eq!(bench.db.tree().get(STATS).expect("a node").stat().version, 0);
    bench.must(OpCode::Delete, path_version("/q/a", -1));
    assert_eq!(bench.data(STATS), "count=1,bytes=0");
    bench.must(OpCode::Delete, path_version("/zookeeper/quota/q/zookeeper_limits", -1));
    bench.must(OpCode::Create, create("/q/b", b"12345", 0));
    assert_eq!(bench.data(STATS), "count=1,bytes=0", "without limits nothing is counted");
}

#[test]
fn only_the_deepest_quota_counts() {
    let mut bench = Bench::new();
    with_quota(&mut bench, "count=100");
    bench.create("/q/in");
    for path in ["/zookeeper/quota/q/in", "/zookeeper/quota/q/in/zookeeper_limits"] {
        bench.create(path);
    }
    bench.create("/zookeeper/quota/q/in/zookeeper_stats");
    bench.create("/q/in/x");
    assert_eq!(bench.data("/zookeeper/quota/q/in/zookeeper_stats"), "count=2,bytes=0");
    assert_eq!(bench.data(STATS), "count=2,bytes=0");
}

#[test]
fn hard_limits_refuse_when_they_are_enforced() {
    use Code::*;
    let mut bench = Bench::new();
    with_quota(&mut bench, "count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=3");
    bench.settings.enforce_quota = true;
    assert_eq!(bench.code(OpCode::Create, create("/q/a", b"12345", 0)), QuotaExceeded);
    assert_eq!(bench.code(OpCode::Create, create("/q/a", b"123", 0)), Ok);
    assert_eq!(bench.code(OpCode::SetData, set_data("/q/a", Some(b"12345"), 7)), QuotaExceeded);
    assert_eq!(bench.code(OpCode::SetData, set_data("/q/a", Some(b"1234"), 7)), BadVersion);
    assert_eq!(bench.code(OpCode::SetData, set_data("/q/a", Some(b"1234"), 0)), Ok);
    assert_eq!(bench.code(OpCode::Create, create("/q/b", b"", 0)), Ok);
    assert_eq!(bench.code(OpCode::Create, create("/q/c", b"", 0)), QuotaExceeded);
    assert_eq!(bench.code(OpCode::Create, create("/q/b", b"", 0)), NodeExists);
    bench.settings.enforce_quota = false;
    assert_eq!(bench.code(OpCode::Create, create("/q/c", b"", 0)), Ok);
}

#[test]
fn soft_limits_never_refuse() {
    let mut bench = Bench::new();
    with_quota(&mut bench, "count=1,bytes=1");
    bench.settings.enforce_quota = true;
    assert_eq!(bench.code(OpCode::Create, create("/q/a", b"12345", 0)), Code::Ok);
}

#[test]
fn a_failed_multi_takes_back_the_quota_it_made() {
    let mut bench = Bench::new();
    bench.create("/q");
    bench.create("/zookeeper/quota/q");
    bench.ask(
        OpCode::Multi,
        &multi(&[
            (OpCode::Create, create("/zookeeper/quota/q/zookeeper_limits", b"count=1", 0)),
            (OpCode::Create, create(STATS, b"", 0)),
            (OpCode::Delete, path_version("/missing", -1)),
        ]),
    );
    bench.create(STATS);
    bench.create("/q/a");
    assert_eq!(bench.data(STATS), "count=1,bytes=0", "counted when it was made, and not since");
}

#[test]
fn a_log_replayed_over_a_later_state_changes_nothing_it_should_not() {
    let mut bench = Bench::new();
    bench.create("/a");
    bench.create("/a/b");
    let header = TxnHeader { client_id: SESSION, cxid: 0, zxid: Zxid(1), time: WallTime(1) };
    let before = picture(bench.db.tree());
    for txn in [
        Txn::Delete { path: "/missing".into() },
        Txn::SetData { path: "/missing".into(), data: None, version: 1 },
        Txn::SetAcl { path: "/missing".into(), acl: AclRef::open(), version: 1 },
        Txn::Error { err: -101 },
        Txn::Multi(vec![Txn::Delete { path: "/a/b".into() }, Txn::Error { err: -101 }]),
        Txn::CloseSession { ephemerals: Some(vec!["/gone".into()]) },
    ] {
        bench.db.apply(&header, &txn, &mut ());
        assert_eq!(picture(bench.db.tree()), before, "{txn:?}");
    }
}

mod reconfig_tests;
