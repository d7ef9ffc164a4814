use super::error::Problem;
use super::kind::{Kind, Style};

/// One key: what it is called, where it may stand, what it may be and what this version makes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<K> {
    name: &'static str,
    place: Place,
    kind: K,
    status: Status,
    help: &'static str,
    refuses: bool,
}

/// Where a key may be set (config §1). In `zoo.cfg` all may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In `zoo.cfg` only: ZooKeeper's parser knows it.
    Parser,
    /// Also as `-Dzookeeper.<name>`.
    Property,
    /// Also as `-D<name>`. ZooKeeper takes it there only; a server without a JVM takes it in both places.
    BareProperty,
    /// Also as `-Dzookeeper.<name>` or `-D<name>`.
    EitherProperty,
}

/// What this version makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what ZooKeeper's documentation says.
    Supported,
    /// It is read and checked, and has no effect yet, for the reason given.
    NotYet(&'static str),
    /// It does what ZooKeeper's documentation says, and means something for a member of an ensemble only.
    Ensemble,
    /// It would mean something for a member of an ensemble, and has no effect yet.
    MemberNotYet,
    /// It tunes Java, or a part that only Java's server has.
    IgnoredJvm,
}

impl<K> Key<K> {
    /// A key of ZooKeeper's parser. A bad value is an error.
    pub(crate) const fn parser(name: &'static str, kind: K, status: Status, help: &'static str) -> Key<K> {
        Key { name, place: Place::Parser, kind, status, help, refuses: true }
    }

    /// A key that is a Java system property `zookeeper.<name>`. A bad value means the default.
    pub(crate) const fn property(name: &'static str, kind: K, status: Status, help: &'static str) -> Key<K> {
        Key { name, place: Place::Property, kind, status, help, refuses: false }
    }

    /// A key that is a Java system property of just that name. A bad value means the default.
    pub(crate) const fn bare(name: &'static str, kind: K, status: Status, help: &'static str) -> Key<K> {
        Key { name, place: Place::BareProperty, kind, status, help, refuses: false }
    }

    /// The same key, its property known with and without `zookeeper.`.
    pub(crate) const fn also_bare(self) -> Key<K>
    where
        K: Copy,
    {
        Key { place: Place::EitherProperty, ..self }
    }

    /// The same key, a bad value of which is an error wherever it stands.
    pub(crate) const fn refusing(self) -> Key<K>
    where
        K: Copy,
    {
        Key { refuses: true, ..self }
    }
}

impl<K: Kind> Key<K> {
    /// What `text` means; as in Java, the default if it means nothing and the key is a property.
    /// `None` means that the key is not set.
    pub(super) fn read(&self, text: Option<&str>) -> Result<K::Value, Problem> {
        let Some(text) = text else { return Ok(self.kind.unset()) };
        match self.kind.parse(self.name, text, self.style()) {
            Err(_) if !self.refuses => Ok(self.kind.unset()),
            result => result,
        }
    }

    fn style(&self) -> Style {
        if self.place == Place::Parser { Style::Parser } else { Style::Property }
    }
}

/// A key of whatever kind, as the table holds it.
pub trait AnyKey: Sync {
    /// The name in `zoo.cfg`. A trailing `*` stands for any ending.
    fn name(&self) -> &'static str;
    /// Where it may be set.
    fn place(&self) -> Place;
    /// What this version makes of it.
    fn status(&self) -> Status;
    /// What it is for.
    fn help(&self) -> &'static str;
    /// What holds when it is not set; `None` if there is no value then.
    fn default_text(&self) -> Option<String>;
    /// What a value must be.
    fn allowed(&self) -> String;
    /// Whether a bad value is an error, and not just a warning.
    fn refuses(&self) -> bool;
    /// Whether `text` is a good value for `name`, which this key covers.
    fn check(&self, name: &str, text: &str) -> Result<(), Problem>;
    /// Whether `text` says no more than what holds anyway.
    fn is_default(&self, text: &str) -> bool;

    /// Whether this is the key called `name`.
    fn covers(&self, name: &str) -> bool {
        match self.name().strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.name(),
        }
    }

    /// Whether a property of just the key's name sets it.
    fn is_bare(&self) -> bool {
        matches!(self.place(), Place::BareProperty | Place::EitherProperty)
    }

    /// The Java system property that sets this key, if one does.
    fn java_property(&self) -> Option<String> {
        match self.place() {
            Place::Parser => None,
            Place::Property | Place::EitherProperty => Some(format!("zookeeper.{}", self.name())),
            Place::BareProperty => Some(self.name().to_owned()),
        }
    }
}

impl<K: Kind> AnyKey for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> Place {
        self.place
    }

    fn status(&self) -> Status {
        self.status
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn default_text(&self) -> Option<String> {
        self.kind.default_text()
    }

    fn allowed(&self) -> String {
        self.kind.allowed()
    }

    fn refuses(&self) -> bool {
        self.refuses
    }

    fn check(&self, name: &str, text: &str) -> Result<(), Problem> {
        self.kind.parse(name, text, self.style()).map(|_| ())
    }

    fn is_default(&self, text: &str) -> bool {
        self.kind.parse(self.name, text, self.style()).is_ok_and(|value| value == self.kind.unset())
    }
}
