//! The few frames that the load needs, written apart from the server's own codec, so that a mistake
//! there cannot hide here (client-protocol §2 to §5).

use anyhow::{Context, Result, bail, ensure};

use crate::paths::Paths;

/// One operation on any znode of a load: a frame made once, of which only the xid and the path change from
/// request to request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    frame: Vec<u8>,
    paths: Paths,
    reply_len: usize,
}

impl Request {
    /// getData without a watch, of znodes that hold `data_len` bytes.
    pub(crate) fn get(paths: &Paths, data_len: usize) -> Request {
        let mut frame = open_on_path(GET_DATA, paths);
        frame.push(0); // no watch
        Request::closed(frame, paths, 4 + data_len + STAT_LEN)
    }

    /// setData at any version.
    pub(crate) fn set(paths: &Paths, data: &[u8]) -> Request {
        let mut frame = open_on_path(SET_DATA, paths);
        put_buffer(&mut frame, data);
        put_int(&mut frame, ANY_VERSION);
        Request::closed(frame, paths, STAT_LEN)
    }

    /// create of a persistent node with an open ACL.
    pub(crate) fn create(paths: &Paths, data: &[u8]) -> Request {
        Request::create_as(PERSISTENT, paths, data, paths.path_len())
    }

    /// exists without a watch.
    pub(crate) fn exists(paths: &Paths) -> Request {
        let mut frame = open_on_path(EXISTS, paths);
        frame.push(0); // no watch
        Request::closed(frame, paths, STAT_LEN)
    }

    /// create of an ephemeral node with an open ACL.
    pub(crate) fn create_ephemeral(paths: &Paths, data: &[u8]) -> Request {
        Request::create_as(EPHEMERAL, paths, data, paths.path_len())
    }

    /// create of a persistent node with an open ACL, to whose name the server adds a number.
    pub(crate) fn create_sequential(paths: &Paths, data: &[u8]) -> Request {
        Request::create_as(PERSISTENT_SEQUENTIAL, paths, data, paths.path_len() + SEQUENCE_LEN)
    }

    fn create_as(mode: i32, paths: &Paths, data: &[u8], path_len: usize) -> Request {
        let mut frame = open_on_path(CREATE, paths);
        put_buffer(&mut frame, data);
        put_open_acl(&mut frame);
        put_int(&mut frame, mode);
        Request::closed(frame, paths, 4 + path_len)
    }

    /// sync of the path.
    pub(crate) fn sync(paths: &Paths) -> Request {
        Request::closed(open_on_path(SYNC, paths), paths, 4 + paths.path_len())
    }

    /// delete at any version.
    pub(crate) fn delete(paths: &Paths) -> Request {
        let mut frame = open_on_path(DELETE, paths);
        put_int(&mut frame, ANY_VERSION);
        Request::closed(frame, paths, 0)
    }

    fn closed(mut frame: Vec<u8>, paths: &Paths, body_len: usize) -> Request {
        close_frame(&mut frame);
        Request { frame, paths: paths.clone(), reply_len: REPLY_HEADER_LEN + body_len }
    }

    /// Appends the request for number `child`.
    pub(crate) fn append(&self, xid: i32, child: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        out[start + 4..start + 8].copy_from_slice(&xid.to_be_bytes());
        self.paths.put(child, &mut out[start + PATH_AT..][..self.paths.path_len()]);
    }

    /// How long the payload of a successful reply is.
    pub(crate) fn reply_len(&self) -> usize {
        self.reply_len
    }
}

/// What a client needs to take its session to another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    id: i64,
    password: [u8; PASSWORD_LEN],
}

impl Identity {
    /// Of a client that has no session yet.
    pub(crate) const NEW: Identity = Identity { id: 0, password: [0; PASSWORD_LEN] };
}

/// The frame that opens a session, or takes one to this server.
pub(crate) fn connect_request(timeout_ms: i32, session: &Identity) -> Vec<u8> {
    let mut frame = vec![0; 4];
    put_int(&mut frame, 0); // protocol version
    put_long(&mut frame, 0); // last zxid seen
    put_int(&mut frame, timeout_ms);
    put_long(&mut frame, session.id);
    put_buffer(&mut frame, &session.password);
    frame.push(0); // not content with a read-only server
    close_frame(&mut frame);
    frame
}

