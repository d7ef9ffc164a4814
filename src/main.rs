//! The `ringkeeper` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringkeeper::runtime::make_panics_fatal();
    ringkeeper::cli::run(std::env::args_os())
}
