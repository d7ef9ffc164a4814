//! Servers that were away, and what they get from a leader of the other kind when they are back.
