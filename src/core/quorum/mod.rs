//! Which sets of servers decide: majorities, groups with weights, and two configurations at once.

mod groups;
mod joint;
mod verifier;

pub use groups::Groups;
pub use joint::JointQuorum;
pub use verifier::{QuorumError, QuorumVerifier};
