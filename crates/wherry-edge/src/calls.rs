//! Requests of guests to applications of the same server, which get them without the network.
//!
//! To the one that is called such a request is like any other: it has a place, a guest, a line in the log and a span of its own.
//! It runs on a task of its own, as the guest that called has its own turns and waits meanwhile; it runs ahead by no more than a
//! [`WINDOW`]. Whether the request is granted was asked before. Start at [`Calls`].

use crate::arriving::Content;
use crate::head::Arrival;
use crate::observe::context::SpanContext;
use crate::observe::record::Recorded;
use crate::observe::spans::Trace;
use crate::service::{Connection, Service};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use wasmtime_wasi_http::{Error, WasiBody};
use wherry_engine::outgoing::{Nearby, Outgoing, Sent};

/// Bytes of an answer that wait for who called: as many as over HTTP/2, for guests that read nothing before they have sent all.
const WINDOW: u32 = 1 << 20;

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    address: SocketAddr,
    secure: bool,
}

/// What becomes of the requests that a guest sends.
pub struct Calls {
    connection: Arc<Connection>,
    trace: Option<Arc<Trace>>,
}

/// The same for an instance that is at several requests, or at none for now.
#[derive(Default)]
pub struct Live(Mutex<Vec<Arc<Calls>>>);

impl Own {
    /// A server at this address, with TLS or without.
    pub fn new(address: SocketAddr, secure: bool) -> Self {
        Self { address, secure }
    }

    /// Whether a URL names just this address: as a number, or as `localhost` where it is reached by that.
    fn is(&self, secure: bool, host: &str, port: u16) -> bool {
        let own = self.address.ip();
        let named = host.trim_start_matches('[').trim_end_matches(']');
        let local = own.is_unspecified() || own.is_loopback();
        let same = match named.parse::<IpAddr>() {
            Ok(address) => address == own || (own.is_unspecified() && address.is_loopback()),
            Err(_) => named == "localhost" && local,
        };
        same && secure == self.secure && port == self.address.port()
    }
}

impl Service {
    /// Whether requests for this URL are answered here: it names the server's address, or a host of its routes at a port where
    /// that is served, and a route is for it.
    fn answers(&self, uri: &Uri) -> bool {
        let secure = uri.scheme_str() == Some("https");
        let (Some(host), table) = (uri.host(), self.table.load()) else {
            return false;
        };
        let usual = if secure { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let own = self.own.filter(|own| own.secure == secure);
        let served = port == usual || own.is_some_and(|own| own.address.port() == port);
        let here = (served && table.has(host)) || own.is_some_and(|own| own.is(secure, host, port));
        here && table.find(host, uri.path()).is_some()
    }
}

impl Calls {
    /// Those of the guest that answers a request on this connection.
    pub fn new(connection: &Arc<Connection>, trace: Option<&Arc<Trace>>) -> Arc<Self> {
        Arc::new(Self {
            connection: Arc::clone(connection),
            trace: trace.cloned(),
        })
    }
}

impl Outgoing for Calls {
    fn sends(self: Arc<Self>, request: &mut Parts) -> Option<Sent> {
        self.trace.as_ref().map(|trace| trace.sends(request))
    }

    fn nearby(&self, uri: &Uri) -> Option<Nearby> {
        let service = &self.connection.service;
        if !service.answers(uri) {
            return None;
        }
        let own = service.own.map(|own| own.address);
        let connection = Arc::new(Connection {
            service: Arc::clone(service),
            arrival: Arrival {
                address: own.unwrap_or(self.connection.arrival.address),
                peer: SocketAddr::new(own.map_or(Ipv4Addr::LOCALHOST.into(), reached), 0),
                secure: uri.scheme_str() == Some("https"),
            },
            depth: self.connection.depth + 1,
        });
        Some(Box::new(move |request| Box::pin(answered(connection, request))))
    }
}

impl Live {
    /// The instance begins a request.
    pub fn begin(&self, calls: &Arc<Calls>) {
        self.calls().push(Arc::clone(calls));
    }