/// Whose session the payload of the answer to [`connect_request`] grants.
///
/// # Errors
/// When it grants none: a session that was to be taken up is gone.
pub(crate) fn granted_session(payload: &[u8]) -> Result<Identity> {
    ensure!(payload.len() == CONNECT_RESPONSE_LEN, "the handshake's answer has {} bytes", payload.len());
    ensure!(int_at(payload, 4) > 0, "the server refused the session");
    let id = i64::from(int_at(payload, 8)) << 32 | i64::from(int_at(payload, 12) as u32);
    let password = payload[20..].first_chunk().context("the handshake's answer has no password")?;
    Ok(Identity { id, password: *password })
}

/// The frame that creates an empty persistent node.
pub(crate) fn create_request(xid: i32, path: &str) -> Vec<u8> {
    let mut frame = open_frame(xid, CREATE);
    put_buffer(&mut frame, path.as_bytes());
    put_buffer(&mut frame, &[]);
    put_open_acl(&mut frame);
    put_int(&mut frame, PERSISTENT);
    close_frame(&mut frame);
    frame
}

/// The frame that sets a node's data at any version.
pub(crate) fn set_request(xid: i32, path: &str, data: &[u8]) -> Vec<u8> {
    let mut frame = open_frame(xid, SET_DATA);
    put_buffer(&mut frame, path.as_bytes());
    put_buffer(&mut frame, data);
    put_int(&mut frame, ANY_VERSION);
    close_frame(&mut frame);
    frame
}

/// The frame that reads a node's data without a watch.
pub(crate) fn get_request(xid: i32, path: &str) -> Vec<u8> {
    let mut frame = open_frame(xid, GET_DATA);
    put_buffer(&mut frame, path.as_bytes());
    frame.push(0); // no watch
    close_frame(&mut frame);
    frame
}

/// How long the payload of a successful reply to [`get_request`] is.
pub(crate) fn get_reply_len(data_len: usize) -> usize {
    REPLY_HEADER_LEN + 4 + data_len + STAT_LEN
}

/// The frame that creates persistent nodes with the same data, all of them or none.
pub(crate) fn multi_create_request(xid: i32, paths: &[String], data: &[u8]) -> Vec<u8> {
    let mut frame = open_frame(xid, MULTI);
    for path in paths {
        put_multi_header(&mut frame, CREATE, false);
        put_buffer(&mut frame, path.as_bytes());
        put_buffer(&mut frame, data);
        put_open_acl(&mut frame);
        put_int(&mut frame, PERSISTENT);
    }
    put_multi_header(&mut frame, MULTI_END, true);
    close_frame(&mut frame);
    frame
}

/// Appends a multi that sets nodes at any version, all of them or none.
pub(crate) fn append_multi_set(xid: i32, paths: &Paths, children: Vec<u32>, data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    put_int(out, 0);
    put_int(out, xid);
    put_int(out, MULTI);
    for child in children {
        put_multi_header(out, SET_DATA, false);
        put_buffer(out, paths.path(child).as_bytes());
        put_buffer(out, data);
        put_int(out, ANY_VERSION);
    }
    put_multi_header(out, MULTI_END, true);
    close_frame(&mut out[start..]);
}

/// How long the payload of a successful reply to a multi of so many sets is.
pub(crate) fn multi_set_reply_len(sets: usize) -> usize {
    REPLY_HEADER_LEN + sets * (MULTI_HEADER_LEN + STAT_LEN) + MULTI_HEADER_LEN
}

/// Appends getChildren of one node.
pub(crate) fn append_get_children(xid: i32, path: &str, out: &mut Vec<u8>) {
    append_watching(GET_CHILDREN, xid, path, false, out);
}

/// Appends getData of one node, which sets a watch if asked to.
pub(crate) fn append_get(xid: i32, path: &str, watch: bool, out: &mut Vec<u8>) {
    append_watching(GET_DATA, xid, path, watch, out);
}

/// Appends exists of one node, which sets a watch if asked to.
pub(crate) fn append_exists(xid: i32, path: &str, watch: bool, out: &mut Vec<u8>) {
    append_watching(EXISTS, xid, path, watch, out);
}

fn append_watching(code: i32, xid: i32, path: &str, watch: bool, out: &mut Vec<u8>) {
    let mut frame = open_frame(xid, code);
    put_buffer(&mut frame, path.as_bytes());
    frame.push(watch.into());
    close_frame(&mut frame);
    out.extend_from_slice(&frame);
}

