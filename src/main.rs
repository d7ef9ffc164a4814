//! The `ringkeeper` command.

fn main() {}