    /// Nobody waits for the answer any more.
    pub fn end(&self, calls: &Arc<Calls>) {
        self.calls().retain(|other| !Arc::ptr_eq(other, calls));
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Arc<Calls>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing for Live {
    /// Part of the one request that there is, or of the one whose trace the guest names.
    fn sends(self: Arc<Self>, request: &mut Parts) -> Option<Sent> {
        let named = SpanContext::of(&request.headers).map(|context| context.trace);
        let of = {
            let calls = self.calls();
            match &calls[..] {
                [one] => one.trace.clone(),
                all => all
                    .iter()
                    .filter_map(|calls| calls.trace.as_ref())
                    .find(|trace| Some(trace.context.trace) == named)
                    .cloned(),
            }
        };
        of.map(|trace| trace.sends(request))
    }

    /// Which of the requests leads to it is not known: it may be the deepest.
    fn nearby(&self, uri: &Uri) -> Option<Nearby> {
        let deepest = self
            .calls()
            .iter()
            .max_by_key(|calls| calls.connection.depth)
            .cloned();
        deepest?.nearby(uri)
    }
}

/// By which address a server reaches itself.
fn reached(own: SocketAddr) -> IpAddr {
    if own.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        own.ip()
    }
}

/// Has a request answered; nothing is left of it when nobody waits for it any more.
async fn answered(
    connection: Arc<Connection>,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    let (telling, told) = oneshot::channel();
    tokio::spawn(answer(connection, request, telling));
    told.await.map_err(|_| Error::ConnectionTerminated)
}

async fn answer(
    connection: Arc<Connection>,
    request: Request<WasiBody>,
    mut telling: oneshot::Sender<Response<WasiBody>>,
) {
    let bodiless = request.method() == Method::HEAD;
    let mut request = request.map(Content::Guest);
    // In the form of HTTP/2 it is for whom its URL names, and nothing in it is of a connection.
    *request.version_mut() = Version::HTTP_2;
    let response = tokio::select! {
        biased;
        () = telling.closed() => return,
        response = connection.answer(request) => response,
    };
    let (head, body) = response.into_parts();
    let (sending, pieces) = mpsc::unbounded_channel();
    let window = Arc::new(Semaphore::new(WINDOW as usize));
    let given = Given {
        pieces: (!bodiless && !body.is_end_stream()).then_some(pieces),
        window: Arc::clone(&window),
        hint: body.size_hint(),
    };
    let response = Response::from_parts(head, given.boxed_unsync());
    if telling.send(response).is_ok() && !bodiless {
        hand_on(body, &sending, &window).await;
    }
}

/// A piece of an answer; none at its end.
type Piece = Option<Result<Frame<Bytes>, Error>>;

/// Hands an answer on, piece by piece, until it is over or nobody wants more of it.
async fn hand_on(mut body: Recorded, sending: &mpsc::UnboundedSender<Piece>, window: &Semaphore) {
    loop {
        // The guest of one that is whole does what is left after it, whether somebody listens or not.
        let whole = body.size_hint().exact() == Some(0);
        let piece = tokio::select! {
            biased;
            piece = body.frame() => piece,
            () = sending.closed(), if !whole => return,
        };
        let Some(Ok(frame)) = piece else {
            // It may be that nobody wants to know.
            let _ = sending.send(piece.map(|_| Err(Error::HttpResponseIncomplete)));
            return;
        };
        let wanted = width(&frame);
        tokio::select! {
            biased;
            // Given back by who takes the piece; nobody closes it.
            room = window.acquire_many(wanted) => room.map_or((), SemaphorePermit::forget),
            () = sending.closed(), if !whole => return,
        }
        let _ = sending.send(Some(Ok(frame)));
    }
}

/// How much of a window a frame takes.
fn width(frame: &Frame<Bytes>) -> u32 {
    let size = frame.data_ref().map_or(0, Bytes::len);
    u32::try_from(size).unwrap_or(WINDOW).min(WINDOW)
}

/// The body of an answer, as it is handed on.
struct Given {
    pieces: Option<mpsc::UnboundedReceiver<Piece>>,
    window: Arc<Semaphore>,
    hint: SizeHint,
}

impl Body for Given {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        let this = self.get_mut();
        let Some(pieces) = &mut this.pieces else {
            return Poll::Ready(None);
        };
        // What stops without an end is not whole.
        let piece = ready!(pieces.poll_recv(context)).unwrap_or(Some(Err(Error::HttpResponseIncomplete)));
        match &piece {
            Some(Ok(frame)) => this.window.add_permits(width(frame) as usize),
            _ => this.pieces = None,
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_meant_by_its_address_alone() {
        for (own, secure, means, others) in [
            (
                "127.0.0.1:8080",
                false,
                &["http://127.0.0.1:8080/", "http://localhost:8080/a"][..],
                &[
                    "http://127.0.0.1:8081/",
                    "http://127.0.0.1/",
                    "http://127.0.0.2:8080/",
                    "http://[::1]:8080/",
                    "https://127.0.0.1:8080/",
                    "http://localhost.example:8080/",
                ][..],
            ),
            (
                "0.0.0.0:443",
                true,
                &["https://127.0.0.1/", "https://localhost/", "https://[::1]:443/"],
                &["https://192.0.2.1/", "http://127.0.0.1:443/"],
            ),
            (
                "192.0.2.1:80",
                false,
                &["http://192.0.2.1/"],
                &["http://localhost/", "http://127.0.0.1/"],
            ),
        ] {
            let own = Own::new(own.parse().unwrap(), secure);
            let is = |url: &str| {
                let uri: Uri = url.parse().unwrap();
                let secure = uri.scheme_str() == Some("https");
                let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
                own.is(secure, uri.host().unwrap(), port)
            };
            assert!(means.iter().all(|url| is(url)), "{own:?}");
            assert!(!others.iter().any(|url| is(url)), "{own:?}");
        }
    }
}
