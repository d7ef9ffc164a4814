use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ringkeeper_core::flow::{CommitBatch, ConnId};
use ringkeeper_core::shard::{CloseReason, Effect, Shard};
use tracing::{debug, info};

use crate::admin::{Desk, Question};
use crate::net::Admitted;
use crate::runtime::{Bell, Clock, Sender, Socket, sleep, spawn};
use crate::wiring::ToCommit;

/// What the tasks of a shard share: the machine, and the sockets of its connections.
pub(super) struct Driver {
    state: RefCell<State>,
    turn_due: Bell,
    commit: Sender<ToCommit>,
    desk: Arc<Desk>,
    clock: Clock,
}

struct State {
    shard: Shard,
    conns: HashMap<ConnId, Conn>,
    effects: Vec<Effect>,
    /// Where all connections read to; what must be kept is copied out.
    scratch: Box<[u8]>,
}

struct Conn {
    socket: Socket,
    peer: SocketAddr,
    resume: Rc<Bell>,
    /// A task of its own sends to this peer, which does not keep up.
    sending: bool,
    /// Nothing more is said to this peer after what was queued.
    ending: bool,
    _admitted: Admitted,
}

/// What became of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Everything was taken, but for the start of a frame.
    All,
    /// Whole frames are left, and must wait until the connection is resumed.
    Paused,
}

impl Driver {
    pub(super) fn new(shard: Shard, commit: Sender<ToCommit>, desk: Arc<Desk>, clock: Clock) -> Driver {
        let state = State {
            shard,
            conns: HashMap::new(),
            effects: Vec::new(),
            scratch: vec![0; SCRATCH_LEN].into_boxed_slice(),
        };
        Driver { state: RefCell::new(state), turn_due: Bell::default(), commit, desk, clock }
    }

    pub(super) fn on_accept(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        admitted: Admitted,
    ) -> (ConnId, Socket, Rc<Bell>) {
        let mut state = self.state.borrow_mut();
        let conn = state.shard.on_accept(peer, self.clock.now());
        let (socket, resume) = (Socket::new(socket), Rc::new(Bell::default()));
        state.conns.insert(
            conn,
            Conn {
                socket: socket.clone(),
                peer,
                resume: resume.clone(),
                sending: false,
                ending: false,
                _admitted: admitted,
            },
        );
        (conn, socket, resume)
    }

    /// Reads what the socket has and gives it to the shard, after what was kept. An error is the end
    /// of the connection.
    pub(super) fn poll_input(
        &self,
        cx: &mut Context<'_>,
        conn: ConnId,
        socket: &Socket,
        kept: &mut Vec<u8>,
    ) -> Poll<io::Result<Taken>> {
        let State { shard, conns, scratch, .. } = &mut *self.state.borrow_mut();
        let len = ready!(socket.poll_recv(cx, scratch))?;
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        if conns.get(&conn).is_none_or(|conn| conn.ending) {
            // What a peer still sends is read away, so that the kernel does not reset the connection
            // before the peer has read our last words.
            return Poll::Ready(Ok(Taken::All));
        }
        let now = self.clock.now();
        if kept.is_empty() {
            let input = &scratch[..len];
            let taken = shard.on_input(conn, input, now);
            kept.extend_from_slice(&input[taken..]);
        } else {
            kept.extend_from_slice(&scratch[..len]);
            let taken = shard.on_input(conn, kept, now);
            kept.drain(..taken);
        }
        Poll::Ready(Ok(taken(shard, conn)))
    }

    /// Gives the shard again what it could not take.
    pub(super) fn on_kept(&self, conn: ConnId, kept: &mut Vec<u8>) -> Taken {
        let State { shard, conns, .. } = &mut *self.state.borrow_mut();
        if conns.get(&conn).is_none_or(|conn| conn.ending) {
            kept.clear();
            return Taken::All;
        }
        let taken_len = shard.on_input(conn, kept, self.clock.now());
        kept.drain(..taken_len);
        taken(shard, conn)
    }

    /// The connection is gone, or the peer has ended it.
    pub(super) fn on_end(&self, conn: ConnId, end: &io::Error) {
        let State { shard, conns, .. } = &mut *self.state.borrow_mut();
        match conns.get(&conn) {
            // A peer that ends its side early still gets what was queued for it.
            Some(Conn { ending: true, sending: true, .. }) | None => {}
            Some(Conn { ending: true, .. }) => {
                conns.remove(&conn);
            }
            Some(Conn { peer, socket, .. }) => {
                debug!("{peer} has ended its connection: {end}");
                socket.end();
                shard.on_closed(conn);
                conns.remove(&conn);
            }
        }
    }

