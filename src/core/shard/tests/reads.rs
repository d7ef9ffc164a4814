use super::harness::*;
use crate::acl::Policy;
use crate::error::Code;
use crate::flow::ConnId;
use crate::jute::Reader;
use crate::proto::{Acl, AclRef, OpCode, perms};
use crate::shard::{CloseReason, ShardOptions};

fn acl(entries: &[(i32, &str, &str)]) -> AclRef {
    let entry =
        |&(perms, scheme, id): &(i32, &str, &str)| Acl { perms, scheme: scheme.into(), id: id.into() };
    AclRef::new(entries.iter().map(entry).collect::<Vec<_>>())
}

fn ask(harness: &mut Harness, conn: ConnId, op: OpCode, record: &[u8]) {
    harness.request(conn, 7, op.number(), record);
}

fn texts(body: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(body);
    let count = reader.count(4).expect("a count").expect("a vector");
    let mut texts: Vec<_> = (0..count).map(|_| reader.text().expect("a text").into_owned()).collect();
    assert!(reader.rest().is_empty());
    texts.sort();
    texts
}

#[test]
fn the_empty_path_is_the_root_to_getters() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    for op in [OpCode::Exists, OpCode::GetData, OpCode::GetChildren, OpCode::GetChildren2, OpCode::GetAcl] {
        ask(&mut harness, conn, op, &path_watch("", false));
        let empty = harness.body(conn);
        ask(&mut harness, conn, op, &path_watch("/", false));
        assert_eq!(empty, harness.body(conn), "{op:?}");
    }
}

#[test]
fn a_node_answers_with_data_children_and_stat() {
    let mut harness = Harness::new();
    harness.create("/a");
    harness.create("/a/b");
    harness.create("/a/c");
    let conn = harness.open(1);
    let stat = harness.shard.tree().get("/a").expect("a node").stat();
    let stat = bytes(|out| stat.encode(out));

    ask(&mut harness, conn, OpCode::GetData, &path_watch("/a", false));
    assert_eq!(harness.body(conn), [b"\0\0\0\x02/a", &stat[..]].concat());
    ask(&mut harness, conn, OpCode::Exists, &path_watch("/a", false));
    assert_eq!(harness.body(conn), stat);
    ask(&mut harness, conn, OpCode::GetChildren, &path_watch("/a", false));
    assert_eq!(texts(&harness.body(conn)), ["b", "c"]);
    ask(&mut harness, conn, OpCode::GetChildren2, &path_watch("/a", false));
    let body = harness.body(conn);
    assert_eq!(texts(&body[..body.len() - 68]), ["b", "c"]);
    assert_eq!(body[body.len() - 68..], stat);
    ask(&mut harness, conn, OpCode::GetChildren, &path_watch("/", false));
    assert_eq!(texts(&harness.body(conn)), ["a", "zookeeper"]);
}

#[test]
fn what_is_missing_beats_what_is_forbidden() {
    let mut harness = Harness::new();
    harness.create_with("/secret", acl(&[(perms::ALL, "digest", "bob:h")]));
    let conn = harness.open(1);
    for op in [
        OpCode::Exists,
        OpCode::GetData,
        OpCode::GetChildren,
        OpCode::GetChildren2,
        OpCode::GetAllChildrenNumber,
        OpCode::GetAcl,
    ] {
        ask(&mut harness, conn, op, &path_watch("/secret", true));
        assert_eq!(harness.err(conn), Code::NoAuth.number(), "{op:?}");
        ask(&mut harness, conn, op, &path_watch("/missing", false));
        assert_eq!(harness.err(conn), Code::NoNode.number(), "{op:?}");
        assert_eq!(harness.report().watch_count, 0);
    }
}

#[test]
fn exists_refuses_nul_and_the_others_just_find_nothing() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::Exists, &path_watch("/a\0", true));
    assert_eq!(harness.err(conn), Code::BadArguments.number());
    ask(&mut harness, conn, OpCode::GetData, &path_watch("/a\0", false));
    assert_eq!(harness.err(conn), Code::NoNode.number());
}

#[test]
fn a_malformed_read_is_refused_and_the_connection_stays() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    let null_path = bytes(|out| {
        out.buffer(None);
        out.bool(false);
    });
    for op in [3, 4, 6, 8, 12, 17, 18, 22, 101, 103, 104, 105, 106] {
        harness.request(conn, 7, op, b"\0\0\0\x09");
        assert_eq!(harness.frames(conn), [reply(7, 1, Code::MarshallingError, b"")], "{op}");
    }
    ask(&mut harness, conn, OpCode::GetData, &null_path);
    assert_eq!(harness.err(conn), Code::MarshallingError.number());
    assert!(harness.closed.is_empty());
}

