//! The messages of etcd's KV and Maintenance services that the load needs (api/etcdserverpb/rpc.proto and
//! api/mvccpb/kv.proto), with the fields that it sets or reads. What else an answer holds is passed over.

use bytes::Bytes;
use prost::{Message, Oneof};

/// What one asks for: a method of a service, and its message as bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) message: Bytes,
}

/// A method that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Range,
    Put,
    DeleteRange,
    Txn,
    Compact,
    Status,
}

impl Method {
    pub(super) const ALL: [Method; 6] =
        [Method::Range, Method::Put, Method::DeleteRange, Method::Txn, Method::Compact, Method::Status];

    /// Where gRPC has it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Method::Range => "/etcdserverpb.KV/Range",
            Method::Put => "/etcdserverpb.KV/Put",
            Method::DeleteRange => "/etcdserverpb.KV/DeleteRange",
            Method::Txn => "/etcdserverpb.KV/Txn",
            Method::Compact => "/etcdserverpb.KV/Compact",
            Method::Status => "/etcdserverpb.Maintenance/Status",
        }
    }
}

/// How far a read looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// What the server asked has itself, as ZooKeeper's reads.
    Serializable,
    /// What the cluster has agreed on by now: the server asks its leader first.
    Linearizable,
}

impl Request {
    /// Range of one key, with its value.
    pub(crate) fn get(key: &str, read: Read) -> Request {
        let serializable = read == Read::Serializable;
        Request::new(Method::Range, &RangeRequest { serializable, ..RangeRequest::of(key) })
    }

    /// Range of one key, without its value.
    pub(crate) fn exists(key: &str) -> Request {
        let range = RangeRequest { serializable: true, keys_only: true, ..RangeRequest::of(key) };
        Request::new(Method::Range, &range)
    }

    /// Range of all keys that begin with `prefix`, which ends with a slash, without their values.
    pub(crate) fn list(prefix: &str) -> Request {
        let range_end = behind(prefix);
        let range =
            RangeRequest { range_end, serializable: true, keys_only: true, ..RangeRequest::of(prefix) };
        Request::new(Method::Range, &range)
    }

    /// Put, whether or not the key is there.
    pub(crate) fn put(key: &str, value: &Bytes) -> Request {
        Request::new(Method::Put, &PutRequest::of(key, value))
    }

    /// Txn that puts a key unless it is there.
    pub(crate) fn create(key: &str, value: &Bytes) -> Request {
        let compare = Compare {
            result: EQUAL,
            target: CREATE,
            key: bytes(key),
            than: Some(Than::CreateRevision(NEVER_CREATED)),
        };
        let success = vec![RequestOp::put(key, value)];
        Request::new(Method::Txn, &TxnRequest { compare: vec![compare], success })
    }

    /// Txn that puts several keys, no key twice.
    pub(crate) fn put_all(keys: impl IntoIterator<Item = String>, value: &Bytes) -> Request {
        let success = keys.into_iter().map(|key| RequestOp::put(&key, value)).collect();
        Request::new(Method::Txn, &TxnRequest { compare: Vec::new(), success })
    }

    /// DeleteRange of one key.
    pub(crate) fn delete(key: &str) -> Request {
        Request::new(Method::DeleteRange, &DeleteRangeRequest { key: bytes(key), range_end: Bytes::new() })
    }

    /// DeleteRange of all keys that begin with `prefix`, which ends with a slash.
    pub(crate) fn delete_all(prefix: &str) -> Request {
        let range = DeleteRangeRequest { key: bytes(prefix), range_end: behind(prefix) };
        Request::new(Method::DeleteRange, &range)
    }

    /// Has the server forget what was overwritten or deleted before a revision, and waits until it has.
    pub(super) fn compact(revision: i64) -> Request {
        Request::new(Method::Compact, &CompactionRequest { revision, physical: true })
    }

    /// What the server says of itself.
    pub(super) fn status() -> Request {
        Request::new(Method::Status, &StatusRequest {})
    }

