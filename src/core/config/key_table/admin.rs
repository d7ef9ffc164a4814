//! Administration (admin.md): four-letter words, HTTP, the audit log.

use crate::config::Status::{self, IgnoredJvm, NotYet, Supported};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Flag, Text};

pub(in crate::config) static WHITELIST: Key<Text> = Key::property(
    "4lw.commands.whitelist",
    Text::optional(),
    Supported,
    "four-letter words that are answered, by commas, or *; srvr always is",
);

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &WHITELIST,
    &Key::property("admin.enableServer", Flag::or(false), NO_HTTP, "administration over HTTP"),
    &Key::property("admin.serverAddress", Text::or("0.0.0.0"), NO_HTTP, "address of the HTTP port"),
    &Key::property("admin.serverPort", Text::or("8080"), NO_HTTP, "the HTTP port"),
    &Key::property("admin.commandURL", Text::or("/commands"), NO_HTTP, "path of the commands"),
    &Key::property("admin.*", Text::optional(), NO_HTTP, "administration over HTTP"),
    &Key::property("audit.enable", Flag::or(false), NotYet("there is no audit log"), "log who changed what"),
    &Key::property("audit.impl.class", Text::optional(), IgnoredJvm, "class that writes the audit log"),
];

const NO_HTTP: Status = NotYet("there is no administration over HTTP");
