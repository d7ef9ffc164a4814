//! One core's client connections, without I/O: framing, handshake, requests in their sessions' order,
//! reads, watches (design §2).
//!
//! ```text
//!                    on_input (bytes)                     swap_output (bytes)
//!   driver  ----------------------------.        .--------------------------->  driver
//!                                       v        |
//!                 +------------------ Shard -----+------------------+
//!                 | conns[n]:  state, pending requests, out         |
//!                 | tree:      this core's index of the nodes       |
//!                 | watches:   who hears of a change                |
//!                 +-------+-------------------------------^---------+
//!                         | take_turn: ShardTurn          | on_commit: CommitBatch
//!                         '------------> commit ----------'
//! ```
//!
//! A connection awaits, in turn:
//!
//! ```text
//!                  word             answered
//!   AwaitConnect --------> AwaitAnswer -------------------.
//!        | connect                                        v
//!        v        Connected        close, bad op       the end
//!   AwaitSession -----------> Open --------------> Ending ---> Closed
//! ```
//!
//! Requests that change state go to the commit role at once. A read is answered at once if nothing of its
//! connection is pending; otherwise it waits in the connection's queue, with every request behind it, and
//! is answered from the tree as it is at the moment when the last ordered request before it gets its
//! reply: it sees at least that request's effect, and nothing of it that comes after in the session. Events
//! are put into a connection's output when the change is applied, so ahead of every reply that could show
//! it. Other connections never wait, unless the requests in process are limited: then those beyond wait in one
//! line before all this.

mod apply;
mod behind;
mod conn;
mod effect;
mod events;
mod framing;
mod handshake;
mod input;
mod line;
mod line_up;
mod multi_read;
mod options;
mod reads;
mod reply;
mod report;
mod stats;
mod throttle;
mod watch_requests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub use behind::Behind;
use conn::{Conns, Stage, State};
pub use effect::{CloseReason, Effect, Intake, Next};
use line::Line;
pub use options::ShardOptions;
pub use report::{ConnReport, Lists, SessionReport, ShardReport};
pub use stats::{Latency, ReplySizes, ShardStats};
use throttle::Throttle;

use crate::flow::{ConnId, Records, ShardId, ShardTurn, Submitted};
use crate::id::SessionId;
use crate::time::Instant;
use crate::tree::DataTree;
use crate::watch::{WatchManager, Watcher};

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// No client.
    Nobody,
    /// Clients that said they will do with a server that takes no writes, because it has no leader. The commit
    /// role refuses what they may not do.
    ReadOnly,
    /// All clients.
    Everybody,
}

/// A shard. See the module's documentation.
pub struct Shard {
    id: ShardId,
    options: ShardOptions,
    tree: DataTree,
    watches: WatchManager,
    conns: Conns,
    service: Service,
    throttle: Option<Throttle>,
    /// Who waits while enough requests are in process, if there is such a limit.
    line: Option<Line>,
    /// Connections that have gone and whose watches have not all been forgotten.
    leaving: Vec<Watcher>,
    /// Requests without a reply, of all connections.
    outstanding: usize,
    /// The bytes of those of them that are large.
    large_len: usize,
    effects: Vec<Effect>,
    /// Since the last turn, and their records.
    submitted: Vec<Submitted>,
    records: Records,
    /// Connections, by index, that were heard since the last turn.
    heard: Vec<u32>,
    /// Sessions that were heard since the last turn on connections that have gone.
    heard_before_close: Vec<(SessionId, Instant)>,
    turn_due: Instant,
    /// Whether a request was answered that takes time in proportion to the tree: others get their turn now.
    is_turn_spent: bool,
    /// Connections that owe a handshake, and when; the earliest first.
    handshakes: VecDeque<(Instant, ConnId)>,
    stats: ShardStats,
    /// Who hears of the event at hand, and its frame; kept for their memory.
    hits: Vec<Watcher>,
    event: Vec<u8>,
}

