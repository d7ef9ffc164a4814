//! A connection to etcd under load: its answers come in any order, and each is looked into.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nix::sys::epoll::Epoll;
use prost::Message;

use super::channel::{ALREADY_EXISTS, Answer, Channel, NOT_FOUND, failure};
use super::messages::{DeleteRangeResponse, PutResponse, RangeResponse, Request, TxnResponse};
use super::session::Session;
use crate::client::Interest;
use crate::engine::{Asked, Failure, Link, Queue};

/// The connection, and what it has to know of each call on it.
pub(crate) struct Client {
    channel: Channel,
    interest: Interest,
    /// By the calls' numbers, which count up: the oldest is the first.
    in_flight: BTreeMap<u64, Asked<Expected>>,
}

/// What a successful answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A key with a value of so many bytes; 5 (NOT_FOUND) counts where there is none.
    Value(usize),
    /// So many keys.
    Keys(u32),
    /// What any put brings.
    Put,
    /// That a key was put, because it was not there; 6 (ALREADY_EXISTS) counts where it was.
    Created,
    /// That so many keys were put at once.
    PutAll(u32),
    /// That a key was deleted; 5 (NOT_FOUND) counts where there was none.
    Deleted,
}

impl Expected {
    /// Looks whether `message` is that, or says why the request failed.
    ///
    /// # Errors
    /// When it is neither: the server does something else than it was asked for.
    fn check(self, message: Bytes) -> Result<Result<(), Failure>> {
        let missing = || Ok(Err(failure(NOT_FOUND, "the key is not there".to_owned())));
        match self {
            Expected::Value(len) => {
                let answer: RangeResponse = decode(message)?;
                let Some(found) = answer.kvs.first() else { return missing() };
                let found = found.value.len();
                ensure!(found == len, "a key holds {found} bytes instead of {len}");
            }
            Expected::Keys(count) => {
                let answer: RangeResponse = decode(message)?;
                let found = answer.kvs.len();
                if found == 0 && count == 1 {
                    return missing();
                }
                ensure!(found == count as usize, "{found} keys are listed instead of {count}");
            }
            Expected::Put => {
                let answer: PutResponse = decode(message)?;
                ensure!(
                    answer.header.is_some_and(|header| header.revision > 0),
                    "a put has no revision of its own"
                );
            }
            Expected::Created => {
                let answer: TxnResponse = decode(message)?;
                if !answer.succeeded {
                    return Ok(Err(failure(ALREADY_EXISTS, "the key is there already".to_owned())));
                }
                ensure!(answer.responses.len() == 1, "a create has put {} keys", answer.responses.len());
            }
            Expected::PutAll(count) => {
                let answer: TxnResponse = decode(message)?;
                let put = answer.responses.len();
                ensure!(
                    answer.succeeded && put == count as usize,
                    "a transaction has put {put} keys instead of {count}"
                );
            }
            Expected::Deleted => {
                let answer: DeleteRangeResponse = decode(message)?;
                if answer.deleted == 0 {
                    return missing();
                }
                ensure!(answer.deleted == 1, "a delete of one key has deleted {}", answer.deleted);
            }
        }
        Ok(Ok(()))
    }
}

/// Reads an answer's message.
pub(super) fn decode<M: Message + Default>(message: Bytes) -> Result<M> {
    M::decode(message).context("an answer is none of etcd's")
}

impl Queue<'_, Client> {
    /// Adds a request that ends its operation.
    pub(crate) fn call(&mut self, operation: usize, tag: u32, expected: Expected, request: Request) {
        let (client, asked) = self.add_last(operation, tag, expected);
        let number = client.channel.call(request);
        client.in_flight.insert(number, asked);
    }
}

impl Link for Client {
    type Expected = Expected;
    type Session = Session;

    fn open(addr: SocketAddr, patience: Duration) -> Result<Session> {
        Session::open(addr, patience)
    }

    fn new(session: Session) -> Result<Client> {
        let (channel, interest) = (session.into_channel(), Interest::default());
        Ok(Client { channel, interest, in_flight: BTreeMap::new() })
    }

