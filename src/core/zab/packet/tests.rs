use proptest::prelude::*;

use super::*;
use crate::flow::ForwardedRequest;
use crate::id::{ServerId, SessionId, Zxid};
use crate::proto::Identity;

const LEN_MAX: usize = 4 << 20;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}

fn whole(bytes: &[u8]) -> QuorumPacket<'_> {
    match QuorumPacket::split(bytes, LEN_MAX) {
        Ok(Split::Whole(packet, len)) if len == bytes.len() => packet,
        other => panic!("{other:?}"),
    }
}

fn learner(packet: FromLearner, bytes: &str) {
    let mut encoded = Vec::new();
    packet.encode(&mut encoded);
    assert_eq!(encoded, hex(bytes), "{packet:?}");
    assert_eq!(FromLearner::decode(whole(&encoded)), Ok(packet));
}

fn leader(packet: FromLeader, bytes: &str) {
    let mut encoded = Vec::new();
    packet.encode(&mut encoded);
    assert_eq!(encoded, hex(bytes), "{packet:?}");
    assert_eq!(FromLeader::decode(&whole(&encoded)), Ok(packet));
}

fn info(config_version: Option<i64>) -> LearnerInfo {
    LearnerInfo {
        kind: LearnerKind::Follower,
        accepted_epoch: 0,
        id: Some(ServerId(1)),
        protocol_version: PROTOCOL_VERSION,
        config_version,
    }
}

#[test]
fn what_learners_say_has_the_bytes_that_java_sends() {
    learner(
        FromLearner::Info(info(Some(0))),
        "0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff",
    );
    learner(
        FromLearner::Info(info(None)),
        "0000000b 0000000000000000 0000000c 0000000000000001 00010000 ffffffff",
    );
    let observer = LearnerInfo { kind: LearnerKind::Observer, accepted_epoch: 3, ..info(Some(7)) };
    learner(
        FromLearner::Info(observer),
        "00000010 0000000300000000 00000014 0000000000000001 00010000 0000000000000007 ffffffff",
    );
    let zxid = Zxid(0x1_0000_0011);
    learner(
        FromLearner::AckEpoch { zxid, current_epoch: Some(1) },
        "00000012 0000000100000011 00000004 00000001 ffffffff",
    );
    learner(
        FromLearner::AckEpoch { zxid, current_epoch: None },
        "00000012 0000000100000011 00000004 ffffffff ffffffff",
    );
    learner(FromLearner::Ack(zxid), "00000003 0000000100000011 ffffffff ffffffff");
    learner(FromLearner::Ping { zxid, touched: vec![] }, "00000005 0000000100000011 00000000 ffffffff");
    learner(
        FromLearner::Ping { zxid, touched: vec![(SessionId(2), 4000)] },
        "00000005 0000000100000011 0000000c 0000000000000002 00000fa0 ffffffff",
    );
    learner(
        FromLearner::Revalidate { session: SessionId(2), timeout_ms: 4000 },
        "00000006 ffffffffffffffff 0000000c 0000000000000002 00000fa0 ffffffff",
    );
    let request = ForwardedRequest {
        session: SessionId(2),
        cxid: 1,
        op: 9,
        record: [0, 0, 0, 1, b'/'].into(),
        identities: Some([Identity { scheme: "ip".into(), id: "127.0.0.1".into() }].into()),
    };
    learner(
        FromLearner::Request(request),
        "00000001 ffffffffffffffff 00000015 0000000000000002 00000001 00000009 00000001 2f
         00000001 00000002 6970 00000009 3132372e302e302e31",
    );
}

#[test]
fn each_request_has_its_own_client_s_identities() {
    let identity = |id: &str| Identity { scheme: "ip".into(), id: id.into() };
    let clients = ["1.1.1.1", "1.1.1.1", "2.2.2.2", "", "1.1.1.1", "2.2.2.2 and more"];
    let request = |(at, id): (usize, &&str)| {
        let identities: Vec<_> = id.split(' ').filter(|id| !id.is_empty()).map(identity).collect();
        let identities = (at != 1).then(|| identities.into());
        let record = b"x"[..].into();
        FromLearner::Request(ForwardedRequest {
            session: SessionId(2),
            cxid: at as i32,
            op: 1,
            record,
            identities,
        })
    };
    let packets: Vec<_> = clients.iter().enumerate().map(request).collect();
    let mut bytes = Vec::new();
    packets.iter().for_each(|packet| packet.encode(&mut bytes));
    let input = FromLearner::split_all(&bytes, 100);
    assert_eq!((input.packets, input.consumed), (packets, bytes.len()));
}