#[test]
fn get_acl_hides_hashes_from_those_who_may_not_change_them() {
    let mut harness = Harness::new();
    harness.create_with("/a", acl(&[(perms::READ, "world", "anyone"), (perms::ALL, "digest", "bob:hash")]));
    let conn = harness.open(1);
    let list = |id: &str| {
        bytes(|out| acl(&[(perms::READ, "world", "anyone"), (perms::ALL, "digest", id)]).encode(out))
    };
    ask(&mut harness, conn, OpCode::GetAcl, &path_watch("/a", false));
    let body = harness.body(conn);
    assert_eq!(body[..body.len() - 68], list("bob:x"));
    let record = bytes(|out| {
        out.int(0);
        out.text("digest");
        out.buffer(Some(b"super:test"));
    });
    harness.shard.options.policy.super_digest = Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into());
    harness.request(conn, -4, OpCode::Auth.number(), &record);
    harness.frames(conn);
    ask(&mut harness, conn, OpCode::GetAcl, &path_watch("/a", false));
    let body = harness.body(conn);
    assert_eq!(body[..body.len() - 68], list("bob:hash"));
}

#[test]
fn get_all_children_number_counts_all_levels_but_not_the_node() {
    let mut harness = Harness::new();
    ["/a", "/a/b", "/a/b/c", "/ab"].into_iter().for_each(|path| harness.create(path));
    let conn = harness.open(1);
    for (path, expected) in [("/a", 2), ("/ab", 0), ("/", 7), ("", 8)] {
        ask(&mut harness, conn, OpCode::GetAllChildrenNumber, &bytes(|out| out.text(path)));
        assert_eq!(harness.body(conn), i32::to_be_bytes(expected), "{path}");
    }
}

#[test]
fn get_ephemerals_lists_the_session_s_own_by_plain_prefix() {
    let mut harness = Harness::new();
    let conn = harness.open(5);
    for (path, owner) in [("/ab", 5), ("/ac", 5), ("/ad", 6)] {
        let creation = harness.creation(path, AclRef::open(), owner);
        harness.transact(vec![creation], None);
    }
    for (prefix, expected) in
        [("/ab", &["/ab"][..]), ("/a", &["/ab", "/ac"]), ("/", &["/ab", "/ac"]), (" ", &["/ab", "/ac"])]
    {
        ask(&mut harness, conn, OpCode::GetEphemerals, &bytes(|out| out.text(prefix)));
        assert_eq!(texts(&harness.body(conn)), expected, "{prefix:?}");
    }
    ask(&mut harness, conn, OpCode::GetEphemerals, &bytes(|out| out.buffer(None)));
    assert_eq!(texts(&harness.body(conn)).len(), 2);
}

#[test]
fn who_am_i_names_every_identity() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::WhoAmI, b"");
    let expected = bytes(|out| {
        out.int(1);
        out.text("ip");
        out.text("127.0.0.1");
    });
    assert_eq!(harness.body(conn), expected);
}

#[test]
fn multi_read_goes_on_after_a_part_that_fails_and_leaves_no_watch() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.open(1);
    let part = |op: i32, path: &str| [header(op, false, -1), path_watch(path, true)].concat();
    let record = [part(4, "/missing"), part(8, "/a"), part(4, "/a"), header(-1, true, -1)].concat();
    ask(&mut harness, conn, OpCode::MultiRead, &record);
    let stat = harness.shard.tree().get("/a").expect("a node").stat();
    let expected = bytes(|out| {
        out.raw(&header(-1, false, -101));
        out.int(-101);
        out.raw(&header(8, false, 0));
        out.int(0);
        out.raw(&header(4, false, 0));
        out.buffer(Some(b"/a"));
        stat.encode(out);
        out.raw(&header(-1, true, -1));
    });
    assert_eq!(harness.body(conn), expected);
    assert_eq!(harness.report().watch_count, 0);
    let mixed = [part(4, "/a"), header(2, false, -1), path_int("/a", -1), header(-1, true, -1)].concat();
    ask(&mut harness, conn, OpCode::MultiRead, &mixed);
    assert_eq!(harness.frames(conn), [reply(7, 2, Code::MarshallingError, b"")]);
}

#[test]
fn enforced_authentication_closes_those_who_have_none() {
    let policy = Policy { enforced_schemes: vec!["digest".into()], ..Policy::default() };
    let mut harness = Harness::with(ShardOptions { policy, ..ShardOptions::default() });
    let conn = harness.open(1);
    harness.request(conn, -2, OpCode::Ping.number(), b"");
    assert_eq!(harness.frames(conn), [reply(-2, 0, Code::SessionClosedRequireSaslAuth, b"")]);
    assert_eq!(harness.closed[&conn], CloseReason::AuthRequired);
}

fn header(op: i32, done: bool, err: i32) -> Vec<u8> {
    bytes(|out| {
        out.int(op);
        out.bool(done);
        out.int(err);
    })
}
