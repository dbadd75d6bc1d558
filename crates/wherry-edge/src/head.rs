//! What the head of a request has to be, beyond what the parser makes sure of, and whom the request is for.
//!
//! A request with both a length and a transfer coding never comes this far with both: hyper goes by the coding alone, drops
//! the length, and closes the connection behind the answer, as RFC 9112, 6.3 has it.

use http::header::{EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use std::net::SocketAddr;

/// The most bytes in a target; RFC 9112, 3 has 8,000 as the least.
const LONGEST_TARGET: usize = 16 << 10;

/// How a request came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Where the server listens, for requests that name no host.
    pub address: SocketAddr,
    /// From where.
    pub peer: SocketAddr,
    /// Whether over TLS.
    pub secure: bool,
}

/// Refuses what is not a request that can be served here, and settles whom it is for.
///
/// # Errors
/// The status that says what is wrong.
pub fn check(parts: &mut Parts, arrival: Arrival) -> Result<(), StatusCode> {
    check_target(parts)?;
    let authority = authority(parts, arrival)?;
    check_fields(parts)?;
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(if arrival.secure {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    uri.authority = Some(authority);
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    Ok(())
}

/// The form of the target fits the method: RFC 9112, 3.2.
fn check_target(parts: &Parts) -> Result<(), StatusCode> {
    let (uri, method) = (&parts.uri, &parts.method);
    let path = uri.path();
    if path.len() + uri.query().map_or(0, str::len) > LONGEST_TARGET {
        return Err(StatusCode::URI_TOO_LONG);
    }
    if method == Method::CONNECT {
        // RFC 9110, 9.3.6: an origin server that makes no tunnels; RFC 9112, 3.2.3: to an authority alone.
        let formed = uri
            .authority()
            .is_some_and(|authority| authority.port_u16().is_some());
        return Err(if formed {
            StatusCode::NOT_IMPLEMENTED
        } else {
            StatusCode::BAD_REQUEST
        });
    }
    let origin = path.starts_with('/') && uri.authority().is_none() == uri.scheme().is_none();
    let asterisk = path == "*" && method == Method::OPTIONS;
    if origin || asterisk {
        Ok(())
    } else {
        Err(StatusCode::BAD_REQUEST)
    }
}

/// Whom the request is for.
fn authority(parts: &Parts, arrival: Arrival) -> Result<Authority, StatusCode> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    let two = parts.version == Version::HTTP_2;
    // RFC 9112, 3.2: exactly one, which is an authority without a user; in HTTP/1.0 there may be none.
    if hosts.next().is_some() || (host.is_none() && parts.version == Version::HTTP_11) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let named = host.map(parse).transpose()?.flatten();
    if let Some(target) = parts.uri.authority() {
        check_authority(target)?;
        // RFC 9113, 8.3.1: no other in the field. RFC 9112, 3.2.2: the target counts, whatever the field says.
        if two && host.is_some() && named.as_ref() != Some(target) {
            return Err(StatusCode::BAD_REQUEST);
        }
        // RFC 9110, 7.4. In HTTP/2 the scheme is that of the client of a proxy, which may have taken TLS off.
        let scheme = if arrival.secure { "https" } else { "http" };
        if !two && parts.uri.scheme_str() != Some(scheme) {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        return Ok(target.clone());
    }
    if two && host.is_none() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let own = || Authority::try_from(arrival.address.to_string()).map_err(|_| StatusCode::BAD_REQUEST);
    named.map_or_else(own, Ok)
}

/// The authority that a `Host` field names; an empty one names none.
fn parse(host: &HeaderValue) -> Result<Option<Authority>, StatusCode> {
    if host.is_empty() {
        return Ok(None);
    }
    let named = Authority::try_from(host.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    check_authority(&named)?;
    Ok(Some(named))
}

/// A host, and a port or none, but no user.
fn check_authority(named: &Authority) -> Result<(), StatusCode> {
    let text = named.as_str();
    let port = text.strip_prefix(named.host()).unwrap_or_default();
    let numbered = port.is_empty() || port == ":" || named.port_u16().is_some();
    if text.contains('@') || !numbered || named.host().is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(())
}

/// What is asked of the connection is something that is done here.
fn check_fields(parts: &Parts) -> Result<(), StatusCode> {
    let headers = &parts.headers;
    // RFC 9112, 6.1: what is chunked once, and nothing else; that it is the last the parser has seen to.
    let mut chunked = false;
    for coding in elements(headers, &TRANSFER_ENCODING) {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        if chunked {
            return Err(StatusCode::BAD_REQUEST);
        }
        chunked = true;
    }
    // RFC 9110, 7.8 and 10.1.1: neither of the two is there for a client of HTTP/1.0.
    if parts.version == Version::HTTP_10 {
        return Ok(());
    }
    if elements(headers, &EXPECT).any(|expected| !expected.eq_ignore_ascii_case(b"100-continue")) {
        return Err(StatusCode::EXPECTATION_FAILED);
    }
    if elements(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    Ok(())
}

/// The elements of a list, without empty ones: RFC 9110, 5.6.1.2.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn checked(request: http::request::Builder) -> Result<String, u16> {
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let arrival = Arrival {
            address,
            peer: address,
            secure: false,
        };
        check(&mut parts, arrival).map_err(|status| status.as_u16())?;
        Ok(parts.uri.to_string())
    }

    #[test]
    fn a_request_is_for_whom_it_names() {
        for (target, host, expected) in [
            ("/a?b", Some("example.com"), Ok("http://example.com/a?b")),
            ("/", Some("example.com:80"), Ok("http://example.com:80/")),
            ("/", Some("[::1]:80"), Ok("http://[::1]:80/")),
            ("/", Some(""), Ok("http://127.0.0.1:8080/")),
            (
                "http://one.example/x",
                Some("two.example"),
                Ok("http://one.example/x"),
            ),
            ("http://me@one.example/x", Some("one.example"), Err(400)),
            ("https://one.example/x", Some("one.example"), Err(421)),
            ("one.example", Some("one.example"), Err(400)),
            ("*", Some("one.example"), Err(400)),
            ("/", None, Err(400)),
            ("/", Some("me@example.com"), Err(400)),
            ("/", Some("example.com/x"), Err(400)),
            ("/", Some("a b"), Err(400)),
            ("/", Some("example.com:99999"), Err(400)),
            ("/", Some(":80"), Err(400)),
        ] {
            let request = Request::builder().uri(target);
            let request = host
                .into_iter()
                .fold(request, |request, host| request.header(HOST, host));
            let expected = expected.map(str::to_owned);
            assert_eq!(checked(request), expected, "{target} {host:?}");
        }
    }

    #[test]
    fn a_request_of_http_2_has_one_name() {
        let request = || Request::builder().version(Version::HTTP_2);
        for (target, host, expected) in [
            ("https://one.example/x", None, Ok("http://one.example/x")),
            (
                "http://one.example/x",
                Some("one.example"),
                Ok("http://one.example/x"),
            ),
            ("http://one.example/x", Some("two.example"), Err(400)),
            ("/x", Some("one.example"), Ok("http://one.example/x")),
            ("/x", None, Err(400)),
        ] {
            let request = request().uri(target);
            let request = host
                .into_iter()
                .fold(request, |request, host| request.header(HOST, host));
            let expected = expected.map(str::to_owned);
            assert_eq!(checked(request), expected, "{target} {host:?}");
        }
    }

    #[test]
    fn what_is_not_served_is_said() {
        let request = || Request::builder().header(HOST, "example.com");
        assert_eq!(checked(request().header(HOST, "example.com")), Err(400));
        assert_eq!(checked(request().header(EXPECT, "a miracle")), Err(417));
        assert_eq!(checked(request().header(UPGRADE, "h2c, websocket")), Err(501));
        assert_eq!(
            checked(request().method(Method::CONNECT).uri("example.com:80")),
            Err(501)
        );
        assert_eq!(checked(request().method(Method::CONNECT).uri("/")), Err(400));
        assert!(checked(request().method(Method::OPTIONS).uri("*")).is_ok());
        assert!(checked(request().header(EXPECT, "100-Continue").header(UPGRADE, "h2c")).is_ok());
        assert!(checked(Request::builder().version(Version::HTTP_10)).is_ok());
        let long = "/".repeat(LONGEST_TARGET);
        assert!(checked(request().uri(&long)).is_ok());
        assert_eq!(checked(request().uri(format!("{long}/"))), Err(414));
    }

    #[test]
    fn chunked_is_the_one_coding() {
        let request = |coding: &str| {
            let request = Request::builder().header(HOST, "example.com");
            checked(request.header(TRANSFER_ENCODING, coding)).map(drop)
        };
        assert_eq!(request(" , Chunked"), Ok(()));
        assert_eq!(request("gzip, chunked"), Err(501));
        assert_eq!(request("chunked, chunked"), Err(400));
    }
}
