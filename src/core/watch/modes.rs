use std::ops::{BitAnd, BitOr, BitOrAssign};

use crate::proto::{AddWatchMode, EventType, WatcherType};

/// The ways in which one watcher watches one path. Each is independent of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Modes(u8);

impl Modes {
    /// None.
    pub const NONE: Modes = Modes(0);
    /// Standard, in the data table: left by exists and getData, gone once it has fired.
    pub const DATA: Modes = Modes(1);
    /// Standard, in the child table: left by getChildren, gone once it has fired.
    pub const CHILD: Modes = Modes(2);
    /// Persistent, in both tables.
    pub const PERSISTENT: Modes = Modes(4);
    /// Persistent and recursive, in the data table: hears of all descendants too.
    pub const RECURSIVE: Modes = Modes(8);
    /// All of them.
    pub const ALL: Modes = Modes(15);

    /// What an addWatch of this mode adds.
    pub fn added_by(mode: AddWatchMode) -> Modes {
        match mode {
            AddWatchMode::Persistent => Modes::PERSISTENT,
            AddWatchMode::PersistentRecursive => Modes::RECURSIVE,
        }
    }

    /// What checkWatches and removeWatches mean by this type, as from 3.9 (client-protocol §8).
    pub fn meant_by(kind: WatcherType) -> Modes {
        match kind {
            WatcherType::Children => Modes::CHILD,
            WatcherType::Data => Modes::DATA,
            WatcherType::Any => Modes::ALL,
            WatcherType::Persistent => Modes::PERSISTENT,
            WatcherType::PersistentRecursive => Modes::RECURSIVE,
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Modes::NONE
    }

    /// These without `others`.
    pub fn without(self, others: Modes) -> Modes {
        Modes(self.0 & !others.0)
    }

    /// The modes that hear of such an event at the path itself.
    pub(super) fn hearing(event: EventType) -> Modes {
        match event {
            EventType::NodeCreated | EventType::NodeDataChanged => DATA_TABLE,
            EventType::NodeDeleted => Modes::ALL,
            EventType::NodeChildrenChanged => CHILD_TABLE,
        }
    }

    /// Whether an entry of these modes is in the data table.
    pub(super) fn in_data_table(self) -> bool {
        !(self & DATA_TABLE).is_empty()
    }

    /// Whether an entry of these modes is in the child table.
    pub(super) fn in_child_table(self) -> bool {
        !(self & CHILD_TABLE).is_empty()
    }
}

impl BitAnd for Modes {
    type Output = Modes;

    fn bitand(self, other: Modes) -> Modes {
        Modes(self.0 & other.0)
    }
}

impl BitOr for Modes {
    type Output = Modes;

    fn bitor(self, other: Modes) -> Modes {
        Modes(self.0 | other.0)
    }
}

impl BitOrAssign for Modes {
    fn bitor_assign(&mut self, other: Modes) {
        self.0 |= other.0;
    }
}

pub(super) const STANDARD: Modes = Modes(Modes::DATA.0 | Modes::CHILD.0);
const DATA_TABLE: Modes = Modes(Modes::DATA.0 | Modes::PERSISTENT.0 | Modes::RECURSIVE.0);
const CHILD_TABLE: Modes = Modes(Modes::CHILD.0 | Modes::PERSISTENT.0);
