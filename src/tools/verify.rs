//! Says what is wrong with files.

use std::cmp::Ordering;
use std::io::Write;
use std::path::Path;

use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DIGEST_VERSION, DataTree};
use serde::Serialize;

use super::dump::JsonReport;
use super::files::{self, DataFile};
use super::logs;
use super::show::{Hex, Shown, json_line};
use super::state::{self, Base};
use super::{Finding, Form, ToolError};

/// Checks files: each by itself, and for a folder also whether a server would start from them, and where.
/// `log_dir` is for a folder that has its logs elsewhere. Every file has a line of its own, which for a
/// damaged one names offset and reason.
///
/// # Errors
///
/// If a file cannot be read at all, or the answer not be written.
pub fn verify(
    paths: &[impl AsRef<Path>],
    log_dir: Option<&Path>,
    form: Form,
    out: &mut dyn Write,
) -> Result<Finding, ToolError> {
    let mut finding = Finding::None;
    for path in paths {
        let path = path.as_ref();
        let mut found = files::find(path)?;
        if path.is_dir()
            && let Some(log_dir) = log_dir
        {
            found.extend(files::list(&files::folder(log_dir))?);
        }
        let of_files = verify_files(&found, form, out)?;
        finding = finding.max(of_files);
        if path.is_dir() {
            // Logs without snapshots are those of a server that was killed before its first one, or a
            // dataLogDir, which only shows when nothing else is wrong with them.
            let may_be_part = of_files < Finding::Some && !found.iter().any(DataFile::is_snapshot);
            finding = finding.max(verify_start(path, log_dir, may_be_part, form, out)?);
        }
    }
    Ok(finding)
}

fn verify_files(found: &[DataFile], form: Form, out: &mut dyn Write) -> Result<Finding, ToolError> {
    let mut finding = Finding::None;
    for file in found.iter().filter(|file| file.is_snapshot()) {
        let name = file.name();
        let (offset, reason) = match state::load_file(file) {
            Ok(base) => {
                let (count, sessions) = (count(&base.tree), base.tree.sessions().len());
                let digest = judge(&base);
                finding = finding.max(digest.map_or(Finding::None, DigestJudged::finding));
                match form {
                    Form::Text => writeln!(
                        out,
                        "{}: ok, {count} znodes, {sessions} sessions{}",
                        Shown(&name),
                        digest.map_or("", DigestJudged::text)
                    )
                    .map_err(ToolError::Output)?,
                    Form::Json => {
                        let report = JsonReport::of_snapshot(file, Ok(count));
                        json_line(out, &report.with_digest(digest.map(DigestJudged::word)))?;
                    }
                }
                continue;
            }
            Err(ToolError::Damaged { offset, reason, .. }) => (offset, reason),
            Err(error) => return Err(error),
        };
        finding = Finding::Some;
        match form {
            Form::Text => writeln!(out, "{}: DAMAGED {reason}", Shown(&name)).map_err(ToolError::Output)?,
            Form::Json => json_line(out, &JsonReport::of_snapshot(file, Err((offset, &reason))))?,
        }
    }
    for (at, report) in logs::read(found, &mut |_| Ok(()))? {
        finding = finding.max(report.ending.finding());
        let file = &found[at];
        match form {
            Form::Text => {
                let ok = if report.ending.finding() == Finding::None { "ok, " } else { "" };
                writeln!(out, "{}: {ok}{report}", Shown(&file.name())).map_err(ToolError::Output)?;
            }
            Form::Json => json_line(out, &report.json(file))?,
        }
    }
    Ok(finding)
}

/// Whether a server starts on a folder, and with what. A folder that `may_be_part` of what a server has is not
/// wrong if none does.
fn verify_start(
    path: &Path,
    log_dir: Option<&Path>,
    may_be_part: bool,
    form: Form,
    out: &mut dyn Write,
) -> Result<Finding, ToolError> {
    #[derive(Serialize)]
    struct Start<'a> {
        r#type: &'static str,
        folder: &'a str,
        result: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        zxid: Option<Hex>,
        #[serde(skip_serializing_if = "Option::is_none")]
        znodes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digests_compared: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digests_differ: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
    let name = path.to_string_lossy();
    let empty = Start {
        r#type: "start",
        folder: &name,
        result: "refused",
        from: None,
        zxid: None,
        znodes: None,
        digests_compared: None,
        digests_differ: None,
        reason: None,
    };
    match state::load(path, log_dir) {
        Ok(state) => {
            let (zxid, count) = (state.tree.last_zxid(), count(&state.tree));
            match form {
                Form::Text => writeln!(
                    out,
                    "{}: a server starts at {zxid} with {count} znodes, from {}{}",
                    Shown(&name),
                    Shown(&state.origin),
                    state.digests
                )
                .map_err(ToolError::Output)?,
                Form::Json => json_line(
                    out,
                    &Start {
                        result: "starts",
                        from: Some(&state.origin),
                        zxid: Some(Hex(zxid.0)),
                        znodes: Some(count),
                        digests_compared: Some(state.digests.compared),
                        digests_differ: Some(state.digests.mismatches),
                        ..empty
                    },
                )?,
            }
            Ok(if state.digests.mismatches > 0 { Finding::Some } else { Finding::None })
        }
        Err(error @ (ToolError::Output(_) | ToolError::Io { .. })) => Err(error),
        Err(_) if may_be_part => {
            let reason =
                "no snapshot here. To see whether a server starts, give dataDir, and this with --log-dir";
            match form {
                Form::Text => writeln!(out, "{}: {reason}", Shown(&name)).map_err(ToolError::Output)?,
                Form::Json => {
                    json_line(out, &Start { result: "unknown", reason: Some(reason.into()), ..empty })?;
                }
            }
            Ok(Finding::None)
        }
        Err(error) => {
            match form {
                Form::Text => writeln!(out, "{}: a server DOES NOT START: {error}", Shown(&name))
                    .map_err(ToolError::Output)?,
                Form::Json => json_line(out, &Start { reason: Some(error.to_string()), ..empty })?,
            }
            Ok(Finding::Some)
        }
    }
}

/// What a snapshot says of its tree's digest, and whether that is so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DigestJudged {
    Right,
    Wrong,
    /// It is of a later state: Java wrote the file while it served.
    OfLater,
}

fn judge(base: &Base) -> Option<DigestJudged> {
    let digest =
        base.digest.filter(|digest| digest.version == DIGEST_VERSION && digest.zxid != Zxid::ZERO)?;
    match digest.zxid.cmp(&base.tree.last_zxid()) {
        Ordering::Less => None,
        Ordering::Greater => Some(DigestJudged::OfLater),
        Ordering::Equal if Some(digest.value as u64) == base.tree.digest() => Some(DigestJudged::Right),
        Ordering::Equal => Some(DigestJudged::Wrong),
    }
}

impl DigestJudged {
    fn text(self) -> &'static str {
        match self {
            DigestJudged::Right => ", the digest is right",
            DigestJudged::Wrong => ", but the digest in it is NOT that of its tree",
            DigestJudged::OfLater => ", the digest is of a later state, which the log leads to",
        }
    }

    fn word(self) -> &'static str {
        match self {
            DigestJudged::Right => "right",
            DigestJudged::Wrong => "wrong",
            DigestJudged::OfLater => "later",
        }
    }

    fn finding(self) -> Finding {
        if self == DigestJudged::Wrong { Finding::Some } else { Finding::None }
    }
}

/// How many znodes there are, without the root's second name.
fn count(tree: &DataTree) -> u64 {
    tree.node_count() as u64 - 1
}
