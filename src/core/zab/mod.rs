//! Zab.

pub mod packet;