#[test]
fn what_leaders_say_has_the_bytes_that_java_sends() {
    leader(FromLeader::LeaderInfo { epoch: 1 }, "00000011 0000000100000000 00000004 00010000 ffffffff");
    leader(FromLeader::UpToDate, "0000000c ffffffffffffffff ffffffff ffffffff");
    leader(FromLeader::Diff(Zxid(5)), "0000000d 0000000000000005 ffffffff ffffffff");
    leader(FromLeader::Trunc(Zxid(5)), "0000000e 0000000000000005 ffffffff ffffffff");
    leader(FromLeader::Snap(Zxid(5)), "0000000f 0000000000000005 ffffffff ffffffff");
    leader(FromLeader::Commit(Zxid(5)), "00000004 0000000000000005 ffffffff ffffffff");
    leader(FromLeader::Ping(Zxid(5)), "00000005 0000000000000005 ffffffff ffffffff");
    leader(FromLeader::Sync, "00000007 0000000000000000 ffffffff ffffffff");
    leader(
        FromLeader::NewLeader { zxid: Zxid::new(1, 0), config: None },
        "0000000a 0000000100000000 ffffffff ffffffff",
    );
    leader(
        FromLeader::NewLeader { zxid: Zxid::new(1, 0), config: Some(b"x"[..].into()) },
        "0000000a 0000000100000000 00000001 78 ffffffff",
    );
    leader(
        FromLeader::Revalidated { session: SessionId(2), valid: true },
        "00000006 ffffffffffffffff 00000009 0000000000000002 01 ffffffff",
    );
    leader(
        FromLeader::CommitAndActivate { zxid: Zxid(5), designated: ServerId(1) },
        "00000009 0000000000000005 00000008 0000000000000001 ffffffff",
    );
    let zxid = Zxid(0x1_0000_0002);
    let create = "01000017cd820000 00000001 0000000100000002 000001a2083c5b34 00000001 00000002 2f61
        00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001
        00000002 00000001f34a26b6";
    let payload: Payload = hex(create).into();
    let len = payload.len();
    for (packet, kind) in [
        (FromLeader::Proposal { zxid, payload: payload.clone() }, 2),
        (FromLeader::Inform { zxid, payload: payload.clone() }, 8),
    ] {
        leader(packet, &format!("{kind:08x} 0000000100000002 {len:08x} {create} ffffffff"));
    }
    leader(
        FromLeader::InformAndActivate { zxid, payload, designated: ServerId(3) },
        &format!("00000013 0000000100000002 {:08x} 0000000000000003 {create} ffffffff", len + 8),
    );
}

#[test]
fn a_learner_that_does_not_say_who_it_is_is_older_than_3_4() {
    let packet = QuorumPacket::new(kind::FOLLOWERINFO, Zxid::new(2, 0), None);
    let Ok(FromLearner::Info(info)) = FromLearner::decode(packet) else { panic!("no info") };
    assert_eq!((info.id, info.accepted_epoch, info.is_supported()), (None, 2, false));
}

/// With `db.autocreate=false` and an empty disk, Java takes its epochs from the zxid -1. It was refused for a damaged
/// file, for ever.
#[test]
fn a_server_that_does_not_trust_its_database_has_promised_no_epoch() {
    let info = FromLearner::Info(LearnerInfo { accepted_epoch: u32::MAX, ..info(Some(0)) });
    let mut bytes = Vec::new();
    info.encode(&mut bytes);
    let Ok(FromLearner::Info(read)) = FromLearner::decode(whole(&bytes)) else { panic!("no info") };
    assert_eq!(read.accepted_epoch, 0);
}

