//! Finds frames and four-letter words in a connection's input (client-protocol §2, admin §1).

/// What the input starts with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Split<'a> {
    /// A whole frame, which takes [`LENGTH_LEN`] bytes more than its payload.
    Frame(&'a [u8]),
    /// A part of a frame: there must be so many bytes.
    Partial(usize),
    /// A frame whose length cannot be.
    BadLength(i32),
    /// A four-letter word; the input may go on, and doesn't matter.
    Word([u8; LENGTH_LEN]),
    /// The interrupt of a telnet client.
    Telnet,
}

/// Looks at the start of the input; `is_first` while the connection has sent nothing else.
pub(super) fn split(input: &[u8], is_first: bool, len_max: usize) -> Split<'_> {
    let Some((head, rest)) = input.split_first_chunk::<LENGTH_LEN>() else {
        return Split::Partial(LENGTH_LEN);
    };
    if is_first && FOUR_LETTER_WORDS.contains(&head) {
        return Split::Word(*head);
    }
    if is_first && *head == TELNET_INTERRUPT {
        return Split::Telnet;
    }
    let len = i32::from_be_bytes(*head);
    match usize::try_from(len) {
        Ok(len) if len <= len_max => match rest.get(..len) {
            Some(payload) => Split::Frame(payload),
            None => Split::Partial(LENGTH_LEN + len),
        },
        _ => Split::BadLength(len),
    }
}

/// The length of a frame's length.
pub(super) const LENGTH_LEN: usize = 4;

/// The words that are commands; others are taken for lengths, and are too large.
const FOUR_LETTER_WORDS: [&[u8; LENGTH_LEN]; 18] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"envi", b"gtmk", b"hash", b"isro", b"mntr", b"ruok",
    b"srst", b"srvr", b"stat", b"stmk", b"wchc", b"wchp", b"wchs",
];

const TELNET_INTERRUPT: [u8; LENGTH_LEN] = [0xff, 0xf4, 0xff, 0xfd];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_be_exactly_as_long_as_the_limit() {
        assert_eq!(split(&[0, 0, 0, 2, 7, 8], false, 2), Split::Frame(&[7, 8]));
        assert_eq!(split(&[0, 0, 0, 3], false, 2), Split::BadLength(3));
        assert_eq!(split(&[0xff, 0xff, 0xff, 0xff], false, 2), Split::BadLength(-1));
    }

    #[test]
    fn a_partial_frame_says_how_many_bytes_it_needs() {
        assert_eq!(split(&[0, 0], false, 9), Split::Partial(4));
        assert_eq!(split(&[0, 0, 0, 5, 1], false, 9), Split::Partial(9));
    }

    #[test]
    fn words_are_words_only_at_the_start_of_a_connection() {
        assert_eq!(split(b"ruok\n", true, 9), Split::Word(*b"ruok"));
        assert_eq!(split(b"RUOK", true, 9), Split::BadLength(i32::from_be_bytes(*b"RUOK")));
        assert_eq!(split(b"ruok", false, 9), Split::BadLength(i32::from_be_bytes(*b"ruok")));
        assert_eq!(split(&[0xff, 0xf4, 0xff, 0xfd, 6], true, 9), Split::Telnet);
    }
}
