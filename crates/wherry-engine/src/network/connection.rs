//! One connection of a request: bytes counted, secured where the scheme says so, and gone with the guest.

use super::quota::{NoRoom, Slot, Transfer};
use super::tls;
use crate::policy::Host;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, WasiBody};

/// A connection that a request can be sent on.
pub(super) enum Connection {
    /// HTTP/1.1.
    One(hyper::client::conn::http1::SendRequest<WasiBody>),
    /// HTTP/2.
    Two(hyper::client::conn::http2::SendRequest<WasiBody>),
}

/// Moves the bytes of a connection. Without a holder of this the connection ends.
#[derive(Clone)]
pub(super) struct Driving(
    #[allow(dead_code, reason = "held so that it is dropped")] Arc<AbortOnDropJoinHandle<()>>,
);

/// How a connection ended.
pub(super) type Ended = oneshot::Receiver<Result<(), Error>>;

impl Connection {
    /// Connects to the first of `addresses` that answers.
    pub(super) async fn open(
        host: &Host,
        secure: bool,
        addresses: &[SocketAddr],
        transfer: Arc<Transfer>,
        slot: Slot,
    ) -> Result<(Self, Driving, Ended), Error> {
        let mut failure = Error::DestinationUnavailable;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // What is sent goes out at once.
                    let _ = stream.set_nodelay(true);
                    let stream = Counted {
                        stream,
                        transfer,
                        _slot: slot,
                    };
                    return if secure {
                        secured(host, stream).await
                    } else {
                        one(stream).await
                    };
                }
                Err(error) => failure = unconnected(error),
            }
        }
        Err(failure)
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(self, mut request: Request<WasiBody>) -> Result<Response<Incoming>, Error> {
        let answer = match self {
            Self::One(mut sender) => {
                origin_form(&mut request)?;
                sender.send_request(request).await
            }
            Self::Two(mut sender) => {
                *request.version_mut() = Version::HTTP_2;
                sender.send_request(request).await
            }
        };
        answer.map_err(failed)
    }
}

async fn secured(host: &Host, stream: Counted) -> Result<(Connection, Driving, Ended), Error> {
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let connected = TlsConnector::from(tls::config()?).connect(name, stream).await;
    let stream = connected.map_err(|error| no_room(&error).unwrap_or_else(|| tls::failed(&error)))?;
    if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) {
        two(stream).await
    } else {
        one(stream).await
    }
}

async fn one(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(Connection, Driving, Ended), Error> {
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(failed)?;
    let (driving, ended) = driven(connection);
    Ok((Connection::One(sender), driving, ended))
}

async fn two(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(Connection, Driving, Ended), Error> {
    let shaken = hyper::client::conn::http2::handshake(Tasks::default(), TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(failed)?;
    let (driving, ended) = driven(connection);
    Ok((Connection::Two(sender), driving, ended))
}

/// Gives a request the form of HTTP/1.1: the path alone, and the host as a header (RFC 9112, 3.2).
fn origin_form(request: &mut Request<WasiBody>) -> Result<(), Error> {
    let uri = request.uri();
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

fn driven(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> (Driving, Ended) {
    let (sender, ended) = oneshot::channel();
    let task = spawn(async move {
        let _ = sender.send(connection.await.map_err(failed));
    });
    (Driving(Arc::new(task)), ended)
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
            return Some(Error::HttpResponseBodySize(None));
        }
        error = inner.downcast_ref::<io::Error>()?;
    }
}

/// A connection whose bytes are counted, and which counts as one itself.
struct Counted {
    stream: TcpStream,
    transfer: Arc<Transfer>,
    _slot: Slot,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, transfer, .. } = self.get_mut();
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
        buffer.advance(ready!(read)?);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, transfer, .. } = self.get_mut();
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
