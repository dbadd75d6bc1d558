//! A function of an instance, as Python calls it: what `instance.add` is.

use crate::errors::{raise, result_error, says_ended};
use crate::instance::{Cell, Instance, Turn};
use crate::names::attribute;
use crate::port::Python3;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use std::sync::Arc;
use wherry_engine::error::{Error, Kind};
use wherry_engine::exports::Export;
use wherry_engine::instance::Function as EngineFunction;
use wherry_engine::values::Outcome;
use wherry_engine::values::bridge::{Piece, PieceType};
use wherry_engine::values::lift::scalar_value;

/// A function of one instance.
///
/// Called with positional or keyword arguments, by the names of the parameters in WIT (in snake case). Where the only
/// parameter is a record, its fields may be given as keyword arguments.
#[pyclass(frozen, module = "wherry")]
pub struct Function {
    /// The Python object of the instance, for the garbage collector; methods of resources have none.
    pub owner: Option<Py<Instance>>,
    pub cell: Arc<Cell>,
    pub inner: Arc<EngineFunction<Python3>>,
    pub export: Export,
    /// What is raised for the error case of its result.
    pub error: Option<Py<PyType>>,
    /// Whether it waits for calls of other threads.
    pub waits: bool,
    /// What gives the function that is called instead where the instance has ended, or raises what to do.
    pub renew: Option<Py<PyAny>>,
}

#[pymethods]
impl Function {
    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.owner)?;
        visit.call(&self.renew)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let called = self.called(py, args, kwargs);
        let (Err(error), Some(renew)) = (&called, &self.renew) else {
            return called;
        };
        // One with a traceback came out of the host's own code, and is about something else.
        if error.traceback(py).is_some() || !says_ended(py, error)? {
            return called;
        }
        let fresh = renew.call0(py)?;
        if fresh.is_none(py) {
            return called;
        }
        fresh.call(py, args, kwargs)
    }

    /// The name in WIT.
    #[getter]
    fn name(&self) -> &str {
        &self.export.name
    }

    fn __repr__(&self) -> String {
        let params: Vec<String> = self.export.params.iter().map(|name| attribute(name)).collect();
        format!("<function {}({})>", self.export.name, params.join(", "))
    }
}

impl Function {
    /// Calls it, and makes an exception of the error case of a result.
    fn called(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let arguments = match kwargs {
            None if args.len() == self.export.params.len() => args.clone(),
            _ => self.arguments(args, kwargs)?,
        };
        if let Some(value) = self.call_pieces(py, &arguments)? {
            return Ok(value);
        }
        let Outcome { value, failed } = self.call(py, arguments)?;
        if failed {
            let class = match &self.error {
                Some(class) => class.bind(py),
                None => result_error(py)?,
            };
            return Err(PyErr::from_value(class.call1((value,))?));
        }
        Ok(value)
    }

    /// A method of a resource.
    pub fn of_resource(cell: Arc<Cell>, inner: Arc<EngineFunction<Python3>>, export: Export) -> Self {
        Self {
            owner: None,
            cell,
            inner,
            export,
            error: None,
            waits: false,
            renew: None,
        }
    }

    /// Calls a function of small values: they cross before and after, so that the GIL is released once and not three times.
    fn call_pieces(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>) -> PyResult<Option<Py<PyAny>>> {
        let made = self
            .inner
            .pieces(arguments.as_any())
            .map_err(|error| raise(py, self.located(error)))?;
        let Some((pieces, result)) = made else {
            return Ok(None);
        };
        let inner = Arc::clone(&self.inner);
        let returned = self
            .cell
            .call(py, self.turn(), move |instance| {
                instance.call_pieces(&inner, pieces)
            })
            .map_err(|error| raise(py, self.located(error)))?;
        let value = match (result, returned) {
            (PieceType::Scalar(scalar), Some(Piece::Bits(bits))) => scalar_value::<Python3>(py, scalar, bits)
                .map_err(|error| raise(py, error))?
                .unbind(),
            (_, Some(Piece::Text(text))) => PyString::new(py, &text).into_any().unbind(),
            _ => py.None(),
        };
        Ok(Some(value))
    }

    fn turn(&self) -> Turn {
        if self.waits { Turn::Waiting } else { Turn::Now }
    }

    /// Calls it without the GIL.
    pub fn call(&self, py: Python<'_>, arguments: Bound<'_, PyTuple>) -> PyResult<Outcome<Python3, 1>> {
        let arguments = arguments.into_any().unbind();
        let inner = Arc::clone(&self.inner);
        self.cell
            .call(py, self.turn(), move |instance| instance.call(&inner, arguments))
            .map_err(|error| raise(py, self.located(error)))
    }

    /// Puts arguments in the order of the parameters.
    fn arguments<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = args.py();
        let names: Vec<String> = self.export.params.iter().map(|name| attribute(name)).collect();
        let mut given: Vec<Option<Bound<'py, PyAny>>> = args.iter().map(Some).collect();
        let wrong = |what: String| {
            let error = Error::new(Kind::Value, format!("{}(): {what}", self.export.name));
            raise(
                py,
                error.with_hint(format!(
                    "call it as `{}({})`",
                    attribute(&self.export.name),
                    names.join(", ")
                )),
            )
        };
        if given.len() > names.len() {
            return Err(wrong(format!(
                "takes {} arguments, got {}",
                names.len(),
                given.len()
            )));
        }
        given.resize(names.len(), None);
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        if let (Some(kwargs), true, [None]) = (kwargs, self.export.takes_record, given.as_slice())
            && !kwargs.contains(&names[0])?
        {
            given[0] = Some(kwargs.clone().into_any());
            return PyTuple::new(py, given.into_iter().flatten().collect::<Vec<_>>());
        }
        for (name, value) in kwargs.into_iter().flat_map(PyDictMethods::iter) {
            let name: String = name.extract()?;
            let place = names.iter().position(|known| *known == name);
            match place.map(|place| &mut given[place]) {
                Some(slot @ None) => *slot = Some(value),
                Some(_) => return Err(wrong(format!("got `{name}` twice"))),
                None => return Err(wrong(format!("has no parameter `{name}`"))),
            }
        }
        let missing = names.iter().zip(&given).find(|(_, value)| value.is_none());
        if let Some((name, _)) = missing {
            return Err(wrong(format!("`{name}` is missing")));
        }
        PyTuple::new(py, given.into_iter().flatten().collect::<Vec<_>>())
    }

    /// An error about a value with the function and the parameter that it is about.
    fn located(&self, error: Error) -> Error {
        self.export.located(error, attribute)
    }
}
