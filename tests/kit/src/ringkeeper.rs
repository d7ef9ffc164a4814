//! The program under test.

use std::path::Path;

use crate::server::Settings;

/// A standalone ringkeeper, not started yet. `binary` is `env!("CARGO_BIN_EXE_ringkeeper")` in a test of the
/// root package.
pub fn server(binary: impl AsRef<Path>) -> Settings {
    Settings::new(binary.as_ref().into(), [Vec::new(), vec!["start-foreground".into()]])
}
