use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::index::PathIndex;
use super::modes::{Modes, STANDARD};
use crate::chunks::Chunks;
use crate::proto::EventType;
use crate::tree::parent_of;

/// A connection, by a small number that the owner of the [`WatchManager`] chooses and may use again
/// after [`WatchManager::forget`] has left nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watcher(pub u32);

/// What wchs shows: the data table's size (admin §1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections with a watch.
    pub connections: usize,
    /// Paths with a watch.
    pub paths: usize,
    /// Pairs of the two.
    pub watches: usize,
}

/// The watches of one shard's connections. See the module's documentation.
pub struct WatchManager {
    index: PathIndex,
    paths: Chunks<Option<Path>>,
    free: Vec<u32>,
    watchers: Vec<Watched>,
    /// The number of the current [`WatchManager::fire`]: a watcher that carries it was hit already.
    round: u64,
    totals: Totals,
}

impl WatchManager {
    /// Without watches; `seed` keeps clients from choosing paths that collide.
    pub fn new(seed: u64) -> WatchManager {
        WatchManager {
            index: PathIndex::new(seed),
            paths: Chunks::default(),
            free: Vec::new(),
            watchers: Vec::new(),
            round: 0,
            totals: Totals::default(),
        }
    }

    /// Adds to the modes in which `watcher` watches `path`. The path is taken as it stands, valid or not.
    pub fn add(&mut self, path: &str, watcher: Watcher, modes: Modes) {
        if modes.is_empty() {
            return;
        }
        let id = self.find(path).unwrap_or_else(|| self.insert(path));
        if self.watchers.len() <= watcher.0 as usize {
            self.watchers.resize_with(watcher.0 as usize + 1, Watched::default);
        }
        let Some(entry) = &mut self.paths[id] else { return };
        let watched = &mut self.watchers[watcher.0 as usize];
        let stored = entry.entries.or_none(watcher);
        let (before, after) = (*stored, *stored | modes);
        *stored = after;
        if before.is_empty() {
            watched.paths.insert(id);
            watched.len += entry.len();
        }
        self.totals.change(&mut entry.data_watches, &mut watched.data_watches, before, after);
    }

    /// Whether `watcher` watches `path` in one of `modes`.
    pub fn contains(&self, path: &str, watcher: Watcher, modes: Modes) -> bool {
        let stored = self.find(path).and_then(|id| self.paths[id].as_ref()?.entries.get(watcher));
        stored.is_some_and(|stored| !(stored & modes).is_empty())
    }

    /// Takes `modes` from those in which `watcher` watches `path`, and says whether there were any.
    pub fn remove(&mut self, path: &str, watcher: Watcher, modes: Modes) -> bool {
        if !self.contains(path, watcher, modes) {
            return false;
        }
        if let Some(id) = self.find(path) {
            self.reduce(id, watcher, modes);
        }
        true
    }

    /// Drops what `watcher` watches, but `most` paths at the most: whether nothing is left then. Until nothing
    /// is, the number is the watcher's own, and it may still be hit.
    pub fn forget(&mut self, watcher: Watcher, most: usize) -> bool {
        let Some(watched) = self.watchers.get_mut(watcher.0 as usize) else { return true };
        let paths: Vec<u32> = watched.paths.iter().take(most).copied().collect();
        for id in paths {
            self.reduce(id, watcher, Modes::ALL);
        }
        let watched = &mut self.watchers[watcher.0 as usize];
        if watched.paths.is_empty() {
            // The table of one that watched much is not kept for the next.
            watched.paths = HashSet::default();
        }
        watched.paths.is_empty()
    }

    /// Appends to `hits` who hears of this event at `path`, each once, and consumes the standard watches
    /// that it fires. NodeDeleted fires both tables; the parent's NodeChildrenChanged is another call.
    pub fn fire(&mut self, event: EventType, path: &str, hits: &mut Vec<Watcher>) {
        if self.is_empty() {
            return;
        }
        self.round += 1;
        if let Some(id) = self.find(path) {
            self.fire_at(id, Modes::hearing(event), hits);
        }
        if self.totals.recursive == 0 || event == EventType::NodeChildrenChanged {
            return;
        }
        let mut below = path;
        while let Some(ancestor) = parent_of(below) {
            if let Some(id) = self.find(ancestor) {
                self.fire_at(id, Modes::RECURSIVE, hits);
            }
            below = ancestor;
        }
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.watch_count() == 0
    }

