use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use ringkeeper_core::flow::ConnId;
use ringkeeper_core::shard::Next;

use super::driver::Driver;
use crate::runtime::{Bell, Socket};

/// A connection's own task: reads until the end, and gives what it reads to the shard.
pub(super) async fn run(driver: Rc<Driver>, id: ConnId, socket: Socket, resume: Rc<Bell>) {
    // Input that the shard has not taken yet: part of a frame, or frames that must wait.
    let mut kept = Vec::new();
    let mut is_paused = false;
    loop {
        let event = poll_fn(|cx| {
            if resume.poll_wait(cx).is_ready() {
                return Poll::Ready(Event::Resume);
            }
            if is_paused {
                return Poll::Pending;
            }
            driver.poll_input(cx, id, &socket, &mut kept).map(Event::Input)
        });
        let next = match event.await {
            Event::Resume => driver.on_kept(id, &mut kept),
            Event::Input(Ok(next)) => next,
            Event::Input(Err(end)) => {
                driver.on_end(id, &end);
                return;
            }
        };
        is_paused = next == Next::Resume;
        match next {
            Next::Bytes(_) | Next::Resume => {}
            // What a peer still sends is read away, so that the kernel does not reset the connection
            // before the peer has read our last words.
            Next::Nothing => kept = Vec::new(),
        }
        if kept.is_empty() && kept.capacity() > KEPT_LEN {
            kept = Vec::new();
        }
        driver.perform();
    }
}

enum Event {
    Resume,
    Input(io::Result<Next>),
}

/// A connection that waits holds no larger buffer than this.
const KEPT_LEN: usize = 4 << 10;
