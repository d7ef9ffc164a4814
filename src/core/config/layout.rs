use super::error::{ConfigError, Problem};
use super::key_table::own::{CPUS, LAYOUT, SHARDS};
use super::settings::Settings;

/// Which role runs where: `ringkeeper.layout`, `ringkeeper.shards`, `ringkeeper.cpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How roles are dealt to executors.
    pub kind: LayoutKind,
    /// How many shards a split layout has, at least 1; `None` leaves it to the number of CPUs.
    pub shards: Option<usize>,
    /// The CPUs that the executors stay on, in order and none twice; none leaves them to the kernel.
    pub cpus: Vec<usize>,
}

/// How roles are dealt to executors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutKind {
    /// By the number of CPUs.
    Auto,
    /// All on one.
    Single,
    /// One for the log, one for the commit role, one for each shard.
    Split,
}

impl Layout {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Layout, ConfigError> {
        let kind = settings.get(&LAYOUT)?;
        let shards = settings.get(&SHARDS)?;
        if shards.is_some() && kind != LayoutKind::Split {
            return Err(settings.error(&SHARDS, Problem::ShardsWithoutSplit { layout: kind.name() }));
        }
        let shards = shards.and_then(|shards| usize::try_from(shards).ok());
        Ok(Layout { kind, shards, cpus: settings.get(&CPUS)? })
    }
}

impl LayoutKind {
    pub(super) const NAMES: &[(&str, LayoutKind)] =
        &[("auto", LayoutKind::Auto), ("single", LayoutKind::Single), ("split", LayoutKind::Split)];

    fn name(self) -> &'static str {
        match self {
            LayoutKind::Auto => "auto",
            LayoutKind::Single => "single",
            LayoutKind::Split => "split",
        }
    }
}
