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
    state: Mutex<State<T>>,
}

struct State<T> {
    waiting: Vec<Waiting<T>>,
    /// A task looks after those that wait for long.
    tidied: bool,
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
            state: Mutex::new(State {
                waiting: Vec::new(),
                tidied: false,
            }),
        })
    }

    /// One that waits, for its next request.
    pub fn take(&self) -> Option<Used<T>> {
        if self.most == 1 {
            return None;
        }
        let mut used = self.state().waiting.pop()?.used;
        used.times += 1;
        Some(used)
    }

    /// Whether one is to answer another request.
    pub fn wants(&self, used: &Used<T>) -> bool {
        used.times < self.most
    }

    /// Takes one back, which [`Pool::wants`].
    pub fn put(self: &Arc<Self>, used: Used<T>) {
        let mut state = self.state();
        state.waiting.push(Waiting {
            since: Instant::now(),
            used,
        });
        if !std::mem::replace(&mut state.tidied, true) {
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

    /// Gives up those that wait for long; says whether none is left, and nobody looks after those to come.
    fn tidy(&self) -> bool {
        let mut state = self.state();
        let old = state
            .waiting
            .partition_point(|one| one.since.elapsed() >= PATIENCE);
        let old: Vec<_> = state.waiting.drain(..old).collect();
        state.tidied = !state.waiting.is_empty();
        let none = !state.tidied;
        drop(state);
        drop(old);
        none
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_looks_after_all_that_come_and_go() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let pool = Pool::new(u32::MAX);
            for _ in 0..100 {
                let used = pool.take().unwrap_or_else(|| Used::new(()));
                pool.put(used);
            }
            assert_eq!(runtime.metrics().num_alive_tasks(), 1);
            assert!(!pool.tidy(), "one waits");
            assert!(pool.take().is_some());
            assert!(pool.tidy());
        });
    }
}
