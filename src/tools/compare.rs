//! Tells two states apart.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use ringkeeper_core::tree::{DataTree, Found};
use serde::Serialize;

use super::dump::is_at_or_below;
use super::show::{DataShown, Hex, Shown, ShownData, json_line};
use super::summary::{Totals, subtrees};
use super::{Finding, Form, ToolError, state};

/// What is compared, and what is shown of it.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// As text or JSON.
    pub form: Form,
    /// Only this znode and those below it.
    pub path: String,
    /// Whether znodes that differ in nothing but their stat count as different.
    pub stat: bool,
    /// How many znodes that differ are shown one by one, at most.
    pub limit: usize,
    /// How far below the path subtrees are shown one by one.
    pub depth: usize,
    /// Subtrees are shown if their bytes differ by so much,
    pub bytes: u64,
    /// or their numbers of znodes.
    pub znodes: u64,
}

/// Shows which znodes and sessions are in only one of two states, and which differ; then by subtree.
///
/// # Errors
///
/// If one of the states cannot be loaded.
pub fn compare(
    left: &Path,
    right: &Path,
    options: &CompareOptions,
    out: &mut dyn Write,
) -> Result<Finding, ToolError> {
    let (left, right) = (state::load(left, None)?, state::load(right, None)?);
    let found = differences(&left.tree, &right.tree, &options.path, options.stat);
    for (side, state) in [("<", &left), (">", &right)] {
        show_side(side, state, options.form, out)?;
    }
    for difference in found.iter().take(options.limit) {
        difference.show(options.form, out)?;
    }
    if found.len() > options.limit && options.form == Form::Text {
        writeln!(out, "# and {} more; --limit 0 shows all", found.len() - options.limit)
            .map_err(ToolError::Output)?;
    }
    let finding = if found.is_empty() { Finding::None } else { Finding::Some };
    if finding == Finding::Some {
        show_subtrees(&left.tree, &right.tree, &found, options, out)?;
    } else if options.form == Form::Text {
        writeln!(out, "# no difference").map_err(ToolError::Output)?;
    }
    Ok(finding)
}

/// Something that two states do not have in common.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    /// The path of a znode, or a session.
    what: What,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Session(i64),
    Znode(String),
}

#[derive(Debug, PartialEq)]
enum Kind {
    OnlyLeft(usize),
    OnlyRight(usize),
    Changed(Vec<Change>),
}

/// A field that differs.
#[derive(Debug, PartialEq, Serialize)]
struct Change {
    field: &'static str,
    left: String,
    right: String,
}

/// All differences at and below a path, sessions first, then by path.
pub(super) fn differences(left: &DataTree, right: &DataTree, path: &str, stat: bool) -> Vec<Difference> {
    let mut found = session_differences(left, right);
    if path != "/" {
        found.clear();
    }
    for ours in left.walk().filter(|found| is_at_or_below(found.node.path(), path)) {
        let kind = match right.get(ours.node.path()) {
            None => Kind::OnlyLeft(ours.node.data_len()),
            Some(theirs) => match changes(ours, theirs, stat) {
                changes if changes.is_empty() => continue,
                changes => Kind::Changed(changes),
            },
        };
        found.push(Difference { what: What::Znode(ours.node.path().into()), kind });
    }
    for theirs in right.walk().filter(|found| is_at_or_below(found.node.path(), path)) {
        if left.get(theirs.node.path()).is_none() {
            let kind = Kind::OnlyRight(theirs.node.data_len());
            found.push(Difference { what: What::Znode(theirs.node.path().into()), kind });
        }
    }
    found.sort_by(|one, other| one.what.cmp(&other.what));
    found
}

