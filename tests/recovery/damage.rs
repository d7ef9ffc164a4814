//! Bits flipped and bytes cut, at every place of the files.

use std::ops::Range;

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
const PLACES_MAX: usize = 500;
