//! Which snapshots and logs may go: decided from a list of files, without touching any.

use std::fmt;

use crate::format::snapshot::SnapshotName;
use crate::id::Zxid;

/// The files that there are, each with whatever the caller finds it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files<F> {
    /// Snapshots, in any order.
    pub snapshots: Vec<(SnapshotName, F)>,
    /// The files of Java's log that Java wrote, each with the zxid in its name, in any order.
    pub java_logs: Vec<(Zxid, F)>,
    /// The files of Java's log that are the end of ours, for a Java server that did not come, each with the zxid of
    /// its last entry.
    pub handed_over: Vec<(Zxid, F)>,
    /// The last entry that Java wrote to its log. A snapshot of that state or an earlier one counts as Java's.
    pub java_ends: Option<Zxid>,
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many whole snapshots stay: at least [`RETAIN_MIN`].
    pub retain: usize,
    /// Which snapshots and logs may be removed.
    pub scope: Scope,
}

/// Whose files may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nobody's: only our own log is recycled.
    Nothing,
    /// Snapshots that are ours.
    Ours,
    /// All snapshots and Java's log, as Java's own purge has it (storage-formats §8).
    All,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<F> {
    /// What goes, in this order.
    pub remove: Vec<(F, Why)>,
    /// Up to where our own log is not needed any more.
    pub release: Option<Zxid>,
}

/// Why a file may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There are as many whole snapshots as are kept, from this state on, and it is an older snapshot.
    OldSnapshot {
        /// The oldest that is kept.
        kept_from: Zxid,
    },
    /// It is part of our log, and two snapshots have all that is in it.
    Covered {
        /// The older of the two.
        released: Zxid,
    },
    /// Java's log goes on in a file that begins at this state or before it.
    OldLog {
        /// The oldest snapshot that is kept.
        kept_from: Zxid,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::OldSnapshot { kept_from } => write!(f, "enough snapshots are kept, from {kept_from} on"),
            Why::Covered { released } => write!(f, "two snapshots have it, of {released} and later"),
            Why::OldLog { kept_from } => write!(f, "the oldest snapshot that is kept is of {kept_from}"),
        }
    }
}

/// Decides what may go. `is_whole` is asked for snapshots from the newest on, only as far as it matters;
/// damaged ones count for nothing.
///
/// Whatever the files are, at least [`RETAIN_MIN`] whole snapshots stay if there ever were so many, and our
/// log stays from the second newest whole one on: so a start survives the loss of any one snapshot.
pub fn plan<F: Clone>(files: &Files<F>, rules: Rules, mut is_whole: impl FnMut(&F) -> bool) -> Plan<F> {
    let retain = rules.retain.max(RETAIN_MIN);
    let mut snapshots: Vec<_> = files.snapshots.iter().collect();
    snapshots.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
    let wanted = if rules.scope == Scope::Nothing { COVER } else { retain };
    let whole: Vec<Zxid> =
        snapshots.iter().filter(|(_, file)| is_whole(file)).map(|(name, _)| name.zxid).take(wanted).collect();

    let release = whole.get(COVER - 1).copied();
    let covered = files.handed_over.iter().filter(|(last, _)| release.is_some_and(|upto| *last <= upto));
    let mut remove: Vec<_> = covered
        .map(|(_, file)| (file.clone(), Why::Covered { released: release.unwrap_or_default() }))
        .collect();
    if rules.scope != Scope::Nothing
        && let Some(&kept_from) = whole.get(retain - 1)
    {
        let is_in_scope =
            |zxid| rules.scope == Scope::All || files.java_ends.is_none_or(|javas| zxid > javas);
        let old = |name: &SnapshotName| name.zxid < kept_from && is_in_scope(name.zxid);
        let old_snapshots = snapshots.iter().rev().filter(|(name, _)| old(name));
        remove.extend(old_snapshots.map(|(_, file)| (file.clone(), Why::OldSnapshot { kept_from })));
        if rules.scope == Scope::All {
            remove.extend(old_java_logs(files, kept_from));
        }
    }
    Plan { remove, release }
}

