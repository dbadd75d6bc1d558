//! Turns of guests that compute, so that those of one application never wait for all of another's.
//!
//! A guest gives way when its slice is over, at each tick of the engine's clock, or sooner where its fuel is counted. That leaves
//! time for others, and yet a flood of guests would be in front of all others in the queue of the runtime. So while guests are
//! there that had a slice and want more, each poll of a guest is a turn: as many have one at once as there are processors, the
//! others wait here, and the next one is of the application that had the least time so far, and the one of those which waited
//! longest. An application that had nothing for a while begins where the others are: it has neither saved up time nor lost any.
//! Slices are shorter meanwhile ([`hurry`]): a few dozen connections that each wait for one could not ask for more than
//! that many answers in the time of a slice, however little each takes.
//!
//! Between two turns the runtime looks for what else there is (a turn that was given begins with [`yield_now`]), so that
//! a request that comes meanwhile is read, and has its turn before those of an application that had more. It waits for one
//! slice at most. While nobody computes for a whole slice there are no turns, and all that this costs is a load of a number.
//!
//! Start at [`Turn::poll`].

use crate::running::{begin_slice, in_slice, note_slice};
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use wherry_engine::limits::Limits;
use wherry_engine::ticker::{SLICE, hurry};

#[cfg(test)]
mod tests;

/// How long guests run on one thread, one after the other, before the runtime has to look for what else there is.
const UNLOOKED: Duration = Duration::from_millis(2);

/// How long a guest computes before it counts as one that wants more than a slice: others are caught by a tick in passing.
const HEAVY: Duration = SLICE.checked_div(2).unwrap();

/// How long there are turns after the last slice of a guest that wanted more.
const PRESSED: Duration = Duration::from_millis(50);

/// How long a turn may be left lying: the connection of its guest has other things to do first.
const LYING: Duration = Duration::from_millis(50);

/// The turns of all guests in this process, which share its processors.
static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(available_parallelism().map_or(1, usize::from)));

