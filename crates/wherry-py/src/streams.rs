//! Streams and futures between Python and a guest: what a guest gives, and what Python gives it.
//!
//! How they look to people, and what may be given for them, is in `wherry/runtime/streams.py`; here is what runs the guest.

use crate::calling;
use crate::classes;
use crate::errors::{carry, raise, result_error};
use crate::instance::Cell;
use crate::port::Python3;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::instance::Pause;
use wherry_engine::values::{Feed, Incoming, Pipe};

/// A stream or future that a guest gave. Private: `wherry.Stream` and `wherry.Future` wrap it.
#[pyclass(frozen, module = "wherry._native")]
pub struct Stream {
    incoming: Arc<Incoming<Python3>>,
    /// The instance, which stays for as long as there is something to read.
    cell: Mutex<Option<Arc<Cell>>>,
}

impl Stream {
    pub fn new(incoming: Arc<Incoming<Python3>>, cell: Arc<Cell>) -> Self {
        Self {
            incoming,
            cell: Mutex::new(Some(cell)),
        }
    }

    fn cell(&self) -> Option<Arc<Cell>> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn let_go(&self) {
        let cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(cell);
    }

    /// What feeds a guest of the same instance with it, without Python in between.
    pub fn passed_on(&self, pipe: Pipe, home: &Arc<Cell>) -> Option<Box<dyn Feed<Python3>>> {
        let same = self.cell().is_some_and(|cell| Arc::ptr_eq(&cell, home));
        (same && self.incoming.pipe == pipe)
            .then(|| Box::new(Arc::clone(&self.incoming)) as Box<dyn Feed<Python3>>)
    }
}

#[pymethods]
impl Stream {
    /// What it carries: `bytes`, `elements` or `units`, or of a future `value` or `signal`.
    #[getter]
    fn pipe(&self) -> &'static str {
        name(self.incoming.pipe)
    }

    /// Whether it was closed, or has come to its end.
    #[getter]
    fn done(&self) -> bool {
        self.incoming.is_done()
    }

    /// One wait for the next batch.
    fn reading(&self) -> Reading {
        Reading {
            incoming: Arc::clone(&self.incoming),
            cell: self.cell(),
            stop: Arc::default(),
        }
    }

    /// Tells the guest that nobody reads on.
    fn close(&self) {
        self.incoming.close();
        self.let_go();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.incoming.close();
    }
}

/// What ends a wait from another thread, and leaves the guest as it is.
#[derive(Default)]
pub struct Stop {
    asked: AtomicBool,
    /// The drive that the wait is in.
    pause: Mutex<Option<Arc<Pause>>>,
}

impl Stop {
    /// A drive is about to begin.
    pub fn begin(&self) -> Arc<Pause> {
        let pause = Arc::new(Pause::default());
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&pause));
        if self.asked.load(Ordering::Acquire) {
            pause.ask();
        }
        pause
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// One wait for the next batch of a stream, for its end, or for a future.
#[pyclass(frozen, module = "wherry._native")]
pub struct Reading {
    incoming: Arc<Incoming<Python3>>,
    cell: Option<Arc<Cell>>,
    stop: Arc<Stop>,
}

#[pymethods]
impl Reading {
    /// Runs the guest until there is something: a list, a piece of bytes or the value of a future, alone in a tuple. `None` is
    /// the end.
    fn run(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        let Some(cell) = &self.cell else {
            return Ok(None);
        };
        let read = cell.read(py, &self.incoming, &self.stop);
        read.map(|value| value.map(|value| (value,)))
            .map_err(|error| raise(py, error))
    }

    /// Ends the wait from another thread.
    fn stop(&self) {
        self.stop.asked.store(true, Ordering::Release);
        let pause = self
            .stop
            .pause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(pause) = pause {
            pause.ask();
        }
    }
}

/// Tells the thread of a guest that something has come.
#[pyclass(frozen, module = "wherry._native")]
pub struct Wake {
    waker: Arc<Mutex<Option<Waker>>>,
}

