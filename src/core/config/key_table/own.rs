//! ringkeeper's own keys. A bad value ends the start, wherever it stands.

use crate::config::LayoutKind;
use crate::config::Status::Supported;
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Choice, CpuList, OptionalInt};

/// What all of them begin with.
pub(in crate::config) const PREFIX: &str = "ringkeeper.";

pub(in crate::config) static LAYOUT: Key<Choice<LayoutKind>> = Key::property(
    "ringkeeper.layout",
    Choice::of(LayoutKind::Auto, LayoutKind::NAMES),
    Supported,
    "whether the server's roles share one core (single) or have cores of their own (split)",
)
.refusing();

pub(in crate::config) static SHARDS: Key<OptionalInt<i32>> = Key::property(
    "ringkeeper.shards",
    OptionalInt::within(1, 64),
    Supported,
    "cores that serve clients, with ringkeeper.layout=split",
)
.refusing();

pub(in crate::config) static CPUS: Key<CpuList> = Key::property(
    "ringkeeper.cpus",
    CpuList,
    Supported,
    "CPUs that the server's cores are pinned to, such as 0,2-5; all that the process may use if unset",
)
.refusing();

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[&LAYOUT, &SHARDS, &CPUS];