fn session_differences(left: &DataTree, right: &DataTree) -> Vec<Difference> {
    let mut found = Vec::new();
    for (id, timeout_ms) in left.sessions() {
        let kind = match right.sessions().get(id) {
            None => Kind::OnlyLeft(0),
            Some(other) if other == timeout_ms => continue,
            Some(other) => Kind::Changed(vec![change("timeout_ms", timeout_ms, other)]),
        };
        found.push(Difference { what: What::Session(id.0), kind });
    }
    for id in right.sessions().keys().filter(|id| !left.sessions().contains_key(id)) {
        found.push(Difference { what: What::Session(id.0), kind: Kind::OnlyRight(0) });
    }
    found
}

fn changes(left: Found<'_>, right: Found<'_>, stat: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if left.node.data() != right.node.data() {
        let show = |found: Found<'_>| ShownData(found.node.data(), DataShown::Short).to_string();
        changes.push(Change { field: "data", left: show(left), right: show(right) });
    }
    let (ours, theirs) = (left.node.fields(), right.node.fields());
    if ours.acl != theirs.acl {
        let show = |list| super::show::ShownAcl(list).to_string();
        changes.push(Change { field: "acl", left: show(&ours.acl), right: show(&theirs.acl) });
    }
    if !stat {
        return changes;
    }
    let mut number = |field, left: i64, right: i64| {
        if left != right {
            changes.push(change(field, left, right));
        }
    };
    number("ctime", ours.ctime, theirs.ctime);
    number("mtime", ours.mtime, theirs.mtime);
    number("version", ours.version.into(), theirs.version.into());
    number("cversion", left.cversion().into(), right.cversion().into());
    number("aversion", ours.aversion.into(), theirs.aversion.into());
    for (field, ours, theirs) in [
        ("czxid", ours.czxid.0, theirs.czxid.0),
        ("mzxid", ours.mzxid.0, theirs.mzxid.0),
        ("pzxid", left.pzxid().0, right.pzxid().0),
        ("ephemeral_owner", ours.owner, theirs.owner),
    ] {
        if ours != theirs {
            changes.push(change(field, Hex(ours), Hex(theirs)));
        }
    }
    changes
}

fn change(field: &'static str, left: impl ToString, right: impl ToString) -> Change {
    Change { field, left: left.to_string(), right: right.to_string() }
}

impl Difference {
    /// The path, if it is a znode's.
    fn path(&self) -> Option<&str> {
        match &self.what {
            What::Session(_) => None,
            What::Znode(path) => Some(path),
        }
    }

