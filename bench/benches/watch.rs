//! Firing watches, as more connections watch the same znode, and as more paths are watched.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringkeeper_core::proto::EventType;
use ringkeeper_core::watch::{Modes, WatchManager, Watcher};

/// All watches of one znode go at once.
fn herd(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("herd");
    for watchers in [1u32, 100, 10_000] {
        group.throughput(Throughput::Elements(watchers.into()));
        group.bench_function(format!("fire/{watchers}"), |bencher| {
            let mut manager = WatchManager::new(7);
            let mut hits = Vec::new();
            let add = |manager: &mut WatchManager| {
                (0..watchers).for_each(|number| manager.add(PATH, Watcher(number), Modes::DATA));
            };
            bencher.iter_custom(|iterations| {
                let mut elapsed = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    add(&mut manager);
                    hits.clear();
                    let start = std::time::Instant::now();
                    manager.fire(EventType::NodeDataChanged, PATH, &mut hits);
                    elapsed += start.elapsed();
                    assert_eq!(black_box(&hits).len(), watchers as usize);
                }
                elapsed
            });
        });
    }
}

/// One watch among many on other paths.
fn among_others(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("among others");
    for paths in [1_000u32, 1_000_000] {
        let mut manager = WatchManager::new(7);
        for number in 0..paths {
            manager.add(&path(number), Watcher(number % 1000), Modes::DATA);
        }
        let mut random = fastrand::Rng::with_seed(1);
        let mut hits = Vec::new();
        group.bench_function(format!("add and fire/{paths}"), |bencher| {
            let next = || path(random.u32(..paths));
            let fire = |path: &mut String| {
                hits.clear();
                manager.add(path, Watcher(1), Modes::DATA);
                manager.fire(EventType::NodeDataChanged, path, &mut hits);
                black_box(hits.len())
            };
            bencher.iter_batched_ref(next, fire, BatchSize::SmallInput);
        });
        group.bench_function(format!("nobody watches/{paths}"), |bencher| {
            bencher.iter(|| {
                hits.clear();
                manager.fire(EventType::NodeDataChanged, black_box(PATH), &mut hits);
                black_box(hits.len())
            });
        });
    }
}

fn path(number: u32) -> String {
    format!("/parent/{number:010}")
}

const PATH: &str = "/watched";

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = herd, among_others
}
criterion_main!(benches);
