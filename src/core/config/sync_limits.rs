/// How many learners a server brings up to date at once. Beyond that observers are sent away, to come again; followers
/// count, and are never sent away (zab §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncLimits {
    /// `leader.maxConcurrentSnapSyncs`: by the whole tree.
    pub trees_max: usize,
    /// `leader.maxConcurrentDiffSyncs`: by what they have missed.
    pub diffs_max: usize,
}

impl Default for SyncLimits {
    fn default() -> SyncLimits {
        SyncLimits { trees_max: 10, diffs_max: 100 }
    }
}
