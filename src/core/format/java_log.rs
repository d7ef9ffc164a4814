//! Java ZooKeeper's transaction log, `log.<zxid of the first entry in hex>`.
//!
//! | offset | size | field                                                               |
//! |-------:|-----:|---------------------------------------------------------------------|
//! |      0 |    4 | magic `ZKLG`                                                        |
//! |      4 |    4 | version 2                                                           |
//! |      8 |    8 | database id: 0 in Java's files, `RKhanded` in ours ([`Author`])     |
//! |     16 |    … | entries, then zeros up to the length that the file was given ahead  |
//!
//! | size | entry                                                                      |
//! |-----:|----------------------------------------------------------------------------|
//! |    8 | Adler-32 of the payload                                                    |
//! |    4 | length of the payload in bytes                                             |
//! |    … | payload: [`TxnHeader`](crate::proto::TxnHeader), transaction, maybe a digest |
//! |    1 | `B`                                                                        |
//!
//! All numbers are big-endian. A file is made when a server has its first transaction to log after its start
//! or after a snapshot was begun, and it is named after that transaction; nobody writes to it once another is
//! begun. Zxids rise by one from entry to entry and from file to file, or go on with the first of a later
//! epoch; who replays several files checks that.
//!
//! # What is assumed of the device
//!
//! Entries are written one behind the other into space that is zero, and nothing is acknowledged before an
//! `fdatasync` of the file. Whatever was written since the last one may be there or not after a power cut, in
//! sectors of 512 bytes; where Java alone dies, the file ends, or turns to zeros, at any byte.
//!
//! # What a crash leaves
//!
//! | crash                                   | what is found                                  | so               |
//! |-----------------------------------------|------------------------------------------------|------------------|
//! | after the last entry was synced         | the file's end behind it                       | [`End::File`]    |
//! |                                         | nothing but zeros behind it                    | [`End::Padding`] |
//! | while an entry was being written        | part of an entry, then zeros or the file's end | [`End::Torn`]    |
//! | before what was written was synced      | an entry of which a whole sector is zeros, and no whole entry behind it | [`End::Torn`] |
//! | before the header was written           | no bytes at all, the beginning of a header, or nothing but zeros | [`LogReader::is_unwritten`] |
//!
//! Nothing of that was acknowledged; the next file, if there is one, goes on behind the last whole entry.
//!
//! # What is damage
//!
//! Java's sum covers the payload alone. A bad length looks to Java like the end of the file, and so does a bad
//! mark, so that it starts without what is behind. Here they are told from what a crash leaves:
//!
//! | found                                                                | so                     |
//! |----------------------------------------------------------------------|------------------------|
//! | a header that differs in any bit                                     | [`Reason::Header`] and others |
//! | a length with which nothing fits, where the sum fits another that a mark follows | [`Reason::Length`] |
//! | a length below zero                                                  | [`Reason::Length`]     |
//! | a payload that fits its sum, with something behind it that is neither the mark nor zero | [`Reason::Mark`] |
//! | a payload that does not fit its sum, all of whose sectors have landed | [`Reason::Checksum`]  |
//! | an entry that is not whole, with a whole and later one behind it     | one of the above       |
//! | a payload too short for a header                                     | [`Reason::Payload`]    |
//!
//! # What nothing shows
//!
//! A file that ends between two entries, or turns to zeros there, is as good as one that was never longer:
//! if it is the last, whole entries may be missing at its end. So may a last entry that a fault of the disk
//! has turned to zeros from some point on, or in a whole sector. Of an entry that has a sector of zeros as its
//! data and no entry behind it, any damage passes for a tear. What stands in the zeros behind the last entry
//! is not looked at, unless it is an entry.

use simd_adler32::adler32;
use thiserror::Error;

use super::name::parse_zxid;
use crate::id::Zxid;

/// Who wrote a file. No release of Java's looks at what tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// ZooKeeper itself.
    Java,
    /// ringkeeper, for a Java server to go on from.
    Ringkeeper,
}

/// Reads the entries of one file, from the first to the last.
#[derive(Clone, Debug)]
pub struct LogReader<'a> {
    file: &'a [u8],
    author: Author,
    offset: usize,
    last: Zxid,
    end: Option<End>,
}

/// One entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it starts in the file.
    pub offset: usize,
    /// The zxid in its header.
    pub zxid: Zxid,
    /// Header, transaction and, with digests, 12 bytes more.
    pub payload: &'a [u8],
}

/// How a file ended behind its last whole entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With that entry.
    File,
    /// With zeros.
    Padding,
    /// With part of an entry.
    Torn,
}

