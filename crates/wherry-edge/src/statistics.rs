//! What a server counts, and what it keeps of failures for who asks.

use crate::observe::guests::{GuestLog, Speaker};
use crate::observe::identity::RequestId;
use crate::observe::metrics::Metrics;
use crate::running::Failure;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many failures are kept until they are asked for; of more, the oldest go.
const KEPT: usize = 1000;

/// What to do about a trap of which nothing else is known.
const STACK: &str = "`--dev` shows the guest's stack in the answer";

/// What is noted of the requests for one application, or for none. It outlives a reload.
pub struct Account {
    /// What the application is called; nothing where there is none.
    pub name: Arc<str>,
    /// What is counted of all requests.
    pub metrics: Metrics,
    /// Requests that were turned away as too many came at once.
    pub busy: AtomicU64,
    /// Requests that were malformed or too large.
    pub refused: AtomicU64,
    /// Guests that trapped, or gave no answer.
    pub failed: AtomicU64,
    /// Guests that were not done in time.
    pub late: AtomicU64,
    /// Where what guests print is written.
    pub guests: Arc<GuestLog>,
    failures: Arc<Failures>,
}

/// What a server counts.
pub struct Statistics {
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Those of them that are over.
    pub closed: AtomicU64,
    /// Connections on which something came that is no request.
    pub malformed: AtomicU64,
    /// Requests that no application got to see.
    pub unrouted: Arc<Account>,
    applications: Mutex<BTreeMap<Arc<str>, Arc<Account>>>,
    failures: Arc<Failures>,
    guests: Arc<GuestLog>,
}

/// What went wrong, until somebody asks.
#[derive(Debug, Default)]
struct Failures {
    kept: Mutex<VecDeque<Told>>,
    told: Condvar,
}

/// What went wrong once.
#[derive(Debug)]
pub struct Told {
    /// With the number of its request in front, or `server:` where none is meant.
    pub words: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Account {
    fn new(name: Arc<str>, guests: &Arc<GuestLog>, failures: &Arc<Failures>) -> Self {
        Self {
            name,
            metrics: Metrics::default(),
            busy: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            late: AtomicU64::new(0),
            guests: Arc::clone(guests),
            failures: Arc::clone(failures),
        }
    }

    /// Whose word it is that a guest of the application prints, for this request.
    pub fn speaker(&self, id: RequestId, trace: Option<u128>) -> Arc<Speaker> {
        self.guests.speaker(Arc::clone(&self.name), id, trace)
    }

    /// Counts what went wrong with a request, and keeps what there is to say about it.
    pub fn tell(&self, id: &RequestId, failure: &Failure) {
        let counter = match failure {
            Failure::Trap(_) | Failure::NoAnswer | Failure::TooMuch => &self.failed,
            Failure::Time => &self.late,
            Failure::Request(_) => &self.refused,
            Failure::Busy => &self.busy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let stack = matches!(failure, Failure::Trap(_)).then_some(STACK);
        self.failures.keep(Told {
            words: format!("{id} {}", failure.words()),
            hint: failure.hint().or(stack).map(str::to_owned),
        });
    }
}

impl Failures {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Told>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, failure: Told) {
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(failure);
        self.told.notify_one();
    }
}

impl Statistics {
    /// Those of a server whose guests print there.
    #[must_use]
    pub fn new(guests: &Arc<GuestLog>) -> Self {
        let failures = Arc::default();
        Self {
            connections: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            unrouted: Arc::new(Account::new("".into(), guests, &failures)),
            applications: Mutex::default(),
            guests: Arc::clone(guests),
            failures,
        }
    }

    /// The account of the application of that name.
    #[must_use]
    pub fn of(&self, application: &str) -> Arc<Account> {
        let mut applications = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = applications.get(application) {
            return Arc::clone(known);
        }
        let name: Arc<str> = application.into();
        let account = Arc::new(Account::new(Arc::clone(&name), &self.guests, &self.failures));
        applications.insert(name, Arc::clone(&account));
        account
    }

    /// Those of every application that there was, by name, and before them that of requests for none.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        let applications = self.applications.lock().unwrap_or_else(PoisonError::into_inner);
        let unrouted = std::iter::once(&self.unrouted);
        unrouted.chain(applications.values()).map(Arc::clone).collect()
    }

    /// Keeps what went wrong with no request in particular for who asks.
    pub fn keep(&self, words: String, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.failures.keep(Told { words, hint });
    }

    /// What was kept of failures since this was asked last, waiting for one if need be.
    pub fn failures(&self, wait: Duration) -> Vec<Told> {
        let kept = self.failures.kept();
        let told = &self.failures.told;
        let waited = told.wait_timeout_while(kept, wait, |kept| kept.is_empty());
        let (mut kept, _) = waited.unwrap_or_else(PoisonError::into_inner);
        kept.drain(..).collect()
    }
}
