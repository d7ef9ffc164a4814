//! TLS (config §9): `ssl.` for clients, `ssl.quorum.` between servers.

use crate::config::Status::{self, IgnoredJvm, MemberNotYet, NotYet};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Flag, Text};

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &Key::property("ssl.sslProvider", Text::or("JDK"), IgnoredJvm, "who implements TLS"),
    &Key::property(
        "ssl.context.supplier.class",
        Text::optional(),
        IgnoredJvm,
        "class that makes TLS contexts",
    ),
    &Key::property("ssl.quorum.*", Text::optional(), MemberNotYet, "TLS between servers"),
    &Key::property("ssl.*", Text::optional(), NO_TLS, "TLS for clients"),
    &Key::property("client.portUnification", Flag::or(false), NO_TLS, "TLS and plain on secureClientPort"),
    &Key::property("client.certReload", Flag::or(false), NO_TLS, "reread the certificates for clients"),
    &Key::property("fips-mode", Flag::or(true), IgnoredJvm, "only what FIPS allows, of Java's TLS"),
];

const NO_TLS: Status = NotYet("there is no TLS");
