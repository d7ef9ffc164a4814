use std::collections::BTreeMap;

use super::error::Origin;
use super::raw::RawValue;

/// Java system properties: what was given as `-Dname=value`, each with where it was given.
///
/// Of two definitions of a name the later wins, so add them in the order in which ZooKeeper's scripts put
/// them on Java's command line: SERVER_JVMFLAGS, JVMFLAGS, the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defines {
    properties: BTreeMap<String, RawValue>,
}

impl Defines {
    /// Takes what is a `-D` among words of a command line and leaves out the rest, which is Java's own
    /// (`-Xmx1g`). `-Dname` alone is an empty value, as in Java.
    pub fn add_words<'a>(&mut self, origin: Origin, words: impl IntoIterator<Item = &'a str>) {
        for word in words {
            let Some(definition) = word.strip_prefix("-D") else { continue };
            let (name, text) = definition.split_once('=').unwrap_or((definition, ""));
            self.properties.insert(name.to_owned(), RawValue { text: text.to_owned(), origin });
        }
    }

    /// Takes what is a `-D` in the text of an environment variable, which is split into words as a shell
    /// splits a line. Where quotes don't match, blanks alone separate words.
    pub fn add_flags(&mut self, origin: Origin, flags: &str) {
        match shlex::split(flags) {
            Some(words) => self.add_words(origin, words.iter().map(String::as_str)),
            None => self.add_words(origin, flags.split_whitespace()),
        }
    }

    /// The value of a property, if it is defined.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.properties.get(name)
    }

    /// All properties, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(flags: &str) -> Vec<(String, String)> {
        let mut defines = Defines::default();
        defines.add_flags(Origin::JvmFlags, flags);
        defines.iter().map(|(name, value)| (name.to_owned(), value.text.clone())).collect()
    }

    #[test]
    fn flags_are_split_as_a_shell_would() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("-Da=b", &[("a", "b")]),
            ("  -Xmx1g -Da=b  -server\n-Dc=d ", &[("a", "b"), ("c", "d")]),
            ("-Da='b c' \"-Dd=e f\" -Dg=h\\ i", &[("a", "b c"), ("d", "e f"), ("g", "h i")]),
            ("-Da -Db=", &[("a", ""), ("b", "")]),
            ("-Da=b=c", &[("a", "b=c")]),
            ("-Da=1 -Da=2", &[("a", "2")]),
            ("-Da='b -Dc=d", &[("a", "'b"), ("c", "d")]),
        ];
        for (flags, expected) in table {
            let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(parsed(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn the_later_definition_wins_and_says_where_it_was_made() {
        let mut defines = Defines::default();
        defines.add_flags(Origin::ServerJvmFlags, "-Da=1 -Db=1");
        defines.add_words(Origin::CommandLine, ["-Da=2"]);
        let value = |name| defines.get(name).map(|value| (value.text.as_str(), value.origin));
        assert_eq!(value("a"), Some(("2", Origin::CommandLine)));
        assert_eq!(value("b"), Some(("1", Origin::ServerJvmFlags)));
    }
}
