//! Floors: the least that the same work can cost on this host with this runtime. A server that does
//! anything at all stands above them; how far is what the bench tells.

pub(crate) mod disk;
pub(crate) mod echo;
