//! `wherry.Resource`: a resource that a guest implements, as a Python object with deterministic release.

use crate::errors::raise;
use crate::home::Home;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, Mutex, PoisonError};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::values::ResourceAny;

/// A resource of a guest. Its methods are attributes; it is released by `close()`, by `with`, or when the last reference goes.
///
/// Using one after its release raises `ClosedError`.
#[pyclass(frozen, weakref, module = "wherry")]
pub struct Resource {
    handle: Mutex<Option<ResourceAny>>,
    home: Arc<Home>,
}

impl Resource {
    pub fn new(handle: ResourceAny, home: &Arc<Home>) -> Self {
        Self {
            handle: Mutex::new(Some(handle)),
            home: Arc::clone(home),
        }
    }

    /// The handle, to lend it or, with `take`, to give it away.
    pub fn handle(&self, take: bool) -> Result<ResourceAny> {
        let mut slot = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = if take { slot.take() } else { *slot };
        handle.ok_or_else(|| {
            Error::new(Kind::Closed, "the resource was released or given away already")
                .with_hint("make a new one, or keep it open for as long as it is used")
        })
    }

    fn release(&self) -> Result<()> {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        handle.map_or(Ok(()), |handle| self.home.release(handle))
    }
}

#[pymethods]
impl Resource {
    /// The methods of the resource, as functions that have it as their first argument already.
    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let missing = || PyAttributeError::new_err(format!("the resource has no method `{name}`"));
        if name.starts_with("__") {
            return Err(missing());
        }
        let this = slf.get();
        let found = this
            .handle(false)
            .and_then(|handle| this.home.method(handle.ty(), name));
        let function = found.map_err(|error| raise(py, error))?.ok_or_else(missing)?;
        py.import("functools")?.getattr("partial")?.call1((function, slf))
    }

    /// Releases the resource and runs the guest's destructor. Doing so twice is no error.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        crate::door::through(py, || self.release())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self) -> String {
        let handle = *self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        match handle.map(|handle| self.home.resource_name(handle.ty())) {
            Some(Some((Some(interface), name))) => format!("<resource {name} of {interface}>"),
            Some(Some((None, name))) => format!("<resource {name}>"),
            Some(None) => "<resource>".to_owned(),
            None => "<released resource>".to_owned(),
        }
    }

    #[expect(clippy::unused_self, reason = "Python calls it as a method")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(pyo3::exceptions::PyTypeError::new_err(
            "a resource lives in its instance and cannot be pickled",
        ))
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // Nobody is left to tell; an instance that cannot run the destructor is dead or busy, and takes it along.
        let _ = self.release();
    }
}
