//! What is on disk, shown so that a terminal and a JSON parser can take it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ringkeeper_core::proto::{Acl, perms};
use ringkeeper_core::tree::Owner;
use serde::{Serialize, Serializer};

use super::ToolError;

/// How much of a znode's data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataShown {
    /// Its length.
    None,
    /// Its beginning.
    Short,
    /// All of it.
    Full,
}

/// A text of a client's: what could move a cursor or reorder a line is escaped.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            char if char.is_control() || is_invisible(char) => write!(f, "{}", char.escape_unicode()),
            char => f.write_char(char),
        })
    }
}

/// Data as text in quotes, with its length.
pub(super) struct ShownData<'a>(pub(super) Option<&'a [u8]>, pub(super) DataShown);

impl fmt::Display for ShownData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownData(Some(data), shown) = self else { return f.write_str("no data") };
        let part = match shown {
            DataShown::None => return write!(f, "{} bytes", data.len()),
            DataShown::Short => &data[..data.len().min(SHORT_LEN)],
            DataShown::Full => data,
        };
        let more = if part.len() < data.len() { "..." } else { "" };
        match std::str::from_utf8(part) {
            Ok(text) => write!(f, "\"{}\"{more}", Shown(text).to_string().replace('"', "\\\""))?,
            Err(_) => write!(f, "\"{}\"{more}", part.escape_ascii())?,
        }
        write!(f, " ({} bytes)", data.len())
    }
}

/// Data in JSON: `data` if it is a text, else `data_base64`; null is null.
#[derive(Serialize)]
pub(super) struct JsonData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    data_length: usize,
}

impl<'a> JsonData<'a> {
    pub(super) fn new(data: Option<&'a [u8]>, shown: DataShown) -> JsonData<'a> {
        let data_length = data.map_or(0, <[u8]>::len);
        let empty = JsonData { data: None, data_base64: None, data_length };
        let Some(bytes) = data else { return JsonData { data: Some(None), ..empty } };
        let part = match shown {
            DataShown::None => return empty,
            DataShown::Short => &bytes[..bytes.len().min(SHORT_LEN)],
            DataShown::Full => bytes,
        };
        match std::str::from_utf8(part) {
            Ok(text) => JsonData { data: Some(Some(text)), ..empty },
            Err(_) => JsonData { data_base64: Some(STANDARD.encode(part)), ..empty },
        }
    }
}

/// A number that people know in hexadecimal: a zxid, a session.
#[derive(Clone, Copy)]
pub(super) struct Hex(pub(super) i64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Milliseconds since 1970 as UTC in ISO 8601; as a number where that has no date.
#[derive(Clone, Copy)]
pub(super) struct Utc(pub(super) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An ACL as `scheme:id:cdrwa`, the way the shell takes it.
pub(super) struct ShownAcl<'a>(pub(super) &'a [Acl]);

impl fmt::Display for ShownAcl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("empty");
        }
        for (at, entry) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}:{}:{}", Shown(&entry.scheme), Shown(&entry.id), Perms(entry.perms))?;
        }
        Ok(())
    }
}

/// One entry of an ACL in JSON.
#[derive(Serialize)]
pub(super) struct JsonAcl<'a> {
    scheme: &'a str,
    id: &'a str,
    perms: Cow<'static, str>,
}

/// A list in JSON.
pub(super) fn json_acl(list: &[Acl]) -> Vec<JsonAcl<'_>> {
    let entry = |acl: &'_ Acl| Perms(acl.perms).to_string().into();
    list.iter().map(|acl| JsonAcl { scheme: &acl.scheme, id: &acl.id, perms: entry(acl) }).collect()
}

struct Perms(i32);

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(i32, char); 5] = [
            (perms::CREATE, 'c'),
            (perms::DELETE, 'd'),
            (perms::READ, 'r'),
            (perms::WRITE, 'w'),
            (perms::ADMIN, 'a'),
        ];
        let known = LETTERS.into_iter().filter(|(bit, _)| self.0 & bit != 0);
        known.map(|(_, letter)| letter).try_for_each(|letter| f.write_char(letter))?;
        match self.0 & !perms::ALL {
            0 if self.0 == 0 => f.write_str("-"),
            0 => Ok(()),
            more => write!(f, "+{more:#x}"),
        }
    }
}

/// What kind of znode a stored `ephemeralOwner` makes, if not a plain one. Owners from 0xff00000000000000 on
/// are read as times to live: a session has such an id only on a server whose `myid` is 255.
pub(super) fn kind(owner: i64) -> Option<String> {
    match Owner::from_stored(owner, true) {
        Owner::None => None,
        Owner::Session(session) => Some(format!("ephemeral of {session}")),
        Owner::Container => Some("container".into()),
        Owner::Ttl(ms) => Some(format!("ttl {ms}ms")),
    }
}

/// Writes one JSON object and ends the line.
pub(super) fn json_line(out: &mut dyn io::Write, value: &impl Serialize) -> Result<(), ToolError> {
    serde_json::to_writer(&mut *out, value).map_err(|error| ToolError::Output(error.into()))?;
    out.write_all(b"\n").map_err(ToolError::Output)
}

/// What shows nothing, or changes the order of what is shown.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const SHORT_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_move_the_cursor_or_reorder_the_line() {
        assert_eq!(Shown("/é\u{1b}[2J\\\u{202e}x\n").to_string(), r"/é\u{1b}[2J\\\u{202e}x\u{a}");
    }

    #[test]
    fn data_is_a_text_where_it_can_be_and_shortened_where_it_is_long() {
        let show = |data: Option<&[u8]>, shown| ShownData(data, shown).to_string();
        assert_eq!(show(None, DataShown::Full), "no data");
        assert_eq!(show(Some(b"say \"hi\""), DataShown::Full), r#""say \"hi\"" (8 bytes)"#);
        assert_eq!(show(Some(b"\xff\0a"), DataShown::Full), r#""\xff\x00a" (3 bytes)"#);
        assert_eq!(show(Some(b"abc"), DataShown::None), "3 bytes");
        let long = show(Some(&[b'x'; 100]), DataShown::Short);
        assert_eq!(long, format!("\"{}\"... (100 bytes)", "x".repeat(64)));
    }

    #[test]
    fn json_says_whether_data_is_a_text_bytes_or_null() {
        let json = |data| serde_json::to_string(&JsonData::new(data, DataShown::Full)).unwrap();
        assert_eq!(json(Some(b"a\n")), r#"{"data":"a\n","data_length":2}"#);
        assert_eq!(json(Some(b"\xff")), r#"{"data_base64":"/w==","data_length":1}"#);
        assert_eq!(json(None), r#"{"data":null,"data_length":0}"#);
    }

    #[test]
    fn any_number_is_a_time_or_shown_as_it_is() {
        assert_eq!(Utc(1_795_468_162_946).to_string(), "2026-11-23T21:09:22.946Z");
        assert_eq!(Utc(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Utc(i64::MAX).to_string(), "9223372036854775807ms");
        assert_eq!(Utc(i64::MIN).to_string(), "-9223372036854775808ms");
    }

    #[test]
    fn permissions_are_letters_and_what_has_none_is_kept() {
        let show = |perms| Perms(perms).to_string();
        assert_eq!([31, 1, 0, 33].map(show), ["cdrwa", "r", "-", "r+0x20"]);
    }
}
