//! Jute, ZooKeeper's binary encoding: big-endian, no tags, fields in order (client-protocol §1).
//!
//! Reading never allocates for what it can borrow and never panics, whatever the bytes are.

mod reader;
mod writer;

pub use reader::{DecodeError, Reader};
pub use writer::Writer;
