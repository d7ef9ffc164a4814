use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fs, io};

use ringkeeper_kit::server::{Server, Settings, until};
use ringkeeper_kit::wire::Wire;
use ringkeeper_kit::{ports::Port, ringkeeper};
use rustix::process::Signal;

use crate::network::Network;

/// Servers with the ids from 0, in processes of their own.
pub(crate) struct Ensemble {
    servers: Vec<Server>,
    _ports: Vec<Port>,
}

/// What a server that serves says of itself.
#[derive(Clone, Copy)]
struct Status {
    leads: bool,
    /// That of its last transaction.
    epoch: u32,
}

/// What servers that all serve say of who leads them.
#[derive(Clone, Copy)]
pub(crate) struct Serving {
    pub(crate) leader: usize,
    /// That of its last transaction.
    pub(crate) epoch: u32,
    /// How long it took until they did.
    pub(crate) took: Duration,
}

impl Ensemble {
    /// An ensemble whose servers reach each other directly; none is started yet.
    pub(crate) fn prepare(count: usize, settings: impl Fn(Settings) -> Settings) -> Ensemble {
        let ports: Vec<Port> = (0..2 * count).map(|_| Port::claim()).collect();
        let address =
            |id: usize| format!("127.0.0.1:{}:{}", ports[2 * id].number(), ports[2 * id + 1].number());
        let servers = (0..count).map(|id| prepare_one(id, count, &settings, |_, to| address(to))).collect();
        Ensemble { servers, _ports: ports }
    }

    /// An ensemble whose servers reach each other through `network`.
    pub(crate) fn prepare_in(network: &impl Network, settings: impl Fn(Settings) -> Settings) -> Ensemble {
        let count = network.server_count();
        let one = |id| {
            let settings = |its: Settings| network.settle(id, settings(its));
            prepare_one(id, count, &settings, |from, to| network.address(from, to))
        };
        Ensemble { servers: (0..count).map(one).collect(), _ports: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// A server.
    pub(crate) fn server(&self, id: usize) -> &Server {
        &self.servers[id]
    }

    /// Where clients connect.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::addr).collect()
    }

    /// Starts servers one after the other, without waiting for any.
    pub(crate) fn launch(&mut self, ids: impl IntoIterator<Item = usize>) {
        ids.into_iter().for_each(|id| self.servers[id].launch());
    }

    /// Stops a server in order.
    pub(crate) fn stop(&mut self, id: usize) {
        self.servers[id].stop();
    }

    /// Kills a server.
    pub(crate) fn kill(&mut self, id: usize) {
        self.servers[id].kill();
    }

    /// Stops a server from running any further, and lets it go on.
    pub(crate) fn signal(&self, id: usize, signal: Signal) {
        self.servers[id].signal(signal);
    }

    /// Removes all that a stopped server has on disk but who it is.
    pub(crate) fn wipe(&mut self, id: usize) {
        fs::remove_dir_all(self.servers[id].data_dir()).expect("the server's folder can be removed");
        write_id(&self.servers[id], id);
    }

    /// What a server says of itself; none if it does not serve.
    fn status(&self, id: usize) -> Option<Status> {
        let answer = srvr(self.servers[id].addr()).ok()?;
        let field = |name| answer.lines().find_map(|line| line.strip_prefix(name));
        let mode = field("Mode: ")?;
        let zxid = u64::from_str_radix(field("Zxid: 0x")?, 16).expect("a zxid is hexadecimal");
        Some(Status { leads: mode == "leader", epoch: (zxid >> 32) as u32 })
    }

    /// Waits until every server serves, and exactly one of them leads.
    pub(crate) fn until_all_serve(&self) -> Serving {
        let (began, mut serving) = (Instant::now(), None);
        until("every server serves, and one of them leads", || {
            let all: Vec<Option<Status>> = (0..self.len()).map(|id| self.status(id)).collect();
            let leading = |(id, status): (usize, &Option<Status>)| {
                status.filter(|status| status.leads).map(|status| (id, status.epoch))
            };
            let leaders: Vec<(usize, u32)> = all.iter().enumerate().filter_map(leading).collect();
            let took = began.elapsed();
            serving = leaders.first().map(|&(leader, epoch)| Serving { leader, epoch, took });
            all.iter().all(Option::is_some) && leaders.len() == 1
        });
        serving.expect("one of them leads")
    }
}

fn prepare_one(
    id: usize,
    count: usize,
    settings: &impl Fn(Settings) -> Settings,
    address: impl Fn(usize, usize) -> String,
) -> Server {
    let mut settings = settings(ringkeeper::server(BINARY).config("initLimit", 10).config("syncLimit", 5));
    for other in 0..count {
        settings = settings.config(&format!("server.{other}"), address(id, other));
    }
    let server = settings.prepare();
    write_id(&server, id);
    server
}

fn write_id(server: &Server, id: usize) {
    fs::create_dir_all(server.data_dir()).expect("the server's folder can be written");
    fs::write(server.data_dir().join("myid"), id.to_string()).expect("the server's folder can be written");
}

/// A server that is stopped in its tracks accepts connections, and answers nothing: the wait is short.
fn srvr(addr: SocketAddr) -> io::Result<String> {
    let mut wire = Wire::dial(addr)?;
    wire.send_bytes(b"srvr")?;
    let answer = wire.receive_all(Duration::from_secs(1))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const BINARY: &str = env!("CARGO_BIN_EXE_ringkeeper");
