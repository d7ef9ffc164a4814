use std::fmt;

use crate::election::frames::BadFrameLen;
use crate::election::initial_message::InitialMessageError;
use crate::election::notification::NotificationError;
use crate::id::ServerId;
use crate::sasl::AuthError;

/// What an operator may want to know of a connection. Its text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum Note {
    SmallerId { me: ServerId, peer: ServerId },
    NotCalledBack { me: ServerId, peer: ServerId, times: u32 },
    OwnId { me: ServerId },
    BadInitialMessage(InitialMessageError),
    NoInitialMessage,
    TooManyUnnamed,
    TooManyStrangers { peer: ServerId },
    BadFrame { peer: ServerId, error: BadFrameLen },
    BadNotification { peer: ServerId, error: NotificationError },
    Unanswered { peer: ServerId },
    Stuck { peer: ServerId },
    Authenticated { peer: ServerId, user: String },
    NotAuthenticated { peer: ServerId, error: AuthError },
    LetThrough { peer: ServerId, error: AuthError },
    NotHeardOut { peer: ServerId },
}

impl Note {
    /// Whether an operator may have to do something.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Note::SmallerId { .. } | Note::Unanswered { .. } | Note::Authenticated { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::SmallerId { me, peer } => {
                write!(
                    f,
                    "Have smaller server identifier, so dropping the connection: (myId:{me} --> sid:{peer})"
                )
            }
            Note::NotCalledBack { me, peer, times } => write!(
                f,
                "server {peer} was asked {times} times to connect to this server's election port, and has \
                 not done it: see on its side whether server.{me} of its configuration, its name service \
                 and its way through firewalls lead here"
            ),
            Note::OwnId { me } => {
                write!(f, "a server with this server's own id {me} connects: correct the myid of one of them")
            }
            Note::BadInitialMessage(error) => {
                write!(f, "what connected to the election port is no server of ZooKeeper's: {error}")
            }
            Note::NoInitialMessage => {
                f.write_str("what connected to the election port did not say in time who it is")
            }
            Note::TooManyUnnamed => f.write_str(
                "too many connections to the election port don't say who they are; the oldest is closed",
            ),
            Note::TooManyStrangers { peer } => write!(
                f,
                "server {peer}, which is not in the configuration, is turned away: there are too many such"
            ),
            Note::BadFrame { peer, error } => {
                write!(f, "the connection with server {peer} is closed, it brings no notifications: {error}")
            }
            Note::BadNotification { peer, error } => {
                write!(f, "a message of server {peer} is passed over: {error}")
            }
            Note::Unanswered { peer } => {
                write!(f, "server {peer} answers nothing: the connection may be dead and is made anew")
            }
            Note::Authenticated { peer, user } => {
                write!(
                    f,
                    "Successfully completed the authentication using SASL with server {peer}: it is {user}"
                )
            }
            Note::NotAuthenticated { peer, error } => {
                write!(
                    f,
                    "Failed to authenticate using SASL: the connection with server {peer} is closed: {error}"
                )
            }
            Note::LetThrough { peer, error } => write!(
                f,
                "Failed to authenticate using SASL: server {peer} is let through all the same, since \
                 quorum.auth.serverRequireSasl is false: {error}"
            ),
            Note::NotHeardOut { peer } => write!(
                f,
                "Failed to authenticate using SASL: server {peer} closed the connection meanwhile, or did not answer: \
                 see whether quorum.auth.enableSasl is true there"
            ),
            Note::Stuck { peer } => {
                write!(f, "server {peer} takes nothing that is sent to it: the connection is closed")
            }
        }
    }
}