#[pymethods]
impl Wake {
    fn __call__(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What Python feeds a guest with: an object of `wherry.runtime.streams`, whose `poll` gives a tuple of one, an empty one at the
/// end, or nothing yet.
struct Fed {
    object: Py<PyAny>,
    wake: Py<Wake>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Fed {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let waker = Arc::<Mutex<Option<Waker>>>::default();
        let wake = Wake {
            waker: Arc::clone(&waker),
        };
        Ok(Self {
            object: object.clone().unbind(),
            wake: Py::new(object.py(), wake)?,
            waker,
        })
    }

    fn poll_in<'py>(
        &self,
        py: Python<'py>,
        cx: &Context<'_>,
        most: usize,
    ) -> Poll<PyResult<Option<Bound<'py, PyAny>>>> {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        let poll = self.object.bind(py).getattr(intern!(py, "poll"));
        match poll.and_then(|poll| calling::call(&poll, (&self.wake, most))) {
            Ok(polled) if polled.is_none() => Poll::Pending,
            Ok(polled) => Poll::Ready(polled.cast_into::<PyTuple>().map_err(PyErr::from).map(|found| {
                let mut items = found.iter();
                items.next()
            })),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        // When Python is ending, what it fed with ends with it.
        let _ = Python::try_attach(|py| {
            let close = self.object.bind(py).getattr(intern!(py, "close"));
            drop(close.and_then(|close| calling::call(&close, ())));
        });
    }
}

impl Feed<Python3> for Fed {
    fn poll(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Py<PyAny>>>> {
        Python::attach(|py| {
            self.poll_in(py, cx, most)
                .map(|found| found.map(|value| value.map(Bound::unbind)).map_err(carry))
        })
    }
}

/// What a coroutine function answers that a guest called: later, while the guest does other things.
struct Answer {
    fed: Fed,
    fallible: bool,
}

impl Feed<Python3> for Answer {
    fn poll(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Py<PyAny>>>> {
        Python::attach(|py| {
            self.fed.poll_in(py, cx, most).map(|found| {
                let returned = found.map(|value| value.unwrap_or_else(|| py.None().into_bound(py)));
                settled(py, returned, self.fallible).map(Some)
            })
        })
    }
}

/// What comes of a host function: with `fallible` a result, which an exception may stand for.
pub fn settled(py: Python<'_>, returned: PyResult<Bound<'_, PyAny>>, fallible: bool) -> Result<Py<PyAny>> {
    match returned {
        Ok(value) if !fallible || classes::is_result(&value).map_err(carry)? => Ok(value.unbind()),
        Ok(value) => classes::make(py, classes::Class::Ok, value)
            .map(Bound::unbind)
            .map_err(carry),
        Err(error) if fallible && error.is_instance(py, result_error(py).map_err(carry)?) => {
            let value = error.value(py).getattr("value").map_err(carry)?;
            classes::make(py, classes::Class::Err, value)
                .map(Bound::unbind)
                .map_err(carry)
        }
        Err(error) => Err(carry(error)),
    }
}

fn name(pipe: Pipe) -> &'static str {
    match pipe {
        Pipe::Bytes => "bytes",
        Pipe::Elements => "elements",
        Pipe::Units => "units",
        Pipe::Value => "value",
        Pipe::Signal => "signal",
    }
}

/// A function of `wherry.runtime.streams`.
fn function<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let found = || {
        py.import("wherry.runtime.streams")?
            .getattr(name)
            .map(Bound::unbind)
    };
    cell.get_or_try_init(py, found).map(|function| function.bind(py))
}

/// What Python sees of a stream or future that a guest gave.
pub fn wrapped(py: Python<'_>, stream: Stream) -> PyResult<Bound<'_, PyAny>> {
    static ARRIVED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    function(py, &ARRIVED, "arrived")?.call1((stream,))
}

/// What feeds a guest with what Python gave; `None` where that is nothing of the kind.
pub fn feed(
    value: &Bound<'_, PyAny>,
    pipe: Pipe,
    home: &Arc<Cell>,
) -> Result<Option<Box<dyn Feed<Python3>>>> {
    let py = value.py();
    let native = value.getattr_opt(intern!(py, "_native")).map_err(carry)?;
    let stream = native.as_ref().and_then(|native| native.cast::<Stream>().ok());
    if let Some(passed) = stream.and_then(|stream| stream.get().passed_on(pipe, home)) {
        return Ok(Some(passed));
    }
    Ok(fed(value, pipe)?.map(|fed| Box::new(fed) as Box<dyn Feed<Python3>>))
}

fn fed(value: &Bound<'_, PyAny>, pipe: Pipe) -> Result<Option<Fed>> {
    static FEED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let object = function(value.py(), &FEED, "feed").and_then(|feed| feed.call1((value, name(pipe))));
    let object = object.map_err(carry)?;
    if object.is_none() {
        return Ok(None);
    }
    Fed::new(&object).map(Some).map_err(carry)
}

/// What waits for a coroutine that a host function returned.
pub fn answer(coroutine: &Bound<'_, PyAny>, fallible: bool) -> Result<Box<dyn Feed<Python3>>> {
    let fed = fed(coroutine, Pipe::Value)?;
    let fed = fed.ok_or_else(|| Error::new(Kind::Internal, "a coroutine that cannot be awaited"))?;
    Ok(Box::new(Answer { fed, fallible }))
}
