//! The one thread that advances the epoch of engines while guests run, so that they can be asked to stop.
//!
//! It ends when no guest has run for a while, and is started again by the next one, in a forked process too. There is no
//! lock in it: a thread that holds one while another forks would leave it held for ever in the child.

use crate::{fork, mode};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// How often a running guest is asked whether it should stop.
pub const TICK: Duration = Duration::from_millis(10);

/// How often it is while others wait for the processor: see [`hurry`].
pub const SLICE: Duration = Duration::from_millis(2);

/// How long it stays so.
const HURRIED: Duration = Duration::from_millis(100);

/// How long nothing runs before the thread ends.
const IDLE: Duration = Duration::from_secs(1);

/// Others wait for the processor.
static HURRY: AtomicBool = AtomicBool::new(false);

/// How many guests run that the epoch must reach.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The generation of the process that the thread runs in; 0 where there is none.
static THREAD: AtomicU32 = AtomicU32::new(0);

/// Held while a guest runs that the epoch must reach.
pub struct Ticking(());

impl Ticking {
    /// Counts a running guest, and starts the thread where there is none.
    #[must_use]
    pub fn start() -> Self {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        if THREAD.load(Ordering::SeqCst) != fork::generation() {
            start();
        }
        Self(())
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cold]
fn start() {
    let generation = fork::generation();
    if THREAD.swap(generation, Ordering::SeqCst) == generation {
        return;
    }
    let thread = std::thread::Builder::new()
        .name("wherry-ticker".into())
        .spawn(run);
    if thread.is_err() {
        // Without a thread nothing is interrupted; the next call tries again.
        THREAD.store(0, Ordering::SeqCst);
    }
}

/// Has running guests be asked at each [`SLICE`] for a while, as others wait for the processor.
pub fn hurry() {
    if !HURRY.load(Ordering::Relaxed) {
        HURRY.store(true, Ordering::Relaxed);
    }
}

fn run() {
    let generation = fork::generation();
    let (mut idle, mut hurried) = (Duration::ZERO, Duration::ZERO);
    loop {
        if HURRY.swap(false, Ordering::Relaxed) {
            hurried = HURRIED;
        }
        let tick = if hurried.is_zero() { TICK } else { SLICE };
        hurried = hurried.saturating_sub(tick);
        std::thread::sleep(tick);
        mode::increment_epochs();
        idle = if RUNNING.load(Ordering::SeqCst) == 0 {
            idle + tick
        } else {
            Duration::ZERO
        };
        if idle < IDLE {
            continue;
        }
        THREAD.store(0, Ordering::SeqCst);
        // A guest that started between the count and the store saw a thread, and must not be left without one.
        if RUNNING.load(Ordering::SeqCst) == 0 || THREAD.swap(generation, Ordering::SeqCst) != 0 {
            return;
        }
        idle = Duration::ZERO;
    }
}