impl Shard {
    /// A shard that has no connections and starts from this tree.
    pub fn new(id: ShardId, tree: DataTree, options: ShardOptions) -> Shard {
        let throttle = options.connection_throttle.map(|throttle| Throttle::new(throttle, options.seed));
        let line = options.request_throttle.map(|throttle| Line::new(throttle, options.stale));
        Shard {
            id,
            watches: WatchManager::new(options.seed),
            options,
            tree,
            conns: Conns::default(),
            service: Service::Everybody,
            throttle,
            line,
            leaving: Vec::new(),
            outstanding: 0,
            large_len: 0,
            effects: Vec::new(),
            submitted: Vec::new(),
            records: Records::default(),
            heard: Vec::new(),
            heard_before_close: Vec::new(),
            turn_due: Instant(0),
            is_turn_spent: false,
            handshakes: VecDeque::new(),
            stats: ShardStats::default(),
            hits: Vec::new(),
            event: Vec::new(),
        }
    }

    /// Serves these from now on. If that is a change, every client's connection is closed: what it had sent and
    /// got no answer to may have happened or not (ensemble-scenarios B1). Connections that ask a word stay.
    pub fn serve(&mut self, service: Service) {
        if std::mem::replace(&mut self.service, service) == service {
            return;
        }
        let is_client = |conn: &&conn::Conn| !matches!(conn.state, State::AwaitAnswer | State::AwaitConnect);
        let clients: Vec<ConnId> = self.conns.iter().filter(is_client).map(|conn| conn.id).collect();
        for id in clients {
            self.close(id, CloseReason::NotServing);
        }
        self.submitted.clear();
        self.records = Records::default();
        if let Some(line) = &mut self.line {
            line.clear();
        }
    }

    /// Another state takes the place of the tree, while nobody is [served](Service::Nobody).
    pub fn replace(&mut self, tree: DataTree) {
        self.tree = tree;
    }

    /// Takes on a connection. Every one ends with [`Shard::on_closed`].
    pub fn on_accept(&mut self, peer: SocketAddr, now: Instant) -> ConnId {
        let id = self.conns.insert(peer, now);
        self.handshakes.push_back((handshake_deadline(now, self.options.sessionless_timeout), id));
        id
    }

    /// The socket is gone, whoever closed it. Watches and waiting requests go with it, the session stays.
    pub fn on_closed(&mut self, id: ConnId) {
        self.release(id);
        if let Some(conn) = self.conns.remove(id) {
            self.leaving.push(conn.watcher());
            self.forget_watches();
        }
    }

    /// Lets time pass: closes connections that still owe their handshake, and goes on forgetting what those
    /// that have gone watched. To be called several times a second.
    pub fn on_tick(&mut self, now: Instant) {
        self.advance_line(now);
        self.forget_watches();
        while let Some((deadline, id)) = self.handshakes.front().copied() {
            if deadline > now {
                break;
            }
            self.handshakes.pop_front();
            let Some(conn) = self.conns.get(id) else { continue };
            if conn.state == State::AwaitConnect {
                self.stats.sessionless_expired += 1;
                let waited_ms = now.since(conn.established).as_millis() as u64;
                self.close(id, CloseReason::NoHandshake { waited_ms });
            }
        }
    }

    /// Appends what the driver must do since the last call, in order.
    pub fn take_effects(&mut self, into: &mut Vec<Effect>) {
        for effect in &self.effects {
            if let Effect::Flush(id) = effect
                && let Some(conn) = self.conns.get_mut(*id)
            {
                conn.is_flushing = false;
            }
        }
        into.append(&mut self.effects);
    }

    /// What goes to the commit role since the last call: at once if there are requests, otherwise each
    /// [`HEARD_INTERVAL`]. The shard must have been given everything that its connections sent until `now`,
    /// as far as the driver has it.
    pub fn take_turn(&mut self, now: Instant) -> Option<ShardTurn> {
        if self.submitted.is_empty() && now < self.turn_due {
            return None;
        }
        self.turn_due = now + HEARD_INTERVAL;
        let mut heard = std::mem::take(&mut self.heard_before_close);
        for index in self.heard.drain(..) {
            if let Some(conn) = self.conns.at_mut(index)
                && std::mem::take(&mut conn.is_heard)
            {
                heard.push((conn.session, conn.last_heard));
            }
        }
        // There will be about as many next time.
        let next = Vec::with_capacity(self.submitted.len());
        let submitted = std::mem::replace(&mut self.submitted, next);
        let records = std::mem::take(&mut self.records);
        Some(ShardTurn { shard: self.id, submitted, records, heard, as_of: now })
    }

