use super::harness::*;
use crate::shard::CloseReason;

#[test]
fn a_frame_longer_than_jute_maxbuffer_closes_the_connection_at_once() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.send(conn, &0x10_0000i32.to_be_bytes());
    assert_eq!(harness.closed[&conn], CloseReason::BadLength { len: 0x10_0000, max: 0xfffff });
    assert_eq!(harness.frames(conn), []);
}

#[test]
fn a_negative_length_closes_the_connection() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, &(-1i32).to_be_bytes());
    assert_eq!(harness.closed[&conn], CloseReason::BadLength { len: -1, max: 0xfffff });
}

#[test]
fn a_frame_too_short_for_a_header_closes_the_connection() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.send(conn, &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(harness.closed[&conn], CloseReason::ShortFrame { len: 7 });
}

#[test]
fn a_four_letter_word_may_come_in_pieces_and_is_answered_once() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, b"ru");
    assert_eq!(harness.words, []);
    harness.send(conn, b"ok\n");
    harness.send(conn, b"ruok");
    assert_eq!(harness.words, [(conn, *b"ruok")]);
    harness.shard.send_raw_and_close(conn, b"imok");
    harness.pump();
    assert_eq!(harness.received[&conn], b"imok");
    assert_eq!(harness.closed[&conn], CloseReason::Answered);
}

#[test]
fn a_four_letter_word_after_the_handshake_is_an_oversized_length() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.send(conn, b"ruok");
    assert!(matches!(harness.closed[&conn], CloseReason::BadLength { .. }));
    assert_eq!(harness.words, []);
}

#[test]
fn a_telnet_interrupt_closes_the_connection_without_a_word() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, &[0xff, 0xf4, 0xff, 0xfd, 6]);
    assert_eq!(harness.closed[&conn], CloseReason::TelnetInterrupt);
    assert_eq!(harness.received[&conn], b"");
}
