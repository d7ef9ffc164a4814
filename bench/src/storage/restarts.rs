//! How long a restart takes: from just before the process is started until a client has read a znode.

use std::fmt;
use std::fs::{self, OpenOptions};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use tracing::{info, warn};

use super::images::{Ended, Images, Moment, Occupied};
use super::{Bench, Found, MILLION};
use crate::large_tree::{WITHOUT_SNAPSHOTS, tree};
use crate::server::{Server, Subject};

/// One restart.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Restart {
    pub(crate) subject: Subject,
    pub(crate) znodes: u32,
    pub(crate) ended: Ended,
    pub(crate) cache: Cache,
    pub(crate) seconds: f64,
}

/// What the kernel had of the server's files in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cache {
    /// Nothing, as after the machine's own restart: neither data nor programs.
    Cold,
    /// All of it.
    Warm,
}

/// Restarts all servers from all images, in turn. Memory is looked at after warm ones from a clean stop.
pub(super) fn measure(bench: &Bench, images: &[Images], found: &mut Found) {
    let mut caches = bench.settings.caches.clone();
    if caches.contains(&Cache::Cold) && !cold_possible() {
        warn!("no restarts with a cold page cache: {DROP_CACHES} cannot be written");
        caches.retain(|cache| *cache != Cache::Cold);
    }
    let znodes = images.first().map_or(0, |image| image.znodes);
    let times = (bench.settings.restarts * MILLION / znodes.max(MILLION)).max(1);
    for _ in 0..times {
        for ended in [Ended::Stopped, Ended::Killed] {
            for &cache in &caches {
                for image in images {
                    let what = format!("{}, {znodes} znodes, {ended:?}, {cache} cache", image.subject);
                    let result = once(bench, image, ended, cache, &mut found.memory);
                    let Some(restart) = found.or_note(&what, result) else { continue };
                    info!("{what}: {:.2} s", restart.seconds);
                    found.restarts.push(restart);
                }
            }
        }
    }
}

/// Whether the kernel can be told to forget files.
pub(crate) fn cold_possible() -> bool {
    OpenOptions::new().write(true).open(DROP_CACHES).is_ok()
}

fn once(
    bench: &Bench,
    image: &Images,
    ended: Ended,
    cache: Cache,
    memory: &mut Vec<Occupied>,
) -> Result<Restart> {
    let &Images { subject, znodes, .. } = image;
    let folder = image.copy(ended, bench.work_folder())?;
    if cache == Cache::Cold {
        fs::write(DROP_CACHES, "3").with_context(|| format!("cannot write {DROP_CACHES}"))?;
    }
    let last = tree().path(znodes - 1);
    let (server, took) = Server::restart(
        subject,
        &bench.programs_for(znodes),
        &bench.settings.restart_cpus,
        &folder,
        WITHOUT_SNAPSHOTS,
        (&last, bench.settings.data_len.into()),
    )?;
    if (ended, cache) == (Ended::Stopped, Cache::Warm) {
        memory.push(Occupied::look(bench, subject, znodes, Moment::Restarted, &server)?);
    }
    Ok(Restart { subject, znodes, ended, cache, seconds: took.as_secs_f64() })
}

impl fmt::Display for Cache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Cache::Cold => "cold",
            Cache::Warm => "warm",
        })
    }
}

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
