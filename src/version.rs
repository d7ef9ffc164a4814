//! What this program calls itself.

/// The ZooKeeper release whose behaviour is the reference.
pub const ZOOKEEPER: &str = "3.9.5";

/// The text that `srvr`, `mntr` and `envi` show, in the form that clients and monitoring parse
/// (admin §1): ZooKeeper's version, our own as its qualifier, the commit and its date.
pub fn full() -> String {
    format!(
        "{ZOOKEEPER}-ringkeeper_{}-{}, built on {}",
        env!("CARGO_PKG_VERSION"),
        env!("RINGKEEPER_COMMIT"),
        env!("RINGKEEPER_DATE")
    )
}
