//! The network as one guest may use it: what its policy covers, what it looked up, and what it has used up.
//!
//! [`Network`] decides and tells the monitor; the files below this one are the ways to it: `sockets` and `sockets_03` put it
//! in front of `wasi:sockets`, `requests` in place of the client of `wasi:http`. What is checked is what is connected to: a
//! name is looked up here, once, and where it led is kept, so that a guest reaches an address by a granted name only after
//! that name led there. Start at [`Network::connects`].

mod connection;
mod departing;
mod dialling;
mod lookup;
pub(crate) mod pool;
mod quota;
pub(crate) mod requests;
mod sockets;
mod sockets_03;
mod streams;
mod tap;
pub(crate) mod tls;

use crate::guest::Guest;
use crate::limits::{Limit, Limits, typed_duration};
use crate::monitor::{Access, Grant, Monitor, Subject};
use crate::policy::{
    Host, HostPattern, HttpRule, ListenRule, NetRule, Policy, canonical, default_port, special,
};
pub(crate) use dialling::Connections;
use hickory_resolver::TokioResolver;
use quota::{Count, Slot, Slots, Transfer};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

/// Puts the wrappers of 0.2 in front of what is linked.
///
/// # Errors
/// Those of the linker.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    sockets::add_to_linker(linker)?;
    dialling::add_to_linker(linker)?;
    requests::add_to_linker(linker)
}

pub(crate) use sockets_03::add_to_linker as add_03_to_linker;
pub(crate) use tap::mapped;

/// The most names and peers that are kept for one guest.
const MOST_KNOWN: usize = 4096;

/// The network of one guest.
pub struct Network {
    net: Vec<NetRule>,
    http: Vec<HttpRule>,
    listen: Vec<ListenRule>,
    dns: bool,
    server: Option<SocketAddr>,
    resolver: OnceLock<Option<TokioResolver>>,
    monitor: Arc<Monitor>,
    transfer: Arc<Transfer>,
    slots: Arc<Slots>,
    outgoing: Count,
    connect_timeout: Duration,
    first_byte_timeout: Duration,
    between_bytes_timeout: Duration,
    known: Mutex<Known>,
}

/// What a guest found out, and who found it.
#[derive(Default)]
struct Known {
    /// The names that led to an address.
    names: HashMap<IpAddr, Vec<String>>,
    count: usize,
    /// Where the guest was let bind a port of its choice.
    bound: HashSet<SocketAddr>,
    /// Datagrams may be received from anyone.
    serves: bool,
    /// Whom it sent datagrams to, and may hear from.
    asked: HashSet<SocketAddr>,
    /// Who sent datagrams to what it serves, and may be answered.
    heard: HashSet<SocketAddr>,
}

impl Network {
    /// The network that `policy` grants within `limits`, with the sockets of `builder` checked by it.
    pub(crate) fn of(
        policy: &Policy,
        limits: &Limits,
        monitor: &Arc<Monitor>,
        builder: &mut WasiCtxBuilder,
    ) -> Arc<Self> {
        let network = Arc::new(Self {
            net: policy.net.clone(),
            http: policy.http.clone(),
            listen: policy.listen.clone(),
            dns: policy.dns,
            server: policy.resolver,
            resolver: OnceLock::new(),
            transfer: Arc::new(Transfer::new(limits.transfer, Arc::clone(monitor))),
            monitor: Arc::clone(monitor),
            slots: Arc::new(Slots::new(limits.connections)),
            outgoing: Count::new(limits.outgoing),
            connect_timeout: limits.connect_timeout,
            first_byte_timeout: limits.first_byte_timeout,
            between_bytes_timeout: limits.between_bytes_timeout,
            known: Mutex::default(),
        });
        let checked = Arc::clone(&network);
        builder
            .allow_tcp(true)
            .allow_udp(true)
            .socket_addr_check(move |address, usage| {
                let allowed = checked.allows(address, usage);
                Box::pin(std::future::ready(allowed))
            });
        network
    }

