use std::fmt;

use crate::error::Code;
use crate::flow::ConnId;
use crate::id::{SessionId, Zxid};
use crate::jute::DecodeError;

/// What the driver must do for a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There is output for the connection: [`super::Shard::swap_output`] has it.
    Flush(ConnId),
    /// Send what output there is, unless the reason [is abrupt](CloseReason::is_abrupt), and close the
    /// socket. Nothing more comes for this connection; the driver says [`super::Shard::on_closed`].
    Close(ConnId, CloseReason),
    /// The connection's input may go on: call [`super::Shard::on_input`] with what is left of it.
    Resume(ConnId),
    /// The connection sent this four-letter word: answer with [`super::Shard::send_raw_and_close`].
    Word(ConnId, [u8; 4]),
}

/// What [`super::Shard::on_input`] did with the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// How many bytes are done with. The driver keeps the rest.
    pub consumed: usize,
    /// What the rest waits for.
    pub next: Next,
}

/// What the rest of a connection's input waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes: the rest must have at least so many before a call is of any use.
    Bytes(usize),
    /// [`Effect::Resume`]; until then the socket need not be read.
    Resume,
    /// Nothing: the connection ends, and what it still sends is ignored.
    Nothing,
}

/// Why a connection is closed. Its text says what was wrong and whose doing it was; the driver adds the
/// peer's address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum CloseReason {
    BadLength { len: i32, max: usize },
    ShortFrame { len: usize },
    BadConnectRequest(DecodeError),
    BadAuthPacket { op: &'static str, error: DecodeError },
    UnknownOp(i32),
    AuthFailed { scheme: Box<str> },
    AuthRequired,
    TooManyIdentities { max: usize, len_max: usize },
    TooManyWatches { max: usize },
    TelnetInterrupt,
    ZxidAhead { seen: Zxid, ours: Zxid },
    NoHandshake { waited_ms: u64 },
    SlowReader { waiting: usize },
    LargeRequest { len: usize, others: usize },
    SessionRefused(SessionId),
    SessionNotOpened(Code),
    SessionClosed(SessionId),
    SessionMoved(SessionId),
    SessionGone(SessionId),
    NotServing,
    NotReadOnlyClient,
    Throttled,
    StaleRequest { waited_ms: u64 },
    Answered,
}

impl CloseReason {
    /// Whether what output there is need not be sent: the client does not take it.
    pub fn is_abrupt(&self) -> bool {
        matches!(self, CloseReason::SlowReader { .. })
    }

    /// Whether this is how connections end when nothing is wrong, and not worth a line in the log.
    pub fn is_routine(&self) -> bool {
        use CloseReason::*;
        matches!(self, SessionClosed(_) | SessionMoved(_) | SessionGone(_) | Answered | TelnetInterrupt)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CloseReason::*;
        match self {
            BadLength { len, max } => {
                write!(f, "the client sent a frame with a length of {len}; jute.maxbuffer allows 0 to {max}")
            }
            ShortFrame { len } => {
                write!(f, "the client sent a frame of {len} bytes, too short for a request's header")
            }
            BadConnectRequest(error) => write!(f, "the client sent a malformed connect request: {error}"),
            BadAuthPacket { op, error } => write!(f, "the client sent a malformed {op} packet: {error}"),
            UnknownOp(op) => write!(f, "the client asked for operation {op}, which clients cannot ask for"),
            AuthFailed { scheme } => {
                write!(f, "the client failed to authenticate with scheme {scheme:?}")
            }
            AuthRequired => write!(f, "the client sent a request without the authentication enforced here"),
            TooManyIdentities { max, len_max } => write!(
                f,
                "the client authenticated as more than {max} identities, or their names are longer than {len_max} \
                 bytes"
            ),
            TooManyWatches { max } => {
                write!(f, "the client has more watches than {max} bytes hold")
            }
            TelnetInterrupt => write!(f, "the client interrupted its telnet session"),
            ZxidAhead { seen, ours } => write!(
                f,
                "the client has seen zxid {seen} and this server only has {ours}; it must try another server"
            ),
            NoHandshake { waited_ms } => {
                write!(f, "the client sent no connect request for {waited_ms} ms")
            }
            SlowReader { waiting } => {
                write!(f, "the client does not read: {waiting} bytes of replies and events wait for it")
            }
            LargeRequest { len, others } => write!(
                f,
                "Rejecting large request: the client sent one of {len} bytes while others take {others} \
                 (largeRequestMaxBytes)"
            ),
            SessionRefused(session) => {
                write!(f, "the client's session {session} has expired, or its password is wrong")
            }
            SessionNotOpened(code) => write!(f, "this server could not open a session: {code}"),
            SessionClosed(session) => write!(f, "the client closed its session {session}"),
            SessionMoved(session) => {
                write!(f, "the client's session {session} has moved to another server")
            }
            SessionGone(session) => {
                write!(f, "the client's session {session} has expired or moved to another connection")
            }
            NotServing => write!(f, "ZooKeeperServer not running: this server looks for a leader"),
            NotReadOnlyClient => write!(
                f,
                "Refusing session request for not-read-only client: this server looks for a leader, and \
                 serves those alone that ask for no more than reads"
            ),
            Throttled => write!(
                f,
                "more clients connect than may (connection_throttle_tokens), or this one was chosen by chance for that"
            ),
            StaleRequest { waited_ms } => write!(
                f,
                "a request waited for {waited_ms} ms, longer than the session's timeout, because too many are in \
                 process (request_throttle_max_requests)"
            ),
            Answered => write!(f, "a four-letter word was answered"),
        }
    }
}
