//! The body of a request on its way out.

use super::connection::fields;
use super::quota::{NoRoom, Transfer};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// What became of a body that was to be sent; a request without one has none that tells.
pub(super) type Told = oneshot::Receiver<Result<(), Error>>;

/// A body that says what became of it.
pub(super) struct Departing {
    body: WasiBody,
    /// Who pays for it, where its connection does not know.
    pub transfer: Option<Arc<Transfer>>,
    declared: Option<u64>,
    sent: u64,
    over: bool,
    told: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Departing {
    /// The request with such a body, and what is told of it.
    pub(super) fn of(request: Request<WasiBody>) -> (Request<Self>, Told) {
        let (telling, told) = oneshot::channel();
        let declared = request.headers().get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let request = request.map(|body| Self {
            told: (!body.is_end_stream()).then_some(telling),
            body,
            transfer: None,
            declared,
            sent: 0,
            over: false,
        });
        (request, told)
    }

    /// No body, for a request that had none.
    pub(super) fn none() -> Self {
        Self {
            body: WasiBody::default(),
            transfer: None,
            declared: None,
            sent: 0,
            over: true,
            told: None,
        }
    }

    fn tell(&mut self, result: Result<(), Error>) {
        if let Some(told) = self.told.take() {
            // The guest may not want to know.
            let _ = told.send(result);
        }
    }
}

impl Body for Departing {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => {
                this.over = true;
                return Poll::Ready(None);
            }
        };
        let data = frame.data_ref().map_or(0, Bytes::len);
        if let Some(transfer) = &this.transfer
            && let Err(error) = transfer.pay(data + trailers(&frame), "send")
        {
            this.tell(Err(error));
            return Poll::Ready(Some(Err(NoRoom.into())));
        }
        this.sent += data as u64;
        this.over = this.body.is_end_stream() || frame.is_trailers() || this.declared == Some(this.sent);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Departing {
    fn drop(&mut self) {
        // Of some requests nobody takes the body: that of a GET, which should have none.
        self.tell(if self.over || self.sent == 0 {
            Ok(())
        } else {
            Err(Error::ConnectionTerminated)
        });
    }
}

/// What a frame counts beside its data.
pub(super) fn trailers(frame: &Frame<Bytes>) -> usize {
    frame
        .trailers_ref()
        .map_or(0, |trailers: &HeaderMap| fields(trailers))
}
