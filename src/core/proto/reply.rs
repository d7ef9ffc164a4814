use crate::error::Code;
use crate::id::Zxid;
use crate::jute::Writer;

/// Xids with a meaning of their own (client-protocol §4).
pub mod xid {
    /// A notification from the server.
    pub const NOTIFICATION: i32 = -1;
    /// A ping and its reply.
    pub const PING: i32 = -2;
    /// An auth packet.
    pub const AUTH: i32 = -4;
    /// A client's request to set its watches again.
    pub const SET_WATCHES: i32 = -8;
}

/// The header of every reply and notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct ReplyHeader {
    pub xid: i32,
    pub zxid: Zxid,
    pub err: Code,
}

impl ReplyHeader {
    /// Appends the 16 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.int(self.xid);
        writer.long(self.zxid.0);
        writer.int(self.err.number());
    }
}

/// Starts a frame in `out`: leaves room for its length and returns the place for [`end_frame`].
pub fn begin_frame(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_LEN]);
    start
}

/// Ends the frame that [`begin_frame`] started: everything appended since is its payload.
pub fn end_frame(out: &mut [u8], start: usize) {
    let len = (out.len() - start - LENGTH_LEN) as i32;
    out[start..start + LENGTH_LEN].copy_from_slice(&len.to_be_bytes());
}

/// What happened to a node, as a server tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum EventType {
    NodeCreated = 1,
    NodeDeleted = 2,
    NodeDataChanged = 3,
    NodeChildrenChanged = 4,
}

/// A notification (client-protocol §8). The state is always SyncConnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct WatcherEvent<'a> {
    pub kind: EventType,
    pub path: &'a str,
    /// The transaction that caused it; -1 for the catch-up events of setWatches.
    pub zxid: Zxid,
}

impl WatcherEvent<'_> {
    /// Appends the whole frame.
    pub fn encode_frame(&self, out: &mut Vec<u8>) {
        let start = begin_frame(out);
        ReplyHeader { xid: xid::NOTIFICATION, zxid: self.zxid, err: Code::Ok }.encode(out);
        let mut writer = Writer::new(out);
        writer.int(self.kind as i32);
        writer.int(STATE_SYNC_CONNECTED);
        writer.text(self.path);
        end_frame(out, start);
    }
}

const LENGTH_LEN: usize = 4;
const STATE_SYNC_CONNECTED: i32 = 3;
