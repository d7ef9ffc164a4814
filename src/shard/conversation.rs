use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use ringkeeper_core::flow::ConnId;

use super::driver::{Driver, Taken};
use crate::runtime::{Bell, Socket};

/// A connection's own task: reads until the end, and gives what it reads to the shard.
pub(super) async fn run(driver: Rc<Driver>, conn: ConnId, socket: Socket, resume: Rc<Bell>) {
    // Input that the shard has not taken yet: part of a frame, or frames that must wait.
    let mut kept = Vec::new();
    let mut paused = false;
    loop {
        let event = poll_fn(|cx| {
            if resume.poll_wait(cx).is_ready() {
                return Poll::Ready(Event::Resume);
            }
            if paused {
                return Poll::Pending;
            }
            driver.poll_input(cx, conn, &socket, &mut kept).map(Event::Input)
        });
        match event.await {
            Event::Resume => paused = driver.on_kept(conn, &mut kept) == Taken::Paused,
            Event::Input(Ok(taken)) => paused = taken == Taken::Paused,
            Event::Input(Err(end)) => {
                driver.on_end(conn, &end);
                return;
            }
        }
        driver.perform();
    }
}

enum Event {
    Resume,
    Input(io::Result<Taken>),
}
