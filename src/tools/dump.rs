//! Shows what is in logs and snapshots.

mod snapshot;
mod txn;

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use ringkeeper_core::id::{SessionId, Zxid};
use serde::Serialize;

use super::files::{self, DataFile};
use super::logs::{self, Ending, LogReport, Logged};
use super::show::{DataShown, Hex, Shown, json_line};
use super::{Finding, Form, ToolError};

/// What is shown.
#[derive(Clone, Debug)]
pub struct DumpOptions {
    /// As text or JSON.
    pub form: Form,
    /// How much of znodes' data.
    pub data: DataShown,
    /// Which of a folder's files.
    pub only: Option<Only>,
    /// Of logs, transactions from this one on.
    pub from: Option<Zxid>,
    /// Of logs, transactions up to this one.
    pub to: Option<Zxid>,
    /// Of logs, transactions of this session; of snapshots, this session and its ephemerals.
    pub session: Option<SessionId>,
    /// Only what concerns this znode or those below it.
    pub path: Option<String>,
}

/// Some of a folder's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Logs.
    Logs,
    /// Snapshots.
    Snapshots,
}

/// Shows each file, in order: snapshots, Java's logs, our logs, each by zxid. What is shown before damage is
/// sound as far as its checksums say; of a snapshot that is so only if its end is found sound too.
///
/// # Errors
///
/// If a file cannot be read at all, or the answer not be written. Damage is shown, and then the next file.
pub fn dump(
    paths: &[impl AsRef<Path>],
    options: &DumpOptions,
    out: &mut dyn Write,
) -> Result<Finding, ToolError> {
    let mut finding = Finding::None;
    for path in paths {
        let mut files = files::find(path.as_ref())?;
        files.retain(|file| match options.only {
            None => true,
            Some(Only::Logs) => !file.is_snapshot(),
            Some(Only::Snapshots) => file.is_snapshot(),
        });
        for file in files.iter().filter(|file| file.is_snapshot()) {
            finding = finding.max(snapshot::dump(file, options, out)?);
        }
        finding = finding.max(dump_logs(&files, options, out)?);
    }
    Ok(finding)
}

impl DumpOptions {
    /// Whether a znode is asked for.
    fn wants_path(&self, path: &str) -> bool {
        self.path.as_deref().is_none_or(|top| is_at_or_below(path, top))
    }

    fn wants(&self, logged: &Logged<'_>) -> bool {
        self.from.is_none_or(|from| logged.zxid >= from)
            && self.to.is_none_or(|to| logged.zxid <= to)
            && self.session.is_none_or(|session| logged.header.client_id == session)
            && (self.path.is_none() || txn::paths(&logged.txn).any(|path| self.wants_path(path)))
    }
}

/// Whether a path is `top` or below it.
pub(super) fn is_at_or_below(path: &str, top: &str) -> bool {
    top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn dump_logs(files: &[DataFile], options: &DumpOptions, out: &mut dyn Write) -> Result<Finding, ToolError> {
    let mut current = None;
    let reports = logs::read(files, &mut |logged| {
        if !options.wants(&logged) {
            return Ok(());
        }
        if current.replace(logged.file) != Some(logged.file) {
            begin(&files[logged.file], options.form, out)?;
        }
        match options.form {
            Form::Text => txn::text(&logged, options.data, out).map_err(ToolError::Output),
            Form::Json => txn::json(&logged, options.data, out),
        }
    })?;
    let mut finding = Finding::None;
    for (at, report) in &reports {
        finding = finding.max(report.ending.finding());
        end(&files[*at], report, options.form, out)?;
    }
    Ok(finding)
}

/// Says which file follows.
fn begin(file: &DataFile, form: Form, out: &mut dyn Write) -> Result<(), ToolError> {
    #[derive(Serialize)]
    struct Begin<'a> {
        r#type: &'static str,
        file: Cow<'a, str>,
        format: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        zxid: Option<Hex>,
    }
    let zxid = file.zxid.map(|zxid| Hex(zxid.0));
    match form {
        Form::Text => {
            writeln!(out, "# {}: {}", Shown(&file.name()), file.format()).map_err(ToolError::Output)
        }
        Form::Json => {
            json_line(out, &Begin { r#type: "file", file: file.name(), format: file.format(), zxid })
        }
    }
}

/// Says how a log ended.
fn end(file: &DataFile, report: &LogReport, form: Form, out: &mut dyn Write) -> Result<(), ToolError> {
    match form {
        Form::Text => writeln!(out, "# {}: {report}", Shown(&file.name())).map_err(ToolError::Output),
        Form::Json => json_line(out, &report.json(file)),
    }
}

/// How a file was found, in JSON.
#[derive(Serialize)]
pub(super) struct JsonReport<'a> {
    r#type: &'static str,
    file: Cow<'a, str>,
    format: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transactions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    znodes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_zxid: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_zxid: Option<Hex>,
}

impl<'a> JsonReport<'a> {
    /// The report on a snapshot: how many znodes it has, or where what is wrong.
    pub(super) fn of_snapshot(
        file: &'a DataFile,
        result: Result<u64, (Option<u64>, &'a str)>,
    ) -> JsonReport<'a> {
        JsonReport {
            r#type: "end",
            file: file.name(),
            format: file.format(),
            result: if result.is_ok() { "whole" } else { "damaged" },
            offset: result.err().and_then(|(offset, _)| offset),
            reason: result.err().map(|(_, reason)| reason),
            transactions: None,
            znodes: result.ok(),
            digest: None,
            first_zxid: None,
            last_zxid: file.zxid.map(|zxid| Hex(zxid.0)),
        }
    }

    /// The same, with what is to be said of the digest.
    pub(super) fn with_digest(self, digest: Option<&'static str>) -> JsonReport<'a> {
        JsonReport { digest, ..self }
    }
}

impl LogReport {
    /// The report for a JSON parser.
    pub(super) fn json<'a>(&'a self, file: &'a DataFile) -> JsonReport<'a> {
        let (result, offset, reason) = match &self.ending {
            Ending::Whole => ("whole", None, None),
            Ending::Torn { offset, .. } => ("torn", Some(*offset), Some(TORN)),
            Ending::Damaged { offset, reason, .. } => ("damaged", Some(*offset), Some(reason.as_str())),
        };
        JsonReport {
            r#type: "end",
            file: file.name(),
            format: file.format(),
            result,
            offset,
            reason,
            transactions: Some(self.count),
            znodes: None,
            digest: None,
            first_zxid: self.zxids.map(|(first, _)| Hex(first.0)),
            last_zxid: self.zxids.map(|(_, last)| Hex(last.0)),
        }
    }
}

impl std::fmt::Display for LogReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.zxids {
            None => f.write_str("no transactions")?,
            Some((first, last)) => write!(f, "{} transactions, {first} to {last}", self.count)?,
        }
        match &self.ending {
            Ending::Whole => Ok(()),
            Ending::Torn { offset, .. } => write!(f, "; torn at offset {offset} ({offset:#x}): {TORN}"),
            Ending::Damaged { offset, reason, .. } => {
                write!(f, "; DAMAGED at offset {offset} ({offset:#x}): {reason}")
            }
        }
    }
}

impl Ending {
    pub(super) fn finding(&self) -> Finding {
        match self {
            Ending::Whole => Finding::None,
            Ending::Torn { .. } => Finding::Torn,
            Ending::Damaged { .. } => Finding::Some,
        }
    }
}

const TORN: &str = "the write that was in flight when the server ended is not whole; nobody was told of it";