#[test]
fn a_packet_is_cut_off_the_stream_only_when_it_is_whole() {
    let mut bytes = Vec::new();
    FromLearner::Ping { zxid: Zxid(1), touched: vec![(SessionId(1), 1)] }.encode(&mut bytes);
    for len in 0..bytes.len() {
        match QuorumPacket::split(&bytes[..len], LEN_MAX) {
            Ok(Split::Partial(wanted)) => assert!(wanted > len && wanted <= bytes.len(), "{len}: {wanted}"),
            other => panic!("{len}: {other:?}"),
        }
    }
    bytes.push(0);
    assert!(
        matches!(QuorumPacket::split(&bytes, LEN_MAX), Ok(Split::Whole(_, len)) if len == bytes.len() - 1)
    );
}

#[test]
fn lengths_beyond_the_bounds_are_refused_before_their_bytes_come() {
    for bytes in [
        "00000002 0000000000000000 00400001",
        "00000002 0000000000000000 fffffffe",
        "00000002 0000000000000000 ffffffff 000003e9",
        "00000002 0000000000000000 ffffffff fffffff0",
        "00000002 0000000000000000 ffffffff 00000001 00010001",
    ] {
        let bytes = hex(bytes);
        let refused = QuorumPacket::split(&bytes, LEN_MAX);
        assert!(matches!(refused, Err(PacketError::Malformed { kind: 2, .. })), "{bytes:x?}: {refused:?}");
    }
}

#[test]
fn tls_is_told_from_packets() {
    let hello = hex("16030102 00010001fc030361 62636465 66676869");
    assert_eq!(QuorumPacket::split(&hello, LEN_MAX), Err(PacketError::Tls));
    assert_eq!(
        QuorumPacket::split(&hello[..5], LEN_MAX),
        Err(PacketError::Tls),
        "it need not come as a whole"
    );
}

#[test]
fn a_transaction_under_another_number_is_refused() {
    let packet = QuorumPacket::new(kind::PROPOSAL, Zxid(2), Some(&[0; 32]));
    let expected = PacketError::OtherZxid { outer: Zxid(2), inner: Zxid(0) };
    assert_eq!(FromLeader::decode(&packet), Err(expected));
    let packet = QuorumPacket::new(kind::PING, Zxid(2), Some(&[0; 13]));
    assert_eq!(FromLearner::decode(packet), Err(PacketError::DataLength { kind: 5, len: 13 }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(kind in 0..22i32, zxid in any::<i64>(), data in prop::collection::vec(any::<u8>(), 0..60)) {
        let packet = QuorumPacket::new(kind, Zxid(zxid), Some(&data));
        let mut again = Vec::new();
        if let Ok(packet) = FromLeader::decode(&packet) {
            packet.encode(&mut again);
            prop_assert_eq!(FromLeader::decode(&whole(&again)), Ok(packet));
        }
        again.clear();
        if let Ok(packet) = FromLearner::decode(packet) {
            packet.encode(&mut again);
            prop_assert_eq!(FromLearner::decode(whole(&again)), Ok(packet));
        }
        let _ = QuorumPacket::split(&data, 1000);
    }
}

#[test]
fn all_packets_are_taken_at_once_and_the_last_of_successive_acks_stands_for_them() {
    let ack = |epoch, counter| FromLearner::Ack(Zxid::new(epoch, counter));
    let ping = || FromLearner::Ping { zxid: Zxid::new(2, 3), touched: Vec::new() };
    let sent =
        [ack(2, 0), ack(2, 1), ack(2, 2), ack(2, 3), ping(), ack(2, 4), ack(2, 4), ack(2, 2), ack(3, 5)];
    let mut bytes = Vec::new();
    sent.iter().for_each(|packet| packet.encode(&mut bytes));
    let whole = bytes.len();
    ack(3, 6).encode(&mut bytes);

    let input = FromLearner::split_all(&bytes[..whole + 4], 1 << 20);
    let told = vec![ack(2, 0), ack(2, 3), ping(), ack(2, 4), ack(2, 4), ack(2, 2), ack(3, 5)];
    assert_eq!((input.packets, input.consumed), (told, whole));
    assert!(input.rest.is_ok_and(|wanted| wanted > 4), "the last is not all there");

    bytes.splice(whole.., [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 255, 255, 255, 255]);
    let input = FromLearner::split_all(&bytes, 1 << 20);
    assert_eq!((input.packets.len(), input.consumed), (7, whole), "what comes before a bad one counts");
    assert_eq!(input.rest, Err(PacketError::DataLength { kind: 5, len: 1 }));
}
