use super::harness::*;
use crate::error::Code;
use crate::flow::{ConnId, Outcome};
use crate::proto::{Acl, AclRef, OpCode, perms};

fn ask(harness: &mut Harness, conn: ConnId, op: OpCode, record: &[u8]) {
    harness.request(conn, 7, op.number(), record);
    harness.frames(conn);
}

fn set_watches(since: i64, lists: &[&[&str]]) -> Vec<u8> {
    bytes(|out| {
        out.long(since);
        for list in lists {
            out.int(list.len() as i32);
            list.iter().for_each(|path| out.text(path));
        }
    })
}

#[test]
fn a_writer_s_own_event_comes_before_its_reply_and_before_what_was_read_behind_it() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::GetData, &path_watch("/a", true));
    harness.request(conn, 1, OpCode::SetData.number(), b"");
    harness.request(conn, 2, OpCode::Exists.number(), &path_watch("/missing", false));
    let change = harness.change("/a", b"new");
    harness.transact(vec![change], Some(Outcome::Done));
    let frames = harness.frames(conn);
    assert_eq!(frames, [event(3, "/a", 3), reply(1, 3, Code::Ok, b""), reply(2, 3, Code::NoNode, b"")]);
}

#[test]
fn each_kind_of_watch_hears_what_zookeeper_says_it_does() {
    let mut harness = Harness::new();
    harness.create("/p");
    let [exists, children, persistent, recursive] = [1, 2, 3, 4].map(|session| harness.open(session));
    ask(&mut harness, persistent, OpCode::AddWatch, &path_int("/p", 0));
    ask(&mut harness, recursive, OpCode::AddWatch, &path_int("/p", 1));
    let watch = |harness: &mut Harness| {
        ask(harness, exists, OpCode::Exists, &path_watch("/p", true));
        ask(harness, children, OpCode::GetChildren, &path_watch("/p", true));
    };
    watch(&mut harness);
    let heard =
        |harness: &mut Harness| [exists, children, persistent, recursive].map(|conn| harness.frames(conn));

    harness.create("/p/c"); // zxid 6
    let e = |kind, path, zxid| vec![event(kind, path, zxid)];
    assert_eq!(heard(&mut harness), [vec![], e(4, "/p", 6), e(4, "/p", 6), e(1, "/p/c", 6)]);
    let deletion = harness.deletion("/p/c");
    harness.transact(vec![deletion], None);
    assert_eq!(heard(&mut harness), [vec![], vec![], e(4, "/p", 7), e(2, "/p/c", 7)]);
    watch(&mut harness);
    let change = harness.change("/p", b"");
    harness.transact(vec![change], None);
    assert_eq!(heard(&mut harness), [e(3, "/p", 8), vec![], e(3, "/p", 8), e(3, "/p", 8)]);
    watch(&mut harness);
    let deletion = harness.deletion("/p");
    harness.transact(vec![deletion], None);
    assert_eq!(heard(&mut harness), [9; 4].map(|zxid| e(2, "/p", zxid)));
    watch(&mut harness);
    harness.create("/p");
    assert_eq!(heard(&mut harness), [e(1, "/p", 10), vec![], e(1, "/p", 10), e(1, "/p", 10)]);
}

#[test]
fn the_parent_of_a_top_level_node_is_the_root() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::GetChildren, &path_watch("/", true));
    harness.create("/a");
    assert_eq!(harness.frames(conn), [event(4, "/", 2)]);
}

#[test]
fn who_may_not_read_a_node_does_not_hear_of_it_and_loses_the_watch() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::Exists, &path_watch("/secret", true));
    let acl = AclRef::new([Acl { perms: perms::ALL, scheme: "digest".into(), id: "bob:h".into() }]);
    harness.create_with("/secret", acl);
    assert_eq!(harness.frames(conn), []);
    assert_eq!(harness.report().watch_count, 0);
}

#[test]
fn set_watches_tells_what_was_missed_before_its_reply_and_watches_the_rest() {
    let mut harness = Harness::new();
    ["/old", "/parent", "/parent/new"].into_iter().for_each(|path| harness.create(path)); // zxids 1, 2, 3
    let conn = harness.open(1); // zxid 4
    let record = set_watches(
        2,
        &[&["/gone", "/parent/new", "/old"], &["/old", "/later"], &["/parent", "/old", "/gone"]],
    );
    harness.request(conn, -8, OpCode::SetWatches.number(), &record);
    let expected = [
        event(2, "/gone", -1),
        event(3, "/parent/new", -1),
        event(1, "/old", -1),
        event(4, "/parent", -1),
        event(2, "/gone", -1),
        reply(-8, 4, Code::Ok, b""),
    ];
    assert_eq!(harness.frames(conn), expected);
    harness.create("/later");
    harness.create("/old/child");
    let change = harness.change("/old", b"");
    harness.transact(vec![change], None);
    assert_eq!(harness.frames(conn), [event(1, "/later", 5), event(4, "/old", 6), event(3, "/old", 7)]);
}

#[test]
fn set_watches_2_brings_persistent_watches_back_without_an_event() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.open(1);
    let record = set_watches(0, &[&[], &[], &[], &["/a"], &["/"]]);
    harness.request(conn, -8, OpCode::SetWatches2.number(), &record);
    assert_eq!(harness.frames(conn), [reply(-8, 2, Code::Ok, b"")]);
    for zxid in [3, 4] {
        let change = harness.change("/a", b"");
        harness.transact(vec![change], None);
        assert_eq!(harness.frames(conn), [event(3, "/a", zxid)], "one event for both");
    }
}

#[test]
fn watches_are_checked_and_removed_by_their_type() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::Exists, &path_watch("/a", true));
    ask(&mut harness, conn, OpCode::AddWatch, &path_int("/a", 1));
    let mut code = |op: OpCode, kind| {
        harness.request(conn, 7, op.number(), &path_int("/a", kind));
        harness.err(conn)
    };
    let none = Code::NoWatcher.number();
    assert_eq!([1, 2, 3, 4, 5].map(|kind| code(OpCode::CheckWatches, kind)), [none, 0, 0, none, 0]);
    assert_eq!(code(OpCode::CheckWatches, 6), Code::MarshallingError.number());
    assert_eq!([2, 2, 3, 3].map(|kind| code(OpCode::RemoveWatches, kind)), [0, none, 0, none]);
    assert_eq!(harness.report().watch_count, 0);
}

#[test]
fn add_watch_answers_zero_and_refuses_other_modes() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 7, OpCode::AddWatch.number(), &path_int("anything at all", 0));
    assert_eq!(harness.body(conn), [0; 4]);
    harness.request(conn, 7, OpCode::AddWatch.number(), &path_int("/a", 2));
    assert_eq!(harness.err(conn), Code::MarshallingError.number());
}

#[test]
fn a_connection_s_watches_go_with_it() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    ask(&mut harness, conn, OpCode::Exists, &path_watch("/a", true));
    harness.request(conn, 8, OpCode::Create.number(), b"");
    harness.request(conn, 9, OpCode::Exists.number(), &path_watch("/b", true));
    harness.shard.on_closed(conn);
    assert_eq!(harness.report().watch_count, 0);
    harness.transact(vec![], Some(Outcome::Done));
    assert_eq!(harness.report().watch_count, 0, "a read that still waited leaves none");
}
