//! Whatever a file holds, loading it as a snapshot ends without a panic and in bounded memory; what loads
//! is written and read again as the same.

#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Compression, Snapshot, SnapshotError, SnapshotWriter};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, TreeOptions};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// A file as it is.
    Raw { file: &'a [u8], compression: u8 },
    /// What is between the header and the first seal, both of which are sound.
    Sealed(&'a [u8]),
    /// A file that Java wrote, with some bytes changed, and its seal made to fit or not.
    Changed { changes: Vec<(u16, u8)>, seal: bool },
}

fuzz_target!(|input: Input| match input {
    Input::Raw { file, compression } => {
        let compression =
            [Compression::None, Compression::Gzip, Compression::Snappy][compression as usize % 3];
        compression.seems_whole(file);
        if let Ok(plain) = compression.unpack(file, LEN_MAX) {
            assert!(plain.len() <= LEN_MAX);
            check(&plain);
        }
    }
    Input::Sealed(body) => {
        let mut file = JAVA[..HEADER_LEN].to_vec();
        file.extend_from_slice(body);
        file.extend_from_slice(b"\0\0\0\x01/");
        check(&sealed(file));
    }
    Input::Changed { changes, seal } => {
        let mut file = JAVA[..JAVA.len() - SECTIONS_LEN - SEAL_LEN].to_vec();
        for (at, value) in changes {
            let at = at as usize % file.len();
            file[at] = value;
        }
        check(&if seal { sealed(file) } else { [&file[..], &JAVA[file.len()..]].concat() });
    }
});

fn load(file: &[u8]) -> Result<Snapshot, SnapshotError> {
    let options = TreeOptions { extended_types: true, digest: true, seed: 1 };
    Snapshot::decode(file, Zxid(1), options, &mut Interner::new(), &Alone)
}

fn check(file: &[u8]) {
    match load(file) {
        Err(error) => assert!(error.offset <= file.len() && !error.to_string().is_empty()),
        Ok(first) => {
            let mut writer = SnapshotWriter::new(first.tree.freeze(), first.sections);
            let mut again = Vec::new();
            while writer.fill(&mut again, 64) {}
            let paths = || first.tree.walk().map(|found| found.node.path());
            let longer: usize = paths().map(|path| 2 * path.chars().filter(|char| *char > '\u{ffff}').count()).sum();
            assert_eq!(again.len() as u64, writer.len_min() + longer as u64);
            let second = load(&again).expect("what was just written");
            assert_eq!(picture(&second.tree), picture(&first.tree));
            assert_eq!(second.sections, first.sections);
        }
    }
}

fn picture(tree: &DataTree) -> Vec<String> {
    let mut lines: Vec<String> = tree
        .walk()
        .map(|found| format!("{:?} {:?} {:?}", found.node, found.node.data(), found.stat()))
        .collect();
    lines.sort();
    lines.push(format!("{:?}", tree.sessions()));
    lines
}

fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    // Adler-32, as it is defined.
    let (mut a, mut b) = (1u32, 0u32);
    for byte in &file {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    file.extend_from_slice(&u64::from(b << 16 | a).to_be_bytes());
    file.extend_from_slice(b"\0\0\0\x01/");
    file
}

const JAVA: &[u8] = include_bytes!("../../fixtures/java/snapshot.1c");
const HEADER_LEN: usize = 16;
const SEAL_LEN: usize = 13;
const SECTIONS_LEN: usize = 54;
const LEN_MAX: usize = 1 << 20;
