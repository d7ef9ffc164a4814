//! Whether `dataDir` and `dataLogDir` belong together.
//!
//! Each of the two may lie on a disk of its own, and a disk that was not mounted leaves an empty folder: a
//! server that started on it would serve the past, and give zxids out twice. So the two get a common number
//! when they are first used together, each in a file of its own, and must still have it later.
//!
//! # What a crash leaves
//!
//! A file's bytes are durable when it is synced, and its name when its folder is. The second file is begun
//! when the first is durable, so a crash at the first start leaves:
//!
//! | crash                   | what is found                        | what is done                               |
//! |-------------------------|--------------------------------------|--------------------------------------------|
//! | during the first write  | no file, or one with no whole number in it; none in the other folder | both are written, as at a first start |
//! | between the two         | a number in the first, no file in the second | the second gets the first's number |
//! | during the second write | a number in the first; a file with no whole number in the second | the same |
//!
//! Of a folder that holds something and one that does not, the empty one is written first. So an empty folder
//! without a number beside one that has both was not left by a first start, but is what is to be found out.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};
use thiserror::Error;

/// Why the two folders cannot be used together.
#[derive(Debug, Error)]
pub enum PairError {
    /// One of them has never been used, and holds nothing.
    #[error(
        "{} is empty, though {} was used together with another folder before: is a disk not mounted, or the \
         path wrong? If it is to be empty, delete {}", empty.display(), used.display(), mark.display()
    )]
    Empty {
        /// The folder without anything.
        empty: PathBuf,
        /// The other.
        used: PathBuf,
        /// The file that says so.
        mark: PathBuf,
    },
    /// Each was used together with another one.
    #[error(
        "{} and {} were not used together before: is another disk mounted, or a path wrong? If they are to be \
         used together from now on, delete {FILE} in both", log.display(), snap.display()
    )]
    Strangers {
        /// The log's folder.
        log: PathBuf,
        /// The snapshots' folder.
        snap: PathBuf,
    },
    /// A number cannot be read or written.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// One of the two folders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half<'a> {
    /// The folder.
    pub(super) path: &'a Path,
    /// Whether it holds nothing of what it is for.
    pub(super) is_empty: bool,
}

/// Sees that two different folders belong together, and has them do so from now on.
pub(super) fn check(log: Half<'_>, snap: Half<'_>) -> Result<(), PairError> {
    match (read(log.path)?, read(snap.path)?) {
        (Some(logs), Some(snaps)) if logs == snaps => Ok(()),
        (Some(_), Some(_)) => Err(PairError::Strangers { log: log.path.into(), snap: snap.path.into() }),
        (None, None) => {
            let mark =
                new_mark().map_err(|source| PairError::Unusable { path: log.path.join(FILE), source })?;
            let (first, second) = if snap.is_empty { (snap, log) } else { (log, snap) };
            write(first.path, &mark)?;
            write(second.path, &mark)
        }
        (None, Some(mark)) => join(log, snap, &mark),
        (Some(mark), None) => join(snap, log, &mark),
    }
}

/// A folder without a number is taken if it holds something, for then its files were moved there; or if the
/// other holds nothing either, for then the first start ended between the two.
fn join(new: Half<'_>, used: Half<'_>, mark: &str) -> Result<(), PairError> {
    if new.is_empty && !used.is_empty {
        let (empty, used) = (new.path.to_owned(), used.path.to_owned());
        return Err(PairError::Empty { empty, mark: used.join(FILE), used });
    }
    write(new.path, mark)
}

/// The folder's number, if it has a whole one.
fn read(folder: &Path) -> Result<Option<String>, PairError> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok().filter(|mark| is_whole(mark))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PairError::Unusable { path, source }),
    }
}

fn write(folder: &Path, mark: &str) -> Result<(), PairError> {
    let path = folder.join(FILE);
    let unusable = |source| PairError::Unusable { path: path.clone(), source };
    let mut file = File::create(&path).map_err(unusable)?;
    file.write_all(mark.as_bytes()).and_then(|()| file.sync_all()).map_err(unusable)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)
}

fn new_mark() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(format!("{:032x}\n", u128::from_ne_bytes(bytes)))
}

fn is_whole(mark: &str) -> bool {
    let digits = mark.strip_suffix('\n').unwrap_or_default();
    digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// In each of the two folders.
const FILE: &str = "ringkeeper.pair";
/// Hexadecimal digits of a number.
const DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folders() -> (TempDir, TempDir) {
        let folder = || tempfile::tempdir().expect("a folder");
        (folder(), folder())
    }

    fn half(folder: &TempDir, is_empty: bool) -> Half<'_> {
        Half { path: folder.path(), is_empty }
    }

    #[test]
    fn two_folders_belong_together_from_their_first_use_on() {
        let (log, snap) = folders();
        check(half(&log, true), half(&snap, true)).expect("nothing was there");
        check(half(&log, false), half(&snap, false)).expect("the same again");
        fs::remove_file(snap.path().join(FILE)).expect("a mark");
        check(half(&log, true), half(&snap, true)).expect("a first start that ended too early");
        assert!(snap.path().join(FILE).exists());
    }

    #[test]
    fn a_first_start_that_a_crash_ended_anywhere_is_gone_on_with() {
        for (log_is_empty, snap_is_empty) in [(true, true), (true, false), (false, true), (false, false)] {
            for ends_in_first in [true, false] {
                for torn in [None, Some(&b""[..]), Some(&[0; 33]), Some(b"0123456789abcdef")] {
                    let (log, snap) = folders();
                    let again = || check(half(&log, log_is_empty), half(&snap, snap_is_empty));
                    again().expect("nothing was there");
                    let (first, second) = if snap_is_empty { (&snap, &log) } else { (&log, &snap) };
                    fs::remove_file(second.path().join(FILE)).expect("a mark");
                    let ends_in = if ends_in_first { first } else { second };
                    match torn {
                        Some(torn) => fs::write(ends_in.path().join(FILE), torn).expect("room"),
                        None if ends_in_first => fs::remove_file(first.path().join(FILE)).expect("a mark"),
                        None => {}
                    }
                    again().expect("a first start that ended too early");
                    let mark = read(log.path()).expect("readable").expect("whole");
                    assert_eq!(read(snap.path()).expect("readable"), Some(mark));
                }
            }
        }
    }

    #[test]
    fn an_empty_folder_in_the_place_of_one_that_was_used_is_refused() {
        let (log, snap) = folders();
        check(half(&log, true), half(&snap, true)).expect("nothing was there");
        let (unmounted, moved) = folders();
        let refused = check(half(&unmounted, true), half(&snap, false)).expect_err("no log").to_string();
        let empty = unmounted.path().display().to_string();
        assert!(refused.starts_with(&format!("{empty} is empty, though ")), "{refused}");
        assert!(check(half(&log, false), half(&unmounted, true)).is_err(), "no snapshots");
        check(half(&log, false), half(&moved, false)).expect("snapshots that were moved");
    }

    #[test]
    fn folders_of_two_servers_are_refused_and_left_as_they_are() {
        let ((log, snap), (other_log, other_snap)) = (folders(), folders());
        check(half(&log, true), half(&snap, true)).expect("nothing was there");
        check(half(&other_log, true), half(&other_snap, true)).expect("nothing was there");
        let refused = check(half(&log, false), half(&other_snap, false)).expect_err("strangers").to_string();
        assert!(refused.contains("were not used together before"), "{refused}");
        check(half(&log, false), half(&snap, false)).expect("nothing has changed");
    }
}
