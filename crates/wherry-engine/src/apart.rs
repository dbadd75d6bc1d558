//! Work on a thread of its own, which its caller waits for and leaves behind when it does not come back in time.
//!
//! A guest that computes or waits is ended at its deadline. A function of the embedding program that it calls is not: nothing
//! can end that, nor a call into a file system that does not answer. So a call that may reach one runs here, and who made
//! the call gets its thread back in time, whatever becomes of it. Threads are kept for the next call for a while. Start reading at [`run`].

use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::registry::Registry;
use crate::watch::Watch;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a guest has to end by itself after it was told to.
pub const GRACE: Duration = Duration::from_millis(100);

/// How often the caller asks whether it should stop waiting.
const TICK: Duration = Duration::from_millis(20);

/// How long a thread waits for its next work.
const IDLE: Duration = Duration::from_secs(5);

/// What the embedding program's functions may use of a thread's stack, on top of the guest's share.
const HOST_STACK: usize = 8 << 20;

/// The largest share of a guest for which threads are kept.
const KEPT_STACK: usize = 8 << 20;

/// How many calls were left behind in this process that the embedding program's functions or the kernel still hold.
#[must_use]
pub fn left_behind() -> usize {
    threads().left.load(Ordering::Relaxed)
}

/// Where a piece of work stands.
enum Progress<R> {
    Waiting,
    Running,
    Done(R),
    Left,
}

/// One piece of work, as its caller and its thread see it.
struct Errand<R> {
    progress: Mutex<Progress<R>>,
    done: Condvar,
    threads: &'static Threads,
}

