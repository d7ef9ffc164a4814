//! What a load asks for, and the workloads that others published, by name.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer};

/// How the operator chooses a workload: a published one, and what is to differ from it.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Choice {
    /// A published workload or one for many clients at once; what else is given changes it
    #[arg(long, value_enum)]
    pub(crate) workload: Option<Named>,
    /// Operations with their weights, such as get=90,set=10: get, exists, children, set, create, ephemeral,
    /// sequential, churn (create, then delete), delete (of what was created), multi, sync-get
    #[arg(long)]
    pub(crate) mix: Option<Mix>,
    /// Shorthand for a mix of get and set: the part of reads, from 0 to 1
    #[arg(long, conflicts_with = "mix")]
    pub(crate) read_ratio: Option<f64>,
    /// Connections, or clients of a scenario
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(crate) connections: Option<u32>,
    /// Closed loop: operations in flight on each connection
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) outstanding: Option<u32>,
    /// Open loop: operations a second, all connections together
    #[arg(long, conflicts_with = "outstanding", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub(crate) rate: Option<u32>,
    /// Znodes that are read and set
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) nodes: Option<u32>,
    /// Levels of the tree below the load's own parent
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) depth: Option<u32>,
    /// Bytes of data in each znode
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub(crate) data_len: Option<u32>,
    /// Length that paths are filled up to
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=4096))]
    pub(crate) path_len: Option<u32>,
    /// Which znodes are asked for: uniform, or zipf:1.0 with any exponent
    #[arg(long)]
    pub(crate) skew: Option<Skew>,
    /// Children of the znode that `children` lists
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=10_000_000))]
    pub(crate) children: Option<u32>,
    /// Sets in a multi
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) multi_size: Option<u32>,
}

/// A workload with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Named {
    /// USENIX ATC'10, 5.1: reads of 1 KB, 250 clients with 100 requests in flight each
    Atc10Read,
    /// The same with writes
    Atc10Write,
    /// The same with seven reads to three writes
    Atc10Mixed,
    /// USENIX ATC'10, 5.2: each of 20 workers creates a znode of 1 KB, waits, deletes it, and so on
    Atc10CreateDelete,
    /// RaftKeeper's benchmark: creates of 100 bytes
    RaftkeeperCreate,
    /// RaftKeeper's benchmark: create 1 %, set 8 %, get 45 %, list 45 %, delete 1 %
    RaftkeeperMixed,
    /// etcd's dbtester: keys of 256 bytes, values of 1 KB, 1000 clients, as fast as they can
    DbtesterSaturating,
    /// The same at 10 000 a second
    DbtesterPaced,
    /// Watches of one znode by all clients, and one write: how long until each knows
    Herd,
    /// Handshakes of all clients at once
    Storm,
    /// A lock that all clients want, as ZooKeeper's recipe has it
    Locks,
    /// A barrier that all clients enter
    Barrier,
}

/// Many clients that act at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Scenario {
    Herd,
    Storm,
    Locks,
    Barrier,
}

/// An operation of a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Exists,
    Children,
    Set,
    Create,
    Ephemeral,
    Sequential,
    Churn,
    Delete,
    Multi,
    SyncGet,
}

/// Operations with their weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Kind, u32)>);

/// How znodes are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Skew {
    Uniform,
    Zipf(f64),
}

/// A workload in full.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) scenario: Option<Scenario>,
    pub(crate) mix: Vec<(Kind, u32)>,
    pub(crate) connections: usize,
    pub(crate) outstanding: usize,
    /// `None`: a closed loop.
    pub(crate) rate: Option<u32>,
    pub(crate) nodes: u32,
    pub(crate) depth: u32,
    pub(crate) data_len: usize,
    pub(crate) path_len: usize,
    pub(crate) skew: Skew,
    pub(crate) children: u32,
    pub(crate) multi_size: u32,
}

