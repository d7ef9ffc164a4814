//! multiRead: several getData and getChildren in one request (client-protocol §7).

use super::reads::{Reads, encode_children, encode_data, malformed};
use super::reply::{multi_end, part_failed, part_header};
use crate::error::Code;
use crate::jute::{Reader, Writer};
use crate::proto::{MultiHeader, OpCode, PathWatch};

/// Appends the results of all parts, those that fail with their error. Watch flags are ignored, as in
/// ZooKeeper.
///
/// # Errors
///
/// [`Code::MarshallingError`] if a part is no read, if the request cannot be read to its end, or if the
/// results are longer than [`RESULTS_LEN_MAX`]; a client could not take such a reply.
pub(super) fn multi_read(
    reads: &Reads<'_>,
    reader: &mut Reader<'_>,
    out: &mut Writer<'_>,
) -> Result<(), Code> {
    let mut len = 0;
    loop {
        let header = MultiHeader::decode(reader).map_err(malformed)?;
        if header.done {
            multi_end(out);
            return Ok(());
        }
        let op = match OpCode::from_number(header.op) {
            Some(op @ (OpCode::GetData | OpCode::GetChildren)) => op,
            _ => return Err(Code::MarshallingError),
        };
        let path = PathWatch::decode(reader).map_err(malformed)?.path;
        match reads.readable(&path) {
            Err(code) => part_failed(code, out),
            Ok(found) if op == OpCode::GetData => {
                len += found.node.data_len();
                part_header(op, out);
                encode_data(&found, out);
            }
            Ok(found) => {
                len += found.num_children() * CHILD_LEN_TYPICAL;
                part_header(op, out);
                encode_children(&found, out);
            }
        }
        if len > RESULTS_LEN_MAX {
            return Err(Code::MarshallingError);
        }
    }
}

/// One small request can name a large node ten thousand times.
const RESULTS_LEN_MAX: usize = 64 << 20;
const CHILD_LEN_TYPICAL: usize = 32;
