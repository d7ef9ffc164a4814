//! What a writer's own nodes must be after each of its writes.

use std::collections::BTreeMap;

use ringkeeper_kit::wire::{Request, Stat, create_mode, op, open_acl};

/// A write of one writer, below its own node or in the parent that all share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Create {
        path: String,
        data: String,
        mode: Mode,
    },
    Set {
        path: String,
        data: String,
        version: i32,
    },
    Delete {
        path: String,
        version: i32,
    },
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Op>),
    /// A sequential node in the shared parent, known by its data.
    Shared {
        data: String,
    },
    CloseSession,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Persistent,
    Ephemeral,
    Sequential,
}

/// What a write must be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The node's path and Stat, times unknown.
    Created(String, Stat),
    Changed(Stat),
    Done,
    Many(Vec<Outcome>),
    Failed(i32),
}

/// A writer's own nodes. A zxid below zero stands for one that nobody has told: that of a write which
/// was not acknowledged, see [`super::check`].
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) session: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) data: String,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    /// Once a Stat has told them.
    pub(crate) times: Option<(i64, i64)>,
    pub(crate) version: i32,
    /// How many children were ever created: the next sequential one's number.
    pub(crate) creates: i32,
    pub(crate) owner: i64,
}

impl Op {
    pub(crate) fn request(&self) -> Request {
        match self {
            Op::Create { path, data, mode } => create(path, data, *mode),
            Op::Set { path, data, version } => Request::set_data(path, data.as_bytes(), *version),
            Op::Delete { path, version } => Request::delete(path, *version),
            Op::Check { path, version } => Request::Check { path: path.into(), version: *version },
            Op::Multi(ops) => Request::Multi(ops.iter().map(Op::request).collect()),
            Op::Shared { data } => create(&format!("{SHARED}/"), data, Mode::Sequential),
            Op::CloseSession => Request::CloseSession,
        }
    }
}

impl Model {
    pub(crate) fn new(session: i64) -> Model {
        Model { nodes: BTreeMap::new(), session }
    }

    /// Does the write, if it can be done, and tells its answer.
    pub(crate) fn apply(&mut self, op: &Op, zxid: i64) -> Outcome {
        match op {
            Op::Create { path, data, mode } => self.create(path, data, *mode, zxid),
            Op::Set { path, data, version } => self.set(path, data, *version, zxid),
            Op::Delete { path, version } => self.delete(path, *version, zxid),
            Op::Check { path, version } => match self.find(path, *version) {
                Err(code) => Outcome::Failed(code),
                Ok(_) => Outcome::Done,
            },
            Op::Multi(ops) => self.multi(ops, zxid),
            Op::Shared { .. } => Outcome::Done,
            Op::CloseSession => self.close_session(zxid),
        }
    }

    /// The node's Stat as the wire has it; times are 0 where unknown.
    pub(crate) fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = self.children(path).count() as i32;
        let (ctime, mtime) = node.times.unwrap_or_default();
        Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime,
            mtime,
            version: node.version,
            cversion: 2 * node.creates - children,
            aversion: 0,
            ephemeral_owner: node.owner,
            data_length: node.data.len() as i32,
            num_children: children,
            pzxid: node.pzxid,
        }
    }

    pub(crate) fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a String> {
        self.nodes.keys().filter(move |other| parent(other) == path)
    }

    fn create(&mut self, path: &str, data: &str, mode: Mode, zxid: i64) -> Outcome {
        let number = self.nodes.get(parent(path)).map_or(0, |parent| parent.creates);
        let path = match mode {
            Mode::Sequential => format!("{path}{number:010}"),
            Mode::Persistent | Mode::Ephemeral => path.to_string(),
        };
        if self.nodes.contains_key(&path) {
            return Outcome::Failed(NODE_EXISTS);
        }
        if let Some(parent) = self.nodes.get_mut(parent(&path)) {
            parent.creates += 1;
            parent.pzxid = zxid;
        }
        let owner = if mode == Mode::Ephemeral { self.session } else { 0 };
        let node = Node {
            data: data.into(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            times: None,
            version: 0,
            creates: 0,
            owner,
        };
        self.nodes.insert(path.clone(), node);
        let stat = self.stat(&path);
        Outcome::Created(path, stat)
    }

    fn set(&mut self, path: &str, data: &str, version: i32, zxid: i64) -> Outcome {
        match self.find(path, version) {
            Err(code) => return Outcome::Failed(code),
            Ok(node) => {
                node.data = data.into();
                node.mzxid = zxid;
                node.version += 1;
                node.times = None;
            }
        }
        Outcome::Changed(self.stat(path))
    }

    fn delete(&mut self, path: &str, version: i32, zxid: i64) -> Outcome {
        if let Err(code) = self.find(path, version) {
            return Outcome::Failed(code);
        }
        self.remove(path, zxid);
        Outcome::Done
    }

    fn multi(&mut self, ops: &[Op], zxid: i64) -> Outcome {
        let mut after = self.clone();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for op in ops {
            outcomes.push(after.apply(op, zxid));
            if let Some(Outcome::Failed(_)) = outcomes.last() {
                let failed = outcomes.len();
                outcomes[..failed - 1].fill(Outcome::Failed(0));
                outcomes.resize(ops.len(), Outcome::Failed(RUNTIME_INCONSISTENCY));
                return Outcome::Many(outcomes);
            }
        }
        *self = after;
        Outcome::Many(outcomes)
    }

    fn close_session(&mut self, zxid: i64) -> Outcome {
        let own = self.nodes.iter().filter(|(_, node)| node.owner != 0).map(|(path, _)| path.clone());
        for path in own.collect::<Vec<_>>() {
            self.remove(&path, zxid);
        }
        Outcome::Done
    }

    fn remove(&mut self, path: &str, zxid: i64) {
        self.nodes.remove(path);
        if let Some(parent) = self.nodes.get_mut(parent(path)) {
            parent.pzxid = zxid;
        }
    }

    fn find(&mut self, path: &str, version: i32) -> Result<&mut Node, i32> {
        match self.nodes.get_mut(path) {
            None => Err(NO_NODE),
            Some(node) if version != -1 && version != node.version => Err(BAD_VERSION),
            Some(node) => Ok(node),
        }
    }
}

pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn create(path: &str, data: &str, mode: Mode) -> Request {
    let flags = match mode {
        Mode::Persistent => create_mode::PERSISTENT,
        Mode::Ephemeral => create_mode::EPHEMERAL,
        Mode::Sequential => create_mode::PERSISTENT_SEQUENTIAL,
    };
    let data = data.as_bytes().into();
    Request::Create { op: op::CREATE2, path: path.into(), data, acl: open_acl(), flags }
}

/// The parent in which all writers create sequential nodes.
pub(crate) const SHARED: &str = "/shared";

const RUNTIME_INCONSISTENCY: i32 = -2;
const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
