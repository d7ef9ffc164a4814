//! Clients that remember what they were told.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use ringkeeper_kit::wire::{Body, Client, ConnectRequest, Request};

/// Nodes that were created and acknowledged, over all of a server's lives.
pub(crate) struct Writes {
    name: &'static str,
    data: Vec<u8>,
    next: usize,
    acknowledged: Vec<String>,
}

impl Writes {
    /// None so far; each will have this much data.
    pub(crate) fn of(name: &'static str, data_len: usize) -> Writes {
        Writes { name, data: vec![b'd'; data_len], next: 0, acknowledged: Vec::new() }
    }

    /// Creates one more and returns the error code that the server gives; 0 is an acknowledgement.
    pub(crate) fn one(&mut self, client: &mut Client) -> io::Result<i32> {
        let path = self.next_path();
        let err = client.call(&Request::create(&path, &self.data, 0))?.err;
        if err == 0 {
            self.acknowledged.push(path);
        }
        Ok(err)
    }

    /// Creates one more, at a moment when the server has just told that it takes writes again, and may still
    /// refuse a few.
    pub(crate) fn one_at_last(&mut self, client: &mut Client) {
        let refused = (0..REFUSED_MAX).all(|_| self.one(client).expect("a reply") != 0);
        assert!(!refused, "{REFUSED_MAX} writes are refused though there is room");
    }

    /// Creates more, several at a time, until the connection ends, and tells `heard` of each acknowledgement.
    pub(crate) fn until_the_end(&mut self, server: SocketAddr, heard: &Sender<()>) {
        let Ok(mut client) = connect(server) else { return };
        let mut sent = VecDeque::new();
        loop {
            while sent.len() < OUTSTANDING {
                let path = self.next_path();
                if client.send(&Request::create(&path, &self.data, 0)).is_err() {
                    break; // What was answered before can still be read.
                }
                sent.push_back(path);
            }
            let (Ok(reply), Some(path)) = (client.next_reply(), sent.pop_front()) else { return };
            if reply.err == 0 {
                self.acknowledged.push(path);
                let _ = heard.send(()); // Who listens may have heard enough.
            }
        }
    }

    /// Asserts that the server has everything that was acknowledged.
    pub(crate) fn assert_kept(&self, server: SocketAddr) {
        let mut client = connect(server).expect("a session");
        for paths in self.acknowledged.chunks(OUTSTANDING) {
            let reads: Vec<_> = paths.iter().map(|path| Request::get_data(path, false)).collect();
            client.send_all(&reads).expect("the requests leave");
            for path in paths {
                let reply = client.next_reply().expect("a reply");
                match reply.body {
                    Body::Data(Some(data), _) => assert!(data == self.data, "{path} has other data"),
                    other => panic!("{path} was acknowledged: {} {other:?}", reply.err),
                }
            }
        }
    }

    /// How many were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    fn next_path(&mut self) -> String {
        self.next += 1;
        format!("/{}-{}", self.name, self.next)
    }
}

/// A client whose session outlives a server that is slow to come back.
pub(crate) fn connect(server: SocketAddr) -> io::Result<Client> {
    Client::connect_as(server, &ConnectRequest { timeout_ms: i32::MAX, ..ConnectRequest::default() })
}

const OUTSTANDING: usize = 16;
const REFUSED_MAX: usize = 1000;
