use super::error::{ConfigError, Problem};
use super::key_table::own::{CPUS, LAYOUT, SHARDS};
use super::settings::Settings;

/// Which cores the server runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// `ringkeeper.layout` and `ringkeeper.shards`.
    pub layout: Layout,
    /// `ringkeeper.cpus`, in the order given and none twice; empty means all that the process may use.
    pub cpus: Vec<usize>,
}

/// How the roles are dealt to cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By the number of CPUs.
    Auto,
    /// All roles share one core.
    Single,
    /// Roles have cores of their own.
    Split {
        /// How many cores serve clients, at least 1; `None` leaves it to the number of CPUs.
        shards: Option<usize>,
    },
}

impl Placement {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Placement, ConfigError> {
        let shards = settings.get(&SHARDS)?;
        let layout = match (settings.get(&LAYOUT)?, shards) {
            (LayoutName::Split, shards) => {
                Layout::Split { shards: shards.and_then(|shards| usize::try_from(shards).ok()) }
            }
            (other, Some(_)) => {
                let problem = Problem::ShardsWithoutSplit { layout: other.name() };
                return Err(settings.error(&SHARDS, problem));
            }
            (LayoutName::Auto, None) => Layout::Auto,
            (LayoutName::Single, None) => Layout::Single,
        };
        Ok(Placement { layout, cpus: settings.get(&CPUS)? })
    }
}

/// What `ringkeeper.layout` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayoutName {
    Auto,
    Single,
    Split,
}

impl LayoutName {
    pub(super) const NAMES: &[(&str, LayoutName)] =
        &[("auto", LayoutName::Auto), ("single", LayoutName::Single), ("split", LayoutName::Split)];

    fn name(self) -> &'static str {
        match self {
            LayoutName::Auto => "auto",
            LayoutName::Single => "single",
            LayoutName::Split => "split",
        }
    }
}