    fn show(&self, form: Form, out: &mut dyn Write) -> Result<(), ToolError> {
        match form {
            Form::Text => self.text(out).map_err(ToolError::Output),
            Form::Json => self.json(out),
        }
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let side = match self.kind {
            Kind::OnlyLeft(_) => "<",
            Kind::OnlyRight(_) => ">",
            Kind::Changed(_) => "!",
        };
        match &self.what {
            What::Session(id) => write!(out, "{side} session {}", Hex(*id))?,
            What::Znode(path) => write!(out, "{side} {}", Shown(path))?,
        }
        match &self.kind {
            Kind::OnlyLeft(bytes) | Kind::OnlyRight(bytes) if self.path().is_some() => {
                write!(out, " ({bytes} bytes)")?;
            }
            Kind::OnlyLeft(_) | Kind::OnlyRight(_) => {}
            Kind::Changed(changes) => {
                for Change { field, left, right } in changes {
                    write!(out, "; {field} {left} -> {right}")?;
                }
            }
        }
        writeln!(out)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), ToolError> {
        #[derive(Serialize)]
        struct Line<'a> {
            r#type: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            session: Option<Hex>,
            #[serde(skip_serializing_if = "Option::is_none")]
            path: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            data_bytes: Option<usize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            changes: Option<&'a [Change]>,
        }
        let session = match self.what {
            What::Session(id) => Some(Hex(id)),
            What::Znode(_) => None,
        };
        let (r#type, bytes, changes) = match &self.kind {
            Kind::OnlyLeft(bytes) => ("only_left", Some(*bytes), None),
            Kind::OnlyRight(bytes) => ("only_right", Some(*bytes), None),
            Kind::Changed(changes) => ("changed", None, Some(&changes[..])),
        };
        let data_bytes = bytes.filter(|_| session.is_none());
        json_line(out, &Line { r#type, session, path: self.path(), data_bytes, changes })
    }
}

fn show_side(side: &str, state: &state::State, form: Form, out: &mut dyn Write) -> Result<(), ToolError> {
    #[derive(Serialize)]
    struct Side<'a> {
        r#type: &'static str,
        from: &'a str,
        zxid: Hex,
        znodes: usize,
        sessions: usize,
        digest: Option<Hex>,
    }
    let tree = &state.tree;
    let (znodes, sessions) = (tree.node_count() - 1, tree.sessions().len());
    match form {
        Form::Text => writeln!(
            out,
            "{side} {}: zxid {}, {znodes} znodes, {sessions} sessions, digest {:#x}{}",
            Shown(&state.origin),
            tree.last_zxid(),
            tree.digest().unwrap_or_default(),
            state.digests
        )
        .map_err(ToolError::Output),
        Form::Json => {
            let r#type = if side == "<" { "left" } else { "right" };
            let (zxid, digest) = (Hex(tree.last_zxid().0), tree.digest().map(|digest| Hex(digest as i64)));
            json_line(out, &Side { r#type, from: &state.origin, zxid, znodes, sessions, digest })
        }
    }
}

/// What differs in one subtree.
#[derive(Clone, Copy, Default)]
struct Counts {
    only_left: u64,
    only_right: u64,
    changed: u64,
}

fn show_subtrees(
    left: &DataTree,
    right: &DataTree,
    found: &[Difference],
    options: &CompareOptions,
    out: &mut dyn Write,
) -> Result<(), ToolError> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        path: &'a str,
        left_znodes: u64,
        right_znodes: u64,
        left_data_bytes: u64,
        right_data_bytes: u64,
        only_left: u64,
        only_right: u64,
        changed: u64,
    }
    let totals = |tree: &DataTree| {
        tree.get(&options.path).map(|top| Totals::by_subtree(top, options.depth)).unwrap_or_default()
    };
    let (ours, theirs) = (totals(left), totals(right));
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for difference in found {
        let Some(path) = difference.path() else { continue };
        for subtree in subtrees(path, &options.path, options.depth) {
            let counts = counts.entry(subtree).or_default();
            match difference.kind {
                Kind::OnlyLeft(_) => counts.only_left += 1,
                Kind::OnlyRight(_) => counts.only_right += 1,
                Kind::Changed(_) => counts.changed += 1,
            }
        }
    }
    if options.form == Form::Text {
        writeln!(
            out,
            "{:>11} {:>11} {:>13} {:>13} {:>9} {:>10} {:>8}  PATH",
            "< ZNODES", "> ZNODES", "< BYTES", "> BYTES", "ONLY <", "ONLY >", "CHANGED"
        )
        .map_err(ToolError::Output)?;
    }
    for (path, Counts { only_left, only_right, changed }) in counts {
        let of = |totals: &BTreeMap<String, Totals>| totals.get(path).copied().unwrap_or_default();
        let (left, right) = (of(&ours), of(&theirs));
        if left.bytes.abs_diff(right.bytes) < options.bytes
            && left.znodes.abs_diff(right.znodes) < options.znodes
        {
            continue;
        }
        match options.form {
            Form::Text => writeln!(
                out,
                "{:>11} {:>11} {:>13} {:>13} {only_left:>9} {only_right:>10} {changed:>8}  {}",
                left.znodes,
                right.znodes,
                left.bytes,
                right.bytes,
                Shown(path)
            )
            .map_err(ToolError::Output)?,
            Form::Json => json_line(
                out,
                &Line {
                    r#type: "subtree",
                    path,
                    left_znodes: left.znodes,
                    right_znodes: right.znodes,
                    left_data_bytes: left.bytes,
                    right_data_bytes: right.bytes,
                    only_left,
                    only_right,
                    changed,
                },
            )?,
        }
    }
    Ok(())
}
