//! What of the history is read back from the logs for learners.

use ringkeeper::storage::history;
use ringkeeper_core::zab::HistoryBounds;

use super::*;

fn recent(folder: &Folder, last: i64, count_max: usize) -> (i64, Vec<i64>) {
    let bounds = HistoryBounds { count_max, len_max: 1 << 20 };
    let history = history::recent(folder.folders(), Zxid(last), bounds).expect("sound logs");
    assert_eq!(history.last(), Zxid(last));
    (history.after().0, history.since(Zxid(0)).map(|logged| logged.zxid.0).collect())
}

fn excerpt(folder: &Folder, from: i64, upto: i64) -> Option<(i64, Vec<i64>)> {
    let excerpt = history::excerpt(folder.folders(), Zxid(from), Zxid(upto), 1 << 20).expect("sound logs")?;
    Some((excerpt.after.0, excerpt.entries.iter().map(|logged| logged.zxid.0).collect()))
}

#[test]
fn a_server_remembers_after_a_start_what_both_logs_have() {
    let folder = Folder::in_stretches();
    folder.save(100);
    assert_eq!(recent(&folder, 100, 5), (95, (96..=100).collect()));
    assert_eq!(recent(&folder, 100, 500), (1, (2..=100).collect()), "what the first follows is not known");
    assert_eq!(excerpt(&folder, 30, 85), Some((30, (31..=85).collect())));
    assert_eq!(excerpt(&folder, 80, 100), Some((80, (81..=100).collect())));
}

#[test]
fn what_came_as_a_tree_ends_what_is_known() {
    let folder = Folder::new();
    folder.write(10);
    folder.save(20);
    folder.write(30);
    assert_eq!(recent(&folder, 30, 500), (20, (21..=30).collect()));
    assert_eq!(excerpt(&folder, 9, 30), None);
    assert_eq!(excerpt(&folder, 20, 30), Some((20, (21..=30).collect())));
    folder.save(50);
    assert_eq!(recent(&folder, 50, 500), (50, vec![]));
}

#[test]
fn what_was_handed_over_is_remembered_too() {
    let folder = Folder::new();
    folder.write(10);
    folder.save(10);
    folder.write(20);
    ringkeeper::storage::hand_over::hand_over(&ringkeeper::storage::disk::Os, folder.folders(), |_| Ok(()))
        .expect("a sound folder");
    assert_eq!(recent(&folder, 20, 500), (0, (1..=20).collect()));
    folder.write(25);
    assert_eq!(excerpt(&folder, 5, 25), Some((5, (6..=25).collect())));
}
