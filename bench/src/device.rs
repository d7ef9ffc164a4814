//! What reached the block device: everybody's writes, the file system's journal and the flushes of the
//! write cache included (Documentation/block/stat in the kernel's sources).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

/// Reads the counters of one disk.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    stat: PathBuf,
}

/// What a disk was given: since it is there, or in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceUse {
    pub(crate) writes: u64,
    pub(crate) written_bytes: u64,
    /// Flushes of the write cache; `None` from a kernel that does not count them.
    pub(crate) flushes: Option<u64>,
}

impl Device {
    /// The disk with the number `device_number` (`major:minor`), or the one that this partition is on;
    /// `None` where the kernel shows no such disk, as for network file systems.
    pub(crate) fn find(device_number: &str) -> Option<Device> {
        let dir = Path::new("/sys/dev/block").join(device_number);
        // Flushes are counted for whole disks alone.
        let disk = if dir.join("partition").exists() { dir.join("..") } else { dir };
        let stat = disk.join("stat");
        stat.exists().then_some(Device { stat })
    }

    /// The counters now.
    pub(crate) fn now(&self) -> Result<DeviceUse> {
        let text = fs::read_to_string(&self.stat)?;
        parse(&text).with_context(|| format!("{} is strange: {text}", self.stat.display()))
    }
}

impl DeviceUse {
    /// What was added since `before`.
    pub(crate) fn since(self, before: DeviceUse) -> DeviceUse {
        DeviceUse {
            writes: self.writes - before.writes,
            written_bytes: self.written_bytes - before.written_bytes,
            flushes: self.flushes.zip(before.flushes).map(|(now, before)| now - before),
        }
    }
}

fn parse(stat: &str) -> Option<DeviceUse> {
    let fields: Vec<u64> = stat.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    Some(DeviceUse {
        writes: *fields.get(4)?,
        written_bytes: fields.get(6)? * SECTOR_LEN,
        flushes: fields.get(15).copied(),
    })
}

/// In this file, whatever the disk's own are.
const SECTOR_LEN: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_sectors_and_flushes_are_found_in_their_columns() {
        let old = "10 20 30 40 50 60 70 80 90 100 110";
        let new = format!("{old} 120 130 140 150 160 170\n");
        let expected = DeviceUse { writes: 50, written_bytes: 70 * 512, flushes: None };
        assert_eq!(parse(old), Some(expected));
        assert_eq!(parse(&new), Some(DeviceUse { flushes: Some(160), ..expected }));
        assert_eq!(parse("10 20 30"), None);
    }

    #[test]
    fn what_was_added_is_the_difference() {
        let before = DeviceUse { writes: 5, written_bytes: 512, flushes: Some(2) };
        let after = DeviceUse { writes: 7, written_bytes: 1024, flushes: Some(5) };
        assert_eq!(after.since(before), DeviceUse { writes: 2, written_bytes: 512, flushes: Some(3) });
    }
}
