//! ringkeeper, a drop-in replacement for an Apache ZooKeeper server: thread-per-core on io_uring.
//!
//! What the server decides lives in [`ringkeeper_core`], as state machines without I/O or a clock. This
//! crate moves bytes and messages for them.
//!
//! # The map
//!
//! ```text
//!            clients
//!               |            net: one acceptor, which deals connections to the least loaded shard
//!        +------v------+  ShardTurn   +-----------+  RecordBatch  +---------------+
//!        | shard 0..n  |------------->|  commit   |-------------->| storage::wal  |
//!        |             |<-------------|           |<--------------|               |
//!        +-------------+  CommitBatch +-----------+    Durable    +---------------+
//!                                           | CommitBatch
//!                                     +-----v-------+
//!                                     | snapshotter |  an ordinary thread
//!                                     +-------------+
//! ```
//!
//! | module | what it is | the machine that it drives |
//! |---|---|---|
//! | [`net`] | client ports: listening, also elsewhere after a reconfig, who may connect, to which shard; connections between servers | |
//! | [`tls`] | keys and certificates, who is trusted, handshakes | |
//! | [`shard`] | role: client connections of one executor, reads, watches | [`ringkeeper_core::shard`] |
//! | [`commit`] | role: the only writer; orders, publishes | [`ringkeeper_core::prep`] |
//! | [`member`] | the commit role of an ensemble's member; the files that say who the servers are | [`ringkeeper_core::member`] |
//! | [`quorum_port`] | packets and trees between a leader and its learners, which may have to prove who they are | [`ringkeeper_core::zab`], [`ringkeeper_core::sasl`] |
//! | [`election`] | role: the election port, for ensembles | [`ringkeeper_core::election`] |
//! | [`oracle`] | the file that lets one of two servers go on alone | |
//! | [`snapshotter`] | follows what is published, writes snapshots of it | [`ringkeeper_core::snap_trigger`] |
//! | [`storage`] | role `wal`: group commit, recovery | [`ringkeeper_core::format::wal`] |
//! | [`admin`] | four-letter words | |
//! | [`wiring`] | what roles say to each other | |
//! | [`topology`] | which role runs on which executor | |
//! | [`server`] | builds the roles and joins their inboxes | |
//! | [`preflight`] | what must be right about the machine | |
//! | [`tools`] | what is done with data folders offline: dump, verify, compare, repair, export | [`ringkeeper_core::format`] |
//! | [`cli`] | the command line | [`ringkeeper_core::config`] |
//! | [`runtime`] | the thin layer over glommio and the process: executors, inboxes, sockets, signals, `fatal` | |
//!
//! # Invariants
//!
//! 1. **Nothing acknowledged is lost.** A reply to a write is published only up to a zxid for which there
//!    is a [`Durable`](ringkeeper_core::durable::Durable), and only the log makes one, after the write that
//!    carries the transaction has returned. A write that fails ends the process, through
//!    [`runtime::fatal`].
//! 2. **One order.** The commit role gives each transaction its zxid; the log, every shard and recovery
//!    see them in that order.
//! 3. **A shard is always exactly at some zxid.** It applies a [`CommitBatch`] between requests, never
//!    during one, and queues the watch events of each change before anything that could show it.
//! 4. **A session's requests are answered in their order**; nobody waits for another session's.
//! 5. **Roles know messages and not one another**, and what they hold stays on their executor. Only
//!    znodes are shared, and they never change.
//! 6. **Everything that a peer can make grow has a bound**, and says what happens there: see
//!    [`ShardOptions`](ringkeeper_core::shard::ShardOptions).
//!
//! `tests/tidy` checks what of this the compiler does not.
//!
//! # Where this departs from the first design
//!
//! - One kind of inbox serves roles on one executor and on several ([`runtime::inbox`]): what is posted
//!   are whole turns and batches, so a lock-free queue costs little per request, and a layout is only a
//!   matter of placement.
//! - What a parent knows of its children is kept beside its node, not in it ([`ringkeeper_core::tree`]):
//!   creating a child copies no data, and children cost no table of their own.
//! - Connections are accepted by an ordinary thread: it is rare, and must not wait for a busy shard.
//! - An executor waits for all its sockets at once, through an epoll instance that its ring polls, and not for each
//!   through the ring ([`runtime`]): it is interrupted less, and silent connections cost it hardly anything.
//! - On one executor the commit role and the shard share the table that finds a node by its path, behind a lock that
//!   nobody ever waits for ([`ringkeeper_core::tree::DataTree::share`]). Each has its own index for the rest, so that what is
//!   not published does not show. Shards of their own executors have tables of their own, without a lock.
//!
//! [`CommitBatch`]: ringkeeper_core::flow::CommitBatch

pub mod admin;
pub mod cli;
pub mod commit;
pub mod election;
pub mod member;
pub mod net;
pub mod oracle;
pub mod preflight;
pub mod quorum_port;
pub mod runtime;
pub mod server;
pub mod shard;
pub mod snapshotter;
pub mod storage;
pub mod tls;
pub mod tools;
pub mod topology;
pub mod version;
pub mod wiring;
