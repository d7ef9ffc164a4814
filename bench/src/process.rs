//! What the kernel knows about a process: CPU, switches, bytes written, memory (proc(5)).

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;

use crate::device::{Device, DeviceUse};

/// Reads the figures of processes, summed up, all their threads and kernel workers included.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    processes: Vec<Process>,
    device: Option<Device>,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    pid: Pid,
    clock: ClockId,
}

/// The counters at one moment. They only grow, except for memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    user_ticks: u64,
    system_ticks: u64,
    context_switches: u64,
    written_bytes: u64,
    resident_bytes: u64,
    device: Option<DeviceUse>,
}

/// What a process used between two samples.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    /// CPU time, user and kernel, exact.
    pub(crate) cpu_ns: u64,
    /// The part of it spent in the kernel, as far as the timer tick tells; `None` if it never ticked.
    pub(crate) kernel_share: Option<f64>,
    /// Context switches, voluntary or not, of threads that still live.
    pub(crate) context_switches: u64,
    /// Bytes handed to the storage layer.
    pub(crate) written_bytes: u64,
    /// Resident memory at the second sample.
    pub(crate) resident_bytes: u64,
    /// What reached the disk meanwhile, from whomever; `None` if nobody asked or the kernel does not tell.
    pub(crate) device: Option<DeviceUse>,
}

/// How much memory a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Resident, files that it has mapped included.
    pub(crate) resident_bytes: u64,
    /// The most that was resident at any time.
    pub(crate) peak_bytes: u64,
    /// Resident and backed by no file.
    pub(crate) anonymous_bytes: u64,
}

/// How long all CPUs of the machine were busy and idle, in ticks: since it started, or in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MachineCpu {
    busy: u64,
    idle: u64,
}

impl Probe {
    /// A probe of the process `pid`.
    pub(crate) fn new(pid: u32) -> Result<Probe> {
        Probe::of_all([pid])
    }

    /// A probe of several processes that are measured as one.
    pub(crate) fn of_all(pids: impl IntoIterator<Item = u32>) -> Result<Probe> {
        let processes: Result<Vec<Process>> = pids.into_iter().map(Process::new).collect();
        Ok(Probe { processes: processes?, device: None })
    }

    /// The same, with samples that include what reaches `device`.
    pub(crate) fn with_device(self, device: Option<Device>) -> Probe {
        Probe { device, ..self }
    }

    /// The CPU time used so far. One system call each: cheap enough for the edges of a measurement.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Everything else. Takes long enough to disturb whoever waits.
    pub(crate) fn sample(&self) -> Result<Sample> {
        let mut sum = Sample { device: self.device.as_ref().map(Device::now).transpose()?, ..Sample::ZERO };
        for process in &self.processes {
            process.add_to(&mut sum)?;
        }
        Ok(sum)
    }

    /// How much memory the processes hold.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut sum = Memory { resident_bytes: 0, peak_bytes: 0, anonymous_bytes: 0 };
        for process in &self.processes {
            let memory = process.memory()?;
            sum.resident_bytes += memory.resident_bytes;
            sum.peak_bytes += memory.peak_bytes;
            sum.anonymous_bytes += memory.anonymous_bytes;
        }
        Ok(sum)
    }
}

impl Process {
    fn new(pid: u32) -> Result<Process> {
        let pid = Pid::from_raw(pid as i32);
        let clock = clock_getcpuclockid(pid).with_context(|| format!("process {pid} has no CPU clock"))?;
        Ok(Process { pid, clock })
    }

    fn cpu(&self) -> Result<Duration> {
        Ok(clock_gettime(self.clock).context("a process under measurement is gone")?.into())
    }

    fn add_to(&self, sum: &mut Sample) -> Result<()> {
        let (user_ticks, system_ticks) =
            cpu_ticks(&self.read("stat")?).context("/proc/PID/stat is strange")?;
        let status = self.read("status")?;
        let resident_kib = field(&status, "VmRSS").context("/proc/PID/status names no VmRSS")?;
        let written_bytes =
            field(&self.read("io")?, "write_bytes").context("/proc/PID/io names no write_bytes")?;
        sum.user_ticks += user_ticks;
        sum.system_ticks += system_ticks;
        sum.context_switches += self.context_switches()?;
        sum.written_bytes += written_bytes;
        sum.resident_bytes += resident_kib * 1024;
        Ok(())
    }

    fn memory(&self) -> Result<Memory> {
        let status = self.read("status")?;
        let bytes = |name: &str| {
            let kib = field(&status, name).with_context(|| format!("/proc/PID/status names no {name}"))?;
            anyhow::Ok(kib * 1024)
        };
        Ok(Memory {
            resident_bytes: bytes("VmRSS")?,
            peak_bytes: bytes("VmHWM")?,
            anonymous_bytes: bytes("RssAnon")?,
        })
    }

