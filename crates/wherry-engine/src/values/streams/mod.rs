//! Streams and futures of the component model, at the host's end.
//!
//! A guest runs only while the host drives it: in a call, or while somebody waits for what a stream brings. What comes out
//! of it is an [`Incoming`], which holds one batch at the most, so that a guest waits until somebody reads. What goes in is
//! a [`Feed`] of the host language, which is asked for more when the guest reads. Start reading at [`Incoming`].

mod consuming;
mod incoming;
mod producing;

use super::{Port, Result};
use crate::error::{Error, Kind};
use std::task::{Context, Poll};
use wasmtime::component::__internal::InterfaceType;

pub use incoming::{Incoming, Taken};
pub(super) use producing::lower;

/// What a stream or future carries, as far as that decides how it crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// `stream<u8>`, in pieces of bytes.
    Bytes,
    /// `stream<T>`, in lists of values.
    Elements,
    /// `stream`, whose elements say nothing.
    Units,
    /// `future<T>`, one value.
    Value,
    /// `future`, which says only that it is done.
    Signal,
}

impl Pipe {
    pub(super) fn stream(payload: Option<InterfaceType>) -> Self {
        match payload {
            Some(InterfaceType::U8) => Pipe::Bytes,
            Some(_) => Pipe::Elements,
            None => Pipe::Units,
        }
    }

    pub(super) fn future(payload: Option<InterfaceType>) -> Self {
        payload.map_or(Pipe::Signal, |_| Pipe::Value)
    }

    /// Whether it carries one value, and not any number of them.
    #[must_use]
    pub fn is_future(self) -> bool {
        matches!(self, Pipe::Value | Pipe::Signal)
    }
}

/// Where the elements of a stream come from that the host gives, or the value of a future. Dropped when the guest wants no more.
pub trait Feed<P: Port>: Send + 'static {
    /// The next elements, as a list (a piece of bytes for `stream<u8>`) of about `most` of them; for a future its value.
    /// Nothing is the end. Where they come later, whoever polls is woken then.
    ///
    /// # Errors
    /// What the host language raises; it ends the guest.
    fn poll(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<P::Owned>>>;
}

/// A host language has no form for streams.
pub(super) fn unsupported() -> Error {
    Error::new(
        Kind::Unsupported,
        "values of type `stream` and `future` do not cross here",
    )
}
