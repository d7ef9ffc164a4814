//! ZooKeeper's snapshot: the tree and the sessions at one moment, in the file `snapshot.<zxid in hex>`.
//!
//! ```text
//!  +--------+----------+-----------+------+------+-- … --+---+------+---------+------+----------+------+
//!  | header | sessions | ACL table | root | node | nodes | / | seal | digest? | seal | lastZxid?| seal |
//!  +--------+----------+-----------+------+------+-- … --+---+------+---------+------+----------+------+
//! ```
//!
//! All numbers are big-endian; a `string` or `buffer` is an `int` length and so many bytes, -1 for null.
//!
//! | part       | layout                                                                              |
//! |------------|-------------------------------------------------------------------------------------|
//! | header     | `int` magic `ZKSN`, `int` version 2, `long` -1                                       |
//! | sessions   | `int` n; n times `long` id, `int` timeout in ms                                      |
//! | ACL table  | `int` n; n times `long` id, and a list: `int` m; m times `int` perms, `string` scheme, `string` id |
//! | nodes      | `string` path, `buffer` data, `long` ACL id, then the stat as it is stored, 60 bytes |
//! | end        | `string` "/", where the next node's path would be                                   |
//! | seal       | `long` Adler-32 of everything before it from the file's first byte on, `string` "/"  |
//! | digest     | `long` zxid, `int` version, `long` digest of the tree; then a seal (3.6 and later)   |
//! | lastZxid   | `long` zxid; then a seal (3.9 and later)                                             |
//!
//! The stored stat is `czxid, mzxid, ctime, mtime` (`long`), `version, cversion, aversion` (`int`),
//! `ephemeralOwner, pzxid` (`long`). The root's path is empty; parents precede their children. The ACL id
//! -1 stands for the list that lets everybody do everything, which is not in the table.
//!
//! Which of the last two sections there are shows in the file's length alone. Only a file without either
//! is read by every version of Java whatever its flags: 3.9, where it is told to write the last one and not the
//! one before it, takes either for the other. Others pass over what they do not know.
//!
//! # What is trusted
//!
//! A file is loaded whole or not at all. Every bit of it is covered: what a seal's sum does not cover (the
//! sum itself and the "/" behind it) is compared with what it must be, which Java does not do for the "/".
//! So a file that was cut, or in which a bit is flipped, is not loaded; Adler-32 lets about one of 2^32
//! random damages pass. The zxid of the state is the one in the file's name, and no seal covers that.
//!
//! | crash                                 | what is found                             | so                            |
//! |---------------------------------------|-------------------------------------------|-------------------------------|
//! | of Java while it wrote one            | a beginning under the final name, to which Java writes without a sync | not loaded |
//! | of Java, its disk full                | a file of no bytes                        | not loaded                    |
//! | of Java while a leader sent it one    | `snapshot.<zxid>.tmp`                     | no snapshot's name            |
//! | of ours, or its disk full             | a file that has no snapshot's name yet    | made anew by the next         |
//!
//! One that is not loaded is named, and the one before it is taken. Java had logged all that is in it, so the
//! logs reach its zxid; where they do not, the file was damaged later, and a server that went on from an older
//! one would forget what it had acknowledged: it does not start.
//!
//! What no sum covers: the name; gzip's header but for its magic, of which nothing is used; snappy's version
//! (its least version is compared). Compressed bytes may differ in ways that unpack to the same. Cut exactly
//! before one of the last two sections, a file is whole for Java and for us: they only repeat what the name and
//! the tree say.
//!
//! A leader sends its tree to a learner in the same form, from the sessions to the end, with neither header
//! nor seals but the `string` "BenWasHere" behind it (zab §6.3): there TCP is all that is trusted.
//!
//! A snapshot that Java wrote while it served is *fuzzy*: later transactions may be in it in part. Then a
//! node may have an ACL id that the table lacks. Such a node gets a list that lets nobody do anything until
//! the log, which must be replayed from the zxid in the name on, brings the right one.

mod compression;
mod decode;
mod encode;
mod name;
mod receive;
mod seal;
mod stream;
mod sum;
#[cfg(test)]
mod tests;

pub use compression::{Compression, Packer, UnpackError};
pub use decode::{Reason, Snapshot, SnapshotError};
pub use encode::SnapshotWriter;
pub use name::SnapshotName;
pub use receive::{Received, TreeReceiver};
pub use seal::{SealError, check_seal};
pub use stream::{Item, SnapshotStream, StoredNode, StreamError};

use crate::id::Zxid;

/// What follows the first seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// The digest of the tree.
    pub digest: Option<Digest>,
    /// The zxid of the state, for those that get a snapshot without its name.
    pub last_zxid: Option<Zxid>,
}

/// A digest of the tree (storage-formats §6). It says what was served, not what is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Of which state; zero if unknown.
    pub zxid: Zxid,
    /// How it was computed.
    pub version: i32,
    /// The digest.
    pub value: i64,
}

const MAGIC: i32 = i32::from_be_bytes(*b"ZKSN");
const VERSION: i32 = 2;
const DB_ID: i64 = -1;
const OPEN_ACL_ID: i64 = -1;
const HEADER_LEN: usize = 16;
const SESSION_LEN: usize = 12;
const STAT_LEN: usize = 60;
const END: &[u8] = b"/";
const END_LEN: usize = 5;
const SEAL_LEN: usize = 8 + END_LEN;
const DIGEST_LEN: usize = 20;
const LAST_ZXID_LEN: usize = 8;
const SIGNATURE: &[u8] = b"BenWasHere";
