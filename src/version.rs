//! What this program calls itself.

/// The text that `srvr`, `mntr` and `envi` show, in the form that clients and monitoring parse
/// (admin §1): the ZooKeeper release whose behaviour is the reference, our own version as its
/// qualifier, the commit and its date.
pub const FULL: &str = concat!(
    "3.9.5-ringkeeper_",
    env!("CARGO_PKG_VERSION"),
    "-",
    env!("RINGKEEPER_COMMIT"),
    ", built on ",
    env!("RINGKEEPER_DATE")
);
