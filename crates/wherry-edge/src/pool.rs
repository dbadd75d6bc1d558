//! Instances that answer several requests, one after the other, where the author of their application chose that.
//!
//! An instance is in the pool while it waits, and with one request alone otherwise. It does not come back after a failure, or
//! when its request was broken off: then it goes with what drove it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an instance waits for its next request before its memory is given back.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Instances that wait, the last to come the first to go.
pub struct Pool<T> {
    most: u32,
    waiting: Mutex<Vec<Waiting<T>>>,
}

struct Waiting<T> {
    since: Instant,
    used: Used<T>,
}

/// An instance, and how many requests it was given.
pub struct Used<T> {
    /// The instance.
    pub instance: T,
    times: u32,
}

impl<T> Used<T> {
    /// An instance for its first request.
    pub fn new(instance: T) -> Self {
        Self { instance, times: 1 }
    }
}

impl<T: Send + 'static> Pool<T> {
    /// For instances that answer so many requests.
    pub fn new(most: u32) -> Arc<Self> {
        Arc::new(Self {
            most,
            waiting: Mutex::default(),
        })
    }

    /// One that waits, for its next request.
    pub fn take(&self) -> Option<Used<T>> {
        if self.most == 1 {
            return None;
        }
        let mut used = self.waiting().pop()?.used;
        used.times += 1;
        Some(used)
    }

    /// Whether one is to answer another request.
    pub fn wants(&self, used: &Used<T>) -> bool {
        used.times < self.most
    }

    /// Takes one back, which [`Pool::wants`].
    pub fn put(self: &Arc<Self>, used: Used<T>) {
        let mut waiting = self.waiting();
        let alone = waiting.is_empty();
        waiting.push(Waiting {
            since: Instant::now(),
            used,
        });
        if alone {
            let pool = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(PATIENCE).await;
                    if pool.upgrade().is_none_or(|pool| pool.tidy()) {
                        return;
                    }
                }
            });
        }
    }

    /// Gives up those that wait for long; says whether none is left.
    fn tidy(&self) -> bool {
        let mut waiting = self.waiting();
        let old = waiting.partition_point(|one| one.since.elapsed() >= PATIENCE);
        let old: Vec<_> = waiting.drain(..old).collect();
        let none = waiting.is_empty();
        drop(waiting);
        drop(old);
        none
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