thread_local! {
    /// How long guests ran on this thread since the runtime looked for what else there is, as far as it was measured.
    static UNSEEN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Whose turns they are: an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line(u64);

impl Line {
    /// That of one more application.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Who has turns, and who waits for one.
struct Turns {
    most: usize,
    /// How many had a slice and want more, wait, or have a turn; while there are none there are no turns.
    wanted: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many have a turn.
    taken: usize,
    /// How many gave way and were not asked since.
    sliced: usize,
    /// When a guest gave way last.
    pressed: Option<Instant>,
    waiting: usize,
    /// Where applications begin that had nothing for a while.
    now: Duration,
    lines: HashMap<Line, Waiting>,
    /// The lines in which somebody waits, by the time that they had.
    order: BTreeSet<(Duration, Line)>,
    /// Turns that were given and not begun, the oldest first.
    given: VecDeque<(Instant, Arc<Ticket>)>,
    /// Somebody looks after those that are left lying.
    watched: bool,
}

/// One line.
#[derive(Default)]
struct Waiting {
    had: Duration,
    /// How many of it have a turn.
    taken: u32,
    tickets: VecDeque<Arc<Ticket>>,
}

impl Waiting {
    /// How much time it had, with all of the slices that it has just now.
    fn counted(&self) -> Duration {
        self.had.saturating_add(SLICE * self.taken)
    }

    /// Has a line that had nothing for a while begin where the others are.
    fn catch_up(&mut self, now: Duration) {
        if self.tickets.is_empty() && self.taken == 0 {
            self.had = self.had.max(now);
        }
    }
}

/// One that waits.
struct Ticket {
    line: Line,
    waker: Mutex<Waker>,
    /// What became of it; written while the state is locked.
    stage: AtomicUsize,
}

const WAITS: usize = 0;
const GIVEN: usize = 1;
const BEGUN: usize = 2;
/// Its turn was left lying too long.
const LOST: usize = 3;

/// The turns of one guest.
pub struct Turn {
    turns: &'static Turns,
    line: Line,
    /// Its fuel is counted.
    metered: bool,
    /// How long it computed without waiting for anything.
    computed: Duration,
    place: Place,
}

enum Place {
    /// It needs none, as far as is known.
    Free,
    /// It gave way.
    Sliced,
    Waits(Arc<Ticket>),
    /// Its turn begins when the runtime has looked for what else there is.
    Begins(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// It has one.
    Has,
}

impl Turn {
    /// Those of a guest of this application, which may use up `limits`.
    pub fn new(line: Line, limits: &Limits) -> Self {
        Self {
            turns: &TURNS,
            line,
            metered: limits.fuel.is_some(),
            computed: Duration::ZERO,
            place: Place::Free,
        }
    }

    /// Polls a guest when it is its turn; until then it is pending.
    pub fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let alone = matches!(self.place, Place::Free) && self.turns.wanted.load(Ordering::Relaxed) == 0;
        if !alone && !self.enter(context) {
            // It waits for nothing but its turn.
            note_slice();
            return Poll::Pending;
        }
        let begun = Instant::now();
        begin_slice();
        let polled = if self.metered {
            poll_metered(context, poll)
        } else {
            poll(context)
        };
        let mut sliced = polled.is_pending() && in_slice();
        if sliced || !alone {
            let ran = begun.elapsed();
            self.computed = if sliced {
                self.computed.saturating_add(ran)
            } else {
                Duration::ZERO
            };
            sliced = self.computed >= HEAVY;
            if sliced || !alone {
                self.leave(ran, sliced);
            }
        }
        polled
    }

    /// Whether the guest may run now.
    fn enter(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            match &mut self.place {
                Place::Free => {
                    let mut state = self.turns.state();
                    let seen = UNSEEN.get() < UNLOOKED;
                    if !state.is_pressed() || state.first(self.line, seen) {
                        return true;
                    }
                    self.place = state.wait(self.line, context);
                }
                Place::Sliced => {
                    UNSEEN.set(Duration::ZERO);
                    let mut state = self.turns.state();
                    state.sliced -= 1;
                    let room = state.taken < self.turns.most;
                    if state.first(self.line, room) {
                        state.take(self.line);
                        self.place = Place::Has;
                        return true;
                    }
                    self.place = state.wait(self.line, context);
                }
                Place::Waits(ticket) => match self.turns.asked(ticket, context) {
                    WAITS => return false,
                    GIVEN => self.place = Place::Begins(Box::pin(yield_now())),
                    _ => self.place = Place::Free,
                },
                Place::Begins(looking) => {
                    if looking.as_mut().poll(context).is_pending() {
                        return false;
                    }
                    UNSEEN.set(Duration::ZERO);
                    self.place = Place::Has;
                }
                Place::Has => return true,
            }
        }
    }

    /// Notes that the guest ran for so long, and whether it gave way because its slice was over.
    fn leave(&mut self, ran: Duration, sliced: bool) {
        UNSEEN.set(UNSEEN.get().saturating_add(ran));
        let mut state = self.turns.state();
        state.change(self.line, |own| own.had = own.had.saturating_add(ran));
        if matches!(self.place, Place::Has) {
            state.leave(self.line);
        }
        self.place = if sliced {
            state.sliced += 1;
            state.pressed = Some(Instant::now());
            hurry();
            Place::Sliced
        } else {
            Place::Free
        };
        state.give(self.turns.most, None);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if matches!(self.place, Place::Free) {
            return;
        }
        let mut state = self.turns.state();
        match &self.place {
            Place::Free => {}
            Place::Sliced => state.sliced -= 1,
            Place::Begins(_) | Place::Has => state.leave(self.line),
            Place::Waits(ticket) => match ticket.stage.swap(LOST, Ordering::Relaxed) {
                WAITS => state.forget(self.line, ticket),
                GIVEN => state.leave(self.line),
                _ => {}
            },
        }
        state.give(self.turns.most, None);
    }
}

/// Polls a guest whose fuel is counted, and notes the end of a slice, which the engine does not tell of: such a guest wakes
/// itself while it is polled.
fn poll_metered<T>(context: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let heard = Arc::new(Heard {
        waker: context.waker().clone(),
        woken: AtomicBool::new(false),
    });
    let polled = poll(&mut Context::from_waker(&Waker::from(Arc::clone(&heard))));
    if polled.is_pending() && heard.woken.load(Ordering::Relaxed) {
        note_slice();
    }
    polled
}

/// A waker that knows whether it was called.
struct Heard {
    waker: Waker,
    woken: AtomicBool,
}

impl Wake for Heard {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.waker.wake_by_ref();
    }
}

/// Takes turns back that are left lying, as long as somebody waits for one.
async fn watch(turns: &'static Turns) {
    loop {
        tokio::time::sleep(LYING).await;
        let mut state = turns.state();
        state.give(turns.most, None);
        if state.waiting == 0 {
            state.watched = false;
            return;
        }
    }
}

impl Turns {
    fn new(most: usize) -> Self {
        Self {
            most,
            wanted: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// What became of a ticket, for who holds it; a turn that was given begins with that.
    fn asked(&'static self, ticket: &Arc<Ticket>, context: &Context<'_>) -> usize {
        let mut state = self.state();
        state.give(self.most, Some(ticket));
        let found = ticket.stage.load(Ordering::Relaxed);
        match found {
            WAITS => {
                ticket.renew(context);
                if !std::mem::replace(&mut state.watched, true) {
                    tokio::spawn(watch(self));
                }
            }
            GIVEN => ticket.stage.store(BEGUN, Ordering::Relaxed),
            _ => {}
        }
        found
    }

    fn state(&self) -> Locked<'_> {
        Locked {
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner),
            wanted: &self.wanted,
        }
    }
}

