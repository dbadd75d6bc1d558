//! Calls of Python code with a guest, or other Rust, below them on the stack.
//!
//! Such code may run for as long as it likes, and Python may end meanwhile. Until 3.14 CPython ends a thread that then wants
//! to go on by unwinding its stack, and Rust aborts the process when that reaches frames that cannot be unwound. So the
//! unwinding stops here, as it does in pyo3 for threads that come back from work without the GIL.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

unsafe extern "C-unwind" {
    /// One that pyo3 does not use: that it declares a function as one that never unwinds would count here too.
    fn PyObject_CallObject(callable: *mut ffi::PyObject, arguments: *mut ffi::PyObject)
    -> *mut ffi::PyObject;
}

/// Keeps a thread where it is, for as long as the process lasts.
struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Calls something; where Python ends before it returns, it never does.
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = arguments.into_pyobject(callable.py()).map_err(Into::into)?;
    let stays = Stays;
    // SAFETY: both are objects that live until it returns, the second a tuple, and this thread is attached. What unwinds
    // from there is the end of the thread alone, which gave up the GIL before: no object is touched any more.
    let returned = unsafe { PyObject_CallObject(callable.as_ptr(), arguments.as_ptr()) };
    std::mem::forget(stays);
    // SAFETY: a new reference, or null with the exception set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), returned) }
}
