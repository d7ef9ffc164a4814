//! Looking ahead: having the processor load what will be needed soon, several at a time.
//!
//! In a large tree nothing that a look-up follows is in the processor's caches: not the table's place, nor the slot,
//! nor the node. Each step waits for the one before it. But those of several look-ups do not wait for each other, and
//! together take hardly longer than one. Whoever has several requests or steps at hand therefore looks ahead to
//! [`LOOK_AHEAD`] of them before it works on the first. Nothing is changed by it, and nothing found.

use super::DataTree;
use crate::tree::delta::{Delta, Place};
use crate::tree::node::Node;
use crate::tree::slots::Slot;
use crate::tree::table::Hash;

impl DataTree {
    /// Looks ahead to the first [`LOOK_AHEAD`] of some paths that will be looked up, added or taken out soon.
    pub fn look_ahead<'p>(&self, paths: impl Iterator<Item = &'p [u8]>) {
        let mut slots = [Slot::NONE; LOOK_AHEAD];
        self.paths.look(|table| {
            let (mut hashes, mut count) = ([Hash::default(); LOOK_AHEAD], 0);
            for (hash, path) in hashes.iter_mut().zip(paths) {
                *hash = table.prefetch(path);
                count += 1;
            }
            for (slot, hash) in slots.iter_mut().zip(&hashes[..count]) {
                *slot = table.candidate(*hash).unwrap_or(Slot::NONE);
            }
        });
        self.load(&slots);
        self.nodes_in(&slots).for_each(Node::load_content);
    }

    /// Looks ahead to where the first [`LOOK_AHEAD`] of some steps will be [applied](DataTree::apply_at).
    pub fn look_ahead_to_steps<'s>(&self, steps: impl Iterator<Item = (&'s Delta, Place)>) {
        let mut slots = [Slot::NONE; LOOK_AHEAD];
        for (slot, (delta, place)) in slots.iter_mut().zip(steps) {
            if let Some(path) = self.paths.changed_by(delta) {
                self.paths.look(|table| table.prefetch(path));
            }
            delta.node().into_iter().for_each(Node::load);
            *slot = match delta {
                Delta::Create { .. } => place.parent,
                _ => place.slot,
            };
            if let Delta::Delete(_) = delta {
                self.slots.load_links(place.slot);
            }
        }
        self.load(&slots);
    }

    fn load(&self, slots: &[Slot]) {
        slots.iter().filter_map(|slot| slot.some()).for_each(|slot| self.slots.load(slot));
        self.nodes_in(slots).for_each(Node::load);
    }

    fn nodes_in(&self, slots: &[Slot]) -> impl Iterator<Item = &Node> {
        slots.iter().filter_map(|slot| self.slots.try_node(slot.some()?))
    }
}

/// How many to look ahead to at once: as many loads as a processor has under way.
pub const LOOK_AHEAD: usize = 16;
