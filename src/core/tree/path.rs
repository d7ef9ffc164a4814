use super::node::PATH_LEN_MAX;

/// The parent's path and the last component. The parent of a top-level node is `/`; `/` itself and
/// texts without a slash have none. The text is taken as it stands, valid or not.
pub fn parent_and_name(path: &str) -> Option<(&str, &str)> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some(("/", &path[1..])),
        at => Some((&path[..at], &path[at + 1..])),
    }
}

/// The parent's path, see [`parent_and_name`].
pub fn parent_of(path: &str) -> Option<&str> {
    parent_and_name(path).map(|(parent, _)| parent)
}

/// The parent's path as a write names it: what stands before the last slash, `/` if that is nothing.
/// `None` if the text has no slash or has a NUL, which no write may have (server-semantics §1).
pub fn parent_to_write(path: &str) -> Option<&str> {
    match path.as_bytes().iter().rposition(|byte| *byte == b'/')? {
        _ if is_any(path.as_bytes(), |byte| byte == 0) => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// Whether a node may have this path (server-semantics §1).
pub fn is_valid_path(path: &str) -> bool {
    if path.len() > PATH_LEN_MAX {
        return false;
    }
    is_plainly_valid(path.as_bytes()) || is_valid_after_all(path)
}

/// Most paths are valid, and are seen to be without a look at what is where: all is ASCII, and no name is empty or begins
/// with a dot.
fn is_plainly_valid(path: &[u8]) -> bool {
    let (Some((b'/', names)), Some(last)) = (path.split_first(), path.last()) else { return false };
    let is_odd = |first: &u8, second: &u8| *first == b'/' && matches!(second, b'/' | b'.');
    *last != b'/'
        && !is_any(path, |byte| !matches!(byte, 0x20..=0x7e))
        && !path.iter().zip(names).fold(false, |any, (first, second)| any | is_odd(first, second))
}

/// Whether there is such a byte. Looks at all of them, several at once, which takes less time than stopping at the first
/// would.
fn is_any(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |any, byte| any | is_such(*byte))
}

fn is_valid_after_all(path: &str) -> bool {
    let Some((b'/', below_root)) = path.as_bytes().split_first() else { return false };
    let (mut start, mut is_ascii) = (0, true);
    for (at, byte) in below_root.iter().enumerate() {
        match byte {
            b'/' if is_no_name(&below_root[start..at]) => return false,
            b'/' => start = at + 1,
            0x20..=0x7e => {}
            0x80.. => is_ascii = false,
            _ => return false,
        }
    }
    below_root.is_empty() || (!is_no_name(&below_root[start..]) && (is_ascii || !path.contains(is_banned)))
}

fn is_no_name(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..")
}

fn is_banned(char: char) -> bool {
    matches!(char,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{10ffff}')
}

/// The length of a text as Java counts it, in UTF-16 units.
pub fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parent_is_what_stands_before_the_last_slash() {
        assert_eq!(parent_and_name("/a/b"), Some(("/a", "b")));
        assert_eq!(parent_and_name("/a"), Some(("/", "a")));
        assert_eq!(parent_and_name("/a/"), Some(("/a", "")));
        assert_eq!(parent_and_name("/a//b"), Some(("/a/", "b")));
        assert_eq!((parent_and_name("/"), parent_and_name("a"), parent_and_name("")), (None, None, None));
    }
    #[test]
    fn a_write_s_parent_is_the_root_where_nothing_stands_before_the_slash() {
        assert_eq!(parent_to_write("/"), Some("/"));
        assert_eq!((parent_to_write("/a"), parent_to_write("/a/")), (Some("/"), Some("/a")));
        assert_eq!((parent_to_write("//"), parent_to_write("/a//b")), (Some("/"), Some("/a/")));
        assert_eq!((parent_to_write(""), parent_to_write("a"), parent_to_write("/a\0")), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_path_that_is_plainly_valid_is_valid(path in "[a/.\\x1f ~\\x7fé]{0,8}") {
            prop_assert!(!is_plainly_valid(path.as_bytes()) || is_valid_after_all(&path));
        }
    }

    #[test]
    fn a_path_is_valid_or_not_as_zookeeper_says() {
        for path in
            ["/", "/a", "/a/b", "/...", "/.x", "/x.", "/a b", "/é", "/\u{d7ff}", "/\u{ffef}", "/\u{fa00}"]
        {
            assert!(is_valid_path(path), "{path}");
        }
        for path in [
            "",
            "a",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/..",
            "/\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid_path(path), "{path:?}");
        }
    }
}
