//! The body of an answer, as the connection sends it.

use crate::compression::Compressed;
use crate::files::Sending;
use crate::running::{Piece, Running};
use crate::streams;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What is sent after a head.
pub enum Answer {
    /// All of it is there.
    Whole {
        /// What is left to send.
        bytes: Bytes,
        /// What follows it.
        trailers: Option<HeaderMap>,
    },
    /// Its guest still writes it.
    Streamed {
        /// Where it comes from; gone when it is over.
        guest: Option<Box<Running>>,
        /// Bytes that are left, where the guest said how many there are.
        left: Option<u64>,
    },
    /// It is read while it is sent.
    File(Box<Sending>),
    /// It is compressed while it is sent.
    Compressed(Box<Compressed>),
}

impl Answer {
    /// These bytes, and nothing after them.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole {
            bytes: bytes.into(),
            trailers: None,
        }
    }

    /// The next piece, wherever it comes from.
    fn poll_any(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self {
            Answer::Whole { bytes, .. } if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Answer::Whole { trailers, .. } => {
                Poll::Ready(trailers.take().map(|fields| Ok(Frame::trailers(fields))))
            }
            Answer::File(sending) => sending.poll_piece(context),
            Answer::Compressed(compressed) => compressed.poll_frame(context),
            Answer::Streamed { guest, left } => {
                let Some(running) = guest else {
                    return Poll::Ready(None);
                };
                match ready!(running.poll_piece(context)) {
                    Piece::Bytes(bytes) => {
                        *left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                        Poll::Ready(Some(Ok(Frame::data(bytes))))
                    }
                    Piece::End(trailers) => {
                        if let Some(running) = guest.take() {
                            running.go_on();
                        }
                        Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
                    }
                    Piece::Broken => {
                        *guest = None;
                        Poll::Ready(Some(Err(io::Error::other("the answer breaks off"))))
                    }
                }
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        streams::asked();
        let polled = self.get_mut().poll_any(context);
        if polled.is_ready() {
            streams::handed();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Whole { bytes, trailers } => bytes.is_empty() && trailers.is_none(),
            Answer::Streamed { guest, .. } => guest.is_none(),
            Answer::Compressed(compressed) => compressed.is_over(),
            Answer::File(sending) => sending.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // A length and trailers do not go together: RFC 9112, 7.1.2.
            Answer::Whole {
                bytes,
                trailers: None,
            } => SizeHint::with_exact(bytes.len() as u64),
            Answer::Whole { bytes, .. } => {
                let mut hint = SizeHint::new();
                hint.set_lower(bytes.len() as u64);
                hint
            }
            Answer::Compressed(_) => SizeHint::default(),
            Answer::Streamed { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Answer::File(sending) => SizeHint::with_exact(sending.left()),
        }
    }
}
