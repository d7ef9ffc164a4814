//! Counts a tree by subtree.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ringkeeper_core::tree::{DataTree, Found, Owner};
use serde::Serialize;

use super::show::{Hex, Shown, json_line};
use super::{Form, ToolError, state};

/// What is counted, and how it is shown.
#[derive(Clone, Debug)]
pub struct SummaryOptions {
    /// As text or JSON.
    pub form: Form,
    /// Where the logs are, if not with the snapshots.
    pub log_dir: Option<PathBuf>,
    /// The top of what is counted.
    pub path: String,
    /// How far below it subtrees are shown one by one.
    pub depth: usize,
    /// How many children of each are shown, those with the most bytes first; the rest is one line.
    pub top: usize,
}

/// Shows how many znodes and bytes there are below a path, in all and by subtree.
///
/// # Errors
///
/// If the state cannot be loaded, or has no such path.
pub fn summarise(path: &Path, options: &SummaryOptions, out: &mut dyn Write) -> Result<(), ToolError> {
    let state = state::load(path, options.log_dir.as_deref())?;
    let top = top_of(&state.tree, &options.path)?;
    let totals = Totals::by_subtree(top, options.depth);
    if options.form == Form::Text {
        let (zxid, sessions) = (state.tree.last_zxid(), state.tree.sessions().len());
        let digest = state.tree.digest().unwrap_or_default();
        let origin = Shown(&state.origin);
        writeln!(out, "# {origin}: zxid {zxid}, {sessions} sessions, digest {digest:#x}{}", state.digests)
            .and_then(|()| writeln!(out, "{:>12} {:>16} {:>12}  PATH", "ZNODES", "DATA BYTES", "EPHEMERALS"))
            .map_err(ToolError::Output)?;
    } else {
        #[derive(Serialize)]
        struct Head<'a> {
            r#type: &'static str,
            from: &'a str,
            zxid: Hex,
            sessions: usize,
            digest: Option<Hex>,
        }
        let zxid = Hex(state.tree.last_zxid().0);
        let sessions = state.tree.sessions().len();
        let digest = state.tree.digest().map(|digest| Hex(digest as i64));
        json_line(out, &Head { r#type: "state", from: &state.origin, zxid, sessions, digest })?;
    }
    let shown = Listing { totals: &totals, options };
    shown.subtree(&options.path, 0, out)
}

/// The znode at a path.
pub(super) fn top_of<'t>(tree: &'t DataTree, path: &str) -> Result<Found<'t>, ToolError> {
    tree.get(path).ok_or_else(|| ToolError::Refused(format!("there is no znode {}", Shown(path))))
}

/// What is in a subtree, its top included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) znodes: u64,
    /// Of data: paths and stats come on top, in memory and in snapshots.
    pub(super) bytes: u64,
    pub(super) ephemerals: u64,
}

impl Totals {
    /// The totals of a znode and of each one below it, down to a depth.
    pub(super) fn by_subtree(top: Found<'_>, depth: usize) -> BTreeMap<String, Totals> {
        let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
        for found in std::iter::once(top).chain(top.below()) {
            let own = Totals::of(found);
            for subtree in subtrees(found.node.path(), top.node.path(), depth) {
                match totals.get_mut(subtree) {
                    Some(total) => total.add(own),
                    None => {
                        totals.insert(subtree.to_owned(), own);
                    }
                }
            }
        }
        totals
    }

    pub(super) fn of(found: Found<'_>) -> Totals {
        let is_ephemeral = matches!(found.owner(), Owner::Session(_));
        Totals { znodes: 1, bytes: found.node.data_len() as u64, ephemerals: is_ephemeral.into() }
    }

    pub(super) fn add(&mut self, other: Totals) {
        self.znodes += other.znodes;
        self.bytes += other.bytes;
        self.ephemerals += other.ephemerals;
    }
}

