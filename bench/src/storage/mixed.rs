//! Mixed operations at a fixed rate on a large tree, without snapshots and with one after the other.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tracing::info;

use super::images::{Ended, Images};
use super::{Bench, Found};
use crate::large_tree::{WITHOUT_SNAPSHOTS, tree};
use crate::mix::Mix;
use crate::open_loop::{self, Pace, Paced};
use crate::server::{Folder, Subject};

/// One run of the mix.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mixed {
    pub(crate) subject: Subject,
    pub(crate) znodes: u32,
    pub(crate) snapshots: Snapshots,
    pub(crate) paced: Paced,
    /// Snapshots that appeared in the folder while it was measured, the one at the end perhaps in part.
    pub(crate) snapshots_written: usize,
}

/// Whether the server was to write them meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Snapshots {
    Without,
    /// As soon as one is written, the next is due.
    Continuous,
}

/// Runs the mix on a copy of each clean image, in turn.
pub(super) fn measure(bench: &Bench, images: &[Images], found: &mut Found) {
    for round in 1..=bench.settings.rounds {
        for snapshots in [Snapshots::Without, Snapshots::Continuous] {
            for image in images {
                let what = format!("mix, round {round}: {}, {snapshots:?}", image.subject);
                let Some(mixed) = found.or_note(&what, once(bench, image, snapshots)) else { continue };
                info!(
                    "{what}: writes p99 {:.2} ms, {} snapshots",
                    mixed.paced.writes.p99_us / 1e3,
                    mixed.snapshots_written
                );
                found.mixed.push(mixed);
            }
        }
    }
}

fn once(bench: &Bench, image: &Images, snapshots: Snapshots) -> Result<Mixed> {
    let &Images { subject, znodes, .. } = image;
    let folder = image.copy(Ended::Stopped, bench.work_folder())?;
    let often =
        format!("snapCount={}\nsnapSizeLimitInKb=-1\nautopurge.purgeInterval=0\n", bench.settings.snap_count);
    let more = match snapshots {
        Snapshots::Without => WITHOUT_SNAPSHOTS,
        Snapshots::Continuous => &often,
    };
    let server = bench.open(subject, znodes, &folder, more)?;
    let mix = Mix::new(&tree(), znodes, &bench.data());
    let pace = Pace {
        per_second: bench.settings.rate,
        connections: bench.settings.connections.into(),
        warmup: bench.warmup(),
        measure: Duration::from_secs_f64(bench.settings.seconds),
    };
    let probe = server.probe()?.with_device(bench.device.clone());
    let mut before = BTreeSet::new();
    let paced = open_loop::run(&[server.addr()], mix, &pace, &probe, || {
        before = snapshot_names(&folder)?;
        Ok(())
    })?;
    let snapshots_written = snapshot_names(&folder)?.difference(&before).count();
    Ok(Mixed { subject, znodes, snapshots, paced, snapshots_written })
}

fn snapshot_names(folder: &Folder) -> Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder.data().join("version-2"))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("snapshot.") {
            names.insert(name);
        }
    }
    Ok(names)
}
