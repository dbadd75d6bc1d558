//! The one thread that advances the epoch of engines while guests run, so that they can be asked to stop.
//!
//! It ends when no guest has run for a while, and is started again by the next one, in a forked process too. There is no
//! lock in it: a thread that holds one while another forks would leave it held for ever in the child.

use crate::{fork, mode};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// How often a running guest is asked whether it should stop.
pub const TICK: Duration = Duration::from_millis(10);

/// How many idle ticks pass before the thread ends.
const IDLE_TICKS: u32 = 100;

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

fn run() {
    let generation = fork::generation();
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        mode::increment_epochs();
        idle = if RUNNING.load(Ordering::SeqCst) == 0 {
            idle + 1
        } else {
            0
        };
        if idle < IDLE_TICKS {
            continue;
        }
        THREAD.store(0, Ordering::SeqCst);
        // A guest that started between the count and the store saw a thread, and must not be left without one.
        if RUNNING.load(Ordering::SeqCst) == 0 || THREAD.swap(generation, Ordering::SeqCst) != 0 {
            return;
        }
        idle = 0;
    }
}
