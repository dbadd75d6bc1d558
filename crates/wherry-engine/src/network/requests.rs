//! Outgoing HTTP of guests, 0.2 and 0.3, in place of the client that comes with `wasmtime-wasi-http`.
//!
//! A request is taken apart, and what is sent is put together from the parts that were checked: the host in its canonical
//! form, the path after its dots were walked, and headers without those that are between two hops. Redirects are answers like
//! others. Start at [`Requests::send_request`](WasiHttpHooks::send_request).

use super::connection::{Connection, failed, fields, size};
use super::departing::{Departing, Told, trailers};
use super::lookup::Unresolved;
use super::pool::{Lease, Opening, Origin, Pool};
use super::quota::Slot;
use super::{Network, authority, named};
use crate::guest::Guest;
use crate::monitor::{Access, Subject};
use crate::outgoing::{Nearby, Outgoing};
use crate::policy::{Host, default_port, host, plain};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
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
use tokio::sync::oneshot::error::TryRecvError;
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
    /// Where its connections come from, and go to.
    pub(crate) pool: Arc<Pool>,
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
            pool: Arc::default(),
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
        let heard = self.heard.clone();
        let told = heard.clone().and_then(|heard| heard.sends(&mut parts));
        let request = Request::from_parts(parts, body);
        let call = Call::of(&self.network, &self.pool, request, options.unwrap_or_default());
        Box::new(async move {
            let answer = match call {
                Ok(call) => {
                    let (network, target) = (Arc::clone(&call.to.network), call.target.clone());
                    let heard = heard.filter(|_| call.named);
                    let nearby = heard.and_then(|heard| heard.nearby(call.request.uri()));
                    let answer = match nearby {
                        Some(nearby) => Box::pin(call.handed(nearby)).await,
                        None => Box::pin(call.answered()).await,
                    };
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
    /// The policy names its host.
    named: bool,
    request: Request<WasiBody>,
    options: RequestOptions,
    to: Destination,
}

/// Where a request goes.
struct Destination {
    network: Arc<Network>,
    pool: Arc<Pool>,
    scheme: &'static str,
    origin: Origin,
}

impl Call {
    /// Takes a request apart, asks whether it is granted, and puts it together anew.
    fn of(
        network: &Arc<Network>,
        pool: &Arc<Pool>,
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
        let named = network.names(parts.method.as_str(), scheme, &host, port, &path);
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
            pool: Arc::clone(pool),
            scheme,
            origin: Origin {
                secure: scheme == "https",
                host,
                port,
            },
        };
        Ok(Self {
            target,
            named,
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
        let (request, mut told) = Departing::of(request);
        let waiting = Patience::for_head(&to.network, &options);
        let sent = to.sent(request, options.connect_timeout, &waiting).await;
        let (lease, answer) = sent.map_err(|error| match told.try_recv() {
            // What was wrong with its body says more than that it has no answer.
            Ok(Err(why @ Error::HttpResponseBodySize(_))) => why,
            _ => error,
        })?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::HttpUpgradeFailed);
        }
        let between = Patience::for_body(to.network, &options);
        let lease = Arc::new(lease);
        let answer = answer.map(|incoming| Arriving {
            incoming,
            failed,
            between,
            sleep: None,
            paid: lease.is_shared(),
            held: Some(Held::Lease(Arc::clone(&lease))),
        });
        Ok((arriving(answer), Box::new(departed(told, lease))))
    }

    /// Has it answered without the network. Its limits hold, and its bytes count as over HTTP/2.
    async fn handed(self, nearby: Nearby) -> Result<Answer, Error> {
        let Self {
            request, options, to, ..
        } = self;
        let network = to.network;
        let slot = network.slot("connect").ok_or(Error::ConnectionLimitReached)?;
        network.transfer.pay(size(&request), "send")?;
        let (mut request, mut told) = Departing::of(request);
        request.body_mut().transfer = Some(Arc::clone(&network.transfer));
        let request = request.map(|body| body.map_err(|_| Error::ConnectionTerminated).boxed_unsync());
        let answer = Patience::for_head(&network, &options).of(nearby(request)).await;
        let answer = answer.ok_or(Error::ConnectionReadTimeout)??;
        if let Ok(Err(why @ Error::HttpResponseBodySize(_))) = told.try_recv() {
            return Err(why);
        }
        network.transfer.pay(fields(answer.headers()), "receive")?;
        let between = Patience::for_body(network, &options);
        let answer = answer.map(|incoming| Arriving {
            incoming,
            failed: |error| error,
            between,
            sleep: None,
            paid: true,
            held: Some(Held::Slot(slot)),
        });
        Ok((arriving(answer), Box::new(departed(told, ()))))
    }
}

/// An answer as its guest gets it.
fn arriving<B>(answer: Response<Arriving<B>>) -> Response<WasiBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: 'static,
{
    let (mut head, mut body) = answer.into_parts();
    for name in &DEFAULT_FORBIDDEN_HEADERS {
        head.headers.remove(name);
    }
    body.look();
    Response::from_parts(head, body.boxed_unsync())
}

/// What becomes of the body of a request that is answered already; what carries it is held until then.
async fn departed<T>(mut told: Told, held: T) -> Sent {
    match told.try_recv() {
        Ok(Ok(())) | Err(TryRecvError::Closed) => return Ok(()),
        // Nobody should take what is wrong with the request for what is wrong with the answer, which is there.
        Ok(Err(error)) => {
            tokio::task::yield_now().await;
            return Err(error);
        }
        Err(TryRecvError::Empty) => {}
    }
    let told = told.await.unwrap_or(Ok(()));
    drop(held);
    told
}

impl Destination {
    /// Sends a request, and waits for the head of its answer. One that nobody took in is sent once more, on a connection of its
    /// own: where a connection waited for too long, the other side may close it at any time (RFC 9112, 9.3.1).
    async fn sent(
        &self,
        mut request: Request<Departing>,
        timeout: Option<Duration>,
        waiting: &Patience,
    ) -> Result<(Lease, Response<Incoming>), Error> {
        let uri = request.uri().clone();
        let slot = self
            .network
            .slot("connect")
            .ok_or(Error::ConnectionLimitReached)?;
        let mut lease = match self.pool.lease(&self.origin, slot) {
            Ok(lease) => lease,
            Err(slot) => self.opened(timeout, slot, true).await?,
        };
        let mut copy =
            (lease.reused && is_repeatable(&request, lease.is_shared())).then(|| bodiless(&request));
        loop {
            let connection = lease.connection().ok_or(Error::ConnectionTerminated)?;
            let sending = connection.send(&uri, request, &self.network.transfer);
            let Some(sent) = waiting.of(sending).await else {
                lease.distrust();
                return Err(Error::ConnectionReadTimeout);
            };
            let unsent = match sent {
                Ok(answer) => return Ok((lease, answer)),
                Err(unsent) => unsent,
            };
            let again = unsent.request.or_else(|| copy.take().filter(|_| unsent.gone));
            match again.filter(|_| lease.reused) {
                Some(again) => request = again,
                None => return Err(unsent.error),
            }
            let slot = lease.give_up().ok_or(Error::ConnectionLimitReached)?;
            lease = self.opened(timeout, slot, false).await?;
        }
    }

    /// Connects to where the host leads, unless somebody else did meanwhile and shares that.
    async fn opened(&self, timeout: Option<Duration>, slot: Slot, sharing: bool) -> Result<Lease, Error> {
        let Self {
            network,
            pool,
            scheme,
            origin,
        } = self;
        let opened = async {
            let opening = (sharing && origin.secure).then(|| pool.opening(origin));
            let slot = match &opening {
                Some(Opening::After(first)) => {
                    drop(first.lock().await);
                    match pool.lease(origin, slot) {
                        Ok(lease) => return Ok(lease),
                        Err(slot) => slot,
                    }
                }
                _ => slot,
            };
            let addresses = leading(network, scheme, &origin.host, origin.port).await?;
            let made = Connection::open(&origin.host, origin.secure, &addresses, &network.transfer).await?;
            Ok(pool.made(made, origin, slot))
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

/// Whether a request may be sent again whatever became of it: it has no body, and does the same when it is done twice (RFC 9110,
/// 9.2.2). Of a GET and a HEAD over HTTP/1.1 nobody sends a body that has no length.
fn is_repeatable(request: &Request<Departing>, shared: bool) -> bool {
    let unsent = matches!(*request.method(), Method::GET | Method::HEAD)
        && !shared
        && !request.headers().contains_key(CONTENT_LENGTH);
    request.method().is_idempotent() && (unsent || request.body().is_end_stream())
}

/// The same request once more, where it has no body.
fn bodiless(request: &Request<Departing>) -> Request<Departing> {
    let mut copy = Request::new(Departing::none());
    *copy.method_mut() = request.method().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
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
    /// That for the head of an answer.
    fn for_head(network: &Arc<Network>, options: &RequestOptions) -> Self {
        Self {
            network: Arc::clone(network),
            own: options.first_byte_timeout,
            flag: "first-byte-timeout",
            most: network.first_byte_timeout,
        }
    }

    /// That between two pieces of its body.
    fn for_body(network: Arc<Network>, options: &RequestOptions) -> Self {
        Self {
            own: options.between_bytes_timeout,
            flag: "between-bytes-timeout",
            most: network.between_bytes_timeout,
            network,
        }
    }

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
struct Arriving<B: Body> {
    incoming: B,
    /// What its errors are called.
    failed: fn(B::Error) -> Error,
    between: Patience,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Its bytes are counted here, as its connection does not know whose they are.
    paid: bool,
    held: Option<Held>,
}

/// What an answer has until its end.
enum Held {
    /// A connection.
    Lease(Arc<Lease>),
    /// A place among those of its guest.
    Slot(#[allow(dead_code, reason = "held for its drop")] Slot),
}

impl<B: Body<Data = Bytes>> Arriving<B> {
    /// Gives back what it holds when nothing comes any more.
    fn look(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(Held::Lease(lease)) = self.held.take() {
            lease.read();
        }
    }

    /// A frame, where there is room for it.
    fn counted(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        if self.paid {
            let size = frame.data_ref().map_or(0, Bytes::len) + trailers(&frame);
            self.between.network.transfer.pay(size, "receive")?;
        }
        Ok(frame)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Arriving<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(context) {
            this.sleep = None;
            let Some(frame) = frame else {
                this.end();
                return Poll::Ready(None);
            };
            let frame = frame.map_err(this.failed).and_then(|frame| this.counted(frame));
            if frame.is_err() {
                this.held = None;
            }
            this.look();
            return Poll::Ready(Some(frame));
        }
        let time = this.between.time();
        let sleep = this
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(sleep.as_mut().poll(context));
        this.between.lost();
        if let Some(Held::Lease(lease)) = this.held.take() {
            lease.distrust();
        }
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
