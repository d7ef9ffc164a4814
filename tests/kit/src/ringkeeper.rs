//! The program under test.

use std::ffi::OsString;
use std::path::Path;

use crate::server::Settings;

/// A standalone ringkeeper, not started yet. `binary` is `env!("CARGO_BIN_EXE_ringkeeper")` in a test of the
/// root package.
pub fn server(binary: impl AsRef<Path>) -> Settings {
    Settings::new(binary.as_ref().into(), arguments)
}

fn arguments(properties: &[String], config: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = properties.iter().map(OsString::from).collect();
    arguments.push("start-foreground".into());
    arguments.push(config.into());
    arguments
}
