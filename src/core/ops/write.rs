use super::changes::Changes;
use super::database::Database;
use super::reconfig::{ReconfigContext, ReconfigRequest};
use super::{check, create, delete, multi, reconfig, set_acl, set_data};
use crate::acl::{self, Interner, Policy};
use crate::error::Code;
use crate::flow::Outcome;
use crate::id::Zxid;
use crate::jute::{DecodeError, Reader};
use crate::proto::{
    Acl, CreateFlags, CreateRequest, Identity, OpCode, PathVersion, SetAclRequest, SetDataRequest, Txn,
    TxnHeader,
};
use crate::tree::{Found, Slot, is_valid_path};

/// What the operations must know of the server's configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Who may do what.
    pub policy: Policy,
    /// `extendedTypesEnabled`: whether nodes can have a time to live.
    pub extended_types: bool,
    /// `enforceQuota`: whether hard limits refuse writes.
    pub enforce_quota: bool,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// Whether a server of 3.4 follows: what it could not read is refused.
    pub has_old_peers: bool,
}

/// What is known of a session that asks for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskingSession {
    /// It is not open.
    Unknown,
    /// One server alone knows it: it may do all but own znodes, which is refused so.
    Local(Code),
    /// The ensemble knows it.
    Global,
}

/// Who asks for a write, and by which rules it is judged.
pub struct Asker<'a> {
    /// What is known of the session.
    pub session: AskingSession,
    /// Who the connection is.
    pub identities: &'a [Identity],
    /// The server's rules.
    pub settings: &'a Settings,
    /// By what a reconfig is judged; `None` if this server stands alone.
    pub reconfig: Option<&'a ReconfigContext>,
    /// Shares the ACL lists of what is created.
    pub interner: &'a mut Interner,
}

impl Asker<'_> {
    /// What is looked at first of a write on a node of this path.
    pub(super) fn check_target(&self, path: &str) -> Result<(), Code> {
        self.check_session()?;
        if is_valid_path(path) { Ok(()) } else { Err(Code::BadArguments) }
    }

    /// The node of this path, if it is there and may be used so.
    pub(super) fn find<'d>(&self, db: &'d Database, path: &str, perm: i32) -> Result<Found<'d>, Code> {
        let found = db.tree.get(path).ok_or(Code::NoNode)?;
        self.check_permission(found.node.acl(), perm)?;
        Ok(found)
    }

    pub(super) fn check_session(&self) -> Result<(), Code> {
        if self.session == AskingSession::Unknown { Err(Code::SessionExpired) } else { Ok(()) }
    }

    /// Whether the session may have ephemerals.
    pub(super) fn check_owner(&self) -> Result<(), Code> {
        match self.session {
            AskingSession::Unknown => Err(Code::SessionExpired),
            AskingSession::Local(code) => Err(code),
            AskingSession::Global => Ok(()),
        }
    }

    pub(super) fn check_permission(&self, list: &[Acl], perm: i32) -> Result<(), Code> {
        match acl::permits(list, perm, self.identities, &self.settings.policy) {
            true => Ok(()),
            false => Err(Code::NoAuth),
        }
    }
}

/// What became of an ordered request.
#[derive(Debug)]
pub struct Ordered<'r> {
    /// The transaction to log, applied already. A request that fails has one too.
    pub txn: Txn<'r>,
    /// What the client hears.
    pub outcome: Outcome,
}

/// A request is not a record of its operation. The client hears [`Code::MarshallingError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Whether the request takes a zxid all the same, as a malformed multi does in Java.
    pub takes_zxid: bool,
}

/// Decides a write on nodes and applies it; `changes` gets its zxid and what it changes. `header`
/// carries the zxid.
///
/// # Errors
///
/// If the record cannot be read; nothing has happened then.
pub fn order<'r>(
    op: OpCode,
    record: &'r [u8],
    db: &mut Database,
    header: &TxnHeader,
    asker: &mut Asker<'_>,
    changes: &mut Changes,
) -> Result<Ordered<'r>, Undecodable> {
    let mut reader = Reader::new(record);
    if op == OpCode::Multi {
        let writes = multi::decode(&mut reader)?;
        changes.begin(header.zxid);
        let ordered = multi::order(writes, db, header, asker, changes);
        db.applied(header.zxid);
        return Ok(ordered);
    }
    let write = Write::decode(op, &mut reader).map_err(|_| Undecodable { takes_zxid: false })?;
    changes.begin(header.zxid);
    let ordered = match write.decide(header.zxid, db, asker) {
        Ok(Decided { txn, at }) => {
            let outcome = db.apply_to_node(header, &txn, at, changes).outcome(&txn);
            Ordered { txn, outcome }
        }
        Err(code) => Ordered { txn: Txn::Error { err: code.number() }, outcome: Outcome::Failed(code) },
    };
    db.applied(header.zxid);
    Ok(ordered)
}