/// The subtrees that a path is in: that of `top`, and those of up to `depth` levels below it.
pub(super) fn subtrees<'p>(path: &'p str, top: &'p str, depth: usize) -> impl Iterator<Item = &'p str> {
    let start = if top == "/" { 0 } else { top.len() };
    let ends = path[start.min(path.len())..].match_indices('/').map(move |(at, _)| start + at).skip(1);
    let has_more = path.len() > start && path != "/";
    let ends = ends.chain(has_more.then_some(path.len()));
    std::iter::once(top).chain(ends.take(depth).map(|end| &path[..end]))
}

struct Listing<'a> {
    totals: &'a BTreeMap<String, Totals>,
    options: &'a SummaryOptions,
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    path: &'a str,
    depth: usize,
    znodes: u64,
    data_bytes: u64,
    ephemerals: u64,
    /// Of how many subtrees, on the line of those that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtrees: Option<usize>,
}

impl Listing<'_> {
    /// A subtree, and those in it.
    fn subtree(&self, path: &str, depth: usize, out: &mut dyn Write) -> Result<(), ToolError> {
        let Some(totals) = self.totals.get(path) else { return Ok(()) };
        self.line(path, depth, *totals, None, out)?;
        if depth == self.options.depth {
            return Ok(());
        }
        let mut children = self.children(path);
        children.sort_by(|(one, a), (other, b)| {
            (b.bytes, b.znodes).cmp(&(a.bytes, a.znodes)).then_with(|| one.cmp(other))
        });
        let (shown, hidden) = children.split_at(children.len().min(self.options.top));
        for (child, _) in shown {
            self.subtree(child, depth + 1, out)?;
        }
        if hidden.is_empty() {
            return Ok(());
        }
        let mut rest = Totals::default();
        hidden.iter().for_each(|(_, totals)| rest.add(*totals));
        self.line(path, depth + 1, rest, Some(hidden.len()), out)
    }

    fn children(&self, path: &str) -> Vec<(&str, Totals)> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.totals.range(prefix.clone()..).take_while(|(other, _)| other.starts_with(&prefix));
        let children =
            below.filter(|(other, _)| other.len() > prefix.len() && !other[prefix.len()..].contains('/'));
        children.map(|(path, totals)| (path.as_str(), *totals)).collect()
    }

    fn line(
        &self,
        path: &str,
        depth: usize,
        totals: Totals,
        subtrees: Option<usize>,
        out: &mut dyn Write,
    ) -> Result<(), ToolError> {
        let Totals { znodes, bytes, ephemerals } = totals;
        if self.options.form == Form::Json {
            let r#type = if subtrees.is_some() { "others" } else { "subtree" };
            return json_line(
                out,
                &Line { r#type, path, depth, znodes, data_bytes: bytes, ephemerals, subtrees },
            );
        }
        let indent = "  ".repeat(depth);
        match subtrees {
            None => writeln!(out, "{znodes:>12} {bytes:>16} {ephemerals:>12}  {indent}{}", Shown(path)),
            Some(count) => writeln!(out, "{znodes:>12} {bytes:>16} {ephemerals:>12}  {indent}({count} more)"),
        }
        .map_err(ToolError::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_the_subtrees_above_it_down_to_the_depth() {
        let of = |path, top, depth| subtrees(path, top, depth).collect::<Vec<_>>();
        assert_eq!(of("/", "/", 9), ["/"]);
        assert_eq!(of("/a", "/", 9), ["/", "/a"]);
        assert_eq!(of("/a/b/c", "/", 9), ["/", "/a", "/a/b", "/a/b/c"]);
        assert_eq!(of("/a/b/c", "/", 2), ["/", "/a", "/a/b"]);
        assert_eq!(of("/a/b/c", "/", 0), ["/"]);
        assert_eq!(of("/a/b/c", "/a", 1), ["/a", "/a/b"]);
        assert_eq!(of("/a", "/a", 1), ["/a"]);
    }
}
