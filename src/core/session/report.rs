use crate::id::SessionId;
use crate::time::Instant;

/// The open sessions that a server knows, as dump lists them (admin §1). The lists are in no particular order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionsReport {
    /// Those that this server alone knows, and when each expires; `None` where there are no such.
    pub local: Option<Vec<(SessionId, Instant)>>,
    /// The ensemble's, or a standalone server's.
    pub global: GlobalSessions,
}

/// What a server knows of sessions that are not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobalSessions {
    /// When each expires: this server decides that.
    Expiring(Vec<(SessionId, Instant)>),
    /// Their timeouts in milliseconds.
    Known(Vec<(SessionId, i32)>),
}
