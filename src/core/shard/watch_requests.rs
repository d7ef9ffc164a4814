//! Requests about watches (client-protocol §8).

use std::borrow::Cow;

use super::reads::{lookup, malformed};
use super::reply;
use crate::error::Code;
use crate::id::Zxid;
use crate::jute::{Reader, Writer};
use crate::proto::{AddWatchMode, EventType, SetWatches, WatcherEvent, WatcherType, path_and_mode};
use crate::tree::DataTree;
use crate::watch::{Modes, WatchManager, Watcher};

/// What a connection's requests about watches work on.
pub(super) struct WatchRequests<'a> {
    pub(super) watches: &'a mut WatchManager,
    pub(super) tree: &'a DataTree,
    pub(super) watcher: Watcher,
}

impl WatchRequests<'_> {
    /// Leaves a watch, as a read asks for.
    pub(super) fn leave(&mut self, path: &str, modes: Modes) {
        self.watches.add(path, self.watcher, modes);
    }

    pub(super) fn add_watch(&mut self, reader: &mut Reader<'_>, out: &mut Writer<'_>) -> Result<(), Code> {
        let (path, mode) = path_and_mode(reader).map_err(malformed)?;
        let mode = AddWatchMode::from_number(mode).ok_or(Code::MarshallingError)?;
        self.leave(&path, Modes::added_by(mode));
        out.int(0);
        Ok(())
    }

    pub(super) fn check_watches(&mut self, reader: &mut Reader<'_>) -> Result<(), Code> {
        let (path, kind) = watched_path(reader)?;
        match path.is_some_and(|path| self.watches.contains(&path, self.watcher, Modes::meant_by(kind))) {
            true => Ok(()),
            false => Err(Code::NoWatcher),
        }
    }

    pub(super) fn remove_watches(&mut self, reader: &mut Reader<'_>) -> Result<(), Code> {
        let (path, kind) = watched_path(reader)?;
        match path.is_some_and(|path| self.watches.remove(&path, self.watcher, Modes::meant_by(kind))) {
            true => Ok(()),
            false => Err(Code::NoWatcher),
        }
    }

    /// Sets a client's watches again, or tells it at once what it has missed; then replies. Returns the
    /// reply's length.
    pub(super) fn set_watches(
        &mut self,
        reader: &mut Reader<'_>,
        has_persistent: bool,
        xid: i32,
        zxid: Zxid,
        out: &mut Vec<u8>,
    ) -> usize {
        let wanted = SetWatches::decode(reader, has_persistent).ok();
        let code = match wanted.and_then(|wanted| self.catch_up(&wanted, out)) {
            Some(()) => Code::Ok,
            None => Code::MarshallingError,
        };
        reply::header(out, xid, zxid, code)
    }

    /// `None` as soon as a list is null: what came before it has been done, as in Java.
    fn catch_up(&mut self, wanted: &SetWatches<'_>, out: &mut Vec<u8>) -> Option<()> {
        let since = wanted.relative_zxid;
        for path in wanted.data.as_ref()? {
            let missed = match lookup(self.tree, path) {
                None => Some(EventType::NodeDeleted),
                Some(found) => (found.node.mzxid() > since).then_some(EventType::NodeDataChanged),
            };
            self.tell_or_leave(path, missed, Modes::DATA, out);
        }
        for path in wanted.exist.as_ref()? {
            let missed = lookup(self.tree, path).map(|_| EventType::NodeCreated);
            self.tell_or_leave(path, missed, Modes::DATA, out);
        }
        for path in wanted.child.as_ref()? {
            let missed = match lookup(self.tree, path) {
                None => Some(EventType::NodeDeleted),
                Some(found) => (found.pzxid() > since).then_some(EventType::NodeChildrenChanged),
            };
            self.tell_or_leave(path, missed, Modes::CHILD, out);
        }
        for path in wanted.persistent.as_ref()? {
            self.leave(path, Modes::PERSISTENT);
        }
        for path in wanted.persistent_recursive.as_ref()? {
            self.leave(path, Modes::RECURSIVE);
        }
        Some(())
    }

    fn tell_or_leave(&mut self, path: &str, missed: Option<EventType>, modes: Modes, out: &mut Vec<u8>) {
        match missed {
            Some(kind) => WatcherEvent { kind, path, zxid: CATCH_UP_ZXID }.encode_frame(out),
            None => self.leave(path, modes),
        }
    }
}

/// The record of checkWatches and removeWatches. A null path is legal there, and nothing watches it.
fn watched_path<'a>(reader: &mut Reader<'a>) -> Result<(Option<Cow<'a, str>>, WatcherType), Code> {
    let path = reader.ustring().map_err(malformed)?;
    let kind = reader.int().map_err(malformed)?;
    Ok((path, WatcherType::from_number(kind).ok_or(Code::MarshallingError)?))
}

const CATCH_UP_ZXID: Zxid = Zxid(-1);
