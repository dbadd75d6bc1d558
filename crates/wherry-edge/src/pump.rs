//! The body of an answer on its way from a guest's own host to the [`Exchange`], for hosts that give bodies.
//!
//! So limits and framing stand in one place, whatever host a guest has.

use crate::exchange::Exchange;
use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What came of moving bytes from a body to the connection.
#[derive(Debug, PartialEq)]
pub enum Moved {
    /// There are none, or there is no room for any.
    Nothing,
    /// Some.
    Bytes,
    /// The body is over, with these trailers.
    End(Option<HeaderMap>),
    /// It cannot go on.
    Broken,
}

/// Moves what there is room for.
pub fn pump<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    exchange: &Exchange,
    context: &mut Context<'_>,
) -> Moved {
    if exchange.state().room() == Some(0) {
        return Moved::Nothing;
    }
    match Pin::new(body).poll_frame(context) {
        Poll::Pending => Moved::Nothing,
        Poll::Ready(None) => Moved::End(None),
        Poll::Ready(Some(Err(_))) => Moved::Broken,
        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
            Ok(bytes) if exchange.state().write(&bytes) => Moved::Bytes,
            Ok(_) => Moved::Broken,
            Err(frame) => Moved::End(frame.into_trailers().ok()),
        },
    }
}
