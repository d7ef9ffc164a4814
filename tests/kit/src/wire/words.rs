//! Four-letter words (admin §1).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::Wire;

/// Sends the word and returns all that the server says before it closes.
pub fn four_letter_word(server: SocketAddr, word: &str) -> io::Result<String> {
    four_letter_word_in_pieces(server, &[word.as_bytes()])
}

/// Sends the word in several writes, each in a TCP segment of its own.
pub fn four_letter_word_in_pieces(server: SocketAddr, pieces: &[&[u8]]) -> io::Result<String> {
    let mut wire = Wire::dial(server)?;
    for piece in pieces {
        wire.send_bytes(piece)?;
    }
    let answer = wire.receive_all(DEADLINE)?;
    String::from_utf8(answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

const DEADLINE: Duration = Duration::from_secs(20);
