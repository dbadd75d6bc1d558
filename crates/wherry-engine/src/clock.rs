//! A clock of a guest's own: it moves on when it is read and when the guest waits, and at no other time.
//!
//! A wait takes no time of the host's: it is a future that is pending until nothing else of the guest can go on, when
//! whoever drives the guest calls [`VirtualClock::move_on`]. Waits end in the order of their times, and of their beginning
//! where the times are equal.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A clock that begins at a given time and moves on by a given step each time it is read.
#[derive(Debug)]
pub struct VirtualClock {
    start: Duration,
    step: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nanoseconds since the start.
    now: u64,
    /// Who waits, by the time at which the wait ends and the order in which waits began.
    waiting: BTreeMap<(u64, u64), Waker>,
    begun: u64,
}

impl VirtualClock {
    /// A clock that shows `start` after 1970, and `step` more each time it is read.
    #[must_use]
    pub fn new(start: Duration, step: Duration) -> Self {
        Self {
            start,
            step: u64::try_from(step.as_nanos()).unwrap_or(u64::MAX),
            state: Mutex::default(),
        }
    }

    /// Nanoseconds since the start; asking moves the clock on.
    #[must_use]
    pub fn read(&self) -> u64 {
        let mut state = self.lock();
        let now = state.now;
        state.now = now.saturating_add(self.step);
        now
    }

    /// Nanoseconds from 1970 to the start of the clock.
    #[must_use]
    pub fn start(&self) -> u64 {
        u64::try_from(self.start.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Moves the clock on to `time` after its start, unless it is past that already.
    pub fn reach(&self, time: u64) {
        let mut state = self.lock();
        state.now = state.now.max(time);
    }

    /// A wait until `time` after the start.
    #[must_use]
    pub fn until(self: &Arc<Self>, time: u64) -> Wait {
        Wait {
            clock: Arc::clone(self),
            time,
            place: None,
        }
    }

    /// Moves the clock on to the end of the first wait, and wakes all that end then. `false` when nobody waits.
    ///
    /// To be called when nothing else can go on.
    pub fn move_on(&self) -> bool {
        let due = {
            let mut state = self.lock();
            let Some((&(first, _), _)) = state.waiting.first_key_value() else {
                return false;
            };
            state.now = state.now.max(first);
            let after = (state.now, u64::MAX);
            let later = state.waiting.split_off(&after);
            std::mem::replace(&mut state.waiting, later)
        };
        due.into_values().for_each(Waker::wake);
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pending until the clock shows a time.
#[derive(Debug)]
pub struct Wait {
    clock: Arc<VirtualClock>,
    time: u64,
    /// Its key among those who wait.
    place: Option<(u64, u64)>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = Arc::clone(&self.clock);
        let mut state = clock.lock();
        if state.now >= self.time {
            return Poll::Ready(());
        }
        let time = self.time;
        let place = *self.place.get_or_insert_with(|| {
            state.begun += 1;
            (time, state.begun)
        });
        state.waiting.insert(place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.lock().waiting.remove(&place);
        }
    }
}

/// The clock as the time of day.
pub struct WallTime(pub Arc<VirtualClock>);

/// The clock as one that never goes back.
pub struct MonotonicTime(pub Arc<VirtualClock>);

impl HostWallClock for WallTime {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(MonotonicTime(Arc::clone(&self.0)).resolution())
    }

    fn now(&self) -> Duration {
        self.0.start.saturating_add(Duration::from_nanos(self.0.read()))
    }
}

impl HostMonotonicClock for MonotonicTime {
    fn resolution(&self) -> u64 {
        self.0.step.max(1)
    }

    fn now(&self) -> u64 {
        self.0.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn clock() -> Arc<VirtualClock> {
        Arc::new(VirtualClock::new(
            Duration::from_secs(10),
            Duration::from_nanos(2),
        ))
    }

    #[test]
    fn a_reading_moves_the_clock_on() {
        let clock = clock();
        assert_eq!((clock.read(), clock.read(), clock.read()), (0, 2, 4));
        assert_eq!(
            WallTime(Arc::clone(&clock)).now(),
            Duration::new(10, 6),
            "time of day"
        );
        assert_eq!(MonotonicTime(clock).now(), 8);
    }

    #[test]
    fn waits_end_in_the_order_of_their_times() {
        let clock = clock();
        let woken = [const { Count(AtomicUsize::new(0)) }; 3].map(Arc::new);
        let mut waits = [30, 10, 10].map(|time| Box::pin(clock.until(time)));
        let poll = |wait: &mut Pin<Box<Wait>>, count: &Arc<Count>| {
            let waker = Waker::from(Arc::clone(count));
            wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        for (wait, count) in waits.iter_mut().zip(&woken) {
            assert!(!poll(wait, count));
        }
        assert!(clock.move_on());
        assert_eq!(
            woken.each_ref().map(|count| count.0.load(Ordering::Relaxed)),
            [0, 1, 1]
        );
        assert!(poll(&mut waits[1], &woken[1]) && poll(&mut waits[2], &woken[2]));
        assert!(!poll(&mut waits[0], &woken[0]));
        assert_eq!(clock.read(), 10);
        drop(waits);
        assert!(!clock.move_on(), "nobody waits any more");
        assert_eq!(clock.read(), 12);
    }

    #[test]
    fn a_wait_for_ever_ends_at_the_end_of_time() {
        let clock = clock();
        let mut wait = Box::pin(clock.until(u64::MAX));
        let mut context = Context::from_waker(Waker::noop());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert!(clock.move_on());
        assert!(wait.as_mut().poll(&mut context).is_ready());
        assert_eq!(clock.read(), u64::MAX);
    }
}
