//! How many requests are answered at once, and how many may wait for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who is let in.
pub struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
}

/// A place among those that are answered; given back when it is dropped.
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A place among the requests for an application, and one among all of the server.
pub type Places = (Place, Place);

impl Admission {
    /// `concurrency` requests at once, and `queue` that wait for at most `wait`.
    pub fn new(concurrency: usize, queue: usize, wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            queue,
            wait,
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

/// One that waits; a client that goes away waits no longer.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
