//! One request, from its head to the beginning of its answer.
//!
//! What is not a request is refused here, as far as the parser lets it pass; what is one gets a place and a guest. A request
//! with both a length and a transfer coding never comes this far with both: hyper goes by the coding alone, and closes the
//! connection behind the answer (RFC 9112, 6.3).

use crate::admission::{Admission, Places};
use crate::application::Application;
use crate::arriving::read_over;
use crate::body::Answer;
use crate::cgi::Between;
use crate::exchange::{End, Exchange};
use crate::refusal::{refusal, request_id};
use crate::routing::{Route, Table};
use crate::running::{Failure, Running};
use crate::statistics::{Account, Active, Counters, Statistics};
use arc_swap::ArcSwap;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, SERVER, TRAILER, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all connections of a server share.
pub struct Service {
    /// Who answers what.
    pub table: ArcSwap<Table>,
    /// Who is let in, of the requests for all applications.
    pub admission: Admission,
    /// What is counted.
    pub statistics: Arc<Statistics>,
    /// What the answers say of the server, if anything.
    pub name: Option<HeaderValue>,
    /// Where the server listens, for requests that name no host.
    pub address: SocketAddr,
    /// Connections are closed behind the next answer.
    pub stopping: AtomicBool,
}

impl Service {
    /// Answers a request of a client, with the fields that all answers have.
    pub async fn answer(&self, request: Request<Incoming>, client: Option<SocketAddr>) -> Response<Answer> {
        let version = request.version();
        let mut response = match self.serve(request, client).await {
            Ok(response) => response,
            Err(status) => refusal(status, &request_id()),
        };
        let headers = response.headers_mut();
        if let Some(name) = &self.name
            && !headers.contains_key(SERVER)
        {
            headers.insert(SERVER, name.clone());
        }
        if version != Version::HTTP_2 && self.stopping.load(Ordering::Relaxed) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        client: Option<SocketAddr>,
    ) -> Result<Response<Answer>, StatusCode> {
        let (mut parts, incoming) = request.into_parts();
        let route = match check(&mut parts, self.address).and_then(|()| self.route(&parts)) {
            Ok(route) => route,
            Err(status) => {
                let _active = Active::new(&self.statistics.unrouted);
                return Err(refuse(&self.statistics.unrouted, status, incoming));
            }
        };
        let _active = Active::new(&route.counters);
        let application = &route.application;
        if let Some(answer) = application.file(&parts, &route.prefix).await {
            read_over(incoming);
            return Ok(answer);
        }
        if incoming.size_hint().lower() > application.settings().max_request {
            return Err(refuse(&route.counters, StatusCode::PAYLOAD_TOO_LARGE, incoming));
        }
        let head = parts.method == Method::HEAD;
        let Some(places) = self.places(application).await else {
            route.counters.busy.fetch_add(1, Ordering::Relaxed);
            read_over(incoming);
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        };
        let exchange = Arc::new(Exchange::default());
        let between = Between {
            client,
            server: self.address,
            script: route.prefix.len(),
        };
        let call = application.call(parts, incoming, between, &exchange);
        let account = Account {
            statistics: Arc::clone(&self.statistics),
            counters: Arc::clone(&route.counters),
        };
        let time = application.limits().timeout;
        let mut running = Running::new(call, exchange, time, account.clone(), places);
        match running.head().await {
            Ok((status, fields)) => Ok(answer(running, status, fields, head)),
            Err(failure) => {
                let id = request_id();
                account.tell(&id, &failure);
                Ok(refusal(status_of(&failure), &id))
            }
        }
    }

    /// Who answers; 404 where nobody does.
    fn route(&self, parts: &Parts) -> Result<Arc<Route>, StatusCode> {
        let host = parts.uri.host().unwrap_or_default();
        let table = self.table.load();
        let route = table.find(host, parts.uri.path());
        route.map(Arc::clone).ok_or(StatusCode::NOT_FOUND)
    }

    /// A place with the application first: who has to wait there keeps no other application's request waiting.
    async fn places(&self, application: &Application) -> Option<Places> {
        Some((
            application.admission.enter().await?,
            self.admission.enter().await?,
        ))
    }
}

/// Counts a request that is not served, and reads its body over.
fn refuse(counters: &Counters, status: StatusCode, incoming: Incoming) -> StatusCode {
    counters.refused.fetch_add(1, Ordering::Relaxed);
    read_over(incoming);
    status
}

