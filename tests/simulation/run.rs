//! Stories: what comes of a seed.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::checks::{Counts, progress};
use crate::client::Habit;
use crate::setup::Setup;
use crate::world::{Failure, MS, World};

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Story {
    /// The first promise that was broken.
    pub(crate) failure: Option<Failure>,
    pub(crate) counts: Counts,
    /// How many configurations were activated.
    pub(crate) memberships: usize,
    /// How many epochs there were.
    pub(crate) epochs: usize,
    /// Two runs that differ in anything have another.
    pub(crate) sum: u64,
}

/// What comes of a seed.
pub(crate) fn tell(seed: u64, is_loud: bool) -> Story {
    let mut rng = fastrand::Rng::with_seed(seed);
    let setup = Setup::of(&mut rng);
    play(setup, rng.u64(..), is_loud)
}

/// Whether somebody wants to hear all of this seed's story: `SIM_SEED` names it.
pub(crate) fn is_loud(seed: u64) -> bool {
    std::env::var("SIM_SEED").is_ok_and(|wanted| wanted == seed.to_string())
}

/// What comes of a setup with a seed.
pub(crate) fn play(setup: Setup, seed: u64, is_loud: bool) -> Story {
    let told = catch_unwind(AssertUnwindSafe(|| {
        let trouble_ms = setup.trouble_ms;
        let mut world = World::new(setup, fastrand::Rng::with_seed(seed), is_loud);
        world.run(trouble_ms * MS);
        settle(&mut world);
        Story {
            failure: world.failure,
            counts: world.checks.counts,
            memberships: world.checks.memberships.count(),
            epochs: world.checks.leaders.count(),
            sum: world.trace.sum(),
        }
    }));
    told.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let failure = Failure { promise: "no machine panics", text: text.unwrap_or_default() };
        Story { failure: Some(failure), counts: Counts::default(), memberships: 0, epochs: 0, sum: 0 }
    })
}

/// Ends all trouble, and sees that everything goes on.
pub(crate) fn settle(world: &mut World) {
    world.end_trouble();
    let must = |world: &mut World, what: &str, done: fn(&World) -> bool| {
        if !world.run_until(SETTLED_WITHIN, done) && world.failure.is_none() {
            world.blame(progress::PROMISE, what.to_owned());
        }
    };
    must(world, "not all servers serve", progress::all_serve);
    world.run(500 * MS);
    world.clients.iter_mut().for_each(|client| client.take_up(Habit::Nothing));
    must(world, "not all clients are answered", progress::all_are_answered);
    must(world, "not all servers have the whole history", progress::all_have_all);
    must(world, "not all servers serve in the end", |world| {
        progress::all_serve(world) && progress::all_have_all(world)
    });
    if world.failure.is_none() {
        let verdict = progress::check_end(world);
        world.check(verdict);
    }
}

/// Tells the stories of these seeds, on all cores, and fails with those that end badly. Returns what was checked.
pub(crate) fn tell_all(seeds: Range<u64>) -> Counts {
    play_all(seeds, "one_seed", Setup::of)
}

/// The same, with what else a seed makes of the setup. This test tells one of them, if `SIM_SEED` names it.
pub(crate) fn play_all(
    seeds: Range<u64>,
    test: &str,
    setup: impl Fn(&mut fastrand::Rng) -> Setup + Sync,
) -> Counts {
    let (next, done, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(0), Mutex::new(Vec::new()));
    let (begin, sum) = (Instant::now(), Mutex::new(Counts::default()));
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get());
    let work = || {
        while failed.lock().is_ok_and(|failed| failed.len() < FAILURES_MAX) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let mut rng = fastrand::Rng::with_seed(seed);
            let setup = setup(&mut rng);
            let Story { failure, counts, .. } = play(setup, rng.u64(..), false);
            sum.lock().expect("no panic while it is held").add(&counts);
            if let Some(failure) = failure {
                println!("seed {seed}: {failure}");
                failed.lock().expect("no panic while it is held").push(seed);
            }
            let count = done.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_multiple_of(SEEDS_PER_LINE) {
                println!("{count} seeds in {} s, up to {seed}", begin.elapsed().as_secs());
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let failed = failed.into_inner().expect("no panic while it is held");
    assert!(
        failed.is_empty(),
        "seeds {failed:?} break a promise: SIM_SEED={} cargo test --test simulation {test} -- --ignored --nocapture shows how",
        failed[0]
    );
    sum.into_inner().expect("no panic while it is held")
}

/// How long anything may take once nothing goes wrong, in simulated time: 75 ticks of `tickTime`.
const SETTLED_WITHIN: u64 = 15_000 * MS;
const SEEDS_PER_LINE: u64 = 1000;
const FAILURES_MAX: usize = 30;