    /// Swaps the connection's output for an empty buffer, the driver's last one. What is swapped out no
    /// longer counts as waiting, so the driver takes more only when it has sent that.
    pub fn swap_output(&mut self, id: ConnId, buffer: &mut Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > OUTPUT_KEPT_LEN_MAX {
            *buffer = Vec::new();
        }
        if let Some(conn) = self.conns.get_mut(id) {
            std::mem::swap(&mut conn.out, buffer);
            self.resume_if_free(id);
        }
    }

    /// Answers a four-letter word, and closes the connection.
    pub fn send_raw_and_close(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.state != State::Closed {
            conn.out.extend_from_slice(bytes);
            self.close(id, CloseReason::Answered);
        }
    }

    /// This core's tree.
    pub fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// The shard's number.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Whether requests wait for [`Shard::take_turn`].
    pub fn has_submitted(&self) -> bool {
        !self.submitted.is_empty()
    }

    /// Has the driver close the connection. It hears of nothing from now on.
    fn close(&mut self, id: ConnId, reason: CloseReason) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.state == State::Closed {
            return;
        }
        if reason.is_abrupt() {
            conn.out = Vec::new();
        }
        self.effects.push(Effect::Close(id, reason));
        self.release(id);
    }

    /// Ends everything about a connection but its output.
    fn release(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.state = State::Closed;
        self.outstanding -= conn.outstanding();
        if self.options.stale.closed_connection {
            let is_waiting = |pending: &&conn::Pending| !matches!(pending.stage, Stage::Ordered);
            self.stats.stale_replies += conn.pending.iter().filter(is_waiting).count() as u64;
        }
        let large = |pending: &conn::Pending| large_len(&self.options, pending.len);
        self.large_len -= conn.pending.iter().map(large).sum::<usize>();
        conn.pending.clear();
        conn.pending_len = 0;
        if std::mem::take(&mut conn.in_line) > 0
            && let Some(line) = &mut self.line
        {
            self.large_len -= line.on_closed(id, &mut self.stats);
        }
        if std::mem::take(&mut conn.is_heard) {
            self.heard_before_close.push((conn.session, conn.last_heard));
        }
        let watcher = conn.watcher();
        // What is left is forgotten once the connection has gone: until then nothing is sent to it.
        self.watches.forget(watcher, WATCHES_FORGOTTEN_MAX);
    }

    /// Forgets what connections watched that have gone, some of it each time: there may be a million.
    fn forget_watches(&mut self) {
        let Some(watcher) = self.leaving.last().copied() else { return };
        if self.watches.forget(watcher, WATCHES_FORGOTTEN_MAX) {
            self.leaving.pop();
            self.conns.free(watcher.0);
        }
    }

    /// Whether the connection's next request must wait for its earlier ones, or for its reader.
    fn must_wait(&self, id: ConnId) -> bool {
        self.conns.get(id).is_some_and(|conn| {
            matches!(conn.state, State::AwaitSession { .. })
                || conn.out.len() >= self.options.output_pause_len
                || conn.pending_len >= self.options.pending_len_max
                || conn.has_long_waiting
                || (self.outstanding > self.options.outstanding_max && conn.outstanding() > 0)
        })
    }

    /// Has the driver go on with a paused connection's input once nothing holds it.
    fn resume_if_free(&mut self, id: ConnId) {
        if self.must_wait(id) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(id)
            && conn.state != State::Closed
            && std::mem::take(&mut conn.is_paused)
        {
            self.effects.push(Effect::Resume(id));
        }
    }
}

/// What a request of this length counts among the large ones.
fn large_len(options: &ShardOptions, len: usize) -> usize {
    options.large_requests.filter(|large| len > large.threshold).map_or(0, |_| len)
}

/// `now` and the timeout, rounded up to the timeout's next multiple, as ZooKeeper does.
fn handshake_deadline(now: Instant, timeout: Duration) -> Instant {
    let timeout = (timeout.as_nanos() as u64).max(1);
    Instant(((now.0 + timeout) / timeout + 1) * timeout)
}

/// How often the commit role learns which sessions were heard if nothing else is to be told.
pub const HEARD_INTERVAL: Duration = Duration::from_millis(100);

/// How many watches are forgotten at once: about a millisecond's work.
const WATCHES_FORGOTTEN_MAX: usize = 5_000;

/// An output buffer that has grown beyond this for a large reply is not kept for the next.
const OUTPUT_KEPT_LEN_MAX: usize = 128 << 10;

#[cfg(test)]
mod tests;
