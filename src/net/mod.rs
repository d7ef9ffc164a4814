//! Client ports: who may connect, and to which shard a connection goes.

mod acceptor;
mod admission;
mod arrivals;
mod door;
mod listener;
pub mod peers;
mod protection;
mod stream;
mod tally;
mod tls_socket;

pub use acceptor::{Accepted, Acceptor};
pub use admission::{Admission, Admitted, Limits, Refusal};
pub use door::ClientDoor;
pub use listener::{ListenError, listen};
pub use protection::{ConnectError, Protection};
pub use stream::{PeerSocket, PeerStream};
pub use tls_socket::TlsSocket;
