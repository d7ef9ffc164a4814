//! etcd's protocol, as far as a load needs it: gRPC calls over one HTTP/2 connection.
//!
//! | module     | what it is about                                                        |
//! |------------|-------------------------------------------------------------------------|
//! | `messages` | what is asked and answered (etcd's rpc.proto), field by field           |
//! | `channel`  | calls on their way, over a socket that its owner polls: no runtime      |
//! | `client`   | such a channel under load                                               |
//! | `session`  | the same used call by call: whether a server serves, keys before a load |
//! | `start`    | what a server of it is started with                                     |

mod channel;
mod client;
mod messages;
mod session;
pub(crate) mod start;
#[cfg(test)]
mod stub;
#[cfg(test)]
mod tests;

pub(crate) use client::{Client, Expected};
pub(crate) use messages::{Read, Request};
pub(crate) use session::Session;
