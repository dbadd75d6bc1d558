//! Connections that wait for the next request of the same application.
//!
//! A pool is for guests with one policy: who takes a connection out of it was granted the request, and that the connection leads
//! where requests may go was checked when it was made. Over HTTP/1.1 a connection is in the pool or with one request; it comes
//! back when the answer was read to its end, and is closed otherwise. Over HTTP/2 requests share the one that is kept.
//! Start at [`Pool::lease`].

use super::connection::{Connection, One, STREAMS, Two};
use super::quota::Slot;
use crate::policy::Host;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// How long a connection waits for its next request.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection may take to be ready again after its answer.
const SETTLING: Duration = Duration::from_secs(5);

/// Connections that wait, and those to one origin.
const MOST: usize = 128;
/// See [`MOST`].
const MOST_ALIKE: usize = 32;

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub secure: bool,
    pub host: Host,
    pub port: u16,
}

/// Connections of the guests of one application.
#[derive(Default)]
pub struct Pool(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those of HTTP/1.1, the last to come at the end.
    idle: VecDeque<Kept<One>>,
    /// Those of HTTP/2, whether requests are on them or not.
    shared: Vec<Kept<Two>>,
    /// What is being connected to over TLS, to find out whether a connection can be shared.
    opening: Vec<(Origin, Weak<Turn<()>>)>,
    watched: bool,
}

/// A connection that is kept.
struct Kept<T> {
    origin: Origin,
    /// When it had a request last.
    since: Instant,
    connection: T,
}

/// A connection that is with a request.
pub(super) struct Lease {
    connection: Option<Connection>,
    origin: Origin,
    pool: Arc<Pool>,
    /// It had requests before.
    pub reused: bool,
    /// Nothing is left of the answer.
    read: AtomicBool,
    /// It counts among the connections of its guest.
    slot: Option<Slot>,
}

/// Whose turn it is to find out what an origin speaks.
pub(super) enum Opening {
    /// Nobody connects to it: this one, and the others wait for it.
    First(#[allow(dead_code, reason = "held for its drop")] OwnedMutexGuard<()>),
    /// Somebody does.
    After(Arc<Turn<()>>),
}

impl Pool {
    /// A connection that is kept, for a request with this slot; the slot comes back where there is none.
    pub(super) fn lease(self: &Arc<Self>, origin: &Origin, slot: Slot) -> Result<Lease, Slot> {
        match self.take(origin) {
            Some(connection) => Ok(self.leased(connection, origin, slot, true)),
            None => Err(slot),
        }
    }

    /// A connection that was made for a request.
    pub(super) fn made(self: &Arc<Self>, connection: Connection, origin: &Origin, slot: Slot) -> Lease {
        if let Connection::Two(two) = &connection {
            self.state().share(Kept::new(origin.clone(), two.clone()));
            self.watch();
        }
        self.leased(connection, origin, slot, false)
    }

    fn leased(self: &Arc<Self>, connection: Connection, origin: &Origin, slot: Slot, reused: bool) -> Lease {
        Lease {
            connection: Some(connection),
            origin: origin.clone(),
            pool: Arc::clone(self),
            reused,
            read: false.into(),
            slot: Some(slot),
        }
    }

    /// Whose turn it is to connect to an origin that may speak HTTP/2.
    pub(super) fn opening(&self, origin: &Origin) -> Opening {
        let mut state = self.state();
        state.opening.retain(|(_, turn)| turn.strong_count() > 0);
        let known = state.opening.iter().find(|(other, _)| other == origin);
        if let Some(turn) = known.and_then(|(_, turn)| turn.upgrade()) {
            return Opening::After(turn);
        }
        let turn = Arc::new(Turn::new(()));
        state.opening.push((origin.clone(), Arc::downgrade(&turn)));
        match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => Opening::First(guard),
            Err(_) => Opening::After(turn),
        }
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut state = self.state();
        state.shared.retain(|kept| !kept.connection.sender.is_closed());
        let free =
            |kept: &&mut Kept<Two>| kept.origin == *origin && kept.connection.requests() < STREAMS as usize;
        if let Some(kept) = state.shared.iter_mut().find(free) {
            kept.since = Instant::now();
            return Some(Connection::Two(kept.connection.clone()));
        }
        while let Some(at) = state.idle.iter().rposition(|kept| kept.origin == *origin) {
            let kept = state.idle.remove(at)?;
            if kept.since.elapsed() < IDLE && kept.connection.sender.is_ready() {
                return Some(Connection::One(kept.connection));
            }
        }
        None
    }

