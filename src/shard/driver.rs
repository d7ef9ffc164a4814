use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use foldhash::fast::FixedState;
use ringkeeper_core::flow::{CommitBatch, ConnId};
use ringkeeper_core::shard::{CloseReason, Effect, Next, Shard};
use tracing::{debug, info};

use crate::admin::{Desk, Question, Reset};
use crate::net::Admitted;
use crate::runtime::{Bell, Clock, Sender, Socket, sleep, spawn};
use crate::wiring::{Published, ToCommit};

/// What the tasks of a shard share: the machine, and the sockets of its connections.
pub(super) struct Driver {
    state: RefCell<State>,
    turn_due: Bell,
    commit: Sender<ToCommit>,
    desk: Arc<Desk>,
    published: Published,
    clock: Clock,
}

struct State {
    shard: Shard,
    /// How many batches the shard has applied.
    applied: u64,
    /// Connections whose input waits until the shard has applied what is published.
    behind: Vec<Rc<Bell>>,
    conns: HashMap<ConnId, Conn, FixedState>,
    effects: Vec<Effect>,
    /// Where all connections read to; what must be kept is copied out.
    scratch: Box<[u8]>,
    /// What is being sent; connections lend it theirs in turn.
    output: Vec<u8>,
}

struct Conn {
    socket: Socket,
    peer: SocketAddr,
    resume: Rc<Bell>,
    /// What the kernel has not taken. While there is some, a task of its own sends it.
    unsent: Vec<u8>,
    /// Nothing more is said to this peer after what was queued.
    is_ending: bool,
    /// Its place among the connections, until its end is told to the peer.
    admitted: Option<Admitted>,
}

impl Driver {
    pub(super) fn new(
        shard: Shard,
        commit: Sender<ToCommit>,
        desk: Arc<Desk>,
        published: Published,
        clock: Clock,
    ) -> Driver {
        let state = State {
            shard,
            applied: 0,
            behind: Vec::new(),
            conns: HashMap::default(),
            effects: Vec::new(),
            scratch: vec![0; SCRATCH_LEN].into_boxed_slice(),
            output: Vec::new(),
        };
        Driver { state: RefCell::new(state), turn_due: Bell::default(), commit, desk, published, clock }
    }

    pub(super) fn on_accept(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        admitted: Admitted,
    ) -> (ConnId, Socket, Rc<Bell>) {
        let mut state = self.state.borrow_mut();
        let id = state.shard.on_accept(peer, self.clock.now());
        let (socket, resume) = (Socket::new(socket), Rc::new(Bell::default()));
        let conn = Conn {
            socket: socket.clone(),
            peer,
            resume: resume.clone(),
            unsent: Vec::new(),
            is_ending: false,
            admitted: Some(admitted),
        };
        state.conns.insert(id, conn);
        (id, socket, resume)
    }

    /// Reads what the socket has and gives it to the shard, behind what was kept. An error is the end of
    /// the connection.
    pub(super) fn poll_input(
        &self,
        cx: &mut Context<'_>,
        id: ConnId,
        socket: &Socket,
        kept: &mut Vec<u8>,
    ) -> Poll<io::Result<Next>> {
        let State { shard, scratch, applied, conns, behind, .. } = &mut *self.state.borrow_mut();
        let len = ready!(socket.poll_recv(cx, scratch))?;
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        if *applied < self.published.batches()
            && let Some(conn) = conns.get(&id)
        {
            kept.extend_from_slice(&scratch[..len]);
            behind.push(conn.resume.clone());
            return Poll::Ready(Ok(Next::Resume));
        }
        let now = self.clock.now();
        let intake = if kept.is_empty() {
            let input = &scratch[..len];
            let intake = shard.on_input(id, input, now);
            kept.extend_from_slice(&input[intake.consumed..]);
            intake
        } else {
            kept.extend_from_slice(&scratch[..len]);
            let intake = shard.on_input(id, kept, now);
            kept.drain(..intake.consumed);
            intake
        };
        Poll::Ready(Ok(intake.next))
    }

    /// Gives the shard again what it could not take.
    pub(super) fn on_kept(&self, id: ConnId, kept: &mut Vec<u8>) -> Next {
        let intake = self.state.borrow_mut().shard.on_input(id, kept, self.clock.now());
        kept.drain(..intake.consumed);
        intake.next
    }

    /// The peer has ended the connection, or the kernel has.
    pub(super) fn on_end(&self, id: ConnId, end: &io::Error) {
        let State { shard, conns, .. } = &mut *self.state.borrow_mut();
        let Some(conn) = conns.get(&id) else { return };
        if conn.is_ending && !conn.unsent.is_empty() {
            // A peer that ends its side early still gets what was queued for it.
            return;
        }
        if !conn.is_ending {
            debug!("{} has ended its connection: {end}", conn.peer);
            conn.socket.end();
            shard.on_closed(id);
        }
        conns.remove(&id);
    }

