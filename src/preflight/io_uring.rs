use std::{fs, io};

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use thiserror::Error;

/// Why there is no io_uring to use.
#[derive(Debug, Error)]
pub enum IoUringError {
    /// The kernel has none.
    #[error(
        "this kernel (Linux {release}) has no io_uring: ringkeeper needs Linux 5.8 or newer, built with \
         CONFIG_IO_URING, and not an emulation of it such as gVisor or WSL 1"
    )]
    Missing {
        /// Which kernel it is.
        release: String,
    },
    /// The kernel's own switch is off for this process.
    #[error(
        "the kernel's setting kernel.io_uring_disabled={setting} forbids io_uring{}. \
         Change it with `sysctl -w kernel.io_uring_disabled=0`{}, and in /etc/sysctl.d to keep it",
        if *.setting == 1 { " to this user" } else { " to everybody" },
        if *.setting == 1 { ", or put the user into the group whose number is in kernel.io_uring_group" } else { "" }
    )]
    SwitchedOff {
        /// What the setting says: 1 allows a group, 2 nobody.
        setting: u8,
    },
    /// A filter on system calls, as containers have it.
    #[error(
        "a seccomp filter forbids io_uring, as the default profiles of Docker, Podman and Kubernetes do. Allow \
         io_uring_setup, io_uring_enter and io_uring_register in a profile of your own: `docker run \
         --security-opt seccomp=PROFILE.json`, in Kubernetes securityContext.seccompProfile of type Localhost, \
         under systemd `SystemCallFilter=@aio`"
    )]
    Filtered,
    /// Something else forbids it, such as a security module.
    #[error(
        "io_uring is forbidden to this process ({source}), neither by kernel.io_uring_disabled nor by seccomp: \
         see the rules of SELinux or AppArmor, and the kernel's log"
    )]
    Forbidden {
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel's is too old for the runtime.
    #[error("io_uring of this kernel (Linux {release}) lacks {missing}: ringkeeper needs Linux 5.8 or newer")]
    TooOld {
        /// Which kernel it is.
        release: String,
        /// The operations that it lacks.
        missing: String,
    },
    /// The memory that a ring takes may not be locked; kernels before 5.12 ask for that.
    #[error("there is no memory for io_uring ({source}): raise `ulimit -l`, which this kernel takes it from")]
    NoMemory {
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel says something else.
    #[error("io_uring cannot be used: {source}")]
    Unusable {
        /// What it says.
        source: io::Error,
    },
}

/// Makes a ring and looks at what it can do. The runtime itself would end the process without a word of
/// help.
pub(super) fn check() -> Result<(), IoUringError> {
    let ring = IoUring::new(RING_ENTRIES).map_err(|error| diagnose(error, Host::look))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    let missing: Vec<_> = OPERATIONS
        .iter()
        .filter(|(_, code)| probed.is_err() || !probe.is_supported(*code))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(IoUringError::TooOld { release: Host::look().release, missing: missing.join(", ") })
}

/// What the machine says about itself.
#[derive(Clone, Debug)]
struct Host {
    release: String,
    /// `kernel.io_uring_disabled`; kernels before 6.6 have no such switch.
    disabled: u8,
    filtered: bool,
}

impl Host {
    fn look() -> Host {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Host {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            disabled: disabled.trim().parse().unwrap_or(0),
            filtered: seccomp_mode(&status) == Some(SECCOMP_FILTER),
        }
    }

    fn had_io_uring_since_long(&self) -> bool {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= FIRST_RELEASE,
            _ => false,
        }
    }
}

/// Why a ring could not be made. A filter may say EPERM or, as if the call did not exist, ENOSYS.
fn diagnose(source: io::Error, look: impl Fn() -> Host) -> IoUringError {
    let errno = source.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => {}
        Some(Errno::NOMEM) => return IoUringError::NoMemory { source },
        _ => return IoUringError::Unusable { source },
    }
    let host = look();
    let absent = errno == Some(Errno::NOSYS);
    match host {
        Host { disabled: setting @ 1.., .. } if !absent => IoUringError::SwitchedOff { setting },
        Host { filtered: true, .. } if !absent || host.had_io_uring_since_long() => IoUringError::Filtered,
        Host { release, .. } if absent => IoUringError::Missing { release },
        _ => IoUringError::Forbidden { source },
    }
}

fn seccomp_mode(status: &str) -> Option<u8> {
    let line = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?;
    line.trim().parse().ok()
}

const RING_ENTRIES: u32 = 4;
/// The value of `Seccomp:` in /proc/self/status where a filter decides.
const SECCOMP_FILTER: u8 = 2;
/// What the runtime needs exists since 5.8, where io_uring is 5.1's.
const FIRST_RELEASE: (u32, u32) = (5, 8);

/// What the runtime asks of a ring.
const OPERATIONS: &[(&str, u8)] = &[
    ("NOP", opcode::Nop::CODE),
    ("READV", opcode::Readv::CODE),
    ("WRITEV", opcode::Writev::CODE),
    ("FSYNC", opcode::Fsync::CODE),
    ("READ_FIXED", opcode::ReadFixed::CODE),
    ("WRITE_FIXED", opcode::WriteFixed::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("POLL_REMOVE", opcode::PollRemove::CODE),
    ("SENDMSG", opcode::SendMsg::CODE),
    ("RECVMSG", opcode::RecvMsg::CODE),
    ("TIMEOUT", opcode::Timeout::CODE),
    ("TIMEOUT_REMOVE", opcode::TimeoutRemove::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("LINK_TIMEOUT", opcode::LinkTimeout::CODE),
    ("CONNECT", opcode::Connect::CODE),
    ("FALLOCATE", opcode::Fallocate::CODE),
    ("OPENAT", opcode::OpenAt::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("STATX", opcode::Statx::CODE),
    ("READ", opcode::Read::CODE),
    ("WRITE", opcode::Write::CODE),
    ("SEND", opcode::Send::CODE),
    ("RECV", opcode::Recv::CODE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_change() {
        let host = |release: &str, disabled, filtered| Host { release: release.into(), disabled, filtered };
        let table = [
            (Errno::NOSYS, host("4.19.0-9-amd64", 0, false), "(Linux 4.19.0-9-amd64) has no io_uring"),
            (Errno::NOSYS, host("4.19.0-9-amd64", 0, true), "has no io_uring"),
            (Errno::NOSYS, host("6.1.0", 0, true), "a seccomp filter forbids io_uring"),
            (Errno::PERM, host("6.1.0", 0, true), "--security-opt seccomp="),
            (
                Errno::PERM,
                host("6.8.0", 2, false),
                "kernel.io_uring_disabled=2 forbids io_uring to everybody",
            ),
            (Errno::PERM, host("6.8.0", 1, true), "kernel.io_uring_group"),
            (Errno::ACCESS, host("6.8.0", 0, false), "SELinux or AppArmor"),
            (Errno::NOMEM, host("5.10.0", 0, false), "ulimit -l"),
            (Errno::MFILE, host("6.8.0", 0, false), "cannot be used: "),
        ];
        for (errno, host, expected) in table {
            let text = diagnose(errno.into(), || host.clone()).to_string();
            assert!(text.contains(expected), "{errno:?} on {host:?}: {text}");
        }
    }

    #[test]
    fn the_mode_of_seccomp_is_read_from_the_process_s_status() {
        assert_eq!(seccomp_mode("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"), Some(2));
        assert_eq!(seccomp_mode("Name:\tx\n"), None);
    }
}