impl Choice {
    /// What is to run.
    pub(crate) fn resolve(&self) -> Result<Workload> {
        let mut workload = self.workload.map_or_else(Workload::plain, Named::workload);
        if let Some(Mix(mix)) = &self.mix {
            workload.mix.clone_from(mix);
            workload.name = self.workload.map_or_else(|| "mix".to_owned(), |_| workload.name);
        }
        if let Some(ratio) = self.read_ratio {
            ensure!((0.0..=1.0).contains(&ratio), "a ratio of reads is from 0 to 1");
            let reads = (ratio * 1000.0).round() as u32;
            workload.mix = vec![(Kind::Get, reads), (Kind::Set, 1000 - reads)];
            workload.mix.retain(|(_, weight)| *weight > 0);
        }
        let set = |field: &mut usize, value: Option<u32>| {
            if let Some(value) = value {
                *field = value as usize;
            }
        };
        set(&mut workload.connections, self.connections);
        set(&mut workload.outstanding, self.outstanding);
        set(&mut workload.data_len, self.data_len);
        set(&mut workload.path_len, self.path_len);
        if self.outstanding.is_some() {
            workload.rate = None;
        }
        workload.rate = self.rate.or(workload.rate);
        workload.nodes = self.nodes.unwrap_or(workload.nodes);
        workload.depth = self.depth.unwrap_or(workload.depth);
        workload.skew = self.skew.unwrap_or(workload.skew);
        workload.children = self.children.unwrap_or(workload.children);
        workload.multi_size = self.multi_size.unwrap_or(workload.multi_size);
        ensure!(
            workload.scenario.is_none() || (self.mix.is_none() && self.rate.is_none()),
            "{} has no operations or rate to choose",
            workload.name
        );
        ensure!(
            workload.multi_size as usize * (workload.data_len + 100) <= REQUEST_LEN_MAX,
            "a multi of {} sets is longer than a server takes: a megabyte",
            workload.multi_size
        );
        Ok(workload)
    }
}

impl Workload {
    pub(super) fn plain() -> Workload {
        Workload {
            name: "get-set".to_owned(),
            scenario: None,
            mix: vec![(Kind::Get, 90), (Kind::Set, 10)],
            connections: 16,
            outstanding: 1,
            rate: None,
            nodes: 1000,
            depth: 1,
            data_len: 100,
            path_len: 0,
            skew: Skew::Uniform,
            children: 100,
            multi_size: 10,
        }
    }
}

impl Named {
    fn workload(self) -> Workload {
        let plain = Workload { name: self.name(), ..Workload::plain() };
        let atc = |mix: Vec<(Kind, u32)>| Workload {
            mix,
            connections: 250,
            outstanding: 100,
            data_len: 1024,
            ..plain.clone()
        };
        let dbtester = |rate| Workload {
            mix: vec![(Kind::Create, 1)],
            connections: 1000,
            data_len: 1024,
            path_len: 256,
            rate,
            ..plain.clone()
        };
        let scenario = |scenario, connections| Workload {
            scenario: Some(scenario),
            mix: Vec::new(),
            connections,
            ..plain.clone()
        };
        match self {
            Named::Atc10Read => atc(vec![(Kind::Get, 1)]),
            Named::Atc10Write => atc(vec![(Kind::Set, 1)]),
            Named::Atc10Mixed => atc(vec![(Kind::Get, 70), (Kind::Set, 30)]),
            Named::Atc10CreateDelete => {
                Workload { connections: 20, outstanding: 1, ..atc(vec![(Kind::Churn, 1)]) }
            }
            Named::RaftkeeperCreate => {
                Workload { mix: vec![(Kind::Create, 1)], connections: 100, outstanding: 1, ..plain }
            }
            Named::RaftkeeperMixed => Workload {
                mix: vec![
                    (Kind::Create, 1),
                    (Kind::Set, 8),
                    (Kind::Get, 45),
                    (Kind::Children, 45),
                    (Kind::Delete, 1),
                ],
                connections: 100,
                outstanding: 1,
                ..plain
            },
            Named::DbtesterSaturating => dbtester(None),
            Named::DbtesterPaced => dbtester(Some(10_000)),
            Named::Herd => scenario(Scenario::Herd, 1000),
            Named::Storm => scenario(Scenario::Storm, 1000),
            Named::Locks => scenario(Scenario::Locks, 20),
            Named::Barrier => scenario(Scenario::Barrier, 100),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.name)?;
        if self.scenario.is_some() {
            return write!(out, "{} clients", self.connections);
        }
        let sum: u32 = self.mix.iter().map(|(_, weight)| weight).sum();
        for (kind, weight) in &self.mix {
            write!(out, "{kind} {:.0} %, ", 100.0 * f64::from(*weight) / f64::from(sum))?;
        }
        match self.rate {
            Some(rate) => write!(out, "{rate}/s over {} connections", self.connections)?,
            None => write!(out, "{}x{}", self.connections, self.outstanding)?,
        }
        write!(out, "; {} znodes of {} bytes, depth {}, {}", self.nodes, self.data_len, self.depth, self.skew)
    }
}

