use super::error::{ConfigError, Problem};
use super::key::{AnyKey, Key, Place, Status};
use super::key_table::{self, own};
use super::kind::Kind;
use super::notice::Notice;
use super::raw::RawValue;
use super::{Defines, Raw};

/// What was set, in the file and as properties, and which of the two holds (config §1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) file: &'a str,
    pub(super) raw: &'a Raw,
    pub(super) defines: &'a Defines,
}

impl<'a> Settings<'a> {
    /// The value of a key: from the file, else from a property, else its default.
    pub(super) fn get<K: Kind>(&self, key: &Key<K>) -> Result<K::Value, ConfigError> {
        let text = self.given(key).map(|value| value.text.as_str());
        key.read(text).map_err(|problem| self.error(key, problem))
    }

    /// Whether the key is set at all, to whatever.
    pub(super) fn is_set(&self, key: &dyn AnyKey) -> bool {
        self.given(key).is_some()
    }

    /// An error about a key, naming the place where it is set.
    pub(super) fn error(&self, key: &dyn AnyKey, problem: Problem) -> ConfigError {
        let origin = self.given(key).map(|value| value.origin);
        ConfigError { file: self.file.to_owned(), origin, key: Some(key.name().to_owned()), problem }
    }

    /// An error about settings that don't fit together, or one that is missing.
    pub(super) fn whole(&self, problem: Problem) -> ConfigError {
        ConfigError::whole(self.file, problem)
    }

    /// Goes through all that is set. A bad value is an error where ZooKeeper refuses it, and otherwise a
    /// warning; what has no effect is named.
    pub(super) fn examine(&self) -> Result<Vec<Notice>, ConfigError> {
        let mut notices = Vec::new();
        for (name, value) in self.raw.in_order() {
            let place = format!("{}, {}", self.file, value.origin);
            match key_table::find(name) {
                Some(key) => self.examine_value(key, name, value, &place, &mut notices)?,
                None if name.starts_with(own::PREFIX) => return Err(self.unknown_own_key(name, value)),
                None => notices.push(unknown_in_file(name, &place)),
            }
        }
        for (name, value) in self.defines.iter() {
            let place = format!("-D{name} ({})", value.origin);
            let plain = name.strip_prefix("zookeeper.");
            match (plain.and_then(key_table::find), key_table::find(name)) {
                (Some(key), _) if key.place() == Place::Parser => notices.push(Notice::warning(format!(
                    "{place} has no effect: {} is read from the configuration file only",
                    key.name()
                ))),
                (Some(key), _) if key.place() == Place::BareProperty => notices.push(Notice::warning(
                    format!("{place} has no effect: this property has no prefix, use -D{}", key.name()),
                )),
                (Some(key), _) => {
                    self.examine_define(key, plain.unwrap_or(name), value, &place, &mut notices)?;
                }
                (None, Some(key)) if key.is_bare() => {
                    self.examine_define(key, name, value, &place, &mut notices)?;
                }
                (None, _) => match plain {
                    Some(plain) if plain.starts_with(own::PREFIX) => {
                        return Err(self.unknown_own_key(plain, value));
                    }
                    Some(plain) => notices.push(unknown_property(plain, &place)),
                    None => {} // Somebody else's: java.*, log4j.* and the like.
                },
            }
        }
        Ok(notices)
    }

    fn given(&self, key: &dyn AnyKey) -> Option<&'a RawValue> {
        let (raw, defines) = (self.raw, self.defines);
        let prefixed = || defines.get(&format!("zookeeper.{}", key.name()));
        let bare = || defines.get(key.name());
        raw.get(key.name()).or_else(|| match key.place() {
            Place::Parser => None,
            Place::Property => prefixed(),
            Place::BareProperty => bare(),
            Place::EitherProperty => prefixed().or_else(bare),
        })
    }

    fn examine_define(
        &self,
        key: &dyn AnyKey,
        name: &str,
        value: &RawValue,
        place: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ConfigError> {
        if self.raw.get(name).is_some() {
            notices.push(Notice::note(format!("{place} is overridden by {name} in {}", self.file)));
            return Ok(());
        }
        self.examine_value(key, name, value, place, notices)
    }

    fn examine_value(
        &self,
        key: &dyn AnyKey,
        name: &str,
        value: &RawValue,
        place: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ConfigError> {
        if let Err(problem) = key.check(name, &value.text) {
            if key.refuses() {
                return Err(self.at(name, value, problem));
            }
            let default = key.default_text().map_or("it counts as not set".to_owned(), |default| {
                format!("the default holds, {}", if default.is_empty() { "nothing" } else { &default })
            });
            notices.push(Notice::warning(format!("{place}: {name}: {problem}; {default}")));
            return Ok(());
        }
        if key.is_default(&value.text) {
            return Ok(());
        }
        match key.status() {
            Status::Supported => {}
            Status::NotYet(reason) => notices.push(Notice::warning(format!(
                "{place}: {name} is not supported by this version yet and has no effect: {reason}"
            ))),
            Status::Ensemble => notices
                .push(Notice::standalone(format!("{place}: {name} has no effect on a standalone server"))),
            Status::MemberNotYet => {
                notices.push(Notice::standalone(format!(
                    "{place}: {name} has no effect on a standalone server"
                )));
                notices.push(Notice::member(format!(
                    "{place}: {name} is not supported by this version yet and has no effect"
                )));
            }
            Status::IgnoredJvm => notices.push(Notice::warning(format!(
                "{place}: {name} is about the Java server's inside and has no effect"
            ))),
        }
        Ok(())
    }

    fn unknown_own_key(&self, name: &str, value: &RawValue) -> ConfigError {
        let known: Vec<_> = own::KEYS.iter().map(|key| key.name()).collect();
        self.at(name, value, Problem::UnknownOwnKey { known: known.join(", ") })
    }

    fn at(&self, name: &str, value: &RawValue, problem: Problem) -> ConfigError {
        let (file, key) = (self.file.to_owned(), Some(name.to_owned()));
        ConfigError { file, origin: Some(value.origin), key, problem }
    }
}

fn unknown_in_file(name: &str, place: &str) -> Notice {
    if let Some(known) = name.strip_prefix("zookeeper.").filter(|plain| key_table::find(plain).is_some()) {
        return Notice::warning(format!("{place}: {name} has no effect: in this file its name is {known}"));
    }
    match key_table::working_name(name) {
        Some(working) => {
            Notice::warning(format!("{place}: {name} has no effect: the name that works is {working}"))
        }
        None => {
            Notice::note(format!("{place}: {name} is not known, it became the property zookeeper.{name}"))
        }
    }
}

fn unknown_property(plain: &str, place: &str) -> Notice {
    match key_table::working_name(plain) {
        Some(working) => {
            Notice::warning(format!("{place} has no effect: the name that works is -Dzookeeper.{working}"))
        }
        None => Notice::note(format!("{place} is not known")),
    }
}
