//! From errors of the engine to the Python classes of `wherry.errors`.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use wherry_engine::error::{Error, Kind};

/// The Python exception for an error: of the one class that stands for its kind.
pub fn raise(py: Python<'_>, mut error: Error) -> PyErr {
    if let Some(payload) = error.take_payload()
        && let Ok(exception) = payload.downcast::<PyErr>()
    {
        // The embedding program's own exception goes through as it was raised.
        return *exception;
    }
    if error.kind() == Kind::Interrupted && error.message().is_empty() {
        return PyKeyboardInterrupt::new_err(());
    }
    build(py, &error).unwrap_or_else(|failed| failed)
}

fn build(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let kwargs = PyDict::new(py);
    if let Some(hint) = error.hint() {
        kwargs.set_item("hint", hint)?;
    }
    let exception = class(py, error.kind())?.call((error.message(),), Some(&kwargs))?;
    match error.kind() {
        Kind::Trap | Kind::Stack | Kind::Memory | Kind::Time | Kind::Fuel => {
            exception.setattr("frames", frames(py, error)?)?;
        }
        Kind::Exit => exception.setattr("code", error.exit_code().unwrap_or(1))?,
        _ => {}
    }
    Ok(PyErr::from_value(exception))
}

/// The guest's stack as tuples of function, module, file and line.
fn frames<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyTuple>> {
    let frames = error.frames().iter().map(|frame| {
        let (file, line) = frame.location.clone().unzip();
        (frame.function.clone(), frame.module.clone(), file, line)
    });
    PyTuple::new(py, frames.collect::<Vec<_>>())
}

/// Each kind of error that the engine knows, by name, with its class: for the test that all of them can be raised.
#[pyfunction]
pub fn error_kinds(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let kinds = PyDict::new(py);
    for &kind in Kind::ALL {
        kinds.set_item(format!("{kind:?}"), class(py, kind)?)?;
    }
    Ok(kinds)
}

/// The class for a kind: the one `match` between the two trees.
fn class(py: Python<'_>, kind: Kind) -> PyResult<Bound<'_, PyType>> {
    let name = match kind {
        Kind::NotFound => "NotFoundError",
        Kind::Io => "HostIOError",
        Kind::NotWebAssembly => "NotWebAssemblyError",
        Kind::Foreign => "ForeignModuleError",
        Kind::Invalid => "InvalidModuleError",
        Kind::Unsupported => "UnsupportedFeatureError",
        Kind::TooLarge => "TooLargeError",
        Kind::Compile => "CompileError",
        Kind::Precompiled => "PrecompiledError",
        Kind::Link => "LinkError",
        Kind::NoExport => "NoSuchExportError",
        Kind::Value => "WitTypeError",
        Kind::Busy => "BusyError",
        Kind::Closed => "ClosedError",
        Kind::Forked => "ForkedError",
        Kind::Trap => "Trap",
        Kind::Stack => "StackLimitError",
        Kind::Time => "TimeLimitError",
        Kind::Fuel => "FuelLimitError",
        Kind::Output => "OutputLimitError",
        Kind::Memory => "MemoryLimitError",
        Kind::Exit => "GuestExit",
        Kind::Interrupted => "InterruptedCallError",
        Kind::Usage => "UsageError",
        Kind::Grant => "GrantError",
        Kind::Interface => "InterfaceError",
        Kind::Host | Kind::Internal => "InternalError",
    };
    py.import("wherry.errors")?
        .getattr(name)?
        .cast_into::<PyType>()
        .map_err(Into::into)
}

/// `wherry.errors.ResultError`, looked up once.
pub fn result_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "wherry.errors", "ResultError")
}

/// Whether an exception says that the instance cannot be called any more, here or in this process.
pub fn says_ended(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    static CLOSED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static FORKED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let closed = CLOSED.import(py, "wherry.errors", "ClosedError")?;
    let forked = FORKED.import(py, "wherry.errors", "ForkedError")?;
    Ok(error.is_instance(py, closed) || error.is_instance(py, forked))
}

/// A Python exception on its way through the engine.
pub fn carry(error: PyErr) -> Error {
    Error::new(Kind::Host, "host code raised an exception").with_payload(Box::new(error))
}
