use super::changes::Changes;
use super::database::Database;
use super::write::{Asker, Decided, Ordered, Undecodable, Write};
use crate::error::Code;
use crate::flow::{Outcome, PartOutcome};
use crate::jute::Reader;
use crate::proto::{CreateFlags, MultiHeader, OpCode, Txn, TxnHeader};

/// Reads the parts of a multi (client-protocol §7).
pub(super) fn decode<'r>(reader: &mut Reader<'r>) -> Result<Vec<Write<'r>>, Undecodable> {
    let mut writes = Vec::new();
    loop {
        let header = MultiHeader::decode(reader).map_err(|_| MALFORMED)?;
        if header.done {
            return Ok(writes);
        }
        writes.push(decode_part(header.op, reader)?);
    }
}

/// Decides and applies the parts one after the other, so that each sees what those before it did. If one
/// fails, all is undone, and the transaction says which it was.
pub(super) fn order<'r>(
    writes: Vec<Write<'r>>,
    db: &mut Database,
    header: &TxnHeader,
    asker: &mut Asker<'_>,
    changes: &mut Changes,
) -> Ordered<'r> {
    let count = writes.len();
    let mut txns = Vec::with_capacity(count);
    let mut outcomes = Vec::with_capacity(count);
    for write in writes {
        match write.decide(header.zxid, db, asker) {
            Ok(Decided { txn, at }) => {
                outcomes.push(db.apply_part(header, &txn, at, changes));
                txns.push(txn);
            }
            Err(code) => {
                changes.take_back(db);
                return failed(txns, count, code);
            }
        }
    }
    Ordered { txn: Txn::Multi(txns), outcome: Outcome::Multi(outcomes) }
}

/// The failed multi: the parts before the failed one as they were, and errors from there on.
fn failed(mut txns: Vec<Txn<'_>>, count: usize, code: Code) -> Ordered<'_> {
    if code == Code::MarshallingError {
        // What a part's record holds is found unreadable late, and it is the multi's record.
        return Ordered { txn: Txn::Error { err: code.number() }, outcome: Outcome::Failed(code) };
    }
    let before = txns.len();
    let after = count - before - 1;
    let codes = std::iter::repeat_n(Code::Ok, before)
        .chain([code])
        .chain(std::iter::repeat_n(Code::RuntimeInconsistency, after));
    let outcome = Outcome::Multi(codes.clone().map(PartOutcome::Failed).collect());
    txns.extend(codes.skip(before).map(|code| Txn::Error { err: code.number() }));
    Ordered { txn: Txn::Multi(txns), outcome }
}

fn decode_part<'r>(number: i32, reader: &mut Reader<'r>) -> Result<Write<'r>, Undecodable> {
    use OpCode::*;
    let op = OpCode::from_number(number).ok_or(MALFORMED)?;
    if !matches!(op, Create | Create2 | CreateContainer | CreateTtl | Delete | SetData | Check) {
        return Err(MALFORMED);
    }
    let mut write = Write::decode(op, reader).map_err(|_| MALFORMED)?;
    if let Write::Create(op, request) = &mut write {
        let flags = CreateFlags::from_number(request.flags);
        let is_ttl = flags.is_some_and(CreateFlags::is_ttl);
        match (*op, flags) {
            (CreateTtl, _) if is_ttl => {}
            (CreateTtl, _) => {
                request.ttl_ms = None;
                *op = if flags == Some(CreateFlags::Container) { CreateContainer } else { Create };
            }
            (_, None) => return Err(MALFORMED),
            _ if request.acl.is_null() => return Err(NULL_LIST),
            _ if is_ttl => return Err(MALFORMED),
            (_, Some(CreateFlags::Container)) => *op = CreateContainer,
            _ => {}
        }
    }
    Ok(write)
}

/// Java notices a malformed multi after it has taken a zxid for it; a null ACL list, before.
const MALFORMED: Undecodable = Undecodable { takes_zxid: true };
const NULL_LIST: Undecodable = Undecodable { takes_zxid: false };
