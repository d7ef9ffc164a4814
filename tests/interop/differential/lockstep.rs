//! A run: the same steps on both servers, compared after each.

use std::fmt;
use std::io;

use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{Body, Request, Text, four_letter_word};

use super::side::{SUPER_DIGEST, Side, Transcript};
use super::step::{SLOTS, Step};

/// Two servers that have been told the same from an empty database on.
pub(crate) struct Pair {
    names: [&'static str; 2],
    sides: [Side; 2],
    _servers: [Server; 2],
}

/// Where two servers differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The index of the step, or what came after the last one.
    pub(crate) at: At,
    /// For each side its name and what was seen.
    pub(crate) seen: [(&'static str, Vec<String>); 2],
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum At {
    Step(usize),
    Ending(&'static str),
}

impl Pair {
    /// Starts both servers, as they must be set up for a comparison.
    pub(crate) fn start(names: [&'static str; 2], settings: [Settings; 2]) -> Pair {
        let servers = settings.map(|settings| comparable(settings).start());
        let sides = [0, 1]
            .map(|at| Side::new(servers[at].addr()).unwrap_or_else(|error| panic!("{}: {error}", names[at])));
        Pair { names, sides, _servers: servers }
    }

    /// Runs the steps below the node `root` and removes what they made.
    ///
    /// The first difference ends the run; the pair must not be used after it.
    pub(crate) fn run(&mut self, root: &str, steps: &[Step]) -> io::Result<Result<(), Difference>> {
        for (name, side) in self.names.iter().zip(&mut self.sides) {
            of(name, side.begin(root))?;
        }
        for (at, step) in steps.iter().enumerate() {
            self.sides.iter_mut().for_each(|side| side.start(step));
            self.sides.iter_mut().for_each(|side| side.finish(step));
            self.sides.iter_mut().for_each(|side| side.start_fence(step));
            let [left, right] = &mut self.sides;
            let (left, right) = (left.finish_fence(), right.finish_fence());
            let (left, right) = (of(self.names[0], left)?, of(self.names[1], right)?);
            if left != right {
                return Ok(Err(self.difference(At::Step(at), flat(left), flat(right))));
            }
        }
        self.compare_endings()
    }

    fn compare_endings(&mut self) -> io::Result<Result<(), Difference>> {
        let endings: [(&str, Ending); 4] = [
            ("the tree after the last step", dump),
            ("figures after the last step", figures),
            ("sessions being closed", Side::end_sessions),
            ("the tree being removed", remove_all),
        ];
        for (what, ending) in endings {
            let [left, right] = &mut self.sides;
            let (left, right) = (of(self.names[0], ending(left))?, of(self.names[1], ending(right))?);
            if left != right {
                return Ok(Err(self.difference(At::Ending(what), left, right)));
            }
        }
        Ok(Ok(()))
    }

    fn difference(&self, at: At, left: Vec<String>, right: Vec<String>) -> Difference {
        Difference { at, seen: [(self.names[0], left), (self.names[1], right)] }
    }
}

/// Has an error name the server that it is of.
fn of<T>(name: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

/// What is compared when all steps are done.
type Ending = fn(&mut Side) -> io::Result<Vec<String>>;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Step(at) => writeln!(f, "they differ at step {at}")?,
            At::Ending(what) => writeln!(f, "they differ in {what}")?,
        }
        let [(_, left), (_, right)] = &self.seen;
        for ((name, lines), others) in self.seen.iter().zip([right, left]) {
            writeln!(f, "  {name}:")?;
            for (at, line) in lines.iter().enumerate() {
                let mark = if others.get(at) == Some(line) { ' ' } else { '!' };
                writeln!(f, "  {mark} {line}")?;
            }
        }
        Ok(())
    }
}

/// Sessions must not end and nodes not be reaped while a run waits for a loaded machine.
fn comparable(settings: Settings) -> Settings {
    settings
        .config("minSessionTimeout", 60_000)
        .config("maxSessionTimeout", 120_000)
        .config("maxClientCnxns", 0)
        .property("zookeeper.extendedTypesEnabled", true)
        .property("zookeeper.enforceQuota", true)
        .property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .property("znode.container.checkIntervalMs", 86_400_000)
}

fn flat(transcript: Transcript) -> Vec<String> {
    transcript
        .into_iter()
        .flat_map(|(slot, lines)| {
            lines.into_iter().map(move |line| match slot {
                SLOTS => format!("control: {line}"),
                slot => format!("connection {slot}: {line}"),
            })
        })
        .collect()
}

/// All nodes: path, data, ACL, Stat and children.
fn dump(side: &mut Side) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut paths = vec![Text::from("/")];
    while let Some(path) = paths.pop() {
        let (_, data) = side.ask(&Request::GetData { path: path.clone(), watch: false })?;
        let (_, acl) = side.ask(&Request::GetAcl { path: path.clone() })?;
        lines.push(format!("{path:?} {data}"));
        lines.push(format!("{path:?} {acl}"));
        paths.extend(children(side, &path)?);
    }
    Ok(lines)
}

/// What the server counts of its tree and sessions.
fn figures(side: &mut Side) -> io::Result<Vec<String>> {
    let mntr = four_letter_word(side.server, "mntr")?;
    let value = |key: &&str| mntr.lines().find(|line| line.split('\t').next() == Some(key));
    Ok(FIGURES.iter().map(|key| value(key).unwrap_or(key).to_string()).collect())
}

fn remove_all(side: &mut Side) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    remove_below(side, &"/".into(), &mut lines)?;
    Ok(lines)
}

/// Deletes all nodes but the built-in ones, children before parents.
fn remove_below(side: &mut Side, path: &Text, lines: &mut Vec<String>) -> io::Result<()> {
    for child in children(side, path)? {
        remove_below(side, &child, lines)?;
        if !BUILT_IN.iter().any(|built_in| child == Text::from(*built_in)) {
            let (_, line) = side.ask(&Request::Delete { path: child.clone(), version: -1 })?;
            lines.push(format!("{child:?} {line}"));
        }
    }
    Ok(())
}

fn children(side: &mut Side, path: &Text) -> io::Result<Vec<Text>> {
    let (reply, line) = side.ask(&Request::GetChildren { path: path.clone(), watch: false })?;
    let Body::Children(mut names) = reply.body else {
        return Err(io::Error::other(format!("children of {path:?}: {line}")));
    };
    names.sort_unstable();
    let parent = path.bytes().filter(|path| *path != b"/").unwrap_or_default();
    let below = |name: Text| [parent, b"/", name.bytes().unwrap_or_default()].concat();
    Ok(names.into_iter().map(|name| Text::from_bytes(Some(below(name)))).collect())
}

const BUILT_IN: [&str; 3] = ["/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// Not zk_approximate_data_size: Java's drifts from the tree's until a restart, by what quotas rewrite and
/// by data of the root.
const FIGURES: [&str; 3] = ["zk_znode_count", "zk_ephemerals_count", "zk_global_sessions"];
