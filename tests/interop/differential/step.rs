//! What a seed's run consists of.

use ringkeeper_kit::wire::{ConnectRequest, Request};

/// How many connections a run uses.
pub(crate) const SLOTS: usize = 4;

/// One thing that a client does, on one of the run's connections.
///
/// A step that needs a connection and finds none opens one with a new session first, so that any
/// sublist of a run's steps is a run, too.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) slot: usize,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// One request. The zxid of a setWatches counts from the run's first zxid.
    Call { xid: i32, request: Request },
    /// Requests in one write, none of which closes the connection or is an auth packet (whose reply
    /// may overtake others).
    Burst(Vec<Request>),
    /// Bytes after which a server must close the connection.
    Garbage(Vec<u8>),
    /// Drop the connection if there is one, and open one with a new session.
    Connect(ConnectRequest),
    /// The same with the session that `of` has or had last; the session of a live connection moves.
    Attach { of: usize, password: Password, request: ConnectRequest },
    /// Drop the connection, keep the session.
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Password {
    Right,
    Wrong,
    Empty,
    Null,
}

impl Action {
    /// Whether other connections may be told of it, or the sequence of zxids go on: anything but reads
    /// and what a connection does about its own watches and identities.
    pub(crate) fn concerns_others(&self) -> bool {
        match self {
            Action::Call { request, .. } => !matches!(
                request,
                Request::Exists { .. }
                    | Request::GetData { .. }
                    | Request::GetAcl { .. }
                    | Request::GetChildren { .. }
                    | Request::GetChildren2 { .. }
                    | Request::GetAllChildrenNumber { .. }
                    | Request::GetEphemerals { .. }
                    | Request::MultiRead(_)
                    | Request::SetWatches { .. }
                    | Request::SetWatches2 { .. }
                    | Request::AddWatch { .. }
                    | Request::CheckWatches { .. }
                    | Request::RemoveWatches { .. }
                    | Request::Auth { .. }
                    | Request::Sasl { .. }
                    | Request::WhoAmI
                    | Request::Sync { .. }
                    | Request::Ping
            ),
            Action::Garbage(_) => false,
            Action::Burst(_) | Action::Connect(_) | Action::Attach { .. } | Action::Drop => true,
        }
    }
}
