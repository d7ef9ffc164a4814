use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn fired(watches: &mut WatchManager, event: EventType, path: &str) -> Vec<u32> {
    let mut hits = Vec::new();
    watches.fire(event, path, &mut hits);
    let mut numbers: Vec<u32> = hits.into_iter().map(|watcher| watcher.0).collect();
    numbers.sort();
    numbers
}

#[test]
fn a_standard_watch_fires_once() {
    let mut watches = WatchManager::new(1);
    watches.add("/a", Watcher(3), Modes::DATA);
    assert_eq!(fired(&mut watches, EventType::NodeChildrenChanged, "/a"), []);
    assert_eq!(fired(&mut watches, EventType::NodeDataChanged, "/a"), [3]);
    assert_eq!(fired(&mut watches, EventType::NodeDataChanged, "/a"), []);
    assert!(watches.is_empty());
}

#[test]
fn a_deletion_reaches_a_watcher_of_both_tables_once_and_consumes_both() {
    let mut watches = WatchManager::new(1);
    watches.add("/a", Watcher(0), Modes::DATA | Modes::CHILD);
    assert_eq!(watches.watch_count(), 2);
    assert_eq!(fired(&mut watches, EventType::NodeDeleted, "/a"), [0]);
    assert_eq!(watches.watch_count(), 0);
}

#[test]
fn a_recursive_watch_hears_of_descendants_but_not_of_changed_children() {
    let mut watches = WatchManager::new(1);
    watches.add("/", Watcher(0), Modes::RECURSIVE);
    watches.add("/a", Watcher(1), Modes::RECURSIVE);
    assert_eq!(fired(&mut watches, EventType::NodeCreated, "/a/b/c"), [0, 1]);
    assert_eq!(fired(&mut watches, EventType::NodeCreated, "/ab"), [0]);
    assert_eq!(fired(&mut watches, EventType::NodeChildrenChanged, "/a"), []);
}

#[test]
fn modes_of_one_watcher_are_independent_and_make_one_event() {
    let mut watches = WatchManager::new(1);
    watches.add("/a", Watcher(0), Modes::RECURSIVE | Modes::PERSISTENT | Modes::DATA);
    assert_eq!(fired(&mut watches, EventType::NodeDataChanged, "/a"), [0]);
    assert!(!watches.contains("/a", Watcher(0), Modes::DATA), "the standard watch is consumed");
    assert!(watches.remove("/a", Watcher(0), Modes::RECURSIVE));
    assert!(!watches.remove("/a", Watcher(0), Modes::RECURSIVE));
    assert_eq!(fired(&mut watches, EventType::NodeChildrenChanged, "/a"), [0]);
}

#[test]
fn what_a_watcher_s_watches_take_goes_with_them() {
    let mut watches = WatchManager::new(1);
    watches.add("/a", Watcher(0), Modes::DATA | Modes::CHILD);
    let one = watches.len_of(Watcher(0));
    assert!(one > "/a".len());
    watches.add("/a", Watcher(0), Modes::PERSISTENT);
    watches.add("/b", Watcher(0), Modes::DATA);
    watches.add("/c", Watcher(0), Modes::CHILD);
    assert_eq!((watches.len_of(Watcher(0)), watches.len_of(Watcher(1))), (3 * one, 0));
    fired(&mut watches, EventType::NodeDeleted, "/b");
    assert_eq!(watches.len_of(Watcher(0)), 2 * one);
    assert!(watches.remove("/c", Watcher(0), Modes::CHILD));
    assert_eq!(watches.len_of(Watcher(0)), one);
    assert!(watches.forget(Watcher(0), usize::MAX));
    assert_eq!(watches.len_of(Watcher(0)), 0);
}

#[test]
fn a_watcher_that_is_forgotten_leaves_nothing_behind() {
    let mut watches = WatchManager::new(1);
    for n in 0..100 {
        watches.add(&format!("/{n}"), Watcher(0), Modes::ALL);
        watches.add("/shared", Watcher(n), Modes::CHILD);
    }
    assert!(watches.forget(Watcher(0), usize::MAX));
    assert_eq!(watches.watch_count(), 99);
    assert_eq!(watches.summary(), WatchSummary::default());
    assert!((1..100).all(|n| watches.forget(Watcher(n), usize::MAX)));
    assert!(watches.is_empty());
}

/// The rules of server-semantics §8 word by word: two tables, each a map to a set of modes.
#[derive(Default)]
struct Model {
    data: Table,
    child: Table,
}

type Table = BTreeMap<(String, u32), BTreeSet<Mode>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Standard,
    Persistent,
    Recursive,
}

impl Model {
    fn places(&mut self, modes: Modes) -> Vec<(&mut Table, Mode)> {
        let has = |mode: Modes| !(modes & mode).is_empty();
        let Model { data, child } = self;
        match () {
            () if has(Modes::DATA) => vec![(data, Mode::Standard)],
            () if has(Modes::CHILD) => vec![(child, Mode::Standard)],
            () if has(Modes::RECURSIVE) => vec![(data, Mode::Recursive)],
            () => vec![(data, Mode::Persistent), (child, Mode::Persistent)],
        }
    }

