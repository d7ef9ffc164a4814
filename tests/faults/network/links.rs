use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use ringkeeper_kit::ports::Port;
use ringkeeper_kit::server::Settings;

use super::Network;

/// A network on the loopback address: each server reaches each other one through a listener for the two of them
/// alone. While what one sends to another is held back, new connections are accepted and carry nothing.
pub(crate) struct Links {
    own: Vec<[Port; 2]>,
    between: Vec<Vec<Option<[Port; 2]>>>,
    gates: Arc<Gates>,
}

impl Links {
    /// A whole network among servers with the ids from 0.
    pub(crate) fn among(count: usize) -> Links {
        let pair = || [Port::claim(), Port::claim()];
        let own: Vec<[Port; 2]> = (0..count).map(|_| pair()).collect();
        let gates =
            Arc::new(Gates { count, shut: Mutex::new(vec![false; count * count]), changed: Condvar::new() });
        let between = (0..count)
            .map(|from| {
                (0..count)
                    .map(|to| {
                        (from != to).then(|| {
                            let ports = pair();
                            for (port, target) in ports.iter().zip(&own[to]) {
                                listen(port.number(), target.number(), (from, to), &gates);
                            }
                            ports
                        })
                    })
                    .collect()
            })
            .collect();
        Links { own, between, gates }
    }
}

impl Network for Links {
    fn server_count(&self) -> usize {
        self.own.len()
    }

    /// A server's own host is the wildcard, which it does not advertise: or the others would call it back past
    /// this network.
    fn address(&self, from: usize, to: usize) -> String {
        let (host, [quorum, election]) = match &self.between[from][to] {
            Some(ports) => ("127.0.0.1", ports),
            None => ("0.0.0.0", &self.own[to]),
        };
        format!("{host}:{}:{}", quorum.number(), election.number())
    }

    fn settle(&self, _: usize, settings: Settings) -> Settings {
        settings
    }

    fn cut(&self, from: usize, to: usize) {
        self.gates.set(|pair| if pair == (from, to) { Some(true) } else { None });
    }

    fn heal(&self) {
        self.gates.set(|_| Some(false));
    }
}

struct Gates {
    count: usize,
    shut: Mutex<Vec<bool>>,
    changed: Condvar,
}

impl Gates {
    fn set(&self, to: impl Fn((usize, usize)) -> Option<bool>) {
        let mut shut = self.shut.lock().expect("nobody panics with it");
        for (at, is_shut) in shut.iter_mut().enumerate() {
            *is_shut = to((at / self.count, at % self.count)).unwrap_or(*is_shut);
        }
        self.changed.notify_all();
    }

    fn pass(&self, (from, to): (usize, usize)) {
        let shut = self.shut.lock().expect("nobody panics with it");
        let at = from * self.count + to;
        drop(self.changed.wait_while(shut, |shut| shut[at]).expect("nobody panics with it"));
    }
}

/// Listens for what `pair.0` sends to `pair.1`, until the test program ends.
fn listen(port: u16, target: u16, pair: (usize, usize), gates: &Arc<Gates>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a claimed port can be listened on");
    let gates = gates.clone();
    thread::spawn(move || {
        for dialler in listener.incoming().flatten() {
            let gates = gates.clone();
            thread::spawn(move || {
                gates.pass(pair);
                // If nobody listens there, the dialler sees its connection end.
                let Ok(listener) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else { return };
                let (back, both) = ((pair.1, pair.0), (clone(&dialler), clone(&listener)));
                let gates_back = gates.clone();
                thread::spawn(move || forward(both.1, both.0, back, &gates_back));
                forward(dialler, listener, pair, &gates);
            });
        }
    });
}

fn forward(mut from: TcpStream, mut to: TcpStream, pair: (usize, usize), gates: &Gates) {
    let mut buffer = vec![0; 64 << 10];
    let _ = to.set_nodelay(true);
    while let Ok(len) = from.read(&mut buffer) {
        gates.pass(pair);
        if len == 0 || to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a descriptor is left")
}
