//! The body of a request on its way in, no longer than it may be.
//!
//! What nobody reads of a body is read over for a while after the answer: a connection that is closed with bytes in it is
//! reset, and the client may never see its answer (RFC 9112, 9.6).

use crate::exchange::Exchange;
use crate::gate::Traffic;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

/// How many bytes that nobody wants are read, and for how long.
const MOST_READ_OVER: usize = 1 << 20;
/// See [`MOST_READ_OVER`].
const READING_OVER: Duration = Duration::from_secs(2);

/// How long the body of a request may keep its guest waiting: so long, and as much longer as its bytes take at a rate.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long in any case.
    pub time: Duration,
    /// Bytes in a second.
    pub rate: u64,
}

/// What a request holds, as its connection reads it.
pub enum Content {
    /// On a connection.
    Connection(Incoming, Arc<Traffic>),
    /// From a guest of the same server.
    Guest(WasiBody),
}

impl Content {
    /// That of a request on this connection.
    pub fn new(incoming: Incoming, traffic: &Arc<Traffic>) -> Self {
        traffic.unread.store(!incoming.is_end_stream(), Ordering::Relaxed);
        Self::Connection(incoming, Arc::clone(traffic))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Connection(incoming, traffic) => {
                let polled = ready!(Pin::new(&mut *incoming).poll_frame(context));
                if polled.is_none() || incoming.is_end_stream() {
                    traffic.unread.store(false, Ordering::Relaxed);
                }
                if let Some(Ok(frame)) = &polled {
                    let size = frame.data_ref().map_or(0, Bytes::len) as u64;
                    traffic.content.fetch_add(size, Ordering::Relaxed);
                }
                Poll::Ready(polled.map(|frame| frame.map_err(Error::Hyper)))
            }
            Self::Guest(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Connection(incoming, _) => incoming.is_end_stream(),
            Self::Guest(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Connection(incoming, _) => incoming.size_hint(),
            Self::Guest(body) => body.size_hint(),
        }
    }
}

/// A body that ends the request when it is malformed, larger than it may be, or slower.
pub struct Arriving {
    incoming: Option<Content>,
    left: u64,
    exchange: Arc<Exchange>,
    pace: Pace,
    /// How much came, how long the guest waited for it, since when it does, and until when it may.
    received: u64,
    waited: Duration,
    since: Option<Instant>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    /// The body of at most so many bytes, at no less than that pace.
    pub fn new(incoming: Content, most: u64, pace: Pace, exchange: Arc<Exchange>) -> Self {
        Self {
            incoming: Some(incoming),
            left: most,
            exchange,
            pace,
            received: 0,
            waited: Duration::ZERO,
            since: None,
            patience: None,
        }
    }

    /// Whether the client was waited for too long; else its guest is woken then.
    fn is_slow(&mut self, context: &mut Context<'_>) -> bool {
        let bytes = Duration::from_millis(self.received.saturating_mul(1000) / self.pace.rate.max(1));
        let left = (self.pace.time + bytes).saturating_sub(self.waited);
        let until = *self.since.get_or_insert_with(Instant::now) + left;
        self.exchange.state().set_awaited(Some(until));
        let deadline = until.into();
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if patience.deadline() != deadline {
            patience.as_mut().reset(deadline);
        }
        patience.as_mut().poll(context).is_ready()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(incoming).poll_frame(context);
        if polled.is_pending() {
            if this.is_slow(context) {
                this.exchange.note_fault(StatusCode::REQUEST_TIMEOUT);
                this.incoming = None;
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
            return Poll::Pending;
        }
        if let Some(since) = this.since.take() {
            this.waited += since.elapsed();
            this.exchange.state().set_awaited(None);
        }
        let frame = match ready!(polled) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                this.exchange.note_fault(StatusCode::BAD_REQUEST);
                this.incoming = None;
                return Poll::Ready(Some(Err(Error::HttpProtocolError)));
            }
            None => {
                this.incoming = None;
                return Poll::Ready(None);
            }
        };
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        this.received += size;
        let Some(left) = this.left.checked_sub(size) else {
            this.exchange.note_fault(StatusCode::PAYLOAD_TOO_LARGE);
            return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None))));
        };
        this.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// The body of a request that is lent to an instance which outlives it.
pub struct Lent(Arc<Mutex<Option<Arriving>>>);

/// What a body is lent by; the loan ends with it, whatever the instance still holds.
pub struct Loan(Arc<Mutex<Option<Arriving>>>);

/// Lends a body.
pub fn lend(arriving: Arriving) -> (Lent, Loan) {
    let shared = Arc::new(Mutex::new(Some(arriving)));
    (Lent(Arc::clone(&shared)), Loan(shared))
}

impl Body for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(arriving) => Pin::new(arriving).poll_frame(context),
            None => Poll::Ready(Some(Err(Error::HttpProtocolError))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let arriving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arriving.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let arriving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arriving.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let arriving = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(arriving);
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.received > 0 {
            self.exchange.seen().account().metrics.received(self.received);
        }
        if let Some(incoming) = self.incoming.take() {
            read_over(incoming);
        }
    }
}

/// Reads over what is left of a body, on a task of its own, until it ends or that takes too long. A guest hears that nobody
/// wants it.
pub fn read_over(mut incoming: Content) {
    if incoming.is_end_stream() || matches!(incoming, Content::Guest(_)) {
        return;
    }
    let reading = async move {
        let mut left = MOST_READ_OVER;
        while let Some(Ok(frame)) = incoming.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
        }
    };
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(tokio::time::timeout(READING_OVER, reading));
    }
}
