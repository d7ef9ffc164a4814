//! What a reader has to know of the machine before believing a figure.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// The machine, its disk and the programs' versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) virtual_machine: bool,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) disk: Disk,
    pub(crate) rustc: String,
    pub(crate) java: Option<String>,
    /// The commit that was measured, with a `+` if files differed from it.
    pub(crate) commit: String,
}

/// What holds the servers' data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Disk {
    pub(crate) file_system: String,
    pub(crate) device: String,
    /// `major:minor`.
    pub(crate) device_number: String,
    /// `write back` or `write through`, as the kernel believes; `None` where it says nothing.
    pub(crate) write_cache: Option<String>,
}

impl Host {
    /// Looks around. `dir` is where the data will be, `java` the program that runs ZooKeeper.
    ///
    /// # Errors
    /// When `dir` is in memory: nothing durable can be measured there.
    pub(crate) fn look(dir: &Path, java: &Path) -> Result<Host> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let disk = Disk::of(dir)?;
        ensure!(
            !IN_MEMORY.contains(&disk.file_system.as_str()),
            "{} is in memory ({}): name a folder on a disk with --dir",
            dir.display(),
            disk.file_system
        );
        Ok(Host {
            cpu: colon_field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cpus: thread::available_parallelism()?.get(),
            virtual_machine: colon_field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "hypervisor")),
            memory_mib: colon_field(&meminfo, "MemTotal")
                .and_then(|total| total.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .context("/proc/meminfo names no MemTotal")?
                / 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            disk,
            rustc: first_line("rustc", &["--version"]).unwrap_or_else(|| "unknown".to_owned()),
            java: first_line(&java.to_string_lossy(), &["--version"]),
            commit: commit(),
        })
    }
}

impl Disk {
    fn of(dir: &Path) -> Result<Disk> {
        let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let mount = mount_of(&mounts, &dir)
            .with_context(|| format!("/proc/self/mountinfo does not tell where {} is", dir.display()))?;
        let device = Path::new("/sys/dev/block").join(mount.device_number);
        // A partition has no queue of its own, its disk has.
        let write_cache = ["queue/write_cache", "../queue/write_cache"]
            .iter()
            .find_map(|file| fs::read_to_string(device.join(file)).ok())
            .map(|text| text.trim().to_owned());
        Ok(Disk {
            file_system: mount.file_system.to_owned(),
            device: mount.source.to_owned(),
            device_number: mount.device_number.to_owned(),
            write_cache,
        })
    }
}

/// How busy the machine was lately: the first of /proc/loadavg's figures, before anything is started.
pub(crate) fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    text.split_ascii_whitespace()
        .next()
        .and_then(|figure| figure.parse().ok())
        .context("/proc/loadavg is strange")
}

#[derive(Debug, PartialEq)]
struct Mount<'a> {
    device_number: &'a str,
    file_system: &'a str,
    source: &'a str,
}

/// The mount that holds `dir`: of those whose point is above it the deepest, and of these the last.
fn mount_of<'a>(mountinfo: &'a str, dir: &Path) -> Option<Mount<'a>> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (place, what) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(2);
            let (device_number, point) = (place.next()?, Path::new(place.nth(1)?));
            let mut what = what.split(' ');
            let mount = Mount { device_number, file_system: what.next()?, source: what.next()? };
            dir.starts_with(point).then(|| (point.components().count(), mount))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, mount)| mount)
}

fn colon_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        (field.trim_end() == name).then_some(value.trim())
    })
}

fn commit() -> String {
    let Some(commit) = first_line("git", &["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let clean = first_line("git", &["status", "--porcelain", "--untracked-files=no"]).is_none();
    if clean { commit } else { commit + "+" }
}

/// The first line that a program prints; `None` if it prints none, fails, or is not there.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_above_a_folder_holds_it() {
        let mounts = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      30 22 0:25 / /data rw shared:5 - tmpfs none rw\n\
                      31 30 259:1 / /data/disk rw shared:6 master:1 - xfs /dev/nvme0n1p1 rw\n";
        let file_system = |dir: &str| mount_of(mounts, Path::new(dir)).map(|mount| mount.file_system);
        assert_eq!(file_system("/data/disk/zk"), Some("xfs"));
        assert_eq!(file_system("/data/disks"), Some("tmpfs"));
        assert_eq!(file_system("/database"), Some("ext4"));
        assert_eq!(mount_of(mounts, Path::new("/data/disk")).unwrap().device_number, "259:1");
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: A CPU: fast\n";
        assert_eq!(colon_field(text, "model name"), Some("A CPU: fast"));
        assert_eq!(colon_field(text, "name"), None);
    }
}
