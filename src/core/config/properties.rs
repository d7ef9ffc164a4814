//! Java's `Properties` text (config §1).

/// One `key=value` and the number of the line it starts on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// Reads a text in ISO-8859-1. Every text is legal; so is every line of it.
pub(super) fn parse(bytes: &[u8]) -> Vec<Entry> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    logical_lines(&text).into_iter().map(|(line, text)| entry(line, &text)).collect()
}

/// Lines without comments, blank ones left out, continued ones joined; the escapes are still there.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    for (number, line) in (1..).zip(unified.split('\n')) {
        let line = line.trim_start_matches(BLANKS);
        let (start, mut joined) = match open.take() {
            Some(open) => open,
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => (number, String::new()),
        };
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((start, joined));
        } else {
            joined.push_str(line);
            lines.push((start, joined));
        }
    }
    lines.extend(open);
    lines
}

fn entry(line: usize, text: &str) -> Entry {
    let end = key_end(text);
    let rest = text[end..].trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANKS);
    Entry { key: unescape(&text[..end]), value: unescape(value), line }
}

/// Where the first separator stands that is not escaped.
fn key_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' => return at,
            _ if BLANKS.contains(&c) => return at,
            _ => {}
        }
    }
    text.len()
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = rest.clone().take(4).collect();
                let unit = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                match unit {
                    Some(unit) => {
                        // Half a surrogate pair is no character by itself.
                        plain.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                        rest.nth(3);
                    }
                    None => plain.push('u'),
                }
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text:?} is {pairs:?}");
        pairs.remove(0)
    }

    #[test]
    fn a_key_ends_at_the_first_separator_of_any_kind() {
        for text in ["a=b", "a:b", "a b", "  a = b", "a\t:\tb", "a  =b"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a\\=b=c"), ("a=b".into(), "c".into()));
    }

    #[test]
    fn comments_are_whole_lines_only() {
        assert_eq!(pairs("# x\n  ! y\n\n a=1 # no comment"), [("a".into(), "1 # no comment".into())]);
    }

    #[test]
    fn an_odd_number_of_backslashes_continues_a_line() {
        assert_eq!(one("a=b\\\n   c"), ("a".into(), "bc".into()));
        assert_eq!(pairs("a=b\\\\\nc=d").len(), 2);
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
        let lines: Vec<_> = parse(b"a=1\\\n2\nb=3").into_iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn escapes_are_java_s() {
        assert_eq!(one(r"p=C:\\zk\tx\u0041\q"), ("p".into(), "C:\\zk\txAq".into()));
        assert_eq!(one(r"p=\u12"), ("p".into(), "u12".into()));
    }

    #[test]
    fn carriage_returns_end_lines_too() {
        assert_eq!(pairs("a=1\r\nb=2\rc=3").len(), 3);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            parse(&bytes);
        }
    }
}
