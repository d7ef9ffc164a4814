use std::collections::BTreeMap;
use std::sync::Mutex;

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

/// What clients did, in the order in which they began and learnt it, by znode.
#[derive(Default)]
pub(crate) struct Histories {
    by_path: Mutex<BTreeMap<String, Vec<Event>>>,
}

/// What is done to a znode, each write with a value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Create {
        value: u64,
    },
    Set {
        value: u64,
        expected: i32,
    },
    /// A sync and a getData.
    Get,
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The write has made this version.
    Written {
        version: i32,
    },
    Found {
        version: i32,
        value: u64,
    },
    NoNode,
    NodeExists,
    BadVersion,
    /// Nothing: it may have happened, may happen yet, or never will.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Call(Op),
    /// Of the event at this position.
    Return(usize, Outcome),
}

impl Histories {
    /// An operation begins; `run` says how it ended.
    pub(crate) fn record(&self, path: &str, op: Op, run: impl FnOnce() -> Outcome) -> Outcome {
        let call = self.push(path, Event::Call(op));
        let outcome = run();
        if outcome != Outcome::Unknown {
            self.push(path, Event::Return(call, outcome));
        }
        outcome
    }

    /// All znodes that anything was done to.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.by_path.lock().expect("nobody panics with it").keys().cloned().collect()
    }

    /// How many operations were begun, and of how many nothing was learnt.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let by_path = self.by_path.lock().expect("nobody panics with it");
        let events = || by_path.values().flatten();
        let calls = events().filter(|event| matches!(event, Event::Call(_))).count();
        (calls, 2 * calls - events().count())
    }

    /// # Panics
    /// When the history of a znode is not that of one register.
    pub(crate) fn assert_linearizable(&self) {
        for (path, events) in &*self.by_path.lock().expect("nobody panics with it") {
            assert!(is_linearizable(events), "{path} is not linearizable:\n{}", picture(events));
        }
    }

    fn push(&self, path: &str, event: Event) -> usize {
        let mut by_path = self.by_path.lock().expect("nobody panics with it");
        let events = by_path.entry(path.to_owned()).or_default();
        events.push(event);
        events.len() - 1
    }
}

fn is_linearizable(events: &[Event]) -> bool {
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    for event in events {
        if let Event::Return(call, outcome) = event {
            outcomes.insert(*call, *outcome);
        }
    }
    let mut actions = Vec::with_capacity(2 * events.len());
    let mut pending = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Call(op) => {
                let step = Step(*op, outcomes.get(&at).copied().unwrap_or(Outcome::Unknown));
                match (step.1, op) {
                    (Outcome::Unknown, Op::Get) => continue,
                    (Outcome::Unknown, _) => pending.push((at, Action::Response(step))),
                    _ => {}
                }
                actions.push((at, Action::Call(step)));
            }
            Event::Return(call, outcome) => {
                let Event::Call(op) = events[*call] else { continue };
                actions.push((*call, Action::Response(Step(op, *outcome))));
            }
        }
    }
    // What was never answered may take effect at any time, also after all else.
    actions.append(&mut pending);
    actions.is_empty() || WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
}

/// A znode with versioned data.
struct Register;

#[derive(Clone, Copy, Debug)]
struct Step(Op, Outcome);

impl Specification for Register {
    /// Version and value, if the znode exists.
    type State = Option<(i32, u64)>;
    type Operation = Step;

    fn init() -> Self::State {
        None
    }

    fn apply(Step(op, outcome): &Step, state: &Self::State) -> (bool, Self::State) {
        let (told, next) = match (*op, *state) {
            (Op::Create { value }, None) => (Outcome::Written { version: 0 }, Some((0, value))),
            (Op::Create { .. }, Some(_)) => (Outcome::NodeExists, *state),
            (_, None) => (Outcome::NoNode, None),
            (Op::Get, Some((version, value))) => (Outcome::Found { version, value }, *state),
            (Op::Set { expected, .. }, Some((version, _))) if expected != -1 && expected != version => {
                (Outcome::BadVersion, *state)
            }
            (Op::Set { value, .. }, Some((version, _))) => {
                (Outcome::Written { version: version + 1 }, Some((version + 1, value)))
            }
        };
        (*outcome == told || *outcome == Outcome::Unknown, next)
    }
}

fn picture(events: &[Event]) -> String {
    let line = |(at, event): (usize, &Event)| match event {
        Event::Call(op) => format!("{at}: {op:?}\n"),
        Event::Return(call, outcome) => format!("{at}: {call} -> {outcome:?}\n"),
    };
    events.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: [Event; 2] =
        [Event::Call(Op::Create { value: 1 }), Event::Return(0, Outcome::Written { version: 0 })];
    const SET: Event = Event::Call(Op::Set { value: 2, expected: -1 });
    const GET: Event = Event::Call(Op::Get);
    const OLD: Outcome = Outcome::Found { version: 0, value: 1 };
    const NEW: Outcome = Outcome::Found { version: 1, value: 2 };

    #[test]
    fn a_write_that_was_acknowledged_and_is_not_read_is_lost() {
        let written = Event::Return(2, Outcome::Written { version: 1 });
        let read = |found| [CREATED.as_slice(), &[SET, written, GET, Event::Return(4, found)]].concat();
        assert!(is_linearizable(&read(NEW)));
        assert!(!is_linearizable(&read(OLD)));
    }

    #[test]
    fn a_write_that_was_not_answered_may_be_seen_late_and_not_come_and_go() {
        let reads = |found: [Outcome; 3]| {
            let read = |(at, found)| [GET, Event::Return(3 + 2 * at, found)];
            let reads: Vec<Event> = found.into_iter().enumerate().flat_map(read).collect();
            [CREATED.as_slice(), &[SET], &reads].concat()
        };
        assert!(is_linearizable(&reads([OLD, OLD, NEW])));
        assert!(is_linearizable(&reads([OLD, OLD, OLD])));
        assert!(!is_linearizable(&reads([OLD, NEW, OLD])));
    }
}
