//! Bits flipped and bytes cut, at every place of the files.

use std::ops::Range;

use ringkeeper_core::format::java_log::{encode_entry, encode_header, file_name};
use ringkeeper_core::id::SessionId;
use ringkeeper_core::proto::{AclRef, CreateKind, Txn, TxnHeader};
use ringkeeper_core::time::WallTime;

use super::*;

#[test]
fn a_flipped_bit_in_the_log_is_named_and_nothing_is_served() {
    let folder = Folder::with(&[FIRST_SNAPSHOT, LOG]);
    let (file, truth) = (recorded(LOG), true_state());
    assert_eq!(folder.recover().expect("sound files"), truth);
    let written = written_len(&file);
    for bit in sample(0..written * 8) {
        folder.put(LOG, &flipped(&file, bit));
        folder.assert_refused(&[LOG, "at offset "]);
    }
    // Behind the last entry nothing is read, but what is there may look like the head of another.
    for bit in sample(written * 8..file.len() * 8) {
        folder.put(LOG, &flipped(&file, bit));
        match folder.recover() {
            Ok(state) => assert_eq!(state, truth, "bit {bit}"),
            Err(error) => assert!(error.to_string().contains(LOG), "bit {bit}: {error}"),
        }
    }
}

#[test]
fn damage_anywhere_in_a_long_log_of_several_files_is_named() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let mut random = fastrand::Rng::with_seed(7);
    let files = long_log(&mut random);
    files.iter().for_each(|(name, content)| folder.put(name, content));
    let truth = folder.recover().expect("sound files");
    assert_eq!(truth.last_zxid, Zxid(LONG_LOG_LEN));
    for _ in 0..PLACES_MAX / 2 {
        let (name, content) = random.choice(&files).expect("there are some");
        let (bit, len) = (random.usize(..written_len(content) * 8), random.usize(1..=64));
        let mut damaged = flipped(content, bit);
        if random.bool() {
            let end = (bit / 8 + len).min(content.len());
            random.fill(&mut damaged[bit / 8..end]);
        }
        folder.put(name, &damaged);
        match folder.recover() {
            Err(error) => assert!(error.to_string().contains(name), "{name}, {bit}: {error}"),
            // What was filled in is what was there, or lies behind the last entry.
            Ok(state) => assert_eq!(state, truth, "{name}, {bit}"),
        }
        folder.put(name, content);
    }
}

/// Files of a log that creates nodes and sets their data, of all lengths.
fn long_log(random: &mut fastrand::Rng) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for zxid in 1..=LONG_LOG_LEN {
        if zxid % 97 == 1 {
            let mut file = Vec::new();
            encode_header(&mut file);
            files.push((file_name(Zxid(zxid)), file));
        }
        let len_max = if random.u8(..) < 8 { 9000 } else { 100 };
        let len = random.usize(..len_max);
        let data: Vec<u8> = (0..len).map(|_| random.u8(1..)).collect();
        let data = Some(data.into());
        let path = format!("/node-{}", (zxid + 1) / 2).into();
        let txn = match zxid % 2 {
            1 => Txn::Create {
                kind: CreateKind::Create { ephemeral: false },
                path,
                data,
                acl: AclRef::open(),
                parent_cversion: -1,
            },
            _ => Txn::SetData { path, data, version: 1 },
        };
        let mut payload = Vec::new();
        let header = TxnHeader { client_id: SessionId(5), cxid: 1, zxid: Zxid(zxid), time: WallTime(zxid) };
        header.encode(&txn, &mut payload);
        encode_entry(&payload, &mut files.last_mut().expect("it was begun").1);
    }
    files.iter_mut().for_each(|(_, file)| file.resize(file.len() + 6000, 0));
    files
}

#[test]
fn a_flipped_bit_in_a_snapshot_is_never_served() {
    for name in [SNAPSHOT, GZIP, SNAPPY] {
        let folder = Folder::with(&[FIRST_SNAPSHOT]);
        let (file, truth) = (recorded(name), true_state());
        let mut accepted = Vec::new();
        for bit in sample(0..file.len() * 8) {
            folder.put(name, &flipped(&file, bit));
            match folder.recover() {
                Ok(state) => {
                    assert_eq!(state, truth, "{name}, bit {bit}");
                    accepted.push(bit / 8);
                }
                // The older snapshot would do, if there were a log.
                Err(error) => assert!(matches!(error, RecoverError::Short { .. }), "{name}, {bit}: {error}"),
            }
        }
        // What is compressed can say the same in several ways, and gzip's header says what nobody needs.
        assert!(name != SNAPSHOT || accepted.is_empty(), "{name}: {accepted:?}");
    }
}

#[test]
fn a_cut_log_ends_with_its_last_whole_entry() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let file = recorded(LOG);
    let mut last = Zxid::ZERO;
    for len in sample(0..written_len(&file)) {
        folder.put(LOG, &file[..len]);
        let cut = folder.recover().expect("what a crash leaves");
        if len < HEADER_LEN {
            continue; // A header is in one sector, and written at once.
        }
        folder.put(LOG, &[&file[..len], &[0; 100][..]].concat());
        let padded = folder.recover().unwrap_or_else(|error| panic!("{len}: {error}"));
        assert_eq!(padded, cut, "{len}");
        assert!(cut.last_zxid >= last);
        last = cut.last_zxid;
    }
    assert_eq!(last, Zxid(0x1b));
}

#[test]
fn a_cut_snapshot_is_never_served() {
    for name in [SNAPSHOT, GZIP, SNAPPY] {
        let folder = Folder::with(&[FIRST_SNAPSHOT]);
        let (file, truth) = (recorded(name), true_state());
        for len in sample(0..file.len()) {
            folder.put(name, &file[..len]);
            match folder.recover() {
                // Without the last sections it is whole for older releases.
                Ok(state) => assert_eq!(state, truth, "{name} {len}"),
                Err(error) => assert!(matches!(error, RecoverError::Short { .. }), "{name} {len}: {error}"),
            }
        }
    }
}

/// The places to try: all, or every so many where starting would take too long. The formats' own tests try
/// every bit.
fn sample(all: Range<usize>) -> impl Iterator<Item = usize> {
    let step = all.len() / PLACES_MAX + 1;
    let mut random = fastrand::Rng::with_seed(all.len() as u64);
    all.clone().step_by(step).map(move |at| (at + random.usize(..step)).min(all.end - 1))
}

fn flipped(file: &[u8], bit: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    file[bit / 8] ^= 1 << (bit % 8);
    file
}

fn written_len(file: &[u8]) -> usize {
    file.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

const HEADER_LEN: usize = 16;
const LONG_LOG_LEN: i64 = 300;
const PLACES_MAX: usize = 500;
