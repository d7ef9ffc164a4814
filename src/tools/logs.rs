//! Reading logs of either format, file by file, up to whatever is wrong with each.

use std::path::Path;

use ringkeeper_core::format::java_log::{self, End, LogReader};
use ringkeeper_core::format::wal::{Corruption, Reason, Record, Recovery, RecoveryError};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::jute::{DecodeError, Reader};
use ringkeeper_core::proto::{Txn, TxnDigest, TxnHeader};

use super::ToolError;
use super::files::{DataFile, Kind};
use crate::storage::mapped::Mapped;

/// What reading a file came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogReport {
    /// How many transactions it holds, up to what is wrong with it.
    pub(super) count: u64,
    /// The first and the last of them.
    pub(super) zxids: Option<(Zxid, Zxid)>,
    pub(super) ending: Ending,
}

/// How a file ends behind its last transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// With a write that was in flight at a crash, between these offsets.
    Torn { offset: u64, end: u64 },
    /// With damage.
    Damaged {
        /// Where it starts.
        offset: u64,
        /// What is wrong, without the offset.
        reason: String,
        /// Whether anything that was written later is behind it in the file.
        is_followed: bool,
    },
}

/// A transaction in a log.
pub(super) struct Logged<'a> {
    /// Which of the files it is in.
    pub(super) file: usize,
    /// Where in the file its entry starts.
    pub(super) offset: u64,
    pub(super) zxid: Zxid,
    pub(super) header: TxnHeader,
    pub(super) txn: Txn<'a>,
    pub(super) digest: Option<TxnDigest>,
}

/// Takes the transactions.
pub(super) type Each<'e> = &'e mut dyn FnMut(Logged<'_>) -> Result<(), ToolError>;

/// Reads the logs among `files`, and hands on each transaction, in the order of the files. Says of each file
/// what it came to; snapshots among them are left out.
///
/// # Errors
///
/// If a file cannot be read at all, or `each` fails. Whatever is wrong in a file is no error.
pub(super) fn read(files: &[DataFile], each: Each<'_>) -> Result<Vec<(usize, LogReport)>, ToolError> {
    let of = |wanted: fn(Kind) -> bool| (0..files.len()).filter(move |at| wanted(files[*at].kind));
    let mut reports = Vec::new();
    for at in of(|kind| kind == Kind::JavaLog) {
        reports.push((at, read_java(at, &files[at].path, each)?));
    }
    let segments: Vec<usize> = of(|kind| matches!(kind, Kind::Segment { .. })).collect();
    reports.extend(read_segments(files, &segments, each)?);
    Ok(reports)
}

fn read_java(at: usize, path: &Path, each: Each<'_>) -> Result<LogReport, ToolError> {
    let file = Mapped::open(path).map_err(ToolError::io("read", path))?;
    let report = read_java_bytes(at, &file, each);
    // What a failing disk does not give looks like damage.
    file.check().map_err(ToolError::io("read", path))?;
    report
}

fn read_java_bytes(at: usize, file: &[u8], each: Each<'_>) -> Result<LogReport, ToolError> {
    let mut report = LogReport::new();
    let damaged = |error: java_log::LogError| Ending::Damaged {
        offset: error.offset as u64,
        reason: error.reason.to_string(),
        is_followed: is_followed(file, error.offset),
    };
    if LogReader::is_unwritten(file) {
        report.ending = Ending::Torn { offset: 0, end: 0 };
        return Ok(report);
    }
    let mut reader = match LogReader::new(file) {
        Ok(reader) => reader,
        Err(error) => {
            report.ending = damaged(error);
            return Ok(report);
        }
    };
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => {
                report.ending = damaged(error);
                return Ok(report);
            }
        };
        let offset = entry.offset as u64;
        match decode(entry.zxid, entry.payload) {
            Ok((header, txn, digest)) => {
                report.note(entry.zxid);
                each(Logged { file: at, offset, zxid: entry.zxid, header, txn, digest })?;
            }
            Err(reason) => {
                report.ending = Ending::Damaged { offset, reason, is_followed: true };
                return Ok(report);
            }
        }
    }
    if reader.end() == Some(End::Torn) {
        report.ending = Ending::Torn { offset: reader.offset() as u64, end: file.len() as u64 };
    }
    Ok(report)
}

