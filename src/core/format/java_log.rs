//! Java ZooKeeper's transaction log, `log.<zxid of the first entry in hex>`.
//!
//! | offset | size | field                                                               |
//! |-------:|-----:|---------------------------------------------------------------------|
//! |      0 |    4 | magic `ZKLG`                                                        |
//! |      4 |    4 | version 2                                                           |
//! |      8 |    8 | database id 0                                                       |
//! |     16 |    … | entries, then zeros up to the length that the file was given ahead  |
//!
//! | size | entry                                                                      |
//! |-----:|----------------------------------------------------------------------------|
//! |    8 | Adler-32 of the payload                                                    |
//! |    4 | length of the payload in bytes                                             |
//! |    … | payload: [`TxnHeader`](crate::proto::TxnHeader), transaction, maybe a digest |
//! |    1 | `B`                                                                        |
//!
//! An entry is written before it is synced, and the file is not cut when Java dies: what is behind the
//! last whole entry may be zeros, or part of an entry that nobody was told of. The next file follows all
//! the same. Neither the length nor the `B` is covered by the sum.
//!
//! | found                                        | so                                            |
//! |----------------------------------------------|-----------------------------------------------|
//! | no more bytes                                | [`End::File`]                                 |
//! | a length of zero                             | [`End::Padding`]                              |
//! | an entry that the file's end cuts            | [`End::Torn`]                                 |
//! | a whole payload that no `B` follows          | [`End::Torn`]                                 |
//! | a negative length, or one over the limit     | [`Reason::Length`]                            |
//! | a `B`, and a sum that does not match         | [`Reason::Checksum`]                          |
//! | a payload too short for a header             | [`Reason::Payload`]                           |
//!
//! The first four end the file for Java too; with the others it does not start. [`LogError::is_followed`]
//! says whether anything was written behind: if not, the entry was the last of its file.

use simd_adler32::adler32;
use thiserror::Error;

use super::name::parse_zxid;
use crate::id::Zxid;

/// Reads the entries of one file, from the first to the last.
#[derive(Clone, Debug)]
pub struct LogReader<'a> {
    file: &'a [u8],
    offset: usize,
    len_max: usize,
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
    /// Whether anything but zeros is behind it.
    pub is_followed: bool,
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
    /// An entry cannot be so long.
    #[error("an entry claims a length of {0}")]
    Length(i32),
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
    /// A reader of the file. Entries may be `len_max` bytes long, see [`ENTRY_LEN_MAX`].
    ///
    /// # Errors
    ///
    /// If the file has no sound header. One of no bytes is left by a crash of Java, before it wrote any.
    pub fn new(file: &'a [u8], len_max: usize) -> Result<LogReader<'a>, LogError> {
        let refused = |reason| LogError { offset: 0, reason, is_followed: false };
        let header = file.get(..HEADER_LEN).ok_or_else(|| refused(Reason::Header(file.len())))?;
        if header[..4] != MAGIC {
            return Err(refused(Reason::Magic(u32::from_be_bytes(array(header, 0)))));
        }
        Ok(LogReader { file, offset: HEADER_LEN, len_max, end: None })
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
        let rest = &self.file[self.offset..];
        let Some(head) = rest.get(..ENTRY_HEAD_LEN) else {
            return Ok(self.ended(if rest.is_empty() { End::File } else { End::Torn }));
        };
        let (stored, len) = (u64::from_be_bytes(array(head, 0)), i32::from_be_bytes(array(head, 8)));
        if len == 0 {
            return Ok(self.ended(End::Padding));
        }
        let Some(payload_len) = usize::try_from(len).ok().filter(|len| *len <= self.len_max) else {
            return Err(self.refused(Reason::Length(len), ENTRY_HEAD_LEN));
        };
        let Some((payload, [b'B', ..])) = rest[ENTRY_HEAD_LEN..].split_at_checked(payload_len) else {
            return Ok(self.ended(End::Torn));
        };
        let (computed, entry_len) = (adler32(&payload).into(), ENTRY_HEAD_LEN + payload.len() + 1);
        if stored != computed {
            return Err(self.refused(Reason::Checksum { stored, computed }, entry_len));
        }
        if payload.len() < TXN_HEADER_LEN {
            return Err(self.refused(Reason::Payload(payload.len()), entry_len));
        }
        let entry =
            Entry { offset: self.offset, zxid: Zxid(i64::from_be_bytes(array(payload, ZXID_AT))), payload };
        self.offset += entry_len;
        Ok(Some(entry))
    }

    /// How the file ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where the next entry would start: behind all that was read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn ended(&mut self, end: End) -> Option<Entry<'a>> {
        self.end = Some(end);
        None
    }

    fn refused(&self, reason: Reason, len: usize) -> LogError {
        let behind = &self.file[self.offset + len..];
        LogError { offset: self.offset, reason, is_followed: behind.iter().any(|byte| *byte != 0) }
    }
}

/// Appends what a file begins with.
pub fn encode_header(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&2u32.to_be_bytes());
    out.extend_from_slice(&0u64.to_be_bytes());
}

