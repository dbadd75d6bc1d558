//! One sandbox, as Python holds it.
//!
//! [`Cell`] holds the engine's instance and lets one call at a time through; what `instance.add` is, is in `function.rs`. Names,
//! interfaces and resources as people see them are put together in `wherry/runtime/instance.py`.

use crate::door::{Patience, beside, guarded, question};
use crate::errors::{carry, raise};
use crate::function::Function;
use crate::port::Python3;
use crate::streams::Stop;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Export;
use wherry_engine::hints;
use wherry_engine::hosting::Host;
use wherry_engine::instance::{Instance as EngineInstance, Pause};
use wherry_engine::linear_memory;
use wherry_engine::monitor::{Entry, Monitor, Verdict};
use wherry_engine::values::{Incoming, ResourceAny, Taken};
use wherry_engine::watch::Cancel;

/// An instance that lets one call at a time through.
pub struct Cell {
    instance: Mutex<Option<EngineInstance<Python3>>>,
    /// Resources that were released while a call ran.
    released: Mutex<Vec<ResourceAny>>,
    cancel: Cancel,
    /// What the guest was refused; it outlives the sandbox.
    monitor: Arc<Monitor>,
    /// How long a call is waited for that the host may hold up.
    patience: Option<Patience>,
    /// A call did not come back in time, and holds the instance until it does.
    left: AtomicBool,
    /// The thread that runs a call, as `this_thread` numbers them; 0 where there is none.
    holder: AtomicU64,
    /// How a guest rests that runs for a reader of a stream, and not in a call.
    driven: Mutex<Option<Arc<Pause>>>,
    /// How many calls wait for that.
    callers: AtomicUsize,
}

/// How long a use of an instance waits for another.
#[derive(Clone)]
pub enum Turn {
    /// Not at all.
    Now,
    /// Until it is free.
    Waiting,
    /// Not at all; others may interrupt it by this.
    Reading(Arc<Pause>),
}

/// An instance is used by this thread: what it runs meanwhile finds that out.
struct Holding<'a>(&'a Cell);

impl<'a> Holding<'a> {
    fn new(cell: &'a Cell) -> Self {
        cell.holder.store(this_thread(), Ordering::Relaxed);
        Self(cell)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        *self.0.driven() = None;
        self.0.holder.store(0, Ordering::Relaxed);
    }
}

/// A call that waits for a reader of a stream, counted for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number for each thread, from 1.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// The longest and shortest time between two looks at whether an instance is free.
const LOOKS: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