/// The path that a request's record begins with, as it came: no more is looked at. Of a read or a write, but for a multi, which has none.
pub fn path_ahead(op: OpCode, record: &[u8]) -> Option<&[u8]> {
    let is_first = !matches!(op, OpCode::Multi | OpCode::CloseSession | OpCode::Reconfig);
    is_first.then(|| Reader::new(record).buffer().ok().flatten())?
}

/// Whether the record is one of its operation, so that a leader can decide it.
pub fn is_well_formed(op: OpCode, record: &[u8]) -> bool {
    let mut reader = Reader::new(record);
    match op {
        OpCode::Multi => multi::decode(&mut reader).is_ok(),
        _ => Write::decode(op, &mut reader).is_ok(),
    }
}

/// Whether a request can be done for sessions of the ensemble's alone: it makes ephemerals. Those of operations
/// that are not for that don't count, as in Java.
pub fn needs_global_session(op: OpCode, record: &[u8]) -> bool {
    let mut reader = Reader::new(record);
    match op {
        OpCode::Create | OpCode::Create2 => {
            Write::decode(op, &mut reader).is_ok_and(|write| write.makes_an_ephemeral())
        }
        OpCode::Multi => {
            multi::decode(&mut reader).is_ok_and(|writes| writes.iter().any(Write::makes_an_ephemeral))
        }
        _ => false,
    }
}

/// A request to write, decoded: every operation but multi, which is made of them.
pub(super) enum Write<'r> {
    Create(OpCode, CreateRequest<'r>),
    Delete(PathVersion<'r>),
    SetData(SetDataRequest<'r>),
    SetAcl(SetAclRequest<'r>),
    Check(PathVersion<'r>),
    Reconfig(ReconfigRequest<'r>),
}

impl<'r> Write<'r> {
    pub(super) fn decode(op: OpCode, reader: &mut Reader<'r>) -> Result<Write<'r>, DecodeError> {
        let offset = reader.offset();
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                Write::Create(op, CreateRequest::decode(reader, false)?)
            }
            OpCode::CreateTtl => Write::Create(op, CreateRequest::decode(reader, true)?),
            OpCode::Delete => Write::Delete(PathVersion::decode(reader)?),
            OpCode::SetData => Write::SetData(SetDataRequest::decode(reader)?),
            OpCode::SetAcl => Write::SetAcl(SetAclRequest::decode(reader)?),
            OpCode::Check => Write::Check(PathVersion::decode(reader)?),
            OpCode::Reconfig => Write::Reconfig(ReconfigRequest::decode(reader)?),
            _ => {
                let value = op.number();
                return Err(DecodeError::BadValue { offset, what: "write", value });
            }
        })
    }

    fn makes_an_ephemeral(&self) -> bool {
        match self {
            Write::Create(OpCode::Create | OpCode::Create2, request) => {
                CreateFlags::from_number(request.flags).is_some_and(CreateFlags::is_ephemeral)
            }
            _ => false,
        }
    }

    pub(super) fn decide(
        self,
        zxid: Zxid,
        db: &Database,
        asker: &mut Asker<'_>,
    ) -> Result<Decided<'r>, Code> {
        let decided = self.decide_for_all(zxid, db, asker)?;
        match asker.settings.has_old_peers && !decided.txn.is_known_to_3_4() {
            true => Err(Code::Unimplemented),
            false => Ok(decided),
        }
    }

    fn decide_for_all(self, zxid: Zxid, db: &Database, asker: &mut Asker<'_>) -> Result<Decided<'r>, Code> {
        match self {
            Write::Create(op, request) => create::decide(op, request, db, asker),
            Write::Delete(request) => delete::decide(request, db, asker).map(Decided::from),
            Write::SetData(request) => set_data::decide(request, db, asker),
            Write::SetAcl(request) => set_acl::decide(request, db, asker).map(Decided::from),
            Write::Check(request) => check::decide(request, db, asker).map(Decided::from),
            Write::Reconfig(request) => reconfig::decide(&request, zxid, db, asker).map(Decided::from),
        }
    }
}

/// A transaction that is to be applied at once.
pub(super) struct Decided<'r> {
    pub(super) txn: Txn<'r>,
    /// What was found meanwhile, see [`Database::apply_to_node`].
    pub(super) at: Option<Slot>,
}

impl<'r> From<Txn<'r>> for Decided<'r> {
    fn from(txn: Txn<'r>) -> Decided<'r> {
        Decided { txn, at: None }
    }
}

/// The version after this one, if the client expects this one; -1 expects any.
pub(super) fn next_version(current: i32, expected: i32) -> Result<i32, Code> {
    match expected {
        -1 => Ok(current.wrapping_add(1)),
        _ if expected == current => Ok(current.wrapping_add(1)),
        _ => Err(Code::BadVersion),
    }
}