    fn context_switches(&self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            match fs::read_to_string(task?.path().join("status")) {
                Ok(status) => sum += switches(&status),
                // A thread may end between the listing and the reading: then it has no figures any more.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
                Err(error) => return Err(error).context("cannot read a thread's status"),
            }
        }
        Ok(sum)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Sample {
    const ZERO: Sample = Sample {
        user_ticks: 0,
        system_ticks: 0,
        context_switches: 0,
        written_bytes: 0,
        resident_bytes: 0,
        device: None,
    };
}

impl Usage {
    /// The difference of two samples, with the CPU time that the caller took from [`Probe::cpu`].
    pub(crate) fn between(before: &Sample, after: &Sample, cpu: Duration) -> Usage {
        let user = after.user_ticks - before.user_ticks;
        let system = after.system_ticks - before.system_ticks;
        let ticks = user + system;
        Usage {
            cpu_ns: cpu.as_nanos() as u64,
            kernel_share: (ticks > 0).then(|| system as f64 / ticks as f64),
            context_switches: after.context_switches.saturating_sub(before.context_switches),
            written_bytes: after.written_bytes - before.written_bytes,
            resident_bytes: after.resident_bytes,
            device: after.device.zip(before.device).map(|(after, before)| after.since(before)),
        }
    }
}

impl MachineCpu {
    /// The counters since the machine started.
    pub(crate) fn now() -> Result<MachineCpu> {
        let stat = fs::read_to_string("/proc/stat")?;
        machine_ticks(&stat).context("/proc/stat is strange")
    }

    /// What was added since `before`.
    pub(crate) fn since(self, before: MachineCpu) -> MachineCpu {
        // The idle figure of a CPU may step back by a tick.
        let idle = self.idle.saturating_sub(before.idle);
        MachineCpu { busy: self.busy - before.busy, idle }
    }

    /// Which part of all CPUs' time was busy and is not accounted for by `known`.
    pub(crate) fn busy_beyond(self, known: Duration) -> f64 {
        let busy = self.busy as f64 - known.as_secs_f64() * TICKS_PER_SECOND;
        busy.max(0.0) / (self.busy + self.idle).max(1) as f64
    }
}

/// The `cpu` line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
fn machine_ticks(stat: &str) -> Option<MachineCpu> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|figure| figure.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    Some(MachineCpu { busy: user + nice + system + irq + softirq + steal, idle: idle + iowait })
}

/// utime and stime of /proc/PID/stat: the 12th and 13th field behind the program's name, which may itself
/// hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn switches(status: &str) -> u64 {
    ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
        .iter()
        .filter_map(|name| field(status, name))
        .sum()
}

/// The number behind `name:` in a file of one field a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// USER_HZ, which is part of the kernel's interface and the same everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_accounts_for_is_the_work_of_others() {
        let before = machine_ticks("cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let after = machine_ticks("cpu  40 10 20 200 40 3 2 5 0 0\n").unwrap();
        let between = after.since(before);
        assert_eq!(between, MachineCpu { busy: 60, idle: 140 });
        assert!((between.busy_beyond(Duration::from_millis(400)) - 0.1).abs() < 1e-9);
        assert_eq!(between.busy_beyond(Duration::from_secs(1)), 0.0);
        assert_eq!(machine_ticks("cpu  1 2 3\n"), None);
    }

    #[test]
    fn cpu_ticks_are_found_behind_any_program_name() {
        let tail = "S 1 2 3 0 -1 4194560 5000 0 7 0 1234 567 0 0 20 0 30 0 99";
        assert_eq!(cpu_ticks(&format!("42 (java) {tail}")), Some((1234, 567)));
        assert_eq!(cpu_ticks(&format!("42 (a) (b c) {tail}")), Some((1234, 567)));
        assert_eq!(cpu_ticks("42 (java) S 1"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn a_field_is_the_number_behind_its_whole_name() {
        let status = "Name:\tx\nVmHWM:\t  90 kB\nVmRSS:\t  80 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n";
        assert_eq!(field(status, "VmRSS"), Some(80));
        assert_eq!(field(status, "Vm"), None);
        assert_eq!(field(status, "Name"), None);
        assert_eq!(switches(status), 12);
        let io = "wchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 1\n";
        assert_eq!(field(io, "write_bytes"), Some(4096));
    }

    #[test]
    fn work_done_by_this_process_shows_in_its_own_samples() {
        let probe = Probe::new(std::process::id()).unwrap();
        let (before, cpu_before) = (probe.sample().unwrap(), probe.cpu().unwrap());
        let mut sum = 0u64;
        while probe.cpu().unwrap() < cpu_before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        let used = Usage::between(&before, &probe.sample().unwrap(), probe.cpu().unwrap() - cpu_before);
        assert!(used.cpu_ns >= 20_000_000);
        assert!(used.resident_bytes > 0);
        let memory = probe.memory().unwrap();
        assert!(memory.peak_bytes >= memory.resident_bytes);
        assert!(memory.resident_bytes > memory.anonymous_bytes && memory.anonymous_bytes > 0);
    }

    #[test]
    fn several_processes_are_measured_as_one() {
        let mut others = [(); 2].map(|()| std::process::Command::new("sleep").arg("60").spawn().unwrap());
        let pids: Vec<u32> = others.iter().map(std::process::Child::id).collect();
        let resident = |probe: &Probe| probe.memory().unwrap().resident_bytes;
        let each: Vec<Probe> = pids.iter().map(|pid| Probe::new(*pid).unwrap()).collect();
        let all = Probe::of_all(pids).unwrap();
        assert!(each.iter().all(|one| resident(one) > 0 && resident(one) < resident(&all)));
        assert!(all.sample().unwrap().resident_bytes >= each.iter().map(resident).max().unwrap());
        others.iter_mut().for_each(|other| {
            other.kill().unwrap();
            other.wait().unwrap();
        });
        assert!(all.cpu().is_err(), "one that is gone is missed");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(Probe::new(pid).and_then(|probe| probe.sample()).is_err());
    }
}
