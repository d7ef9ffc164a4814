//! How large a compressed snapshot may be: a file of a few megabytes can claim to hold any number of them.

use std::fs;

use rustix::system::sysinfo;

/// The bytes that a snapshot may unpack to: half of the memory that this process may have. They are in memory
/// together with the tree that is made of them, which is no smaller, so a snapshot of more could not be
/// loaded either way; and one that lies about its size is given up before it has taken the machine down.
pub(super) fn unpacked_len_max() -> usize {
    let info = sysinfo();
    let machines = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    half(machines, &container)
}

/// `container` is a number of bytes, or anything else where there is no limit.
fn half(machines: u64, container: &str) -> usize {
    let memory = container.trim().parse().map_or(machines, |limit: u64| limit.min(machines));
    usize::try_from(memory / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_the_machine_and_the_container_counts() {
        for (container, expected) in [("", 500), ("max\n", 500), ("600\n", 300), ("2000\n", 500)] {
            assert_eq!(half(1000, container), expected, "{container:?}");
        }
    }

    #[test]
    fn this_machine_has_some_memory() {
        assert!(unpacked_len_max() > 16 << 20);
    }
}
