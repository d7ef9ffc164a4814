//! What a run is like: who takes part, how fast things are, and what may go wrong.

use std::sync::Arc;

use ringkeeper_core::member::ROLLOVER_AT;
use ringkeeper_core::quorum::QuorumVerifier;
use ringkeeper_core::session::NewSessions;

use crate::mischief::Mischief;
use crate::server::first_servers;

#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) voters: usize,
    pub(crate) observers: usize,
    /// Groups of voters, each voter with its weight; none if most of them decide.
    pub(crate) groups: &'static [Group],
    /// Whether servers are started only when somebody does it.
    pub(crate) are_asleep: bool,
    /// Whether each server has a wildcard for its own address.
    pub(crate) have_wildcards: bool,
    pub(crate) shards: usize,
    pub(crate) clients: usize,
    /// Whether clients change servers, leave for longer than their sessions last, and close them.
    pub(crate) are_restless: bool,
    /// Whether servers without a leader serve reads, and followers bring observers up to date.
    pub(crate) read_only: bool,
    pub(crate) has_masters: bool,
    /// How many transactions a server keeps in memory for its learners.
    pub(crate) history_count: usize,
    pub(crate) rollover_at: u32,
    /// Whether sessions are their server's own at first (`localSessionsEnabled`).
    pub(crate) new_sessions: NewSessions,
    /// Whether a server without a database may vote (`db.autocreate`).
    pub(crate) autocreate: bool,
    pub(crate) confirm_syncs: bool,
    /// How much a clock's rate may be off, in millionths.
    pub(crate) drift_ppm_max: u64,
    /// How long a segment travels, in microseconds.
    pub(crate) latency_us: (u64, u64),
    /// One in so many segments takes twenty times as long.
    pub(crate) laggards: u64,
    /// How long a write of the log takes at most, in microseconds.
    pub(crate) write_us_max: u64,
    /// How long a turn of the commit role takes at most, in microseconds: what comes meanwhile belongs to it.
    pub(crate) turn_us_max: u64,
    /// Whether a server may be told of another leader than was elected: whatever elections come to, nothing may be lost.
    pub(crate) bad_elections: bool,
    /// Whether clients change who the servers are.
    pub(crate) reconfigs: bool,
    pub(crate) faults: Vec<Fault>,
    /// The time between faults at most, in milliseconds.
    pub(crate) pause_ms_max: u64,
    /// How long things go wrong, in milliseconds.
    pub(crate) trouble_ms: u64,
    pub(crate) mischief: Mischief,
}

/// Voters that are in a group, each with its weight.
pub(crate) type Group = &'static [(usize, i64)];

/// What may go wrong, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process is killed; its machine tells everybody who is connected.
    Kill,
    /// A machine loses its power; nobody is told.
    PowerLoss,
    /// All servers at once.
    KillAll,
    /// A process does nothing for a while.
    Stop,
    /// Connections end, for one side earlier than for the other.
    Break,
    /// One direction between two servers carries nothing, on one port or on all.
    OneWay,
    /// The servers fall into two parts.
    Partition,
    /// The leader is alone.
    Isolate,
    /// The leader is alone, and its followers know it long before it does.
    Depose,
    /// A client and a server do not reach each other.
    CutOff,
    /// What was blocked is not any more.
    Heal,
    /// A disk takes long for a while.
    SlowDisk,
    /// A disk is full for a while.
    FullDisk,
    /// A server loses its disk, if a quorum of others has all that it had, or if it may not vote without one and a
    /// quorum of others may.
    Wipe,
    /// A wall clock is set.
    WallJump,
    /// A snapshot is written.
    Snapshot,
}

impl Fault {
    pub(crate) const ALL: [Fault; 16] = [
        Fault::Kill,
        Fault::PowerLoss,
        Fault::KillAll,
        Fault::Stop,
        Fault::Break,
        Fault::OneWay,
        Fault::Partition,
        Fault::Isolate,
        Fault::Depose,
        Fault::CutOff,
        Fault::Heal,
        Fault::SlowDisk,
        Fault::FullDisk,
        Fault::Wipe,
        Fault::WallJump,
        Fault::Snapshot,
    ];
}

impl Setup {
    /// An ensemble with nothing special and no faults.
    pub(crate) fn calm(voters: usize, observers: usize) -> Setup {
        Setup {
            voters,
            observers,
            groups: &[],
            are_asleep: false,
            have_wildcards: false,
            shards: 1,
            clients: 3,
            are_restless: false,
            read_only: false,
            has_masters: false,
            history_count: 500,
            rollover_at: ROLLOVER_AT,
            new_sessions: NewSessions::Global,
            autocreate: true,
            confirm_syncs: true,
            drift_ppm_max: 1000,
            latency_us: (200, 1500),
            laggards: 50,
            write_us_max: 8000,
            turn_us_max: 300,
            bad_elections: false,
            reconfigs: false,
            faults: Vec::new(),
            pause_ms_max: 500,
            trouble_ms: 5000,
            mischief: Mischief::None,
        }
    }

