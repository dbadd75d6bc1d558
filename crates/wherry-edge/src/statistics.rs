//! What a server counts, and what it keeps of failures for who asks.

use crate::running::Failure;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many failures are kept until they are asked for; of more, the oldest go.
const KEPT: usize = 1000;

/// Counters of one server.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Requests that came.
    pub requests: AtomicU64,
    /// Requests that are being answered.
    pub active: AtomicU64,
    /// Requests that were turned away as too many came at once.
    pub busy: AtomicU64,
    /// Requests that were malformed or too large.
    pub refused: AtomicU64,
    /// Guests that trapped, or gave no answer.
    pub failed: AtomicU64,
    /// Guests that were not done in time.
    pub late: AtomicU64,
    failures: Mutex<VecDeque<String>>,
    told: Condvar,
}

impl Statistics {
    /// Counts what went wrong after the head of an answer was sent.
    pub fn note(&self, failure: &Failure) {
        self.tell("-", failure);
    }

    /// Counts what went wrong with the request of this number, and keeps what there is to say about it.
    pub fn tell(&self, id: &str, failure: &Failure) {
        let (counter, words) = match failure {
            Failure::Trap(error) => (&self.failed, format!("{error:?}")),
            Failure::NoAnswer => (
                &self.failed,
                "the guest gave no answer, or one that cannot be sent".to_owned(),
            ),
            Failure::Time => (&self.late, "the guest ran longer than its time limit".to_owned()),
            Failure::TooLarge => (&self.refused, "the body of the request is too large".to_owned()),
            Failure::Busy => (&self.busy, "no more guests fit into memory".to_owned()),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.kept();
        if failures.len() == KEPT {
            failures.pop_front();
        }
        failures.push_back(format!("{id} {words}"));
        self.told.notify_one();
    }

    /// What was kept of failures since this was asked last, waiting for one if need be.
    pub fn failures(&self, wait: Duration) -> Vec<String> {
        let kept = self.kept();
        let waited = self.told.wait_timeout_while(kept, wait, |kept| kept.is_empty());
        let (mut kept, _) = waited.unwrap_or_else(PoisonError::into_inner);
        kept.drain(..).collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
