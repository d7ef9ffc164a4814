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
use ringkeeper_core::shard::{Behind, CloseReason, Effect, Next, Shard};
use ringkeeper_core::tree::DataTree;
use tracing::{debug, info};

use crate::admin::{Desk, Question, Reset};
use crate::net::Admitted;
use crate::runtime::{Bell, Clock, Sender, Socket, sleep, spawn};
use crate::wiring::{Mode, Published, ToCommit};

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
    behind: Behind<Rc<Bell>>,
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
    /// Its four-letter word is being answered; a peer that ends its side meanwhile still gets the answer.
    is_asking: bool,
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
            behind: Behind::default(),
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
            is_asking: false,
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
        let State { shard, scratch, conns, behind, .. } = &mut *self.state.borrow_mut();
        let len = ready!(socket.poll_recv(cx, scratch))?;
        if len == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let published = self.published.batches();
        if behind.is_behind(published)
            && let Some(conn) = conns.get(&id)
        {
            kept.extend_from_slice(&scratch[..len]);
            behind.wait(published, conn.resume.clone());
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

    /// The peer has ended the connection, or the kernel has: nothing more is read from it.
    pub(super) fn on_end(&self, id: ConnId, end: &io::Error) {
        let state = &mut *self.state.borrow_mut();
        let Some(conn) = state.conns.get(&id) else { return };
        // A peer that ends its side early still gets what is due to it, and is let go after that.
        if conn.is_asking || (conn.is_ending && !conn.unsent.is_empty()) {
            return;
        }
        debug!("{} has ended its connection: {end}", conn.peer);
        state.let_go(id);
    }

    pub(super) fn on_commit(&self, batch: &CommitBatch) {
        let State { shard, behind, .. } = &mut *self.state.borrow_mut();
        shard.on_commit(batch, self.clock.now());
        behind.advance();
        while let Some(resume) = behind.take_ready() {
            resume.ring();
        }
    }

    pub(super) fn on_serve(&self, mode: Option<Mode>) {
        self.desk.on_mode(mode);
        self.state.borrow_mut().shard.serve(Mode::service(mode));
    }

    pub(super) fn on_replace(&self, tree: DataTree) {
        self.state.borrow_mut().shard.replace(tree);
    }

    pub(super) fn on_tick(&self) {
        self.state.borrow_mut().shard.on_tick(self.clock.now());
        self.turn_due.ring();
    }

    pub(super) fn on_question(&self, question: &Question) {
        let shard = &mut self.state.borrow_mut().shard;
        self.desk.add_shard(question, shard.report(question.lists(shard.id())));
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
        let state = &mut *self.state.borrow_mut();
        let mut effects = std::mem::take(&mut state.effects);
        state.shard.take_effects(&mut effects);
        // Sending makes room, which may let a connection resume: so there may be more effects.
        while !effects.is_empty() {
            for effect in effects.drain(..) {
                self.do_one(state, effect);
            }
            state.shard.take_effects(&mut effects);
        }
        state.effects = effects;
        if state.shard.has_submitted() {
            self.turn_due.ring();
        }
    }

    fn do_one(self: &Rc<Self>, state: &mut State, effect: Effect) {
        match effect {
            Effect::Flush(id) => self.flush(id, state),
            Effect::Close(id, reason) => {
                let Some(conn) = state.conns.get_mut(&id) else { return };
                note_close(conn.peer, &reason);
                if reason.is_abrupt() {
                    return state.let_go(id);
                }
                (conn.is_asking, conn.is_ending) = (false, true);
                // Its task now reads away what is left, and waits for the shard no more.
                conn.resume.ring();
                self.flush(id, state);
                if state.conns.get(&id).is_some_and(|conn| !conn.unsent.is_empty()) {
                    self.let_go_after(LAST_WORDS, id);
                }
            }
            Effect::Resume(id) => {
                if let Some(conn) = state.conns.get(&id) {
                    conn.resume.ring();
                }
            }
            Effect::Word(id, word) => {
                if let Some(conn) = state.conns.get_mut(&id) {
                    conn.is_asking = true;
                    self.desk.ask(state.shard.id(), id, word);
                }
            }
        }
    }

    /// Ends every connection.
    pub(super) fn end_all(&self) {
        self.state.borrow().conns.values().for_each(|conn| conn.socket.end());
    }

    /// Sends what the kernel takes of a connection's output, and leaves the rest to a task.
    fn flush(self: &Rc<Self>, id: ConnId, state: &mut State) {
        let State { shard, conns, output, .. } = state;
        let Some(conn) = conns.get_mut(&id).filter(|conn| conn.unsent.is_empty()) else { return };
        shard.swap_output(id, output);
        let result = conn.socket.send_now(output);
        if let Ok(sent) = result
            && sent < output.len()
        {
            conn.unsent = output.split_off(sent);
            spawn(self.clone().send_rest(id, conn.socket.clone()));
        }
        output.clear();
        output.shrink_to(OUTPUT_KEPT_LEN);
        match result {
            Ok(_) if conn.is_ending && conn.unsent.is_empty() => self.finish(id, conn, shard),
            Ok(_) => {}
            Err(_) => state.let_go(id),
        }
    }

    /// Sends what a peer that does not keep up has not taken, and what has come since, until it has all.
    async fn send_rest(self: Rc<Self>, id: ConnId, socket: Socket) {
        loop {
            let result = poll_fn(|cx| self.poll_unsent(cx, id, &socket)).await;
            if result.is_err() {
                self.state.borrow_mut().let_go(id);
            }
            let is_more = self.refill(id);
            // Sending made room, which may let the connection resume.
            self.perform();
            if !is_more {
                return;
            }
        }
    }

    fn poll_unsent(&self, cx: &mut Context<'_>, id: ConnId, socket: &Socket) -> Poll<io::Result<()>> {
        let conns = &mut self.state.borrow_mut().conns;
        let Some(conn) = conns.get_mut(&id) else { return Poll::Ready(Ok(())) };
        while !conn.unsent.is_empty() {
            let sent = ready!(socket.poll_send(cx, &conn.unsent))?;
            conn.unsent.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what has come while the rest was sent. False if there is nothing.
    fn refill(self: &Rc<Self>, id: ConnId) -> bool {
        let State { shard, conns, .. } = &mut *self.state.borrow_mut();
        let Some(conn) = conns.get_mut(&id) else { return false };
        shard.swap_output(id, &mut conn.unsent);
        if conn.unsent.is_empty() {
            conn.unsent = Vec::new();
            if conn.is_ending {
                self.finish(id, conn, shard);
            }
        }
        !conn.unsent.is_empty()
    }

    /// Everything was said. The peer may still be sending: it gets a moment to see our end first.
    fn finish(self: &Rc<Self>, id: ConnId, conn: &mut Conn, shard: &mut Shard) {
        shard.on_closed(id);
        // Who sees this connection end may count on its place.
        conn.admitted = None;
        conn.socket.end_writing();
        self.let_go_after(LINGER, id);
    }

    fn let_go_after(self: &Rc<Self>, time: Duration, id: ConnId) {
        let driver = self.clone();
        spawn(async move {
            sleep(time).await;
            driver.state.borrow_mut().let_go(id);
        });
    }
}

impl State {
    /// Ends a connection, whatever is still due to its peer, and all that is known of it.
    fn let_go(&mut self, id: ConnId) {
        self.shard.on_closed(id);
        if let Some(conn) = self.conns.remove(&id) {
            conn.socket.end();
            // Its task may wait for the shard; now it sees the end.
            conn.resume.ring();
        }
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
/// How long a peer may take to read what is due to it when its connection ends.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long a connection that we ended may take to be ended by the peer.
const LINGER: Duration = Duration::from_secs(1);