    pub(super) fn on_commit(&self, batch: &CommitBatch) {
        self.state.borrow_mut().shard.on_commit(batch, self.clock.now());
    }

    pub(super) fn on_tick(&self) {
        self.state.borrow_mut().shard.on_tick(self.clock.now());
        self.turn_due.ring();
    }

    pub(super) fn on_question(&self, question: &Arc<Question>) {
        let report = self.state.borrow_mut().shard.report(question.resets());
        self.desk.add(question, report);
    }

    pub(super) fn on_answer(&self, conn: ConnId, answer: &[u8]) {
        self.state.borrow_mut().shard.send_and_close(conn, answer);
    }

    /// Hands requests to the commit role, once per round of the executor: what several connections
    /// brought at the same time goes together.
    pub(super) async fn submit_turns(self: Rc<Self>) {
        loop {
            self.turn_due.wait().await;
            let turn = self.state.borrow_mut().shard.take_turn(self.clock.now());
            if let Some(turn) = turn {
                self.commit.post(ToCommit::Turn(turn));
            }
        }
    }

    /// Does what the shard has decided.
    pub(super) fn perform(self: &Rc<Self>) {
        let State { shard, conns, effects, .. } = &mut *self.state.borrow_mut();
        shard.take_effects(effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Flush(id) => {
                    if let Some(conn) = conns.get_mut(&id) {
                        self.flush(id, conn, shard);
                    }
                }
                Effect::Close(id, reason) => {
                    if let Some(conn) = conns.get_mut(&id) {
                        note_close(conn.peer, &reason);
                        conn.ending = true;
                        self.flush(id, conn, shard);
                        // Its task reads away what is left, and must not wait for the shard any more.
                        conn.resume.ring();
                    }
                }
                Effect::Resume(id) => {
                    if let Some(conn) = conns.get(&id) {
                        conn.resume.ring();
                    }
                }
                Effect::Word(id, word) => self.desk.ask(shard.id(), id, word),
            }
        }
        if shard.has_submissions() {
            self.turn_due.ring();
        }
    }

    /// Ends every connection.
    pub(super) fn end_all(&self) {
        self.state.borrow().conns.values().for_each(|conn| conn.socket.end());
    }

    /// Sends what the kernel takes of a connection's output, and leaves the rest to a task.
    fn flush(self: &Rc<Self>, id: ConnId, conn: &mut Conn, shard: &mut Shard) {
        if conn.sending {
            return;
        }
        let output = shard.output(id);
        match conn.socket.send_now(output) {
            Ok(sent) if sent == output.len() => {
                output.clear();
                if conn.ending {
                    self.finish(id, conn, shard);
                }
            }
            Ok(sent) => {
                output.drain(..sent);
                conn.sending = true;
                spawn(self.clone().send_rest(id, conn.socket.clone()));
            }
            // The reading side sees it too, and cleans up.
            Err(_) => conn.socket.end(),
        }
    }

    async fn send_rest(self: Rc<Self>, id: ConnId, socket: Socket) {
        let sent_all = poll_fn(|cx| {
            loop {
                let State { shard, conns, .. } = &mut *self.state.borrow_mut();
                let Some(conn) = conns.get_mut(&id) else { return Poll::Ready(false) };
                let output = shard.output(id);
                if output.is_empty() {
                    conn.sending = false;
                    if conn.ending {
                        self.finish(id, conn, shard);
                    }
                    return Poll::Ready(true);
                }
                match ready!(socket.poll_send(cx, output)) {
                    Ok(sent) => {
                        output.drain(..sent);
                        shard.on_sent(id);
                    }
                    Err(_) => return Poll::Ready(false),
                }
            }
        });
        if !sent_all.await {
            socket.end();
        }
        self.perform();
    }

    /// Everything was said. The peer may still be sending: it gets a moment to see our end first.
    fn finish(self: &Rc<Self>, id: ConnId, conn: &Conn, shard: &mut Shard) {
        shard.on_closed(id);
        conn.socket.end_writing();
        let driver = self.clone();
        spawn(async move {
            sleep(LINGER).await;
            if let Some(conn) = driver.state.borrow_mut().conns.remove(&id) {
                conn.socket.end();
            }
        });
    }
}

fn taken(shard: &Shard, conn: ConnId) -> Taken {
    if shard.is_paused(conn) { Taken::Paused } else { Taken::All }
}

fn note_close(peer: SocketAddr, reason: &CloseReason) {
    if reason.is_expected() {
        debug!("closing {peer}: {reason}");
    } else {
        info!("closing {peer}: {reason}");
    }
}

/// What one attempt reads at the most.
const SCRATCH_LEN: usize = 64 << 10;
/// How long a connection that we ended may take to be ended by the peer.
const LINGER: Duration = Duration::from_secs(1);
