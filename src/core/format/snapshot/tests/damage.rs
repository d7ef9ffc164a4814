//! Whatever happens to a file, it is not taken for a sound one.

use simd_adler32::adler32;

use super::*;
use crate::tree::LoadError;

/// Makes the only seal of a file fit what is before it.
pub(super) fn seal_anew(file: &mut [u8]) {
    let end = file.len() - SEAL_LEN;
    let sum = u64::from(adler32(&&file[..end]));
    file[end..end + 8].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (tree, sections) = sample();
    for sections in [Sections::default(), sections] {
        let mut file = encode(&tree, sections);
        for bit in 0..file.len() * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&file).is_err(), "bit {} of byte {}", bit % 8, bit / 8);
            file[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode(&file).is_ok());
    }
}

#[test]
fn every_truncation_is_noticed_but_for_that_between_sections() {
    let (tree, sections) = sample();
    let file = encode(&tree, sections);
    let plain = encode(&tree, Sections::default()).len();
    let with_digest = plain + DIGEST_LEN + SEAL_LEN;
    for len in 0..file.len() {
        // A file without the later sections is whole in itself, and all that they say is left out.
        assert_eq!(decode(&file[..len]).is_ok(), len == plain || len == with_digest, "{len}");
    }
    let longer = [&file[..], &[0]].concat();
    assert_eq!(decode(&longer).err().map(|error| error.reason), Some(Reason::Rest(55)));
}

#[test]
fn damaged_compressed_files_are_refused() {
    let (tree, sections) = sample();
    let plain = encode(&tree, sections);
    for compression in [Compression::Gzip, Compression::Snappy] {
        let mut file = Vec::new();
        let mut packer = Packer::new(compression);
        packer.push(&plain, &mut file);
        packer.finish(&mut file);
        for len in 0..file.len() {
            let is_sound =
                compression.unpack(&file[..len], 1 << 20).is_ok_and(|bytes| decode(&bytes).is_ok());
            assert!(!is_sound, "{compression:?} {len}");
        }
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // A bit of the header that means nothing leaves the content as it was.
            if let Ok(bytes) = compression.unpack(&damaged, 1 << 20) {
                assert!(decode(&bytes).is_err() || bytes[..] == plain, "{compression:?} {bit}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let (tree, _) = sample();
    let file = encode(&tree, Sections::default());
    let refusal = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = file.clone();
        change(&mut changed);
        seal_anew(&mut changed);
        let error = decode(&changed).err().expect("refused");
        assert!(error.to_string().starts_with(&format!("at offset {} (", error.offset)), "{error}");
        (error.offset, error.reason)
    };
    assert_eq!(refusal(&|file| file[0] = 0), (0, Reason::Magic(0x4b_534e)));
    assert_eq!(refusal(&|file| file[7] = 3), (4, Reason::Version(3)));
    let sessions = HEADER_LEN;
    assert!(matches!(refusal(&|file| file[sessions] = 0x7f), (16, Reason::Record(_))));
    assert!(matches!(refusal(&|file| file[sessions] = 0xff), (16, Reason::Record(_))));

    let a = position(&file, b"\0\0\0\x02/a\0");
    assert_eq!(refusal(&|file| file[a + 5] = b'/'), (a, Reason::Node(LoadError::Path("//".into()))));
    let null = position(&file, b"/a/null");
    let orphan = (null - 4, Reason::Node(LoadError::Orphan("/b/null".into())));
    assert_eq!(refusal(&|file| file[null + 1] = b'b'), orphan);
    let container = position(&file, b"/a/c");
    let duplicate = (container - 4, Reason::Node(LoadError::Duplicate("/a/t".into())));
    let (first, second) = (position(&file, b"/a/t"), container);
    if first < second {
        assert_eq!(refusal(&|file| file[second + 3] = b't'), duplicate);
    } else {
        let duplicate = (first - 4, Reason::Node(LoadError::Duplicate("/a/c".into())));
        assert_eq!(refusal(&|file| file[first + 3] = b'c'), duplicate);
    }

    let mut unsealed = file.clone();
    let seal = file.len() - SEAL_LEN;
    unsealed[seal + 7] ^= 1;
    assert!(
        matches!(decode(&unsealed).err(), Some(SnapshotError { offset, reason: Reason::Seal { .. } }) if offset == seal)
    );
    unsealed = file.clone();
    *unsealed.last_mut().expect("not empty") = b'x';
    let end = SnapshotError { offset: seal + 8, reason: Reason::SealEnd };
    assert_eq!(decode(&unsealed).err(), Some(end));
}

#[test]
fn a_file_without_a_root_is_refused() {
    let mut file = Vec::new();
    let mut writer = crate::jute::Writer::new(&mut file);
    writer.int(MAGIC);
    writer.int(VERSION);
    writer.long(DB_ID);
    writer.int(0);
    writer.int(0);
    writer.buffer(Some(END));
    writer.long(0);
    writer.buffer(Some(END));
    seal_anew(&mut file);
    assert_eq!(decode(&file).err().map(|error| error.reason), Some(Reason::Node(LoadError::NoRoot)));
}

#[test]
fn the_ends_of_a_file_say_whether_it_may_be_whole() {
    let (tree, sections) = sample();
    let file = encode(&tree, sections);
    assert!(Compression::None.seems_whole(&file));
    assert!(!Compression::None.seems_whole(&file[..file.len() - 1]));
    assert!(!Compression::None.seems_whole(b"\0\0\0\x01/"));
    assert!(!Compression::Gzip.seems_whole(&file) && !Compression::Snappy.seems_whole(&file));
    assert!(!Compression::Gzip.seems_whole(&[]) && !Compression::Snappy.seems_whole(&[]));
}

fn position(file: &[u8], part: &[u8]) -> usize {
    file.windows(part.len()).position(|window| window == part).expect("it is in the file")
}
