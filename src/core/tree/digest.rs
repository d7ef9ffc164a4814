//! The digest of a tree, as Java's servers compute and compare it (storage-formats §6): the sum of the CRC-32 of
//! each node's path, data and stat. What is below `/zookeeper` does not count, and the root's path is empty.

use crc32fast::Hasher;

use crate::tree::delta::Counters;
use crate::tree::node::Node;

/// What kind of digest this is: the one that Java servers of 3.6 and later call version 2.
pub const DIGEST_VERSION: i32 = 2;

/// What a node adds to the digest of its tree, with what it knows of its children.
pub(super) fn of(node: &Node, counters: Option<Counters>) -> u64 {
    if node.path_bytes().starts_with(b"/zookeeper/") {
        return 0;
    }
    let Counters { cversion, pzxid } = counters.unwrap_or(Counters { cversion: 0, pzxid: node.czxid() });
    node.digest(pzxid, cversion).into()
}

/// What the last node whose counters changed added to the digest after that: most creations are below the parent of the
/// one before.
#[derive(Clone, Default)]
pub(super) struct LastCounted(Option<(Node, Counters, u64)>);

impl LastCounted {
    /// By how much the digest changes as a node's counters do, to be added to it.
    pub(super) fn change(&mut self, node: &Node, before: Option<Counters>, after: Counters) -> u64 {
        let out = match &self.0 {
            Some((last, counters, sum)) if last.is_same(node) && before == Some(*counters) => *sum,
            _ => of(node, before),
        };
        let into = of(node, Some(after));
        match &mut self.0 {
            Some((last, counters, sum)) if last.is_same(node) => (*counters, *sum) = (after, into),
            other => *other = Some((node.clone(), after, into)),
        }
        into.wrapping_sub(out)
    }
}

/// The CRC-32 of some bytes.
pub(super) fn sum_of(bytes: &[u8]) -> u32 {
    match bytes.first_chunk() {
        // The library is slow with so few.
        Some(first) if bytes.len() <= BLOCK_LEN => {
            let mut block = [0; BLOCK_LEN];
            let start = BLOCK_LEN - bytes.len();
            block[start..].copy_from_slice(bytes);
            block[start..start + 4].copy_from_slice(&xored(*first, u32::MAX));
            sum_of_block(&block)
        }
        _ => {
            let mut hasher = Hasher::new();
            hasher.update(bytes);
            hasher.finalize()
        }
    }
}

/// The numbers of a stat in the digest's order, which is not that of a snapshot.
pub(super) struct StatBytes {
    /// The stat is at the end, behind zeros.
    block: [u8; BLOCK_LEN],
    at: usize,
}

impl Default for StatBytes {
    fn default() -> StatBytes {
        StatBytes { block: [0; BLOCK_LEN], at: BLOCK_LEN - STAT_LEN }
    }
}

impl StatBytes {
    pub(super) fn long(&mut self, value: i64) -> &mut StatBytes {
        self.block[self.at..self.at + 8].copy_from_slice(&value.to_be_bytes());
        self.at += 8;
        self
    }

    pub(super) fn int(&mut self, value: i32) -> &mut StatBytes {
        self.block[self.at..self.at + 4].copy_from_slice(&value.to_be_bytes());
        self.at += 4;
        self
    }

    /// The CRC-32 of what has this one and of the stat behind it.
    pub(super) fn behind(&mut self, sum: u32) -> u32 {
        debug_assert_eq!(self.at, BLOCK_LEN);
        if let Some(first) = self.block[BLOCK_LEN - STAT_LEN..].first_chunk_mut() {
            *first = xored(*first, !sum);
        }
        sum_of_block(&self.block)
    }
}

/// The CRC-32 of what stands behind the zeros of a block, if its first four bytes were
/// [XORed](xored) with the register as it was before them: leading zeros leave a register of zero as it is.
fn sum_of_block(block: &[u8; BLOCK_LEN]) -> u32 {
    let mut hasher = Hasher::new_with_initial(u32::MAX);
    hasher.update(block);
    hasher.finalize()
}

fn xored(first: [u8; 4], register: u32) -> [u8; 4] {
    (u32::from_le_bytes(first) ^ register).to_le_bytes()
}

const STAT_LEN: usize = 60;
/// From this length on the library uses the processor's instructions for it.
const BLOCK_LEN: usize = 128;

#[cfg(test)]
mod tests;
