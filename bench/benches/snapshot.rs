//! Writing a tree as a snapshot and loading it, on one thread and on all.

mod common;

use std::hint::black_box;

use common::{OPTIONS, tree_of};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringkeeper::runtime::Threads;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Sections, Snapshot, SnapshotWriter};
use ringkeeper_core::{Alone, Workers};

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Elements(COUNT as u64));
    let tree = tree_of(COUNT);
    group.bench_function("freeze", |bencher| {
        bencher.iter_batched(|| (), |()| tree.freeze(), BatchSize::PerIteration);
    });
    let mut buffer = Vec::with_capacity(2 * PIECE_LEN);
    group.bench_function("serialise", |bencher| {
        let state = || SnapshotWriter::new(tree.freeze(), Sections::default());
        bencher.iter_batched_ref(
            state,
            |writer| {
                while writer.fill(&mut buffer, PIECE_LEN) {
                    black_box(&buffer);
                    buffer.clear();
                }
                buffer.clear();
            },
            BatchSize::PerIteration,
        );
    });
    let mut file = Vec::new();
    SnapshotWriter::new(tree.freeze(), Sections::default()).fill(&mut file, usize::MAX);
    group.bench_function("load, one thread", |bencher| {
        bencher.iter_with_large_drop(|| decode(&file, &Alone));
    });
    group.bench_function("load, all threads", |bencher| {
        bencher.iter_with_large_drop(|| decode(&file, &Threads::per_cpu()));
    });
    group.bench_function("clone for another role", |bencher| {
        bencher.iter_with_large_drop(|| tree.clone());
    });
}

fn decode(file: &[u8], workers: &impl Workers) -> Snapshot {
    let zxid = ringkeeper_core::id::Zxid(1 << 32);
    Snapshot::decode(file, zxid, OPTIONS, &mut Interner::new(), workers).expect("it was just written")
}

const COUNT: usize = 100_000;
const PIECE_LEN: usize = 1 << 20;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = snapshot
}
criterion_main!(benches);
