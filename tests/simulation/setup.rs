//! What a run is like: who takes part, how fast things are, and what may go wrong.

use ringkeeper_core::member::ROLLOVER_AT;

use crate::mischief::Mischief;

#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) voters: usize,
    pub(crate) observers: usize,
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
    /// A client and a server do not reach each other.
    CutOff,
    /// What was blocked is not any more.
    Heal,
    /// A disk takes long for a while.
    SlowDisk,
    /// A disk is full for a while.
    FullDisk,
    /// A server that is down loses its disk, if a quorum has all that it had.
    Wipe,
    /// A wall clock is set.
    WallJump,
    /// A snapshot is written.
    Snapshot,
}

impl Fault {
    pub(crate) const ALL: [Fault; 15] = [
        Fault::Kill,
        Fault::PowerLoss,
        Fault::KillAll,
        Fault::Stop,
        Fault::Break,
        Fault::OneWay,
        Fault::Partition,
        Fault::Isolate,
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
            shards: 1,
            clients: 3,
            are_restless: false,
            read_only: false,
            has_masters: false,
            history_count: 500,
            rollover_at: ROLLOVER_AT,
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
        let (voters, observers) = *rng.choice(&SIZES).expect("some");
        let mut faults = Vec::new();
        while faults.is_empty() {
            let share = rng.u32(1..=4);
            faults = Fault::ALL.into_iter().filter(|_| rng.u32(0..4) < share).collect();
        }
        Setup {
            shards: rng.usize(1..=2),
            clients: rng.usize(2..=5),
            are_restless: rng.u8(0..4) != 0,
            read_only: rng.bool(),
            has_masters: rng.bool(),
            history_count: *rng.choice(&[3, 20, 60, 500]).expect("some"),
            rollover_at: *rng.choice(&[40, 200, ROLLOVER_AT, ROLLOVER_AT]).expect("some"),
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
        // decides.
        let faults = self.faults.into_iter().filter(|fault| *fault != Fault::Wipe).collect();
        Setup { reconfigs: true, has_masters: false, faults, ..self }
    }

    pub(crate) fn servers(&self) -> usize {
        self.voters + self.observers
    }
}

const SIZES: [(usize, usize); 12] =
    [(3, 0), (3, 0), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1), (5, 0), (5, 0), (5, 2), (6, 1), (7, 0)];
