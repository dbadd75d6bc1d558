//! Addresses and names that a guest is granted: `--allow-net`, `--allow-listen`.
//!
//! A rule is compared with what [`name`] and `addresses::canonical` make of the guest's spelling, so that letter case, a dot at
//! the end, letters beyond ASCII and other ways to write a number change nothing. A rule prints as it is typed.

use super::Policy;
use super::addresses::{canonical, special, within};
use crate::{Error, Kind, Result};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which hosts a rule covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name, in lower case and without a dot at its end. `localhost` is the addresses of this machine too.
    Name(String),
    /// Every name below this one: `*.example.com` is `example.com` here.
    Below(String),
    /// Addresses that share the first bits with this one.
    Range(IpAddr, u8),
    /// Any public name or address.
    Any,
}

/// Which ports a rule covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ports {
    /// This one.
    One(u16),
    /// All of them.
    Any,
}

/// Where a guest may connect to, as in `--allow-net db.example.com:5432`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetRule {
    /// The hosts.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
}

/// Where a guest may listen, as in `--allow-listen 127.0.0.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenRule {
    /// The addresses, never names. `0.0.0.0` is each address of IPv4, as it is to the system.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
}

impl Policy {
    /// Grants connections, as in `--allow-net HOST:PORT`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no host and port.
    pub fn allow_net(&mut self, text: &str) -> Result<()> {
        let (host, ports) = endpoint(text)?;
        let rule = NetRule { host, ports };
        if !self.net.contains(&rule) {
            self.net.push(rule);
        }
        Ok(())
    }

    /// Grants listening, as in `--allow-listen ADDR:PORT`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no address and port.
    pub fn allow_listen(&mut self, text: &str) -> Result<()> {
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
            let port = text.trim_start_matches(':');
            return Err(usage("no address to listen at".to_owned()).with_hint(format!(
                "`127.0.0.1:{port}` is this machine only, `0.0.0.0:{port}` is every network"
            )));
        }
        let (host, ports) = endpoint(text)?;
        match &host {
            HostPattern::Name(name) if name != "localhost" => {
                return Err(
                    usage(format!("`{name}` is a name, and a guest listens at an address"))
                        .with_hint("such as `127.0.0.1:8080`, `localhost:8080` or `0.0.0.0:8080`"),
                );
            }
            HostPattern::Below(_) => {
                return Err(usage("a guest listens at an address".to_owned())
                    .with_hint("such as `127.0.0.1:8080`, `localhost:8080` or `0.0.0.0:8080`"));
            }
            _ => {}
        }
        let rule = ListenRule { host, ports };
        if !self.listen.contains(&rule) {
            self.listen.push(rule);
        }
        Ok(())
    }

    /// Asks this server for addresses of names instead of the system, as in `--resolver IP[:PORT]`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no address.
    pub fn set_resolver(&mut self, text: &str) -> Result<()> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let server = text
            .parse()
            .ok()
            .or_else(|| Some(SocketAddr::new(bare.parse().ok()?, 53)));
        let server = server.ok_or_else(|| {
            usage("not the address of a DNS server".to_owned()).with_hint("such as `9.9.9.9` or `[::1]:5353`")
        })?;
        self.resolver = Some(server);
        Ok(())
    }
}

impl HostPattern {
    /// Reads a host: `example.com`, `*.example.com`, `10.0.0.1`, `10.0.0.0/8`, `[::1]`, `[fd00::/8]`, `localhost` or `*`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is none.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(inner) = text.strip_prefix('[') {
            // Both `[fd00::/8]` and `[fd00::]/8` are written.
            let inner = inner.replacen(']', "", 1);
            return range(&inner).and_then(|(address, bits)| match address {
                IpAddr::V6(_) => Ok(Self::Range(address, bits)),
                IpAddr::V4(_) => Err(usage(format!("`{text}` is no IPv6 address"))
                    .with_hint(format!("brackets are for IPv6: `{inner}`"))),
            });
        }
        if text.contains('/') {
            return range(text).map(|(address, bits)| Self::Range(address, bits));
        }
        if let Some(below) = text.strip_prefix("*.") {
            return match named(below)? {
                Host::Name(name) => Ok(Self::Below(name)),
                Host::Address(_) => Err(usage(format!("`{text}` is neither a name nor a range"))
                    .with_hint("a range of addresses is such as `10.0.0.0/8`")),
            };
        }
        if text.contains('*') {
            return Err(usage(format!(
                "`*` stands alone or in front of a name, not as in `{text}`"
            ))
            .with_hint("such as `*.example.com`, or a range such as `10.0.0.0/8`"));
        }
        Ok(match named(text)? {
            Host::Name(name) => Self::Name(name),
            Host::Address(address) => Self::Range(address, width(address)),
        })
    }

    /// Whether it covers this name, which [`name`] gave.
    #[must_use]
    pub fn covers_name(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Below(own) => name
                .strip_suffix(own.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Range(..) => false,
            Self::Any => !is_local(name),
        }
    }

    /// Whether it covers this address by itself, without a name that leads there.
    #[must_use]
    pub fn covers_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Name(own) => own == "localhost" && canonical(address).is_loopback(),
            Self::Below(_) => false,
            Self::Range(network, bits) => {
                within(canonical(address), *network, *bits) || within(address, *network, *bits)
            }
            Self::Any => special(address).is_none(),
        }
    }

    /// Whether it covers this address of the machine itself.
    fn covers_local(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Range(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32) => address.is_ipv4(),
            Self::Range(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128) => address.is_ipv6(),
            other => other.covers_address(address),
        }
    }
}

