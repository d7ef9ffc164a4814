//! The wire codec, path checks and the log's batches.

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringkeeper_core::error::Code;
use ringkeeper_core::format::wal::{Chain, Cursor, RecordBatch, SegmentHeader, Sync, encoded_len};
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::jute::{Reader, Writer};
use ringkeeper_core::proto::{
    CreateRequest, PathWatch, ReplyHeader, RequestHeader, SetDataRequest, Stat, Txn, TxnHeader, begin_frame,
    end_frame,
};
use ringkeeper_core::time::WallTime;
use ringkeeper_core::tree::is_valid_path;

/// What clients ask for.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let get = request(4, |body| body.bool(false));
    group.bench_function("getData", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(&get));
            let header = RequestHeader::decode(&mut reader).expect("it is one");
            black_box((header, PathWatch::decode(&mut reader).expect("it is one")));
        });
    });
    let set = request(5, |body| {
        body.buffer(Some(&[7; 100]));
        body.int(-1);
    });
    group.bench_function("setData", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(&set));
            let header = RequestHeader::decode(&mut reader).expect("it is one");
            black_box((header, SetDataRequest::decode(&mut reader).expect("it is one")));
        });
    });
    let create = request(1, |body| {
        body.buffer(Some(&[7; 100]));
        body.int(1);
        body.int(31);
        body.text("world");
        body.text("anyone");
        body.int(0);
    });
    group.bench_function("create", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::new(black_box(&create));
            let header = RequestHeader::decode(&mut reader).expect("it is one");
            black_box((header, CreateRequest::decode(&mut reader, false).expect("it is one")));
        });
    });
}

/// What they are answered.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let header = ReplyHeader { xid: 7, zxid: Zxid(0x1_0000_0007), err: Code::Ok };
    let zxid = Zxid(0x1_0000_0003);
    let stat = Stat {
        czxid: zxid,
        mzxid: zxid,
        ctime: 1_700_000_000_000,
        mtime: 1_700_000_000_000,
        version: 3,
        cversion: 0,
        aversion: 0,
        ephemeral_owner: 0,
        data_length: 100,
        num_children: 0,
        pzxid: zxid,
    };
    let mut out = Vec::with_capacity(1 << 16);
    group.bench_function("getData's reply, 100 bytes", |bencher| {
        bencher.iter(|| {
            out.clear();
            let start = begin_frame(&mut out);
            header.encode(&mut out);
            let mut body = Writer::new(&mut out);
            body.buffer(Some(black_box(&[7; 100])));
            stat.encode(&mut body);
            end_frame(&mut out, start);
            black_box(out.len())
        });
    });
}

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path check");
    let long = format!("/{}", ["component"; 25].join("/"));
    for (name, path) in [("short", PATH), ("250 bytes", &long), ("not ASCII", "/Bücher/größte")] {
        group.throughput(Throughput::Bytes(path.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| is_valid_path(black_box(path))));
    }
}

/// A batch as the log writes it: transactions encoded, sealed with their checksums.
fn log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log batch");
    for records in [1u64, 32, 500] {
        group.throughput(Throughput::Elements(records));
        group.bench_function(format!("sets/{records}"), |bencher| {
            let segment = SegmentHeader { number: 1, nonce: 7, len: 1 << 30 };
            let mut cursor = Cursor::at_start(segment, Chain::default(), Sync::Promised);
            let (mut batch, mut block) = (RecordBatch::new(), Vec::new());
            let mut zxid = 0;
            bencher.iter(|| {
                batch.clear();
                for _ in 0..records {
                    zxid += 1;
                    let header = TxnHeader {
                        client_id: SessionId(1),
                        cxid: 1,
                        zxid: Zxid(zxid),
                        time: WallTime(1_700_000_000_000),
                    };
                    let txn = Txn::SetData {
                        path: Cow::Borrowed(PATH),
                        data: Some(Cow::Borrowed(&[7; 100])),
                        version: 1,
                    };
                    batch.push(Zxid(zxid), |out| header.encode(&txn, out));
                }
                if !cursor.fits(&batch) {
                    cursor = Cursor::at_start(segment, cursor.chain(), Sync::Promised);
                }
                block.resize(encoded_len(&batch), 0);
                black_box(cursor.encode(&batch, &mut block))
            });
        });
    }
}

fn request(opcode: i32, write_rest: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Writer::new(&mut out);
    body.int(7);
    body.int(opcode);
    body.text(PATH);
    write_rest(&mut body);
    out
}

const PATH: &str = "/services/orders/instance-0000000042";

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = decode, encode, paths, log
}
criterion_main!(benches);
