//! Four-letter words beside the protocol on one port (client-protocol §2, admin §1).

use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::{Client, four_letter_word, four_letter_word_in_pieces};

use super::{Bystander, assert_closed_without_a_word};
use crate::peers::each;

#[test]
fn a_word_may_come_in_pieces_and_with_more_behind_it() {
    each(same, |server| {
        for pieces in [&[b"r".as_slice(), b"u", b"o", b"k"], &[b"ru", b"ok", b"", b""]] {
            assert_eq!(four_letter_word_in_pieces(server.addr(), pieces).expect("an answer"), "imok");
        }
        assert_eq!(four_letter_word(server.addr(), "ruok\n").expect("an answer"), "imok");
        assert_eq!(four_letter_word(server.addr(), "isro").expect("an answer"), "rw");
    });
}

#[test]
fn a_word_is_answered_though_its_sender_has_ended_its_side() {
    each(same, |server| {
        // The end comes right behind the word, as `echo ruok | nc -N` sends it, and mostly before the answer.
        for _ in 0..50 {
            assert_eq!(four_letter_word(server.addr(), "ruok").expect("an answer"), "imok");
        }
    });
}

#[test]
fn four_letters_that_are_no_word_close_the_connection() {
    each(same, |server| {
        for letters in ["RUOK", "abcd", "\u{7f}\u{7f}\u{7f}\u{7f}"] {
            assert_eq!(four_letter_word(server.addr(), letters).expect("a close"), "", "{letters:?}");
        }
    });
}

#[test]
fn behind_a_handshake_a_word_is_a_length_and_too_large() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        client.wire().send_bytes(b"ruok").expect("the bytes leave");
        assert_closed_without_a_word(client.wire(), "a word behind the handshake");
    });
}

#[test]
fn a_word_that_is_not_on_the_list_is_named_and_not_executed() {
    let only_ruok = |settings: Settings| settings.config("4lw.commands.whitelist", "ruok");
    each(only_ruok, |server| {
        assert_eq!(four_letter_word(server.addr(), "ruok").expect("an answer"), "imok");
        let refused = "mntr is not executed because it is not in the whitelist.\n";
        assert_eq!(four_letter_word(server.addr(), "mntr").expect("an answer"), refused);
        assert!(four_letter_word(server.addr(), "srvr").expect("an answer").contains("Mode: standalone"));
    });
}

#[test]
fn words_are_answered_while_clients_work() {
    each(same, |server| {
        let mut bystander = Bystander::of(server.addr());
        for word in ["srvr", "stat", "mntr", "conf", "cons", "wchs", "envi"] {
            assert!(!four_letter_word(server.addr(), word).expect("an answer").is_empty(), "{word}");
            bystander.is_served();
        }
    });
}

fn same(settings: Settings) -> Settings {
    settings
}