    fn flush(&mut self, epoll: &Epoll, number: usize) -> Result<()> {
        let blocked = !self.channel.send()?;
        self.interest.follow(blocked, epoll, &self.channel, number)
    }

    fn receive(&mut self) -> Result<u64> {
        self.channel.receive()
    }

    fn take_replies(
        &mut self,
        mut on_reply: impl FnMut(Asked<Expected>, Result<(), Failure>) -> Result<()>,
    ) -> Result<()> {
        for (number, answer) in self.channel.take_answered() {
            let asked =
                self.in_flight.remove(&number).context("an answer came that nothing had asked for")?;
            on_reply(asked, checked(asked.expected, answer)?)?;
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn oldest(&self) -> Option<&Asked<Expected>> {
        self.in_flight.first_key_value().map(|(_, asked)| asked)
    }

    fn take_in_flight(&mut self) -> Vec<Asked<Expected>> {
        std::mem::take(&mut self.in_flight).into_values().collect()
    }

    fn close(self) -> Result<()> {
        // A connection is all that there is of a session.
        Ok(())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

fn checked(expected: Expected, answer: Answer) -> Result<Result<(), Failure>> {
    match answer {
        Ok(message) => expected.check(message),
        Err(failure) => Ok(Err(failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::{KeyValue, ResponseHeader, ResponseOp};
    use super::*;

    /// The code that counts, 0 if it succeeded, or why the answer is wrong.
    fn code(expected: Expected, answer: &impl Message) -> Result<i32, String> {
        let checked = expected.check(answer.encode_to_vec().into());
        checked
            .map_err(|error| error.to_string())
            .map(|found| found.map_or_else(|failure| failure.code, |()| 0))
    }

    #[test]
    fn a_read_finds_a_value_of_its_length() {
        let found = |len: usize| RangeResponse {
            kvs: vec![KeyValue { key: "k".into(), value: vec![b'd'; len].into() }],
            ..RangeResponse::default()
        };
        assert_eq!(code(Expected::Value(100), &found(100)), Ok(0));
        assert_eq!(code(Expected::Value(100), &RangeResponse::default()), Ok(NOT_FOUND));
        assert!(code(Expected::Value(100), &found(99)).unwrap_err().contains("99 bytes instead of 100"));
        assert_eq!(code(Expected::Keys(1), &found(0)), Ok(0));
        assert_eq!(code(Expected::Keys(1), &RangeResponse::default()), Ok(NOT_FOUND));
        assert!(code(Expected::Keys(2), &found(0)).is_err());
    }

    #[test]
    fn a_create_of_a_key_that_is_there_fails_and_changes_nothing() {
        let txn = |succeeded, puts| TxnResponse {
            succeeded,
            responses: vec![ResponseOp {}; puts],
            ..TxnResponse::default()
        };
        assert_eq!(code(Expected::Created, &txn(true, 1)), Ok(0));
        assert_eq!(code(Expected::Created, &txn(false, 0)), Ok(ALREADY_EXISTS));
        assert!(code(Expected::Created, &txn(true, 0)).is_err());
        assert_eq!(code(Expected::PutAll(3), &txn(true, 3)), Ok(0));
        assert!(code(Expected::PutAll(3), &txn(true, 2)).is_err());
    }

    #[test]
    fn a_put_has_a_revision_and_a_delete_tells_what_it_deleted() {
        let put = |revision| PutResponse { header: Some(ResponseHeader { member_id: 1, revision }) };
        assert_eq!(code(Expected::Put, &put(2)), Ok(0));
        assert!(code(Expected::Put, &put(0)).is_err());
        let deleted = |deleted| DeleteRangeResponse { deleted, ..DeleteRangeResponse::default() };
        assert_eq!(code(Expected::Deleted, &deleted(1)), Ok(0));
        assert_eq!(code(Expected::Deleted, &deleted(0)), Ok(NOT_FOUND));
        assert!(code(Expected::Deleted, &deleted(2)).is_err());
        assert!(Expected::Put.check(Bytes::from_static(b"\xff")).is_err(), "no message at all");
    }
}