    pub(super) fn on_commit(&self, batch: &CommitBatch) {
        let State { shard, applied, behind, .. } = &mut *self.state.borrow_mut();
        shard.on_commit(batch, self.clock.now());
        *applied += 1;
        if *applied == self.published.batches() {
            behind.drain(..).for_each(|resume| resume.ring());
        }
    }

    pub(super) fn on_tick(&self) {
        self.state.borrow_mut().shard.on_tick(self.clock.now());
        self.turn_due.ring();
    }

    pub(super) fn on_question(&self, question: &Question) {
        let shard = &mut self.state.borrow_mut().shard;
        self.desk.add(question, shard.report());
        match question.resets() {
            Some(Reset::Connections) => shard.reset_connection_stats(),
            Some(Reset::Server) => shard.reset_stats(),
            None => {}
        }
    }

    pub(super) fn on_answer(&self, id: ConnId, answer: &[u8]) {
        self.state.borrow_mut().shard.send_raw_and_close(id, answer);
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
        let State { shard, conns, effects, output, .. } = &mut *self.state.borrow_mut();
        shard.take_effects(effects);
        // Sending makes room, which may let a connection resume: so there may be more effects.
        while !effects.is_empty() {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Flush(id) => {
                        if let Some(conn) = conns.get_mut(&id) {
                            self.flush(id, conn, shard, output);
                        }
                    }
                    Effect::Close(id, reason) => {
                        if let Some(conn) = conns.get_mut(&id) {
                            note_close(conn.peer, &reason);
                            conn.is_ending = true;
                            if reason.is_abrupt() {
                                conn.unsent.clear();
                                conn.socket.end();
                            }
                            self.flush(id, conn, shard, output);
                            // Its task now reads away what is left, and waits for the shard no more.
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
            shard.take_effects(effects);
        }
        if shard.has_submitted() {
            self.turn_due.ring();
        }
    }

    /// Ends every connection.
    pub(super) fn end_all(&self) {
        self.state.borrow().conns.values().for_each(|conn| conn.socket.end());
    }

    /// Sends what the kernel takes of a connection's output, and leaves the rest to a task.
    fn flush(self: &Rc<Self>, id: ConnId, conn: &mut Conn, shard: &mut Shard, output: &mut Vec<u8>) {
        if !conn.unsent.is_empty() {
            return;
        }
        shard.swap_output(id, output);
        match conn.socket.send_now(output) {
            Ok(sent) if sent == output.len() => {
                if conn.is_ending {
                    self.finish(id, conn, shard);
                }
            }
            Ok(sent) => {
                conn.unsent = output.split_off(sent);
                spawn(self.clone().send_rest(id, conn.socket.clone()));
            }
            // The reading side sees it too, and cleans up.
            Err(_) => conn.socket.end(),
        }
        output.clear();
        output.shrink_to(OUTPUT_KEPT_LEN);
    }

    /// Sends what a peer that does not keep up has not taken, and what has come since, until it has all.
    async fn send_rest(self: Rc<Self>, id: ConnId, socket: Socket) {
        let result = poll_fn(|cx| {
            loop {
                let State { shard, conns, .. } = &mut *self.state.borrow_mut();
                let Some(conn) = conns.get_mut(&id) else { return Poll::Ready(Ok(())) };
                if conn.unsent.is_empty() {
                    shard.swap_output(id, &mut conn.unsent);
                }
                if conn.unsent.is_empty() {
                    conn.unsent = Vec::new();
                    if conn.is_ending {
                        self.finish(id, conn, shard);
                    }
                    return Poll::Ready(Ok(()));
                }
                let sent = ready!(socket.poll_send(cx, &conn.unsent))?;
                conn.unsent.drain(..sent);
            }
        });
        let result: io::Result<()> = result.await;
        if result.is_err() {
            if let Some(conn) = self.state.borrow_mut().conns.get_mut(&id) {
                conn.unsent = Vec::new();
            }
            socket.end();
        }
        self.perform();
    }

    /// Everything was said. The peer may still be sending: it gets a moment to see our end first.
    fn finish(self: &Rc<Self>, id: ConnId, conn: &mut Conn, shard: &mut Shard) {
        shard.on_closed(id);
        // Who sees this connection end may count on its place.
        conn.admitted = None;
        conn.socket.end_writing();
        let driver = self.clone();
        spawn(async move {
            sleep(LINGER).await;
            let conn = driver.state.borrow_mut().conns.remove(&id);
            if let Some(conn) = conn {
                conn.socket.end();
            }
        });
    }
}

fn note_close(peer: SocketAddr, reason: &CloseReason) {
    if reason.is_routine() {
        debug!("closing {peer}: {reason}");
    } else {
        info!("closing {peer}: {reason}");
    }
}

/// What one attempt reads at the most.
const SCRATCH_LEN: usize = 64 << 10;
/// How much of a buffer for output is kept for the next.
const OUTPUT_KEPT_LEN: usize = 64 << 10;
/// How long a connection that we ended may take to be ended by the peer.
const LINGER: Duration = Duration::from_secs(1);
