//! The client protocol's records, to the byte (client-protocol §§2–8), and the transactions that the
//! log and the peers carry (zab §9.1).
//!
//! Requests decode borrowed from their frame. What a reply says is encoded straight into the
//! connection's output.

mod acl;
mod connect;
mod opcode;
mod reply;
mod request;
mod stat;
mod txn;

pub use acl::{Acl, AclRef, Identity, RequestAcl, RequestAcls, perms};
pub use connect::{ConnectRequest, ConnectResponse, PASSWORD_LEN, Password};
pub use opcode::OpCode;
pub use reply::{EventType, ReplyHeader, WatcherEvent, begin_frame, end_frame, xid};
pub use request::{
    AddWatchMode, AuthPacket, CreateFlags, CreateRequest, MultiHeader, PathVersion, PathWatch, RequestHeader,
    SetAclRequest, SetDataRequest, SetWatches, WatcherType, path_and_mode,
};
pub use stat::Stat;
pub use txn::{CreateKind, Txn, TxnDigest, TxnHeader};
