use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::facts::Facts;

/// `wchs`: how much is watched, by data watches.
pub(super) fn summary(facts: &Facts<'_>) -> String {
    let watches = facts.watches();
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        watches.connections, watches.paths, watches.watches
    )
}

/// `wchc`: for each session the paths that it watches, by data watches.
pub(super) fn by_session(facts: &Facts<'_>) -> String {
    grouped(facts.watched_paths())
}

/// `wchp`: for each path the sessions that watch it, by data watches.
pub(super) fn by_path(facts: &Facts<'_>) -> String {
    grouped(facts.watched_paths().map(|(session, path)| (path, session)))
}

fn grouped<K: Display + Ord, V: Display + Ord>(pairs: impl Iterator<Item = (K, V)>) -> String {
    let mut groups: BTreeMap<K, Vec<V>> = BTreeMap::new();
    pairs.for_each(|(key, value)| groups.entry(key).or_default().push(value));
    let mut text = String::new();
    for (key, mut values) in groups {
        values.sort_unstable();
        let _ = writeln!(text, "{key}");
        values.iter().for_each(|value| {
            let _ = writeln!(text, "\t{value}");
        });
    }
    text.push('\n');
    text
}
