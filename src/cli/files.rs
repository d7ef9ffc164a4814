//! What the configuration is read from.

use std::env;
use std::fs;
use std::io;
use std::path::Path;

use ringkeeper_core::config::Raw;

/// Reads a configuration file, or says why not, as Java does.
pub(super) fn read_config(file: &str) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "file is missing".to_owned(),
        _ => format!("cannot be read: {error}"),
    })
}

/// The content of `<dataDir>/myid`, if there is one.
pub(super) fn read_myid(raw: &Raw) -> Option<String> {
    fs::read_to_string(Path::new(&raw.data_dir()?).join("myid")).ok()
}

/// The properties that the Java scripts would hand on to the server.
pub(super) fn properties_of_environment() -> Vec<(String, String)> {
    let flags = ["SERVER_JVMFLAGS", "JVMFLAGS"].into_iter().filter_map(|name| env::var(name).ok());
    let words = flags.flat_map(|flags| shlex::split(&flags).unwrap_or_default());
    words.filter_map(|word| property(&word)).collect()
}

/// Reads `-Dname=value`, or `-Dname`, which sets an empty value.
pub(super) fn property(argument: &str) -> Option<(String, String)> {
    let property = argument.strip_prefix("-D")?;
    let (name, value) = property.split_once('=').unwrap_or((property, ""));
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}
