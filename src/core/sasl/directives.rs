use std::collections::BTreeMap;

use super::MechanismError;

/// The directives of a challenge or response of DIGEST-MD5 (RFC 2831 §7.1): `name=value`, separated by commas, where a
/// value is a token or stands in quotes.
#[derive(Debug, Default)]
pub(super) struct Directives(BTreeMap<String, Vec<u8>>);

impl Directives {
    /// Reads them. Of a name that may be there several times, realm, the first counts.
    pub(super) fn parse(text: &[u8]) -> Result<Directives, MechanismError> {
        let mut found = BTreeMap::new();
        let mut rest = text;
        loop {
            rest = trim(rest);
            // An element of the list may be empty.
            if let [b',', more @ ..] = rest {
                rest = more;
                continue;
            }
            if rest.is_empty() {
                return Ok(Directives(found));
            }
            let equals = rest.iter().position(|byte| *byte == b'=').ok_or(MechanismError::Malformed)?;
            let name = String::from_utf8_lossy(rest[..equals].trim_ascii()).to_ascii_lowercase();
            let (value, behind) = value(trim(&rest[equals + 1..]))?;
            rest = trim(behind);
            if !matches!(rest, [] | [b',', ..]) || name.is_empty() {
                return Err(MechanismError::Malformed);
            }
            if found.contains_key(&name) && name != "realm" {
                return Err(MechanismError::Twice { name });
            }
            found.entry(name).or_insert(value);
        }
    }

    /// The value of a directive, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The value of a directive that must be there, and not be empty.
    pub(super) fn need(&self, name: &'static str) -> Result<&[u8], MechanismError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or(MechanismError::Missing { name })
    }
}

/// A value in quotes, which it needs.
pub(super) fn quoted(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), MechanismError> {
    let [b'"', quoted @ ..] = text else {
        let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
        return Ok((text[..end].trim_ascii().to_vec(), &text[end..]));
    };
    let (mut value, mut bytes) = (Vec::new(), quoted.iter().enumerate());
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, &quoted[at + 1..])),
            b'\\' => value.push(*bytes.next().ok_or(MechanismError::Malformed)?.1),
            byte => value.push(*byte),
        }
    }
    Err(MechanismError::Malformed)
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn directives_are_found_however_they_are_written() {
        let found = Directives::parse(b" realm=\"a, \\\"b\\\\\" ,,NC=00000001 ,x = y z,realm=\"second\"")
            .expect("good");
        assert_eq!(found.get("realm"), Some(&b"a, \"b\\"[..]));
        assert_eq!(found.get("nc"), Some(&b"00000001"[..]));
        assert_eq!(found.get("x"), Some(&b"y z"[..]));
        assert_eq!(found.need("y"), Err(MechanismError::Missing { name: "y" }));
    }

    #[test]
    fn what_is_no_list_of_directives_is_refused() {
        for text in ["a", "=b", "a=\"b", "a=\"b\"c", "a=\"b\\"] {
            assert_eq!(Directives::parse(text.as_bytes()).err(), Some(MechanismError::Malformed), "{text}");
        }
        let twice = MechanismError::Twice { name: "nonce".to_owned() };
        assert_eq!(Directives::parse(b"nonce=1,nonce=2").err(), Some(twice));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_quoted_ones_come_back(
            text in prop::collection::vec(any::<u8>(), 0..60)
        ) {
            let _ = Directives::parse(&text);
            let mut written = b"x=".to_vec();
            quoted(&text, &mut written);
            let read = Directives::parse(&written).expect("quoted");
            prop_assert_eq!(read.get("x"), Some(&text[..]));
        }
    }
}