/// Appends an entry, whose payload is a header and a transaction.
pub fn encode_entry(payload: &[u8], out: &mut Vec<u8>) {
    assert!(payload.len() >= TXN_HEADER_LEN, "an entry of {} bytes", payload.len());
    out.extend_from_slice(&u64::from(adler32(&payload)).to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
    out.push(b'B');
}

/// The name of the file whose first entry has this zxid.
pub fn file_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// The zxid in a log's name; `None` if it is no log's.
pub fn parse_file_name(name: &str) -> Option<Zxid> {
    parse_zxid(name.strip_prefix("log.")?)
}

/// How long an entry may be where Java's `jute.maxbuffer` is the default: twice that.
pub const ENTRY_LEN_MAX: usize = 2 * 0xf_ffff;

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

const MAGIC: [u8; 4] = *b"ZKLG";
const HEADER_LEN: usize = 16;
const ENTRY_HEAD_LEN: usize = 12;
const TXN_HEADER_LEN: usize = 32;
const ZXID_AT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(zxid: i64) -> Vec<u8> {
        let mut payload = vec![7; 40];
        payload[ZXID_AT..ZXID_AT + 8].copy_from_slice(&zxid.to_be_bytes());
        payload
    }

    fn log(zxids: &[i64]) -> Vec<u8> {
        let mut file = Vec::new();
        encode_header(&mut file);
        zxids.iter().for_each(|zxid| encode_entry(&payload(*zxid), &mut file));
        file
    }

    fn read(file: &[u8]) -> Result<(Vec<i64>, End), LogError> {
        let mut reader = LogReader::new(file, ENTRY_LEN_MAX)?;
        let mut zxids = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            assert_eq!(entry.payload, payload(entry.zxid.0));
            zxids.push(entry.zxid.0);
        }
        assert_eq!(reader.next_entry(), Ok(None));
        Ok((zxids, reader.end().expect("it has ended")))
    }

    #[test]
    fn a_log_reads_back_with_and_without_padding() {
        let mut file = log(&[5, 6, 9]);
        assert_eq!(read(&file), Ok((vec![5, 6, 9], End::File)));
        file.resize(file.len() + 5000, 0);
        assert_eq!(read(&file), Ok((vec![5, 6, 9], End::Padding)));
        assert_eq!(read(&log(&[])), Ok((vec![], End::File)));
    }

    #[test]
    fn a_log_cut_anywhere_ends_with_its_last_whole_entry() {
        let file = log(&[1, 2]);
        let entry_len = (file.len() - HEADER_LEN) / 2;
        for len in HEADER_LEN..file.len() {
            let whole = (len - HEADER_LEN) / entry_len;
            let end = if len == HEADER_LEN + whole * entry_len { End::File } else { End::Torn };
            assert_eq!(read(&file[..len]), Ok(((1..=whole as i64).collect(), end)), "{len}");
            // The same with the zeros that the file had before: a tail of zeros hides in them.
            let mut padded = file[..len].to_vec();
            padded.resize(file.len() + 100, 0);
            match read(&padded) {
                Ok((zxids, _)) => assert_eq!(zxids.len(), whole, "{len}"),
                Err(error) => panic!("{len}: {error}"),
            }
        }
        for len in 0..HEADER_LEN {
            let error = read(&file[..len]).expect_err("no header");
            assert_eq!(error.reason, Reason::Header(len));
        }
    }

    #[test]
    fn a_changed_entry_is_refused_and_says_whether_it_was_the_last() {
        let mut file = log(&[1, 2]);
        let entry_len = (file.len() - HEADER_LEN) / 2;
        file.resize(file.len() + 64, 0);
        for (entry, is_followed) in [(0, true), (1, false)] {
            let offset = HEADER_LEN + entry * entry_len;
            for at in (offset..offset + 8).chain(offset + 12..offset + entry_len - 1) {
                let mut damaged = file.clone();
                damaged[at] ^= 0x10;
                let error = read(&damaged).expect_err("damaged");
                assert!(matches!(error.reason, Reason::Checksum { .. }), "{at}: {error}");
                assert_eq!((error.offset, error.is_followed), (offset, is_followed), "{at}");
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_and_one_beyond_the_end_is_a_tear() {
        let mut file = log(&[1]);
        for (len, expected) in [(-1, None), (i32::MIN, None), (i32::MAX, None), (4000, Some(End::Torn))] {
            file[HEADER_LEN + 8..HEADER_LEN + 12].copy_from_slice(&i32::to_be_bytes(len));
            match expected {
                Some(end) => assert_eq!(read(&file), Ok((vec![], end))),
                None => assert_eq!(read(&file).expect_err("refused").reason, Reason::Length(len)),
            }
        }
    }

    #[test]
    fn another_file_is_no_log() {
        let error = read(b"ZKSN0123456789abcdef").expect_err("a snapshot");
        assert_eq!(error.reason, Reason::Magic(0x5a4b_534e));
        assert_eq!(parse_file_name("log.1f"), Some(Zxid(0x1f)));
        assert_eq!(file_name(Zxid(0x1f)), "log.1f");
        for name in ["log", "log.", "log.1.gz", "log.x", "snapshot.1", "log.-1"] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_payload_without_room_for_a_header_is_refused() {
        let mut file = log(&[]);
        file.extend(u64::from(adler32(&&b"short"[..])).to_be_bytes());
        file.extend(5u32.to_be_bytes());
        file.extend(b"shortB");
        assert_eq!(read(&file).expect_err("refused").reason, Reason::Payload(5));
    }
}
