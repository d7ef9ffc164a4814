//! Where the log goes, and how much of it.

use std::env::{self, VarError};
use std::io::{self, IsTerminal};

use tracing::warn;
use tracing_subscriber::EnvFilter;

/// Starts to log to stderr: time in ISO format, level, part of the program, message. The variable
/// RINGKEEPER_LOG says how much.
pub(super) fn start() {
    let wanted = env::var(VARIABLE);
    let parsed = wanted.as_deref().map(EnvFilter::try_new);
    let (filter, complaint) = match parsed {
        Ok(Ok(filter)) => (filter, None),
        Ok(Err(error)) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
        Err(VarError::NotPresent) => (EnvFilter::new(DEFAULT), None),
        Err(error) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .finish();
    // Whoever embeds the command line may have a log of their own, which then is the one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let Some(complaint) = complaint {
        warn!("{VARIABLE} is not understood, {DEFAULT} holds: {complaint}");
    }
}

const VARIABLE: &str = "RINGKEEPER_LOG";
const DEFAULT: &str = "info";
