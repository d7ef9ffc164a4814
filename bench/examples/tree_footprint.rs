//! What a tree of many znodes costs: the time to load it from a snapshot, by phase, and the memory per
//! znode of the nodes and of each role's index.
//!
//!     cargo run --release -p ringkeeper-bench --example tree_footprint -- 1000000 5000000

#[path = "../benches/common/mod.rs"]
mod common;

use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::{CHILDREN, DATA, OPTIONS, create, parent_path};
use nix::time::{ClockId, clock_gettime};
use ringkeeper::runtime::Threads;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Sections, Snapshot, SnapshotWriter};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::DataTree;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, file] = &args[..]
        && flag == LOAD
    {
        return load(file);
    }
    println!("ms, ms of CPU, bytes per znode");
    println!("{:24} {:>15} {:>15} {:>15} {:>15} {:>15}", "tree", "build", "encode", "load", "clone", "clone");
    for count in args {
        let count: usize = count.parse()?;
        measure(&format!("{count} below one"), std::iter::once("/flat".into()), count)?;
        let parents = count / CHILDREN;
        let names = (0..parents).map(parent_path);
        measure(&format!("{parents} x {CHILDREN}"), names, CHILDREN)?;
    }
    Ok(())
}

/// Prints what each step took: ms, ms of CPU, and bytes of memory per znode.
fn measure(name: &str, parents: impl Iterator<Item = String>, children: usize) -> Result<()> {
    let mut meter = Meter::start()?;
    let mut tree = DataTree::new(OPTIONS);
    for parent in parents {
        create(&mut tree, &parent, &[]);
        for child in 0..children {
            create(&mut tree, &format!("{parent}/n{child:09}"), &DATA);
        }
    }
    meter.lap()?;
    let nodes = tree.node_count();
    let mut writer = SnapshotWriter::new(tree.freeze(), Sections::default());
    let mut bytes = Vec::with_capacity(writer.len_min() as usize);
    while writer.fill(&mut bytes, 1 << 20) {}
    meter.lap()?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), bytes)?;
    print!("{name:24}");
    meter.print(nodes);
    // What the first tree took and gave back would hide what the second takes.
    let status = Command::new(std::env::current_exe()?).arg(LOAD).arg(file.path()).status()?;
    anyhow::ensure!(status.success(), "loading failed: {status}");
    Ok(())
}

fn load(file: &str) -> Result<()> {
    let bytes = fs::read(file)?;
    let mut meter = Meter::start()?;
    let tree =
        Snapshot::decode(&bytes, Zxid(1 << 32), OPTIONS, &mut Interner::new(), &Threads::per_cpu())?.tree;
    meter.lap()?;
    let first = tree.clone();
    meter.lap()?;
    let second = tree.clone();
    meter.lap()?;
    meter.print(tree.node_count());
    println!();
    anyhow::ensure!(first.node_count() == second.node_count(), "nodes are missing");
    Ok(())
}

/// Time, CPU time of all threads, and growth of the resident memory in bytes.
struct Lap {
    wall: Duration,
    cpu: Duration,
    bytes: i64,
}

struct Meter {
    wall: Instant,
    cpu: Duration,
    resident: i64,
    laps: Vec<Lap>,
}

impl Meter {
    fn start() -> Result<Meter> {
        Ok(Meter { resident: resident()?, laps: Vec::new(), cpu: cpu()?, wall: Instant::now() })
    }

    fn lap(&mut self) -> Result<()> {
        let (wall, cpu, resident) = (self.wall.elapsed(), cpu()?, resident()?);
        self.laps.push(Lap { wall, cpu: cpu - self.cpu, bytes: resident - self.resident });
        (self.resident, self.cpu, self.wall) = (resident, cpu, Instant::now());
        Ok(())
    }

    fn print(&self, nodes: usize) {
        for Lap { wall, cpu, bytes } in &self.laps {
            let (wall, cpu) = (wall.as_secs_f64() * 1e3, cpu.as_secs_f64() * 1e3);
            print!(" {wall:5.0} {cpu:5.0} {:3.0}", *bytes as f64 / nodes as f64);
        }
        let _ = io::stdout().flush();
    }
}

fn cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// In bytes.
fn resident() -> Result<i64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = statm.split(' ').nth(1).context("statm has a second number")?.parse()?;
    Ok(pages * 4096)
}

const LOAD: &str = "--load";
