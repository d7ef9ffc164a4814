//! Where the log goes, and how much of it.

use std::env::{self, VarError};
use std::io::{self, IsTerminal};

use tracing::warn;
use tracing_subscriber::EnvFilter;

/// Starts to log to stderr: time in ISO format, level, part of the program, message. The variable
/// RINGKEEPER_LOG says how much; if it does not, `default` does.
pub(super) fn start(default: &str) {
    let wanted = env::var(VARIABLE);
    let parsed = wanted.as_deref().map(EnvFilter::try_new);
    let (filter, complaint) = match parsed {
        Ok(Ok(filter)) => (filter, None),
        Ok(Err(error)) => (EnvFilter::new(default), Some(error.to_string())),
        Err(VarError::NotPresent) => (EnvFilter::new(default), None),
        Err(error) => (EnvFilter::new(default), Some(error.to_string())),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would complain to stderr, and panic if that is gone: a server outlives the reader of its log.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .finish();
    // Whoever embeds the command line may have a log of their own, which then is the one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let Some(complaint) = complaint {
        warn!("{VARIABLE} is not understood, {default} holds: {complaint}");
    }
}

const VARIABLE: &str = "RINGKEEPER_LOG";
