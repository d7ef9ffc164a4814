//! What clients do to an ensemble.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{
    Acl, Body, Client, ConnectRequest, ConnectResponse, Request, Text, create_mode, perms,
};

/// Writes of every kind through one connection, below `root`, which they create.
pub(crate) fn write_every_kind(client: &mut Client, root: &str) {
    let mut expect = |err: i32, request: &Request| {
        let reply = client.call(request).unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert_eq!(reply.err, err, "{request:?}");
        reply.body
    };
    let under = |name: &str| format!("{root}/{name}");
    expect(0, &Request::create(root, b"root", create_mode::PERSISTENT));
    expect(0, &Request::create(under("kept"), b"one", create_mode::PERSISTENT));
    expect(NODE_EXISTS, &Request::create(under("kept"), b"two", create_mode::PERSISTENT));
    for number in 0..3 {
        let body = expect(0, &Request::create(under("s-"), b"", create_mode::PERSISTENT_SEQUENTIAL));
        assert_eq!(body, Body::Path(under(&format!("s-{:010}", number + 1)).into()));
    }
    expect(0, &Request::create(under("ephemeral"), b"mine", create_mode::EPHEMERAL));
    expect(0, &Request::create(under("e-"), b"mine", create_mode::EPHEMERAL_SEQUENTIAL));
    expect(0, &Request::set_data(under("kept"), b"two", 0));
    expect(BAD_VERSION, &Request::set_data(under("kept"), b"three", 0));
    expect(0, &Request::create(under("gone"), b"", create_mode::PERSISTENT));
    expect(0, &Request::delete(under("gone"), -1));
    expect(NO_NODE, &Request::delete(under("gone"), -1));
    let acl = vec![Acl::new(perms::READ, "world", "anyone"), Acl::new(perms::ALL, "ip", "127.0.0.1")];
    expect(0, &Request::SetAcl { path: under("kept").into(), acl: Some(acl), version: 0 });
    let multi = |last: Request| {
        Request::Multi(vec![
            Request::Check { path: under("kept").into(), version: 1 },
            Request::create(under("multi"), b"", create_mode::PERSISTENT),
            Request::set_data(under("multi"), b"set", 0),
            last,
        ])
    };
    expect(0, &multi(Request::delete(under("absent"), -1)));
    expect(NO_NODE, &Request::exists(under("multi"), false));
    expect(0, &multi(Request::delete(under("s-0000000001"), 0)));
    expect(0, &Request::exists(under("multi"), false));
}

/// Asserts that the session lives and that a server knows it by its id and password, and connects to it there.
#[track_caller]
pub(crate) fn move_session(client: Client, to: SocketAddr) -> Client {
    let before = client.hang_up();
    let client = rejoin(&before, to);
    assert_eq!(client.granted().session, before.session);
    assert_eq!(client.granted().password, before.password);
    client
}

/// Connects with a session that a server knows, as soon as the server serves.
///
/// # Panics
/// When the session is over, or the server does not serve in time.
#[track_caller]
pub(crate) fn rejoin(session: &ConnectResponse, to: SocketAddr) -> Client {
    let mut joined = None;
    until("a client connects", || match Client::connect_as(to, &ConnectRequest::again(session)) {
        Ok(client) => joined.insert(client).granted().granted(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => panic!("{error}"),
        Err(_) => false,
    });
    joined.expect("until returns when it is so")
}

/// A client that writes until told to stop, through whichever server answers, with one session.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Written>,
}

/// What a [`Load`] was told is written.
pub(crate) struct Written {
    root: String,
    acknowledged: Vec<usize>,
    session: ConnectResponse,
    /// How often the connection was lost.
    pub(crate) losses: usize,
}

impl Load {
    /// Begins below `root`, which is created with an ephemeral znode in it.
    pub(crate) fn start(servers: Vec<SocketAddr>, root: &str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (root, stopped, count) = (root.to_owned(), stop.clone(), acknowledged.clone());
        let thread = thread::spawn(move || run(&servers, root, &stopped, &count));
        Load { stop, acknowledged, thread }
    }

