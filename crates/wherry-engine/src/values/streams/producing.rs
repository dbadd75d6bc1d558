//! What brings into a guest that which the host gives as a stream or future, when the guest reads.

use super::{Feed, Pipe};
use crate::error::{Error, Kind};
use crate::values::bridge::Element;
use crate::values::lower::engine_error;
use crate::values::{Port, Result};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime::component::__internal::{InterfaceType, LowerContext};
use wasmtime::component::{
    Destination, FutureProducer, FutureReader, Lower, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, StoreContextMut, ValRaw};

/// How much a feed is asked for where the reader does not say how much it takes.
const USUAL: usize = 1 << 16;

/// The most values that say nothing which a feed may give at once.
const MOST_UNITS: usize = 1 << 20;

/// Gives a guest the end of a stream or future that `feed` fills.
pub(in crate::values) fn lower<P: Port, T: 'static>(
    cx: &mut LowerContext<'_, T>,
    pipe: Pipe,
    ty: InterfaceType,
    feed: Box<dyn Feed<P>>,
) -> Result<u32> {
    let mut slot = MaybeUninit::<ValRaw>::uninit();
    let store = cx.store.as_context_mut();
    let lowered = match pipe {
        Pipe::Bytes => StreamReader::new(store, Bytes::<P> { feed, rest: None })
            .and_then(|end| end.linear_lower_to_flat(cx, ty, &mut slot)),
        Pipe::Elements => StreamReader::new(store, Elements::<P>::of(feed))
            .and_then(|end| end.linear_lower_to_flat(cx, ty, &mut slot)),
        Pipe::Units => StreamReader::new(store, Units::<P> { feed })
            .and_then(|end| end.linear_lower_to_flat(cx, ty, &mut slot)),
        Pipe::Value => FutureReader::new(store, Once::<P, Element<P>>::of(feed))
            .and_then(|end| end.linear_lower_to_flat(cx, ty, &mut slot)),
        Pipe::Signal => FutureReader::new(store, Once::<P, ()>::of(feed))
            .and_then(|end| end.linear_lower_to_flat(cx, ty, &mut slot)),
    };
    lowered.map_err(engine_error)?;
    // SAFETY: lowering a stream or future initialises its one flat value.
    Ok(unsafe { slot.assume_init() }.get_u32())
}

/// What a feed has now, where the guest has room for some of it and the feed is not over.
fn asked<P: Port>(
    feed: &mut dyn Feed<P>,
    cx: &mut Context<'_>,
    most: Option<usize>,
    finish: bool,
) -> Poll<Result<Asked<P>>> {
    if most == Some(0) {
        return Poll::Ready(Ok(Asked::Done(StreamResult::Completed)));
    }
    match feed.poll(cx, most.unwrap_or(USUAL)) {
        Poll::Ready(Ok(Some(value))) => Poll::Ready(Ok(Asked::Some(value))),
        Poll::Ready(Ok(None)) => Poll::Ready(Ok(Asked::Done(StreamResult::Dropped))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending if finish => Poll::Ready(Ok(Asked::Done(StreamResult::Cancelled))),
        Poll::Pending => Poll::Pending,
    }
}

enum Asked<P: Port> {
    Some(P::Owned),
    Done(StreamResult),
}

/// A feed had something, and it was nothing at all: it is asked again, but others have their turn before.
fn again(cx: &Context<'_>, finish: bool) -> Poll<wasmtime::Result<StreamResult>> {
    if finish {
        return Poll::Ready(Ok(StreamResult::Cancelled));
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// A stream of bytes.
struct Bytes<P: Port> {
    feed: Box<dyn Feed<P>>,
    /// A piece that the guest has read to this place.
    rest: Option<(P::Owned, usize)>,
}

impl<P: Port, D: 'static> StreamProducer<D> for Bytes<P> {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let most = destination.remaining(&mut store);
        if most == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let (piece, read) = match this.rest.take() {
            Some(rest) => rest,
            None => match std::task::ready!(asked(&mut *this.feed, cx, most, finish))? {
                Asked::Some(piece) => (piece, 0),
                Asked::Done(result) => return Poll::Ready(Ok(result)),
            },
        };
        let (written, whole) = P::attach(|token| {
            P::bytes(&P::bind(token, &piece), |bytes| {
                let bytes = bytes.get(read..).unwrap_or_default();
                let mut direct = destination.as_direct(store, bytes.len().min(USUAL));
                let room = direct.remaining();
                let fitting = room.len().min(bytes.len());
                room[..fitting].copy_from_slice(&bytes[..fitting]);
                direct.mark_written(fitting);
                (fitting, fitting == bytes.len())
            })
        })?;
        if !whole {
            this.rest = Some((piece, read + written));
        }
        if written == 0 {
            return again(cx, finish);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// A stream of values.
struct Elements<P: Port> {
    feed: Box<dyn Feed<P>>,
}

impl<P: Port> Elements<P> {
    fn of(feed: Box<dyn Feed<P>>) -> Self {
        Self { feed }
    }
}

impl<P: Port, D: 'static> StreamProducer<D> for Elements<P> {
    type Item = Element<P>;
    type Buffer = VecBuffer<Element<P>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Element<P>, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let most = destination.remaining(&mut store);
        let list = match std::task::ready!(asked(&mut *self.feed, cx, most, finish))? {
            Asked::Some(list) => list,
            Asked::Done(result) => return Poll::Ready(Ok(result)),
        };
        let values: Vec<Element<P>> = P::split(&list)?.into_iter().map(Element::One).collect();
        if values.is_empty() {
            return again(cx, finish);
        }
        destination.set_buffer(values.into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// A stream whose elements say nothing.
struct Units<P: Port> {
    feed: Box<dyn Feed<P>>,
}

impl<P: Port, D: 'static> StreamProducer<D> for Units<P> {
    type Item = ();
    type Buffer = VecBuffer<()>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, (), Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let most = destination.remaining(&mut store);
        let list = match std::task::ready!(asked(&mut *self.feed, cx, most, finish))? {
            Asked::Some(list) => list,
            Asked::Done(result) => return Poll::Ready(Ok(result)),
        };
        let count = P::units(&list)?.min(MOST_UNITS);
        if count == 0 {
            return again(cx, finish);
        }
        destination.set_buffer(vec![(); count].into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// A future.
struct Once<P: Port, T> {
    feed: Box<dyn Feed<P>>,
    value: PhantomData<fn() -> T>,
}

impl<P: Port, T> Once<P, T> {
    fn of(feed: Box<dyn Feed<P>>) -> Self {
        Self {
            feed,
            value: PhantomData,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, finish: bool) -> Poll<wasmtime::Result<Option<P::Owned>>> {
        Poll::Ready(Ok(
            match std::task::ready!(asked(&mut *self.feed, cx, Some(1), finish))? {
                Asked::Some(value) => Some(value),
                Asked::Done(StreamResult::Cancelled) => None,
                Asked::Done(_) => {
                    let message = "a future that the host gave came to its end without a value";
                    return Poll::Ready(Err(Error::new(Kind::Host, message).into()));
                }
            },
        ))
    }
}

impl<P: Port, D: 'static> FutureProducer<D> for Once<P, Element<P>> {
    type Item = Element<P>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Element<P>>>> {
        self.poll(cx, finish).map_ok(|value| value.map(Element::One))
    }
}

impl<P: Port, D: 'static> FutureProducer<D> for Once<P, ()> {
    type Item = ();

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<()>>> {
        self.poll(cx, finish).map_ok(|value| value.map(drop))
    }
}
