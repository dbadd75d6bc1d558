use super::*;
use std::thread::sleep;
use tokio::runtime::{Builder, Runtime};

/// A guest that computes for so long in each slice, and never comes to its end.
struct Looping {
    turn: Turn,
    slice: Duration,
    had: u32,
}

impl Looping {
    fn of(turns: &'static Turns, line: Line, slice: Duration) -> Self {
        let turn = Turn {
            turns,
            line,
            metered: false,
            // It is known to compute for long.
            computed: HEAVY,
            place: Place::Free,
        };
        Self { turn, slice, had: 0 }
    }

    fn poll(&mut self) {
        let Self { turn, slice, had } = self;
        let polled = turn.poll(&mut Context::from_waker(Waker::noop()), |_| {
            sleep(*slice);
            note_slice();
            *had += 1;
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
    }
}

fn turns(most: usize) -> &'static Turns {
    Box::leak(Box::new(Turns::new(most)))
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// A guest that is done when it is polled; whether it was.
fn answers(turn: &mut Turn) -> bool {
    turn.poll(&mut Context::from_waker(Waker::noop()), |_| Poll::Ready(()))
        .is_ready()
}

fn free(turns: &'static Turns, line: Line) -> Turn {
    Turn {
        turns,
        line,
        metered: false,
        computed: Duration::ZERO,
        place: Place::Free,
    }
}

#[test]
fn applications_have_as_much_time_as_each_other() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for (most, slices) in [(1, (1, 1)), (2, (1, 1)), (1, (1, 3))] {
        let (turns, bad, good) = (turns(most), Line::new(), Line::new());
        let slice = |times| Duration::from_micros(300) * times;
        let mut flood: Vec<_> = (0..20)
            .map(|_| Looping::of(turns, bad, slice(slices.0)))
            .collect();
        let mut few: Vec<_> = (0..2)
            .map(|_| Looping::of(turns, good, slice(slices.1)))
            .collect();
        for _ in 0..100 {
            for guest in flood.iter_mut().chain(&mut few) {
                guest.poll();
            }
        }
        let time = |guests: &[Looping]| f64::from(guests.iter().map(|one| one.had).sum::<u32>());
        let (bad, good) = (
            time(&flood) * f64::from(slices.0),
            time(&few) * f64::from(slices.1),
        );
        assert!(
            bad / good < 1.8 && good / bad < 1.8,
            "{most} {slices:?}: {bad} {good}"
        );
        // Of one application it is the turn of each.
        assert!(flood.iter().all(|one| one.had > 0));
    }
}

#[test]
fn who_had_nothing_yet_does_not_wait_for_those_who_had_much() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (turns, bad, good) = (turns(1), Line::new(), Line::new());
    let mut flood: Vec<_> = (0..20)
        .map(|_| Looping::of(turns, bad, Duration::from_micros(300)))
        .collect();
    for round in 0..50 {
        for guest in &mut flood {
            guest.poll();
        }
        // Of the same application it would have to wait, and of another one that has its share, too.
        assert!(!answers(&mut free(turns, bad)), "{round}");
        assert!(answers(&mut free(turns, good)), "{round}");
    }
}

#[test]
fn without_slices_there_are_no_turns() {
    let (turns, line) = (turns(1), Line::new());
    for _ in 0..100 {
        assert!(answers(&mut free(turns, line)));
    }
    assert!(turns.state().lines.is_empty());
}

#[test]
fn who_is_caught_by_a_tick_in_passing_makes_nobody_wait() {
    let (turns, line) = (turns(1), Line::new());
    let mut guest = free(turns, line);
    let mut caught = || {
        let polled = guest.poll(&mut Context::from_waker(Waker::noop()), |_| {
            note_slice();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
    };
    caught();
    assert_eq!(turns.wanted.load(Ordering::Relaxed), 0);
    // One that goes on and on is counted.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) && turns.wanted.load(Ordering::Relaxed) == 0 {
        caught();
    }
    assert_eq!(turns.wanted.load(Ordering::Relaxed), 1);
}

#[test]
fn a_turn_that_is_left_lying_is_that_of_the_next() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (turns, line) = (turns(1), Line::new());
    let mut guests: Vec<_> = (0..3)
        .map(|_| Looping::of(turns, line, Duration::from_micros(100)))
        .collect();
    // All gave way and wait; the first is given the turn, and is never asked again.
    for _ in 0..2 {
        for guest in &mut guests {
            guest.poll();
        }
    }
    let before: u32 = guests[1..].iter().map(|one| one.had).sum();
    let begun = Instant::now();
    while guests[1..].iter().map(|one| one.had).sum::<u32>() < before + 4 {
        for guest in &mut guests[1..] {
            guest.poll();
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn whoever_goes_away_leaves_no_turn_behind() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for most in [1, 2] {
        let (turns, lines) = (turns(most), [Line::new(), Line::new(), Line::new()]);
        let mut random = fastrand::Rng::with_seed(7);
        let mut guests = Vec::new();
        for _ in 0..3000 {
            match random.u8(..8) {
                0 => guests.push(Looping::of(turns, lines[random.usize(..3)], Duration::ZERO)),
                1 if !guests.is_empty() => drop(guests.swap_remove(random.usize(..guests.len()))),
                _ if !guests.is_empty() => {
                    let place = random.usize(..guests.len());
                    guests[place].poll();
                }
                _ => {}
            }
        }
        drop(guests);
        let state = turns.state();
        assert_eq!((state.taken, state.sliced, state.waiting), (0, 0, 0));
        assert!(state.order.is_empty());
        assert!(state.lines.values().all(|line| line.tickets.is_empty()));
        drop(state);
        assert_eq!(turns.wanted.load(Ordering::Relaxed), 0);
    }
}