    fn add(&mut self, path: &str, watcher: u32, modes: Modes) {
        for (table, mode) in self.places(modes) {
            table.entry((path.to_owned(), watcher)).or_default().insert(mode);
        }
    }

    fn remove(&mut self, path: &str, watcher: u32, modes: Modes) -> bool {
        let key = (path.to_owned(), watcher);
        let mut removed = false;
        for (table, mode) in self.places(modes) {
            removed |= table.get_mut(&key).is_some_and(|modes| modes.remove(&mode));
            table.retain(|_, modes| !modes.is_empty());
        }
        removed
    }

    fn forget(&mut self, watcher: u32) {
        self.data.retain(|key, _| key.1 != watcher);
        self.child.retain(|key, _| key.1 != watcher);
    }

    fn trigger(table: &mut Table, path: &str, event: EventType) -> BTreeSet<u32> {
        let mut told = BTreeSet::new();
        for ((watched, watcher), modes) in table.iter_mut() {
            let is_below = watched == "/" && path != "/" || path.starts_with(&format!("{watched}/"));
            if watched == path {
                told.insert(*watcher);
                modes.remove(&Mode::Standard);
            } else if is_below && modes.contains(&Mode::Recursive) && event != EventType::NodeChildrenChanged
            {
                told.insert(*watcher);
            }
        }
        table.retain(|_, modes| !modes.is_empty());
        told
    }

    fn fire(&mut self, event: EventType, path: &str) -> Vec<u32> {
        let mut told = BTreeSet::new();
        if event != EventType::NodeChildrenChanged {
            told.extend(Model::trigger(&mut self.data, path, event));
        }
        if matches!(event, EventType::NodeDeleted | EventType::NodeChildrenChanged) {
            told.extend(Model::trigger(&mut self.child, path, event));
        }
        told.into_iter().collect()
    }
}

#[derive(Clone, Debug)]
enum Act {
    Add(&'static str, u32, Modes),
    Remove(&'static str, u32, Modes),
    Forget(u32),
    Fire(EventType, &'static str),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let path = || prop::sample::select(vec!["/", "/a", "/ab", "/a/b", "/a/b/c", "/a/b/d"]);
    let mode = || prop::sample::select(vec![Modes::DATA, Modes::CHILD, Modes::PERSISTENT, Modes::RECURSIVE]);
    let event = prop::sample::select(vec![
        EventType::NodeCreated,
        EventType::NodeDeleted,
        EventType::NodeDataChanged,
        EventType::NodeChildrenChanged,
    ]);
    let act = prop_oneof![
        6 => (path(), 0..12u32, mode()).prop_map(|(path, watcher, modes)| Act::Add(path, watcher, modes)),
        1 => (path(), 0..12u32, mode()).prop_map(|(path, watcher, modes)| Act::Remove(path, watcher, modes)),
        1 => (0..12u32).prop_map(Act::Forget),
        3 => (event, path()).prop_map(|(event, path)| Act::Fire(event, path)),
    ];
    prop::collection::vec(act, 0..200)
}

proptest! {
    #[test]
    fn everybody_is_told_what_the_two_tables_say(acts in acts()) {
        let mut watches = WatchManager::new(1);
        let mut model = Model::default();
        for act in acts {
            match act {
                Act::Add(path, watcher, modes) => {
                    watches.add(path, Watcher(watcher), modes);
                    model.add(path, watcher, modes);
                }
                Act::Remove(path, watcher, modes) => prop_assert_eq!(
                    watches.remove(path, Watcher(watcher), modes),
                    model.remove(path, watcher, modes)
                ),
                Act::Forget(watcher) => {
                    while !watches.forget(Watcher(watcher), 2) {}
                    model.forget(watcher);
                }
                Act::Fire(event, path) => {
                    prop_assert_eq!(fired(&mut watches, event, path), model.fire(event, path));
                }
            }
            prop_assert_eq!(watches.watch_count(), model.data.len() + model.child.len());
            let data_paths: BTreeSet<_> = model.data.keys().map(|key| key.0.as_str()).collect();
            let data_watchers: BTreeSet<_> = model.data.keys().map(|key| key.1).collect();
            let (connections, paths) = (data_watchers.len(), data_paths.len());
            let expected = WatchSummary { connections, paths, watches: model.data.len() };
            prop_assert_eq!(watches.summary(), expected);
            for watcher in 0..12 {
                let listed: BTreeSet<_> = watches.data_paths(Watcher(watcher)).collect();
                let of_model = model.data.keys().filter(|key| key.1 == watcher).map(|key| key.0.as_str());
                prop_assert_eq!(listed, of_model.collect::<BTreeSet<_>>());
            }
        }
    }
}
