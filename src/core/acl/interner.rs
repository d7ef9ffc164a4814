use std::collections::{HashMap, HashSet};

use crate::jute::Writer;
use crate::proto::{Acl, AclRef};

/// Makes equal ACL lists share one, and knows the lists that requests use most by their bytes.
///
/// Lists that no node has any more are forgotten from time to time, so that the memory is bounded by the
/// lists in use.
pub struct Interner {
    open_bytes: Vec<u8>,
    by_bytes: HashMap<Box<[u8]>, AclRef>,
    lists: HashSet<AclRef>,
    /// Forget unused lists when there are so many.
    sweep_at: usize,
    /// About how many bytes the lists take.
    len: usize,
    /// Forget unused lists when they take so many.
    sweep_at_len: usize,
}

impl Interner {
    /// An interner that knows the list which lets everybody do everything.
    pub fn new() -> Interner {
        let mut open_bytes = Vec::new();
        AclRef::open().encode(&mut Writer::new(&mut open_bytes));
        Interner {
            open_bytes,
            by_bytes: HashMap::new(),
            lists: HashSet::new(),
            sweep_at: SWEEP_AT_MIN,
            len: 0,
            sweep_at_len: SWEEP_AT_LEN_MIN,
        }
    }

    /// The shared list that equals this one.
    pub fn share(&mut self, list: AclRef) -> AclRef {
        if list == AclRef::open() {
            return list;
        }
        if let Some(known) = self.lists.get(&list) {
            return known.clone();
        }
        if self.lists.len() >= self.sweep_at || self.len >= self.sweep_at_len {
            self.sweep();
        }
        self.len += len(&list);
        self.lists.insert(list.clone());
        list
    }

    /// The stored list for a request's list, if these bytes were learnt.
    pub(super) fn known(&self, bytes: &[u8]) -> Option<AclRef> {
        if bytes == self.open_bytes { Some(AclRef::open()) } else { self.by_bytes.get(bytes).cloned() }
    }

    /// Shares the stored list, and with `bytes` knows it again by what the request carried.
    pub(super) fn learn(&mut self, list: AclRef, bytes: Option<&[u8]>) -> AclRef {
        let list = self.share(list);
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() <= BYTES_LEN_MAX) {
            if self.by_bytes.len() >= BY_BYTES_MAX {
                self.by_bytes.clear();
            }
            self.by_bytes.insert(bytes.into(), list.clone());
        }
        list
    }

    fn sweep(&mut self) {
        self.by_bytes.clear();
        self.lists.retain(|list| !list.is_unshared());
        self.sweep_at = (self.lists.len() * 2).max(SWEEP_AT_MIN);
        self.len = self.lists.iter().map(len).sum();
        self.sweep_at_len = (self.len * 2).max(SWEEP_AT_LEN_MIN);
    }
}

impl Default for Interner {
    fn default() -> Self {
        Interner::new()
    }
}

/// About how many bytes a list takes.
fn len(list: &AclRef) -> usize {
    list.iter().map(|entry| size_of::<Acl>() + entry.scheme.len() + entry.id.len()).sum()
}

const SWEEP_AT_MIN: usize = 1024;
/// A list may be as long as a frame, and be learnt from a request that fails.
const SWEEP_AT_LEN_MIN: usize = 16 << 20;
const BY_BYTES_MAX: usize = 256;
const BYTES_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(id: usize) -> AclRef {
        AclRef::new([Acl { perms: 1, scheme: "digest".into(), id: format!("u:{id}").into() }])
    }

    #[test]
    fn equal_lists_become_one() {
        let mut interner = Interner::new();
        let (first, second) = (interner.share(list(1)), interner.share(list(1)));
        assert!(std::ptr::eq(&first[0], &second[0]));
        let (open, again) = (interner.share(AclRef::open()), interner.share(AclRef::open()));
        assert!(std::ptr::eq(&open[0], &again[0]));
    }

    #[test]
    fn lists_that_nobody_has_are_forgotten() {
        let mut interner = Interner::new();
        let kept: Vec<_> = (0..10).map(|id| interner.share(list(id))).collect();
        for id in 0..SWEEP_AT_MIN * 10 {
            interner.learn(list(id), Some(&id.to_be_bytes()));
        }
        assert!(interner.lists.len() <= SWEEP_AT_MIN + kept.len());
        assert!(std::ptr::eq(&interner.share(list(3))[0], &kept[3][0]), "what is in use is still known");
    }

    #[test]
    fn a_few_large_lists_that_nobody_has_are_forgotten_too() {
        let mut interner = Interner::new();
        for id in 0..100 {
            let large = Acl { perms: id, scheme: "digest".into(), id: "u".repeat(1 << 20).into() };
            interner.share(AclRef::new([large]));
        }
        assert!(interner.lists.len() <= SWEEP_AT_LEN_MIN >> 20, "{}", interner.lists.len());
    }
}
