//! Real ZooKeeper and ringkeeper are told the same, step by step, and must do the same.
//!
//! A seed makes a list of [`step::Step`]s over four connections: requests good and bad, whole and broken,
//! with watches, moves of sessions and drops. Both servers start empty and get each step at the same time;
//! after its reply a fence on every connection collects all events. Everything is compared: error codes,
//! zxids, Stats, data, ACLs, events and their place among the replies, closes, and in the end the whole
//! tree and the figures about it.
//!
//! What may differ, each with its reason:
//!
//! | what | compared instead | why |
//! |---|---|---|
//! | session ids | the order of their grant, the server's id in the top byte | a server makes them from its clock |
//! | passwords | that they derive from the id | they do derive from the id |
//! | ctime, mtime | that they lie in the time in which their zxid was given out ([`clock::Ledger`]) | two clock readings |
//! | order of children, ephemerals, identities | as sets | the protocol says "arbitrary", Java's is that of its hash |
//! | order of events of one closeSession | as a set | the ephemerals are deleted in hash order |
//! | how many U+FFFD stand for malformed UTF-8 in an echoed path | that there are some | decoders differ |
//! | a body behind the error of a multiRead that holds a write | that it is an empty list of results, or none | Java's list was begun when the error came up |
//! | order of digest ACL entries with the same permissions side by side | as sets | `auth` becomes them from a set |
//!
//! `DIFF_SEEDS=from..to` runs other seeds, `DIFF_REPORTS=n` goes on to the n-th difference, `DIFF_PEER=java` puts a second Java server in ringkeeper's place:
//! the proof that what is compared is no accident of one run.

mod arbitrary;
mod clock;
mod generate;
mod lockstep;
mod observe;
mod shrink;
mod side;
mod step;

use std::env;
use std::fmt::Write as _;
use std::ops::Range;

use ringkeeper_kit::java;
use ringkeeper_kit::server::Settings;

use self::lockstep::{Difference, Pair};
use self::step::Step;
use crate::ringkeeper_server;

#[test]
fn java_and_ringkeeper_do_the_same_on_one_core() {
    compare(ringkeeper_server().config("ringkeeper.layout", "single"), seeds(0..200));
}

#[test]
fn java_and_ringkeeper_do_the_same_with_roles_on_cores_of_their_own() {
    let split = ringkeeper_server().config("ringkeeper.layout", "split").config("ringkeeper.shards", 2);
    compare(split, seeds(1000..1040));
}

fn compare(peer: Settings, seeds: Range<u64>) {
    let (name, peer) = match env::var("DIFF_PEER").as_deref() {
        Ok("java") => ("the other java", java::server()),
        Ok(other) => panic!("DIFF_PEER={other}: the only peer that can be named is java"),
        Err(_) => ("ringkeeper", peer),
    };
    let start = || Pair::start(["java", name], [java::server(), peer.clone()]);
    let mut pair = start();
    let mut reports = Vec::new();
    let reports_max = env::var("DIFF_REPORTS").map_or(REPORTS_MAX, |text| {
        text.parse().unwrap_or_else(|_| panic!("DIFF_REPORTS={text}: expected a number"))
    });
    for seed in seeds {
        let steps = generate::steps(seed);
        let Some(difference) = run(&mut pair, seed, &steps) else { continue };
        reports.push(explain(seed, steps, difference, start));
        if reports.len() >= reports_max {
            break;
        }
        pair = start();
    }
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
}

fn run(pair: &mut Pair, seed: u64, steps: &[Step]) -> Option<Difference> {
    pair.run(&generate::root(seed), steps)
        .unwrap_or_else(|error| panic!("seed {seed}: a server failed the test's own connection: {error}"))
        .err()
}

/// A report of the difference, with as few steps as show it on servers just started.
fn explain(seed: u64, mut steps: Vec<Step>, mut shown: Difference, start: impl Fn() -> Pair) -> String {
    let mut pair = Some(start());
    let mut differs = |fewer: &[Step]| {
        let difference = run(pair.get_or_insert_with(&start), seed, fewer);
        if let Some(difference) = &difference {
            // One pair's databases are not alike any more: the next trial needs another.
            pair = None;
            shown = difference.clone();
        }
        difference.is_some()
    };
    let again = differs(&steps);
    if again {
        steps = shrink::shrink(steps, SHRINK_TRIALS, differs);
    }
    let mut report = format!("seed {seed}: {}", shorten(&shown.to_string()));
    let how =
        if again { "steps, as few as show it" } else { "steps (not shown again by servers just started)" };
    let _ = write!(report, "  {how}:");
    for (at, step) in steps.iter().enumerate() {
        let action = shorten(&format!("{:?}", step.action));
        let _ = write!(report, "\n  {at:3} connection {}: {action}", step.slot);
    }
    report
}

/// The text with long words (data, long paths) cut.
fn shorten(text: &str) -> String {
    let shortened = |word: &str| match word.char_indices().nth(WORD_SHOWN_MAX) {
        // It ends with what it was split at, unless it is the last.
        Some((end, _)) => {
            format!("{}…({} bytes){}", &word[..end], word.len(), word.chars().last().unwrap_or(' '))
        }
        None => word.to_string(),
    };
    text.split_inclusive([' ', '"', '\n']).map(shortened).collect()
}

/// The seeds to run: those of `DIFF_SEEDS`, or these.
fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = env::var("DIFF_SEEDS") else { return default };
    let parsed = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.unwrap_or_else(|| panic!("DIFF_SEEDS={text}: expected from..to, such as 0..1000"))
}

const WORD_SHOWN_MAX: usize = 100;

/// Differences told in one run of the test; a server that is wrong once is wrong often.
const REPORTS_MAX: usize = 4;

/// Each trial that differs costs the start of a JVM.
const SHRINK_TRIALS: usize = 120;