    /// Counts anew what is limited for each request to a guest.
    pub(crate) fn renew(&self) {
        self.transfer.renew();
        self.outgoing.renew();
    }

    /// The check that `wasmtime-wasi` asks before each use of an address.
    pub(crate) fn allows(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        match usage {
            SocketAddrUse::TcpConnect => self.connects(address, "connect"),
            SocketAddrUse::UdpSend => {
                let granted = self.known().heard.contains(&address) || self.connects(address, "send");
                if granted {
                    remember(&mut self.known().asked, address);
                }
                granted
            }
            SocketAddrUse::UdpReceive => self.receives(address),
            SocketAddrUse::TcpBind => self.binds(address),
            SocketAddrUse::UdpBind => {
                let granted = self.binds(address);
                self.known().serves |= granted && address.port() != 0;
                granted
            }
            SocketAddrUse::TcpListen => self.listens(address),
            SocketAddrUse::TcpAccept => true,
        }
    }

    /// What an address is called: by the name that led to it, where one did and it is public.
    fn called(&self, address: SocketAddr) -> String {
        let (ip, port) = (canonical(address.ip()), address.port());
        let known = self.known();
        let names = known.names.get(&ip).map_or(&[][..], Vec::as_slice);
        match names.last().filter(|_| special(ip).is_none()) {
            Some(name) => format!("{name}:{port}"),
            None => SocketAddr::new(ip, port).to_string(),
        }
    }

    /// Notes that a connection, or what binds a socket to an address, did not come about.
    fn unreached(&self, operation: &'static str, address: SocketAddr, error: &str) {
        let subject = if operation == "listen" {
            Subject::Listen
        } else {
            Subject::Net
        };
        // What was refused was noted with why, and so was that it took too long.
        if !matches!(error, "access-denied" | "timeout") {
            self.monitor.failed(
                || Access {
                    subject,
                    operation,
                    target: self.called(address),
                },
                error,
            );
        }
    }

    /// Whether the guest may connect or send to an address.
    fn connects(&self, address: SocketAddr, operation: &'static str) -> bool {
        let (ip, port) = (canonical(address.ip()), address.port());
        let address = SocketAddr::new(ip, port);
        let unfit = special(ip);
        let known = self.known();
        let names = known.names.get(&ip).map_or(&[][..], Vec::as_slice);
        let covered = |name: &&String| {
            unfit.is_none()
                && self
                    .net
                    .iter()
                    .any(|rule| rule.ports.cover(port) && rule.host.covers_name(name))
        };
        // An address that is not public is granted by what names it, not by a name that leads there.
        let by_name = names.iter().find(covered);
        let granted = by_name.is_some() || self.net.iter().any(|rule| rule.covers(address));
        let name = by_name.or_else(|| names.last().filter(|_| unfit.is_none()));
        let target = name.map_or_else(|| address.to_string(), |name| format!("{name}:{port}"));
        drop(known);
        let why = unfit.map_or_else(|| "it was not granted".to_owned(), |what| format!("it is {what}"));
        let lift = Grant {
            flag: "allow-net",
            value: target.clone(),
        };
        self.decided(
            granted,
            Access {
                subject: Subject::Net,
                operation,
                target,
            },
            why,
            lift,
        )
    }

    /// Whether the guest may hear from an address: one that it sent to, or anyone where it serves.
    fn receives(&self, address: SocketAddr) -> bool {
        let mut known = self.known();
        if known.asked.contains(&address) {
            return true;
        }
        if known.serves {
            remember(&mut known.heard, address);
        }
        known.serves
    }

    /// Whether the guest may bind an address. A port of the system's choice is what each client has.
    fn binds(&self, address: SocketAddr) -> bool {
        if address.port() == 0 {
            return true;
        }
        let granted = self.listening(address, "listen", address.to_string());
        if granted {
            remember(&mut self.known().bound, address);
        }
        granted
    }