/// The newest file that begins at or before the snapshot may hold what comes after it, and stays.
fn old_java_logs<F: Clone>(files: &Files<F>, kept_from: Zxid) -> Vec<(F, Why)> {
    let mut logs: Vec<_> = files.java_logs.iter().collect();
    logs.sort_by_key(|(first, _)| *first);
    let needed = logs.iter().rposition(|(first, _)| *first <= kept_from).unwrap_or(0);
    logs[..needed].iter().map(|(_, file)| (file.clone(), Why::OldLog { kept_from })).collect()
}

/// How many snapshots stay, whatever is asked for.
pub const RETAIN_MIN: usize = 3;
/// How many snapshots must have a state before the log up to there goes.
const COVER: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::snapshot::Compression;

    /// A file stands for itself: what it is, and whether it is whole.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum File {
        Snapshot { zxid: i64, is_whole: bool },
        JavaLog(i64),
    }

    fn files(snapshots: &[(i64, bool)], java_logs: &[i64], java_ends: Option<i64>) -> Files<File> {
        let snapshot = |&(zxid, is_whole): &(i64, bool)| {
            let name = SnapshotName { zxid: Zxid(zxid), compression: Compression::None };
            (name, File::Snapshot { zxid, is_whole })
        };
        Files {
            snapshots: snapshots.iter().map(snapshot).collect(),
            java_logs: java_logs.iter().map(|&first| (Zxid(first), File::JavaLog(first))).collect(),
            java_ends: java_ends.map(Zxid),
            handed_over: Vec::new(),
        }
    }

    fn is_whole(file: &File) -> bool {
        matches!(file, File::Snapshot { is_whole: true, .. })
    }

    fn removed(files: &Files<File>, retain: usize, scope: Scope) -> Vec<File> {
        plan(files, Rules { retain, scope }, is_whole).remove.into_iter().map(|(file, _)| file).collect()
    }

    fn whole(zxid: i64) -> File {
        File::Snapshot { zxid, is_whole: true }
    }

    #[test]
    fn the_newest_whole_snapshots_stay_and_the_log_from_the_second_of_them_on() {
        let five = [(50, true), (10, true), (40, true), (20, false), (30, true)];
        let found = files(&five, &[], None);
        let expected = vec![whole(10), File::Snapshot { zxid: 20, is_whole: false }];
        assert_eq!(removed(&found, 3, Scope::Ours), expected);
        assert_eq!(removed(&found, 4, Scope::Ours), []);
        assert_eq!(removed(&found, 0, Scope::Ours), expected, "fewer than three is three");
        let plan = plan(&found, Rules { retain: 3, scope: Scope::Nothing }, is_whole);
        assert_eq!(plan, Plan { remove: vec![], release: Some(Zxid(40)) });
    }

    #[test]
    fn a_damaged_snapshot_is_not_counted() {
        let found = files(&[(50, false), (40, true), (30, true), (20, true), (10, true)], &[], None);
        let plan = plan(&found, Rules { retain: 3, scope: Scope::Ours }, is_whole);
        assert_eq!(plan.release, Some(Zxid(30)));
        assert_eq!(plan.remove, [(whole(10), Why::OldSnapshot { kept_from: Zxid(20) })]);
    }

    #[test]
    fn javas_files_stay_unless_they_are_asked_for() {
        let found = files(
            &[(5, true), (15, true), (25, true), (35, true), (45, true), (55, true)],
            &[1, 11, 16, 21],
            Some(25),
        );
        assert_eq!(removed(&found, 3, Scope::Ours), [], "25 is Java's last state");
        assert_eq!(removed(&found, 2 + 1, Scope::Nothing), []);
        let expected = [whole(5), whole(15), whole(25)].into_iter().chain([1, 11, 16].map(File::JavaLog));
        assert_eq!(removed(&found, 3, Scope::All), expected.collect::<Vec<_>>());
        let found = files(&[(5, true), (15, true), (25, true), (35, true)], &[1, 11, 16], Some(25));
        assert_eq!(removed(&found, 3, Scope::All), [whole(5), File::JavaLog(1)], "11 may hold 16");
    }

    #[test]
    fn what_was_handed_over_goes_when_two_whole_snapshots_have_it() {
        let mut found = files(&[(50, true), (40, true), (30, false)], &[], None);
        found.handed_over = [40, 41].map(|last| (Zxid(last), File::JavaLog(last))).to_vec();
        for scope in [Scope::Nothing, Scope::Ours, Scope::All] {
            assert_eq!(removed(&found, 3, scope), [File::JavaLog(40)], "{scope:?}");
        }
        found.snapshots.pop();
        found.snapshots.pop();
        assert_eq!(removed(&found, 3, Scope::All), []);
    }

    #[test]
    fn without_two_whole_snapshots_the_log_stays() {
        let found = files(&[(50, true), (40, false), (30, false)], &[], None);
        let plan = plan(&found, Rules { retain: 3, scope: Scope::All }, is_whole);
        assert_eq!(plan, Plan { remove: vec![], release: None });
    }

    fn any_files() -> impl Strategy<Value = Files<File>> {
        let snapshots = prop::collection::btree_map(0i64..60, any::<bool>(), 0..12);
        let logs = prop::collection::btree_set(0i64..60, 0..8);
        (snapshots, logs, prop::option::of(0i64..60)).prop_map(|(snapshots, logs, ends)| {
            let snapshots: Vec<_> = snapshots.into_iter().collect();
            files(&snapshots, &logs.into_iter().collect::<Vec<_>>(), ends)
        })
    }

    fn any_rules() -> impl Strategy<Value = Rules> {
        let scope = prop::sample::select(vec![Scope::Nothing, Scope::Ours, Scope::All]);
        (0usize..6, scope).prop_map(|(retain, scope)| Rules { retain, scope })
    }

    proptest! {
        #[test]
        fn whatever_the_files_enough_whole_snapshots_and_all_of_the_log_after_two_of_them_stay(
            found in any_files(),
            rules in any_rules(),
        ) {
            let plan = plan(&found, rules, is_whole);
            let goes = |file: &File| plan.remove.iter().any(|(removed, _)| removed == file);
            let all_whole: Vec<_> = found.snapshots.iter().filter(|(_, file)| is_whole(file)).collect();
            let mut stay: Vec<i64> =
                all_whole.iter().filter(|(_, file)| !goes(file)).map(|(name, _)| name.zxid.0).collect();
            stay.sort_unstable();

            prop_assert!(stay.len() >= all_whole.len().min(rules.retain.max(3)));
            let newest = all_whole.iter().map(|(name, _)| name.zxid.0).max();
            prop_assert_eq!(stay.last().copied(), newest);
            let second = stay.len().checked_sub(2).map(|at| Zxid(stay[at]));
            prop_assert_eq!(plan.release, second, "two states stay from which the log can be replayed");

            // Each state that stays can be continued by Java's log as far as it could before.
            let firsts: Vec<i64> = found.java_logs.iter().map(|(first, _)| first.0).collect();
            let before = |firsts: &[i64], zxid| firsts.iter().copied().filter(|first| *first <= zxid).max();
            let left: Vec<i64> =
                firsts.iter().copied().filter(|first| !goes(&File::JavaLog(*first))).collect();
            for zxid in stay.iter().rev().take(rules.retain.max(3)) {
                prop_assert_eq!(before(&left, *zxid), before(&firsts, *zxid));
                prop_assert!(firsts.iter().filter(|first| **first > *zxid).all(|first| left.contains(first)));
            }
        }

        #[test]
        fn nothing_goes_that_the_rules_do_not_name(found in any_files(), rules in any_rules()) {
            for (file, _) in plan(&found, rules, is_whole).remove {
                match (rules.scope, file) {
                    (Scope::Nothing, file) => prop_assert!(false, "{:?}", file),
                    (Scope::Ours, File::JavaLog(first)) => prop_assert!(false, "log.{}", first),
                    (Scope::Ours, File::Snapshot { zxid, .. }) => {
                        prop_assert!(found.java_ends.is_none_or(|ends| zxid > ends.0));
                    }
                    (Scope::All, _) => {}
                }
            }
        }
    }
}