    /// How many watches there are in both tables, as mntr counts them.
    pub fn watch_count(&self) -> usize {
        self.totals.data_watches + self.totals.child_watches
    }

    /// About how many bytes the watches of `watcher` take.
    pub fn len_of(&self, watcher: Watcher) -> usize {
        self.watchers.get(watcher.0 as usize).map_or(0, |watched| watched.len)
    }

    /// The data table's size.
    pub fn summary(&self) -> WatchSummary {
        WatchSummary {
            connections: self.totals.data_watchers,
            paths: self.totals.data_paths,
            watches: self.totals.data_watches,
        }
    }

    /// The paths that `watcher` has in the data table, in no particular order.
    pub fn data_paths(&self, watcher: Watcher) -> impl Iterator<Item = &str> {
        let ids = self.watchers.get(watcher.0 as usize).into_iter().flat_map(|watched| &watched.paths);
        ids.filter_map(move |id| {
            let path = self.paths[*id].as_ref()?;
            path.entries.get(watcher)?.in_data_table().then_some(&*path.text)
        })
    }

    fn fire_at(&mut self, id: u32, hearing: Modes, hits: &mut Vec<Watcher>) {
        let Some(path) = &mut self.paths[id] else { return };
        let len = path.len();
        let Path { data_watches, entries, .. } = path;
        entries.retain(|watcher, stored| {
            if (*stored & hearing).is_empty() {
                return true;
            }
            let watched = &mut self.watchers[watcher.0 as usize];
            if watched.round != self.round {
                watched.round = self.round;
                hits.push(watcher);
            }
            let before = *stored;
            *stored = before.without(STANDARD & hearing);
            self.totals.change(data_watches, &mut watched.data_watches, before, *stored);
            if stored.is_empty() {
                watched.paths.remove(&id);
                watched.len -= len;
            }
            !stored.is_empty()
        });
        self.drop_if_unwatched(id);
    }

    fn reduce(&mut self, id: u32, watcher: Watcher, modes: Modes) {
        let Some(path) = &mut self.paths[id] else { return };
        let stored = path.entries.or_none(watcher);
        let before = *stored;
        let after = before.without(modes);
        *stored = after;
        let watched = &mut self.watchers[watcher.0 as usize];
        self.totals.change(&mut path.data_watches, &mut watched.data_watches, before, after);
        if after.is_empty() {
            watched.paths.remove(&id);
            watched.len -= path.len();
            path.entries.remove(watcher);
            self.drop_if_unwatched(id);
        }
    }

    fn find(&self, path: &str) -> Option<u32> {
        self.index.find(path, |id| text(&self.paths, id))
    }

    fn insert(&mut self, path: &str) -> u32 {
        let new = Some(Path { text: path.into(), data_watches: 0, entries: Entries::default() });
        let id = match self.free.pop() {
            Some(id) => {
                self.paths[id] = new;
                id
            }
            None => self.paths.push(new),
        };
        self.index.insert(path, id, |id| text(&self.paths, id));
        id
    }

    fn drop_if_unwatched(&mut self, id: u32) {
        if let Some(path) = self.paths[id].take_if(|path| path.entries.is_empty()) {
            self.index.remove(&path.text, id);
            self.free.push(id);
        }
    }
}

/// A path that somebody watches.
struct Path {
    text: Box<str>,
    /// How many of the entries are in the data table.
    data_watches: u32,
    entries: Entries,
}

impl Path {
    /// About how many bytes the path and one of its watchers take.
    fn len(&self) -> usize {
        self.text.len() + WATCH_LEN
    }
}

fn text(paths: &Chunks<Option<Path>>, id: u32) -> &str {
    paths[id].as_ref().map_or("", |path| &path.text)
}

