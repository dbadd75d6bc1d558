//! One connection, from its first byte to its last: which protocol it speaks, and how long its client may take for anything.
//!
//! A connection of HTTP/1.1 on which nothing happens gives back all that serving it takes, and waits with its socket alone: of
//! ten thousand that are kept alive, most are idle. Start at [`Connections::serve`].

use crate::arriving::Content;
use crate::gate::{Gate, LINGER, MOST_LINGERED, Traffic, Transport};
use crate::head::Arrival;
use crate::observe::record::Recorded;
use crate::service::{Connection, Service};
use crate::streams::Streams;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// What a client of HTTP/2 begins with: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most bytes in the head of a request.
pub const HEAD_SIZE: u32 = 64 << 10;

/// The most bytes in the pieces that a body is read in.
const PIECE: usize = 256 << 10;

/// The most requests at once on one HTTP/2 connection, and bytes of the answer to one that wait to be sent.
const STREAMS: u32 = 128;
/// See [`STREAMS`].
const STREAM_ROOM: usize = 64 << 10;

/// How long nothing happens before a connection counts as idle, and a client that closed its side as gone; how often that is
/// looked at.
const QUIET: Duration = Duration::from_secs(1);

/// How long the first request of a connection is waited for when the server stops.
const FRESH: Duration = Duration::from_secs(1);

/// What a client is told that speaks without TLS where there has to be some.
const NOT_SECURE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 23\r\n\r\nThis is a port of HTTPS";

/// What TLS begins with, the type of a record with a handshake: RFC 8446, 5.1.
const HANDSHAKE: u8 = 22;

/// What a client is told that did not finish a head in time: RFC 9110, 15.5.9.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// For the head of a request.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// To take in anything of what waits to be sent to it.
    pub write: Duration,
}

/// What all connections of a server share.
pub struct Connections {
    /// What answers.
    pub service: Arc<Service>,
    /// How long clients may take.
    pub times: Times,
    /// How they are secured, if they are.
    pub tls: Option<TlsAcceptor>,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Whether idle connections are closed, and others after what they are at.
    pub closing: watch::Receiver<bool>,
    /// Held by each connection for as long as it is there.
    pub alive: mpsc::Sender<Infallible>,
}

