//! Who the client is, where proxies stand in front of the server.
//!
//! A field such as `X-Forwarded-For` is believed when the connection comes from a proxy that was named, and no further back
//! than named proxies go. Of the two families of fields one is believed, the one that the proxies are known to write: a
//! proxy passes the other one on as its client sent it. Nobody's own words about any of it reach a guest; it is told what
//! was found out.

use crate::observe::identity::{REQUEST_ID, RequestId};
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What else servers in front are known to say of a client.
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The names of one family begin so.
const FAMILY: &str = "x-forwarded-";

/// The most hops that are looked at.
const MOST_HOPS: usize = 64;

/// Which fields the proxies write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded`: RFC 7239.
    Forwarded,
}

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    ranges: Vec<IpNet>,
    family: Family,
}

/// Who a request comes from, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Whether it speaks TLS, with us or with a proxy.
    pub secure: bool,
    /// The host that it asked a proxy for, where that is another one than we are asked for.
    pub host: Option<String>,
}

/// One step on a request's way, as a proxy tells of it.
#[derive(Debug, Default)]
struct Hop {
    address: Option<IpAddr>,
    secure: Option<bool>,
    host: Option<String>,
}

impl Proxies {
    /// Proxies at these addresses, which write these fields.
    #[must_use]
    pub fn new(ranges: Vec<IpNet>, family: Family) -> Self {
        Self { ranges, family }
    }

    /// Whether a connection from there is one of theirs.
    #[must_use]
    pub fn trust(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.ranges.iter().any(|range| range.contains(&peer))
    }

    /// Who a request comes from that `peer` sent.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, secure: bool, fields: &HeaderMap) -> Client {
        let mut client = Client::of(peer, secure);
        if self.ranges.is_empty() || !self.trust(client.address) {
            return client;
        }
        let hops = match self.family {
            Family::XForwarded => written(fields),
            Family::Forwarded => standard(fields),
        };
        for hop in hops.into_iter().rev().take(MOST_HOPS) {
            client.secure = hop.secure.unwrap_or(client.secure);
            client.host = hop.host.or(client.host);
            let Some(address) = hop.address else { break };
            client.address = address;
            if !self.trust(address) {
                break;
            }
        }
        client
    }

    /// The name that a proxy gave the request, else a new one.
    #[must_use]
    pub fn name(&self, peer: IpAddr, fields: &HeaderMap) -> RequestId {
        if self.ranges.is_empty() || !self.trust(peer) {
            return RequestId::new();
        }
        let mut given = fields.get_all(REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(value), None) => RequestId::given(value).unwrap_or_default(),
            _ => RequestId::new(),
        }
    }
}

impl Client {
    /// Who is at the other end of a connection.
    #[must_use]
    pub fn of(peer: SocketAddr, secure: bool) -> Self {
        Self {
            address: peer.ip().to_canonical(),
            secure,
            host: None,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Puts what was found out into the fields that a guest gets, in place of all that was said of it. `host` is whom the
    /// client asked for.
    pub fn tell(&self, fields: &mut HeaderMap, host: Option<&str>, id: &RequestId) {
        forget(fields);
        let address = self.address.to_string();
        let host = self.host.as_deref().or(host);
        let mut forwarded = match self.address {
            IpAddr::V4(_) => format!("for={address}"),
            IpAddr::V6(_) => format!("for=\"[{address}]\""),
        };
        let _ = write!(forwarded, ";proto={}", self.scheme());
        if let Some(host) = host {
            let _ = write!(forwarded, ";host=\"{host}\"");
        }
        let mut put = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                fields.insert(name, value);
            }
        };
        put(FORWARDED, &forwarded);
        put(FORWARDED_FOR, &address);
        put(FORWARDED_PROTO, self.scheme());
        if let Some(host) = host {
            put(FORWARDED_HOST, host);
        }
        fields.insert(REQUEST_ID, id.value());
    }
}

/// Takes out what anybody said of the client.
fn forget(fields: &mut HeaderMap) {
    let said: Vec<HeaderName> = fields
        .keys()
        .filter(|name| name.as_str().starts_with(FAMILY))
        .cloned()
        .collect();
    for name in said.iter().chain(&[FORWARDED, REAL_IP, REQUEST_ID]) {
        fields.remove(name);
    }
}