impl Kind {
    const ALL: [(Kind, &'static str); 11] = [
        (Kind::Get, "get"),
        (Kind::Exists, "exists"),
        (Kind::Children, "children"),
        (Kind::Set, "set"),
        (Kind::Create, "create"),
        (Kind::Ephemeral, "ephemeral"),
        (Kind::Sequential, "sequential"),
        (Kind::Churn, "churn"),
        (Kind::Delete, "delete"),
        (Kind::Multi, "multi"),
        (Kind::SyncGet, "sync-get"),
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(Kind::ALL.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Mix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mix> {
        let mut mix: Vec<(Kind, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let found = Kind::ALL.iter().find(|(_, known)| *known == name);
            let Some(&(kind, _)) = found else {
                let names: Vec<&str> = Kind::ALL.iter().map(|(_, name)| *name).collect();
                bail!("{name:?} is none of {}", names.join(", "));
            };
            let weight: u32 = weight.parse().with_context(|| format!("{weight:?} is not a weight"))?;
            ensure!((1..=1_000_000).contains(&weight), "a weight is from 1 to a million");
            ensure!(mix.iter().all(|(known, _)| *known != kind), "{name} is there twice");
            mix.push((kind, weight));
        }
        Ok(Mix(mix))
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(kind, weight)| format!("{kind}={weight}")))
    }
}

impl FromStr for Skew {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Skew> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Skew::Uniform),
            Some(("zipf", exponent)) => {
                let exponent: f64 = exponent.parse().context("zipf's exponent: not a number")?;
                ensure!((0.0..=10.0).contains(&exponent), "zipf's exponent is from 0 to 10");
                Ok(Skew::Zipf(exponent))
            }
            _ => bail!("uniform, or zipf:1.0"),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skew::Uniform => out.write_str("uniform"),
            Skew::Zipf(exponent) => write!(out, "zipf:{exponent}"),
        }
    }
}

impl Serialize for Skew {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of jute.maxbuffer, less than which a request must be.
const REQUEST_LEN_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        choice: Choice,
    }

    fn resolve(line: &str) -> Result<Workload> {
        Line::try_parse_from(["load"].into_iter().chain(line.split_whitespace()))?.choice.resolve()
    }

    #[test]
    fn a_published_workload_is_changed_by_what_is_given_besides() {
        let workload = resolve("--workload raftkeeper-mixed --connections 3 --data-len 50").unwrap();
        assert_eq!((workload.connections, workload.data_len, workload.mix.len()), (3, 50, 5));
        let paced = resolve("--workload dbtester-paced").unwrap();
        assert_eq!((paced.rate, paced.path_len), (Some(10_000), 256));
        assert_eq!(resolve("--workload dbtester-paced --outstanding 4").unwrap().rate, None);
        assert_eq!(resolve("--read-ratio 1").unwrap().mix, [(Kind::Get, 1000)]);
        assert_eq!(resolve("--mix set").unwrap().mix, [(Kind::Set, 1)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--mix fly=1",
            "--mix get=0",
            "--mix get,get",
            "--read-ratio 2",
            "--skew zipf",
            "--rate 5 --outstanding 3",
            "--workload herd --rate 5",
            "--mix multi --multi-size 1000 --data-len 100000",
        ] {
            assert!(resolve(line).is_err(), "{line}");
        }
    }
}
