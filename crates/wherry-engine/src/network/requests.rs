//! Outgoing HTTP of guests, 0.2 and 0.3, in place of the client that comes with `wasmtime-wasi-http`.
//!
//! A request is taken apart, and what is sent is put together from the parts that were checked: the host in its canonical
//! form, the path after its dots were walked, and headers without those that are between two hops. Redirects are answers like
//! others. Start at [`Requests::send_request`](WasiHttpHooks::send_request).

use super::connection::{Connection, Driving, Ended, failed};
use super::lookup::Unresolved;
use super::{Network, authority, named};
use crate::guest::Guest;
use crate::monitor::{Access, Subject};
use crate::outgoing::Outgoing;
use crate::policy::{Host, default_port, host, plain};
use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Puts in front of what is linked what tells a guest of 0.2 why an answer broke off. The function of `wasmtime-wasi-http`
/// knows the errors of its own client alone.
///
/// # Errors
/// Those of the linker.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, Guest>, (error,): (Resource<wasmtime::Error>,)| {
            let error = store.data_mut().ctx().table.get(&error)?;
            let known = error.downcast_ref::<ErrorCode>().cloned();
            Ok((known.or_else(|| error.downcast_ref::<Error>().map(broken_off)),))
        },
    )
}

/// Why an answer broke off.
fn broken_off(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        _ => ErrorCode::HttpProtocolError,
    }
}

/// Sends the requests of one guest.
pub(crate) struct Requests {
    network: Arc<Network>,
    /// Bytes of a body that are taken over at once.
    piece: usize,
    /// Who hears of them.
    pub(crate) heard: Option<Arc<dyn Outgoing>>,
}

impl Requests {
    /// Those of a guest of which the host keeps no more than a few times `piece` bytes for each body.
    pub(crate) fn new(network: Arc<Network>, piece: usize) -> Self {
        Self {
            network,
            piece,
            heard: None,
        }
    }
}

type Sent = Result<(), Error>;
type Sending = Box<dyn Future<Output = Sent> + Send>;
type Answer = (Response<WasiBody>, Sending);

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Sending,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let (mut parts, body) = request.into_parts();
        let told = self.heard.clone().map(|heard| heard.sends(&mut parts));
        let request = Request::from_parts(parts, body);
        let call = Call::of(&self.network, request, options.unwrap_or_default());
        Box::new(async move {
            let answer = match call {
                Ok(call) => {
                    let (network, target) = (Arc::clone(&call.to.network), call.target.clone());
                    let answer = Box::pin(call.answered()).await;
                    answer.inspect_err(|error| unanswered(&network, target, error))
                }
                Err(error) => Err(error),
            };
            if let Some(told) = told {
                told(match &answer {
                    Ok((answer, _)) => Ok(answer.status()),
                    Err(error) => Err(named(error)),
                });
            }
            answer
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.piece
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        self.piece
    }
}

/// Notes that a request got no answer, unless it was noted already why.
fn unanswered(network: &Network, target: String, error: &Error) {
    let noted = matches!(
        error,
        Error::HttpRequestDenied | Error::DestinationIpProhibited | Error::ConnectionLimitReached
    );
    if !noted {
        let access = || Access {
            subject: Subject::Http,
            operation: "request",
            target,
        };
        network.monitor.failed(access, named(error));
    }
}

/// A request that is granted.
struct Call {
    /// Its method, and its URL without the query.
    target: String,
    request: Request<WasiBody>,
    options: RequestOptions,
    to: Destination,
}

/// Where a request goes.
struct Destination {
    network: Arc<Network>,
    scheme: &'static str,
    host: Host,
    port: u16,
}

