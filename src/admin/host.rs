use std::fs;
use std::path::Path;

/// How many descriptors this process has open; `None` where /proc is not there to tell.
pub(super) fn open_descriptors() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// How many it may have.
pub(super) fn max_descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// The machine's own name.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The kernel's release.
pub(super) fn os_version() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Memory of this process, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// Not used by anybody on this machine.
    pub(super) free: u64,
    /// What this machine has.
    pub(super) max: u64,
    /// What this process has in use.
    pub(super) resident: u64,
}

impl Memory {
    pub(super) fn now() -> Memory {
        let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let process = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Memory {
            free: field_mib(&machine, "MemAvailable:"),
            max: field_mib(&machine, "MemTotal:"),
            resident: field_mib(&process, "VmRSS:"),
        }
    }
}

/// The bytes of all files below a folder; what cannot be read counts nothing.
pub(super) fn size_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.metadata().ok()?, entry.path())))
        .map(|(metadata, path)| if metadata.is_dir() { size_below(&path) } else { metadata.len() })
        .sum()
}

/// A field of a /proc file that is given in kB.
fn field_mib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_proc_is_read_in_mebibytes() {
        let text = "MemTotal:       24576000 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(field_mib(text, "MemAvailable:"), 2);
        assert_eq!(field_mib(text, "Swap:"), 0);
    }
}