/// Why a file cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at offset {offset} ({offset:#x}) {reason}")]
pub struct LogError {
    /// Where the bad entry starts.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The file is shorter than a header: how long it is.
    #[error("the file is cut within its header, after {0} bytes")]
    Header(usize),
    /// The file does not begin as logs do.
    #[error("the magic number of a log is missing: {0:#010x}")]
    Magic(u32),
    /// The format is not known.
    #[error("the format's version is {0}, which is not known")]
    Version(u32),
    /// Every log of every release has the same, but those that were handed over.
    #[error("the database's id is {0:#x}, which no server writes")]
    DbId(u64),
    /// An entry cannot be so long.
    #[error("an entry claims a length of {0}, which does not fit what is there")]
    Length(i32),
    /// An entry does not end as entries do.
    #[error("an entry ends with {0:#04x} instead of 0x42")]
    Mark(u8),
    /// An entry was changed after it was written.
    #[error("an entry does not match its checksum: stored {stored:#x}, computed {computed:#x}")]
    Checksum {
        /// The checksum in the file.
        stored: u64,
        /// The checksum of the payload.
        computed: u64,
    },
    /// An entry has no room for a header.
    #[error("an entry of {0} bytes is too short for a transaction")]
    Payload(usize),
}

impl<'a> LogReader<'a> {
    /// A reader of the file.
    ///
    /// # Errors
    ///
    /// If the file has no sound header.
    pub fn new(file: &'a [u8]) -> Result<LogReader<'a>, LogError> {
        let refused = |offset, reason| LogError { offset, reason };
        let header = file.get(..HEADER_LEN).ok_or_else(|| refused(0, Reason::Header(file.len())))?;
        if header[..4] != MAGIC {
            return Err(refused(0, Reason::Magic(u32::from_be_bytes(array(header, 0)))));
        }
        match u32::from_be_bytes(array(header, 4)) {
            VERSION => {}
            other => return Err(refused(4, Reason::Version(other))),
        }
        let author = match array(header, 8) {
            JAVAS_ID => Author::Java,
            OUR_ID => Author::Ringkeeper,
            other => return Err(refused(8, Reason::DbId(u64::from_be_bytes(other)))),
        };
        Ok(LogReader { file, author, offset: HEADER_LEN, last: Zxid::ZERO, end: None })
    }

    /// Who wrote the file.
    pub fn author(&self) -> Author {
        self.author
    }

    /// Whether a file is one that nothing was written to before a crash: it has no header, nor entries.
    pub fn is_unwritten(file: &[u8]) -> bool {
        let mut header = Vec::new();
        encode_header(&mut header);
        written_len(file) == 0 || (file.len() < HEADER_LEN && header.starts_with(file))
    }

    /// The next entry; `None` behind the last.
    ///
    /// # Errors
    ///
    /// If the bytes are none that a crash leaves. Asked again, it says the same.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'a>>, LogError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let offset = self.offset;
        let rest = &self.file[offset..];
        let Some(payload) = whole_payload(rest) else {
            self.end = Some(judge(rest, offset, self.last).map_err(|reason| LogError { offset, reason })?);
            return Ok(None);
        };
        if payload.len() < TXN_HEADER_LEN {
            return Err(LogError { offset, reason: Reason::Payload(payload.len()) });
        }
        self.last = zxid_of(payload);
        self.offset += entry_len(payload.len());
        Ok(Some(Entry { offset, zxid: self.last, payload }))
    }

