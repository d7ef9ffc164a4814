//! The shard role on its executor: moves bytes between its clients' sockets and the [`Shard`] machine,
//! and messages between the machine and the other roles.
//!
//! A connection has one task, which reads. Replies are sent by whoever made them, at the end of its
//! turn: the task that read the requests, or the one that applied a [`CommitBatch`]. Each takes one
//! system call per connection, and waits for nobody; a peer that does not keep up gets a task of its own
//! until it has caught up.
//!
//! A connection that ends still sends what is due to its peer, for a bounded time; then it is let go,
//! whatever the peer does.
//!
//! [`CommitBatch`]: ringkeeper_core::flow::CommitBatch

mod conversation;
mod driver;

use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use ringkeeper_core::shard::Shard;

use crate::admin::Desk;
use crate::net::{Accepted, Admitted};
use crate::runtime::{Clock, Inbox, Sender, TICK, sleep, spawn};
use crate::wiring::{Published, ToCommit, ToShard};
use driver::Driver;

/// The shard role, ready to run.
pub struct ShardRole {
    /// What decides. Its tree is the recovered one.
    pub shard: Shard,
    /// Where it is told.
    pub inbox: Inbox<ToShard>,
    /// Who orders its requests.
    pub commit: Sender<ToCommit>,
    /// Who answers four-letter words.
    pub desk: Arc<Desk>,
    /// How far the commit role is.
    pub published: Published,
    /// The time.
    pub clock: Clock,
}

impl ShardRole {
    /// Runs until [`ToShard::Stop`].
    pub async fn run(self) {
        let ShardRole { shard, mut inbox, commit, desk, published, clock } = self;
        let driver = Rc::new(Driver::new(shard, commit, desk, published, clock));
        spawn(driver.clone().submit_turns());
        spawn(tick(driver.clone()));
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN_MAX);
        while inbox.take(&mut messages, MESSAGES_PER_TURN_MAX).await {
            for message in messages.drain(..) {
                match message {
                    ToShard::Accepted(Accepted { socket, peer, admitted }) => {
                        converse(&driver, socket, peer, admitted);
                    }
                    ToShard::Commit(batch) => driver.on_commit(&batch),
                    ToShard::Serve(mode) => driver.on_serve(mode),
                    ToShard::Replace(tree) => driver.on_replace(*tree),
                    ToShard::Ask(question) => driver.on_question(&question),
                    ToShard::Answer(conn, answer) => driver.on_answer(conn, &answer),
                    ToShard::Stop => {
                        driver.perform();
                        driver.end_all();
                        return;
                    }
                }
            }
            driver.perform();
        }
    }
}

fn converse(driver: &Rc<Driver>, socket: TcpStream, peer: SocketAddr, admitted: Admitted) {
    let (conn, socket, resume) = driver.on_accept(socket, peer, admitted);
    spawn(conversation::run(driver.clone(), conn, socket, resume));
}

async fn tick(driver: Rc<Driver>) {
    loop {
        sleep(TICK).await;
        driver.on_tick();
        driver.perform();
    }
}

/// A turn takes no more than this before its replies go out.
const MESSAGES_PER_TURN_MAX: usize = 16;
