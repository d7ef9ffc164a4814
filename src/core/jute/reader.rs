use std::borrow::Cow;

use thiserror::Error;

/// Why bytes are not the record that was expected. Offsets count from the start of the reader's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("the record ends at byte {offset}, {wanted} more bytes are needed")]
    Truncated {
        /// Where the field starts.
        offset: usize,
        /// How many bytes the field lacks.
        wanted: usize,
    },
    /// A length is negative (other than -1, "null") or larger than the limit on one value.
    #[error("a value at byte {offset} claims a length of {len}")]
    BadLength {
        /// Where the length stands.
        offset: usize,
        /// The claimed length.
        len: i32,
    },
    /// A value is null where the protocol needs one.
    #[error("a value at byte {offset} is null where one is needed")]
    UnexpectedNull {
        /// Where the value stands.
        offset: usize,
    },
    /// A new node's path is no place in a tree: no name or no parent can be told from it.
    #[error("the path at byte {offset} is no place for a node")]
    BadPath {
        /// Where the path stands.
        offset: usize,
    },
    /// A number is none of those that the field may hold.
    #[error("{value} at byte {offset} is not a valid {what}")]
    BadValue {
        /// Where the number stands.
        offset: usize,
        /// What the number should be.
        what: &'static str,
        /// The number.
        value: i32,
    },
}

/// Reads jute values from a byte slice, from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// A 32-bit number.
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A 64-bit number.
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A flag; any byte but zero is true, as in Java.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array::<1>().map(|[byte]| byte != 0)
    }

    /// A byte string; `None` is null, which is not the same as empty.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let offset = self.offset;
        match self.int()? {
            -1 => Ok(None),
            len if len < 0 => Err(DecodeError::BadLength { offset, len }),
            len => self.take(len as usize).map(Some),
        }
    }

    /// A text, or `None` for null. Malformed UTF-8 becomes U+FFFD, as in Java's reader.
    pub fn ustring(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.buffer()?.map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(decode_malformed(bytes)),
        }))
    }

    /// A text that must not be null.
    pub fn text(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let offset = self.offset;
        self.ustring()?.ok_or(DecodeError::UnexpectedNull { offset })
    }

    /// Passes so many bytes, whatever they are.
    pub fn skip(&mut self, len: usize) -> Result<(), DecodeError> {
        self.take(len).map(|_| ())
    }

    /// The number of items of a vector; `None` is a null vector. Each item takes at least
    /// `item_len_min` bytes, so a count that the rest cannot hold is refused before anything is reserved.
    pub fn count(&mut self, item_len_min: usize) -> Result<Option<usize>, DecodeError> {
        let offset = self.offset;
        match self.int()? {
            -1 => Ok(None),
            len if len < 0 => Err(DecodeError::BadLength { offset, len }),
            len if len as usize > self.rest().len() / item_len_min.max(1) => {
                Err(DecodeError::BadLength { offset, len })
            }
            len => Ok(Some(len as usize)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.offset += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest().get(..len) {
            Some(taken) => {
                self.offset += len;
                Ok(taken)
            }
            None => Err(self.truncated(len)),
        }
    }

    fn truncated(&self, len: usize) -> DecodeError {
        DecodeError::Truncated { offset: self.offset, wanted: len - self.rest().len() }
    }
}

/// Decodes malformed UTF-8 as Java does: a surrogate, which Java's own writer makes of half a character
/// beyond U+FFFF, becomes one U+FFFD and not one for each of its three bytes.
fn decode_malformed(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Some(chunk) = bytes.utf8_chunks().next() {
        text.push_str(chunk.valid());
        let rest = &bytes[chunk.valid().len()..];
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        let skipped = match rest {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            _ => chunk.invalid().len(),
        };
        bytes = &rest[skipped..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_different() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.buffer(), Ok(Some(&[][..])));
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn a_length_beyond_the_end_is_truncation_and_not_an_allocation() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 1];
        assert_eq!(
            Reader::new(&bytes).buffer(),
            Err(DecodeError::Truncated { offset: 4, wanted: 0x7fff_fffe })
        );
        assert_eq!(Reader::new(&bytes).count(1), Err(DecodeError::BadLength { offset: 0, len: i32::MAX }));
    }

    #[test]
    fn a_negative_length_other_than_null_is_refused() {
        let bytes = (-2i32).to_be_bytes();
        assert_eq!(Reader::new(&bytes).buffer(), Err(DecodeError::BadLength { offset: 0, len: -2 }));
    }

    #[test]
    fn malformed_utf8_reads_as_the_replacement_character() {
        let bytes = [0, 0, 0, 2, b'/', 0xff];
        assert_eq!(Reader::new(&bytes).text().as_deref(), Ok("/\u{fffd}"));
    }

    #[test]
    fn a_pair_of_surrogates_reads_as_two_replacement_characters() {
        let bytes = [0, 0, 0, 8, b'a', 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80, b'b'];
        assert_eq!(Reader::new(&bytes).text().as_deref(), Ok("a\u{fffd}\u{fffd}b"));
    }
}
