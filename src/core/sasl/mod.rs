//! Who a peer is, by SASL (zab §13, client-protocol §10): the mechanism DIGEST-MD5, the log-in file that has the names
//! and passwords, and what servers say to each other to prove theirs.
//!
//! ```text
//!   LoginFile --section--> Credentials, Users
//!                               |        |
//!   DigestClient <--tokens--> DigestServer      the mechanism
//!        |                         |
//!   QuorumClient <--packets--> QuorumServer     between servers, on the quorum port and the election port
//! ```

mod digest_md5;
mod directives;
mod login_file;
mod nonces;
mod quorum;

pub use digest_md5::{Credentials, DigestClient, DigestServer, MechanismError, Service, Users};
pub use login_file::{LoginError, LoginFile, SyntaxError};
pub use nonces::Nonces;
pub use quorum::{AuthError, Authentication, Proof, QuorumAuth, QuorumClient, QuorumServer};
