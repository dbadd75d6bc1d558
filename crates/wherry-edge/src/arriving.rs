//! The body of a request on its way in, no longer than it may be.
//!
//! What nobody reads of a body is read over for a while after the answer: a connection that is closed with bytes in it is
//! reset, and the client may never see its answer (RFC 9112, 9.6).

use crate::exchange::Exchange;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use wasmtime_wasi_http::Error;

/// How many bytes that nobody wants are read, and for how long.
const MOST_READ_OVER: usize = 1 << 20;
/// See [`MOST_READ_OVER`].
const READING_OVER: Duration = Duration::from_secs(2);

/// A body that ends the request when it is larger than it may be.
pub struct Arriving {
    incoming: Option<Incoming>,
    left: u64,
    exchange: Arc<Exchange>,
}

impl Arriving {
    /// The body of at most so many bytes.
    pub fn new(incoming: Incoming, most: u64, exchange: Arc<Exchange>) -> Self {
        Self {
            incoming: Some(incoming),
            left: most,
            exchange,
        }
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
        let frame = match ready!(Pin::new(incoming).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            ended => {
                this.incoming = None;
                return Poll::Ready(ended.map(|_| Err(Error::HttpProtocolError)));
            }
        };
        let size = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = this.left.checked_sub(size) else {
            this.exchange.note_too_large();
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

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            read_over(incoming);
        }
    }
}

/// Reads over what is left of a body, on a task of its own, until it ends or that takes too long.
pub fn read_over(mut incoming: Incoming) {
    if incoming.is_end_stream() {
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