    /// How the file ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where the next entry would start: behind all that was read.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The payload of the entry at the start of these bytes, if all of the entry is as it was written.
fn whole_payload(bytes: &[u8]) -> Option<&[u8]> {
    let (stored, payload) = marked_payload(bytes)?;
    (stored == sum(payload)).then_some(payload)
}

/// The stored sum and the payload of an entry that has a length and ends where that says.
fn marked_payload(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let head = bytes.get(..ENTRY_HEAD_LEN)?;
    let len = usize::try_from(i32::from_be_bytes(array(head, 8))).ok().filter(|len| *len > 0)?;
    let (payload, [MARK, ..]) = bytes[ENTRY_HEAD_LEN..].split_at_checked(len)? else { return None };
    Some((u64::from_be_bytes(array(head, 0)), payload))
}

/// What it means that no whole entry is at the start of these bytes, which are the rest of a file from
/// `offset` on.
fn judge(rest: &[u8], offset: usize, last: Zxid) -> Result<End, Reason> {
    if rest.is_empty() {
        return Ok(End::File);
    }
    let written = &rest[..written_len(rest)];
    if written.is_empty() {
        return Ok(End::Padding);
    }
    let Some(head) = rest.get(..ENTRY_HEAD_LEN) else { return Ok(End::Torn) };
    let (stored, len) = (u64::from_be_bytes(array(head, 0)), i32::from_be_bytes(array(head, 8)));
    // The entry as its length has it, if it can be so.
    let claimed = usize::try_from(len).ok().filter(|len| *len > 0 && entry_len(*len) <= rest.len());
    let damage = match claimed.map(|len| rest[ENTRY_HEAD_LEN..].split_at(len)) {
        Some((payload, [MARK, ..])) => Reason::Checksum { stored, computed: sum(payload) },
        Some((payload, [0, ..])) if stored == sum(payload) => Reason::Mark(0),
        Some((payload, [other, ..])) if stored == sum(payload) => return Err(Reason::Mark(*other)),
        _ if len < 0 || fits_another_length(stored, written) => return Err(Reason::Length(len)),
        _ => Reason::Length(len),
    };
    if is_followed(written, last) {
        return Err(damage);
    }
    let end = match claimed {
        Some(len) => entry_len(len),
        None if len == 0 => ENTRY_HEAD_LEN,
        None => rest.len() + 1,
    };
    if written.len() < end || has_missing_sector(&rest[..end], offset) { Ok(End::Torn) } else { Err(damage) }
}

/// Whether the sum is that of a payload of some other length than is claimed, with the mark behind it.
fn fits_another_length(stored: u64, written: &[u8]) -> bool {
    let Some(bytes) = written.get(ENTRY_HEAD_LEN..) else { return false };
    let (mut low, mut high) = (1u32, 0u32);
    bytes.iter().any(|byte| {
        let fits = *byte == MARK && stored == u64::from(high << 16 | low);
        low = (low + u32::from(*byte)) % ADLER_BASE;
        high = (high + low) % ADLER_BASE;
        fits
    })
}

/// Whether a whole entry of a later zxid is somewhere behind the first byte.
fn is_followed(written: &[u8], last: Zxid) -> bool {
    (1..written.len()).any(|at| {
        let bytes = &written[at..];
        // Cheap to ask, and almost always no.
        bytes.starts_with(&[0; 4])
            && bytes.get(8..12).is_some_and(|len| len[0] < 0x80 && len != [0; 4])
            && marked_payload(bytes).is_some_and(|(stored, payload)| {
                payload.len() >= TXN_HEADER_LEN && zxid_of(payload) > last && stored == sum(payload)
            })
    })
}

/// Whether of an entry at `offset` of a file all that lies in one of the sectors is zero, as if the sector had
/// not been written. The first half of a sum is always zero.
fn has_missing_sector(entry: &[u8], offset: usize) -> bool {
    let start = offset + SUM_ZEROS;
    let first = (SECTOR_LEN - start % SECTOR_LEN).min(entry.len() - SUM_ZEROS);
    let (first, others) = entry[SUM_ZEROS..].split_at(first);
    std::iter::once(first).chain(others.chunks(SECTOR_LEN)).any(|part| written_len(part) == 0)
}

/// How long the bytes are without the zeros at their end.
fn written_len(bytes: &[u8]) -> usize {
    // Whole pages are compared at once: there may be many.
    let pages = bytes.rchunks(ZEROS.len()).take_while(|page| **page == ZEROS[..page.len()]);
    let len = bytes.len() - pages.map(<[u8]>::len).sum::<usize>();
    bytes[..len].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

fn entry_len(payload_len: usize) -> usize {
    ENTRY_HEAD_LEN + payload_len + 1
}

fn sum(payload: &[u8]) -> u64 {
    adler32(&payload).into()
}

fn zxid_of(payload: &[u8]) -> Zxid {
    Zxid(i64::from_be_bytes(array(payload, ZXID_AT)))
}

/// Appends what a file of Java's begins with.
pub fn encode_header(out: &mut Vec<u8>) {
    encode_header_by(Author::Java, out);
}

/// Appends what a file begins with.
pub fn encode_header_by(author: Author, out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(match author {
        Author::Java => &JAVAS_ID,
        Author::Ringkeeper => &OUR_ID,
    });
}

/// Appends an entry, whose payload is a header and a transaction.
pub fn encode_entry(payload: &[u8], out: &mut Vec<u8>) {
    assert!(payload.len() >= TXN_HEADER_LEN, "an entry of {} bytes", payload.len());
    out.extend_from_slice(&sum(payload).to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(MARK);
}

/// The name of the file whose first entry has this zxid.
pub fn file_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// The zxid in a log's name; `None` if it is no log's.
pub fn parse_file_name(name: &str) -> Option<Zxid> {
    parse_zxid(name.strip_prefix("log.")?)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

const MAGIC: [u8; 4] = *b"ZKLG";
const VERSION: u32 = 2;
const JAVAS_ID: [u8; 8] = [0; 8];
const OUR_ID: [u8; 8] = *b"RKhanded";
const HEADER_LEN: usize = 16;
const ENTRY_HEAD_LEN: usize = 12;
const MARK: u8 = b'B';
const TXN_HEADER_LEN: usize = 32;
const ZXID_AT: usize = 12;
const SUM_ZEROS: usize = 4;
const SECTOR_LEN: usize = 512;
const ADLER_BASE: u32 = 65521;
static ZEROS: [u8; 4096] = [0; 4096];

#[cfg(test)]
mod tests;
