//! **A session's requests are answered in their order, each from a state that is not older than any that the session
//! was shown before, and with its own writes in it.** A reply says by its zxid which state it is from: it must be
//! right in exactly that state.

use ringkeeper_core::id::Zxid;
use ringkeeper_core::ops::CONFIG_NODE;
use ringkeeper_core::tree::{Delta, Node, parent_of};
use ringkeeper_kit::wire::{Body, Reply, Request, SubResult, create_mode};

use super::history::{History, Txn};
use super::{Verdict, must};

pub(crate) const PROMISE: &str = "a session is answered in order, never from an older state, and truly";

/// What is known of a request when its reply comes.
pub(crate) struct Answered<'a> {
    pub(crate) whose: &'a str,
    pub(crate) session: i64,
    pub(crate) request: &'a Request,
    pub(crate) reply: &'a Reply,
    /// How much of the history the session was shown before.
    pub(crate) seen: usize,
    /// Whether sessions are their server's own, and stay so.
    pub(crate) has_only_local: bool,
}

/// Whether a request changes something.
pub(crate) fn is_write(request: &Request) -> bool {
    matches!(
        request,
        Request::Create { .. }
            | Request::SetData { .. }
            | Request::Delete { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
    )
}

/// Whether a request creates an ephemeral.
pub(crate) fn is_ephemeral(request: &Request) -> bool {
    matches!(request, Request::Create { flags, .. } if flags & create_mode::EPHEMERAL != 0)
}

impl Answered<'_> {
    /// Looks only at how old the state is.
    pub(crate) fn check_age(&self, history: &History) -> Verdict {
        let Answered { whose, reply, seen, .. } = self;
        let zxid = Zxid(reply.zxid);
        let len = history.len_at(zxid);
        must!(PROMISE, len >= *seen, "{whose} is answered at {zxid}, {} transactions back", seen - len);
        Ok(())
    }

    pub(crate) fn check(&self, history: &History) -> Verdict {
        self.check_age(history)?;
        let Answered { whose, reply, .. } = self;
        let zxid = Zxid(reply.zxid);
        let len = history.len_at(zxid);
        let is_known = zxid.counter() == 0 || history.at(zxid).is_some();
        must!(PROMISE, is_known, "{whose} is answered at {zxid}, which nobody has published");
        let is_readable = !matches!(reply.body, Body::Undecodable(_));
        must!(PROMISE, is_readable, "{whose} gets {reply:?} to {:?}", self.request);
        let holds = match (is_write(self.request), reply.err) {
            (true, 0) if has_failed(&reply.body) => {
                let is_without_effect = history.at(zxid).is_some_and(|txn| txn.deltas.is_empty());
                is_without_effect && self.has_failed_rightly(history, len, &reply.body)
            }
            (true, 0) => history.at(zxid).is_some_and(|txn| self.is_done(self.request, &reply.body, txn)),
            (true, EPHEMERAL_ON_LOCAL_SESSION) => self.has_only_local && is_ephemeral(self.request),
            (true, err) => is_due(self.request, history, len, err),
            (false, _) => self.is_true(history, len, self.request, reply.err, &reply.body),
        };
        must!(PROMISE, holds, "{whose} gets {reply:?} to {:?} at {zxid}", self.request);
        Ok(())
    }

    /// Whether the transaction does what was asked, and the reply says so.
    fn is_done(&self, request: &Request, body: &Body, txn: &Txn) -> bool {
        let created = |path: &str| {
            txn.deltas.iter().find_map(|delta| match delta {
                Delta::Create { node, .. } if node.path() == path => Some(node),
                _ => None,
            })
        };
        match request {
            Request::Create { path, data, flags, .. } => {
                let told = match body {
                    Body::Path(told) | Body::PathStat(told, _) => told.lossy(),
                    _ => return false,
                };
                let is_sequential = flags & create_mode::PERSISTENT_SEQUENTIAL != 0;
                let is_ephemeral = flags & create_mode::EPHEMERAL != 0;
                let is_named = match is_sequential {
                    true => told.starts_with(&path.lossy()) && told.len() == path.lossy().len() + 10,
                    false => told == path.lossy(),
                };
                is_named
                    && created(&told).is_some_and(|node| {
                        node.data() == data.bytes()
                            && node.owner() == if is_ephemeral { self.session } else { 0 }
                            && node.czxid() == txn.zxid
                    })
            }
            Request::SetData { path, data, .. } => txn.deltas.iter().any(|delta| match (delta, body) {
                (Delta::SetData(node), Body::Stat(stat)) => {
                    node.path() == path.lossy()
                        && node.data() == data.bytes()
                        && (node.version(), node.mzxid().0) == (stat.version, stat.mzxid)
                }
                _ => false,
            }),
            Request::Delete { path, .. } => txn
                .deltas
                .iter()
                .any(|delta| matches!(delta, Delta::Delete(node) if node.path() == path.lossy())),
            Request::Check { .. } => true,
            Request::Reconfig { .. } => txn.deltas.iter().any(|delta| match (delta, body) {
                (Delta::SetData(node), Body::Data(data, stat)) => {
                    node.path() == CONFIG_NODE
                        && node.data() == data.as_deref()
                        && (node.version(), node.mzxid().0) == (stat.version, stat.mzxid)
                }
                _ => false,
            }),
            Request::Multi(parts) => match body {
                Body::Results(results) => {
                    parts.len() == results.len()
                        && parts.iter().zip(results).all(|(part, result)| match result {
                            SubResult::Done(_, body) => self.is_done(part, body, txn),
                            SubResult::Failed(_) => false,
                        })
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a multi had to fail so: the part that failed, on its own, for here no part depends on another.
    fn has_failed_rightly(&self, history: &History, len: usize, body: &Body) -> bool {
        let (Request::Multi(parts), Body::Results(results)) = (self.request, body) else { return false };
        let errs = results.iter().map(|result| match result {
            SubResult::Failed(err) => *err,
            SubResult::Done(..) => 0,
        });
        let failed = parts.iter().zip(errs).find(|(_, err)| *err != 0);
        failed.is_some_and(|(part, err)| is_due(part, history, len, err))
    }

    /// Whether the reply to a read tells the state.
    fn is_true(&self, history: &History, len: usize, request: &Request, err: i32, body: &Body) -> bool {
        let node = |path: &ringkeeper_kit::wire::Text| history.node(&path.lossy(), len);
        let is_stat = |node: &Node, stat: &ringkeeper_kit::wire::Stat| {
            let children = history.children(node.path(), len).len() as i32;
            (node.czxid().0, node.mzxid().0, node.version(), node.owner(), children)
                == (stat.czxid, stat.mzxid, stat.version, stat.ephemeral_owner, stat.num_children)
        };
        match (request, err, body) {
            (Request::GetData { path, .. }, 0, Body::Data(data, stat)) => {
                node(path).is_some_and(|node| node.data() == data.as_deref() && is_stat(node, stat))
            }
            (Request::Exists { path, .. }, 0, Body::Stat(stat)) => {
                node(path).is_some_and(|node| is_stat(node, stat))
            }
            (Request::GetChildren { path, .. }, 0, Body::Children(names)) => {
                node(path).is_some() && is_list(names, &history.children(&path.lossy(), len))
            }
            (Request::GetChildren2 { path, .. }, 0, Body::ChildrenStat(names, stat)) => {
                is_list(names, &history.children(&path.lossy(), len))
                    && node(path).is_some_and(|node| is_stat(node, stat))
            }
            (Request::MultiRead(parts), 0, Body::Results(results)) => {
                parts.len() == results.len()
                    && parts.iter().zip(results).all(|(part, result)| match result {
                        SubResult::Done(_, body) => self.is_true(history, len, part, 0, body),
                        SubResult::Failed(err) => self.is_true(history, len, part, *err, &Body::Nothing),
                    })
            }
            (
                Request::GetData { path, .. }
                | Request::Exists { path, .. }
                | Request::GetChildren { path, .. }
                | Request::GetChildren2 { path, .. },
                NO_NODE,
                Body::Nothing,
            ) => node(path).is_none(),
            (Request::Sync { .. }, 0, Body::Path(_)) => true,
            (Request::AddWatch { .. } | Request::SetWatches2 { .. }, 0, _) => true,
            (Request::Ping | Request::CloseSession, 0, Body::Nothing) => true,
            // A log without room refuses even the end of a session.
            (
                Request::Sync { .. } | Request::CloseSession,
                SYSTEM_ERROR | SESSION_MOVED | SESSION_EXPIRED,
                _,
            ) => true,
            _ => false,
        }
    }
}

fn has_failed(body: &Body) -> bool {
    match body {
        Body::Results(results) => results.iter().any(|result| matches!(result, SubResult::Failed(_))),
        _ => false,
    }
}

/// Whether a write has to fail so in this state.
fn is_due(request: &Request, history: &History, len: usize, err: i32) -> bool {
    let node = |path: &str| history.node(path, len);
    match (request, err) {
        (_, SYSTEM_ERROR | SESSION_MOVED | SESSION_EXPIRED) => true,
        // Which servers are up to date, only the leader knows.
        (Request::Reconfig { .. }, BAD_ARGUMENTS | NEW_CONFIG_NO_QUORUM | RECONFIG_IN_PROGRESS) => true,
        (Request::Create { path, .. }, NODE_EXISTS) => node(&path.lossy()).is_some(),
        (Request::Create { path, .. }, NO_NODE) => {
            parent_of(&path.lossy()).is_some_and(|parent| node(parent).is_none())
        }
        (
            Request::SetData { path, .. } | Request::Delete { path, .. } | Request::Check { path, .. },
            NO_NODE,
        ) => node(&path.lossy()).is_none(),
        (
            Request::SetData { path, version, .. }
            | Request::Delete { path, version }
            | Request::Check { path, version },
            BAD_VERSION,
        ) => *version != -1 && node(&path.lossy()).is_some_and(|node| node.version() != *version),
        (Request::Delete { path, .. }, NOT_EMPTY) => !history.children(&path.lossy(), len).is_empty(),
        _ => false,
    }
}

/// Whether these are the names, in whatever order.
fn is_list(names: &[ringkeeper_kit::wire::Text], expected: &[&str]) -> bool {
    let mut names: Vec<String> = names.iter().map(ringkeeper_kit::wire::Text::lossy).collect();
    names.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    names == expected
}

const SYSTEM_ERROR: i32 = -1;
const BAD_ARGUMENTS: i32 = -8;
const NEW_CONFIG_NO_QUORUM: i32 = -13;
const RECONFIG_IN_PROGRESS: i32 = -14;
const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
const NOT_EMPTY: i32 = -111;
const SESSION_EXPIRED: i32 = -112;
const SESSION_MOVED: i32 = -118;
const EPHEMERAL_ON_LOCAL_SESSION: i32 = -120;