/// Appends create of a node without data; the server adds a number to the name of a sequential one.
pub(crate) fn append_create(xid: i32, path: &str, ephemeral_sequential: bool, out: &mut Vec<u8>) {
    let mut frame = open_frame(xid, CREATE);
    put_buffer(&mut frame, path.as_bytes());
    put_buffer(&mut frame, &[]);
    put_open_acl(&mut frame);
    put_int(&mut frame, if ephemeral_sequential { EPHEMERAL_SEQUENTIAL } else { PERSISTENT });
    close_frame(&mut frame);
    out.extend_from_slice(&frame);
}

/// Appends delete of a node at any version.
pub(crate) fn append_delete(xid: i32, path: &str, out: &mut Vec<u8>) {
    let mut frame = open_frame(xid, DELETE);
    put_buffer(&mut frame, path.as_bytes());
    put_int(&mut frame, ANY_VERSION);
    close_frame(&mut frame);
    out.extend_from_slice(&frame);
}

/// The string that the body of a reply begins with: the path that was created.
pub(crate) fn read_string(body: &[u8]) -> Result<&str> {
    let len = body.first_chunk::<4>().context("a reply without a string")?;
    let len = i32::from_be_bytes(*len).max(0) as usize;
    Ok(std::str::from_utf8(body[4..].get(..len).context("a reply's string breaks off")?)?)
}

/// The names in the body of the reply to getChildren.
pub(crate) fn read_names(body: &[u8]) -> Result<Vec<String>> {
    let count = body.first_chunk::<4>().context("a reply without names")?;
    let mut left = &body[4..];
    let mut names = Vec::new();
    for _ in 0..i32::from_be_bytes(*count).max(0) {
        let name = read_string(left)?;
        left = &left[4 + name.len()..];
        names.push(name.to_owned());
    }
    Ok(names)
}

/// How long the payload of a successful reply to [`multi_create_request`] is. That of one that failed is
/// shorter, as it holds no paths.
pub(crate) fn multi_create_reply_len(paths: &[String]) -> usize {
    let results: usize = paths.iter().map(|path| MULTI_HEADER_LEN + 4 + path.len()).sum();
    REPLY_HEADER_LEN + results + MULTI_HEADER_LEN
}

/// The frame that ends the session.
pub(crate) fn close_request(xid: i32) -> Vec<u8> {
    let mut frame = open_frame(xid, CLOSE_SESSION);
    close_frame(&mut frame);
    frame
}

/// The payload at the front of `bytes`, without its length; `None` while some of it is missing.
///
/// # Errors
/// A length that no reply has: the stream is not, or no longer, ZooKeeper's.
pub(crate) fn first_frame(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let Some(prefix) = bytes.first_chunk::<4>() else { return Ok(None) };
    Ok(bytes[4..].get(..frame_len(*prefix)?))
}

/// How many bytes follow the four that start a frame.
///
/// # Errors
/// As [`first_frame`].
pub(crate) fn frame_len(prefix: [u8; 4]) -> Result<usize> {
    let len = i32::from_be_bytes(prefix);
    ensure!((0..=FRAME_LEN_MAX).contains(&len), "a frame claims {len} bytes");
    Ok(len as usize)
}

/// What a server sends once there is a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    Reply(Reply<'a>),
    /// A watch fired.
    Event,
    /// The answer to a ping.
    Ping,
}

/// The reply to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reply<'a> {
    xid: i32,
    /// ZooKeeper's error code, 0 if the request succeeded.
    pub(crate) code: i32,
    /// All of the payload.
    pub(crate) payload: &'a [u8],
}

impl<'a> Reply<'a> {
    /// What stands behind the header.
    pub(crate) fn body(&self) -> &'a [u8] {
        &self.payload[REPLY_HEADER_LEN..]
    }

    /// Whether this is the reply to the request `xid`.
    pub(crate) fn check_xid(&self, xid: i32) -> Result<()> {
        let got = self.xid;
        ensure!(got == xid, "the reply to request {xid} is missing, one to {got} came instead");
        Ok(())
    }

    /// Whether the request succeeded.
    pub(crate) fn check_code(&self) -> Result<()> {
        let Reply { xid, code, .. } = self;
        ensure!(*code == 0, "request {xid} failed with ZooKeeper's error {code}");
        Ok(())
    }
}

