//! The write-ahead log's bytes: what the log role writes, and what is read back after a crash.
//!
//! ```text
//!   wal.0000000000000001    wal.00000001000003e8         wal.next
//!  +----------------------+----------------------+----------------------+
//!  |H|batch|batch  |batch0|H|batch|batch|0000000 |H|00000000000000000000|
//!  +----------------------+----------------------+----------------------+
//!         full, synced           being written        prepared ahead
//! ```
//!
//! A **segment** is one file: a header block, then batches, then zeros. It has its whole length, and is
//! all zeros on the disk itself, before it gets its name, so that writing a batch changes no metadata. Its
//! name is `wal.` and the zxid of its first record in 16 hex digits; a segment that has no record yet is
//! `wal.next`, one that is still being zeroed `wal.tmp`. Names are for people and for purging: which
//! segment follows which is said by the numbers in their headers. All numbers are big-endian.
//!
//! | offset | size | segment header (one block)                                       |
//! |-------:|-----:|------------------------------------------------------------------|
//! |      0 |    4 | magic `RKWL`                                                     |
//! |      4 |    4 | crc32c of bytes 8..4096                                          |
//! |      8 |    4 | format version, 1                                                |
//! |     12 |    4 | zero                                                             |
//! |     16 |    8 | number: one more than the segment's before                       |
//! |     24 |    8 | nonce: random, so that nobody can write a client's data that looks like a batch, and no block of a former life passes for one |
//! |     32 |    8 | length of the segment in bytes, this block included              |
//! |     40 |    … | zero                                                             |
//!
//! A **batch** is one group commit: whole blocks, alone in flight, never written again once synced. So a
//! batch proves that all batches before it were synced when it was written.
//!
//! | offset | size | batch                                                            |
//! |-------:|-----:|------------------------------------------------------------------|
//! |      0 |    4 | magic `RKWB`                                                     |
//! |      4 |    4 | crc32c of bytes 8..64                                            |
//! |      8 |    8 | nonce of the segment                                             |
//! |     16 |    8 | sequence: one more than the batch's before, across segments      |
//! |     24 |    8 | zxid of the state that the first record continues                |
//! |     32 |    8 | zxid of the last record                                          |
//! |     40 |    4 | length of the records in bytes                                   |
//! |     44 |    4 | number of records                                                |
//! |     48 |    4 | crc32c of bytes 64..end, fill included                           |
//! |     52 |    4 | the crc at offset 4 of the batch before, across segments: the chain |
//! |     56 |    4 | how many of the batch's 512-byte sectors are all zero            |
//! |     60 |    4 | flags; 1: written without sync (`forceSync=no`)                  |
//! |     64 |    … | records, then zero fill to a whole block                         |
//!
//! A **record** is `u32 length`, `u64 zxid`, and `length` bytes that this module does not look into. Zxids
//! increase from record to record; they may leave gaps.
//!
//! # Where a log begins and continues
//!
//! A log need not begin with the first transaction there was: segments that snapshots cover are recycled, and
//! a server may have got its state from Java's files or, whole, from its leader. So each batch says which
//! state it continues. Within the log that is the record before it, unless the state came further otherwise
//! in between ([`Cursor::skip_to`]); it never goes back. Whoever replays the log must have come at least to
//! that state when a record is due ([`Record::after`]): where a snapshot ends before that, what is between
//! is lost, and must not be left out silently.
//!
//! So a log that is *reset* to a snapshot's zxid keeps its segments and its chain: only what lies after that
//! zxid is cut off, and the next batch says that it continues the snapshot. The records before it are then
//! never applied again, and go when two snapshots cover them.
//!
//! # How segments end
//!
//! The oldest segment is retired when the state before the second oldest is in two snapshots: it is renamed
//! to `wal.spare.` and the zxid of its first record, and some day zeroed under that name, given a new header,
//! and renamed to `wal.next`. If there are spares enough it is removed instead. The next segment is retired
//! only when the folder says durably that this one is gone, so what is left of a log is always its end,
//! without a hole. The newest segment with a name is never retired.
//!
//! # What is assumed of the device
//!
//! 1. A write that has returned under `O_DSYNC`, or before a finished `fdatasync`, is durable.
//! 2. A sector of 512 bytes is written whole or not at all, and one that can't be read gives an error.
//!    Beyond that a write that was in flight may have left any subset of its sectors, in any order.
//! 3. Sectors outside a write do not change.
//!
//! # What a crash leaves
//!
//! | crash                                 | what is found                        | what is done |
//! |---------------------------------------|--------------------------------------|--------------|
//! | between writes                        | zeros after the last batch           | continue there |
//! | during a write                        | sectors of the batch are zero that should not be, be it its first one, some in the middle or the last; nothing of it was acknowledged | cut: zero it and continue there |
//! | during a write, all sectors landed    | a valid batch that nobody was told of | keep it: it is what a later crash would have kept |
//! | while such a cut is being zeroed      | the same batch with more zeros       | cut again |
//! | while the next segment is prepared    | a `wal.tmp`, or a spare with anything in it | delete it; use it as a spare |
//! | after that, before its first batch    | a `wal.next` with nothing behind its header | use it |
//! | during the first batch of a segment   | a `wal.next` with a torn batch       | cut and use it |
//! | before that segment gets its own name | a `wal.next` that has batches        | name it |
//! | before the rename of a retired segment is durable | the segment, whole, with its old name | read it; it is retired again later |
//! | before its removal is durable         | the same                             | the same |
//! | after that                            | a log that begins later              | replay it from a snapshot |
//! | while a log is cut off after a zxid   | the old log without its last segments, or with the shorter copy of one | it ends at or after that zxid: cut again |
//!
//! Anything else is damage to what was once synced, and is never repaired by forgetting it ([`Reason`]):
//!
//! * A bad batch, or none, where a later batch of this or the next segment exists: the later one proves
//!   that this one was synced. Its header suffices for that, torn or not behind it.
//! * A bad batch whose sectors have all landed: what a tear leaves out is zero, so a batch that has no more
//!   zero sectors than its header says, and still does not match its checksum, was changed afterwards. The
//!   same holds for a first sector that is neither zero nor a header. So damage is told from a tear even
//!   in the very last batch, unless it consists of whole sectors turned zero.
//!
//! Batches that are flagged as unsynced prove nothing about those before them: after a power failure the
//! log ends at the first hole, as the operator chose. A segment is synced whole before the next is begun.

mod batch;
mod cursor;
mod layout;
mod recovery;
mod scan;
#[cfg(test)]
mod tests;

pub use batch::{BATCH_LEN_MAX, RecordBatch};
pub use cursor::{Chain, Cursor, Sync, encoded_len};
pub use layout::{BLOCK_LEN, Corruption, Reason, SegmentHeader};
pub use recovery::{Cut, Record, Recovered, Recovery, RecoveryError};
pub use scan::{Batch, Records, Scanner, Verdict, shortened};
