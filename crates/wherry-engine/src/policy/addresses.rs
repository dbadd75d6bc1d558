//! What sort of address an IP address is: a public one, or one that a grant has to name.
//!
//! A guest that may reach `example.com` or every public address is not to reach the machine that it runs on, the network
//! around it or the keys of the cloud that it runs in. Those addresses stand here, in one table, by the registries of IANA
//! (RFC 6890 and what updates it). An address that carries another one inside is judged by both. Start at [`special`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses at which clouds hand keys to the machines in them; some lie among public ones.
const METADATA: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
];

/// Ranges of IPv4, with what they are.
const V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "an unspecified address"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "an address shared by a provider's customers"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "a reserved address"),
    ([192, 88, 99, 0], 24, "a reserved address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "a reserved address"),
    ([198, 51, 100, 0], 24, "a reserved address"),
    ([203, 0, 113, 0], 24, "a reserved address"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

/// Ranges of IPv6, with what they are. Outside of `2000::/3` nothing is public.
const V6: &[([u16; 8], u8, &str)] = &[
    ([0; 8], 128, "an unspecified address"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "a loopback address"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a private address"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "a link-local address"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a private address"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "a multicast address"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "a reserved address"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "a reserved address"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "a reserved address"),
];

/// Why an address is not a public one; `None` when it is.
#[must_use]
pub fn special(address: IpAddr) -> Option<&'static str> {
    let address = canonical(address);
    if METADATA.iter().any(|known| known.parse() == Ok(address)) {
        return Some("an address that serves a cloud's metadata");
    }
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// The address that is meant: an IPv4 address written as an IPv6 one is the IPv4 address.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Whether the first `bits` of both addresses are the same, and both are of one family.
#[must_use]
pub fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |one: u128, other: u128, width: u32| {
        let shift = width.saturating_sub(u32::from(bits));
        one.checked_shr(shift) == other.checked_shr(shift)
    };
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(one.to_bits().into(), other.to_bits().into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let of = |(network, bits, _): &&([u8; 4], u8, &str)| within(address.into(), (*network).into(), *bits);
    V4.iter().find(of).map(|(_, _, what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = carried(address) {
        return inner.into_iter().find_map(|inner| special(inner.into()));
    }
    let of = |(network, bits, _): &&([u16; 8], u8, &str)| within(address.into(), (*network).into(), *bits);
    let known = V6.iter().find(of).map(|(_, _, what)| *what);
    let outside = address.segments()[0] >> 13 != 1;
    known
        .or(outside.then_some("a reserved address"))
        .or_else(|| special_v4(isatap(address)?))
}

/// The IPv4 addresses that an IPv6 address leads to by a gateway or a tunnel.
fn carried(address: Ipv6Addr) -> Option<Vec<Ipv4Addr>> {
    let segments = address.segments();
    let v4 = |at: usize| Ipv4Addr::from((u32::from(segments[at]) << 16) | u32::from(segments[at + 1]));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-compatible (RFC 4291, 2.5.5.1) and IPv4-translated (RFC 2765), both long dead, and NAT64 (RFC 6052). Prefixes
        // of NAT64 for local use (RFC 8215) are none of the public ones.
        [0, 0, 0, 0, 0 | 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(vec![v4(6)]),
        // 6to4 (RFC 3056).
        [0x2002, ..] => Some(vec![v4(1)]),
        // Teredo (RFC 4380): the server, and the client with all bits turned round.
        [0x2001, 0, ..] => Some(vec![v4(2), Ipv4Addr::from(!v4(6).to_bits())]),
        _ => None,
    }
}

/// The IPv4 address in an interface identifier of ISATAP (RFC 5214).
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => {
            Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        special(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "::8.8.8.8",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_public_says_what_it_is() {
        for (text, what) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "shared"),
            ("100.127.255.255", "shared"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("169.254.1.1", "link-local"),
            ("169.254.169.254", "metadata"),
            ("100.100.100.200", "metadata"),
            ("168.63.129.16", "metadata"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.2.1", "reserved"),
            ("192.168.0.0", "private"),
            ("198.19.255.255", "reserved"),
            ("203.0.113.9", "reserved"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fd12:3456::1", "private"),
            ("fd00:ec2::254", "metadata"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "reserved"),
            ("100::1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            assert!(
                of(text).is_some_and(|found| found.contains(what)),
                "{text}: {:?}",
                of(text)
            );
        }
    }

    #[test]
    fn an_address_inside_another_is_judged() {
        for (text, what) in [
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "metadata"),
            ("::127.0.0.1", "loopback"),
            ("::ffff:0:127.0.0.1", "loopback"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b::169.254.169.254", "metadata"),
            ("64:ff9b:1::8.8.8.8", "reserved"),
            ("2002:7f00:1::", "loopback"),
            ("2002:c0a8:101::1", "private"),
            // 127.0.0.1 behind a public Teredo server, and a client behind one at 10.0.0.1.
            ("2001:0:808:808:0:0:80ff:fffe", "loopback"),
            ("2001:0:a00:1:0:0:f7f7:f7f7", "private"),
            ("2a00::5efe:192.168.0.1", "private"),
        ] {
            assert!(
                of(text).is_some_and(|found| found.contains(what)),
                "{text}: {:?}",
                of(text)
            );
        }
    }

    #[test]
    fn a_range_ends_where_it_ends() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (inside, network, bits, expected) in [
            ("10.1.2.3", "10.0.0.0", 8, true),
            ("11.0.0.0", "10.0.0.0", 8, false),
            ("1.2.3.4", "0.0.0.0", 0, true),
            ("10.0.0.1", "10.0.0.1", 32, true),
            ("10.0.0.2", "10.0.0.1", 32, false),
            ("::1", "0.0.0.0", 0, false),
            ("fd00::1", "fd00::", 8, true),
            ("fe00::1", "fd00::", 8, false),
            ("2a00::1", "::", 0, true),
        ] {
            assert_eq!(
                within(address(inside), address(network), bits),
                expected,
                "{inside} {network}/{bits}"
            );
        }
    }
}
