//! What must hold after a crash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;

use ringkeeper_kit::wire::{Body, Client, Request, Stat, Text};

use super::model::{Model, Op, SHARED};
use super::writer::{Writer, new_session};

/// What the writers' own nodes are found to be: data and Stat.
type Found = BTreeMap<String, (String, Stat)>;

/// The nodes that all writers create side by side, over all crashes.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Path and data of each that is known to be there.
    known: BTreeMap<String, String>,
}

/// Attaches the writer's session again and finds how far its writes got: all acknowledged ones, then as
/// many of the others as the server had made durable, in their order, each wholly or not at all.
///
/// `zxid_seen` is the greatest zxid that any client was told before the crash.
pub(crate) fn recover(
    writer: &mut Writer,
    server: SocketAddr,
    shared: &Shared,
    zxid_seen: i64,
) -> Result<(), String> {
    let attached = attach(writer, server)?;
    let now = writer.ask(&Request::sync("/")).map_err(|error| format!("{}: sync: {error}", writer.name))?;
    if now.zxid < zxid_seen {
        return Err(format!("the server is at zxid {:#x}, and had told {zxid_seen:#x}", now.zxid));
    }
    let found = find(writer).map_err(|error| format!("{}: reading its nodes: {error}", writer.name))?;
    let last_zxid = writer.model_zxid();
    let mut after = writer.model.clone();
    let mut mismatches = Vec::new();
    for done in 0..=writer.unanswered.len() {
        if done > 0 {
            after.apply(&writer.unanswered[done - 1], -(done as i64));
        }
        let closes = done > 0 && writer.unanswered[done - 1] == Op::CloseSession;
        let closed = closes || writer.session_over;
        let outcome = match compare(&after, &found, last_zxid) {
            Ok(()) if closed == attached => Err("the session is there, or not, against its nodes".into()),
            Ok(()) => shared.compare(writer, done),
            Err(mismatch) => Err(mismatch),
        };
        match outcome {
            Err(mismatch) => mismatches.push(format!("with {done} of these writes: {mismatch}")),
            Ok(()) => {
                after.adopt(&found);
                writer.resume(after);
                return Ok(());
            }
        }
    }
    Err(format!(
        "{}: its nodes are not those of its {} acknowledged writes and of any number of the writes in \
         flight, {:#?}:\n{}",
        writer.name,
        writer.acknowledged.len(),
        writer.unanswered,
        mismatches.join("\n")
    ))
}

impl Shared {
    /// Reads the parent: what was there is there, and the numbers are those from 0 on, each once. The data
    /// of a node is read the first time that it is seen.
    pub(crate) fn read(&mut self, client: &mut Client, writers: &[Writer]) -> Result<(), String> {
        let (names, stat) = children(client, SHARED).map_err(|error| format!("{SHARED}: {error}"))?;
        let paths: BTreeSet<String> = names.iter().map(|name| format!("{SHARED}/{name}")).collect();
        for path in &paths {
            if !self.known.contains_key(path) {
                let (data, _) = read(client, path).map_err(|error| format!("{path}: {error}"))?;
                self.known.insert(path.clone(), data);
            }
        }
        for (path, data) in writers.iter().flat_map(|writer| &writer.shared) {
            match self.known.get(path) {
                Some(found) if found == data => {}
                found => return Err(format!("{path} was acknowledged with {data}, found is {found:?}")),
            }
        }
        if let Some((path, data)) = self.known.iter().find(|(path, _)| !paths.contains(*path)) {
            return Err(format!("{path} of {data} was there and is gone"));
        }
        if !(0..names.len()).all(|number| paths.contains(&format!("{SHARED}/{number:010}"))) {
            return Err(format!("the numbers are not those from 0 on: {names:?}"));
        }
        if stat.cversion as usize != names.len() {
            return Err(format!("{} children, none ever deleted, and {stat:?}", names.len()));
        }
        let distinct: BTreeSet<&String> = self.known.values().collect();
        if distinct.len() != self.known.len() {
            return Err("one write has made two nodes".into());
        }
        Ok(())
    }

