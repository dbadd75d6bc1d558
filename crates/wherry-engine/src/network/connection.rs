//! One connection for requests: secured where the scheme says so, and each of its bytes counted for the request that it
//! belongs to.
//!
//! Over HTTP/1.1 a connection has one request at a time, which pays for all bytes that pass. Over HTTP/2 requests pay for their
//! fields and bodies, and the first one for what it takes until the connection stands.

use super::departing::Departing;
use super::quota::{NoRoom, Transfer};
use super::tls;
use crate::policy::Host;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

/// Bytes of an answer over HTTP/2 that wait for their reader, and as many times that as one connection carries requests: who
/// does not read holds nobody else up.
const WINDOW: u32 = 1 << 20;

/// Requests at once over one connection of HTTP/2.
pub(super) const STREAMS: u32 = 64;

/// A connection that requests can be sent on.
pub(super) enum Connection {
    /// HTTP/1.1: one request after the other.
    One(One),
    /// HTTP/2: several at once.
    Two(Two),
}

/// A connection of HTTP/1.1.
pub(super) struct One {
    pub sender: http1::SendRequest<Departing>,
    pub payer: Payer,
    _driving: Driving,
}

/// A connection of HTTP/2, for one request or for who keeps it.
#[derive(Clone)]
pub(super) struct Two {
    pub sender: http2::SendRequest<Departing>,
    /// Each request on it has one of these, and so has who keeps it.
    pub holders: Arc<()>,
    _driving: Driving,
}

/// Moves the bytes of a connection. Without a holder of this the connection ends.
#[derive(Clone)]
struct Driving(#[allow(dead_code, reason = "held so that it is dropped")] Arc<AbortOnDropJoinHandle<()>>);

/// A request that got no answer.
pub(super) struct Unsent {
    pub error: Error,
    /// The request, where none of it was sent.
    pub request: Option<Request<Departing>>,
    /// Whether the other side is gone, and said nothing before.
    pub gone: bool,
}

impl Connection {
    /// Connects to the first of `addresses` that answers; what it takes until the connection stands is paid from `transfer`.
    pub(super) async fn open(
        host: &Host,
        secure: bool,
        addresses: &[SocketAddr],
        transfer: &Arc<Transfer>,
    ) -> Result<Self, Error> {
        let mut failure = Error::DestinationUnavailable;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // What is sent goes out at once.
                    let _ = stream.set_nodelay(true);
                    let payer = Payer::default();
                    payer.pay(transfer);
                    let stream = Counted {
                        stream,
                        payer: payer.clone(),
                    };
                    return if secure {
                        secured(host, stream, payer).await
                    } else {
                        one(stream, payer).await
                    };
                }
                Err(error) => failure = unconnected(error),
            }
        }
        Err(failure)
    }

    /// Sends a request to `uri`, which is paid from `transfer`, and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        uri: &Uri,
        mut request: Request<Departing>,
        transfer: &Arc<Transfer>,
    ) -> Result<Response<Incoming>, Unsent> {
        let (sent, payer) = match self {
            Self::One(one) => {
                origin_form(uri, &mut request)?;
                one.payer.pay(transfer);
                (one.sender.try_send_request(request).await, Some(&one.payer))
            }
            Self::Two(two) => {
                *request.uri_mut() = uri.clone();
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove(HOST);
                transfer.pay(size(&request), "send")?;
                request.body_mut().transfer = Some(Arc::clone(transfer));
                (two.sender.try_send_request(request).await, None)
            }
        };
        let answer = sent.map_err(|mut unsent| {
            let request = unsent.take_message();
            let error = unsent.into_error();
            let silent = payer.is_none_or(|payer| !payer.heard());
            Unsent {
                request,
                gone: silent && !error.is_parse() && !error.is_timeout(),
                error: failed(error),
            }
        })?;
        if payer.is_none() {
            transfer.pay(fields(answer.headers()), "receive")?;
        }
        Ok(answer)
    }
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self {
            error,
            request: None,
            gone: false,
        }
    }
}

impl Two {
    /// Requests that are on it, as who keeps it sees them.
    pub(super) fn requests(&self) -> usize {
        Arc::strong_count(&self.holders).saturating_sub(1)
    }
}

async fn secured(host: &Host, stream: Counted, payer: Payer) -> Result<Connection, Error> {
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let connected = TlsConnector::from(tls::config()?).connect(name, stream).await;
    let stream = connected.map_err(|error| no_room(&error).unwrap_or_else(|| tls::failed(&error)))?;
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) {
        two(stream, &payer).await
    } else {
        one(stream, payer).await
    }
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    payer: Payer,
) -> Result<Connection, Error> {
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(failed)?;
    Ok(Connection::One(One {
        sender,
        payer,
        _driving: driven(connection),
    }))
}

