use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use ringkeeper_core::config::SnapshotSizeFactor;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::zab::{EpochFile, Epochs, LinkId};
use thiserror::Error;

use crate::runtime::{Reason, Sender, fatal};
use crate::storage::recovery::Folders;
use crate::storage::{history, snapshot};
use crate::wiring::ToCommit;

/// What a member does with its disk besides appending to the log. Each thing is done by a thread of its own,
/// which tells the commit role when it is done.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The folder of the snapshots and the epochs' files: `version-2` in `dataDir`.
    pub epochs: PathBuf,
    /// The folder of the log: `version-2` in `dataLogDir`.
    pub logs: PathBuf,
    /// How much may be read from the log for a learner.
    pub snapshot_size_factor: SnapshotSizeFactor,
}

impl Disk {
    /// Makes an epoch durable; [`ToCommit::EpochSaved`] says when. A promise that can't be kept on disk ends
    /// the process: it may have been made already.
    pub(super) fn save_epoch(&self, file: EpochFile, epoch: u32, done: &Sender<ToCommit>) {
        let (folder, done) = (self.epochs.clone(), done.clone());
        start("epoch", move || match write_epoch(&folder, file, epoch) {
            Ok(()) => done.post(ToCommit::EpochSaved(file, epoch)),
            Err(error) => fatal(
                Reason::LogWrite,
                format_args!(
                    "epoch {epoch} can't be written to {}: {error}",
                    path_of(&folder, file).display()
                ),
            ),
        });
    }

    /// Reads what the log has from the last record that is not after `from` on; [`ToCommit::LogRead`] has it.
    pub(super) fn read_log(&self, link: LinkId, from: Zxid, upto: Zxid, done: &Sender<ToCommit>) {
        let (disk, done) = (self.clone(), done.clone());
        start("log read", move || {
            let len_max = excerpt_len_max(&disk.epochs, disk.snapshot_size_factor);
            let folders = Folders { snapshots: &disk.epochs, logs: &disk.logs };
            let excerpt = match len_max {
                0 => Ok(None),
                len_max => history::excerpt(folders, from, upto, len_max),
            };
            if let Err(error) = &excerpt {
                tracing::warn!(
                    "the log can't be read for a learner, which gets the whole tree instead: {error}"
                );
            }
            done.post(ToCommit::LogRead(link, excerpt.ok().flatten()));
        });
    }
}

/// Why the epochs on disk can't be used.
#[derive(Debug, Error)]
pub enum EpochError {
    /// The operating system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// What is there is no number.
    #[error("{} has no epoch in it, but {text:?}: put the right number there", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// What it has.
        text: String,
    },
    /// A promise is missing that was kept.
    #[error(
        "The accepted epoch, {accepted}, is less than the current epoch, {current}: {} is damaged or of another \
         server", path.display()
    )]
    Backwards {
        /// The file.
        path: PathBuf,
        /// What it says.
        accepted: u32,
        /// What the other says.
        current: u32,
    },
}

/// The epochs that a server whose state is `last` has on disk, see [`Epochs::recovered`]. What is missing there is
/// written.
pub fn read_epochs(folder: &Path, last: Zxid) -> Result<Epochs, EpochError> {
    let (accepted, current) =
        (read_epoch(folder, EpochFile::Accepted)?, read_epoch(folder, EpochFile::Current)?);
    let epochs = Epochs::recovered(accepted, current, last).map_err(|Epochs { accepted, current }| {
        EpochError::Backwards { path: path_of(folder, EpochFile::Accepted), accepted, current }
    })?;
    for (file, before, now) in
        [(EpochFile::Accepted, accepted, epochs.accepted), (EpochFile::Current, current, epochs.current)]
    {
        if before != Some(now) {
            let failed = |source| EpochError::Io { path: path_of(folder, file), source };
            write_epoch(folder, file, now).map_err(failed)?;
        }
    }
    Ok(epochs)
}

fn read_epoch(folder: &Path, file: EpochFile) -> Result<Option<u32>, EpochError> {
    let path = path_of(folder, file);
    match fs::read_to_string(&path) {
        Ok(text) => match text.lines().next().unwrap_or_default().trim().parse() {
            Ok(epoch) => Ok(Some(epoch)),
            Err(_) => Err(EpochError::NotANumber { path, text: text.chars().take(40).collect() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EpochError::Io { path, source }),
    }
}

/// Through a temporary file: the old number or the new one is there, whatever happens.
fn write_epoch(folder: &Path, file: EpochFile, epoch: u32) -> io::Result<()> {
    let path = path_of(folder, file);
    let unfinished = path.with_extension("tmp");
    let mut written = File::create(&unfinished)?;
    written.write_all(epoch.to_string().as_bytes())?;
    written.sync_all()?;
    fs::rename(&unfinished, &path)?;
    File::open(folder)?.sync_all()
}

fn path_of(folder: &Path, file: EpochFile) -> PathBuf {
    folder.join(match file {
        EpochFile::Accepted => "acceptedEpoch",
        EpochFile::Current => "currentEpoch",
    })
}

/// How many bytes of transactions may be sent instead of a tree: as many as the factor says of the newest
/// snapshot. The transactions count, not the files that they are in, which are given room ahead.
fn excerpt_len_max(snapshots: &Path, factor: SnapshotSizeFactor) -> usize {
    let newest = snapshot::names(snapshots).ok().and_then(|mut names| names.pop());
    let snapshot_len = newest.and_then(|(_, path)| path.metadata().ok()).map_or(0, |meta| meta.len());
    factor.of(snapshot_len).map_or(0, |len| len.min(EXCERPT_LEN_MAX) as usize)
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(work) {
        fatal(Reason::Panic, format_args!("no thread can be started for the disk: {error}"));
    }
}

/// What is read is in memory while it is sent; more than that is sent as a tree.
const EXCERPT_LEN_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32) -> Zxid {
        Zxid::new(epoch, 1)
    }

    #[test]
    fn missing_epochs_come_from_the_state_and_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let expected = Epochs { accepted: 3, current: 3 };
        assert_eq!(read_epochs(folder.path(), at(3)).expect("readable"), expected);
        assert_eq!(fs::read_to_string(folder.path().join("acceptedEpoch")).expect("a file"), "3");
        assert_eq!(read_epochs(folder.path(), at(2)).expect("readable"), expected);
    }

    #[test]
    fn what_was_logged_in_an_epoch_has_entered_it() {
        let folder = tempfile::tempdir().expect("a folder");
        write_epoch(folder.path(), EpochFile::Accepted, 5).expect("room");
        write_epoch(folder.path(), EpochFile::Current, 4).expect("room");
        assert_eq!(read_epochs(folder.path(), at(5)).expect("readable"), Epochs { accepted: 5, current: 5 });
    }

    #[test]
    fn a_promise_behind_what_was_followed_is_refused_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        write_epoch(folder.path(), EpochFile::Accepted, 3).expect("room");
        write_epoch(folder.path(), EpochFile::Current, 4).expect("room");
        let refused = read_epochs(folder.path(), at(4)).expect_err("3 and 4").to_string();
        assert!(refused.starts_with("The accepted epoch, 3, is less than the current epoch, 4"), "{refused}");
        fs::write(folder.path().join("currentEpoch"), "four").expect("room");
        let refused = read_epochs(folder.path(), at(4)).expect_err("no number").to_string();
        assert!(refused.contains("currentEpoch has no epoch in it"), "{refused}");
    }
}
