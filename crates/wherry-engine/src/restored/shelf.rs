//! Things that are used again: the last one put back comes out first, and what lies untouched for long is dropped.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thing lies untouched, at the least, before it is dropped.
pub(super) const UNTOUCHED: Duration = Duration::from_secs(10);

pub(super) struct Shelf<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    things: Vec<T>,
    /// How many of the first were not touched since then.
    untouched: usize,
    since: Instant,
    /// How many were put back since the clock was looked at.
    put: u32,
}

/// After how many things that were put back the clock is looked at.
const LOOK: u32 = 64;

impl<T> Shelf<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                things: Vec::new(),
                untouched: 0,
                since: Instant::now(),
                put: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state();
        let thing = state.things.pop();
        state.untouched = state.untouched.min(state.things.len());
        thing
    }

    pub(super) fn put(&self, thing: T) {
        let mut state = self.state();
        state.things.push(thing);
        state.put += 1;
        if state.put < LOOK {
            return;
        }
        state.put = 0;
        let dropped = state.turn(Instant::now());
        drop(state);
        drop(dropped);
    }

    /// Drops what lay untouched for long. Called now and then, everything goes when nothing is used.
    pub(super) fn tidy(&self) {
        let dropped = self.state().turn(Instant::now());
        drop(dropped);
    }

    /// How many things lie there.
    pub(super) fn len(&self) -> usize {
        self.state().things.len()
    }

    #[cfg(test)]
    pub(super) fn age(&self) {
        let mut state = self.state();
        state.since = state
            .since
            .checked_sub(UNTOUCHED)
            .expect("a clock that runs for long");
    }
}

impl<T> State<T> {
    fn turn(&mut self, now: Instant) -> Vec<T> {
        if now.duration_since(self.since) < UNTOUCHED {
            return Vec::new();
        }
        self.since = now;
        let dropped = self.things.drain(..self.untouched).collect();
        self.untouched = self.things.len();
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_in_comes_out_first() {
        let shelf = Shelf::new();
        assert_eq!(shelf.take(), None);
        shelf.put(1);
        shelf.put(2);
        assert_eq!(
            [shelf.take(), shelf.take(), shelf.take()],
            [Some(2), Some(1), None]
        );
    }

    #[test]
    fn what_is_not_used_goes_and_what_is_used_stays() {
        let shelf = Shelf::new();
        (0..10).for_each(|number| shelf.put(number));
        shelf.age();
        shelf.tidy();
        assert_eq!(shelf.len(), 10, "they came only now");
        let used: Vec<_> = (0..3).filter_map(|_| shelf.take()).collect();
        for number in used {
            shelf.put(number);
        }
        shelf.tidy();
        assert_eq!(shelf.len(), 10, "the time is not over");
        shelf.age();
        shelf.tidy();
        assert_eq!(shelf.len(), 3);
        shelf.age();
        shelf.tidy();
        assert_eq!(shelf.len(), 0);
    }
}