    /// Whether the guest may listen at an address that is bound.
    fn listens(&self, address: SocketAddr) -> bool {
        if self.known().bound.contains(&address) {
            return true;
        }
        // The system chose the port, and chooses another one the next time.
        let lift = match address.ip() {
            IpAddr::V4(ip) => format!("{ip}:*"),
            IpAddr::V6(ip) => format!("[{ip}]:*"),
        };
        self.listening(address, "listen", lift)
    }

    fn listening(&self, address: SocketAddr, operation: &'static str, value: String) -> bool {
        let granted = self.listen.iter().any(|rule| rule.covers(address));
        let access = Access {
            subject: Subject::Listen,
            operation,
            target: value.clone(),
        };
        self.decided(
            granted,
            access,
            "it was not granted".to_owned(),
            Grant {
                flag: "allow-listen",
                value,
            },
        )
    }

    /// Whether the guest may look a name up.
    fn looks_up(&self, name: &str) -> bool {
        let granted = self.dns || self.net.iter().any(|rule| rule.host.covers_name(name));
        let access = Access {
            subject: Subject::Dns,
            operation: "look up",
            target: name.to_owned(),
        };
        let lift = Grant {
            flag: "allow-net",
            value: format!("{name}:*"),
        };
        self.decided(granted, access, "it was not granted".to_owned(), lift)
    }

    /// Of the addresses that a name led to, those that the guest may know of, which are kept.
    fn learned(&self, name: &str, addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        let mut kept = Vec::new();
        for address in addresses {
            if self.dns || self.named(name, address) {
                kept.push(address);
            }
        }
        let mut known = self.known();
        for address in &kept {
            if known.count < MOST_KNOWN
                && !known
                    .names
                    .get(address)
                    .is_some_and(|names| names.iter().any(|own| own == name))
            {
                known.count += 1;
                known.names.entry(*address).or_default().push(name.to_owned());
            }
        }
        kept
    }

    /// Whether an address that a granted name led to is public, or granted itself.
    fn named(&self, name: &str, address: IpAddr) -> bool {
        let Some(what) = special(address) else { return true };
        if self.net.iter().any(|rule| rule.host.covers_address(address)) {
            return true;
        }
        let value = SocketAddr::new(address, 0).to_string();
        let value = format!("{}:*", value.trim_end_matches(":0"));
        let access = Access {
            subject: Subject::Dns,
            operation: "look up",
            target: name.to_owned(),
        };
        let why = format!("it leads to {address}, {what}");
        self.decided(
            false,
            access,
            why,
            Grant {
                flag: "allow-net",
                value,
            },
        )
    }

    /// Whether the guest may send a request. Where the host leads is another question: [`Network::leads`].
    fn sends(&self, method: &str, scheme: &str, host: &Host, port: u16, path: &str) -> bool {
        let mut rules = self.rules_of(host).peekable();
        let why = match rules.peek() {
            Some(_) => format!("{method} was not granted there"),
            None => "it was not granted".to_owned(),
        };
        let granted = rules.any(|rule| rule.covers(method, scheme, port, path));
        let origin = format!("{scheme}://{}", authority(host, scheme, port));
        let target = format!("{method} {origin}{path}");
        let lift = Grant {
            flag: "allow-http",
            value: format!("{origin}/"),
        };
        self.decided(
            granted,
            Access {
                subject: Subject::Http,
                operation: "request",
                target,
            },
            why,
            lift,
        )
    }

    /// Whether a granted request is granted by a rule that names its host, rather than every public one: what is answered in this
    /// process may be answered to nobody else.
    fn names(&self, method: &str, scheme: &str, host: &Host, port: u16, path: &str) -> bool {
        self.rules_of(host)
            .any(|rule| rule.host != HostPattern::Any && rule.covers(method, scheme, port, path))
    }

    /// The rules for requests to a host.
    fn rules_of(&self, host: &Host) -> impl Iterator<Item = &HttpRule> {
        self.http.iter().filter(move |rule| match host {
            Host::Name(name) => rule.host.covers_name(name),
            Host::Address(address) => rule.host.covers_address(*address),
        })
    }

