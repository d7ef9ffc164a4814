//! Finds the largest znodes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::path::{Path, PathBuf};

use ringkeeper_core::tree::Found;
use serde::Serialize;

use super::show::{Shown, json_line};
use super::summary::top_of;
use super::{Form, ToolError, state};

/// What is looked for.
#[derive(Clone, Debug)]
pub struct LargestOptions {
    /// As text or JSON.
    pub form: Form,
    /// Where the logs are, if not with the snapshots.
    pub log_dir: Option<PathBuf>,
    /// Only this znode and those below it.
    pub path: String,
    /// How many.
    pub count: usize,
}

/// Shows the znodes with the most data, and those with the most children.
///
/// # Errors
///
/// If the state cannot be loaded, or has no such path.
pub fn largest(path: &Path, options: &LargestOptions, out: &mut dyn Write) -> Result<(), ToolError> {
    let state = state::load(path, options.log_dir.as_deref())?;
    let top = top_of(&state.tree, &options.path)?;
    let (mut by_data, mut by_children) = (Largest::new(options.count), Largest::new(options.count));
    for found in std::iter::once(top).chain(top.below()) {
        by_data.offer(found.node.data_len(), found);
        by_children.offer(found.num_children(), found);
    }
    for (by, largest) in [("data_bytes", by_data), ("children", by_children)] {
        if options.form == Form::Text {
            let (head, line) = (by.replace('_', " ").to_uppercase(), "-".repeat(12));
            writeln!(out, "{head:>12}  PATH\n{line}  ----").map_err(ToolError::Output)?;
        }
        for (size, path) in largest.into_sorted() {
            show(by, size, path, options.form, out)?;
        }
    }
    Ok(())
}

fn show(by: &'static str, size: usize, path: &str, form: Form, out: &mut dyn Write) -> Result<(), ToolError> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        by: &'static str,
        path: &'a str,
        size: usize,
    }
    match form {
        Form::Text => writeln!(out, "{size:>12}  {}", Shown(path)).map_err(ToolError::Output),
        Form::Json => json_line(out, &Line { r#type: "largest", by, path, size }),
    }
}

/// The largest so far; of equal ones, those whose paths come first.
struct Largest<'t> {
    count: usize,
    /// The smallest on top.
    heap: BinaryHeap<Reverse<(usize, Reverse<&'t str>)>>,
}

impl<'t> Largest<'t> {
    fn new(count: usize) -> Largest<'t> {
        Largest { count, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, size: usize, found: Found<'t>) {
        if size == 0 {
            return;
        }
        self.heap.push(Reverse((size, Reverse(found.node.path()))));
        if self.heap.len() > self.count {
            self.heap.pop();
        }
    }

    fn into_sorted(self) -> impl Iterator<Item = (usize, &'t str)> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse((size, Reverse(path)))| (size, path))
    }
}
