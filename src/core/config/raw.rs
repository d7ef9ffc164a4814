use std::collections::BTreeMap;

use thiserror::Error;

use super::Origin;

/// A configuration as written: keys and values as text, each with the place it came from.
///
/// Made from the bytes of a `zoo.cfg`, or from the arguments of a start without a file. A key that is
/// given twice has its last value (config §1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    entries: BTreeMap<String, RawValue>,
}

/// One value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawValue {
    /// The text, trimmed, escapes resolved.
    pub text: String,
    /// Where the key stands.
    pub origin: Origin,
}

/// Text that Java's `Properties` would refuse as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Malformed \\uxxxx encoding.")]
pub struct MalformedEscape {
    /// The line on which the key and value start; the first is 1.
    pub line: u32,
}

impl Raw {
    /// Reads the text of a `zoo.cfg`, as `java.util.Properties` does and ZooKeeper after it
    /// (config §1): ISO-8859-1, continuation lines, escapes, three separators, keys and values trimmed.
    /// The only thing that can be wrong at this step is a `\u` without four hex digits.
    pub fn parse(bytes: &[u8]) -> Result<Raw, MalformedEscape> {
        let mut raw = Raw::default();
        for LogicalLine { number, bytes } in LogicalLines::new(bytes) {
            let (key, value) = split(&bytes);
            let malformed = MalformedEscape { line: number };
            let key = unescape(key).ok_or(malformed)?;
            let value = unescape(value).ok_or(malformed)?;
            raw.set(trim(&key), trim(&value), Origin::Line(number));
        }
        Ok(raw)
    }

    /// The configuration that a start as `port dataDir [tickTime] [maxClientCnxns]` means (config §2):
    /// defaults as for a file, except that connections per client are not limited.
    pub fn from_arguments(port: &str, data_dir: &str, tick_time: Option<&str>, cnxns: Option<&str>) -> Raw {
        let mut raw = Raw::default();
        raw.set("clientPort", port, Origin::Argument(1));
        raw.set("dataDir", data_dir, Origin::Argument(2));
        if let Some(tick_time) = tick_time {
            raw.set("tickTime", tick_time, Origin::Argument(3));
        }
        raw.set("maxClientCnxns", cnxns.unwrap_or("0"), Origin::Argument(4));
        raw
    }

    /// The value of a key, if the key is there.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.entries.get(key)
    }

    /// All keys in the order in which they stand in the file.
    pub fn in_order(&self) -> Vec<(&str, &RawValue)> {
        let mut entries: Vec<_> = self.entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
        entries.sort_by_key(|(_, value)| value.origin);
        entries
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin) {
        self.entries.insert(key.to_owned(), RawValue { text: text.to_owned(), origin });
    }
}

/// A key, its separator and its value, continuation lines joined.
struct LogicalLine {
    number: u32,
    bytes: Vec<u8>,
}

/// Joins physical lines, leaving out blank ones and comments.
struct LogicalLines<'a> {
    rest: &'a [u8],
    lines_read: u32,
}

impl<'a> LogicalLines<'a> {
    fn new(bytes: &'a [u8]) -> LogicalLines<'a> {
        LogicalLines { rest: bytes, lines_read: 0 }
    }

    /// The next line as it stands in the file, without what ends it (`\n`, `\r` or both).
    fn next_physical(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.lines_read += 1;
        let end = self.rest.iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(self.rest.len());
        let (line, after) = self.rest.split_at(end);
        let ending = if after.starts_with(b"\r\n") { 2 } else { after.len().min(1) };
        self.rest = &after[ending..];
        Some(line)
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = LogicalLine;

    fn next(&mut self) -> Option<LogicalLine> {
        let mut joined = LogicalLine { number: 0, bytes: Vec::new() };
        while let Some(line) = self.next_physical() {
            let blanks = line.iter().take_while(|&&b| is_blank(b)).count();
            let line = &line[blanks..];
            if joined.bytes.is_empty() {
                if line.is_empty() || line[0] == b'#' || line[0] == b'!' {
                    continue;
                }
                joined.number = self.lines_read;
            }
            let backslashes = line.iter().rev().take_while(|&&b| b == b'\\').count();
            if backslashes % 2 == 0 {
                joined.bytes.extend_from_slice(line);
                return Some(joined);
            }
            joined.bytes.extend_from_slice(&line[..line.len() - 1]);
        }
        (!joined.bytes.is_empty()).then_some(joined)
    }
}

/// Splits a logical line at its first separator that no backslash escapes: blanks, and among them at
/// most one `=` or `:`.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let key_len = line
        .iter()
        .position(|&b| {
            let ends_key = !escaped && (is_blank(b) || is_sign(b));
            escaped = b == b'\\' && !escaped;
            ends_key
        })
        .unwrap_or(line.len());
    let (key, mut value) = line.split_at(key_len);
    let mut sign_seen = false;
    while let [first, rest @ ..] = value {
        let is_first_sign = is_sign(*first) && !sign_seen;
        if !is_blank(*first) && !is_first_sign {
            break;
        }
        sign_seen |= is_first_sign;
        value = rest;
    }
    (key, value)
}

/// Resolves escapes and reads the bytes as ISO-8859-1; `\u` names UTF-16 units, so that two of them may
/// make one character. `None` if a `\u` lacks its four hex digits.
fn unescape(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            units.push(u16::from(*first));
            continue;
        }
        let [escaped, after @ ..] = rest else { break };
        rest = after;
        units.push(match escaped {
            b't' => u16::from(b'\t'),
            b'n' => u16::from(b'\n'),
            b'r' => u16::from(b'\r'),
            b'f' => 0x0c,
            b'u' => {
                let (digits, after) = rest.split_at_checked(4)?;
                rest = after;
                hex_unit(digits)?
            }
            other => u16::from(*other),
        });
    }
    Some(String::from_utf16_lossy(&units))
}