    /// Whether a request for a host may go to an address that the host led to.
    fn leads(&self, scheme: &str, host: &Host, address: SocketAddr) -> bool {
        let Some(what) = special(address.ip()) else {
            return true;
        };
        let by_rule = |rule: &HttpRule| {
            rule.scheme == scheme
                && rule.ports.cover(address.port())
                && rule.host.covers_address(address.ip())
        };
        // A host that is an address was granted as it is.
        if matches!(host, Host::Address(_))
            || self.http.iter().any(by_rule)
            || self.net.iter().any(|rule| rule.covers(address))
        {
            return true;
        }
        let target = format!("{scheme}://{}/", authority(host, scheme, address.port()));
        let access = Access {
            subject: Subject::Http,
            operation: "request",
            target,
        };
        let why = format!("it leads to {}, {what}", address.ip());
        self.decided(
            false,
            access,
            why,
            Grant {
                flag: "allow-net",
                value: address.to_string(),
            },
        )
    }

    /// Tells the monitor what came of an access, and what is not granted while a policy is learned, it asks.
    fn decided(&self, granted: bool, access: Access, why: String, lift: Grant) -> bool {
        if granted || self.monitor.learns(&access, &lift) {
            self.monitor.granted(|| access);
            return true;
        }
        self.monitor.refused(access, why, Some(lift));
        false
    }

    /// Room for one more connection, unless the limit strikes.
    fn slot(&self, operation: &'static str) -> Option<Slot> {
        let slot = Slots::take(&self.slots);
        if slot.is_none() {
            self.monitor
                .struck(Limit::Connections, operation, self.slots.most().into());
        }
        slot
    }

    /// Whether one more HTTP request may be sent, which counts then.
    fn one_more(&self) -> bool {
        let counted = self.outgoing.more();
        if let Err(most) = counted {
            self.monitor.struck(Limit::Outgoing, "request", most);
        }
        counted.is_ok()
    }

    /// Notes that the limit of this flag on a time struck.
    fn late(&self, flag: &'static str, most: Duration) {
        let waited = match flag {
            "connect-timeout" => "until a connection stands",
            "first-byte-timeout" => "until an answer begins",
            _ => "until an answer goes on",
        };
        let access = Access {
            subject: Subject::Limit,
            operation: "wait",
            target: format!("{} {waited}", typed_duration(most)),
        };
        let value = typed_duration(most.saturating_mul(10));
        let why = format!("the limit is {}", typed_duration(most));
        self.monitor.refused(access, why, Some(Grant { flag, value }));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an address; a guest that makes up thousands of them loses those before.
fn remember(addresses: &mut HashSet<SocketAddr>, address: SocketAddr) {
    if addresses.len() >= MOST_KNOWN {
        addresses.clear();
    }
    addresses.insert(address);
}

/// The name that an error has in its interface, from that in Rust: `ErrorCode::DnsTimeout` is `DNS-timeout`.
fn named(error: &impl std::fmt::Debug) -> String {
    let debug = format!("{error:?}");
    let path = debug.split(|character: char| !(character.is_alphanumeric() || character == ':'));
    let name = path.into_iter().next().unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    for letter in name.rsplit(':').next().unwrap_or_default().chars() {
        match words.last_mut() {
            Some(word) if !letter.is_uppercase() => word.push(letter),
            _ => words.push(letter.to_lowercase().collect()),
        }
    }
    for word in &mut words {
        if matches!(word.as_str(), "dns" | "http" | "ip" | "tls" | "uri") {
            word.make_ascii_uppercase();
        }
    }
    words.join("-")
}

/// A host with its port, as a URL has it: the port of the scheme is left out.
fn authority(host: &Host, scheme: &str, port: u16) -> String {
    let host = match host {
        Host::Name(name) => name.clone(),
        Host::Address(IpAddr::V4(address)) => address.to_string(),
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
    };
    if port == default_port(scheme) {
        host
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests;
