//! The last transactions of the history, read from both logs of a folder: for learners that are a little behind.
//!
//! Ours says of each record which state it continues. Java's does not. Within an epoch the entry before it has
//! the zxid before it; but where an epoch begins, there may be something between that is in no log, if this server
//! got it as a whole tree then. A Java server that does writes a snapshot of it. So two entries of different epochs
//! follow one another if no snapshot lies between them, and there is an older one: snapshots go oldest first.

use ringkeeper_core::id::Zxid;
use ringkeeper_core::zab::{History, HistoryBounds, LogExcerpt, LogWalk};

use super::java_log::{self, Entry, JavaLog, JavaLogError};
use super::recovery::{Folders, RecoverError};
use super::{snapshot, wal};

/// The history that ends with the state `last`, as far back as the bounds allow and the logs tell without looking
/// into more than two of Java's files.
pub fn recent(folders: Folders<'_>, last: Zxid, bounds: HistoryBounds) -> Result<History, RecoverError> {
    let mut ours = LogWalk::new(Zxid(i64::MIN), last, bounds);
    wal::read(folders.logs, |record| {
        ours.push(Some(record.after), record.zxid, record.payload);
        Ok(())
    })?;
    let files = java_log::files(folders.logs).unwrap_or_default();
    let Some((oldest, _)) = files.iter().rev().take(JAVA_FILES_MAX).next_back() else {
        return Ok(ours.into_history(last));
    };
    if ours.is_full() && ours.last() == Some(last) {
        return Ok(ours.into_history(last));
    }
    let mut walk = LogWalk::new(Zxid(i64::MIN), last, bounds);
    read(folders, Zxid(oldest.0.saturating_sub(1)), &mut walk)?;
    Ok(walk.into_history(last))
}

/// What follows the state `from`, up to `upto` at most; `None` if the logs do not have all of it, or it is more
/// than `len_max` bytes.
pub fn excerpt(
    folders: Folders<'_>,
    from: Zxid,
    upto: Zxid,
    len_max: usize,
) -> Result<Option<LogExcerpt>, RecoverError> {
    let mut walk = LogWalk::new(from, upto, HistoryBounds { count_max: usize::MAX, len_max });
    read(folders, Zxid(from.0.saturating_sub(1)), &mut walk)?;
    Ok(walk.into_excerpt())
}

/// Walks through both logs, Java's from an entry after `javas_after` on.
fn read(folders: Folders<'_>, javas_after: Zxid, walk: &mut LogWalk) -> Result<(), RecoverError> {
    let mut java = JavaLog::open(folders.logs, javas_after)?;
    let snapshots: Vec<Zxid> =
        snapshot::names(folders.snapshots).unwrap_or_default().iter().map(|(name, _)| name.zxid).collect();
    wal::read(folders.logs, |record| {
        walk_java(&mut java, record.after, &snapshots, walk)?;
        walk.push(Some(record.after), record.zxid, record.payload);
        // It may be in both.
        while java.next_upto(record.zxid)?.is_some() {}
        Ok(())
    })?;
    Ok(walk_java(&mut java, Zxid(i64::MAX), &snapshots, walk)?)
}

fn walk_java(
    java: &mut JavaLog,
    upto: Zxid,
    snapshots: &[Zxid],
    walk: &mut LogWalk,
) -> Result<(), JavaLogError> {
    while let Some(Entry { zxid, payload, .. }) = java.next_upto(upto)? {
        walk.push(followed_by(zxid, walk.last(), snapshots), zxid, payload);
    }
    Ok(())
}

/// The state that an entry of Java's follows, if that can be told, where `before` is the last entry before it.
fn followed_by(zxid: Zxid, before: Option<Zxid>, snapshots: &[Zxid]) -> Option<Zxid> {
    if zxid.counter() > 1 {
        return Some(Zxid(zxid.0 - 1));
    }
    before.filter(|before| {
        // One that opens an epoch is that of the entry before it.
        let lies_between = |state: &Zxid| state > before && *state < zxid && state.counter() != 0;
        snapshots.iter().any(|state| state <= before) && !snapshots.iter().any(lies_between)
    })
}

const JAVA_FILES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_may_have_got_as_a_tree_is_not_taken_for_part_of_its_log() {
        let at = Zxid::new;
        let (first, before) = (at(2, 1), Some(at(1, 30)));
        assert_eq!(followed_by(at(2, 7), None, &[]), Some(at(2, 6)));
        assert_eq!(followed_by(first, before, &[at(1, 10)]), before);
        assert_eq!(followed_by(first, before, &[at(1, 30), at(2, 0)]), before);
        assert_eq!(followed_by(first, before, &[at(1, 10), at(1, 50)]), None, "a tree came");
        assert_eq!(followed_by(first, before, &[at(2, 5)]), None, "older snapshots may have gone");
        assert_eq!(followed_by(first, None, &[at(1, 10)]), None);
    }
}