impl Call {
    /// Takes a request apart, asks whether it is granted, and puts it together anew.
    fn of(
        network: &Arc<Network>,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        if parts.method == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let scheme = match parts.uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => return Err(Error::HttpRequestUriInvalid),
        };
        let named = parts
            .uri
            .authority()
            .and_then(|authority| endpoint(authority, scheme));
        let (host, port) = named.ok_or(Error::HttpRequestUriInvalid)?;
        let path = plain(parts.uri.path()).into_owned();
        if !path.starts_with('/') {
            return Err(Error::HttpRequestUriInvalid);
        }
        if !network.sends(parts.method.as_str(), scheme, &host, port, &path) {
            return Err(Error::HttpRequestDenied);
        }
        if !network.one_more() {
            return Err(Error::ConnectionLimitReached);
        }
        let origin = authority(&host, scheme, port);
        let target = format!("{} {scheme}://{origin}{path}", parts.method);
        let path = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        parts.uri = Uri::builder()
            .scheme(scheme)
            .authority(origin)
            .path_and_query(path)
            .build()
            .map_err(|_| Error::HttpRequestUriInvalid)?;
        for name in &DEFAULT_FORBIDDEN_HEADERS {
            parts.headers.remove(name);
        }
        let request = Request::from_parts(parts, body);
        let to = Destination {
            network: Arc::clone(network),
            scheme,
            host,
            port,
        };
        Ok(Self {
            target,
            request,
            options,
            to,
        })
    }

    /// Sends it, and waits for the head of the answer.
    async fn answered(self) -> Result<Answer, Error> {
        let Self {
            request, options, to, ..
        } = self;
        let (connection, driving, ended) = to.opened(options.connect_timeout).await?;
        let network = to.network;
        let waiting = Patience {
            network: Arc::clone(&network),
            own: options.first_byte_timeout,
            flag: "first-byte-timeout",
            most: network.first_byte_timeout,
        };
        let answer = waiting.of(connection.send(request)).await;
        let (mut head, incoming) = answer.ok_or(Error::ConnectionReadTimeout)??.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::HttpUpgradeFailed);
        }
        for name in &DEFAULT_FORBIDDEN_HEADERS {
            head.headers.remove(name);
        }
        let between = Patience {
            own: options.between_bytes_timeout,
            flag: "between-bytes-timeout",
            most: network.between_bytes_timeout,
            network,
        };
        let body = Arriving {
            incoming,
            between,
            sleep: None,
            _driving: driving.clone(),
        };
        let sent = async move {
            let ended = ended.await.unwrap_or(Ok(()));
            drop(driving);
            ended
        };
        Ok((Response::from_parts(head, body.boxed_unsync()), Box::new(sent)))
    }
}

impl Destination {
    /// Connects to where the host leads.
    async fn opened(&self, timeout: Option<Duration>) -> Result<(Connection, Driving, Ended), Error> {
        let Self {
            network,
            scheme,
            host,
            port,
        } = self;
        let opened = async {
            let slot = network.slot("connect").ok_or(Error::ConnectionLimitReached)?;
            let addresses = leading(network, scheme, host, *port).await?;
            Connection::open(
                host,
                *scheme == "https",
                &addresses,
                Arc::clone(&network.transfer),
                slot,
            )
            .await
        };
        let connecting = Patience {
            network: Arc::clone(network),
            own: timeout,
            flag: "connect-timeout",
            most: network.connect_timeout,
        };
        connecting
            .of(Box::pin(opened))
            .await
            .ok_or(Error::ConnectionTimeout)?
    }
}

/// The host and port of an authority that names nothing else.
fn endpoint(authority: &Authority, scheme: &str) -> Option<(Host, u16)> {
    let text = authority.as_str();
    let rest = text.strip_prefix(authority.host())?;
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => default_port(scheme),
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()?
        }
        _ => return None,
    };
    (port != 0 && !text.contains('@')).then_some((host(authority.host())?, port))
}

/// Where a host leads, as far as requests for it may go there.
async fn leading(network: &Network, scheme: &str, host: &Host, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let found = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => network.resolve(name).await.map_err(|error| match error {
            Unresolved::Unanswered => Error::DnsTimeout,
            _ => Error::DnsError {
                rcode: None,
                info_code: None,
            },
        })?,
    };
    let addresses = found.into_iter().map(|address| SocketAddr::new(address, port));
    let granted: Vec<SocketAddr> = addresses
        .filter(|address| network.leads(scheme, host, *address))
        .collect();
    if granted.is_empty() {
        Err(Error::DestinationIpProhibited)
    } else {
        Ok(granted)
    }
}

/// How long something is waited for: as long as the guest wants to, and no longer than the limit.
struct Patience {
    network: Arc<Network>,
    own: Option<Duration>,
    flag: &'static str,
    most: Duration,
}

impl Patience {
    fn time(&self) -> Duration {
        self.own.map_or(self.most, |own| own.min(self.most))
    }

    /// What comes of a future; `None` when it took too long.
    async fn of<F: Future>(&self, future: F) -> Option<F::Output> {
        let done = tokio::time::timeout(self.time(), future).await;
        if done.is_err() {
            self.lost();
        }
        done.ok()
    }

    /// Notes that the limit struck, unless it was the guest's own.
    fn lost(&self) {
        if self.own.is_some_and(|own| own <= self.most) {
            return;
        }
        self.network.late(self.flag, self.most);
    }
}

/// The body of an answer, which may not pause for too long while somebody waits for it.
struct Arriving {
    incoming: Incoming,
    between: Patience,
    sleep: Option<Pin<Box<Sleep>>>,
    _driving: Driving,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(context) {
            this.sleep = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(failed)));
        }
        let time = this.between.time();
        let sleep = this
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(sleep.as_mut().poll(context));
        this.between.lost();
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
