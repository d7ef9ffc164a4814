//! The jute binary encoding (client-protocol §1), as a builder and a strict reader.

use std::fmt;

use super::records::Text;

/// Builds a payload, field by field.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty payload.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Encoder {
        self.raw(&[value as u8])
    }

    /// Four bytes, big-endian.
    pub fn int(&mut self, value: i32) -> &mut Encoder {
        self.raw(&value.to_be_bytes())
    }

    /// Eight bytes, big-endian.
    pub fn long(&mut self, value: i64) -> &mut Encoder {
        self.raw(&value.to_be_bytes())
    }

    /// Length and bytes; `None` is length -1.
    pub fn buffer(&mut self, value: Option<&[u8]>) -> &mut Encoder {
        match value {
            None => self.int(-1),
            Some(bytes) => self.int(bytes.len() as i32).raw(bytes),
        }
    }

    /// A ustring: encoded as a buffer.
    pub fn text(&mut self, value: &Text) -> &mut Encoder {
        self.buffer(value.bytes())
    }

    /// Count and items; `None` is count -1.
    pub fn vector<T>(&mut self, items: Option<&[T]>, mut item: impl FnMut(&mut Encoder, &T)) -> &mut Encoder {
        match items {
            None => self.int(-1),
            Some(items) => {
                self.int(items.len() as i32);
                items.iter().for_each(|it| item(self, it));
                self
            }
        }
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The payload so far.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Reads a payload, field by field. Nothing is forgiven: a server must not send what Java cannot read.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

/// A payload that is not what the protocol says. Holds what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed payload: expected {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl<'a> Decoder<'a> {
    /// A reader of this payload.
    pub fn new(payload: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: payload }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error unless all bytes were read.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("the end of the payload")) }
    }

    /// One byte; a server writes 0 or 1 only.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.take(1, "a bool")? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed("a bool of 0 or 1")),
        }
    }

    /// Four bytes, big-endian.
    pub fn int(&mut self) -> Result<i32, Malformed> {
        let bytes = self.take(4, "an int")?;
        Ok(i32::from_be_bytes(bytes.try_into().map_err(|_| Malformed("an int"))?))
    }

    /// Eight bytes, big-endian.
    pub fn long(&mut self) -> Result<i64, Malformed> {
        let bytes = self.take(8, "a long")?;
        Ok(i64::from_be_bytes(bytes.try_into().map_err(|_| Malformed("a long"))?))
    }

    /// Length and bytes; length -1 is `None`.
    pub fn buffer(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            len if len < 0 => Err(Malformed("a length of -1 or more")),
            len => Ok(Some(self.take(len as usize, "as many bytes as the length says")?.to_vec())),
        }
    }

    /// A ustring.
    pub fn text(&mut self) -> Result<Text, Malformed> {
        Ok(Text::from_bytes(self.buffer()?))
    }

    /// Count and items; a server sends no null vectors.
    pub fn vector<T>(
        &mut self,
        mut item: impl FnMut(&mut Decoder<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.int()?;
        if count < 0 || count as usize > self.rest.len() {
            return Err(Malformed("a vector no longer than its payload"));
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(taken)
    }
}
