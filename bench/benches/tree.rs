//! Finding a znode, and applying a change to the index of one role, as the tree grows.

mod common;

use std::hint::black_box;

use common::{CHILDREN, DATA, create, creation, parent_path, path, tree_of};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringkeeper_core::tree::{DataTree, Delta};

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look-up");
    for count in COUNTS {
        let tree = tree_of(count);
        let mut random = fastrand::Rng::with_seed(1);
        group.bench_function(format!("hit/{count}"), |bencher| {
            let next = || path(random.usize(..count));
            bencher.iter_batched_ref(next, |path| black_box(tree.get(path).is_some()), BatchSize::SmallInput);
        });
        group.bench_function(format!("miss/{count}"), |bencher| {
            let next = || format!("{}-", path(random.usize(..count)));
            bencher.iter_batched_ref(next, |path| black_box(tree.get(path).is_some()), BatchSize::SmallInput);
        });
    }
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    for count in COUNTS {
        let mut tree = tree_of(count);
        let mut random = fastrand::Rng::with_seed(1);
        group.bench_function(format!("set/{count}"), |bencher| {
            let changes: Vec<Delta> =
                (0..BATCH).map(|_| change(&tree, &path(random.usize(..count)))).collect();
            let mut changes = changes.iter().cycle();
            bencher.iter(|| {
                let zxid = tree.last_zxid().next();
                changes.next().map(|change| tree.apply(zxid, change))
            });
        });
        // The creates grow the tree by some of its size, as they do in life.
        let mut created = count.next_multiple_of(CHILDREN);
        group.bench_function(format!("create/{count}"), |bencher| {
            bencher.iter_custom(|iterations| {
                let (mut left, mut elapsed) = (iterations as usize, std::time::Duration::ZERO);
                while left > 0 {
                    let parent = parent_path(created / CHILDREN);
                    create(&mut tree, &parent, &[]);
                    let new = CHILDREN.min(left);
                    let paths = (created..created + new).map(path);
                    let changes: Vec<Delta> = paths.map(|path| creation(&tree, &path, &DATA)).collect();
                    let zxid = tree.last_zxid().next();
                    let start = std::time::Instant::now();
                    for change in &changes {
                        black_box(tree.apply(zxid, change));
                    }
                    elapsed += start.elapsed();
                    (created, left) = (created + CHILDREN, left - new);
                }
                elapsed
            });
        });
    }
}

fn change(tree: &DataTree, path: &str) -> Delta {
    let node = tree.get(path).expect("it was created").node;
    Delta::SetData(node.with_data(Some(&DATA), node.version() + 1, tree.last_zxid().next(), 1))
}

/// A small tree lies in the cache, a large one does not.
const COUNTS: [usize; 2] = [1_000, 1_000_000];
const BATCH: usize = 10_000;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = look_up, apply
}
criterion_main!(benches);
