/// What a request asks for (client-protocol §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own; client-protocol §5 describes each")]
pub enum OpCode {
    Create = 1,
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    GetAcl = 6,
    SetAcl = 7,
    GetChildren = 8,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    Reconfig = 16,
    CheckWatches = 17,
    RemoveWatches = 18,
    CreateContainer = 19,
    DeleteContainer = 20,
    CreateTtl = 21,
    MultiRead = 22,
    Auth = 100,
    SetWatches = 101,
    Sasl = 102,
    GetEphemerals = 103,
    GetAllChildrenNumber = 104,
    SetWatches2 = 105,
    AddWatch = 106,
    WhoAmI = 107,
    CreateSession = -10,
    CloseSession = -11,
}

impl OpCode {
    /// The operation with this number, if there is one.
    pub fn from_number(number: i32) -> Option<OpCode> {
        use OpCode::*;
        const ALL: [OpCode; 31] = [
            Create,
            Delete,
            Exists,
            GetData,
            SetData,
            GetAcl,
            SetAcl,
            GetChildren,
            Sync,
            Ping,
            GetChildren2,
            Check,
            Multi,
            Create2,
            Reconfig,
            CheckWatches,
            RemoveWatches,
            CreateContainer,
            DeleteContainer,
            CreateTtl,
            MultiRead,
            Auth,
            SetWatches,
            Sasl,
            GetEphemerals,
            GetAllChildrenNumber,
            SetWatches2,
            AddWatch,
            WhoAmI,
            CreateSession,
            CloseSession,
        ];
        ALL.into_iter().find(|op| op.number() == number)
    }

    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// Whether the request is ordered by the commit role: everything that can change state, and sync.
    pub fn is_ordered(self) -> bool {
        use OpCode::*;
        matches!(
            self,
            Create
                | Create2
                | CreateContainer
                | CreateTtl
                | Delete
                | SetData
                | SetAcl
                | Multi
                | Reconfig
                | Sync
                | CreateSession
                | CloseSession
        )
    }

    /// Whether an ordered request may make the tree larger. A multi may, whatever its parts are.
    pub fn may_grow_tree(self) -> bool {
        self.is_ordered()
            && !matches!(self, OpCode::Delete | OpCode::Sync | OpCode::CreateSession | OpCode::CloseSession)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_and_strangers_do_not() {
        for number in -200..200 {
            if let Some(op) = OpCode::from_number(number) {
                assert_eq!(op.number(), number);
            }
        }
        assert_eq!(OpCode::from_number(0), None);
        assert_eq!(OpCode::from_number(-1), None);
        assert_eq!(OpCode::from_number(107), Some(OpCode::WhoAmI));
    }
}