fn hex_unit(digits: &[u8]) -> Option<u16> {
    digits
        .iter()
        .try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
        .and_then(|unit| u16::try_from(unit).ok())
}

/// Java's `String.trim`: everything up to the blank counts as white space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn is_sign(byte: u8) -> bool {
    matches!(byte, b'=' | b':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let raw = Raw::parse(text.as_bytes()).expect("no malformed escape");
        raw.in_order().into_iter().map(|(key, value)| (key.to_owned(), value.text.clone())).collect()
    }

    #[test]
    fn lines_are_read_as_java_properties() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("a=b", &[("a", "b")]),
            ("a = b", &[("a", "b")]),
            ("a:b", &[("a", "b")]),
            ("a b", &[("a", "b")]),
            ("a\t:\x0c b  ", &[("a", "b")]),
            ("a==b", &[("a", "=b")]),
            ("a = : b", &[("a", ": b")]),
            ("a", &[("a", "")]),
            ("  \t a=b", &[("a", "b")]),
            ("# a=b\n! c=d\n  # e=f\ng=h", &[("g", "h")]),
            ("a=b # no comment", &[("a", "b # no comment")]),
            ("a=b\r\nc=d\re=f\n\n\n", &[("a", "b"), ("c", "d"), ("e", "f")]),
            ("a=b\\\n   c", &[("a", "bc")]),
            ("a=b\\\r\n\tc\\\nd", &[("a", "bcd")]),
            ("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]),
            ("a=b\\\\\\\nc", &[("a", "b\\c")]),
            ("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]),
            ("a=b\\\n# c", &[("a", "b# c")]),
            ("\\\n# a comment\na=b", &[("a", "b")]),
            ("a=b\\", &[("a", "b")]),
            ("a\\=b=c", &[("a=b", "c")]),
            ("a\\:b\\ c:d", &[("a:b c", "d")]),
            ("\\#a=\\!\\#b", &[("#a", "!#b")]),
            ("a=C:\\\\data\\dir", &[("a", "C:\\datadir")]),
            ("a=x\\ty\\nz\\\\", &[("a", "x\ty\nz\\")]),
            ("a=\\u0041\\u00e9\\uD83D\\uDE00", &[("a", "Aé😀")]),
            ("a=\\ b \\ ", &[("a", "b")]),
            ("a=1\nb=2\na=3", &[("b", "2"), ("a", "3")]),
            ("=b", &[("", "b")]),
            ("", &[]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_iso_8859_1() {
        let raw = Raw::parse(b"dir=/data/\xe9").unwrap();
        assert_eq!(raw.get("dir").unwrap().text, "/data/é");
    }

    #[test]
    fn a_unicode_escape_without_four_hex_digits_is_an_error_with_its_line() {
        for text in ["a=b\n\nc=\\u12", "a=b\n\nc\\u00g0=d", "a=b\n\nc=x\\\n  \\u123"] {
            assert_eq!(Raw::parse(text.as_bytes()), Err(MalformedEscape { line: 3 }), "{text:?}");
        }
    }

    #[test]
    fn each_key_remembers_the_line_on_which_it_starts() {
        let raw = Raw::parse(b"# head\r\na=1\n\nb=\\\n  2\nc=3\n a=4").unwrap();
        let origins: Vec<_> = raw.in_order().into_iter().map(|(key, value)| (key, value.origin)).collect();
        assert_eq!(origins, [("b", Origin::Line(4)), ("c", Origin::Line(6)), ("a", Origin::Line(7))]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Raw::parse(&bytes);
        }

        #[test]
        fn bytes_that_the_syntax_cares_for_never_panic(text in r"[ab=: \\\t\x0c\r\nu0#!]{0,80}") {
            let _ = Raw::parse(text.as_bytes());
        }
    }
}