/// Whether anything may have been written behind the entry of Java's log at this offset, as far as its length
/// can be believed.
fn is_followed(file: &[u8], offset: usize) -> bool {
    let len = file.get(offset + 8..).and_then(|rest| rest.first_chunk()).map(|len| i32::from_be_bytes(*len));
    let behind = usize::try_from(len.unwrap_or(-1)).ok().and_then(|len| file.get(offset + 12 + len + 1..));
    behind.is_none_or(|behind| behind.iter().any(|byte| *byte != 0))
}

/// Reads segments as one log. Behind damage, the next segment is taken on trust.
fn read_segments(
    files: &[DataFile],
    segments: &[usize],
    each: Each<'_>,
) -> Result<Vec<(usize, LogReport)>, ToolError> {
    let mut reports: Vec<_> = segments.iter().map(|at| (*at, LogReport::new())).collect();
    let mut start = 0;
    while start < segments.len() {
        let mut recovery = Recovery::default();
        let mut next = start;
        while next < segments.len() {
            let file = &files[segments[next]];
            let bytes = Mapped::open(&file.path).map_err(ToolError::io("read", &file.path))?;
            let report = &mut reports[next].1;
            let is_named = file.kind == Kind::Segment { is_named: true };
            let read = recovery.read(&bytes, is_named, |Record { zxid, payload, .. }| {
                let start = payload.as_ptr().addr() - bytes.as_ptr().addr() - RECORD_HEADER_LEN;
                let (header, txn, digest) = decode(zxid, payload).map_err(Refused::Txn)?;
                report.note(zxid);
                let (file, offset) = (segments[next], start as u64);
                let logged = Logged { file, offset, zxid, header, txn, digest };
                each(logged).map_err(Refused::Each)
            });
            bytes.check().map_err(ToolError::io("read", &file.path))?;
            next += 1;
            let (at, offset, reason, is_followed) = match read {
                Ok(()) => continue,
                Err(RecoveryError::Refused { source: Refused::Each(error), .. }) => return Err(error),
                Err(RecoveryError::Refused { segment, offset, source: Refused::Txn(reason), .. }) => {
                    (segment, offset, reason, true)
                }
                Err(RecoveryError::Corrupt { segment, what }) => {
                    // What was not read because of another segment is still to be read.
                    if start + segment + 1 < next || what.reason == Reason::SegmentNumber {
                        next -= 1;
                    }
                    (segment, what.offset, reason_of(&what), what.proof.is_some())
                }
            };
            reports[start + at].1.ending = Ending::Damaged { offset, reason, is_followed };
            break;
        }
        for cut in recovery.finish().cuts {
            let ending = &mut reports[start + cut.segment].1.ending;
            if *ending == Ending::Whole {
                *ending = Ending::Torn { offset: cut.offset, end: cut.end };
            }
        }
        start = next;
    }
    Ok(reports)
}

fn reason_of(what: &Corruption) -> String {
    let Corruption { reason, stored, computed, proof, .. } = what;
    let proof = proof.map(|at| format!("; the batch at offset {at} ({at:#x}) was written after it"));
    format!("{reason}: stored {stored:#x}, computed {computed:#x}{}", proof.unwrap_or_default())
}

/// Why a record is not taken.
enum Refused {
    Txn(String),
    Each(ToolError),
}

fn decode(zxid: Zxid, payload: &[u8]) -> Result<(TxnHeader, Txn<'_>, Option<TxnDigest>), String> {
    let unreadable = |error: DecodeError| format!("entry {zxid} is whole, but no transaction: {error}");
    let mut reader = Reader::new(payload);
    let (header, txn) = TxnHeader::decode(&mut reader).map_err(unreadable)?;
    match header.zxid == zxid {
        true => Ok((header, txn, TxnDigest::decode(&mut reader))),
        false => Err(format!("entry {zxid} holds transaction {}", header.zxid)),
    }
}

impl LogReport {
    fn new() -> LogReport {
        LogReport { count: 0, zxids: None, ending: Ending::Whole }
    }

    fn note(&mut self, zxid: Zxid) {
        self.count += 1;
        self.zxids = Some((self.zxids.map_or(zxid, |(first, _)| first), zxid));
    }
}

/// What precedes a record's payload in a segment.
const RECORD_HEADER_LEN: usize = 12;
