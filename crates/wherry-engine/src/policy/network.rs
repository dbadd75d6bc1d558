//! Addresses, names and requests that a guest is granted: `--allow-net`, `--allow-http`, `--allow-listen`, `--allow-dns`.

use super::Policy;
use crate::{Error, Kind, Result};
use std::fmt;
use std::net::IpAddr;

/// Which hosts a rule covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This name, in lower case and without a dot at its end.
    Name(String),
    /// Every name below this one: `*.example.com` is `example.com` here.
    Below(String),
    /// Addresses that share the first bits with this one.
    Range(IpAddr, u8),
    /// Any public name or address.
    Any,
}

/// Which ports a rule covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// This one.
    One(u16),
    /// All of them.
    Any,
}

/// Where a guest may connect to, as in `--allow-net db.example.com:5432`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetRule {
    /// The hosts.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
}

/// Where a guest may send requests to, as in `--allow-http 'GET https://api.example.com/v1'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// The methods, in capitals; none is any.
    pub methods: Vec<String>,
    /// `http` or `https`.
    pub scheme: String,
    /// The hosts.
    pub host: HostPattern,
    /// The ports.
    pub ports: Ports,
    /// What a path has to begin with, whole segments of it; begins with `/`.
    pub path: String,
}

/// Where a guest may listen, as in `--allow-listen 127.0.0.1:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenRule {
    /// The address.
    pub address: IpAddr,
    /// The ports.
    pub ports: Ports,
}

/// As the flags take it, an address of IPv6 in brackets.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Name(name) => f.write_str(name),
            HostPattern::Below(name) => write!(f, "*.{name}"),
            HostPattern::Range(address, bits) => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                let length = if *bits == whole {
                    String::new()
                } else {
                    format!("/{bits}")
                };
                match address {
                    IpAddr::V4(address) => write!(f, "{address}{length}"),
                    IpAddr::V6(address) => write!(f, "[{address}{length}]"),
                }
            }
            HostPattern::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ports::One(port) => write!(f, "{port}"),
            Ports::Any => f.write_str("*"),
        }
    }
}

/// As `--allow-net` takes it.
impl fmt::Display for NetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.ports)
    }
}

/// As `--allow-http` takes it.
impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.ports) {
            ("http", Ports::One(80)) | ("https", Ports::One(443)) => {}
            (_, ports) => write!(f, ":{ports}")?,
        }
        f.write_str(&self.path)
    }
}

/// As `--allow-listen` takes it.
impl fmt::Display for ListenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.ports),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.ports),
        }
    }
}

impl Policy {
    /// Grants connections, as in `--allow-net HOST:PORT`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no host and port.
    pub fn allow_net(&mut self, _text: &str) -> Result<()> {
        Err(Error::new(Kind::Usage, "not a host and port"))
    }

    /// Grants requests, as in `--allow-http URL`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no URL.
    pub fn allow_http(&mut self, _text: &str) -> Result<()> {
        Err(Error::new(Kind::Usage, "not a URL"))
    }

    /// Grants listening, as in `--allow-listen ADDR:PORT`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is no address and port.
    pub fn allow_listen(&mut self, _text: &str) -> Result<()> {
        Err(Error::new(Kind::Usage, "not an address and port"))
    }
}
