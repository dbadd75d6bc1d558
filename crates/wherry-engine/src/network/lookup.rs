//! Names to addresses: by the system, or by a server that the user names.
//!
//! Nothing is kept between two lookups: a name that leads elsewhere the second time is judged anew.

use super::Network;
use crate::monitor::{Access, Subject};
use crate::policy::{Host, canonical, host, is_local};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// It is not granted, or leads to nothing that is.
    Denied,
    /// It is no name.
    Invalid,
    /// There is no such name, or it has no address.
    Unknown,
    /// Nobody answered.
    Unanswered,
}

impl Unresolved {
    /// Its name in the interface.
    fn name(self) -> &'static str {
        match self {
            Unresolved::Denied => "access-denied",
            Unresolved::Invalid => "invalid-argument",
            Unresolved::Unknown => "name-unresolvable",
            Unresolved::Unanswered => "temporary-resolver-failure",
        }
    }
}

/// A name that may be looked up, or an address that need not be.
pub(crate) enum Question {
    Name(String),
    Address(IpAddr),
}

impl Network {
    /// What a guest asks for, if it may.
    ///
    /// # Errors
    /// [`Unresolved::Invalid`], [`Unresolved::Denied`].
    pub(crate) fn question(&self, text: &str) -> Result<Question, Unresolved> {
        match host(text).ok_or(Unresolved::Invalid)? {
            Host::Address(address) => Ok(Question::Address(address)),
            Host::Name(name) if self.looks_up(&name) => Ok(Question::Name(name)),
            Host::Name(_) => Err(Unresolved::Denied),
        }
    }

    /// The addresses that answer it and that the guest may know of.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub(crate) async fn answer(&self, question: Question) -> Result<Vec<IpAddr>, Unresolved> {
        let name = match question {
            Question::Address(address) => return Ok(vec![address]),
            Question::Name(name) => name,
        };
        let found = self.resolve(&name).await.inspect_err(|error| {
            let access = || Access {
                subject: Subject::Dns,
                operation: "look up",
                target: name.clone(),
            };
            self.monitor.failed(access, error.name());
        })?;
        let kept = self.learned(&name, found);
        if kept.is_empty() {
            Err(Unresolved::Denied)
        } else {
            Ok(kept)
        }
    }

    /// Every address of a name, at least one.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let found = tokio::time::timeout(self.connect_timeout, self.ask(name)).await;
        let mut found = found.map_err(|_| Unresolved::Unanswered)??;
        let mut seen = Vec::new();
        found.retain_mut(|address| {
            *address = canonical(*address);
            let new = !seen.contains(address);
            seen.push(*address);
            new
        });
        if found.is_empty() {
            Err(Unresolved::Unknown)
        } else {
            Ok(found)
        }
    }

    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        if is_local(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let Some(server) = self.server else {
            let found = tokio::net::lookup_host((name, 0)).await;
            return Ok(found
                .map_err(|_| Unresolved::Unknown)?
                .map(|found| found.ip())
                .collect());
        };
        let resolver = self.resolver.get_or_init(|| resolver(server)).as_ref();
        let resolver = resolver.ok_or(Unresolved::Unanswered)?;
        // With the dot of the root behind it, no domain is added.
        match resolver.lookup_ip(format!("{name}.")).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(NetError::Dns(_)) => Err(Unresolved::Unknown),
            Err(_) => Err(Unresolved::Unanswered),
        }
    }
}

/// What asks one server, by UDP and by TCP, and keeps no answer.
fn resolver(server: SocketAddr) -> Option<TokioResolver> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().ok()
}