/// The state while it is locked; what it comes to is seen by all when it no longer is.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    wanted: &'a AtomicUsize,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let wanted = self.state.taken + self.state.sliced + self.state.waiting;
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}

impl State {
    /// Whether a guest of this line comes before all that wait; `otherwise` where nobody does.
    fn first(&mut self, line: Line, otherwise: bool) -> bool {
        let Some((least, _)) = self.order.first().copied() else {
            return otherwise;
        };
        let now = self.now;
        let own = self.lines.entry(line).or_default();
        if !own.tickets.is_empty() {
            return false;
        }
        own.catch_up(now);
        own.counted() <= least
    }

    /// Has a guest of this line wait.
    fn wait(&mut self, line: Line, context: &Context<'_>) -> Place {
        let ticket = Arc::new(Ticket {
            line,
            waker: Mutex::new(context.waker().clone()),
            stage: AtomicUsize::new(WAITS),
        });
        let now = self.now;
        let own = self.lines.entry(line).or_default();
        own.catch_up(now);
        if own.tickets.is_empty() {
            self.order.insert((own.counted(), line));
        }
        own.tickets.push_back(Arc::clone(&ticket));
        self.waiting += 1;
        Place::Waits(ticket)
    }

    /// Takes one out that waits no longer.
    fn forget(&mut self, line: Line, ticket: &Arc<Ticket>) {
        let Some(own) = self.lines.get_mut(&line) else {
            return;
        };
        own.tickets.retain(|other| !Arc::ptr_eq(other, ticket));
        self.waiting -= 1;
        if own.tickets.is_empty() {
            self.order.remove(&(own.counted(), line));
        }
    }

    /// Takes a turn for a line.
    fn take(&mut self, line: Line) {
        self.taken += 1;
        self.change(line, |own| own.taken += 1);
    }

    /// Gives it back.
    fn leave(&mut self, line: Line) {
        self.taken -= 1;
        self.change(line, |own| own.taken -= 1);
    }

    /// Changes what is counted of a line.
    fn change(&mut self, line: Line, change: impl FnOnce(&mut Waiting)) {
        let now = self.now;
        if self.lines.len() > 64 {
            // Of those that begin where all begin there is nothing to know.
            self.lines
                .retain(|_, line| !line.tickets.is_empty() || line.taken > 0 || line.had > now);
        }
        let own = self.lines.entry(line).or_default();
        own.catch_up(now);
        let before = own.counted();
        change(own);
        if !own.tickets.is_empty() {
            self.order.remove(&(before, line));
            self.order.insert((own.counted(), line));
        }
    }

    /// Whether a guest wanted more than a slice a moment ago; else nobody has to wait.
    fn is_pressed(&self) -> bool {
        self.sliced > 0 || self.pressed.is_some_and(|since| since.elapsed() < PRESSED)
    }

    /// Gives turns while there are any; who asks is not woken for it.
    fn give(&mut self, most: usize, asking: Option<&Arc<Ticket>>) {
        while let Some((since, ticket)) = self.given.front() {
            let begun = ticket.stage.load(Ordering::Relaxed) != GIVEN;
            if !begun && since.elapsed() < LYING {
                break;
            }
            let lost = (!begun).then_some(ticket.line);
            if lost.is_some() {
                ticket.stage.store(LOST, Ordering::Relaxed);
            }
            self.given.pop_front();
            if let Some(line) = lost {
                self.leave(line);
            }
        }
        while (self.taken < most || !self.is_pressed())
            && let Some((_, line)) = self.order.pop_first()
        {
            let Some(own) = self.lines.get_mut(&line) else {
                continue;
            };
            let Some(ticket) = own.tickets.pop_front() else {
                continue;
            };
            if !own.tickets.is_empty() {
                self.order.insert((own.counted(), line));
            }
            self.now = self.now.max(own.had);
            self.waiting -= 1;
            self.take(line);
            ticket.stage.store(GIVEN, Ordering::Relaxed);
            if asking.is_none_or(|asking| !Arc::ptr_eq(asking, &ticket)) {
                ticket.waker().wake_by_ref();
            }
            self.given.push_back((Instant::now(), ticket));
        }
    }
}

impl Ticket {
    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the one be woken who asked last.
    fn renew(&self, context: &Context<'_>) {
        self.waker().clone_from(context.waker());
    }
}