/// The hops of `X-Forwarded-For`. The scheme and host stand beside it: one for each hop, or one that the nearest proxy wrote.
fn written(fields: &HeaderMap) -> Vec<Hop> {
    let addresses = list(fields, &FORWARDED_FOR);
    let schemes = list(fields, &FORWARDED_PROTO);
    let hosts = list(fields, &FORWARDED_HOST);
    let count = addresses.len().max(1);
    let beside = |values: &[String], at: usize| match values.len() {
        same if same == count => values.get(at).cloned(),
        _ if at + 1 == count => values.last().cloned(),
        _ => None,
    };
    (0..count)
        .map(|at| Hop {
            address: addresses.get(at).and_then(|address| node(address)),
            secure: beside(&schemes, at).and_then(|scheme| secure(&scheme)),
            host: beside(&hosts, at).and_then(|host| named(&host)),
        })
        .collect()
}

/// The members of a list, which may be spread over several fields.
fn list(fields: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = fields
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|member| member.trim().to_owned())
        .filter(|member| !member.is_empty())
        .collect()
}

/// The hops of `Forwarded`: RFC 7239, section 4. What follows an element that is no element is not looked at.
fn standard(fields: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    let values = fields.get_all(FORWARDED).iter();
    let whole: Vec<&str> = values.map(|value| value.to_str().unwrap_or("?")).collect();
    let whole = whole.join(",");
    let mut rest = whole.as_str();
    while !rest.trim().is_empty() {
        let mut hop = Hop::default();
        let Some(after) = element(rest, &mut hop) else {
            // What cannot be told apart cannot be believed, nor what stands in front of it.
            hops.clear();
            return hops;
        };
        rest = after;
        hops.push(hop);
    }
    hops
}

/// Reads one element up to its comma; gives what follows that.
fn element<'a>(mut rest: &'a str, hop: &mut Hop) -> Option<&'a str> {
    loop {
        rest = rest.trim_start();
        match rest.chars().next() {
            None => return Some(""),
            Some(',') => return Some(&rest[1..]),
            Some(';') => rest = &rest[1..],
            Some(_) => {
                let (name, after) = rest.split_once('=')?;
                let (value, after) = quoted(after)?;
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => hop.address = node(&value),
                    "proto" => hop.secure = secure(&value),
                    "host" => hop.host = named(&value),
                    name if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {}
                    _ => return None,
                }
                rest = after;
            }
        }
    }
}

