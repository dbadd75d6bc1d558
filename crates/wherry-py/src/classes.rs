//! The small Python classes of `wherry.runtime.values`: `Some`, `Ok`, `Err` and `Variant`.

use crate::calling;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// A class that wraps one value.
#[derive(Debug, Clone, Copy)]
pub enum Class {
    /// The payload of an option that a bare `None` would leave open.
    Some,
    /// The good case of a result.
    Ok,
    /// The bad case of a result.
    Err,
}

impl Class {
    fn get(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        static SOME: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static OK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static ERR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        match self {
            Class::Some => SOME.import(py, "wherry.runtime.values", "Some"),
            Class::Ok => OK.import(py, "wherry.runtime.values", "Ok"),
            Class::Err => ERR.import(py, "wherry.runtime.values", "Err"),
        }
    }
}

fn variant(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static VARIANT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    VARIANT.import(py, "wherry.runtime.values", "Variant")
}

/// Wraps a value.
pub fn make<'py>(py: Python<'py>, class: Class, payload: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    calling::call(class.get(py)?, (payload,))
}

/// The wrapped value, if `value` is of that class.
pub fn payload<'py>(value: &Bound<'py, PyAny>, class: Class) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !value.is_exact_instance(class.get(value.py())?) {
        return Ok(None);
    }
    value.getattr(pyo3::intern!(value.py(), "value")).map(Some)
}

/// Makes a case of a variant.
pub fn make_variant<'py>(
    py: Python<'py>,
    tag: &Py<PyString>,
    payload: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    calling::call(variant(py)?, (tag, payload))
}

/// The tag of a case, and its value if the case has one.
pub type Case<'py> = (Bound<'py, PyString>, Option<Bound<'py, PyAny>>);

/// Tag and value of a variant or of an enumeration's member; `None` for anything else.
pub fn variant_parts<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Case<'py>>> {
    static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = value.py();
    if value.is_instance(variant(py)?)? {
        let tag = value.getattr(pyo3::intern!(py, "tag"))?.cast_into::<PyString>()?;
        return Ok(Some((tag, Some(value.getattr(pyo3::intern!(py, "value"))?))));
    }
    if value.is_instance(ENUM.import(py, "enum", "Enum")?)? {
        let tag = value.getattr(pyo3::intern!(py, "value"))?;
        return Ok(tag.cast_into::<PyString>().ok().map(|tag| (tag, None)));
    }
    Ok(None)
}

/// Whether a value is a result: `Ok` or `Err`.
pub fn is_result(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    Ok(value.is_exact_instance(Class::Ok.get(py)?) || value.is_exact_instance(Class::Err.get(py)?))
}

/// Whether a host function returned a coroutine.
pub fn is_coroutine(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(value.is_exact_instance(COROUTINE.import(value.py(), "types", "CoroutineType")?))
}

/// What a host function returned, waited for if it is a coroutine.
pub fn awaited(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    static WAIT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    if !is_coroutine(&value)? {
        return Ok(value);
    }
    let wait = WAIT.get_or_try_init(py, || {
        py.import("wherry.runtime.aio")?
            .getattr("wait_for_host")
            .map(Bound::unbind)
    })?;
    calling::call(wait.bind(py), (value,))
}
