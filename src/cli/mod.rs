//! The command line: what `zkServer.sh` and `QuorumPeerMain` take.

mod config_files;
mod key_list;
mod logging;
mod tools;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use config_files::Start;
use ringkeeper_core::config::Severity;
use tracing::{debug, error, warn};

use crate::{server, version};

/// Runs the command that the arguments ask for, and says how it ended. The first argument is the
/// program's name. Exit statuses are the Java server's (config §2).
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (properties, rest) = split_properties(arguments);
    let arguments = match Arguments::try_parse_from(rest) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for; anything else is wrong.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(INVALID) } else { ExitCode::SUCCESS };
        }
    };
    // What a tool has to say goes to stdout.
    logging::start(if matches!(arguments.verb, Some(Verb::Tool(_))) { "warn" } else { "info" });
    let start = match arguments.verb {
        Some(Verb::Tool(tool)) => return tools::run(tool),
        Some(Verb::Version) => return print(format_args!("Apache ZooKeeper, version {}\n", version::FULL)),
        Some(Verb::Keys { part }) => return print(key_list::text(part.as_deref().unwrap_or_default())),
        Some(Verb::StartForeground { start }) if start.is_empty() => Start::Default,
        Some(Verb::StartForeground { start }) => start_of(start),
        None => start_of(arguments.start),
    };
    match config_files::load(&start, &properties) {
        Ok((config, notices)) => {
            for notice in notices {
                match notice.severity {
                    Severity::Warning => warn!("{notice}"),
                    Severity::Note => debug!("{notice}"),
                }
            }
            let file = match &start {
                Start::File(file) => Some(Path::new(file)),
                Start::Default | Start::Arguments { .. } => None,
            };
            match server::run(config, file) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => refuse(error.headline(), &error, error.exit_status()),
            }
        }
        Err(error) => match start {
            Start::Arguments { .. } => refuse("Invalid arguments, exiting abnormally", error, INVALID),
            _ => refuse("Invalid config, exiting abnormally", error, INVALID),
        },
    }
}

/// Logs why the process ends and says so on stderr in the words that Java has for it.
fn refuse(headline: &str, reason: impl Display, exit_status: u8) -> ExitCode {
    error!("{reason}");
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(io::stderr(), "{headline}");
    ExitCode::from(exit_status)
}

/// A drop-in replacement for an Apache ZooKeeper server.
#[derive(Debug, Parser)]
#[command(
    name = "ringkeeper",
    version = version::FULL,
    override_usage = USAGE,
    after_help = MORE,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// As QuorumPeerMain takes it: a configuration file, or port, dataDir and optionally tickTime and
    /// maxClientCnxns.
    #[arg(num_args = 0..=ARGUMENTS_MAX, value_name = "START")]
    start: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until told to stop, and log to stderr.
    ///
    /// Without a file: on 127.0.0.1:2181, with data in ./data, answering all four-letter words.
    #[command(override_usage = USAGE_OF_START_FOREGROUND)]
    StartForeground {
        /// A ZooKeeper configuration; or port, dataDir and optionally tickTime and maxClientCnxns.
        #[arg(num_args = 0..=ARGUMENTS_MAX, value_name = "START")]
        start: Vec<OsString>,
    },
    /// List the keys of zoo.cfg: what each is for, its default, and what this version makes of it.
    Keys {
        /// Only keys whose name has this in it.
        part: Option<String>,
    },
    /// Say which version this is.
    Version,
    #[command(flatten)]
    Tool(tools::Tool),
}

/// One argument is a configuration file, two to four are `port dataDir [tickTime] [maxClientCnxns]`.
fn start_of(arguments: Vec<OsString>) -> Start {
    if let [file] = &arguments[..] {
        return Start::File(file.clone());
    }
    let mut words = arguments.into_iter().map(|word| word.to_string_lossy().into_owned());
    Start::Arguments {
        port: words.next().unwrap_or_default(),
        data_dir: words.next().unwrap_or_default(),
        tick_time: words.next(),
        max_client_cnxns: words.next(),
    }
}

/// Takes `-Dname=value` and `-Dname` out of the arguments: they may stand anywhere.
fn split_properties(arguments: impl IntoIterator<Item = OsString>) -> (Vec<String>, Vec<OsString>) {
    let (mut properties, mut rest) = (Vec::new(), Vec::new());
    for argument in arguments {
        match argument.to_string_lossy() {
            word if word.starts_with("-D") => properties.push(word.into_owned()),
            _ => rest.push(argument),
        }
    }
    (properties, rest)
}

/// Prints the answer to a command. That nobody reads it to its end is no failure.
fn print(answer: impl Display) -> ExitCode {
    match write!(io::stdout(), "{answer}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

const ARGUMENTS_MAX: usize = 4;
/// Java's exit status for bad arguments and bad configurations.
const INVALID: u8 = 2;

const USAGE: &str = "\
ringkeeper [-Dname=value]... start-foreground [ZOO_CFG]
       ringkeeper [-Dname=value]... ZOO_CFG
       ringkeeper [-Dname=value]... PORT DATADIR [TICKTIME] [MAXCLIENTCNXNS]
       ringkeeper keys [PART]
       ringkeeper version
       ringkeeper dump|verify|compare|summary|largest|repair|export ...   (--help says more)";

const USAGE_OF_START_FOREGROUND: &str = "\
ringkeeper start-foreground [ZOO_CFG]
       ringkeeper start-foreground PORT DATADIR [TICKTIME] [MAXCLIENTCNXNS]";

const MORE: &str = "\
-Dname=value sets a Java system property such as zookeeper.maxCnxns, anywhere on the command line. The
variables SERVER_JVMFLAGS and JVMFLAGS may hold some too. What zoo.cfg says comes before a property.

RINGKEEPER_LOG says what is logged: error, warn (the tools' default), info (the server's), debug or trace, for
all or for a part of the program, as in `info,ringkeeper::net=debug`.

SIGTERM or SIGINT stops the server cleanly. A second one ends it at once, by that signal and without a last
snapshot; nothing acknowledged is lost.

Exit status: 0 stopped as asked, 1 anything not named here, 2 bad arguments or configuration, 3 a data
folder that cannot be used. Those of the offline tools are in their --help.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn properties_are_taken_from_anywhere_on_the_command_line() {
        let (properties, rest) = split_properties(words("ringkeeper -Da=1 start-foreground -Db zoo.cfg"));
        assert_eq!(properties, ["-Da=1", "-Db"]);
        assert_eq!(rest, words("ringkeeper start-foreground zoo.cfg"));
    }

    #[test]
    fn the_arguments_are_understood_as_quorum_peer_main_would() {
        assert_eq!(start_of(words("zoo.cfg")), Start::File("zoo.cfg".into()));
        assert_eq!(
            start_of(words("2181 /d 500")),
            Start::Arguments {
                port: "2181".into(),
                data_dir: "/d".into(),
                tick_time: Some("500".into()),
                max_client_cnxns: None
            }
        );
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_not_a_start_is_a_usage_error() {
        for line in ["ringkeeper 1 /d 3 4 5", "ringkeeper start-foreground 1 /d 3 4 5", "ringkeeper --serve"]
        {
            let error = Arguments::try_parse_from(words(line)).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
    }
}
