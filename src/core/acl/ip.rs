use std::net::{Ipv4Addr, Ipv6Addr};

/// What the id of an ip entry means: an address, and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: Address,
    bits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address {
    V4(u32),
    V6(u128),
}

impl Network {
    /// Reads `address` or `address/bits`, as Java does: each part of a dotted quad may have a sign and
    /// leading zeros, and an IPv6 address has no embedded IPv4 address and no zone.
    pub(super) fn parse(id: &str) -> Option<Network> {
        let (address, bits) = match id.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<i32>().ok()?)),
            None => (id, None),
        };
        let address = Address::parse(address)?;
        let bits = bits.map_or(Some(address.bits()), |bits| u32::try_from(bits).ok())?;
        (bits <= address.bits()).then_some(Network { address, bits })
    }

    /// Whether the address, as an identity carries it, is in the network.
    pub(super) fn contains(&self, identity: &str) -> bool {
        match (self.address, Address::parse(identity)) {
            (Address::V4(own), Some(Address::V4(other))) => {
                (own ^ other).checked_shr(u32::BITS - self.bits).unwrap_or(0) == 0
            }
            (Address::V6(own), Some(Address::V6(other))) => {
                (own ^ other).checked_shr(u128::BITS - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Address {
    fn parse(text: &str) -> Option<Address> {
        if text.contains(':') {
            let plain = !text.contains('.');
            return plain
                .then(|| text.parse::<Ipv6Addr>().ok())
                .flatten()
                .map(|ip| Address::V6(ip.to_bits()));
        }
        let mut octets = [0; 4];
        let mut parts = text.split('.');
        for octet in &mut octets {
            *octet = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
        }
        parts.next().is_none().then(|| Address::V4(Ipv4Addr::from(octets).to_bits()))
    }

    fn bits(self) -> u32 {
        match self {
            Address::V4(_) => u32::BITS,
            Address::V6(_) => u128::BITS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, identity: &str) -> Option<bool> {
        Network::parse(network).map(|network| network.contains(identity))
    }

    #[test]
    fn an_address_is_in_the_networks_that_share_its_leading_bits() {
        assert_eq!(contains("127.0.0.1", "127.0.0.1"), Some(true));
        assert_eq!(contains("127.0.0.1", "127.0.0.2"), Some(false));
        assert_eq!(contains("10.1.2.3/8", "10.9.9.9"), Some(true));
        assert_eq!(contains("10.1.2.3/16", "10.9.9.9"), Some(false));
        assert_eq!(contains("10.1.2.3/0", "192.168.0.1"), Some(true));
        assert_eq!(contains("10.1.2.3/0", "0:0:0:0:0:0:0:1"), Some(false), "another family");
        assert_eq!(contains("::1", "0:0:0:0:0:0:0:1"), Some(true));
        assert_eq!(contains("2001:db8::/32", "2001:db8:0:0:0:0:0:5"), Some(true));
        assert_eq!(contains("2001:db8::/32", "2001:db9:0:0:0:0:0:5"), Some(false));
        assert_eq!(contains("::/0", "2001:db9:0:0:0:0:0:5"), Some(true));
    }

    #[test]
    fn what_java_does_not_read_as_an_address_is_refused() {
        for id in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.-1",
            "1.2.3.x",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "1.2.3.4/8/8",
            "localhost",
            "::1/129",
            "::ffff:1.2.3.4",
            "fe80::1%eth0",
            ":",
            ":::",
        ] {
            assert_eq!(Network::parse(id), None, "{id}");
        }
        assert_eq!(Network::parse("01.+2.3.4/032"), Network::parse("1.2.3.4"));
    }
}
