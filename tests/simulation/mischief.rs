//! Bugs that a test puts into the drivers, to see that the checkers catch them. None of them is in the machines.

use ringkeeper_core::election::LastLogged;
use ringkeeper_core::id::Zxid;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    None,
    /// The log says that a write is durable when it begins.
    AcknowledgeBeforeDurable,
    /// An epoch is said to be on disk, and is not.
    ForgetEpochs,
    /// The leader's order to cut the log off is only said to be done.
    SkipTruncate,
    /// Servers vote for whoever has less.
    WrongVoteOrder,
    /// A learner that comes again is not told of the last commit before NEWLEADER.
    LoseCommitOnReconnect,
    /// A client's events are sent behind the next reply.
    EventAfterData,
    /// The last ephemeral of a session stays when the session goes.
    KeepEphemeral,
    /// A server whose disk was lost votes all the same.
    TrustNothing,
}

impl Mischief {
    /// How far a server says that it is.
    pub(crate) fn vote(self, last_logged: LastLogged) -> LastLogged {
        match self {
            Mischief::WrongVoteOrder if last_logged.zxid != Zxid::UNKNOWN => {
                LastLogged { epoch: 0, zxid: Zxid(i64::MAX - last_logged.zxid.0) }
            }
            _ => last_logged,
        }
    }
}
