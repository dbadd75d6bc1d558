//! The socket of a connection, plain or with TLS, and what is known of the traffic on it.
//!
//! A client that takes in nothing of what waits for it is cut off after a while: writing fails, and so the connection ends.

use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// How much is read of a connection before it is known what it speaks.
const FIRST: usize = 2 << 10;

/// What bytes go over.
pub enum Transport {
    /// A socket.
    Plain(TcpStream),
    /// A socket with TLS.
    Secure(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Some bytes, in no more memory than they take; none at the end.
    pub fn poll_some(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut space = [0; FIRST];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(self).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    }

    /// Whether the client closed its side of a plain socket, and all that it sent was read.
    fn is_closed(&mut self, context: &mut Context<'_>) -> bool {
        let Self::Plain(stream) = self else { return false };
        let mut space = [0; 1];
        matches!(
            stream.poll_peek(context, &mut ReadBuf::new(&mut space)),
            Poll::Ready(Ok(0) | Err(_))
        )
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secure(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// What happens on a connection.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests whose answers were not handed over yet.
    pub running: AtomicUsize,
    /// Requests that came.
    pub served: AtomicU64,
    /// Bytes that were read, and those of them that were content of requests.
    pub read: AtomicU64,
    /// See [`Traffic::read`].
    pub content: AtomicU64,
    /// Whether anything was read since the last request came.
    pub seen: AtomicBool,
    /// Whether there is content of the last request that was not read yet. What follows then is no request.
    pub unread: AtomicBool,
    /// Whether anything waits to be written.
    pub blocked: AtomicBool,
    /// Whether it is to be looked at if the client closed its side.
    wondered: AtomicBool,
    /// Whether it did.
    closed: AtomicBool,
}

impl Traffic {
    /// A request came.
    pub fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
        self.seen.store(false, Ordering::Relaxed);
    }

    /// Whether the client had closed its side when this was asked last. It may still read, so that is no reason to leave a
    /// request without its answer; but nothing else is heard of one that is gone.
    pub fn is_gone(&self) -> bool {
        self.wondered.store(true, Ordering::Relaxed);
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether nearly all that came was neither a request nor content of one: frames that ask for nothing, without end.
    pub fn is_flooded(&self) -> bool {
        let [served, read, content] =
            [&self.served, &self.read, &self.content].map(|count| count.load(Ordering::Relaxed));
        let wanted = served.saturating_mul(ALLOWED_EACH).saturating_add(content);
        read / 8 > wanted.saturating_add(ALLOWED)
    }

    /// Whether nothing is on its way, in either direction, and nothing can be that ends elsewhere.
    pub fn is_idle(&self) -> bool {
        let flags = [&self.seen, &self.unread, &self.blocked];
        self.running.load(Ordering::Relaxed) == 0 && !flags.iter().any(|flag| flag.load(Ordering::Relaxed))
    }
}

/// The socket as a connection of HTTP has it.
pub struct Gate {
    transport: Transport,
    /// What was read before.
    first: Bytes,
    traffic: Arc<Traffic>,
    /// How long its client may take in nothing.
    patience: Duration,
    /// Runs while it does.
    stalled: Option<Pin<Box<Sleep>>>,
    /// How its end is made known, where that is for whoever uses it to say.
    closing: Option<Closing>,
}

/// The end of a connection: what its client still sends is read over, so that it sees what was sent to it.
#[derive(Default)]
struct Closing {
    /// Runs from when the client was told.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Bytes that were read over.
    over: usize,
}

/// What may come on a connection besides requests and their content, in eighths of bytes: in all, and with each request.
const ALLOWED: u64 = 1 << 20;
/// See [`ALLOWED`].
const ALLOWED_EACH: u64 = 8 << 10;

/// How long a client that was told that the connection ends is read from, and how much: RFC 9112, 9.6.
pub const LINGER: Duration = Duration::from_secs(2);
/// See [`LINGER`].
pub const MOST_LINGERED: usize = 1 << 20;

impl Gate {
    /// A connection on which `first` was read already.
    pub fn new(transport: Transport, first: Bytes, traffic: Arc<Traffic>, patience: Duration) -> Self {
        Self {
            transport,
            first,
            traffic,
            patience,
            stalled: None,
            closing: None,
        }
    }

    /// The same, closed when it is shut down.
    pub fn closing(self) -> Self {
        Self {
            closing: Some(Closing::default()),
            ..self
        }
    }

    /// The socket alone.
    pub fn into_inner(self) -> Transport {
        self.transport
    }

    /// Passes on what came of writing, unless nothing has for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            if self.stalled.take().is_some() {
                self.traffic.blocked.store(false, Ordering::Relaxed);
            }
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| {
            self.traffic.blocked.store(true, Ordering::Relaxed);
            Box::pin(sleep(self.patience))
        });
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.transport).poll_read(context, buffer))?;
            let size = buffer.filled().len() - before;
            if size == 0 {
                return Poll::Ready(Ok(()));
            }
            this.traffic.read.fetch_add(size as u64, Ordering::Relaxed);
        } else {
            let size = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..size]);
            this.first.advance(size);
        }
        this.traffic.seen.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.transport).poll_write(context, bytes);
        this.watch(context, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.transport).poll_write_vectored(context, slices);
        this.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.traffic.wondered.swap(false, Ordering::Relaxed) && this.transport.is_closed(context) {
            this.traffic.closed.store(true, Ordering::Relaxed);
        }
        let polled = Pin::new(&mut this.transport).poll_flush(context);
        this.watch(context, polled)
    }

    /// Writes what there is, and leaves the socket open unless it is [`Gate::closing`]: who has the connection closes it.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        let Self {
            transport, closing, ..
        } = self.get_mut();
        let Some(Closing { lingering, over }) = closing else {
            return Poll::Ready(Ok(()));
        };
        if lingering.is_none() {
            ready!(Pin::new(&mut *transport).poll_shutdown(context))?;
        }
        let lingering = lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        while *over < MOST_LINGERED {
            match transport.poll_some(context) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => *over += bytes.len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}
