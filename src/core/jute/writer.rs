/// Appends jute values to a byte vector.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Writer<'a> {
        Writer { out }
    }

    /// A 32-bit number.
    pub fn int(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit number.
    pub fn long(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A flag.
    pub fn bool(&mut self, value: bool) {
        self.out.push(value as u8);
    }

    /// A byte string; `None` is written as null.
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.int(bytes.len() as i32);
                self.out.extend_from_slice(bytes);
            }
        }
    }

    /// A text. Characters beyond U+FFFF are written as two surrogates of three bytes each, as Java
    /// does (client-protocol §1).
    pub fn text(&mut self, value: &str) {
        self.utf8(value.as_bytes());
    }

    /// As [`Writer::text`], of a text that is known as the bytes of its UTF-8. Other bytes are written as they are, or as
    /// no text.
    pub fn utf8(&mut self, value: &[u8]) {
        if value.is_ascii() || value.iter().all(|byte| *byte < FIRST_BYTE_OF_FOUR) {
            self.buffer(Some(value));
        } else {
            self.buffer(Some(&cesu8(std::str::from_utf8(value).unwrap_or_default())));
        }
    }

    /// How many bytes [`Writer::text`] appends, its length included.
    pub fn text_len(value: &str) -> usize {
        // Each half of a surrogate pair takes three bytes where UTF-8 takes four for both.
        4 + value.len() + 2 * value.bytes().filter(|byte| *byte >= FIRST_BYTE_OF_FOUR).count()
    }

    /// Bytes that are already encoded.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

fn cesu8(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() * 3 / 2);
    for unit in value.encode_utf16() {
        match unit {
            0..0x80 => bytes.push(unit as u8),
            0x80..0x800 => bytes.extend([0xc0 | (unit >> 6) as u8, continuation(unit)]),
            _ => bytes.extend([0xe0 | (unit >> 12) as u8, continuation(unit >> 6), continuation(unit)]),
        }
    }
    bytes
}

fn continuation(bits: u16) -> u8 {
    0x80 | (bits & 0x3f) as u8
}

const FIRST_BYTE_OF_FOUR: u8 = 0xf0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_the_basic_plane_is_written_as_surrogates() {
        let mut out = Vec::new();
        Writer::new(&mut out).text("é\u{1f600}");
        assert_eq!(out, [0, 0, 0, 8, 0xc3, 0xa9, 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]);
        assert_eq!(Writer::text_len("é\u{1f600}"), out.len());
    }
}
