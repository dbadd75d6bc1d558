//! How many requests are answered at once, and how many may wait for that.
//!
//! A request has a place with its application, and one of all that the server has. Of the latter no application takes more than
//! it leaves free: however many of them are full, there is room for one that is not. (So are buffers shared in
//! switches, by a dynamic threshold.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Who is let in to one application.
pub struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
    /// How many places it has of the server's.
    held: Arc<AtomicUsize>,
}

/// Who is let in to a server.
pub struct Shared(Arc<Budget>);

struct Budget {
    places: Semaphore,
    waiting: AtomicUsize,
    freed: Notify,
}

/// A place among those that are answered; given back when it is dropped.
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A place of the server's, which some application has.
pub struct Held {
    budget: Arc<Budget>,
    held: Arc<AtomicUsize>,
}

/// A place among the requests for an application, and one among all of the server.
pub type Places = (Place, Held);

/// How long a request waits for a place of the server's that it may have.
const WAIT: Duration = Duration::from_secs(10);

impl Admission {
    /// `concurrency` requests at once, and `queue` that wait for at most `wait`.
    pub fn new(concurrency: usize, queue: usize, wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            queue,
            wait,
            held: Arc::default(),
        }
    }

    /// A place, at once or after others; `None` when too many wait, or for too long.
    pub async fn enter(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Place(permit));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let _waiting = Waiting(&self.waiting);
        let permit = tokio::time::timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        permit.ok().and_then(Result::ok).map(Place)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// So many requests at once.
    pub fn new(concurrency: usize) -> Self {
        Self(Arc::new(Budget {
            places: Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }))
    }

    /// A place for a request that has one with its application, at once or after others; `None` when it waited for too long.
    /// An application that is `alone` may take all there are.
    pub async fn enter(&self, application: &Admission, alone: bool) -> Option<Held> {
        let budget = &self.0;
        if let Some(place) = self.try_enter(application, alone) {
            return Some(place);
        }
        // In one order with what `Held::drop` does: either that sees who waits, or this sees what it gave back.
        budget.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&budget.waiting);
        let free = async {
            loop {
                let mut freed = std::pin::pin!(budget.freed.notified());
                // From here on, what is given back is heard of.
                freed.as_mut().enable();
                if let Some(place) = budget.take(&application.held, alone) {
                    return place;
                }
                freed.await;
            }
        };
        tokio::time::timeout(WAIT, free).await.ok()
    }

    /// The same, if there is one at once.
    pub fn try_enter(&self, application: &Admission, alone: bool) -> Option<Held> {
        self.0.take(&application.held, alone)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }
}

impl Budget {
    fn take(self: &Arc<Self>, held: &Arc<AtomicUsize>, alone: bool) -> Option<Held> {
        if !alone && held.load(Ordering::Relaxed) >= self.places.available_permits() {
            return None;
        }
        self.places.try_acquire().ok()?.forget();
        held.fetch_add(1, Ordering::Relaxed);
        Some(Held {
            budget: Arc::clone(self),
            held: Arc::clone(held),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
        self.budget.places.add_permits(1);
        if self.budget.waiting.load(Ordering::SeqCst) > 0 {
            self.budget.freed.notify_waiters();
        }
    }
}

/// One that waits; a client that goes away waits no longer.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application() -> Admission {
        Admission::new(100, 0, WAIT)
    }

    #[test]
    fn an_application_leaves_as_many_places_free_as_it_takes() {
        let (shared, bad, other, good) = (Shared::new(12), application(), application(), application());
        let take = |application: &Admission| shared.0.take(&application.held, false);
        let first: Vec<_> = std::iter::from_fn(|| take(&bad)).collect();
        assert_eq!(first.len(), 6);
        let second: Vec<_> = std::iter::from_fn(|| take(&other)).collect();
        assert_eq!(second.len(), 3);
        assert!(take(&good).is_some() && take(&bad).is_none());
        drop(second);
        drop(first);
        assert_eq!(shared.0.places.available_permits(), 12);
    }

    #[test]
    fn one_that_is_alone_takes_all() {
        let (shared, only) = (Shared::new(12), application());
        let places: Vec<_> = std::iter::from_fn(|| shared.0.take(&only.held, true)).collect();
        assert_eq!(places.len(), 12);
    }

    #[test]
    fn who_waits_gets_what_is_given_back() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            let (shared, one, other) = (Arc::new(Shared::new(2)), application(), Arc::new(application()));
            let first = shared.enter(&one, false).await;
            let second = shared.enter(&other, false).await;
            assert!(first.is_some() && second.is_some());
            let (of, for_it) = (Arc::clone(&shared), Arc::clone(&other));
            let third = tokio::spawn(async move { of.enter(&for_it, false).await.is_some() });
            tokio::task::yield_now().await;
            assert_eq!((shared.waiting(), third.is_finished()), (1, false));
            drop((first, second));
            assert!(third.await.expect("it is over"));
            assert_eq!(shared.waiting(), 0);
        });
    }
}
