//! zoo.cfg and system properties, in two steps: [`Raw`] is what stands there, [`Config`] is proven.
//!
//! [`KEYS`] lists every key that ZooKeeper knows, once, with what this server makes of it. An unknown
//! key in zoo.cfg is legal and becomes a system property, as in Java.

mod error;
mod keys;
mod numbers;
mod properties;
mod proven;
mod raw;
mod servers;

pub use error::{ConfigError, Warning};
pub use keys::{KEYS, Key, Place, Status};
pub use proven::{
    Admin, ClientPort, Config, Containers, Layout, LayoutKind, Limits, Security, Sessions, Storage,
};
pub use raw::Raw;
