use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Why a port cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error(
        "{address} is already in use, by another ringkeeper, ZooKeeper or other program; stop it, or \
         choose another clientPort (`ss -ltnp 'sport = :{}'` shows who has it)", address.port()
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is none of this machine's, or the port needs a privilege.
    #[error("{address} cannot be listened on ({source}); see clientPortAddress and clientPort")]
    Unusable {
        /// The address asked for.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Listens on `address`, alone: without SO_REUSEPORT, a second server on the port is refused.
/// `backlog` is how many connections may wait to be accepted.
pub fn listen(address: SocketAddr, backlog: u32) -> Result<TcpListener, ListenError> {
    let unusable = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Unusable { address, source },
    };
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(unusable)?;
    // Connections of a server that was just stopped may linger on the port; it is free all the same.
    socket.set_reuse_address(true).map_err(unusable)?;
    if address.ip().is_ipv6() && address.ip().is_unspecified() {
        // As in Java, the wildcard serves both families.
        socket.set_only_v6(false).map_err(unusable)?;
    }
    socket.bind(&address.into()).map_err(unusable)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(unusable)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_on_the_port_is_told_who_is_in_the_way() {
        let first = listen(([127, 0, 0, 1], 0).into(), 8).expect("a free port");
        let address = first.local_addr().expect("an address");
        let refused = listen(address, 8).expect_err("the port is taken");
        assert!(matches!(refused, ListenError::InUse { .. }));
        assert!(refused.to_string().contains("already in use"), "{refused}");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let refused = listen(([192, 0, 2, 1], 0).into(), 8).expect_err("not ours");
        assert!(refused.to_string().contains("192.0.2.1"), "{refused}");
    }
}