/// How many instances are alive in this process.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Cell {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cell {
    /// How many instances are alive in this process.
    pub fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }

    pub fn new(instance: EngineInstance<Python3>, patience: Option<Patience>) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        let guest = instance.sandbox.guest();
        let (cancel, monitor) = (guest.watch.cancel.clone(), Arc::clone(&guest.monitor));
        Self {
            instance: Mutex::new(Some(instance)),
            released: Mutex::default(),
            cancel,
            monitor,
            patience,
            left: AtomicBool::new(false),
            holder: AtomicU64::new(0),
            driven: Mutex::default(),
            callers: AtomicUsize::new(0),
        }
    }

    /// Waits for the next batch of a stream or future, and runs the guest meanwhile, unless another thread does. Nothing is its
    /// end.
    pub fn read(
        self: &Arc<Self>,
        py: Python<'_>,
        incoming: &Arc<Incoming<Python3>>,
        stop: &Stop,
    ) -> Result<Option<Py<PyAny>>> {
        let question = question(py).map_err(carry)?;
        loop {
            match incoming.take() {
                Taken::Batch(batch) => return Ok(Some(batch)),
                Taken::Failed(error) => return Err(error),
                Taken::Over => return Ok(None),
                Taken::Nothing => {}
            }
            if stop.is_asked() {
                return Err(Error::new(Kind::Interrupted, "the wait for a stream was ended"));
            }
            let pause = stop.begin();
            let busy = self.callers.load(Ordering::Relaxed) > 0 || {
                let (theirs, rest) = (Arc::clone(incoming), Arc::clone(&pause));
                let driven = self.call(py, Turn::Reading(pause), move |instance| {
                    instance.read(&theirs, &rest)
                });
                match driven {
                    Err(error) if error.kind() == Kind::Busy => true,
                    driven => {
                        driven.or_else(|error| incoming.fail(error))?;
                        false
                    }
                }
            };
            if busy {
                py.detach(|| incoming.wait(LOOKS.1));
                question.as_ref().map_or(Ok(()), |question| question())?;
            }
        }
    }

    /// Runs the guest without the GIL; where the host could hold it up, on a thread of its own.
    pub fn call<R: Send + 'static>(
        self: &Arc<Self>,
        py: Python<'_>,
        turn: Turn,
        work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        // A host function that calls back waits for nobody: the call is its own.
        let own = self.holder.load(Ordering::Relaxed) == this_thread();
        let turn = match turn {
            Turn::Waiting if own => Turn::Now,
            turn => turn,
        };
        let Some(patience) = self.patience else {
            let question = question(py).map_err(carry)?;
            let run = || {
                self.running(&turn, |instance| {
                    instance.sandbox.watch().question = question;
                    work(instance)
                })
            };
            return py.detach(|| guarded(run));
        };
        let (theirs, late) = (Arc::clone(self), Arc::clone(self));
        let run = move || {
            theirs.running(&turn, |instance| {
                instance.sandbox.watch().question = None;
                work(instance)
            })
        };
        let left = || self.left.store(true, Ordering::Release);
        let late = move || {
            let _ = late.close();
        };
        beside(py, patience, self.cancel.clone(), run, left, late)
    }

    /// Why the instance cannot be used at once.
    fn taken(&self, busy: &str, hint: &str) -> Error {
        if self.left.load(Ordering::Acquire) {
            let message =
                "the instance was left behind in a call that the host did not come back from in time";
            return Error::new(Kind::Closed, message)
                .with_hint("make a new one from the same component: `component.instantiate()`");
        }
        Error::new(Kind::Busy, busy).with_hint(hint)
    }

    /// Does something with the instance, unless a call is running in it.
    pub fn with<R>(&self, work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R>) -> Result<R> {
        self.held(&Turn::Now, work)
    }

    /// Does something with the instance, when it is free.
    fn held<R>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R>,
    ) -> Result<R> {
        let mut slot = self.taken_up(turn)?;
        let _holding = Holding::new(self);
        let instance = slot.as_mut().ok_or_else(|| {
            Error::new(Kind::Closed, "the instance was closed")
                .with_hint("make a new one from the same component: `component.instantiate()`")
        })?;
        self.drain(instance);
        if let Turn::Reading(pause) = turn {
            *self.driven() = Some(Arc::clone(pause));
        }
        work(instance)
    }

    fn driven(&self) -> MutexGuard<'_, Option<Arc<Pause>>> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, when it is free: who runs it for a reader of a stream lets a call go first.
    fn taken_up(&self, turn: &Turn) -> Result<MutexGuard<'_, Option<EngineInstance<Python3>>>> {
        let mut pause = LOOKS.0;
        let mut waiting = None;
        loop {
            match self.instance.try_lock() {
                Ok(slot) => return Ok(slot),
                Err(TryLockError::Poisoned(slot)) => return Ok(slot.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = self.holder.load(Ordering::Relaxed);
            let driven = self.driven().clone();
            let own = holder == this_thread();
            let waits = match turn {
                Turn::Waiting => true,
                // Who holds it has not said yet what for, or has just done it.
                Turn::Now => driven.is_some() || holder == 0,
                Turn::Reading(_) => false,
            };
            if own || !waits || self.left.load(Ordering::Acquire) {
                let hint = if own {
                    "what a host function needs of it, it has to ask before or after the call"
                } else {
                    "give each thread an instance of its own; they share the compiled component"
                };
                return Err(self.taken("the instance is running a call already", hint));
            }
            if let Some(driven) = driven {
                waiting.get_or_insert_with(|| Waiting::new(&self.callers));
                driven.ask();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOKS.1);
        }
    }

    /// The same for what runs the guest: where that ends it, the error says what it was refused.
    fn running<R>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R>,
    ) -> Result<R> {
        self.held(turn, work).map_err(|error| {
            if error.kind().is_guest_s() {
                return error.with_more_hints(&hints::in_python(&self.monitor.entries()));
            }
            error
        })
    }

    fn drain(&self, instance: &mut EngineInstance<Python3>) {
        let released = std::mem::take(&mut *self.released.lock().unwrap_or_else(PoisonError::into_inner));
        for resource in released {
            // A destructor that traps leaves a dead instance, which the next call reports.
            let _ = instance.drop_resource(resource);
        }
    }

    /// Ends a resource now, or after the call that is running.
    pub fn release(&self, resource: ResourceAny) -> Result<()> {
        if let Ok(mut slot) = self.instance.try_lock() {
            let _holding = Holding::new(self);
            return slot
                .as_mut()
                .map_or(Ok(()), |instance| instance.drop_resource(resource));
        }
        self.released
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(resource);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let slot = self.taken_up(&Turn::Now);
        // What was left behind is closed when it comes back.
        if slot.is_err() && self.left.load(Ordering::Acquire) {
            return Ok(());
        }
        let busy = || {
            self.taken(
                "the instance is running a call and cannot be closed",
                "wait for the call, or cancel it",
            )
        };
        let mut slot = slot.map_err(|_| busy())?;
        // What feeds its streams is closed with it, which may run code that comes back here.
        let _holding = Holding::new(self);
        drop(slot.take());
        Ok(())
    }
}

/// One refusal as Python sees it: subject, operation, target, why, flag, value, count.
type Denial = (
    &'static str,
    &'static str,
    String,
    String,
    Option<&'static str>,
    Option<String>,
    u64,
);

/// One fresh sandbox.
#[pyclass(frozen, module = "wherry._native")]
pub struct Instance {
    pub cell: Arc<Cell>,
    pub exports: Arc<Vec<Export>>,
    /// Only so that the garbage collector sees the host functions: they may refer to the instance.
    pub host: Arc<Host<Python3>>,
}