impl Ports {
    /// Whether it covers this port.
    #[must_use]
    pub fn cover(self, port: u16) -> bool {
        match self {
            Self::One(own) => own == port,
            Self::Any => true,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(0) => Err(usage("port 0 is no port to grant".to_owned()).with_hint("`*` is any port")),
            Ok(port) if digits => Ok(Self::One(port)),
            _ => Err(usage(format!("`{text}` is no port"))
                .with_hint("a port is a number up to 65535, or `*` for any")),
        }
    }
}

impl NetRule {
    /// Whether it covers an address by itself.
    #[must_use]
    pub fn covers(&self, address: SocketAddr) -> bool {
        self.ports.cover(address.port()) && self.host.covers_address(address.ip())
    }
}

impl ListenRule {
    /// Whether a guest may listen at this address.
    #[must_use]
    pub fn covers(&self, address: SocketAddr) -> bool {
        self.ports.cover(address.port()) && self.host.covers_local(address.ip())
    }
}

/// A host as a guest or a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case, in ASCII, and without a dot at its end.
    Name(String),
    /// An address, in its own family.
    Address(IpAddr),
}

/// Reads the name or address of a host, however it is spelled: `EXAMPLE.com.`, `bücher.example`, `0x7f.1`, `[::1]`, `::1`.
#[must_use]
pub fn host(text: &str) -> Option<Host> {
    let address = match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let label = |label: &str| !label.is_empty() && label.len() <= 63;
            let sound = name.len() <= 253 && name.split('.').all(label);
            return sound.then(|| Host::Name(name.to_owned()));
        }
        Ok(url::Host::Ipv4(address)) => IpAddr::V4(address),
        Ok(url::Host::Ipv6(address)) => IpAddr::V6(address),
        Err(_) => IpAddr::V6(text.parse().ok()?),
    };
    Some(Host::Address(canonical(address)))
}

/// Whether a name is one of this machine, wherever it may lead (RFC 6761, 6.3).
#[must_use]
pub fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn named(text: &str) -> Result<Host> {
    if text.matches(':').count() > 1 {
        return Err(usage(format!("`{text}` is neither a name nor an address"))
            .with_hint("an IPv6 address is in brackets: `[::1]:8080`"));
    }
    host(text).ok_or_else(|| {
        let error = usage(format!("`{text}` is neither a name nor an address"));
        error.with_hint("such as `example.com`, `*.example.com`, `192.0.2.1`, `[2001:db8::1]`, `10.0.0.0/8` or `localhost`")
    })
}

/// Reads an address with or without how many of its bits count.
fn range(text: &str) -> Result<(IpAddr, u8)> {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let hint = "a range is such as `10.0.0.0/8` or `[fd00::/8]`";
    let address: IpAddr = address
        .parse()
        .map_err(|_| usage(format!("`{text}` is no address and no range of addresses")).with_hint(hint))?;
    let most = width(address);
    let Some(bits) = bits else {
        return Ok((address, most));
    };
    let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| {
        usage(format!(
            "`{bits}` is not how many bits of `{address}` count: at most {most}"
        ))
        .with_hint(hint)
    })?;
    Ok((first(address, bits), bits))
}

