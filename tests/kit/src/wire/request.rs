//! Requests (client-protocol §5, §7), well-formed or as wrong as a test wants them.

use super::jute::Encoder;
use super::records::{Acl, Text};

/// A request without its header. Any field may hold nonsense; [`Request::Raw`] is any opcode with any body.
/// Data is [`Text`], too: a buffer and a ustring are encoded alike.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own; client-protocol §5 lists them")]
pub enum Request {
    /// `op` is one of create, create2 and createContainer.
    Create {
        op: i32,
        path: Text,
        data: Text,
        acl: Option<Vec<Acl>>,
        flags: i32,
    },
    CreateTtl {
        path: Text,
        data: Text,
        acl: Option<Vec<Acl>>,
        flags: i32,
        ttl: i64,
    },
    Delete {
        path: Text,
        version: i32,
    },
    Exists {
        path: Text,
        watch: bool,
    },
    GetData {
        path: Text,
        watch: bool,
    },
    SetData {
        path: Text,
        data: Text,
        version: i32,
    },
    GetAcl {
        path: Text,
    },
    SetAcl {
        path: Text,
        acl: Option<Vec<Acl>>,
        version: i32,
    },
    GetChildren {
        path: Text,
        watch: bool,
    },
    GetChildren2 {
        path: Text,
        watch: bool,
    },
    Sync {
        path: Text,
    },
    Ping,
    Check {
        path: Text,
        version: i32,
    },
    Multi(Vec<Request>),
    MultiRead(Vec<Request>),
    CheckWatches {
        path: Text,
        kind: i32,
    },
    RemoveWatches {
        path: Text,
        kind: i32,
    },
    Auth {
        scheme: Text,
        auth: Text,
    },
    SetWatches {
        relative_zxid: i64,
        data: Option<Vec<Text>>,
        exist: Option<Vec<Text>>,
        child: Option<Vec<Text>>,
    },
    SetWatches2 {
        relative_zxid: i64,
        data: Option<Vec<Text>>,
        exist: Option<Vec<Text>>,
        child: Option<Vec<Text>>,
        persistent: Option<Vec<Text>>,
        recursive: Option<Vec<Text>>,
    },
    Sasl {
        token: Text,
    },
    GetEphemerals {
        prefix: Text,
    },
    GetAllChildrenNumber {
        path: Text,
    },
    AddWatch {
        path: Text,
        mode: i32,
    },
    WhoAmI,
    Reconfig {
        joining: Text,
        leaving: Text,
        members: Text,
        config: i64,
    },
    CloseSession,
    Raw {
        op: i32,
        body: Text,
    },
}

impl Request {
    /// A create of a persistent node (or of another [`create_mode`]) that anyone may use.
    pub fn create(path: impl Into<Text>, data: &[u8], flags: i32) -> Request {
        Request::Create {
            op: op::CREATE,
            path: path.into(),
            data: data.into(),
            acl: super::open_acl(),
            flags,
        }
    }

    /// A setData.
    pub fn set_data(path: impl Into<Text>, data: &[u8], version: i32) -> Request {
        Request::SetData { path: path.into(), data: data.into(), version }
    }

    /// A delete.
    pub fn delete(path: impl Into<Text>, version: i32) -> Request {
        Request::Delete { path: path.into(), version }
    }

    /// A getData.
    pub fn get_data(path: impl Into<Text>, watch: bool) -> Request {
        Request::GetData { path: path.into(), watch }
    }

    /// An exists.
    pub fn exists(path: impl Into<Text>, watch: bool) -> Request {
        Request::Exists { path: path.into(), watch }
    }

    /// A sync, which is also a fence: its reply comes after all that was committed before it.
    pub fn sync(path: impl Into<Text>) -> Request {
        Request::Sync { path: path.into() }
    }

    /// The number in the request header.
    pub fn opcode(&self) -> i32 {
        match self {
            Request::Create { op, .. } | Request::Raw { op, .. } => *op,
            Request::CreateTtl { .. } => op::CREATE_TTL,
            Request::Delete { .. } => op::DELETE,
            Request::Exists { .. } => op::EXISTS,
            Request::GetData { .. } => op::GET_DATA,
            Request::SetData { .. } => op::SET_DATA,
            Request::GetAcl { .. } => op::GET_ACL,
            Request::SetAcl { .. } => op::SET_ACL,
            Request::GetChildren { .. } => op::GET_CHILDREN,
            Request::GetChildren2 { .. } => op::GET_CHILDREN2,
            Request::Sync { .. } => op::SYNC,
            Request::Ping => op::PING,
            Request::Check { .. } => op::CHECK,
            Request::Multi(_) => op::MULTI,
            Request::MultiRead(_) => op::MULTI_READ,
            Request::CheckWatches { .. } => op::CHECK_WATCHES,
            Request::RemoveWatches { .. } => op::REMOVE_WATCHES,
            Request::Auth { .. } => op::AUTH,
            Request::SetWatches { .. } => op::SET_WATCHES,
            Request::SetWatches2 { .. } => op::SET_WATCHES2,
            Request::Sasl { .. } => op::SASL,
            Request::GetEphemerals { .. } => op::GET_EPHEMERALS,
            Request::GetAllChildrenNumber { .. } => op::GET_ALL_CHILDREN_NUMBER,
            Request::AddWatch { .. } => op::ADD_WATCH,
            Request::WhoAmI => op::WHO_AM_I,
            Request::Reconfig { .. } => op::RECONFIG,
            Request::CloseSession => op::CLOSE_SESSION,
        }
    }