    /// Whether the first `done` of the writer's unanswered writes are in the parent, and no others.
    fn compare(&self, writer: &Writer, done: usize) -> Result<(), String> {
        for (at, op) in writer.unanswered.iter().enumerate() {
            if let Op::Shared { data: expected } = op
                && self.known.values().any(|data| data == expected) != (at < done)
            {
                return Err(format!("{expected} in {SHARED} does not go with it"));
            }
        }
        Ok(())
    }
}

/// True with the old session; false if the server says that it is over.
fn attach(writer: &mut Writer, server: SocketAddr) -> Result<bool, String> {
    match Client::connect_as(server, &writer.session) {
        Ok(client) => {
            writer.client = Some(client);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && writer.may_be_over() => {
            let fresh = Client::connect_as(server, &new_session())
                .map_err(|error| format!("a new session: {error}"))?;
            writer.client = Some(fresh);
            Ok(false)
        }
        Err(error) => Err(format!(
            "{}: its session, {} writes old in this round, cannot be attached again: {error}; in flight: {:#?}",
            writer.name, writer.session_age, writer.unanswered
        )),
    }
}

impl Writer {
    fn may_be_over(&self) -> bool {
        self.session_over || self.is_closing()
    }

    fn model_zxid(&self) -> i64 {
        self.acknowledged.last().copied().unwrap_or_default()
    }

    /// Goes on from these nodes.
    fn resume(&mut self, model: Model) {
        self.model = model;
        self.unanswered.clear();
        self.acknowledged.clear();
        self.shared.clear();
        if let Some(client) = self.client.take() {
            self.begin_session(client);
        }
    }
}

fn find(writer: &mut Writer) -> io::Result<Found> {
    let root = writer.root();
    let Some(client) = writer.client.as_mut() else { return Err(io::ErrorKind::NotConnected.into()) };
    let mut found = Found::new();
    let mut paths = vec![root];
    while let Some(path) = paths.pop() {
        let (names, _) = children(client, &path)?;
        paths.extend(names.iter().map(|name| format!("{path}/{name}")));
        found.insert(path.clone(), read(client, &path)?);
    }
    Ok(found)
}

fn compare(model: &Model, found: &Found, last_zxid: i64) -> Result<(), String> {
    let mut untold: HashMap<i64, i64> = HashMap::new();
    let expected: Vec<&String> = model.nodes.keys().collect();
    let actual: Vec<&String> = found.keys().collect();
    if expected != actual {
        return Err(format!("expected the nodes {expected:?}, found {actual:?}"));
    }
    for (path, (data, stat)) in found {
        let node = &model.nodes[path];
        let expected = model.stat(path);
        let mut zxid = |expected: i64, found: i64| {
            if expected >= 0 { expected } else { *untold.entry(expected).or_insert(found) }
        };
        let (ctime, mtime) = node.times.unwrap_or((stat.ctime, stat.mtime));
        let expected = Stat {
            czxid: zxid(expected.czxid, stat.czxid),
            mzxid: zxid(expected.mzxid, stat.mzxid),
            pzxid: zxid(expected.pzxid, stat.pzxid),
            ctime,
            mtime,
            ..expected
        };
        if (data, stat) != (&node.data, &expected) {
            return Err(format!("{path}: expected {:?} {expected:?}, found {data:?} {stat:?}", node.data));
        }
    }
    // -1 is the first of the unanswered writes.
    let mut told: Vec<(i64, i64)> = untold.into_iter().map(|(write, zxid)| (-write, zxid)).collect();
    told.sort_unstable();
    let ascending = told.is_sorted_by(|one, next| one.1 < next.1);
    if !ascending || told.first().is_some_and(|first| first.1 <= last_zxid) {
        return Err(format!("the writes (number, zxid) {told:?} do not go on from {last_zxid:#x}"));
    }
    Ok(())
}

impl Model {
    /// Takes the zxids and times of writes that were never answered from what was found.
    fn adopt(&mut self, found: &Found) {
        for (path, (_, stat)) in found {
            if let Some(node) = self.nodes.get_mut(path) {
                (node.czxid, node.mzxid, node.pzxid) = (stat.czxid, stat.mzxid, stat.pzxid);
                node.times = Some((stat.ctime, stat.mtime));
            }
        }
    }
}

fn children(client: &mut Client, path: &str) -> io::Result<(Vec<String>, Stat)> {
    let reply = client.call(&Request::GetChildren2 { path: path.into(), watch: false })?;
    match reply.body {
        Body::ChildrenStat(names, stat) => Ok((names.iter().map(Text::lossy).collect(), stat)),
        _ => Err(io::Error::other(format!("getChildren of {path}: error {}", reply.err))),
    }
}

fn read(client: &mut Client, path: &str) -> io::Result<(String, Stat)> {
    let reply = client.call(&Request::get_data(path, false))?;
    match reply.body {
        Body::Data(data, stat) => Ok((Text::from_bytes(data).lossy(), stat)),
        _ => Err(io::Error::other(format!("getData of {path}: error {}", reply.err))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::model::Mode;

    #[test]
    fn nodes_as_the_model_has_them_are_accepted() {
        let (model, found) = written();
        assert_eq!(compare(&model, &found, LAST_ZXID), Ok(()));
    }

    #[test]
    fn a_node_that_is_missing_or_too_many_is_noticed() {
        let (model, mut found) = written();
        let taken = found.remove("/w/a").expect("it was written");
        assert!(compare(&model, &found, LAST_ZXID).is_err());
        found.insert("/w/a".into(), taken.clone());
        found.insert("/w/b".into(), taken);
        assert!(compare(&model, &found, LAST_ZXID).is_err());
    }

    #[test]
    fn any_change_of_a_stat_or_of_data_is_noticed() {
        let (model, found) = written();
        let (data, stat) = found["/w/a"].clone();
        let changed = [
            (data.clone(), Stat { version: stat.version + 1, ..stat }),
            (data.clone(), Stat { cversion: stat.cversion + 1, ..stat }),
            (data.clone(), Stat { mzxid: stat.mzxid + 1, ..stat }),
            (data.clone(), Stat { czxid: stat.czxid + 1, ..stat }),
            (data.clone(), Stat { pzxid: stat.pzxid + 1, ..stat }),
            (data.clone(), Stat { ctime: stat.ctime + 1, ..stat }),
            (data.clone(), Stat { mtime: stat.mtime + 1, ..stat }),
            (data, Stat { ephemeral_owner: 5, ..stat }),
            ("other".into(), stat),
        ];
        for change in changed {
            let mut found = found.clone();
            found.insert("/w/a".into(), change);
            assert!(compare(&model, &found, LAST_ZXID).is_err(), "{found:?}");
        }
    }

    #[test]
    fn a_multi_whose_parts_have_zxids_of_their_own_is_noticed() {
        let (mut model, _) = written();
        let parts = ["/w/x", "/w/y"].map(create);
        model.apply(&Op::Multi(parts.to_vec()), -1);
        let found = |x: i64, y: i64| {
            let mut told = model.clone();
            for (path, zxid) in [("/w/x", x), ("/w/y", y), ("/w", x)] {
                let node = told.nodes.get_mut(path).expect("it was written");
                node.pzxid = zxid;
                if path != "/w" {
                    (node.czxid, node.mzxid) = (zxid, zxid);
                }
            }
            found_of(&told)
        };
        assert_eq!(compare(&model, &found(10, 10), LAST_ZXID), Ok(()));
        assert!(compare(&model, &found(10, 11), LAST_ZXID).is_err(), "two zxids");
        assert!(compare(&model, &found(LAST_ZXID, LAST_ZXID), LAST_ZXID).is_err(), "a zxid given twice");
        let mut half = found(10, 10);
        half.remove("/w/y");
        assert!(compare(&model, &half, LAST_ZXID).is_err(), "half a multi");
    }

    fn written() -> (Model, Found) {
        let mut model = Model::new(7);
        model.apply(&create("/w"), 2);
        model.apply(&create("/w/a"), 3);
        model.apply(&Op::Set { path: "/w/a".into(), data: "new".into(), version: 0 }, LAST_ZXID);
        for node in model.nodes.values_mut() {
            node.times = Some((50, 60));
        }
        let found = found_of(&model);
        (model, found)
    }

    fn found_of(model: &Model) -> Found {
        model.nodes.iter().map(|(path, node)| (path.clone(), (node.data.clone(), model.stat(path)))).collect()
    }

    fn create(path: &str) -> Op {
        Op::Create { path: path.into(), data: "data".into(), mode: Mode::Persistent }
    }

    const LAST_ZXID: i64 = 4;
}