#[pymethods]
impl Instance {
    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.host
            .functions
            .iter()
            .try_for_each(|function| visit.call(function))
    }

    fn __clear__(&self) {
        // A running call keeps the instance alive by itself, so this one is at rest.
        let _ = self.cell.close();
    }

    /// Whether functions can be called: it was not closed, and nothing has ended it.
    fn alive(&self, py: Python<'_>) -> bool {
        py.detach(|| {
            self.cell
                .held(&Turn::Waiting, |instance| instance.sandbox.usable())
        })
        .is_ok()
    }

    /// The function at a place in the list of exports. It raises `error` for the error case of a result, and with `waits` it
    /// waits for calls of other threads. Where the instance has ended, `renew` gives the function that is called instead,
    /// nothing, or an exception.
    #[pyo3(signature = (index, error = None, *, waits = false, renew = None))]
    fn function(
        slf: &Bound<'_, Self>,
        index: usize,
        error: Option<Bound<'_, PyType>>,
        waits: bool,
        renew: Option<Py<PyAny>>,
    ) -> PyResult<Function> {
        let (py, this) = (slf.py(), slf.get());
        let missing = || raise(py, Error::new(Kind::NoExport, "there is no such export"));
        let export = this.exports.get(index).ok_or_else(missing)?.clone();
        let turn = if waits { Turn::Waiting } else { Turn::Now };
        let found = || this.cell.held(&turn, |instance| instance.function(&export));
        let inner = py.detach(found).map_err(|error| raise(py, error))?;
        Ok(Function {
            owner: Some(slf.clone().unbind()),
            cell: Arc::clone(&this.cell),
            inner: Arc::new(inner),
            export,
            error: error.map(Bound::unbind),
            waits,
            renew,
        })
    }

    /// Has what comes out of the guest for its resources, each by its interface and name, made by these functions; each is
    /// given the `Resource`.
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
    fn wrap_resources(&self, py: Python<'_>, wrap: HashMap<(Option<String>, String), Py<PyAny>>) {
        self.host.context.home.wrap(py, &wrap);
    }

    /// Runs a command from the function at this place, and returns its exit code as far as the function tells: a guest that
    /// calls `exit` raises `GuestExit`.
    fn run(slf: &Bound<'_, Self>, index: usize) -> PyResult<u8> {
        let py = slf.py();
        let function = Self::function(slf, index, None, false, None)?;
        let outcome = function.call(py, PyTuple::empty(py))?;
        Ok(outcome.failed.into())
    }

    /// Ends the sandbox and gives back all that it holds.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        crate::door::through(py, || self.cell.close())
    }

    /// Ends the running call from another thread.
    fn cancel(&self) {
        self.cell.cancel.cancel();
    }

    /// Bytes of linear memory and tables in use.
    fn memory(&self, py: Python<'_>) -> PyResult<usize> {
        self.cell
            .with(|instance| Ok(instance.sandbox.guest().meter.used()))
            .map_err(|error| raise(py, error))
    }

    /// Bytes of a core module's memory.
    fn read_memory<'py>(&self, py: Python<'py>, address: u64, length: u64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self
            .cell
            .with(|instance| linear_memory::read(&mut instance.sandbox, address, length));
        Ok(PyBytes::new(py, &bytes.map_err(|error| raise(py, error))?))
    }

    /// Puts bytes into a core module's memory.
    fn write_memory(&self, py: Python<'_>, address: u64, data: &[u8]) -> PyResult<()> {
        let written = self
            .cell
            .with(|instance| linear_memory::write(&mut instance.sandbox, address, data));
        written.map_err(|error| raise(py, error))
    }

    /// Fuel that is left, where fuel was given.
    fn fuel(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.cell
            .with(|instance| Ok(instance.sandbox.fuel()))
            .map_err(|error| raise(py, error))
    }

    /// Fuel that was used, where fuel was given.
    fn burnt(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.cell
            .with(|instance| Ok(instance.sandbox.burnt()))
            .map_err(|error| raise(py, error))
    }

    /// What the guest was refused: subject, operation, target, why, flag and value that would allow it, and how often.
    fn denials(&self) -> Vec<Denial> {
        let entries = self.cell.monitor.entries();
        let denial = |entry: Entry| {
            let Verdict::Refused { why, lift } = entry.verdict else {
                return None;
            };
            let (flag, value) = lift.map(|grant| (grant.flag, grant.value)).unzip();
            let access = entry.access;
            let subject = access.subject.name();
            Some((
                subject,
                access.operation,
                access.target,
                why,
                flag,
                value,
                entry.count,
            ))
        };
        entries.into_iter().filter_map(denial).collect()
    }

    /// The hint for a guest that failed: what it was refused, and what would allow it.
    fn hint(&self) -> Option<String> {
        let lines = hints::in_python(&self.cell.monitor.entries());
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// How many host values the guest holds handles to.
    fn held(&self, py: Python<'_>) -> PyResult<usize> {
        self.cell
            .with(|instance| Ok(instance.context().held()))
            .map_err(|error| raise(py, error))
    }
}
