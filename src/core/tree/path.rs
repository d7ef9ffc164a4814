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

/// The length of a text as Java counts it, in UTF-16 units.
pub fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_what_stands_before_the_last_slash() {
        assert_eq!(parent_and_name("/a/b"), Some(("/a", "b")));
        assert_eq!(parent_and_name("/a"), Some(("/", "a")));
        assert_eq!(parent_and_name("/a/"), Some(("/a", "")));
        assert_eq!(parent_and_name("/a//b"), Some(("/a/", "b")));
        assert_eq!((parent_and_name("/"), parent_and_name("a"), parent_and_name("")), (None, None, None));
    }
}
