//! A stream or future that a guest gave to the host: at most one batch of it, and who waits for the next.

use super::Pipe;
use super::consuming::Consumer;
use crate::error::{Error, Kind};
use crate::values::bridge::Element;
use crate::values::{Port, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasmtime::component::__internal::{InterfaceType, LiftContext};
use wasmtime::component::{FutureReader, Lift, StreamReader};
use wasmtime::{StoreContextMut, ValRaw};

/// A stream or future that a guest gave away. Whoever wants what it brings has the guest driven until there is some of it.
pub struct Incoming<P: Port> {
    /// What it carries.
    pub pipe: Pipe,
    state: Mutex<State<P>>,
    changed: Condvar,
}

pub(super) struct State<P: Port> {
    /// The end that the engine holds for us, until it is listened to.
    end: Option<End<P>>,
    /// Somebody waits for the next batch.
    pub(super) wanted: bool,
    /// What ended the guest after the batch that is there.
    failed: Option<Error>,
    /// The batch that came.
    pub(super) batch: Option<P::Owned>,
    /// The guest closed its end.
    pub(super) over: bool,
    /// We closed ours.
    pub(super) closed: bool,
    /// Wakes what takes batches out of the guest.
    pub(super) consumer: Option<Waker>,
    /// Wake who waits for batches.
    readers: Vec<Waker>,
}

/// The end of a stream or future that the host reads.
enum End<P: Port> {
    Bytes(StreamReader<u8>),
    Elements(StreamReader<Element<P>>),
    Units(StreamReader<()>),
    Value(FutureReader<Element<P>>),
    Signal(FutureReader<()>),
}

/// What there is of a stream now.
pub enum Taken<O> {
    /// The next batch: a list, a piece of bytes, or the value of a future.
    Batch(O),
    /// No more will come, as the guest has ended.
    Failed(Error),
    /// No more will come.
    Over,
    /// Something may come while the guest is driven.
    Nothing,
}

impl<P: Port> State<P> {
    /// Wakes who waits for batches.
    pub(super) fn tell(&mut self, changed: &Condvar) {
        changed.notify_all();
        self.readers.drain(..).for_each(Waker::wake);
    }

    /// Somebody wants the next batch, and there is none.
    fn want(&mut self) {
        self.wanted = true;
        if let Some(consumer) = self.consumer.take() {
            consumer.wake();
        }
    }
}

impl<P: Port> Incoming<P> {
    /// Takes the end of a stream or future out of a guest.
    pub(in crate::values) fn lift(
        cx: &mut LiftContext<'_>,
        pipe: Pipe,
        ty: InterfaceType,
        index: usize,
    ) -> wasmtime::Result<Self> {
        let slot = ValRaw::u32(u32::try_from(index)?);
        let end = match pipe {
            Pipe::Bytes => End::Bytes(Lift::linear_lift_from_flat(cx, ty, &slot)?),
            Pipe::Elements => End::Elements(Lift::linear_lift_from_flat(cx, ty, &slot)?),
            Pipe::Units => End::Units(Lift::linear_lift_from_flat(cx, ty, &slot)?),
            Pipe::Value => End::Value(Lift::linear_lift_from_flat(cx, ty, &slot)?),
            Pipe::Signal => End::Signal(Lift::linear_lift_from_flat(cx, ty, &slot)?),
        };
        Ok(Self {
            pipe,
            state: Mutex::new(State {
                end: Some(end),
                wanted: false,
                failed: None,
                batch: None,
                over: false,
                closed: false,
                consumer: None,
                readers: Vec::new(),
            }),
            changed: Condvar::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self) {
        self.state().tell(&self.changed);
    }

    /// Has the engine hand over what the guest writes, once that is wanted; or tells the guest that nobody wants it.
    pub(in crate::values) fn listen<T: 'static>(
        self: &Arc<Self>,
        store: &mut StoreContextMut<'_, T>,
        home: usize,
    ) -> Result<()> {
        let (end, closed) = {
            let mut state = self.state();
            (state.end.take(), state.closed)
        };
        let done = match (end, closed) {
            (None, _) => Ok(()),
            (Some(End::Bytes(end)), false) => end.pipe(store, Consumer::<P, u8>::new(self, home)),
            (Some(End::Elements(end)), false) => end.pipe(store, Consumer::<P, Element<P>>::new(self, home)),
            (Some(End::Units(end)), false) => end.pipe(store, Consumer::<P, ()>::new(self, home)),
            (Some(End::Value(end)), false) => end.pipe(store, Consumer::<P, Element<P>>::new(self, home)),
            (Some(End::Signal(end)), false) => end.pipe(store, Consumer::<P, ()>::new(self, home)),
            (Some(End::Bytes(mut end)), true) => end.close(store),
            (Some(End::Elements(mut end)), true) => end.close(store),
            (Some(End::Units(mut end)), true) => end.close(store),
            (Some(End::Value(mut end)), true) => end.close(store),
            (Some(End::Signal(mut end)), true) => end.close(store),
        };
        done.map_err(|error| Error::new(Kind::Internal, format!("a stream cannot be read: {error:#}")))
    }

    /// What there is of it now; where that is nothing, the next batch is wanted.
    pub fn take(&self) -> Taken<P::Owned> {
        let mut state = self.state();
        if let Some(batch) = state.batch.take() {
            return Taken::Batch(batch);
        }
        if let Some(error) = state.failed.take() {
            return Taken::Failed(error);
        }
        if state.over || state.closed {
            return Taken::Over;
        }
        state.want();
        Taken::Nothing
    }

    /// The guest ended while it was driven for this. What it brought before that is taken first.
    ///
    /// # Errors
    /// The error, where there is nothing to take.
    pub fn fail(&self, error: Error) -> Result<()> {
        let mut state = self.state();
        if state.batch.is_none() {
            return Err(error);
        }
        state.failed = Some(error);
        Ok(())
    }

    /// What there is of it now, for who is driven together with the guest.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<P::Owned>> {
        let mut state = self.state();
        if let Some(batch) = state.batch.take() {
            return Poll::Ready(Some(batch));
        }
        if state.over || state.closed {
            return Poll::Ready(None);
        }
        state.want();
        state.readers.push(cx.waker().clone());
        Poll::Pending
    }

    /// Whether there is something to take, or no more to come; else the waker of `cx` is told when that changes.
    pub fn poll_changed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.batch.is_some() || state.over || state.closed {
            return Poll::Ready(());
        }
        state.want();
        if !state.readers.iter().any(|reader| reader.will_wake(cx.waker())) {
            state.readers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits on this thread until there is something to take, while another thread drives the guest.
    pub fn wait(&self, most: Duration) {
        let state = self.state();
        if state.batch.is_none() && !state.over && !state.closed {
            drop(self.changed.wait_timeout(state, most));
        }
    }

    /// Nobody wants more of it: the guest hears of that when it writes.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let batch = state.batch.take();
        if let Some(consumer) = state.consumer.take() {
            consumer.wake();
        }
        state.tell(&self.changed);
        drop(state);
        drop(batch);
    }

    /// Whether it was closed, or has come to its end with nothing left to take.
    pub fn is_done(&self) -> bool {
        let state = self.state();
        state.closed || (state.over && state.batch.is_none())
    }
}

impl<P: Port> super::Feed<P> for Arc<Incoming<P>> {
    fn poll(&mut self, cx: &mut Context<'_>, _: usize) -> Poll<Result<Option<P::Owned>>> {
        Incoming::poll(self, cx).map(Ok)
    }
}
