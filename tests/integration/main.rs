//! One ringkeeper in a process of its own, seen from outside.

mod peers;
mod protocol;
