use std::fmt;

/// Something about a configuration that the operator may want to know and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, with the place; never a value, which may be a secret.
    pub text: String,
    whom: Whom,
}

/// Whom a notice concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Everybody,
    StandaloneServers,
    Members,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server is not going to do what the configuration seems to ask for.
    Warning,
    /// As ZooKeeper would do it; of use to whoever looks for a typing error.
    Note,
}

impl Notice {
    pub(super) fn warning(text: impl Into<String>) -> Notice {
        Notice { severity: Severity::Warning, text: text.into(), whom: Whom::Everybody }
    }

    pub(super) fn note(text: impl Into<String>) -> Notice {
        Notice { severity: Severity::Note, text: text.into(), whom: Whom::Everybody }
    }

    /// A note for a standalone server only.
    pub(super) fn standalone(text: impl Into<String>) -> Notice {
        Notice { whom: Whom::StandaloneServers, ..Notice::note(text) }
    }

    /// A warning for a member of an ensemble only.
    pub(super) fn member(text: impl Into<String>) -> Notice {
        Notice { whom: Whom::Members, ..Notice::warning(text) }
    }

    /// Whether it concerns such a server.
    pub(super) fn concerns(&self, is_member: bool) -> bool {
        match self.whom {
            Whom::Everybody => true,
            Whom::StandaloneServers => !is_member,
            Whom::Members => is_member,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
