//! Replies, as bytes at the end of a connection's output.

use crate::error::Code;
use crate::flow::{Outcome, PartOutcome};
use crate::id::Zxid;
use crate::jute::Writer;
use crate::proto::{OpCode, ReplyHeader, begin_frame, end_frame};
use crate::tree::{DataTree, Found, Slot};

/// Appends a frame of what `payload` appends, and returns its length.
pub(super) fn framed(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = begin_frame(out);
    let payload_start = out.len();
    payload(out);
    end_frame(out, start);
    out.len() - payload_start
}

/// Appends a reply without a body, and returns its length.
pub(super) fn header(out: &mut Vec<u8>, xid: i32, zxid: Zxid, err: Code) -> usize {
    framed(out, |out| ReplyHeader { xid, zxid, err }.encode(out))
}

/// Appends a reply with what `body` appends, or if it fails only its error. Returns the reply's length.
pub(super) fn whole(
    out: &mut Vec<u8>,
    xid: i32,
    zxid: Zxid,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Code>,
) -> usize {
    framed(out, |out| {
        let start = out.len();
        ReplyHeader { xid, zxid, err: Code::Ok }.encode(out);
        if let Err(err) = body(&mut Writer::new(out)) {
            out.truncate(start);
            ReplyHeader { xid, zxid, err }.encode(out);
        }
    })
}

/// Appends what an ordered request's reply says beyond its header, where the tree is as of that request; see [`whole`].
pub(super) fn outcome(outcome: &Outcome, tree: &DataTree, out: &mut Writer<'_>) -> Result<(), Code> {
    match outcome {
        Outcome::Failed(code) => return Err(*code),
        Outcome::Connected { .. } | Outcome::Refused | Outcome::Done | Outcome::Closed => {}
        Outcome::Created(node) => out.utf8(node.path_bytes()),
        Outcome::CreatedWithStat(node) => {
            out.utf8(node.path_bytes());
            tree.stat_of_childless(node).encode(out);
        }
        Outcome::Changed(slot) => changed(*slot, tree).stat().encode(out),
        Outcome::Reconfigured(slot) => {
            let found = changed(*slot, tree);
            out.buffer(found.node.data());
            found.stat().encode(out);
        }
        Outcome::Synced(Some(path)) => out.text(path),
        Outcome::Synced(None) => out.buffer(None),
        Outcome::Multi(parts) => {
            parts.iter().for_each(|part| part_outcome(part, out));
            multi_end(out);
        }
    }
    Ok(())
}

/// The node that a request has just changed.
///
/// # Panics
///
/// If there is none: the step that changed it breaks our own promise.
fn changed(slot: Slot, tree: &DataTree) -> Found<'_> {
    tree.at(slot).unwrap_or_else(|| unreachable!("what was just changed is there"))
}

/// Appends the header of a part's result in a multi or multiRead (client-protocol §7).
pub(super) fn part_header(op: OpCode, out: &mut Writer<'_>) {
    multi_header(op.number(), false, 0, out);
}

/// Appends the result of a part that failed.
pub(super) fn part_failed(code: Code, out: &mut Writer<'_>) {
    multi_header(NO_OP, false, code.number(), out);
    out.int(code.number());
}

/// Appends what ends the results of a multi or multiRead.
pub(super) fn multi_end(out: &mut Writer<'_>) {
    multi_header(NO_OP, true, -1, out);
}

fn part_outcome(part: &PartOutcome, out: &mut Writer<'_>) {
    match part {
        PartOutcome::Created(node) => {
            part_header(OpCode::Create, out);
            out.utf8(node.path_bytes());
        }
        PartOutcome::CreatedWithStat(node, stat) => {
            part_header(OpCode::Create2, out);
            out.utf8(node.path_bytes());
            stat.encode(out);
        }
        PartOutcome::Deleted => part_header(OpCode::Delete, out),
        PartOutcome::Changed(stat) => {
            part_header(OpCode::SetData, out);
            stat.encode(out);
        }
        PartOutcome::Checked => part_header(OpCode::Check, out),
        PartOutcome::Failed(code) => part_failed(*code, out),
    }
}

fn multi_header(op: i32, done: bool, err: i32, out: &mut Writer<'_>) {
    out.int(op);
    out.bool(done);
    out.int(err);
}

const NO_OP: i32 = -1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TreeOptions;

    #[test]
    fn a_failed_reply_is_its_header_alone_whatever_was_written_before() {
        let mut out = vec![7];
        let len = whole(&mut out, 5, Zxid(9), |out| {
            out.text("half a body");
            Err(Code::NoNode)
        });
        assert_eq!((len, out.len()), (16, 21));
        assert_eq!(out[..9], [7, 0, 0, 0, 16, 0, 0, 0, 5]);
        assert_eq!(out[17..], (-101i32).to_be_bytes());
    }

    #[test]
    fn a_failed_multi_lists_an_error_for_each_part() {
        let mut out = Vec::new();
        let parts = vec![PartOutcome::Failed(Code::Ok), PartOutcome::Failed(Code::NoNode)];
        let tree = DataTree::new(TreeOptions::default());
        assert_eq!(outcome(&Outcome::Multi(parts), &tree, &mut Writer::new(&mut out)), Ok(()));
        assert_eq!(out.len(), 2 * 13 + 9);
        assert_eq!(out[..13], [255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[26..], [255, 255, 255, 255, 1, 255, 255, 255, 255]);
    }
}
