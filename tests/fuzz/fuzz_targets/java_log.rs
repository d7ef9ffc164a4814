//! Whatever a file holds, reading it as a log of Java and replaying it ends without a panic.

#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use ringkeeper_core::format::java_log::{LogReader, encode_entry, encode_header};
use ringkeeper_core::jute::Reader;
use ringkeeper_core::ops::Database;
use ringkeeper_core::proto::TxnHeader;
use ringkeeper_core::tree::{DataTree, TreeOptions};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// A file behind its header, or all of it.
    Raw { file: &'a [u8], has_header: bool },
    /// Entries with sound checksums.
    Entries(Vec<&'a [u8]>),
    /// A file that Java wrote, its entries changed and summed anew.
    Changed(Vec<(u16, u8)>),
}

fuzz_target!(|input: Input| match input {
    Input::Raw { file, has_header } => {
        let mut whole = Vec::new();
        if !has_header {
            encode_header(&mut whole);
        }
        whole.extend_from_slice(file);
        replay(&whole);
    }
    Input::Entries(payloads) => {
        let mut file = Vec::new();
        encode_header(&mut file);
        let payloads = payloads.iter().filter(|payload| payload.len() >= TXN_HEADER_LEN);
        payloads.for_each(|payload| encode_entry(payload, &mut file));
        replay(&file);
    }
    Input::Changed(changes) => {
        let mut reader = LogReader::new(JAVA).expect("a log");
        let mut file = Vec::new();
        encode_header(&mut file);
        while let Some(entry) = reader.next_entry().expect("sound") {
            let mut payload = entry.payload.to_vec();
            for (at, value) in &changes {
                if let Some(byte) =
                    (*at as usize).checked_sub(entry.offset).and_then(|at| payload.get_mut(at))
                {
                    *byte = *value;
                }
            }
            encode_entry(&payload, &mut file);
        }
        replay(&file);
    }
});

fn replay(file: &[u8]) {
    let Ok(mut reader) = LogReader::new(file) else { return };
    let mut database = Database::new(DataTree::new(TreeOptions { extended_types: true, digest: true, seed: 1 }));
    let mut offset = reader.offset();
    loop {
        match reader.next_entry() {
            Err(error) => {
                assert!(error.offset == offset && !error.to_string().is_empty());
                break;
            }
            Ok(None) => {
                assert!(reader.end().is_some());
                break;
            }
            Ok(Some(entry)) => {
                assert!(entry.offset == offset && reader.offset() > offset);
                offset = reader.offset();
                let Ok((header, txn)) = TxnHeader::decode(&mut Reader::new(entry.payload)) else { break };
                assert_eq!(header.zxid, entry.zxid);
                database.apply(&header, &txn, &mut ());
            }
        }
    }
    // The tree still holds together.
    assert_eq!(database.tree().walk().count() + 1, database.tree().node_count());
}

const JAVA: &[u8] = include_bytes!("../../fixtures/java/log.1");
const TXN_HEADER_LEN: usize = 32;