/// A token or a quoted string (RFC 9110, 5.6.4), and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let value = text[..end].trim_end();
        let plain = !value.contains(['"', ' ', '\t', '=']);
        return plain.then(|| (value.to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &inside[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The address of a node, which may have a port: RFC 7239, section 6. What hides itself has none.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

fn secure(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// A host with or without a port, and nothing else.
fn named(host: &str) -> Option<String> {
    let authority: http::uri::Authority = host.parse().ok()?;
    (!authority.as_str().contains(['@', '"', '\\']) && !authority.host().is_empty())
        .then(|| authority.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(said: &[(&'static str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in said {
            fields.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        fields
    }

    fn proxies(family: Family) -> Proxies {
        let ranges = ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"];
        Proxies::new(
            ranges.iter().map(|range| range.parse().unwrap()).collect(),
            family,
        )
    }

    fn found(family: Family, peer: &str, said: &[(&'static str, &str)]) -> String {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let client = proxies(family).client(peer, false, &fields(said));
        let host = client.host.as_deref().unwrap_or("-");
        format!("{} {} {host}", client.address, client.scheme())
    }

    #[test]
    fn fields_of_proxies_are_believed_as_far_as_they_go() {
        for (peer, addresses, expected) in [
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, 10.2.3.4", "203.0.113.9"),
            ("10.0.0.1", "10.9.9.9, 10.2.3.4", "10.9.9.9"),
            ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1", "[2001:db8::7]:4711, fd00::1", "2001:db8::7"),
            ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("203.0.113.1", "1.1.1.1", "203.0.113.1"),
            ("192.0.2.2", "1.1.1.1", "192.0.2.2"),
        ] {
            let found = found(Family::XForwarded, peer, &[("x-forwarded-for", addresses)]);
            assert_eq!(found, format!("{expected} http -"), "{peer}: {addresses}");
        }
    }

    #[test]
    fn scheme_and_host_stand_beside_the_address() {
        let cases: [(&[(&'static str, &str)], &str); 6] = [
            (
                &[
                    ("x-forwarded-for", "203.0.113.9"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "shop.example:8443"),
                ],
                "203.0.113.9 https shop.example:8443",
            ),
            (
                &[
                    ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
                    ("x-forwarded-proto", "https, http"),
                ],
                "203.0.113.9 https -",
            ),
            (
                &[
                    ("x-forwarded-for", "203.0.113.9"),
                    ("x-forwarded-for", "10.0.0.2"),
                    ("x-forwarded-proto", "https"),
                ],
                "203.0.113.9 https -",
            ),
            (&[("x-forwarded-proto", "https")], "10.0.0.1 https -"),
            (
                &[
                    ("x-forwarded-for", "203.0.113.9"),
                    ("x-forwarded-proto", "gopher"),
                ],
                "203.0.113.9 http -",
            ),
            (
                &[("x-forwarded-host", "a\"b"), ("x-forwarded-for", "203.0.113.9")],
                "203.0.113.9 http -",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(found(Family::XForwarded, "10.0.0.1", said), expected, "{said:?}");
        }
    }

    #[test]
    fn the_standard_field_is_read_as_its_rfc_has_it() {
        for (value, expected) in [
            ("for=203.0.113.9", "203.0.113.9 http -"),
            (
                "For=203.0.113.9;Proto=https;Host=shop.example;by=10.0.0.1",
                "203.0.113.9 https shop.example",
            ),
            (
                "for=\"[2001:db8:cafe::17]:4711\"; proto=\"https\"",
                "2001:db8:cafe::17 https -",
            ),
            (
                "for=1.1.1.1, for=203.0.113.9 , for=10.0.0.2",
                "203.0.113.9 http -",
            ),
            ("for=\"20\\3.0.113.9\"", "203.0.113.9 http -"),
            ("for=1.1.1.1, for=_hidden", "10.0.0.1 http -"),
            ("for=1.1.1.1, for=unknown;proto=https", "10.0.0.1 https -"),
            ("for=\"1.1.1.1", "10.0.0.1 http -"),
            ("for=\"1.1.1.1, for=203.0.113.9", "10.0.0.1 http -"),
            ("nothing", "10.0.0.1 http -"),
            ("for=203.0.113.9;ext=\"a,b;c\"", "203.0.113.9 http -"),
        ] {
            let found = found(Family::Forwarded, "10.0.0.1", &[("forwarded", value)]);
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn the_other_family_is_not_believed() {
        let said = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(found(Family::XForwarded, "10.0.0.1", &said), "203.0.113.9 http -");
        assert_eq!(found(Family::Forwarded, "10.0.0.1", &said), "1.1.1.1 http -");
        assert_eq!(
            found(Family::XForwarded, "10.0.0.1", &said[..1]),
            "10.0.0.1 http -"
        );
    }

    #[test]
    fn a_guest_is_told_what_was_found_out_and_nothing_else() {
        let mut said = fields(&[
            ("accept", "*/*"),
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "6.6.6.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-prefix", "/admin"),
            ("x-real-ip", "6.6.6.6"),
            ("x-request-id", "mine"),
        ]);
        let peer = SocketAddr::new("203.0.113.1".parse().unwrap(), 1);
        let none = Proxies::default();
        let client = none.client(peer, false, &said);
        let id = none.name(peer.ip(), &said);
        client.tell(&mut said, Some("shop.example"), &id);
        let mut told: Vec<(&str, &str)> = said
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        told.sort_unstable();
        let id = id.to_string();
        assert_ne!(id, "mine");
        assert_eq!(
            told,
            [
                ("accept", "*/*"),
                ("forwarded", "for=203.0.113.1;proto=http;host=\"shop.example\""),
                ("x-forwarded-for", "203.0.113.1"),
                ("x-forwarded-host", "shop.example"),
                ("x-forwarded-proto", "http"),
                ("x-request-id", id.as_str()),
            ]
        );
    }

    #[test]
    fn the_name_of_a_request_is_taken_over_from_proxies() {
        let known = proxies(Family::XForwarded);
        let named = |peer: &str, said| known.name(peer.parse().unwrap(), &fields(said)).to_string();
        assert_eq!(named("10.0.0.1", &[("x-request-id", "abc-1")]), "abc-1");
        assert_ne!(named("203.0.113.1", &[("x-request-id", "abc-1")]), "abc-1");
        assert_ne!(named("10.0.0.1", &[("x-request-id", "abc 1")]), "abc 1");
        let twice = [("x-request-id", "abc-1"), ("x-request-id", "abc-2")];
        assert!(!named("10.0.0.1", &twice).starts_with("abc"));
    }
}
