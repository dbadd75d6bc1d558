//! `wherry.Record`: a record that came out of a guest.

use crate::names::Names;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::Arc;

/// A record from a guest: its fields are attributes.
///
/// Two records are equal when their field names and values are. `dict(record)` makes a mapping of it, and whatever has the
/// right attributes or keys is accepted where a guest wants a record.
#[pyclass(frozen, module = "wherry")]
pub struct Record {
    pub names: Arc<Names>,
    pub values: Vec<Py<PyAny>>,
}

#[pymethods]
impl Record {
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match self.place(py, name) {
            Some(place) => Ok(self.values[place].bind(py).clone()),
            None => Err(PyAttributeError::new_err(format!(
                "`{}` has no field `{name}`; it has {}",
                self.title(),
                self.names
                    .python
                    .iter()
                    .map(|name| format!("`{}`", name.bind(py)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match self.place(py, name) {
            Some(place) => Ok(self.values[place].bind(py).clone()),
            None => Err(pyo3::exceptions::PyKeyError::new_err(name.clone().unbind())),
        }
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.python.iter())
    }

    fn __dir__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.keys(py)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Record>() else {
            return Ok(false);
        };
        let other = other.get();
        if self.names.wit != other.names.wit {
            return Ok(false);
        }
        for (left, right) in self.values.iter().zip(&other.values) {
            if !left.bind(py).eq(right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyTuple::new(py, self.values.iter())?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = self
            .names
            .python
            .iter()
            .zip(&self.values)
            .map(|(name, value)| Ok(format!("{}={}", name.bind(py), value.bind(py).repr()?)));
        Ok(format!(
            "{}({})",
            self.title(),
            fields.collect::<PyResult<Vec<_>>>()?.join(", ")
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let values = PyDict::new(py);
        for (name, value) in self.names.python.iter().zip(&self.values) {
            values.set_item(name, value)?;
        }
        let make = py.import("wherry.runtime.values")?.getattr("unpickle_record")?;
        Ok((
            make,
            (self.names.type_name.as_str(), self.names.wit.clone(), values),
        )
            .into_pyobject(py)?
            .into_any())
    }
}

impl Record {
    fn place(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> Option<usize> {
        let mut names = self.names.python.iter();
        if let Some(place) = names.position(|known| known.bind(py).is(name)) {
            return Some(place);
        }
        self.names.find(name.to_str().ok()?)
    }

    fn title(&self) -> &str {
        match self.names.type_name.as_str() {
            "" => "record",
            name => name,
        }
    }
}

/// Makes a record again that was pickled.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn make_record(
    py: Python<'_>,
    type_name: &str,
    names: Vec<String>,
    values: &Bound<'_, PyDict>,
) -> PyResult<Record> {
    let spelled: Vec<&str> = names.iter().map(String::as_str).collect();
    let names = Names::new(
        py,
        wherry_engine::values::Named::Record,
        Some(type_name),
        &spelled,
    );
    let mut fields = Vec::with_capacity(names.python.len());
    for name in &names.python {
        let value = values.get_item(name)?;
        fields.push(
            value
                .ok_or_else(|| pyo3::exceptions::PyKeyError::new_err(name.clone_ref(py)))?
                .unbind(),
        );
    }
    Ok(Record {
        names: Arc::new(names),
        values: fields,
    })
}
