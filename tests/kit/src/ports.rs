//! Ports for servers under test.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A TCP port of the loopback address that nobody listens on and no other test will be given.
///
/// The claim lasts until the value is dropped, whether or not a server listens meanwhile, so a server can
/// be stopped and started again on its port.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    /// Claims a port: another than the last time, as far as there are any, for connections of a server that has ended
    /// linger on its port, and not every listener can do with that.
    ///
    /// # Panics
    /// When every port of the range is taken.
    pub fn claim() -> Self {
        let count = u32::from(RANGE.end() - RANGE.start()) + 1;
        // Test programs that run at once start looking at different places.
        let start =
            process::id().wrapping_mul(STRIDE).wrapping_add(CLAIMS.fetch_add(1, Ordering::Relaxed)) % count;
        (0..count)
            .map(|step| RANGE.start() + ((start + step) % count) as u16)
            .find_map(|number| Some(Self { number, _claim: try_claim(number).ok()? }))
            .unwrap_or_else(|| panic!("no free port in {RANGE:?}"))
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Below the range from which Linux takes the local ports of outgoing connections (32768 and up), so that
/// no connection can occupy a server's port between a stop and a start.
const RANGE: RangeInclusive<u16> = 12_000..=31_999;

/// How many claims this process has made.
static CLAIMS: AtomicU32 = AtomicU32::new(0);

/// Process ids count up by one: this spreads them over the range.
const STRIDE: u32 = 61;

/// The name in the abstract socket namespace is the claim among tests: the kernel gives it to one process
/// and takes it back when that process ends, however it ends. Binding shows that nobody else listens.
fn try_claim(number: u16) -> io::Result<UnixListener> {
    let claim =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("ringkeeper-test-port-{number}"))?)?;
    check_unused(number)?;
    Ok(claim)
}

fn check_unused(number: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_free_and_is_not_given_twice() {
        let ports: Vec<Port> = (0..50).map(|_| Port::claim()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
        for number in numbers {
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).expect("a claimed port can be listened on");
        }
    }

    #[test]
    fn a_port_is_not_given_again_as_soon_as_it_is_left() {
        let left = Port::claim().number();
        assert_ne!(Port::claim().number(), left);
    }

    #[test]
    fn a_port_that_a_stranger_listens_on_is_not_claimed() {
        let port = Port::claim();
        let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).expect("it was free");
        assert!(check_unused(port.number()).is_err());
    }
}