fn status_of(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Trap(_) | Failure::NoAnswer => StatusCode::INTERNAL_SERVER_ERROR,
        Failure::Time => StatusCode::GATEWAY_TIMEOUT,
        Failure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Refuses what the parser lets pass, and settles whom the request is for.
fn check(parts: &mut Parts, address: SocketAddr) -> Result<(), StatusCode> {
    if parts.method == Method::CONNECT {
        // RFC 9110, 9.3.6: an origin server that makes no tunnels.
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().cloned();
    // RFC 9112, 3.2: exactly one, which is an authority without a user; in HTTP/1.0 there may be none.
    if hosts.next().is_some() || (host.is_none() && parts.version == Version::HTTP_11) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let named = host.as_ref().map(authority).transpose()?;
    let authority = match (parts.uri.authority(), named) {
        // RFC 9112, 3.2.2: the target counts, whatever the field says.
        (Some(target), _) if target.as_str().contains('@') => return Err(StatusCode::BAD_REQUEST),
        (Some(_), _) => None,
        (None, Some(Some(named))) => Some(named),
        (None, _) => Authority::try_from(address.to_string()).ok(),
    };
    let expected = parts.headers.get(EXPECT);
    if expected.is_some_and(|expected| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(StatusCode::EXPECTATION_FAILED);
    }
    let upgrade = parts.headers.get(UPGRADE);
    if upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    if let Some(authority) = authority {
        address_to(parts, authority);
    }
    Ok(())
}

/// The authority that a `Host` field names; an empty one names none.
fn authority(host: &HeaderValue) -> Result<Option<Authority>, StatusCode> {
    if host.is_empty() {
        return Ok(None);
    }
    let named = Authority::try_from(host.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let text = named.as_str();
    let port = text.strip_prefix(named.host()).unwrap_or_default();
    let numbered = port.is_empty() || port == ":" || named.port_u16().is_some();
    if text.contains('@') || !numbered || named.host().is_empty() {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Some(named))
}

/// Puts the authority where guests are told of it from.
fn address_to(parts: &mut Parts, authority: Authority) {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(http::uri::Scheme::HTTP);
    uri.authority = Some(authority);
    parts.uri = http::Uri::from_parts(uri).unwrap_or_default();
}

/// The answer of a guest that gave its head.
fn answer(running: Running, status: StatusCode, fields: HeaderMap, head: bool) -> Response<Answer> {
    // RFC 9110, 6.4.1: answers to HEAD, and those with no content or not modified, have no body.
    let bodiless = head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let (body, length) = if bodiless {
        unread(running, status)
    } else {
        body(running)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    if let Answer::Whole {
        trailers: Some(trailers),
        ..
    } = response.body()
        && let Some(names) = names(trailers)
        && !response.headers().contains_key(TRAILER)
    {
        response.headers_mut().insert(TRAILER, names);
    }
    response
}

/// No body; its length is what the body would have had, as far as that is known.
fn unread(running: Running, status: StatusCode) -> (Answer, Option<u64>) {
    let length = {
        let state = running.exchange().state();
        let whole = matches!(state.end(), End::Finished(_)) && status.is_success();
        state.declared().or_else(|| whole.then(|| state.written()))
    };
    running.go_on();
    (
        Answer::whole(""),
        length.filter(|_| status != StatusCode::NO_CONTENT),
    )
}

/// The body, whole where it is.
fn body(running: Running) -> (Answer, Option<u64>) {
    let mut state = running.exchange().state();
    let declared = state.declared();
    if let End::Finished(trailers) = state.end() {
        let trailers = trailers.clone();
        let bytes = state.take();
        drop(state);
        let length = trailers.is_none().then_some(bytes.len() as u64);
        running.go_on();
        return (Answer::Whole { bytes, trailers }, length);
    }
    drop(state);
    let guest = Some(Box::new(running));
    (
        Answer::Streamed {
            guest,
            left: declared,
        },
        declared,
    )
}

/// What trailers are called, for the field that announces them: RFC 9110, 6.6.2.
fn names(trailers: &HeaderMap) -> Option<HeaderValue> {
    let names: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(request: http::request::Builder) -> Result<String, u16> {
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        check(&mut parts, address).map_err(|status| status.as_u16())?;
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
    fn what_is_not_served_is_said() {
        let request = || Request::builder().header(HOST, "example.com");
        assert_eq!(checked(request().header(HOST, "example.com")), Err(400));
        assert_eq!(checked(request().header(EXPECT, "a miracle")), Err(417));
        assert_eq!(checked(request().header(UPGRADE, "websocket")), Err(501));
        assert_eq!(
            checked(request().method(Method::CONNECT).uri("example.com:80")),
            Err(501)
        );
        assert!(checked(request().header(EXPECT, "100-Continue").header(UPGRADE, "h2c")).is_ok());
        assert!(checked(Request::builder().version(Version::HTTP_10)).is_ok());
    }
}