    /// What a seed makes of it.
    pub(crate) fn of(rng: &mut fastrand::Rng) -> Setup {
        let (voters, observers, groups) = *rng.choice(&SHAPES).expect("some");
        let mut faults = Vec::new();
        while faults.is_empty() {
            let share = rng.u32(1..=4);
            faults = Fault::ALL.into_iter().filter(|_| rng.u32(0..4) < share).collect();
        }
        Setup {
            groups,
            have_wildcards: rng.u8(0..4) == 0,
            shards: rng.usize(1..=2),
            clients: rng.usize(2..=5),
            are_restless: rng.u8(0..4) != 0,
            read_only: rng.bool(),
            has_masters: rng.bool(),
            history_count: *rng.choice(&[3, 20, 60, 500]).expect("some"),
            rollover_at: *rng.choice(&[40, 200, ROLLOVER_AT, ROLLOVER_AT]).expect("some"),
            new_sessions: *rng.choice(&NEW_SESSIONS).expect("some"),
            autocreate: rng.bool(),
            drift_ppm_max: *rng.choice(&[100, 5000, 30_000]).expect("some"),
            latency_us: *rng.choice(&[(100, 400), (200, 2000), (200, 20_000), (5000, 60_000)]).expect("some"),
            laggards: *rng.choice(&[10, 40, 1000]).expect("some"),
            write_us_max: *rng.choice(&[500, 5000, 30_000]).expect("some"),
            turn_us_max: *rng.choice(&[0, 300, 5000]).expect("some"),
            bad_elections: rng.u8(0..5) == 0,
            faults,
            pause_ms_max: *rng.choice(&[100, 400, 1500]).expect("some"),
            trouble_ms: rng.u64(2000..9000),
            ..Setup::calm(voters, observers)
        }
    }

    /// The same, with clients that change who the servers are.
    pub(crate) fn reconfigurable(self) -> Setup {
        // Who brings observers up to date is configured otherwise. A server without its disk would not know who
        // decides. Where groups decide, servers don't come and go one by one.
        let faults = self.faults.into_iter().filter(|fault| *fault != Fault::Wipe).collect();
        Setup { reconfigs: true, has_masters: false, groups: &[], faults, ..self }
    }

    pub(crate) fn servers(&self) -> usize {
        self.voters + self.observers
    }

    /// Who decides at the beginning.
    pub(crate) fn verifier(&self) -> Arc<QuorumVerifier> {
        first_servers(self).verifier().clone()
    }
}

const NEW_SESSIONS: [NewSessions; 5] = [
    NewSessions::Global,
    NewSessions::Global,
    NewSessions::Global,
    NewSessions::Local { upgrades: true },
    NewSessions::Local { upgrades: false },
];
/// Voters, observers, and the groups of voters: those most often that people run most often.
const SHAPES: [(usize, usize, &[Group]); 16] = [
    (3, 0, &[]),
    (3, 0, &[]),
    (3, 0, &[]),
    (3, 1, &[]),
    (3, 2, &[]),
    (4, 0, &[]),
    (4, 1, &[]),
    (5, 0, &[]),
    (5, 0, &[]),
    (5, 2, &[]),
    (6, 1, &[]),
    (7, 0, &[]),
    (7, 0, &[&[(0, 1), (1, 1), (2, 1)], &[(3, 1), (4, 1)], &[(5, 1), (6, 1)]]),
    (6, 1, &[&[(0, 1), (1, 1), (2, 1)], &[(3, 1), (4, 1), (5, 1)]]),
    // The last two decide nothing, and never lead.
    (5, 0, &[&[(0, 1), (1, 1), (2, 1)], &[(3, 0), (4, 0)]]),
    // One outweighs any two others.
    (5, 1, &[&[(0, 1), (1, 1), (2, 3), (3, 1), (4, 1)]]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_what_they_are_defined_to_be_and_any_two_have_a_server_in_common() {
        for (voters, observers, groups) in SHAPES {
            let setup = Setup { groups, ..Setup::calm(voters, observers) };
            let verifier = setup.verifier();
            let has = |set: u32, server: usize| set & (1 << server) != 0;
            let is_quorum = |set: u32| match groups {
                [] => 2 * (0..voters).filter(|voter| has(set, *voter)).count() > voters,
                groups => {
                    let weigh = |group: &Group, set| -> i64 {
                        group.iter().filter(|(voter, _)| has(set, *voter)).map(|(_, weight)| weight).sum()
                    };
                    let counting = groups.iter().filter(|group| weigh(group, u32::MAX) > 0);
                    let (count, agreeing) = counting.fold((0, 0), |(count, agreeing), group| {
                        (count + 1, agreeing + i32::from(2 * weigh(group, set) > weigh(group, u32::MAX)))
                    });
                    2 * agreeing > count
                }
            };
            let sets = 0..1 << setup.servers();
            for set in sets.clone() {
                let found = verifier.contains_quorum(|id| has(set, id.0 as usize));
                assert_eq!(found, is_quorum(set), "{set:b} of {groups:?}");
            }
            let quorums: Vec<u32> = sets.filter(|set| is_quorum(*set)).collect();
            assert!(!quorums.is_empty(), "nobody decides in {groups:?}");
            for one in &quorums {
                let apart = quorums.iter().find(|other| (0..voters).all(|voter| !has(*one & **other, voter)));
                assert_eq!(apart, None, "{one:b} of {groups:?} is a quorum, too");
            }
        }
    }
}
