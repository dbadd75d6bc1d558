//! Who may stop a guest, and how a call waits.
//!
//! A guest that computes is stopped by the epoch, which `ticker` advances: the engine asks [`Watch::check`] at each tick. A guest that waits in a WASI call is a pending future, and [`drive`] asks
//! between polls. Both ways ask the same question: has the deadline passed, was the call cancelled, does the embedding
//! program want to stop (Ctrl-C)?

use crate::clock::VirtualClock;
use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::limits::Limit;
use crate::registry::Registry;
use crate::stdio::Room;
use crate::ticker::TICK;
use crate::witness::Witness;
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A question of the embedding program: an error ends the guest with it.
pub type Question = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// What may stop one guest.
#[derive(Clone, Default)]
pub struct Watch {
    /// When the running call has to end, and how long it had.
    pub deadline: Option<(Instant, Duration)>,
    /// How long a call has that sets its deadline at its first tick, which is sooner than the clock is worth reading.
    pub allowance: Option<Duration>,
    /// One time limit holds for the start and all calls together, and not for each.
    pub whole: bool,
    /// Set from another thread to end the running call.
    pub cancel: Cancel,
    /// Asked at each tick, on the thread of the call.
    pub question: Option<Question>,
    /// What the guest may write, where that is limited.
    pub room: Option<Arc<Room>>,
    /// Who knows whether the host did its part, in a deterministic run.
    pub witness: Option<Arc<Witness>>,
    /// The guest's own clock, by which it waits where it has one.
    pub clock: Option<Arc<VirtualClock>>,
}

/// Ends a running call from another thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the running call to end; it does so at the next tick.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Forgets an earlier request.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Watch {
    /// As [`Watch::check`], at a tick of a call that did not read the clock at its start.
    ///
    /// # Errors
    /// As [`Watch::check`].
    pub fn check_at_tick(&mut self) -> Result<()> {
        if let Some(time) = self.allowance.take() {
            // Up to one tick has passed; counting it would end a guest early, so it is given.
            self.deadline = Some((Instant::now() + time, time));
        }
        self.check()
    }

    /// Whether a guest may go on that was in a function of the embedding program, which may have taken its time.
    ///
    /// # Errors
    /// [`Kind::Time`] and [`Kind::Interrupted`].
    pub fn check_after_host(&self) -> Result<()> {
        if self.deadline.is_some() || self.cancel.is_asked() {
            return self.check();
        }
        Ok(())
    }

    /// Whether the guest may go on.
    ///
    /// # Errors
    /// [`Kind::Time`], [`Kind::Interrupted`], [`Kind::Output`], or what the embedding program answered.
    pub fn check(&self) -> Result<()> {
        if let Some((deadline, time)) = self.deadline
            && Instant::now() >= deadline
        {
            return Err(Error::new(
                Kind::Time,
                format!("the guest ran longer than its time limit of {time:?}"),
            )
            .with_hint(Limit::Timeout.hint(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))));
        }
        if self.cancel.0.load(Ordering::Acquire) {
            return Err(Error::new(Kind::Interrupted, "the call was cancelled"));
        }
        self.check_output()?;
        self.question.as_ref().map_or(Ok(()), |question| question())
    }

    fn check_output(&self) -> Result<()> {
        self.witness.as_ref().map_or(Ok(()), |witness| witness.check())?;
        self.room.as_ref().map_or(Ok(()), |room| room.check())
    }
}

/// Runs a call that may wait, and asks `watch` while it does.
///
/// The future is polled on this thread only, so that host functions of the embedding program run on the thread that
/// called, and such a function may itself drive another guest. It is dropped, and with it the guest's waiting, when
/// `watch` says stop.
///
/// # Errors
/// What [`Watch::check`] answers, and [`Kind::Internal`] when the host has no descriptors or threads left to wait with.
pub fn drive<T>(watch: &Watch, call: impl Future<Output = T>) -> Result<T> {
    let reactor = reactor()?;
    let _entered = reactor.enter();
    let wake = Arc::new(Unpark {
        thread: std::thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&wake));
    let mut context = Context::from_waker(&waker);
    let mut call = pin!(call);
    let held = watch.witness.as_ref().map(|_| Held::new(watch));
    loop {
        let polled = call.as_mut().poll(&mut context);
        if let Some(stopped) = held.as_ref().and_then(Held::stopped) {
            return Err(stopped);
        }
        if let Poll::Ready(done) = polled {
            watch.check_output()?;
            return Ok(done);
        }
        watch.check()?;
        if wake.woken.swap(false, Ordering::AcqRel) {
            continue;
        }
        // Nothing of the guest can go on: its own clock moves on to whatever it waits for first.
        if !watch.clock.as_ref().is_some_and(|clock| clock.move_on()) {
            let rest = watch.deadline.map_or(TICK, |(deadline, _)| {
                deadline.saturating_duration_since(Instant::now()).min(TICK)
            });
            std::thread::park_timeout(rest);
            wake.woken.store(false, Ordering::Release);
        }
    }
}

thread_local! {
    /// Whose guests this thread drives that may hold it up, the innermost last; and what stopped one while it did.
    static HOLDING: RefCell<Vec<(Watch, Option<Error>)>> = const { RefCell::new(Vec::new()) };
}

/// A deterministic guest is driven: what the host does for it is done on this thread, in the order of the calls.
struct Held;

impl Held {
    fn new(watch: &Watch) -> Self {
        HOLDING.with_borrow_mut(|holding| holding.push((watch.clone(), None)));
        Self
    }

    /// What stopped the guest while the host held the thread up for it.
    #[expect(clippy::unused_self, reason = "it is there while the guest is driven")]
    fn stopped(&self) -> Option<Error> {
        HOLDING.with_borrow_mut(|holding| holding.last_mut().and_then(|(_, stopped)| stopped.take()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HOLDING.with_borrow_mut(Vec::pop);
    }
}

/// Whether the guest that this thread drives may go on, for host code that waits on the thread; [`drive`] tells what stopped it.
#[cfg(unix)]
pub(crate) fn may_go_on() -> bool {
    // The question may run a program of the embedder's, which may drive another guest.
    let watch = HOLDING.with_borrow(|holding| holding.last().map(|(watch, _)| watch.clone()));
    let Some(Err(error)) = watch.map(|watch| watch.check()) else {
        return true;
    };
    HOLDING.with_borrow_mut(|holding| {
        if let Some((_, stopped)) = holding.last_mut() {
            *stopped = Some(error);
        }
    });
    false
}

/// Wakes the thread that drives a call.
struct Unpark {
    thread: std::thread::Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// What waits for the kernel on behalf of guests: one thread for all of them.
///
/// After a fork it is made anew, and the old one is left alone: its thread and descriptors are the parent's.
fn reactor() -> Result<&'static Runtime> {
    static REACTORS: Registry<u32, Runtime> = Registry::new();
    REACTORS.get_or_try_insert(fork::generation(), || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("wherry-reactor")
            .enable_all()
            .build();
        runtime.map_err(|error| {
            Error::new(Kind::Internal, format!("cannot wait for the guest: {error}"))
                .with_hint("the process may be out of file descriptors or threads: see `ulimit -n -u`")
        })
    })
}
