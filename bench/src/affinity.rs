//! Which CPUs a process may run on.

use std::fmt;
use std::process::{Child, Command};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Serialize, Serializer};

/// CPUs by number, written as taskset does: `0`, `0,2`, `1-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cpus(Vec<usize>);

impl Cpus {
    /// Keeps the calling thread on these CPUs, and with it every thread and process that it starts.
    pub(crate) fn pin_this_thread(&self) -> Result<()> {
        set_affinity(&self.set()?).with_context(|| format!("this process may not run on CPU {self}"))
    }

    /// Starts a process that stays on these CPUs, all its threads included.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        // A child inherits the affinity of the thread that starts it, so there is no moment in which it
        // runs, or counts the machine's CPUs, elsewhere.
        let own = sched_getaffinity(CALLING_THREAD)?;
        self.pin_this_thread()?;
        let child = command.spawn();
        set_affinity(&own)?;
        child.with_context(|| format!("cannot start {:?}", command.get_program()))
    }

    fn set(&self) -> Result<CpuSet> {
        let mut set = CpuSet::new();
        for &cpu in &self.0 {
            set.set(cpu).with_context(|| format!("CPU {cpu}: no system has so many"))?;
        }
        Ok(set)
    }
}

impl FromStr for Cpus {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Cpus> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.parse().with_context(|| format!("{first:?} is not a CPU's number"))?;
            let last: usize = last.parse().with_context(|| format!("{last:?} is not a CPU's number"))?;
            ensure!(first <= last && last < CpuSet::count(), "{part} is not a range of CPUs");
            cpus.extend(first..=last);
        }
        Ok(Cpus(cpus))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        out.write_str(&numbers.join(","))
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn set_affinity(set: &CpuSet) -> Result<()> {
    Ok(sched_setaffinity(CALLING_THREAD, set)?)
}

const CALLING_THREAD: Pid = Pid::from_raw(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_numbers_and_ranges() {
        assert_eq!("0".parse::<Cpus>().unwrap(), Cpus(vec![0]));
        assert_eq!("0,2-4".parse::<Cpus>().unwrap(), Cpus(vec![0, 2, 3, 4]));
        assert_eq!("0,2-3".parse::<Cpus>().unwrap().to_string(), "0,2,3");
        for bad in ["", "a", "1-", "3-1", "0-99999999", "-1"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_child_stays_where_it_was_started_and_the_parent_where_it_was() {
        let own = sched_getaffinity(CALLING_THREAD).unwrap();
        let cpu = (0..CpuSet::count()).find(|&cpu| own.is_set(cpu).unwrap()).unwrap();
        let mut child = Cpus(vec![cpu]).spawn(Command::new("sleep").arg("60")).unwrap();
        let theirs = sched_getaffinity(Pid::from_raw(child.id() as i32)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| theirs.is_set(cpu).unwrap()).collect();
        assert_eq!(allowed, [cpu]);
        assert_eq!(sched_getaffinity(CALLING_THREAD).unwrap(), own);
    }
}
