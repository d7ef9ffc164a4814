//! TLS: keys and certificates as ZooKeeper's keys name them, whom they make this server trust, and handshakes.
//!
//! ```text
//!   TlsOptions --store--> Identity, trusted certificates --> Tls --handshake--> PeerStream
//!                ^                                            |
//!                '------------ watch: files that change ------'
//! ```
//!
//! A handshake blocks, and may look up a name: it is done on an ordinary thread, and the connection goes to its
//! executor when it is ready.

mod context;
mod explain;
mod handshake;
mod host_names;
mod jks;
mod pem_file;
mod store;
mod verifier;
mod watch;

pub use context::{Tls, TlsError};
pub use explain::{explain, explain_session};
pub use handshake::{Peeked, peek};
pub use host_names::Peer;
pub use store::StoreError;

#[cfg(test)]
pub(crate) mod tests;
