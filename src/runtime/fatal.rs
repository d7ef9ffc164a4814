use std::backtrace::Backtrace;
use std::fmt::{self, Display};
use std::panic;

/// Ends the process at once: for when going on could break a promise that was made.
///
/// The reason and `detail` are logged as one error; the exit status is the reason's own.
pub fn fatal(reason: Reason, detail: impl Display) -> ! {
    tracing::error!(exit_status = reason.exit_status(), "{reason}: {detail}");
    std::process::exit(reason.exit_status())
}

/// Makes every panic of any thread fatal: a server that has broken a promise of its own must not go on
/// with the rest of its cores.
pub fn make_panics_fatal() {
    panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        fatal(Reason::Panic, format_args!("{panic}\n{backtrace}"))
    }));
}

/// Why a running server ends itself. Exit statuses are the Java server's (config §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A write to the log failed: what it carried may or may not be on the disk.
    LogWrite,
    /// Something that cannot be has happened: a defect of this server.
    Panic,
    /// A snapshot could not be written.
    SnapshotWrite,
    /// The leader committed another transaction than the oldest one that it had proposed.
    CommitOutOfOrder,
    /// The leader sent what makes no sense, or the log could not be truncated as it asked.
    LeaderMisbehaved,
    /// The election port could not be bound.
    ElectionPort,
}

impl Reason {
    /// The process's exit status.
    pub fn exit_status(self) -> i32 {
        match self {
            Reason::LogWrite | Reason::Panic => 1,
            Reason::SnapshotWrite => 10,
            Reason::CommitOutOfOrder => 12,
            Reason::LeaderMisbehaved => 13,
            Reason::ElectionPort => 14,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::LogWrite => "the log could not be written, this server stops",
            Reason::Panic => "this server has a defect and stops; please report what follows",
            Reason::SnapshotWrite => "a snapshot could not be written, this server stops",
            Reason::CommitOutOfOrder => "the leader committed out of order, this server stops",
            Reason::LeaderMisbehaved => "the leader can't be followed, this server stops",
            Reason::ElectionPort => "the election port can't be bound, this server stops",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_process_ends_with_the_reasons_status() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["runtime::fatal::tests::dies", "--exact", "--ignored"])
            .env(DIE, "")
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(Reason::SnapshotWrite.exit_status()));
    }

    #[test]
    #[ignore = "started by another test"]
    fn dies() {
        if std::env::var_os(DIE).is_some() {
            fatal(Reason::SnapshotWrite, "as asked");
        }
    }

    const DIE: &str = "RINGKEEPER_TEST_DIE";
}