    /// The payload of its frame: RequestHeader and record.
    pub fn encode(&self, xid: i32) -> Vec<u8> {
        let mut to = Encoder::new();
        to.int(xid).int(self.opcode());
        self.encode_record(&mut to);
        to.finish()
    }

    /// The record alone.
    pub fn encode_record(&self, to: &mut Encoder) {
        match self {
            Request::Create { path, data, acl, flags, .. } => {
                to.text(path).text(data);
                encode_acl(acl, to);
                to.int(*flags);
            }
            Request::CreateTtl { path, data, acl, flags, ttl } => {
                to.text(path).text(data);
                encode_acl(acl, to);
                to.int(*flags).long(*ttl);
            }
            Request::Delete { path, version } | Request::Check { path, version } => {
                to.text(path).int(*version);
            }
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::GetChildren { path, watch }
            | Request::GetChildren2 { path, watch } => {
                to.text(path).bool(*watch);
            }
            Request::SetData { path, data, version } => {
                to.text(path).text(data).int(*version);
            }
            Request::GetAcl { path } | Request::Sync { path } | Request::GetAllChildrenNumber { path } => {
                to.text(path);
            }
            Request::SetAcl { path, acl, version } => {
                to.text(path);
                encode_acl(acl, to);
                to.int(*version);
            }
            Request::Multi(ops) | Request::MultiRead(ops) => {
                for op in ops {
                    to.int(op.opcode()).bool(false).int(-1);
                    op.encode_record(to);
                }
                to.int(-1).bool(true).int(-1);
            }
            Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
                to.text(path).int(*kind);
            }
            Request::Auth { scheme, auth } => {
                to.int(0).text(scheme).text(auth);
            }
            Request::SetWatches { relative_zxid, data, exist, child } => {
                to.long(*relative_zxid);
                [data, exist, child].into_iter().for_each(|list| encode_paths(list, to));
            }
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
                to.long(*relative_zxid);
                [data, exist, child, persistent, recursive]
                    .into_iter()
                    .for_each(|list| encode_paths(list, to));
            }
            Request::Sasl { token } => {
                to.text(token);
            }
            Request::GetEphemerals { prefix } => {
                to.text(prefix);
            }
            Request::AddWatch { path, mode } => {
                to.text(path).int(*mode);
            }
            Request::Reconfig { joining, leaving, members, config } => {
                to.text(joining).text(leaving).text(members).long(*config);
            }
            Request::Raw { body, .. } => {
                to.raw(body.bytes().unwrap_or_default());
            }
            Request::Ping | Request::WhoAmI | Request::CloseSession => {}
        }
    }
}

fn encode_acl(acl: &Option<Vec<Acl>>, to: &mut Encoder) {
    to.vector(acl.as_deref(), |to, entry| entry.encode(to));
}

fn encode_paths(paths: &Option<Vec<Text>>, to: &mut Encoder) {
    to.vector(paths.as_deref(), |to, path| {
        to.text(path);
    });
}

/// Opcodes.
#[allow(missing_docs, reason = "the names are ZooKeeper's own; client-protocol §5 lists them")]
pub mod op {
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const EXISTS: i32 = 3;
    pub const GET_DATA: i32 = 4;
    pub const SET_DATA: i32 = 5;
    pub const GET_ACL: i32 = 6;
    pub const SET_ACL: i32 = 7;
    pub const GET_CHILDREN: i32 = 8;
    pub const SYNC: i32 = 9;
    pub const PING: i32 = 11;
    pub const GET_CHILDREN2: i32 = 12;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE2: i32 = 15;
    pub const RECONFIG: i32 = 16;
    pub const CHECK_WATCHES: i32 = 17;
    pub const REMOVE_WATCHES: i32 = 18;
    pub const CREATE_CONTAINER: i32 = 19;
    pub const DELETE_CONTAINER: i32 = 20;
    pub const CREATE_TTL: i32 = 21;
    pub const MULTI_READ: i32 = 22;
    pub const AUTH: i32 = 100;
    pub const SET_WATCHES: i32 = 101;
    pub const SASL: i32 = 102;
    pub const GET_EPHEMERALS: i32 = 103;
    pub const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    pub const SET_WATCHES2: i32 = 105;
    pub const ADD_WATCH: i32 = 106;
    pub const WHO_AM_I: i32 = 107;
    pub const CREATE_SESSION: i32 = -10;
    pub const CLOSE_SESSION: i32 = -11;
}

/// Flags of create.
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub mod create_mode {
    pub const PERSISTENT: i32 = 0;
    pub const EPHEMERAL: i32 = 1;
    pub const PERSISTENT_SEQUENTIAL: i32 = 2;
    pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
    pub const CONTAINER: i32 = 4;
    pub const PERSISTENT_WITH_TTL: i32 = 5;
    pub const PERSISTENT_SEQUENTIAL_WITH_TTL: i32 = 6;
}

/// Modes of addWatch.
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub mod watch_mode {
    pub const PERSISTENT: i32 = 0;
    pub const PERSISTENT_RECURSIVE: i32 = 1;
}

/// Kinds of watch that checkWatches and removeWatches name.
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub mod watcher_type {
    pub const CHILDREN: i32 = 1;
    pub const DATA: i32 = 2;
    pub const ANY: i32 = 3;
    pub const PERSISTENT: i32 = 4;
    pub const PERSISTENT_RECURSIVE: i32 = 5;
}
