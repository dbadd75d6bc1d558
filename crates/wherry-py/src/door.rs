//! The one door through which everything goes that compiles, runs a guest or waits.
//!
//! It releases the GIL, hears Ctrl-C, turns errors into exceptions, and a panic into `InternalError`.

use crate::errors::{carry, raise};
use pyo3::prelude::*;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::watch::Question;

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