    /// Takes a connection back when it is ready for another request.
    fn give_back(self: Arc<Self>, origin: Origin, mut one: One) {
        match one.sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => self.keep(origin, one),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => with_ambient_tokio_runtime(|| {
                tokio::spawn(async move {
                    let ready = poll_fn(|context| one.sender.poll_ready(context));
                    if let Ok(Ok(())) = tokio::time::timeout(SETTLING, ready).await {
                        self.keep(origin, one);
                    }
                });
            }),
        }
    }

    fn keep(self: &Arc<Self>, origin: Origin, one: One) {
        one.payer.rest();
        self.state().keep(Kept::new(origin, one));
        self.watch();
    }

    /// Gives no other request a connection that may be dead.
    fn forget(&self, connection: &Two) {
        let holders = &connection.holders;
        let other = |kept: &Kept<Two>| !Arc::ptr_eq(&kept.connection.holders, holders);
        self.state().shared.retain(other);
    }

    /// Has somebody close what waits for too long, as long as there is anything.
    fn watch(self: &Arc<Self>) {
        if std::mem::replace(&mut self.state().watched, true) {
            return;
        }
        let pool = Arc::downgrade(self);
        with_ambient_tokio_runtime(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(IDLE / 4).await;
                    if pool.upgrade().is_none_or(|pool| pool.state().tidy()) {
                        return;
                    }
                }
            });
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn new(origin: Origin, connection: T) -> Self {
        Self {
            origin,
            since: Instant::now(),
            connection,
        }
    }
}

impl State {
    fn keep(&mut self, kept: Kept<One>) {
        let alike = self.idle.iter().filter(|other| other.origin == kept.origin);
        let oldest = if alike.count() >= MOST_ALIKE {
            self.idle.iter().position(|other| other.origin == kept.origin)
        } else {
            (self.idle.len() >= MOST).then_some(0)
        };
        if let Some(oldest) = oldest {
            self.idle.remove(oldest);
        }
        self.idle.push_back(kept);
    }

    fn share(&mut self, kept: Kept<Two>) {
        if self.shared.len() >= MOST {
            // Requests that are on it come to their end.
            self.shared.remove(0);
        }
        self.shared.push(kept);
    }

    /// Closes what waits for too long; says whether nothing is left.
    fn tidy(&mut self) -> bool {
        self.idle
            .retain(|kept| kept.since.elapsed() < IDLE && !kept.connection.sender.is_closed());
        self.shared.retain_mut(|kept| {
            if kept.connection.requests() > 0 {
                kept.since = Instant::now();
            }
            kept.since.elapsed() < IDLE && !kept.connection.sender.is_closed()
        });
        self.watched = !self.idle.is_empty() || !self.shared.is_empty();
        !self.watched
    }
}

impl Lease {
    /// The connection.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Whether requests share it.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.connection, Some(Connection::Two(_)))
    }

    /// The answer was read to its end.
    pub(super) fn read(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Gives the connection up, for who tries again.
    pub(super) fn give_up(mut self) -> Option<Slot> {
        self.distrust();
        self.slot.take()
    }

    /// Nobody else should have the connection: the other side is silent.
    pub(super) fn distrust(&self) {
        if let Some(Connection::Two(two)) = &self.connection {
            self.pool.forget(two);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Connection::One(one)) = self.connection.take()
            && self.read.load(Ordering::Relaxed)
        {
            Arc::clone(&self.pool).give_back(self.origin.clone(), one);
        }
    }
}
