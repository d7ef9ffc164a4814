use std::collections::BTreeMap;

use super::error::Origin;
use super::properties;

/// A configuration as written: zoo.cfg and the system properties, not looked at yet.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    file: String,
    entries: BTreeMap<String, (String, usize)>,
    properties: BTreeMap<String, String>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl Raw {
    /// Reads the text of a configuration file; `file` names it in messages.
    pub fn from_file(file: &str, text: &[u8]) -> Raw {
        let mut raw = Raw { file: file.to_owned(), ..Raw::default() };
        for entry in properties::parse(text) {
            raw.entries.insert(entry.key.trim().to_owned(), (entry.value.trim().to_owned(), entry.line));
        }
        raw
    }

    /// What the start form `port dataDir [tickTime] [maxClientCnxns]` says (config §2).
    pub fn from_arguments(arguments: &[String]) -> Raw {
        let mut raw = Raw { file: "the command line".to_owned(), ..Raw::default() };
        let names = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
        let given = names.iter().zip(arguments).map(|(name, value)| (*name, value.as_str()));
        for (name, value) in [("tickTime", "3000"), ("maxClientCnxns", "0")].into_iter().chain(given) {
            raw.entries.insert(name.to_owned(), (value.to_owned(), 0));
        }
        raw
    }

    /// Adds system properties, as `-Dname=value` sets them. A later one wins.
    pub fn with_properties(mut self, properties: impl IntoIterator<Item = (String, String)>) -> Raw {
        self.properties.extend(properties);
        self
    }

    /// The name of the file, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// `dataDir` as written, where the file `myid` lies.
    pub fn data_dir(&self) -> Option<&str> {
        self.entries.get("dataDir").map(|(value, _)| value.as_str())
    }

    /// A key that zoo.cfg's parser knows: zoo.cfg alone may set it.
    pub(super) fn parser_key(&self, name: &str) -> Option<Setting> {
        self.entries.get(name).map(|(value, line)| Setting {
            value: value.clone(),
            origin: Origin::File { file: self.file.clone(), line: *line },
        })
    }

    /// A key that is the system property `zookeeper.<name>`: zoo.cfg wins over the command line.
    pub(super) fn property(&self, name: &str) -> Option<Setting> {
        self.parser_key(name).or_else(|| self.system_property(&format!("zookeeper.{name}")))
    }

    /// A system property without the prefix. Java takes it from the command line alone; here zoo.cfg
    /// may set it too, and wins.
    pub(super) fn bare_property(&self, name: &str) -> Option<Setting> {
        self.parser_key(name).or_else(|| self.system_property(name))
    }

    /// The keys of zoo.cfg.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn system_property(&self, name: &str) -> Option<Setting> {
        let value = self.properties.get(name)?.clone();
        Some(Setting { value, origin: Origin::Property { name: name.to_owned() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zoo_cfg_wins_over_a_property_and_the_last_duplicate_over_the_first() {
        let raw = Raw::from_file("zoo.cfg", b"snapCount=1\nsnapCount= 2 \n")
            .with_properties([("zookeeper.snapCount".into(), "3".into())]);
        assert_eq!(raw.property("snapCount").map(|setting| setting.value), Some("2".into()));
    }

    #[test]
    fn a_prefixed_key_in_zoo_cfg_has_no_effect() {
        let raw = Raw::from_file("zoo.cfg", b"zookeeper.snapCount=5");
        assert_eq!(raw.property("snapCount"), None);
    }

    #[test]
    fn a_parser_s_key_cannot_be_a_property() {
        let raw = Raw::from_file("zoo.cfg", b"").with_properties([("zookeeper.tickTime".into(), "5".into())]);
        assert_eq!(raw.parser_key("tickTime"), None);
    }
}