impl Connections {
    /// Serves a client until either side closes.
    pub async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let _alive = self.alive.clone();
        // It only makes small answers later.
        let _ = stream.set_nodelay(true);
        let arrival = Arrival {
            address: self.address,
            peer,
            secure: self.tls.is_some(),
        };
        let shared = Arc::new(Connection {
            service: Arc::clone(&self.service),
            arrival,
            depth: 0,
        });
        let Some((mut transport, negotiated)) = self.secured(stream).await else {
            return;
        };
        if negotiated {
            return Box::pin(self.http2(transport, Bytes::new(), &shared)).await;
        }
        let Some(mut first) = self.first(&mut transport, self.times.head, FRESH).await else {
            return;
        };
        if !arrival.secure && self.speaks_http2(&mut transport, &mut first).await {
            return Box::pin(self.http2(transport, first, &shared)).await;
        }
        // What serves it is in a box of its own, so that an idle one does without.
        while let Some((mut idle, left)) = Box::pin(self.http1(transport, first, &shared)).await {
            first = if left.is_empty() {
                match self.first(&mut idle, self.times.idle, Duration::ZERO).await {
                    Some(first) => first,
                    None => return self.end(idle).await,
                }
            } else {
                left
            };
            transport = idle;
        }
    }

    /// The connection with what secures it, and whether it is to be HTTP/2.
    async fn secured(&self, stream: TcpStream) -> Option<(Transport, bool)> {
        let Some(acceptor) = &self.tls else {
            return Some((Transport::Plain(stream), false));
        };
        let shaking = async {
            let mut first = [0];
            if stream.peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE {
                let mut plain = Transport::Plain(stream);
                let _ = plain.write_all(NOT_SECURE).await;
                self.service.note_malformed();
                self.linger(&mut plain).await;
                return None;
            }
            acceptor.accept(stream).await.ok()
        };
        let mut closing = self.closing.clone();
        let closed = async {
            told(&mut closing).await;
            sleep(FRESH).await;
        };
        tokio::select! {
            biased;
            shaken = Box::pin(timeout(self.times.handshake, shaking)) => {
                let stream = shaken.ok()??;
                let negotiated = stream.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP_2);
                Some((Transport::Secure(Box::new(stream)), negotiated))
            }
            () = closed => None,
        }
    }

    /// The first bytes of a request; nothing when none come in time, or for so long once connections are to be closed.
    async fn first(&self, transport: &mut Transport, time: Duration, grace: Duration) -> Option<Bytes> {
        let mut closing = self.closing.clone();
        let closed = async {
            told(&mut closing).await;
            sleep(grace).await;
        };
        tokio::select! {
            biased;
            read = poll_fn(|context| transport.poll_some(context)) => read.ok().filter(|bytes| !bytes.is_empty()),
            () = closed => None,
            () = sleep(time) => None,
        }
    }

    /// Whether a connection begins with the preface of HTTP/2; more of it is read where that is not clear yet.
    async fn speaks_http2(&self, transport: &mut Transport, first: &mut Bytes) -> bool {
        let deadline = Instant::now() + self.times.head;
        while first.len() < PREFACE.len() && PREFACE.starts_with(first) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(more) = self.first(transport, left, FRESH).await else {
                break;
            };
            *first = [&first[..], &more].concat().into();
        }
        first.starts_with(PREFACE)
    }

    /// Serves HTTP/1.1 until the connection ends, or is idle: then it is given back, with what was read already.
    async fn http1(
        &self,
        transport: Transport,
        first: Bytes,
        shared: &Arc<Connection>,
    ) -> Option<(Transport, Bytes)> {
        let traffic = Arc::new(Traffic::default());
        let gate = Gate::new(transport, first, Arc::clone(&traffic), self.times.write);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.head)
            // Where the end of a stream can be told from that of its client: see `Traffic::is_gone`.
            .half_close(!shared.arrival.secure)
            .max_header_size(HEAD_SIZE as usize)
            .max_buf_size(PIECE);
        let mut connection = builder.serve_connection(TokioIo::new(gate), answering(&traffic, shared));
        let mut closing = self.closing.clone();
        let (mut ending, mut served) = (false, 0);
        let mut quiet = pin!(sleep(QUIET));
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut connection => break ended,
                () = unconstrained(told(&mut closing)), if !ending => {
                    ending = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                () = unconstrained(&mut quiet) => {
                    quiet.as_mut().reset(tokio::time::Instant::now() + QUIET);
                    let before = std::mem::replace(&mut served, traffic.served.load(Ordering::Relaxed));
                    if traffic.is_gone() && served == before {
                        break Ok(());
                    }
                    if !ending && traffic.is_idle() && served == before {
                        // Ends at once where nothing of a request or an answer is on its way: hyper knows.
                        Pin::new(&mut connection).graceful_shutdown();
                        ending = true;
                        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut connection).poll(context))).await;
                        match polled {
                            Poll::Ready(Ok(())) => {
                                let parts = connection.into_parts();
                                return Some((parts.io.into_inner().into_inner(), parts.read_buf));
                            }
                            Poll::Ready(ended) => break ended,
                            Poll::Pending => {}
                        }
                    }
                }
            }
        };
        let mut transport = connection.into_parts().io.into_inner().into_inner();
        if let Err(error) = ended {
            if error.is_parse() {
                self.service.note_malformed();
            }
            if error.is_timeout() && traffic.seen.load(Ordering::Relaxed) {
                let _ = timeout(self.times.write, transport.write_all(TOO_SLOW)).await;
            }
            self.linger(&mut transport).await;
        }
        self.end(transport).await;
        None
    }

    /// Serves HTTP/2 until the connection ends.
    async fn http2(&self, transport: Transport, first: Bytes, shared: &Arc<Connection>) {
        let traffic = Arc::new(Traffic::default());
        let gate = Gate::new(transport, first, Arc::clone(&traffic), self.times.write).closing();
        let mut builder = http2::Builder::new(Streams::new(self.times.write));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_send_buf_size(STREAM_ROOM)
            .keep_alive_interval(self.times.head)
            .keep_alive_timeout(self.times.write)
            .max_header_list_size(HEAD_SIZE);
        let connection = builder.serve_connection(TokioIo::new(gate), answering(&traffic, shared));
        let mut connection = pin!(connection);
        let mut closing = self.closing.clone();
        let (mut ending, mut served, mut idle) = (false, 0, Duration::ZERO);
        let mut quiet = pin!(sleep(QUIET));
        loop {
            tokio::select! {
                biased;
                _ = &mut connection => break,
                () = unconstrained(told(&mut closing)), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = unconstrained(&mut quiet) => {
                    let before = std::mem::replace(&mut served, traffic.served.load(Ordering::Relaxed));
                    let still = traffic.running.load(Ordering::Relaxed) == 0 && served == before;
                    idle = if still { idle + QUIET } else { Duration::ZERO };
                    if idle >= self.times.idle && !ending {
                        ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    // Answers that are over may wait for a client that never takes them.
                    if idle >= self.times.idle + self.times.write {
                        break;
                    }
                    if traffic.is_flooded() {
                        self.service.note_malformed();
                        break;
                    }
                    quiet.as_mut().reset(tokio::time::Instant::now() + QUIET);
                }
            }
        }
    }

    /// Reads over what a client still sends that was refused, so that it sees the answer.
    async fn linger(&self, transport: &mut Transport) {
        let reading = async {
            if transport.shutdown().await.is_err() {
                return;
            }
            let (mut space, mut left) = (vec![0; 16 << 10], MOST_LINGERED);
            while let Ok(size @ 1..) = transport.read(&mut space).await {
                let Some(rest) = left.checked_sub(size) else { break };
                left = rest;
            }
        };
        let _ = timeout(LINGER, reading).await;
    }

    /// Says goodbye, as TLS has it.
    async fn end(&self, mut transport: Transport) {
        let _ = timeout(self.times.write, transport.shutdown()).await;
    }
}

/// What answers the requests of one connection, and counts them.
fn answering(
    traffic: &Arc<Traffic>,
    shared: &Arc<Connection>,
) -> impl HttpService<Incoming, ResBody = Sent, Error = Infallible, Future: Send + 'static> + use<> {
    let (shared, traffic) = (Arc::clone(shared), Arc::clone(traffic));
    service_fn(move |request: Request<Incoming>| {
        let (shared, running) = (Arc::clone(&shared), Running::new(&traffic));
        let request = request.map(|incoming| Content::new(incoming, &traffic));
        async move {
            let response: Response<Recorded> = shared.answer(request).await;
            Ok(response.map(|answer| Sent { answer, running }))
        }
    })
}

/// Waits until connections are to be closed.
///
/// To be polled without the budget of its task, as the timers beside it: a client that sends without a pause uses that up.
async fn told(closing: &mut watch::Receiver<bool>) {
    // The server is gone where nobody can say it any more.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// A request that is answered, until its answer was handed over.
struct Running(Arc<Traffic>);

impl Running {
    fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.begin();
        Self(Arc::clone(traffic))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer on its way.
struct Sent {
    answer: Recorded,
    #[expect(dead_code, reason = "held for its drop")]
    running: Running,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.answer).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
