use super::write::Asker;
use crate::error::Code;
use crate::jute::{DecodeError, Reader};
use crate::proto::Txn;

/// Reads reconfig's record: the servers that join, those that leave, the new list, and the version of
/// the list that they change. A server that stands alone looks at none of them.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..3 {
        reader.ustring()?;
    }
    reader.long().map(|_| ())
}

/// Decides reconfig on a server that stands alone, which has nothing to reconfigure
/// (server-semantics §12).
pub(super) fn decide<'r>(asker: &Asker<'_>) -> Result<Txn<'r>, Code> {
    if !asker.settings.reconfig_enabled {
        return Err(Code::ReconfigDisabled);
    }
    asker.check_session()?;
    Err(Code::Unimplemented)
}