async fn two(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    payer: &Payer,
) -> Result<Connection, Error> {
    let mut builder = http2::Builder::new(Tasks::default());
    builder
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * STREAMS);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(failed)?;
    // From here on each request pays for itself.
    payer.rest();
    Ok(Connection::Two(Two {
        sender,
        holders: Arc::default(),
        _driving: driven(connection),
    }))
}

/// Gives a request the form of HTTP/1.1: the path alone, and the host as a header (RFC 9112, 3.2).
fn origin_form(uri: &Uri, request: &mut Request<Departing>) -> Result<(), Error> {
    let host = uri.authority().map_or("", Authority::as_str);
    let host = HeaderValue::from_str(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = path.into();
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(HOST, host);
    Ok(())
}

/// What the head of a request counts over HTTP/2: method, URL and fields, as they are before they are compressed.
pub(super) fn size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let target = uri.authority().map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |path| path.as_str().len());
    request.method().as_str().len() + target + fields(request.headers())
}

/// What fields count over HTTP/2.
pub(super) fn fields(fields: &HeaderMap) -> usize {
    let sizes = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    sizes.sum()
}

fn driven(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Driving {
    let task = spawn(async move {
        // Who waits for an answer is told by it.
        let _ = connection.await;
    });
    Driving(Arc::new(task))
}

/// The tasks of a connection of HTTP/2; they end with it.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            task.await;
        });
    }
}

/// What a failed connection is called in `wasi:http`.
fn unconnected(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationUnavailable,
        _ => Error::Connect(error),
    }
}

/// What a failed exchange is called in `wasi:http`.
pub(super) fn failed(error: hyper::Error) -> Error {
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>().and_then(no_room) {
            return error;
        }
        source = inner.source();
    }
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else {
        Error::Hyper(error)
    }
}

/// The limit on bytes struck, if that is what an error comes from.
fn no_room(error: &io::Error) -> Option<Error> {
    let mut error = error;
    loop {
        let inner = error.get_ref()?;
        if inner.is::<NoRoom>() {
            return Some(NoRoom::error());
        }
        error = inner.downcast_ref::<io::Error>()?;
    }
}

/// Who pays for the bytes of a connection just now; nobody while no request is on it.
#[derive(Clone, Default)]
pub(super) struct Payer(Arc<Mutex<Paying>>);

#[derive(Default)]
struct Paying {
    transfer: Option<Arc<Transfer>>,
    /// Something was received since somebody else paid.
    heard: bool,
}

impl Payer {
    fn pay(&self, transfer: &Arc<Transfer>) {
        *self.paying() = Paying {
            transfer: Some(Arc::clone(transfer)),
            heard: false,
        };
    }

    /// Nobody pays any more.
    pub(super) fn rest(&self) {
        self.paying().transfer = None;
    }

    fn heard(&self) -> bool {
        self.paying().heard
    }

    fn hear(&self) {
        self.paying().heard = true;
    }

    fn transfer(&self) -> Option<Arc<Transfer>> {
        self.paying().transfer.clone()
    }

    fn paying(&self) -> MutexGuard<'_, Paying> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose bytes are paid for.
struct Counted {
    stream: TcpStream,
    payer: Payer,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, payer } = self.get_mut();
        let Some(transfer) = payer.transfer() else {
            return Pin::new(stream).poll_read(context, buffer);
        };
        let read = transfer.moves(buffer.remaining(), |room| {
            // With no room left, one byte shows whether there is more; the end of a connection costs nothing.
            let mut spare = [0];
            let place = if room == 0 {
                &mut spare[..]
            } else {
                buffer.initialize_unfilled_to(room)
            };
            let mut part = ReadBuf::new(place);
            let read = Pin::new(stream).poll_read(context, &mut part);
            let count = part.filled().len();
            match (read, count) {
                (Poll::Ready(Ok(())), 1..) if room == 0 => (None, 0),
                (read, count) => (Some(read.map_ok(|()| count)), count),
            }
        });
        let Some(read) = read else {
            transfer.strike("receive");
            return Poll::Ready(Err(NoRoom::io()));
        };
        let count = ready!(read)?;
        if count > 0 {
            payer.hear();
        }
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, payer } = self.get_mut();
        let Some(transfer) = payer.transfer() else {
            return Pin::new(stream).poll_write(context, bytes);
        };
        let written = transfer.moves(bytes.len(), |room| {
            if room == 0 && !bytes.is_empty() {
                return (None, 0);
            }
            let written = Pin::new(stream).poll_write(context, &bytes[..room]);
            let count = match &written {
                Poll::Ready(Ok(count)) => *count,
                _ => 0,
            };
            (Some(written), count)
        });
        written.unwrap_or_else(|| {
            transfer.strike("send");
            Poll::Ready(Err(NoRoom::io()))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
