//! The command line: what `zkServer.sh` and `QuorumPeerMain` take.

mod files;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringkeeper_core::config::{Config, ConfigError, Raw};
use thiserror::Error;
use tracing::{error, warn};

use crate::{server, version};

/// Runs the command that the arguments ask for, and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let (properties, rest) = split_properties(arguments);
    let arguments = match Arguments::try_parse_from(rest) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for; anything else is wrong.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(INVALID) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.verb {
        Some(Verb::Version) => {
            // As zkServer.sh says it.
            println_version();
            ExitCode::SUCCESS
        }
        Some(Verb::StartForeground { config }) => start(config.as_slice(), properties),
        None if arguments.start.is_empty() => {
            let _ = <Arguments as clap::CommandFactory>::command().print_help();
            ExitCode::from(INVALID)
        }
        None => start(&arguments.start, properties),
    }
}

/// A drop-in replacement for an Apache ZooKeeper server.
///
/// `-Dname=value` sets a system property, before or after the verb; the variables SERVER_JVMFLAGS and
/// JVMFLAGS may hold some too. RINGKEEPER_LOG chooses what is logged (error, warn, info, debug, trace).
#[derive(Debug, Parser)]
#[command(name = "ringkeeper", version = version::FULL, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// As QuorumPeerMain takes it: a configuration file, or port, dataDir and optionally tickTime and
    /// maxClientCnxns.
    #[arg(num_args = 0..=4, value_name = "ZOO_CFG | PORT DATADIR [TICKTIME] [MAXCNXNS]")]
    start: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until told to stop, and log to stderr. Without a file: on 127.0.0.1:2181, with data in
    /// ./data.
    StartForeground {
        /// A ZooKeeper configuration.
        #[arg(value_name = "ZOO_CFG")]
        config: Option<String>,
    },
    /// Say which version this is.
    Version,
}

/// Why the configuration could not be used.
#[derive(Debug, Error)]
enum StartError {
    #[error("Error processing {file}: {source}")]
    Config { file: String, source: Box<ConfigError> },
    #[error("Error processing {file}: {file} {reason}")]
    File { file: String, reason: String },
}

fn start(arguments: &[String], properties: Vec<(String, String)>) -> ExitCode {
    match load(arguments, properties) {
        Ok(config) => server::run(config),
        Err(error) => {
            error!("Invalid config, exiting abnormally: {error}");
            ExitCode::from(INVALID)
        }
    }
}

fn load(arguments: &[String], properties: Vec<(String, String)>) -> Result<Config, StartError> {
    let raw = match arguments {
        [] => Raw::from_file("the default configuration", include_bytes!("default.cfg")),
        [file] => {
            let text =
                files::read_config(file).map_err(|reason| StartError::File { file: file.clone(), reason })?;
            Raw::from_file(file, &text)
        }
        arguments => Raw::from_arguments(arguments),
    };
    let raw = raw.with_properties(files::properties_of_environment()).with_properties(properties);
    let file = raw.file().to_owned();
    let failed = |source| StartError::Config { file: file.clone(), source: Box::new(source) };
    let myid = files::read_myid(&raw);
    let (config, warnings) = Config::prove(&raw, myid.as_deref()).map_err(failed)?;
    for warning in warnings {
        warn!("{warning}");
    }
    Ok(config)
}

/// Takes `-Dname=value` and `-Dname` out of the arguments.
fn split_properties(arguments: impl IntoIterator<Item = String>) -> (Vec<(String, String)>, Vec<String>) {
    let (mut properties, mut rest) = (Vec::new(), Vec::new());
    for argument in arguments {
        match files::property(&argument) {
            Some(property) => properties.push(property),
            None => rest.push(argument),
        }
    }
    (properties, rest)
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
fn println_version() {
    println!("Apache ZooKeeper, version {}", version::FULL);
}

/// Java's exit status for bad arguments and bad configurations.
const INVALID: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_taken_from_anywhere_on_the_command_line() {
        let arguments = ["ringkeeper", "-Da=1", "start-foreground", "-Db", "zoo.cfg"];
        let (properties, rest) = split_properties(arguments.map(String::from));
        assert_eq!(properties, [("a".into(), "1".into()), ("b".into(), String::new())]);
        assert_eq!(rest, ["ringkeeper", "start-foreground", "zoo.cfg"]);
    }

    #[test]
    fn the_default_configuration_is_good_and_warns_of_nothing() {
        let raw = Raw::from_file("default", include_bytes!("default.cfg"));
        let (config, warnings) = Config::prove(&raw, None).expect("a good configuration");
        assert_eq!(warnings, []);
        assert_eq!((config.client_port.host.as_deref(), config.client_port.port), (Some("127.0.0.1"), 2181));
    }
}
