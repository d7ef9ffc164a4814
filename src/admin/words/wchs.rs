use super::facts::Facts;

/// `wchs`: how much is watched, by data watches.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let watches = facts.watches();
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        watches.connections, watches.paths, watches.watches
    )
}
