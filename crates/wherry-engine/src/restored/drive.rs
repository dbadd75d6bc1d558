//! A guest's future, driven such that it is known whose memories are made during a poll, and whether its thread took a fault.
//!
//! A [`Lease`] is what a guest has of the memories: it may outlive the future that made the guest, and drive the next one.

use super::kernel::faults;
use super::memories::{Memories, Place};
use crate::error::Error;
use crate::fork;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

thread_local! {
    /// The guest that this thread drives just now, the innermost.
    static CURRENT: RefCell<Option<Arc<Driven>>> = const { RefCell::new(None) };

    /// How many faults this thread had taken when that was asked last, and in which process that was.
    static COUNTED: Cell<(u32, i64)> = const { Cell::new((0, UNKNOWN)) };
}

/// The guest that this thread drives just now.
pub(super) fn current() -> Option<Arc<Driven>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// Says whom this thread drives from now on, and gives whom it drove. A thread that is ending drives nobody: its guests' memories
/// are then looked at whole.
fn enter(driven: Option<Arc<Driven>>) -> Option<Arc<Driven>> {
    CURRENT.try_with(|current| current.replace(driven)).ok().flatten()
}

/// The memories of one guest, however many futures it runs in, one after another; cheap to clone.
#[derive(Clone)]
pub struct Lease(Arc<Driven>);

impl Lease {
    pub(super) fn new(memories: Arc<Memories>) -> Self {
        Self(Arc::new(Driven {
            memories,
            next: AtomicU32::new(0),
            live: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            before: AtomicI64::new(UNKNOWN),
            faulted: AtomicBool::new(false),
            places: Mutex::default(),
            refused: Mutex::new(None),
        }))
    }

    /// Drives a future that makes the guest and runs it, or runs it again: see [`super::Images::drive`].
    pub fn drive<F>(&self, future: F) -> Drive<F> {
        Drive {
            driven: Arc::clone(&self.0),
            future: Some(Box::pin(future)),
        }
    }

    /// Puts the memories back to what they were, where they are, with their sizes; nobody may touch them before another future
    /// of this lease is driven. When false, the guest must not be used again: one keeps much, or has no image, or this is
    /// not called inside of the future.
    pub(super) fn rewind(&self) -> bool {
        let driven = &self.0;
        if !driven.is_here() {
            return false;
        }
        driven.look();
        let known = !driven.faulted.load(Ordering::Relaxed);
        let places = driven.places.lock().unwrap_or_else(PoisonError::into_inner);
        let all = places.iter().all(|place| place.rewind(known));
        drop(places);
        if all {
            driven.faulted.store(false, Ordering::Relaxed);
            driven.asleep.store(true, Ordering::Relaxed);
        }
        all
    }
}

/// A future of one guest: see [`super::Images::drive`].
pub struct Drive<F> {
    driven: Arc<Driven>,
    /// There until it is done, and dropped as it is polled: with an eye on its memories.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = wasmtime::Result<T>>, T> Future for Drive<F> {
    type Output = wasmtime::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { driven, future } = &mut *self;
        let Some(running) = future else {
            return Poll::Ready(Err(wasmtime::format_err!("a guest was polled after its end")));
        };
        let entered = Entered::new(driven);
        let polled = running.as_mut().poll(context);
        if polled.is_ready() {
            *future = None;
        }
        drop(entered);
        polled.map_err(|error| match driven.refusal() {
            // The engine has words for it only.
            Some(refusal) => refusal.into(),
            None => error,
        })
    }
}

impl<F> Drop for Drive<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            let entered = Entered::new(&self.driven);
            self.future = None;
            drop(entered);
        }
    }
}

/// In place of a count of faults that could not be had.
const UNKNOWN: i64 = -1;

/// What is known of a guest that is driven. One thread at a time has it, so the order of its loads and stores does not matter.
pub(super) struct Driven {
    memories: Arc<Memories>,
    /// Which memory is made next.
    next: AtomicU32,
    /// How many it has.
    live: AtomicU32,
    /// They are as they were at the start, and nobody touches them before a future is polled again.
    asleep: AtomicBool,
    /// How many faults this thread had taken when it began to watch.
    before: AtomicI64,
    /// Whether a thread took one while it drove the guest.
    faulted: AtomicBool,
    /// Its memories.
    places: Mutex<Vec<Arc<Place>>>,
    refused: Mutex<Option<Error>>,
}

impl Driven {
    pub(super) fn memories(&self) -> &Memories {
        &self.memories
    }

    /// The place of the memory that is made now, in the order of all.
    pub(super) fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) as usize
    }

    /// A memory was handed out. The thread is the one that drives the guest.
    pub(super) fn begin(&self, place: &Arc<Place>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(Arc::clone(place));
        drop(places);
        if self.live.fetch_add(1, Ordering::Relaxed) == 0 {
            self.watch();
        }
    }

    /// A memory is dropped; whether it is sure that no fault was taken while the guest had it.
    pub(super) fn end(self: &Arc<Self>) -> bool {
        if self.is_here() {
            self.look();
        } else {
            // It outlived its future, or was taken out of it: nobody watched.
            self.faulted.store(true, Ordering::Relaxed);
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        !self.faulted.load(Ordering::Relaxed)
    }

    /// Whether this thread drives it just now.
    fn is_here(self: &Arc<Self>) -> bool {
        current().is_some_and(|driven| Arc::ptr_eq(&driven, self))
    }

    /// Whether it has memories that it may touch.
    fn is_watched(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0 && !self.asleep.load(Ordering::Relaxed)
    }

    /// Begins to watch this thread. The count of the last look will do, as it only grows: a fault that was taken since is then
    /// held to be one of this guest.
    fn watch(&self) {
        if self.faulted.load(Ordering::Relaxed) {
            return;
        }
        let known = COUNTED.try_with(Cell::get).ok();
        let known = known.filter(|(process, count)| *process == fork::generation() && *count != UNKNOWN);
        let count = known.map(|(_, count)| count).or_else(faults);
        self.before.store(count.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Whether this thread took a fault since. After the first one it need not be asked.
    fn look(&self) {
        let faulted = self.faulted.load(Ordering::Relaxed);
        let before = self.before.load(Ordering::Relaxed);
        let count = if faulted { None } else { faults() };
        let count = count.unwrap_or(UNKNOWN);
        // A thread that is ending asks each time.
        let _ = COUNTED.try_with(|counted| counted.set((fork::generation(), count)));
        if before == UNKNOWN || count != before {
            self.faulted.store(true, Ordering::Relaxed);
        }
    }

    /// Notes why a memory could not be had.
    pub(super) fn refuse(&self, error: Error) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn refusal(&self) -> Option<Error> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// While it lives, this thread drives the guest.
struct Entered(Option<Arc<Driven>>);

impl Entered {
    fn new(driven: &Arc<Driven>) -> Self {
        driven.asleep.store(false, Ordering::Relaxed);
        if driven.is_watched() {
            driven.watch();
        }
        Self(enter(Some(Arc::clone(driven))))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let driven = enter(self.0.take());
        if let Some(driven) = driven
            && driven.is_watched()
        {
            driven.look();
        }
    }
}
