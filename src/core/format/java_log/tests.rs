use super::*;

/// A payload that fills more than two sectors.
const LONG: usize = 1300;

fn payload(zxid: i64, len: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = (0..len).map(|at| (at * 7 + 1) as u8 | 1).collect();
    payload[ZXID_AT..ZXID_AT + 8].copy_from_slice(&zxid.to_be_bytes());
    payload
}

/// Entries of these zxids and lengths of payloads.
fn log(entries: &[(i64, usize)]) -> Vec<u8> {
    let mut file = Vec::new();
    encode_header(&mut file);
    entries.iter().for_each(|(zxid, len)| encode_entry(&payload(*zxid, *len), &mut file));
    file
}

fn padded(mut file: Vec<u8>, len: usize) -> Vec<u8> {
    file.resize(file.len() + len, 0);
    file
}

fn read(file: &[u8]) -> Result<(Vec<i64>, End), LogError> {
    let mut reader = LogReader::new(file)?;
    let mut zxids = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        assert_eq!(entry.payload, payload(entry.zxid.0, entry.payload.len()));
        zxids.push(entry.zxid.0);
    }
    assert_eq!(reader.next_entry(), Ok(None));
    Ok((zxids, reader.end().expect("it has ended")))
}

#[test]
fn a_log_reads_back_with_and_without_padding() {
    let file = log(&[(5, 40), (6, 40), (9, LONG)]);
    assert_eq!(read(&file), Ok((vec![5, 6, 9], End::File)));
    assert_eq!(read(&padded(file, 9000)), Ok((vec![5, 6, 9], End::Padding)));
    assert_eq!(read(&log(&[])), Ok((vec![], End::File)));
}

#[test]
fn a_log_cut_anywhere_ends_with_its_last_whole_entry() {
    let lens = [40, LONG];
    let file = log(&[(1, lens[0]), (2, lens[1])]);
    let ends = [HEADER_LEN, HEADER_LEN + entry_len(lens[0]), file.len()];
    for len in HEADER_LEN..file.len() {
        let whole = ends.iter().filter(|end| **end <= len).count() - 1;
        let zxids: Vec<i64> = (1..=whole as i64).collect();
        let (found, end) = read(&file[..len]).unwrap_or_else(|error| panic!("{len}: {error}"));
        assert_eq!(found, zxids, "{len}");
        assert_eq!(end == End::File, ends.contains(&len), "{len}: {end:?}");
        // The same with the zeros that the file had before.
        let (found, end) = read(&padded(file[..len].to_vec(), 9000)).expect("a tear");
        assert_eq!(found, zxids, "{len}");
        assert_ne!(end, End::File, "{len}");
    }
}

#[test]
fn every_flipped_bit_before_the_padding_is_detected_and_placed() {
    let lens = [40, 64, 33, LONG, 47];
    let entries: Vec<(i64, usize)> = (1..).zip(lens).collect();
    let starts: Vec<usize> =
        lens.iter().scan(HEADER_LEN, |at, len| Some(std::mem::replace(at, *at + entry_len(*len)))).collect();
    let plain = log(&entries);
    for sound in [plain.clone(), padded(plain.clone(), 5000)] {
        for bit in 0..plain.len() * 8 {
            let mut damaged = sound.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = read(&damaged).expect_err("damaged");
            let start = match bit / 8 {
                at @ 0..HEADER_LEN => [0, 4, 8].into_iter().rfind(|field| *field <= at),
                at => starts.iter().copied().rfind(|start| *start <= at),
            };
            assert_eq!(Some(error.offset), start, "bit {bit}: {error}");
        }
    }
}

#[test]
fn bits_in_the_padding_change_nothing_that_is_read() {
    let len = log(&[(1, 40)]).len();
    for bit in 0..600 * 8 {
        let mut file = padded(log(&[(1, 40)]), 600);
        file[len + bit / 8] ^= 1 << (bit % 8);
        match read(&file) {
            Ok((zxids, _)) => assert_eq!(zxids, [1], "bit {bit}"),
            Err(error) => assert_eq!(error.offset, len, "bit {bit}"),
        }
    }
}

#[test]
fn an_entry_with_a_missing_sector_is_a_tear_only_if_no_entry_is_behind() {
    let start = HEADER_LEN + entry_len(40);
    let file = padded(log(&[(1, 40), (2, LONG)]), 3000);
    let sectors = [start + SUM_ZEROS..512, 512..1024, 1024..start + entry_len(LONG)];
    for sector in sectors {
        let mut torn = file.clone();
        torn[sector.clone()].fill(0);
        assert_eq!(read(&torn), Ok((vec![1], End::Torn)), "{sector:?}");
        // What is behind has been synced later.
        let mut lost = padded(log(&[(1, 40), (2, LONG), (3, 40)]), 3000);
        lost[sector.clone()].fill(0);
        let error = read(&lost).expect_err("damaged");
        assert_eq!(error.offset, start, "{sector:?}: {error}");
    }
}

#[test]
fn a_length_that_cannot_be_is_refused_and_one_beyond_the_end_is_a_tear() {
    let sound = log(&[(1, 40)]);
    let with_len = |len: i32| {
        let mut file = sound.clone();
        file[HEADER_LEN + 8..HEADER_LEN + 12].copy_from_slice(&len.to_be_bytes());
        file
    };
    for len in [-1, i32::MIN, i32::MAX, 4000, 39, 41, 0] {
        assert_eq!(read(&with_len(len)).expect_err("refused").reason, Reason::Length(len));
    }
    // Without the whole payload, nothing tells that it is not an entry that was to be so long.
    let cut = &with_len(4000)[..sound.len() - 1];
    assert_eq!(read(cut), Ok((vec![], End::Torn)));
}

#[test]
fn another_file_is_no_log() {
    let error = read(b"ZKSN0123456789abcdef").expect_err("a snapshot");
    assert_eq!(error.reason, Reason::Magic(0x5a4b_534e));
    assert_eq!(parse_file_name("log.1f"), Some(Zxid(0x1f)));
    assert_eq!(file_name(Zxid(0x1f)), "log.1f");
    for name in ["log", "log.", "log.1.gz", "log.x", "snapshot.1", "log.-1"] {
        assert_eq!(parse_file_name(name), None, "{name}");
    }
}

#[test]
fn a_file_that_nothing_was_written_to_is_told_from_a_log() {
    let file = log(&[]);
    for len in 0..HEADER_LEN {
        assert!(LogReader::is_unwritten(&file[..len]), "{len}");
        assert_eq!(read(&file[..len]).expect_err("no header").reason, Reason::Header(len));
    }
    assert!(LogReader::is_unwritten(&[0; 9000]));
    assert!(!LogReader::is_unwritten(&file));
    assert!(!LogReader::is_unwritten(b"ZKSN"));
    let mut stray = [0; 9000];
    stray[8000] = 1;
    assert!(!LogReader::is_unwritten(&stray));
}

#[test]
fn a_payload_without_room_for_a_header_is_refused() {
    let mut file = log(&[]);
    file.extend(u64::from(adler32(&&b"short"[..])).to_be_bytes());
    file.extend(5u32.to_be_bytes());
    file.extend(b"shortB");
    assert_eq!(read(&file).expect_err("refused").reason, Reason::Payload(5));
}
