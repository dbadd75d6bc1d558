//! The one door through which everything goes that compiles, runs a guest or waits.
//!
//! It releases the GIL, hears Ctrl-C, turns errors into exceptions, and a panic into `InternalError`.

use crate::errors::{carry, raise};
use pyo3::prelude::*;
use pyo3::types::PyCFunction;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use wherry_engine::apart::{self, GRACE};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::limits::Limits;
use wherry_engine::policy::Policy;
use wherry_engine::watch::{Cancel, Question, Watch};

/// Does `work` without the GIL.
pub fn through<R: Send>(py: Python<'_>, work: impl FnOnce() -> Result<R> + Send) -> PyResult<R> {
    py.detach(|| guarded(work)).map_err(|error| raise(py, error))
}

/// Does `work` and turns a panic into an error: it never ends the user's process.
pub fn guarded<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Error::new(
            Kind::Internal,
            format!("a fault of Wherry's own: {}", said(panic.as_ref())),
        )
        .with_hint("please report it, with what you called and the file if you can share it"))
    })
}

/// The limits of a call that a function of the embedding program, or the kernel with a file, may hold up.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long the caller waits; without a limit until the call is cancelled.
    timeout: Option<Duration>,
    /// Bytes of stack for the guest.
    stack: usize,
    /// It runs functions of the embedding program, which see the caller's context variables.
    calls: bool,
}

impl Patience {
    /// For a guest with these grants; `calls` says whether it may call functions of the embedding program, or read what that
    /// gives as a stream. `None` where nothing can hold a call up. Without a time limit functions stay on the thread of who
    /// makes the call.
    pub fn of(policy: &Policy, limits: &Limits, calls: bool) -> Option<Self> {
        let apart = if calls {
            limits.timeout.is_some()
        } else {
            policy.reaches_files()
        };
        apart.then_some(Self {
            timeout: limits.timeout,
            stack: limits.stack,
            calls,
        })
    }
}

/// Does `work` on a thread of its own, in the caller's context variables, and waits for it no longer than its time limit:
/// see [`apart`]. `left` is told when it was not waited for any longer, `late` when it came back after that.
pub fn beside<R: Send + 'static>(
    py: Python<'_>,
    patience: Patience,
    cancel: Cancel,
    work: impl FnOnce() -> Result<R> + Send + 'static,
    left: impl FnOnce() + Send,
    late: impl FnOnce() + Send + 'static,
) -> Result<R> {
    let copied = || Ok(py.import("contextvars")?.call_method0("copy_context")?.unbind());
    let context = patience.calls.then(copied).transpose().map_err(carry)?;
    let watch = Watch {
        // The guest ends itself in time, and says more about it; only what the host does is not ended.
        deadline: patience
            .timeout
            .map(|timeout| (Instant::now() + timeout + GRACE, timeout)),
        cancel,
        question: question(py).map_err(carry)?,
        ..Watch::default()
    };
    let work = move || match context {
        Some(context) => within(context, move || guarded(work)),
        None => guarded(work),
    };
    let late = move |result: Result<R>| {
        // Values of Python go while it is there; when it ends before, they go with it.
        if Python::try_attach(|_| drop(result)).is_some() {
            late();
        }
    };
    py.detach(|| apart::run(&watch, patience.stack, work, left, late))
        .and_then(|result| result)
}

/// Does `work` without the GIL in a context of Python's.
fn within<R: Send + 'static>(
    context: Py<PyAny>,
    work: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<R> {
    let attached = Python::try_attach(|py| {
        let slot = Arc::new(Mutex::new((Some(work), None)));
        let inner = Arc::clone(&slot);
        let call = PyCFunction::new_closure(py, None, None, move |arguments, _| {
            let work = lock(&inner).0.take();
            if let Some(work) = work {
                let result = arguments.py().detach(work);
                lock(&inner).1 = Some(result);
            }
        });
        let called = call.and_then(|call| context.bind(py).call_method1("run", (call,)));
        drop(context);
        called.map_err(carry)?;
        let result = lock(&slot).1.take();
        result.unwrap_or_else(|| Err(Error::new(Kind::Internal, "a call that never ran")))
    });
    attached.unwrap_or_else(|| Err(Error::new(Kind::Closed, "Python is ending")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many calls were left behind that host functions still hold.
#[pyfunction]
pub fn left_behind() -> usize {
    apart::left_behind()
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// What asks whether Ctrl-C was pressed, for calls on Python's main thread; other threads are never told by Python.
pub fn question(py: Python<'_>) -> PyResult<Option<Question>> {
    static QUESTION: OnceLock<Question> = OnceLock::new();
    if !on_main_thread(py)? {
        return Ok(None);
    }
    let ask = || Arc::new(|| Python::attach(|py| py.check_signals().map_err(carry))) as Question;
    Ok(Some(Arc::clone(QUESTION.get_or_init(ask))))
}

/// Whether this is the thread on which Python runs its signal handlers.
pub fn on_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        static MAIN: Cell<Option<bool>> = const { Cell::new(None) };
    }
    if let Some(known) = MAIN.get() {
        return Ok(known);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let known = main.eq(threading.call_method0("get_ident")?)?;
    MAIN.set(Some(known));
    Ok(known)
}
