//! Streams of WASI 0.3 with something in between: each item passes a [`Toll`] on its way.
//!
//! Nothing is taken from the one end before the other end asks for it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use wasmtime::component::{
    Destination, FutureConsumer, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::guest::Guest;

/// The most items that are taken at once.
const MOST: usize = 16 << 10;

/// What decides over items as they pass.
pub(super) trait Toll<T>: Send + 'static {
    /// Leaves of `items` what may pass. Answers whether more may follow.
    fn pass(&mut self, guest: &mut Guest, items: &mut Vec<T>) -> wasmtime::Result<bool>;

    /// How many items are taken at once.
    fn most(&self) -> usize {
        MOST
    }
}

/// What the two ends share.
struct Between<T> {
    queue: VecDeque<T>,
    /// The reader waits for items.
    wanted: bool,
    ended: bool,
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Shared<T>(Arc<Mutex<Between<T>>>);

impl<T> Shared<T> {
    fn with<R>(&self, act: impl FnOnce(&mut Between<T>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The stream that gives what `stream` gives, as far as `toll` lets it pass.
pub(super) fn tap<T>(
    mut store: StoreContextMut<'_, Guest>,
    stream: StreamReader<T>,
    toll: impl Toll<T> + Unpin,
) -> wasmtime::Result<StreamReader<T>>
where
    T: Lift + Lower + Send + Sync + Unpin + 'static,
{
    let between = Arc::new(Mutex::new(Between {
        queue: VecDeque::new(),
        wanted: false,
        ended: false,
        abandoned: false,
        reader: None,
        writer: None,
    }));
    let taken = Taken {
        shared: Shared(Arc::clone(&between)),
        toll,
    };
    stream.pipe(&mut store, taken)?;
    StreamReader::new(&mut store, Given(Shared(between)))
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The end that items are taken at.
struct Taken<T, C> {
    shared: Shared<T>,
    toll: C,
}

impl<T, C> Drop for Taken<T, C> {
    fn drop(&mut self) {
        let reader = self.shared.with(|between| {
            between.ended = true;
            between.reader.take()
        });
        wake(reader);
    }
}

impl<T, C> StreamConsumer<Guest> for Taken<T, C>
where
    T: Lift + Send + Unpin + 'static,
    C: Toll<T> + Unpin,
{
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        let (abandoned, wanted) = this.shared.with(|between| {
            between.writer = Some(context.waker().clone());
            (between.abandoned, between.wanted)
        });
        if abandoned {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if !wanted {
            return if finish {
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        let count = source.remaining(&mut store);
        if count == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut items = Vec::with_capacity(count.min(this.toll.most()));
        source.read(&mut store, &mut items)?;
        let more = this.toll.pass(store.data_mut(), &mut items)?;
        let reader = this.shared.with(|between| {
            between.wanted &= items.is_empty();
            between.queue.extend(items);
            between.ended |= !more;
            between.reader.take()
        });
        wake(reader);
        Poll::Ready(Ok(if more {
            StreamResult::Completed
        } else {
            StreamResult::Dropped
        }))
    }
}

/// The end that items are given at.
struct Given<T>(Shared<T>);

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        let writer = self.0.with(|between| {
            between.abandoned = true;
            between.writer.take()
        });
        wake(writer);
    }
}

impl<T> StreamProducer<Guest> for Given<T>
where
    T: Lower + Send + Sync + Unpin + 'static,
{
    type Item = T;
    type Buffer = wasmtime::component::VecBuffer<T>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, Guest>,
        mut destination: Destination<'a, T, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        self.0.with(|between| {
            if !between.queue.is_empty() {
                let items: Vec<T> = between.queue.drain(..).collect();
                destination.set_buffer(items.into());
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            if between.ended {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            between.wanted = true;
            between.reader = Some(context.waker().clone());
            if let Some(writer) = between.writer.take() {
                writer.wake();
            }
            Poll::Pending
        })
    }
}

/// The future that gives what `future` gives, after `change`.
pub(crate) fn mapped<T>(
    mut store: StoreContextMut<'_, Guest>,
    future: FutureReader<T>,
    default: T,
    change: impl FnOnce(T) -> T + Send + Unpin + 'static,
) -> wasmtime::Result<FutureReader<T>>
where
    T: Lift + Lower + Send + Sync + Unpin + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    future.pipe(&mut store, Changed(Some((sender, change))))?;
    FutureReader::new(&mut store, async move {
        wasmtime::error::Ok(receiver.await.unwrap_or(default))
    })
}

struct Changed<T, F>(Option<(tokio::sync::oneshot::Sender<T>, F)>);

impl<T, F> FutureConsumer<Guest> for Changed<T, F>
where
    T: Lift + Send + Unpin + 'static,
    F: FnOnce(T) -> T + Send + Unpin + 'static,
{
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, T>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut value = None;
        source.read(store, &mut value)?;
        if let (Some(value), Some((sender, change))) = (value, self.get_mut().0.take()) {
            let _ = sender.send(change(value));
        }
        Poll::Ready(Ok(()))
    }
}
