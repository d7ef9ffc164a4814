//! One wait for all sockets of an executor.
//!
//! The runtime would wait for each socket by a request of its own to the ring: two crossings of the ring for each time
//! that something arrives, and an interrupt of the executor's CPU for each arrival while it works on others, for
//! without IORING_SETUP_COOP_TASKRUN, which the runtime does not ask for, the kernel wants to be heard at once. Here
//! sockets are registered once with an epoll instance, edge-triggered, and the ring waits for that one: what arrives
//! during a turn is told together after it, and a connection that is silent is nothing that the ring holds.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::fast::FixedState;
use futures_lite::AsyncRead;
use futures_lite::future::yield_now;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::executor::{sleep, spawn};
use super::{Reason, fatal};

/// Tells the sockets of one executor when they can be read from or written to.
pub(super) struct Readiness {
    epoll: OwnedFd,
    sockets: RefCell<HashMap<u64, Rc<Interest>, FixedState>>,
    next: Cell<u64>,
}

/// Who waits for one socket, and what is known of it.
#[derive(Default)]
pub(super) struct Interest {
    /// There may be something to read. False only if the kernel will tell when there is.
    is_readable: Cell<bool>,
    /// The peer says nothing more, or the connection is broken: reading will tell, and will not wait for it.
    has_ended: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

/// A socket that is registered, until this is dropped. To be dropped before the socket is closed.
pub(super) struct Registration {
    readiness: Rc<Readiness>,
    id: u64,
    interest: Rc<Interest>,
}

thread_local! {
    /// That of the executor of this thread.
    static READINESS: RefCell<Option<Rc<Readiness>>> = const { RefCell::new(None) };
}

impl Readiness {
    /// What an executor that is to be started will need.
    ///
    /// # Errors
    ///
    /// If the process may open no more files.
    pub(super) fn open() -> io::Result<OwnedFd> {
        Ok(epoll::create(CreateFlags::CLOEXEC)?)
    }

    /// From now on sockets can be registered on this thread, on which its executor runs.
    pub(super) fn start(epoll: OwnedFd) {
        let readiness = Rc::new(Readiness { epoll, sockets: RefCell::default(), next: Cell::new(0) });
        READINESS.set(Some(readiness.clone()));
        spawn(readiness.run());
    }

    async fn run(self: Rc<Self>) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            let polled = self.wait().await;
            // It waits no time, so nothing can interrupt it, and it fails only for what is our own mistake.
            if let Err(error) =
                epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec::default()))
            {
                fatal(
                    Reason::Panic,
                    format_args!("the kernel does not tell which sockets are ready: {error}"),
                );
            }
            events.drain(..).for_each(|event| self.tell(event));
            // Those who have been woken do what they do, and what comes meanwhile is told with the next.
            yield_now().await;
            drop(polled);
        }
    }

    /// Waits until there is something to tell; returns what is to be dropped when there is time for it.
    ///
    /// Of descriptors the runtime polls only those of sockets, and begins as soon as it has one. So it is given a copy of
    /// ours as if it were one. Nothing else wakes the task than the end of that poll.
    async fn wait(&self) -> Option<glommio::net::TcpStream> {
        let Ok(copy) = self.epoll.try_clone() else {
            // Others have opened all files that the process may.
            sleep(WITHOUT_DESCRIPTOR).await;
            return None;
        };
        let mut polled = glommio::net::TcpStream::from(socket2::Socket::from(TcpStream::from(copy)));
        let mut is_woken = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut is_woken, true) {
                return Poll::Ready(());
            }
            // Reading would fail, but the poll is under way, so it is not tried.
            Pin::new(&mut polled).poll_read(cx, &mut [0]).map(drop)
        })
        .await;
        Some(polled)
    }

    fn tell(&self, event: Event) {
        let (id, flags) = (event.data.u64(), event.flags);
        let Some(interest) = self.sockets.borrow().get(&id).cloned() else { return };
        if flags.intersects(ENDED) {
            interest.has_ended.set(true);
        }
        if flags.intersects(EventFlags::IN | ENDED) {
            interest.is_readable.set(true);
            wake(&interest.reader);
        }
        if flags.intersects(EventFlags::OUT | ENDED) {
            wake(&interest.writer);
        }
    }
}

impl Registration {
    /// Registers a socket on this thread.
    ///
    /// # Errors
    ///
    /// If the kernel has no memory for it, or the user no more watches (`fs.epoll.max_user_watches`).
    ///
    /// # Panics
    ///
    /// If there is no executor on this thread.
    pub(super) fn of(socket: impl AsFd) -> io::Result<Registration> {
        let readiness = READINESS.with_borrow(Clone::clone).expect("a socket belongs to an executor");
        let id = readiness.next.replace(readiness.next.get() + 1);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&readiness.epoll, socket, EventData::new_u64(id), flags)?;
        let interest = Rc::new(Interest::default());
        readiness.sockets.borrow_mut().insert(id, interest.clone());
        Ok(Registration { readiness, id, interest })
    }

    /// Reads by `recv`, which takes at most `len` bytes and does not wait, once there is something to read; or has the
    /// task woken then.
    pub(super) fn poll_recv(
        &self,
        cx: &Context<'_>,
        len: usize,
        mut recv: impl FnMut() -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        let interest = &self.interest;
        while interest.is_readable.get() {
            match recv() {
                // Less than was asked for is all that there was, and of more the kernel will tell; but not again of
                // the end. (Behind urgent data, which no client of ZooKeeper sends, there may be more: that waits until
                // the peer sends again, and nobody else waits for it.)
                Ok(read) => {
                    interest.is_readable.set(read == len || interest.has_ended.get());
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::AGAIN) => interest.is_readable.set(false),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        keep(&interest.reader, cx);
        Poll::Pending
    }

    /// Has the task woken when the socket, which has just taken no more, does so again.
    pub(super) fn wake_when_writable(&self, cx: &Context<'_>) {
        keep(&self.interest.writer, cx);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The kernel forgets the socket when it is closed.
        self.readiness.sockets.borrow_mut().remove(&self.id);
    }
}

fn keep(place: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut place = place.borrow_mut();
    if place.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
        *place = Some(cx.waker().clone());
    }
}

fn wake(place: &RefCell<Option<Waker>>) {
    let waker = place.borrow_mut().take();
    waker.into_iter().for_each(Waker::wake);
}

const ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);
/// How many sockets are told of at once; the rest follow at once.
const EVENTS_MAX: usize = 256;
/// How often to look without a descriptor to wait with.
const WITHOUT_DESCRIPTOR: Duration = Duration::from_millis(1);