    /// Waits until so many more writes are acknowledged.
    #[track_caller]
    pub(crate) fn until_more(&self, count: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        until("writes are acknowledged", || {
            assert!(!self.thread.is_finished(), "the client gave up");
            self.acknowledged.load(Ordering::Relaxed) >= goal
        });
    }

    /// Ends it, and leaves its session open.
    pub(crate) fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client did not fail")
    }
}

impl Written {
    /// How many writes were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Ends the session that wrote it.
    #[track_caller]
    pub(crate) fn end(self, server: SocketAddr) {
        assert_eq!(rejoin(&self.session, server).close().expect("a reply").err, 0);
    }

    /// Asserts that a server shows all of it, and the ephemeral znode of the session that wrote it.
    #[track_caller]
    pub(crate) fn assert_shown_by(&self, client: &mut Client) {
        assert_eq!(client.call(&Request::sync("/")).expect("a reply").err, 0);
        let children = Request::GetChildren { path: Text::from(&self.root), watch: false };
        let Body::Children(children) = client.call(&children).expect("a reply").body else {
            panic!("{} is not there", self.root)
        };
        let lost: Vec<usize> = self
            .acknowledged
            .iter()
            .copied()
            .filter(|number| !children.contains(&format!("{number:08}").into()))
            .collect();
        assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
        let ephemeral = Request::exists(format!("{}/ephemeral", self.root), false);
        match client.call(&ephemeral).expect("a reply").body {
            Body::Stat(stat) => assert_eq!(stat.ephemeral_owner, self.session.session),
            other => panic!("the ephemeral znode is gone: {other:?}"),
        }
    }
}

fn run(servers: &[SocketAddr], root: String, stop: &AtomicBool, count: &AtomicUsize) -> Written {
    let mut client = Client::connect(servers[0]).expect("a session");
    let session = client.granted().clone();
    let mut setup = |path: &str, mode| {
        assert_eq!(client.call(&Request::create(path, b"", mode)).expect("a reply").err, 0);
    };
    setup(&root, create_mode::PERSISTENT);
    setup(&format!("{root}/ephemeral"), create_mode::EPHEMERAL);
    let mut written = Written { root, acknowledged: Vec::new(), session: session.clone(), losses: 0 };
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = format!("{}/{number:08}", written.root);
        match client.call(&Request::create(path.as_str(), path.as_bytes(), create_mode::PERSISTENT)) {
            Ok(reply) => {
                assert!(reply.err == 0 || reply.err == NODE_EXISTS, "{path}: error {}", reply.err);
                written.acknowledged.push(number);
                count.fetch_add(1, Ordering::Relaxed);
                number += 1;
                thread::sleep(PACE);
            }
            // It may have been written or not: the same is tried again.
            Err(_) => {
                written.losses += 1;
                let to = servers[written.losses % servers.len()];
                client = any_of(&session, servers, to);
            }
        }
    }
    client.hang_up();
    written
}

/// Connects to whichever server serves, starting with one.
fn any_of(session: &ConnectResponse, servers: &[SocketAddr], first: SocketAddr) -> Client {
    let mut joined = None;
    let at = servers.iter().position(|server| *server == first).unwrap_or_default();
    let mut round = servers.iter().cycle().skip(at);
    until("a client connects again", || {
        let to = round.next().expect("a cycle has no end");
        match Client::connect_as(*to, &ConnectRequest::again(session)) {
            Ok(client) => joined.insert(client).granted().granted(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                panic!("the session is lost: {error}")
            }
            Err(_) => false,
        }
    });
    joined.expect("until returns when it is so")
}

/// Between writes: servers are to be busy, not the machine.
const PACE: Duration = Duration::from_millis(2);

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