    fn new(method: Method, message: &impl Message) -> Request {
        Request { method, message: message.encode_to_vec().into() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) range_end: Bytes,
    #[prost(bool, tag = "7")]
    pub(super) serializable: bool,
    #[prost(bool, tag = "8")]
    pub(super) keys_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
    #[prost(int64, tag = "4")]
    pub(super) count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PutResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeleteRangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) range_end: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DeleteRangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(int64, tag = "2")]
    pub(super) deleted: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(super) success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Compare {
    /// [`EQUAL`], or others that are not used here.
    #[prost(int32, tag = "1")]
    pub(super) result: i32,
    /// [`CREATE`], or others that are not used here.
    #[prost(int32, tag = "2")]
    pub(super) target: i32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) key: Bytes,
    #[prost(oneof = "Than", tags = "5")]
    pub(super) than: Option<Than>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Than {
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestOp {
    #[prost(oneof = "Operation", tags = "2")]
    pub(super) request: Option<Operation>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Operation {
    #[prost(message, tag = "2")]
    Put(PutRequest),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TxnResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(bool, tag = "2")]
    pub(super) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(super) responses: Vec<ResponseOp>,
}

/// Of which only the number is of interest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseOp {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CompactionRequest {
    #[prost(int64, tag = "1")]
    pub(super) revision: i64,
    #[prost(bool, tag = "2")]
    pub(super) physical: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CompactionResponse {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// The member that leads; 0 while nobody does.
    #[prost(uint64, tag = "4")]
    pub(super) leader: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseHeader {
    /// The member that answered.
    #[prost(uint64, tag = "2")]
    pub(super) member_id: u64,
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

impl RangeRequest {
    fn of(key: &str) -> RangeRequest {
        RangeRequest { key: bytes(key), ..RangeRequest::default() }
    }
}

impl PutRequest {
    fn of(key: &str, value: &Bytes) -> PutRequest {
        PutRequest { key: bytes(key), value: value.clone() }
    }
}

impl RequestOp {
    fn put(key: &str, value: &Bytes) -> RequestOp {
        RequestOp { request: Some(Operation::Put(PutRequest::of(key, value))) }
    }
}

fn bytes(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

/// The first key behind all that begin with `prefix`, which ends with a slash.
fn behind(prefix: &str) -> Bytes {
    debug_assert!(prefix.ends_with('/'), "{prefix} is no folder of keys");
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}

/// Of the results and targets of a comparison.
const EQUAL: i32 = 0;
const CREATE: i32 = 1;

/// What the server takes for the revision of a key that is not there.
const NEVER_CREATED: i64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_the_protocols_bytes() {
        let value = Bytes::from_static(b"v");
        for (request, path, expected) in [
            (Request::get("k", Read::Linearizable), "/etcdserverpb.KV/Range", &b"\x0a\x01k"[..]),
            (Request::get("k", Read::Serializable), "/etcdserverpb.KV/Range", b"\x0a\x01k\x38\x01"),
            (Request::exists("k"), "/etcdserverpb.KV/Range", b"\x0a\x01k\x38\x01\x40\x01"),
            (Request::list("k/"), "/etcdserverpb.KV/Range", b"\x0a\x02k/\x12\x02k0\x38\x01\x40\x01"),
            (Request::put("k", &value), "/etcdserverpb.KV/Put", b"\x0a\x01k\x12\x01v"),
            (Request::delete("k"), "/etcdserverpb.KV/DeleteRange", b"\x0a\x01k"),
            (Request::delete_all("k/"), "/etcdserverpb.KV/DeleteRange", b"\x0a\x02k/\x12\x02k0"),
            (
                // If the revision that k was created at is 0, then put it.
                Request::create("k", &value),
                "/etcdserverpb.KV/Txn",
                b"\x0a\x07\x10\x01\x1a\x01k\x28\x00\x12\x08\x12\x06\x0a\x01k\x12\x01v",
            ),
            (
                Request::put_all(["a", "b"].map(String::from), &value),
                "/etcdserverpb.KV/Txn",
                b"\x12\x08\x12\x06\x0a\x01a\x12\x01v\x12\x08\x12\x06\x0a\x01b\x12\x01v",
            ),
            (Request::compact(9), "/etcdserverpb.KV/Compact", b"\x08\x09\x10\x01"),
            (Request::status(), "/etcdserverpb.Maintenance/Status", b""),
        ] {
            assert_eq!(request.method.path(), path);
            assert_eq!(&request.message[..], expected, "{path}");
        }
    }

    #[test]
    fn an_answer_is_read_past_the_fields_that_nobody_needs() {
        // A header with cluster, member, revision and term; a key with its revisions and its value; more; count.
        let answer = b"\x0a\x08\x08\x01\x10\x02\x18\x03\x20\x04\
            \x12\x0e\x0a\x01k\x10\x05\x18\x06\x20\x01\x2a\x03abc\x18\x00\x20\x07";
        let range = RangeResponse::decode(&answer[..]).unwrap();
        assert_eq!(range.header, Some(ResponseHeader { member_id: 2, revision: 3 }));
        assert_eq!(range.kvs, [KeyValue { key: "k".into(), value: "abc".into() }]);
        assert_eq!(range.count, 7);
        // A response to a put, within a transaction that went through.
        let txn = TxnResponse::decode(&b"\x10\x01\x1a\x04\x12\x02\x0a\x00"[..]).unwrap();
        assert!(txn.succeeded && txn.responses.len() == 1 && txn.header.is_none());
        assert!(TxnResponse::decode(&b"\x1a\x04\x12"[..]).is_err(), "it breaks off");
    }
}
