use std::fmt;

use thiserror::Error;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file, on the line that starts it; line 0 for the command line's short form.
    File {
        /// The file's name as given.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// In a system property.
    Property {
        /// Its full name.
        name: String,
    },
}

/// Why a configuration cannot be used. The texts contain Java's own (config §2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A value cannot be what its key means.
    #[error("{origin}: {key}={value}: {reason}")]
    BadValue {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A key that must be there is not.
    #[error("{file}: {name} is not set")]
    Missing {
        /// The file where it should be.
        file: String,
        /// The key.
        name: &'static str,
    },
    /// Values that are each right do not fit each other.
    #[error("{file}: {reason}")]
    Contradiction {
        /// The file.
        file: String,
        /// What does not fit.
        reason: String,
    },
    /// The configuration asks for something that this version does not have and that must not be
    /// left out silently.
    #[error("{file}: {what} is not supported by this version of ringkeeper")]
    Unsupported {
        /// The file.
        file: String,
        /// What was asked for.
        what: String,
    },
}

/// Something an operator should know, and that does not keep the server from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { file, line: 0 } => write!(f, "{file}"),
            Origin::File { file, line } => write!(f, "{file}, line {line}"),
            Origin::Property { name } => write!(f, "-D{name}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