/// Does `work` on another thread, with room for `stack` bytes of a guest's, and waits for it as long as `watch` allows.
///
/// Then the guest is cancelled, and who does not come back within [`GRACE`] is left behind: `left` is called at once, on this
/// thread, and `late` on the other one with what came in the end.
///
/// # Errors
/// What [`Watch::check`] answers; [`Kind::Internal`] when there is no thread to be had.
pub fn run<R: Send + 'static>(
    watch: &Watch,
    stack: usize,
    work: impl FnOnce() -> R + Send + 'static,
    left: impl FnOnce(),
    late: impl FnOnce(R) + Send + 'static,
) -> Result<R> {
    let errand = Arc::new(Errand {
        progress: Mutex::new(Progress::Waiting),
        done: Condvar::new(),
        threads: threads(),
    });
    let theirs = Arc::clone(&errand);
    hand_over(
        stack,
        Box::new(move |free| {
            match &mut *lock(&theirs.progress) {
                progress @ Progress::Waiting => *progress = Progress::Running,
                // It took so long to start that nobody waits any more.
                _ => return,
            }
            let result = work();
            let mut progress = lock(&theirs.progress);
            if matches!(*progress, Progress::Left) {
                drop(progress);
                late(result);
                theirs.threads.left.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            *progress = Progress::Done(result);
            // Free before the caller is, so that its next call finds this thread.
            free();
            drop(progress);
            theirs.done.notify_one();
        }),
    )?;
    errand.wait(watch, left)
}

impl<R> Errand<R> {
    fn wait(&self, watch: &Watch, left: impl FnOnce()) -> Result<R> {
        let mut progress = lock(&self.progress);
        let mut stop: Option<(Error, Instant)> = None;
        loop {
            if let Progress::Done(_) = *progress {
                return match (std::mem::replace(&mut *progress, Progress::Left), stop) {
                    // What the guest ended in says the same, unless somebody else wanted it to end.
                    (Progress::Done(result), None) => Ok(result),
                    (Progress::Done(result), Some((error, _))) if is_its_own(&error) => Ok(result),
                    (_, Some((error, _))) => Err(error),
                    (_, None) => Err(Error::new(Kind::Internal, "work was done twice")),
                };
            }
            if let Some((error, until)) = stop.take_if(|(_, until)| Instant::now() >= *until) {
                let _ = until;
                if let Progress::Running = std::mem::replace(&mut *progress, Progress::Left) {
                    self.threads.left.fetch_add(1, Ordering::Relaxed);
                }
                left();
                return Err(error);
            }
            if stop.is_none() {
                // Asked without the lock: the answer may take its time.
                drop(progress);
                let answer = watch.check();
                progress = lock(&self.progress);
                if let Err(error) = answer {
                    watch.cancel.cancel();
                    // Of its time limit the guest knew before.
                    let more = if error.kind() == Kind::Time {
                        Duration::ZERO
                    } else {
                        GRACE
                    };
                    stop = Some((error, Instant::now() + more));
                }
                if stop.is_some() || matches!(*progress, Progress::Done(_)) {
                    continue;
                }
            }
            let rest = match (&stop, watch.deadline) {
                (Some((_, until)), _) => until.saturating_duration_since(Instant::now()),
                (None, Some((deadline, _))) => deadline.saturating_duration_since(Instant::now()),
                (None, None) => TICK,
            };
            let waited = self.done.wait_timeout(progress, rest.min(TICK));
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whether the guest's own end is as good an answer as the error for which it was told to end.
fn is_its_own(error: &Error) -> bool {
    error.kind() == Kind::Time || (error.kind() == Kind::Interrupted && !error.message().is_empty())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A piece of work, which is told how to say that its thread is free for the next.
type Job = Box<dyn FnOnce(&dyn Fn()) + Send>;

/// Where a thread gets its next work.
#[derive(Default)]
struct Seat {
    job: Mutex<Option<Job>>,
    filled: Condvar,
}

/// The threads of a process.
#[derive(Default)]
struct Threads {
    /// Those that wait for work.
    idle: Mutex<Vec<Arc<Seat>>>,
    /// How many were left behind and have not come back.
    left: AtomicUsize,
}

/// Those of this process. After a fork there are none: threads stay with the parent.
fn threads() -> &'static Threads {
    static THREADS: Registry<u32, Threads> = Registry::new();
    let threads = THREADS.get_or_try_insert(fork::generation(), || {
        Ok::<_, std::convert::Infallible>(Threads::default())
    });
    match threads {
        Ok(threads) => threads,
        Err(never) => match never {},
    }
}

fn hand_over(stack: usize, job: Job) -> Result<()> {
    let kept = stack <= KEPT_STACK;
    if kept && let Some(seat) = lock(&threads().idle).pop() {
        *lock(&seat.job) = Some(job);
        seat.filled.notify_one();
        return Ok(());
    }
    let spawned = std::thread::Builder::new()
        .name("wherry-apart".into())
        .stack_size(stack.max(KEPT_STACK) + HOST_STACK)
        .spawn(move || {
            if kept {
                serve(&Arc::default(), job);
            } else {
                job(&|| ());
            }
        });
    spawned.map(drop).map_err(|error| {
        Error::new(Kind::Internal, format!("no thread for the guest: {error}"))
            .with_hint("the process may be out of threads: see `ulimit -u`")
    })
}

/// Does one piece of work after the other, until none comes for a while.
fn serve(seat: &Arc<Seat>, first: Job) {
    let mut job = Some(first);
    while let Some(work) = job {
        let freed = Cell::new(false);
        let free = || {
            freed.set(true);
            lock(&threads().idle).push(Arc::clone(seat));
        };
        work(&free);
        if !freed.get() {
            free();
        }
        job = next(seat);
    }
}

fn next(seat: &Arc<Seat>) -> Option<Job> {
    let mut job = lock(&seat.job);
    loop {
        if let Some(job) = job.take() {
            return Some(job);
        }
        let (guard, timeout) = seat
            .filled
            .wait_timeout(job, IDLE)
            .unwrap_or_else(PoisonError::into_inner);
        job = guard;
        if timeout.timed_out() && job.is_none() {
            drop(job);
            let mut seats = lock(&threads().idle);
            if let Some(place) = seats.iter().position(|other| Arc::ptr_eq(other, seat)) {
                seats.swap_remove(place);
                return None;
            }
            drop(seats);
            // It was taken off the list just now: work is on its way.
            job = lock(&seat.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    fn watch(time: Duration) -> Watch {
        Watch {
            deadline: Some((Instant::now() + time, time)),
            ..Watch::default()
        }
    }

    #[test]
    fn work_in_time_gives_its_result_on_a_kept_thread() {
        for turn in 0..1000 {
            let done = run(&watch(Duration::from_mins(1)), 0, move || turn, || (), drop);
            assert_eq!(done.ok(), Some(turn));
        }
    }

    #[test]
    fn who_does_not_come_back_is_left_behind_and_counted_until_then() {
        let (sender, receiver) = channel::<()>();
        let (late, came) = channel();
        let mut told = false;
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let watch = Watch {
            question: Some(Arc::new(move || {
                if begun.load(Ordering::Relaxed) {
                    return Err(Error::new(Kind::Time, ""));
                }
                Ok(())
            })),
            ..Watch::default()
        };
        let before = left_behind();
        let result = run(
            &watch,
            0,
            move || {
                begins.store(true, Ordering::Relaxed);
                receiver.recv().is_ok()
            },
            || told = true,
            move |result| {
                let _ = late.send(result);
            },
        );
        assert_eq!(result.err().map(|error| error.kind()), Some(Kind::Time));
        assert!(told);
        assert_eq!(left_behind(), before + 1);
        sender.send(()).expect("the thread waits");
        assert_eq!(came.recv().ok(), Some(true));
        while left_behind() > before {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_a_question_answers_ends_the_waiting() {
        let watch = Watch {
            question: Some(Arc::new(|| Err(Error::new(Kind::Interrupted, "")))),
            ..Watch::default()
        };
        let (_sender, receiver) = channel::<()>();
        let result = run(
            &watch,
            0,
            move || receiver.recv_timeout(Duration::from_secs(5)).is_ok(),
            || (),
            drop,
        );
        assert_eq!(result.err().map(|error| error.kind()), Some(Kind::Interrupted));
    }
}
