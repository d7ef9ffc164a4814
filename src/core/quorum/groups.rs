use std::collections::{BTreeMap, BTreeSet};

use super::verifier::QuorumError;
use crate::id::ServerId;

/// The `group.` and `weight.` lines of a configuration, before they are held against its servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    group_of: BTreeMap<ServerId, i64>,
    weights: BTreeMap<ServerId, i64>,
    groups: BTreeSet<i64>,
}

/// Servers in groups, each with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    groups: Vec<Group>,
    weights: BTreeMap<ServerId, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    servers: Vec<ServerId>,
    weight: i128,
}

impl Groups {
    /// Puts a server into a group; it may be in one only.
    pub fn add(&mut self, server: ServerId, group: i64) -> Result<(), QuorumError> {
        self.groups.insert(group);
        match self.group_of.insert(server, group) {
            None => Ok(()),
            Some(_) => Err(QuorumError::InMultipleGroups { id: server }),
        }
    }

    /// Gives a server a weight other than 1.
    pub fn weigh(&mut self, server: ServerId, weight: i64) {
        self.weights.insert(server, weight);
    }

    /// The groups with their servers, each in ascending order.
    pub fn groups(&self) -> impl Iterator<Item = (i64, Vec<ServerId>)> {
        self.groups.iter().map(|group| (*group, self.servers_of(*group)))
    }

    /// The weights that were given, by server in ascending order.
    pub fn weights(&self) -> impl Iterator<Item = (ServerId, i64)> {
        self.weights.iter().map(|(id, weight)| (*id, *weight))
    }

    pub(super) fn hierarchy(&self, voters: &BTreeSet<ServerId>) -> Result<Hierarchy, QuorumError> {
        if let Some(id) = voters.iter().find(|id| !self.group_of.contains_key(id)) {
            return Err(QuorumError::NotInAGroup { id: *id });
        }
        if let Some((id, weight)) = self.weights().find(|(_, weight)| *weight < 0) {
            return Err(QuorumError::NegativeWeight { id, weight });
        }
        let mut weights = self.weights.clone();
        for (id, group) in &self.group_of {
            if voters.contains(id) {
                weights.entry(*id).or_insert(DEFAULT_WEIGHT);
            } else if !weights.contains_key(id) {
                return Err(QuorumError::NoVoter { group: *group, id: *id });
            }
        }
        let weigh = |servers: Vec<ServerId>| {
            let weight = servers.iter().map(|id| i128::from(weights[id])).sum();
            Group { servers, weight }
        };
        let groups = self.groups().map(|(_, servers)| weigh(servers)).filter(|group| group.weight > 0);
        Ok(Hierarchy { groups: groups.collect(), weights })
    }

    fn servers_of(&self, group: i64) -> Vec<ServerId> {
        self.group_of.iter().filter(|(_, of)| **of == group).map(|(id, _)| *id).collect()
    }
}

impl Hierarchy {
    pub(super) fn weight(&self, id: ServerId) -> i64 {
        self.weights.get(&id).copied().unwrap_or(0)
    }

    pub(super) fn contains_quorum(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        let mut agreeing = 0;
        for group in &self.groups {
            let servers = group.servers.iter().filter(|id| agrees(**id));
            let weight: i128 = servers.map(|id| i128::from(self.weight(*id))).sum();
            agreeing += usize::from(weight > group.weight / 2);
        }
        agreeing > self.groups.len() / 2
    }
}

const DEFAULT_WEIGHT: i64 = 1;
