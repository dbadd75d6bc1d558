//! What a server counts, and what it keeps of failures for who asks.

use crate::running::Failure;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many failures are kept until they are asked for; of more, the oldest go.
const KEPT: usize = 1000;

/// What is counted of the requests for one application, or for none. Those of an application outlive a reload.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that came.
    pub requests: AtomicU64,
    /// Requests whose answer has not begun.
    pub active: AtomicU64,
    /// Requests that were turned away as too many came at once.
    pub busy: AtomicU64,
    /// Requests that were malformed or too large.
    pub refused: AtomicU64,
    /// Guests that trapped, or gave no answer.
    pub failed: AtomicU64,
    /// Guests that were not done in time.
    pub late: AtomicU64,
}

/// What a server counts.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Requests that no application got to see.
    pub unrouted: Arc<Counters>,
    applications: Mutex<BTreeMap<String, Arc<Counters>>>,
    failures: Mutex<VecDeque<String>>,
    told: Condvar,
}

/// Where it is noted what becomes of a request.
#[derive(Debug, Clone)]
pub struct Account {
    /// All that is counted.
    pub statistics: Arc<Statistics>,
    /// What is counted of its application.
    pub counters: Arc<Counters>,
}

/// Counts a request for as long as its answer has not begun.
pub struct Active(Arc<Counters>);

impl Active {
    /// Counts one more.
    #[must_use]
    pub fn new(counters: &Arc<Counters>) -> Self {
        counters.requests.fetch_add(1, Ordering::Relaxed);
        counters.active.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Account {
    /// Counts what went wrong after the head of an answer was sent.
    pub fn note(&self, failure: &Failure) {
        self.tell("-", failure);
    }

    /// Counts what went wrong with the request of this number, and keeps what there is to say about it.
    pub fn tell(&self, id: &str, failure: &Failure) {
        let counters = &self.counters;
        let (counter, words) = match failure {
            Failure::Trap(error) => (&counters.failed, format!("{error:?}")),
            Failure::NoAnswer => (
                &counters.failed,
                "the guest gave no answer, or one that cannot be sent".to_owned(),
            ),
            Failure::TooMuch => (
                &counters.failed,
                "the body of the answer is larger than `max-response`".to_owned(),
            ),
            Failure::Time => (
                &counters.late,
                "the guest ran longer than its time limit".to_owned(),
            ),
            Failure::Request(status) => (
                &counters.refused,
                format!("the body of the request is refused: {status}"),
            ),
            Failure::Busy => (&counters.busy, "no more guests fit into memory".to_owned()),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.statistics.keep(format!("{id} {words}"));
    }
}

impl Statistics {
    /// The counters of the application of that name.
    #[must_use]
    pub fn of(&self, application: &str) -> Arc<Counters> {
        let mut applications = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(applications.entry(application.to_owned()).or_default())
    }

    /// Those of every application that there was, by name.
    #[must_use]
    pub fn applications(&self) -> BTreeMap<String, Arc<Counters>> {
        self.applications
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps what went wrong for who asks.
    pub fn keep(&self, failure: String) {
        let mut failures = self.kept();
        if failures.len() == KEPT {
            failures.pop_front();
        }
        failures.push_back(failure);
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