/// Tells replies from events and pings.
pub(crate) fn read_frame(payload: &[u8]) -> Result<Frame<'_>> {
    ensure!(payload.len() >= REPLY_HEADER_LEN, "a reply has only {} bytes", payload.len());
    Ok(match int_at(payload, 0) {
        EVENT_XID => Frame::Event,
        PING_XID => Frame::Ping,
        xid => Frame::Reply(Reply { xid, code: int_at(payload, 12), payload }),
    })
}

/// Whether `payload` is the successful reply to request `xid`.
pub(crate) fn check_reply(payload: &[u8], xid: i32) -> Result<()> {
    let Frame::Reply(reply) = read_frame(payload)? else { bail!("the reply to request {xid} is missing") };
    reply.check_xid(xid)?;
    reply.check_code()
}

/// Appends a ping.
pub(crate) fn append_ping(out: &mut Vec<u8>) {
    put_int(out, 8);
    put_int(out, PING_XID);
    put_int(out, PING);
}

/// Appends what a server would reply to the request `payload`, as far as lengths and the header go, which
/// is all that a floor owes: the rest is zero.
pub(crate) fn append_hollow_reply(payload: &[u8], data_len: usize, out: &mut Vec<u8>) -> Result<()> {
    let header = payload.first_chunk::<8>().context("a request without a header")?;
    let body_len = match int_at(header, 4) {
        GET_DATA => 4 + data_len + STAT_LEN,
        SET_DATA => STAT_LEN,
        CREATE => 4 + payload.get(8..12).map_or(0, |len| int_at(len, 0).max(0) as usize),
        _ => 0,
    };
    let len = REPLY_HEADER_LEN + body_len;
    out.extend_from_slice(&(len as i32).to_be_bytes());
    out.extend_from_slice(&header[..4]);
    out.resize(out.len() + len - 4, 0);
    Ok(())
}

/// Appends the answer to [`connect_request`] that grants a session.
pub(crate) fn append_connect_response(out: &mut Vec<u8>) {
    put_int(out, CONNECT_RESPONSE_LEN as i32);
    put_int(out, 0); // protocol version
    put_int(out, 30_000); // timeout, ms
    put_long(out, 1); // session
    put_buffer(out, &[0; PASSWORD_LEN]);
    out.push(0); // not read-only
}

fn open_frame(xid: i32, code: i32) -> Vec<u8> {
    let mut frame = vec![0; 4];
    put_int(&mut frame, xid);
    put_int(&mut frame, code);
    frame
}

/// The frame of an operation on any of `paths`.
fn open_on_path(code: i32, paths: &Paths) -> Vec<u8> {
    let mut frame = open_frame(0, code);
    put_buffer(&mut frame, paths.path(0).as_bytes());
    frame
}

fn close_frame(frame: &mut [u8]) {
    let len = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&len.to_be_bytes());
}

fn put_multi_header(out: &mut Vec<u8>, code: i32, done: bool) {
    put_int(out, code);
    out.push(done.into());
    put_int(out, -1);
}

fn put_open_acl(out: &mut Vec<u8>) {
    put_int(out, 1); // entries
    put_int(out, ALL_PERMISSIONS);
    put_buffer(out, b"world");
    put_buffer(out, b"anyone");
}

fn put_buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    put_int(out, bytes.len() as i32);
    out.extend_from_slice(bytes);
}

fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The caller has checked the length.
fn int_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

const EVENT_XID: i32 = -1;
const PING_XID: i32 = -2;

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const PING: i32 = 11;
const MULTI: i32 = 14;
const GET_CHILDREN: i32 = 8;
const SYNC: i32 = 9;
const MULTI_END: i32 = -1;
const CLOSE_SESSION: i32 = -11;

const PERSISTENT: i32 = 0;
const EPHEMERAL: i32 = 1;
const PERSISTENT_SEQUENTIAL: i32 = 2;
const EPHEMERAL_SEQUENTIAL: i32 = 3;
/// Digits of the number that a sequential node's name gets.
const SEQUENCE_LEN: usize = 10;
const ANY_VERSION: i32 = -1;
const ALL_PERMISSIONS: i32 = 31;

