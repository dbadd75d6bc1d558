//! What takes out of a guest that which it writes to a stream or future, once somebody wants it.

use super::{Incoming, Pipe};
use crate::values::Port;
use crate::values::bridge::{self, Batch, Element};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    FutureConsumer, Lift, ReadBuffer, Source, StreamConsumer, StreamResult, WriteBuffer,
};

/// The most bytes that are taken at once.
const MOST_BYTES: usize = 1 << 20;
/// The most elements that are taken at once.
const MOST_ELEMENTS: usize = 256;

/// The host's end of a stream or future that a guest writes.
pub(super) struct Consumer<P: Port, T> {
    incoming: Arc<Incoming<P>>,
    /// The address of the context that its guest belongs to.
    home: usize,
    element: PhantomData<fn() -> T>,
}

impl<P: Port, T> Consumer<P, T> {
    pub(super) fn new(incoming: &Arc<Incoming<P>>, home: usize) -> Self {
        Self {
            incoming: Arc::clone(incoming),
            home,
            element: PhantomData,
        }
    }
}

/// The guest closed its end while it ran; where its instance goes, there is no end but an error.
impl<P: Port, T> Drop for Consumer<P, T> {
    fn drop(&mut self) {
        if bridge::is_in::<P>(self.home) {
            self.incoming.state().over = true;
        }
        self.incoming.tell();
    }
}

/// What the engine hands over of a stream.
pub(super) trait Carried<P: Port>: Lift + Send + Sync + 'static {
    /// Takes what was written, as one value.
    fn take<D: 'static>(
        pipe: Pipe,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self>,
    ) -> wasmtime::Result<P::Owned>;
}

impl<P: Port> Carried<P> for u8 {
    fn take<D: 'static>(
        _: Pipe,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self>,
    ) -> wasmtime::Result<P::Owned> {
        let mut direct = source.as_direct(store);
        let bytes = direct.remaining();
        let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
        let taken = bytes.len();
        let piece = P::attach(|token| P::own(P::from_bytes(token, bytes)));
        direct.mark_read(taken);
        Ok(piece)
    }
}

impl<P: Port> Carried<P> for () {
    fn take<D: 'static>(
        pipe: Pipe,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self>,
    ) -> wasmtime::Result<P::Owned> {
        let mut gathered = Gathered::new(source.remaining(&mut store));
        source.read(&mut store, &mut gathered)?;
        Ok(P::attach(|token| {
            if pipe.is_future() {
                return P::from_signal(token).map(P::own);
            }
            P::from_units(token, gathered.taken.len()).map(P::own)
        })?)
    }
}

impl<P: Port> Carried<P> for Element<P> {
    fn take<D: 'static>(
        pipe: Pipe,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self>,
    ) -> wasmtime::Result<P::Owned> {
        let mut gathered = Gathered::new(source.remaining(&mut store));
        let wanted = if pipe.is_future() {
            Batch::Value
        } else {
            Batch::List(gathered.most)
        };
        bridge::batch(wanted, || source.read(&mut store, &mut gathered))?;
        let mut ones = Vec::new();
        for element in gathered.taken {
            match element {
                Element::Batch(batch) => return Ok(batch),
                Element::One(value) if pipe.is_future() => return Ok(value),
                Element::One(value) => ones.push(value),
                Element::Rest => {}
            }
        }
        // They come from the host itself, and never were in a guest.
        Ok(P::gather(ones)?)
    }
}

/// Elements as they are handed over.
struct Gathered<T> {
    most: usize,
    taken: Vec<T>,
}

impl<T> Gathered<T> {
    fn new(there: usize) -> Self {
        Self {
            most: there.min(MOST_ELEMENTS),
            taken: Vec::new(),
        }
    }
}

impl<T: Send + Sync + 'static> ReadBuffer<T> for Gathered<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        Extend::extend(&mut self.taken, items);
    }

    fn remaining_capacity(&self) -> usize {
        self.most.saturating_sub(self.taken.len())
    }

    fn move_from(&mut self, input: &mut dyn WriteBuffer<T>, count: usize) {
        let mut fitting = Vec::with_capacity(count);
        ReadBuffer::move_from(&mut fitting, input, count);
        self.taken.append(&mut fitting);
    }
}

impl<P: Port, T: Carried<P>> Consumer<P, T> {
    /// Takes what there is, where somebody wants it.
    fn poll<D: 'static>(
        &self,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut state = self.incoming.state();
        if state.closed {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if !state.wanted || state.batch.is_some() {
            state.consumer = Some(cx.waker().clone());
            return if finish {
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        if source.remaining(&mut store) == 0 {
            // The guest only asks whether somebody reads.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        drop(state);
        let batch = T::take(self.incoming.pipe, store, source)?;
        let mut state = self.incoming.state();
        state.batch = Some(batch);
        state.wanted = false;
        drop(state);
        self.incoming.tell();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<P: Port, T: Carried<P>, D: 'static> StreamConsumer<D> for Consumer<P, T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        self.poll(cx, store, source, finish)
    }
}

impl<P: Port, T: Carried<P>, D: 'static> FutureConsumer<D> for Consumer<P, T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        match self.poll(
            cx,
            wasmtime::AsContextMut::as_context_mut(&mut store),
            source.reborrow(),
            finish,
        ) {
            // The engine knows no reader of a future that goes away: the value is taken, and let go.
            Poll::Ready(Ok(StreamResult::Dropped)) => {
                Poll::Ready(T::take(self.incoming.pipe, store, source).map(drop))
            }
            polled => polled.map(|done| done.map(drop)),
        }
    }
}