/// What the manager knows of one watcher.
#[derive(Default)]
struct Watched {
    paths: HashSet<u32, FixedState>,
    /// How many of the paths are in the data table.
    data_watches: u32,
    /// The sum of the paths' [`Path::len`].
    len: usize,
    round: u64,
}

/// Who watches a path, and how. Most paths have one watcher: then there is no table.
enum Entries {
    One(Watcher, Modes),
    Many(Box<HashMap<Watcher, Modes, FixedState>>),
}

impl Default for Entries {
    fn default() -> Self {
        Entries::One(Watcher(u32::MAX), Modes::NONE)
    }
}

impl Entries {
    fn get(&self, watcher: Watcher) -> Option<Modes> {
        match self {
            Entries::One(one, modes) => (*one == watcher).then_some(*modes),
            Entries::Many(many) => many.get(&watcher).copied(),
        }
    }

    /// The watcher's modes, `NONE` if it was not there: the caller changes that or removes it.
    fn or_none(&mut self, watcher: Watcher) -> &mut Modes {
        if let Entries::One(one, modes) = *self {
            if modes.is_empty() {
                *self = Entries::One(watcher, Modes::NONE);
            } else if one != watcher {
                *self = Entries::Many(Box::new(HashMap::from_iter([(one, modes)])));
            }
        }
        match self {
            Entries::One(_, modes) => modes,
            Entries::Many(many) => many.entry(watcher).or_insert(Modes::NONE),
        }
    }

    fn remove(&mut self, watcher: Watcher) {
        match self {
            Entries::One(one, modes) if *one == watcher => *modes = Modes::NONE,
            Entries::One(..) => {}
            Entries::Many(many) => {
                many.remove(&watcher);
                self.shrink();
            }
        }
    }

    fn retain(&mut self, mut keep: impl FnMut(Watcher, &mut Modes) -> bool) {
        match self {
            Entries::One(watcher, modes) => {
                if !modes.is_empty() && !keep(*watcher, modes) {
                    *modes = Modes::NONE;
                }
            }
            Entries::Many(many) => {
                many.retain(|watcher, modes| keep(*watcher, modes));
                self.shrink();
            }
        }
    }

    /// Gives memory back once nearly everybody has gone.
    fn shrink(&mut self) {
        let Entries::Many(many) = self else { return };
        match many.len() {
            0 => *self = Entries::default(),
            1 => {
                if let Some((watcher, modes)) = many.iter().next() {
                    *self = Entries::One(*watcher, *modes);
                }
            }
            len if many.capacity() > SHRINK_BELOW * len => many.shrink_to(2 * len),
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Entries::One(_, Modes::NONE))
    }
}

#[derive(Default)]
struct Totals {
    data_watches: usize,
    child_watches: usize,
    data_paths: usize,
    data_watchers: usize,
    recursive: usize,
}

impl Totals {
    /// Counts an entry's change: `of_path` and `of_watcher` are their numbers of entries in the data table.
    fn change(&mut self, of_path: &mut u32, of_watcher: &mut u32, before: Modes, after: Modes) {
        match (before.in_data_table(), after.in_data_table()) {
            (false, true) => {
                self.data_watches += 1;
                self.data_paths += (*of_path == 0) as usize;
                self.data_watchers += (*of_watcher == 0) as usize;
                *of_path += 1;
                *of_watcher += 1;
            }
            (true, false) => {
                *of_path -= 1;
                *of_watcher -= 1;
                self.data_watches -= 1;
                self.data_paths -= (*of_path == 0) as usize;
                self.data_watchers -= (*of_watcher == 0) as usize;
            }
            _ => {}
        }
        self.child_watches += after.in_child_table() as usize;
        self.child_watches -= before.in_child_table() as usize;
        self.recursive += !(after & Modes::RECURSIVE).is_empty() as usize;
        self.recursive -= !(before & Modes::RECURSIVE).is_empty() as usize;
    }
}

/// What a watch takes beside its path's text: its entries in the tables and their slack.
const WATCH_LEN: usize = 64;

/// A table with more than this many times the room it needs gives it back.
const SHRINK_BELOW: usize = 8;

const _: () = assert!(size_of::<Option<Path>>() == 40);

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