/// What stands before the body of each reply: xid, zxid, error code.
pub(crate) const REPLY_HEADER_LEN: usize = 16;
const STAT_LEN: usize = 68;
const MULTI_HEADER_LEN: usize = 9;
const PASSWORD_LEN: usize = 16;
const CONNECT_RESPONSE_LEN: usize = 4 + 4 + 8 + 4 + PASSWORD_LEN + 1;
/// Enough for the names of some million children.
const FRAME_LEN_MAX: i32 = 1 << 28;

/// Behind the frame's length, the xid, the operation's code and the path's length.
const PATH_AT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_protocols_bytes_with_its_own_xid_and_child() {
        let mut out = vec![0xaa];
        Request::get(&Paths::flat("/p"), 0).append(0x0102_0304, 0xfe_dcba, &mut out);
        let mut expected = vec![0xaa, 0, 0, 0, 24, 1, 2, 3, 4, 0, 0, 0, 4, 0, 0, 0, 11];
        expected.extend_from_slice(b"/p/00fedcba\0");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_set_carries_data_and_any_version() {
        let mut out = Vec::new();
        Request::set(&Paths::flat("/p"), b"xy").append(1, 0, &mut out);
        assert_eq!(out[out.len() - 10..], [0, 0, 0, 2, b'x', b'y', 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(first_frame(&out).unwrap().unwrap().len(), out.len() - 4);
    }

    #[test]
    fn a_multi_holds_a_header_before_each_part_and_one_behind_the_last() {
        let frame = multi_create_request(7, &["/a".to_owned()], b"x");
        let mut expected = vec![0, 0, 0, 7, 0, 0, 0, 14];
        expected.extend_from_slice(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
        expected.extend_from_slice(&create_request(0, "/a")[12..18]);
        expected.extend_from_slice(&[0, 0, 0, 1, b'x']);
        put_open_acl(&mut expected);
        expected.extend_from_slice(&[0, 0, 0, 0]);
        expected.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(first_frame(&frame).unwrap(), Some(&expected[..]));
        assert_eq!(multi_create_reply_len(&["/a".to_owned()]), 16 + 9 + 4 + 2 + 9);
    }

    #[test]
    fn a_hollow_reply_is_as_long_as_the_request_expects() {
        let paths = Paths::flat("/parent");
        for request in [
            Request::get(&paths, 100),
            Request::set(&paths, &[7; 100]),
            Request::create(&paths, &[7; 100]),
            Request::delete(&paths),
        ] {
            let (mut asked, mut replied) = (Vec::new(), Vec::new());
            request.append(77, 5, &mut asked);
            append_hollow_reply(first_frame(&asked).unwrap().unwrap(), 100, &mut replied).unwrap();
            let reply = first_frame(&replied).unwrap().unwrap();
            assert_eq!(reply.len(), request.reply_len());
            assert_eq!(reply.len() + 4, replied.len());
            check_reply(reply, 77).unwrap();
        }
    }

    #[test]
    fn a_reply_out_of_order_or_with_an_error_is_refused() {
        let mut reply = [0; REPLY_HEADER_LEN];
        reply[3] = 9;
        assert!(check_reply(&reply, 9).is_ok());
        assert!(check_reply(&reply, 8).unwrap_err().to_string().contains("one to 9 came instead"));
        reply[12..].copy_from_slice(&(-101i32).to_be_bytes());
        assert!(check_reply(&reply, 9).unwrap_err().to_string().contains("error -101"));
        assert!(check_reply(&reply[..15], 9).is_err());
    }

    #[test]
    fn a_frame_is_taken_only_when_whole() {
        assert_eq!(first_frame(&[0, 0, 0]).unwrap(), None);
        assert_eq!(first_frame(&[0, 0, 0, 2, 1]).unwrap(), None);
        assert_eq!(first_frame(&[0, 0, 0, 2, 1, 2, 3]).unwrap(), Some(&[1, 2][..]));
        assert!(first_frame(&[0xff, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_refused_session_is_told_from_a_granted_one() {
        let mut granted = Vec::new();
        append_connect_response(&mut granted);
        let session = granted_session(first_frame(&granted).unwrap().unwrap()).unwrap();
        assert_eq!(session, Identity { id: 1, password: [0; PASSWORD_LEN] });
        granted[8..12].fill(0);
        assert!(granted_session(&granted[4..]).is_err());
    }
}
