//! Who may do what: ACL lists, the schemes of their entries, and the identities of connections
//! (server-semantics §6).

mod authenticate;
mod interner;
mod ip;
mod permits;
mod policy;
mod validate;

pub use authenticate::{authenticate, digest_id, ip_identity, user_name};
pub use interner::Interner;
pub use permits::{encode_redacted, permits};
pub use policy::{DigestAlgorithm, Policy};
pub use validate::validate;

const AUTH: &str = "auth";
const DIGEST: &str = "digest";
const IP: &str = "ip";
const SASL: &str = "sasl";
const SUPER: &str = "super";
const WORLD: &str = "world";
const X509: &str = "x509";