/// The first address of the range that an address lies in.
fn first(address: IpAddr, bits: u8) -> IpAddr {
    let kept = |width: u32| u128::MAX.checked_shl(width - u32::from(bits)).unwrap_or(0);
    match address {
        IpAddr::V4(address) => {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the mask of IPv4 is its lower 32 bits"
            )]
            let mask = kept(32) as u32;
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept(128))),
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Reads `HOST:PORT`.
fn endpoint(text: &str) -> Result<(HostPattern, Ports)> {
    if let Some((scheme, _)) = text.split_once("://") {
        let error = usage(format!("a host and a port, without `{scheme}://`"));
        return Err(match scheme {
            "http" | "https" => error.with_hint(format!("requests are granted by `--allow-http {text}`")),
            _ => error.with_hint("such as `example.com:443`"),
        });
    }
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((_, rest)) if rest.contains(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let bare: std::result::Result<Ipv6Addr, _> = text.parse();
    if let Ok(address) = bare {
        return Err(usage(format!("`{text}` names no port")).with_hint(format!(
            "an IPv6 address is in brackets: `[{address}]:443`, `[{address}]:*` for any port"
        )));
    }
    let Some(port) = port else {
        let host = HostPattern::parse(host)?;
        return Err(usage(format!("`{text}` names no port"))
            .with_hint(format!("`{host}:443`, or `{host}:*` for any port")));
    };
    Ok((HostPattern::parse(host)?, Ports::parse(port)?))
}

pub(super) fn usage(message: String) -> Error {
    Error::new(Kind::Usage, message)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Range(address @ IpAddr::V4(_), 32) => write!(f, "{address}"),
            Self::Range(address @ IpAddr::V4(_), bits) => write!(f, "{address}/{bits}"),
            Self::Range(address, 128) => write!(f, "[{address}]"),
            Self::Range(address, bits) => write!(f, "[{address}/{bits}]"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(port) => write!(f, "{port}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for NetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.ports)
    }
}

impl fmt::Display for ListenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> NetRule {
        let mut policy = Policy::default();
        policy.allow_net(text).unwrap();
        policy.net.remove(0)
    }

    #[test]
    fn a_rule_prints_as_it_is_typed() {
        for (text, printed) in [
            ("db.example.com:5432", "db.example.com:5432"),
            ("DB.Example.COM.:5432", "db.example.com:5432"),
            ("*.example.com:*", "*.example.com:*"),
            ("bücher.example:443", "xn--bcher-kva.example:443"),
            ("my_db.internal:1", "my_db.internal:1"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("0x7f.1:80", "127.0.0.1:80"),
            ("10.1.2.3/8:443", "10.0.0.0/8:443"),
            ("0.0.0.0/0:53", "0.0.0.0/0:53"),
            ("[::1]:80", "[::1]:80"),
            ("[fd00::/8]:*", "[fd00::/8]:*"),
            ("[fd12::]/8:*", "[fd00::/8]:*"),
            ("[::/0]:*", "[::/0]:*"),
            ("localhost:65535", "localhost:65535"),
            ("*:443", "*:443"),
        ] {
            assert_eq!(rule(text).to_string(), printed);
            assert_eq!(rule(printed).to_string(), printed, "again");
        }
    }

    #[test]
    fn what_is_no_rule_says_how_to_write_one() {
        for (text, message, hint) in [
            (
                "example.com",
                "`example.com` names no port",
                "`example.com:443`, or `example.com:*` for any port",
            ),
            ("[::1]", "`[::1]` names no port", "`[::1]:443`"),
            ("::1", "`::1` names no port", "in brackets: `[::1]:443`"),
            ("fe80::1%eth0:80", "neither a name nor an address", "in brackets"),
            ("example.com:0", "port 0 is no port to grant", "`*` is any port"),
            ("example.com:65536", "`65536` is no port", "up to 65535"),
            ("example.com:+80", "`+80` is no port", "up to 65535"),
            ("example.com:http", "`http` is no port", "up to 65535"),
            (":80", "`` is neither", "such as `example.com`"),
            ("a b:80", "`a b` is neither", "such as `example.com`"),
            ("user@example.com:80", "is neither a name", "such as"),
            ("a..b:80", "`a..b` is neither", "such as"),
            (
                "*example.com:80",
                "`*` stands alone or in front of a name",
                "`*.example.com`",
            ),
            ("*.10.0.0.1:80", "neither a name nor a range", "10.0.0.0/8"),
            ("10.0.0.0/33:80", "at most 32", "10.0.0.0/8"),
            (
                "[10.0.0.1]:80",
                "no IPv6 address",
                "brackets are for IPv6: `10.0.0.1`",
            ),
            (
                "https://example.com",
                "without `https://`",
                "--allow-http https://example.com",
            ),
        ] {
            let error = Policy::default().allow_net(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.message().contains(message), "{text}: {}", error.message());
            assert!(
                error.hint().unwrap_or_default().contains(hint),
                "{text}: {:?}",
                error.hint()
            );
        }
    }

    #[test]
    fn names_are_covered_by_whole_labels() {
        for (pattern, name, expected) in [
            ("example.com:1", "example.com", true),
            ("example.com:1", "www.example.com", false),
            ("*.example.com:1", "www.example.com", true),
            ("*.example.com:1", "a.b.example.com", true),
            ("*.example.com:1", "example.com", false),
            ("*.example.com:1", "badexample.com", false),
            ("*.example.com:1", ".example.com", false),
            ("*:1", "example.com", true),
            ("*:1", "localhost", false),
            ("*:1", "a.localhost", false),
            ("localhost:1", "localhost", true),
            ("10.0.0.0/8:1", "10.0.0.1", false),
        ] {
            assert_eq!(rule(pattern).host.covers_name(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_covered_by_what_names_them() {
        for (pattern, address, expected) in [
            ("*:*", "1.1.1.1", true),
            ("*:*", "127.0.0.1", false),
            ("*:*", "169.254.169.254", false),
            ("*:*", "::ffff:10.0.0.1", false),
            ("*:*", "64:ff9b::7f00:1", false),
            ("*:*", "fd00::1", false),
            ("localhost:*", "127.0.0.1", true),
            ("localhost:*", "127.9.9.9", true),
            ("localhost:*", "::1", true),
            ("localhost:*", "::ffff:127.0.0.1", true),
            ("localhost:*", "10.0.0.1", false),
            ("10.0.0.0/8:*", "10.9.9.9", true),
            ("10.0.0.0/8:*", "::ffff:10.9.9.9", true),
            ("10.0.0.0/8:*", "64:ff9b::10.9.9.9", false),
            ("10.0.0.0/8:*", "11.0.0.0", false),
            ("0.0.0.0/0:*", "127.0.0.1", true),
            ("[::ffff:0:0/96]:*", "::ffff:127.0.0.1", true),
            ("example.com:*", "1.1.1.1", false),
        ] {
            let address = SocketAddr::new(address.parse().unwrap(), 9);
            assert_eq!(rule(pattern).covers(address), expected, "{pattern} {address}");
        }
        assert!(!rule("1.1.1.1:80").covers("1.1.1.1:81".parse().unwrap()));
    }

    #[test]
    fn listening_is_at_addresses() {
        for (pattern, address, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("127.0.0.1:8080", "0.0.0.0:8080", false),
            ("0.0.0.0:8080", "0.0.0.0:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
            ("[::]:8080", "[::1]:8080", true),
            ("localhost:*", "[::1]:1", true),
            ("localhost:*", "0.0.0.0:1", false),
            ("*:80", "0.0.0.0:80", true),
            ("*:80", "[::]:80", true),
        ] {
            let mut policy = Policy::default();
            policy.allow_listen(pattern).unwrap();
            assert_eq!(
                policy.listen[0].covers(address.parse().unwrap()),
                expected,
                "{pattern} {address}"
            );
            assert_eq!(policy.listen[0].to_string(), pattern);
        }
        for (text, hint) in [
            ("8080", "`127.0.0.1:8080` is this machine only"),
            (":8080", "`127.0.0.1:8080` is this machine only"),
            ("example.com:80", "`localhost:8080`"),
            ("*.example.com:80", "`localhost:8080`"),
            ("127.0.0.1:0", "`*` is any port"),
        ] {
            let error = Policy::default().allow_listen(text).unwrap_err();
            assert!(
                error.hint().unwrap_or_default().contains(hint),
                "{text}: {:?}",
                error.hint()
            );
        }
    }

    #[test]
    fn a_resolver_is_an_address() {
        for (text, server) in [
            ("9.9.9.9", "9.9.9.9:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            let mut policy = Policy::default();
            policy.set_resolver(text).unwrap();
            assert_eq!(policy.resolver, Some(server.parse().unwrap()));
        }
        assert!(Policy::default().set_resolver("dns.example").is_err());
    }
}
