use super::*;
use crate::id::SessionId;
use crate::id::Zxid;
use crate::proto::AclRef;
use crate::tree::{DataTree, Delta, NodeFields, Owner, TreeOptions};

/// The definition, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |register: u32| (register >> 1) ^ if register & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(u32::MAX, |register, byte| (0..8).fold(register ^ u32::from(*byte), |r, _| step(r)))
}

fn node(path: &str, data: Option<&[u8]>, zxid: i64, time: i64, owner: i64) -> Node {
    let (czxid, mzxid) = (Zxid(zxid), Zxid(zxid));
    let fields = NodeFields {
        czxid,
        mzxid,
        ctime: time,
        mtime: time,
        version: 0,
        aversion: 0,
        owner,
        acl: AclRef::open(),
    };
    Node::new(path, data, fields)
}

#[test]
fn sums_of_every_length_are_as_defined() {
    let bytes: Vec<u8> = (0..400u32).map(|at| (at * 167 + 13) as u8).collect();
    for len in 0..bytes.len() {
        assert_eq!(sum_of(&bytes[..len]), crc32(&bytes[..len]), "{len}");
    }
}

#[test]
fn a_node_s_digest_is_the_sum_of_path_data_and_stat() {
    for (path, hashed) in [("/", ""), ("/a", "/a"), ("/é/b", "/é/b")] {
        for data in [None, Some(&b""[..]), Some(b"x"), Some(&[9; 300])] {
            let node = node(path, data, 7, 8, 9);
            let node = node.with_data(data, 3, Zxid(5 << 32), 99).with_acl(AclRef::open(), 4);
            let mut bytes = hashed.as_bytes().to_vec();
            bytes.extend(data.unwrap_or_default());
            for long in [7, 5 << 32, 11, 8, 99] {
                bytes.extend(i64::to_be_bytes(long));
            }
            for int in [3, 12, 4] {
                bytes.extend(i32::to_be_bytes(int));
            }
            bytes.extend(i64::to_be_bytes(9));
            assert_eq!(node.digest(Zxid(11), 12), crc32(&bytes));
            assert_eq!(node.digest(Zxid(11), 12), crc32(&bytes), "asked again");
        }
    }
}

/// From a server of 3.8.0 (storage-formats §6).
#[test]
fn digests_are_java_s() {
    let mut tree = DataTree::new(TreeOptions { digest: true, ..TreeOptions::default() });
    assert_eq!(tree.digest(), Some(0x51c6_d660));
    let a = Delta::Create {
        node: node("/a", Some(b"hello"), 0x1_0000_0002, 0x1a2_083c_5b34, 0),
        parent_cversion: 1,
    };
    tree.apply(Zxid(0x1_0000_0002), &a);
    assert_eq!(tree.digest(), Some(0x1_f34a_26b6));
    let owner = Owner::Session(SessionId(0x100_0017_cd82_0000)).stored();
    let e = Delta::Create {
        node: node("/e", Some(b"eph"), 0x1_0000_0004, 0x1a2_083c_5b41, owner),
        parent_cversion: 2,
    };
    let undo = tree.apply(Zxid(0x1_0000_0004), &e);
    assert_eq!(tree.digest(), Some(0x2_9e19_82a8));
    tree.undo(undo);
    assert_eq!(tree.digest(), Some(0x1_f34a_26b6));
    assert_eq!(tree.follower().digest(), None);
}
