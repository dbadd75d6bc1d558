//! `wherry.Limits`: what a guest may use up, as one frozen value.
//!
//! The names of its arguments and attributes are those of the flags without `max-`: `--max-output 1MiB` is
//! `Limits(output="1MiB")`. Texts are read by the same table of flags as the command line.

use crate::configuration::{ambient, from_file, hash_of, named};
use crate::errors::raise;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyTuple};
use std::path::PathBuf;
use std::time::Duration;
use wherry_engine::environment::Environment;
use wherry_engine::flags::{FLAGS, Flag, Group, by_name};
use wherry_engine::limits::Limits as EngineLimits;
use wherry_engine::options::Invocation;
use wherry_engine::policy::Policy;
use wherry_engine::policy::text::{command_line, said};

/// What a guest may use up. What is not named has its default, which a variable such as `WHERRY_MEMORY` may change.
#[pyclass(frozen, module = "wherry")]
pub struct Limits {
    pub inner: EngineLimits,
}

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(
        signature = (**limits),
        text_signature = "(*, memory=..., timeout=..., fuel=..., output=..., stack=..., handles=..., connections=..., \
                          outgoing=..., write=..., transfer=..., connect_timeout=..., first_byte_timeout=..., \
                          between_bytes_timeout=..., instances=..., tables=..., functions=..., body=..., nesting=..., \
                          size=..., compile_timeout=..., compile_memory=...)"
    )]
    fn new(py: Python<'_>, limits: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let (ambient, environment) = embedded(py)?;
        Self::changed(py, ambient, &environment, limits)
    }

    /// Reads the limits of a policy file, as `--policy FILE` does; the rest is as without arguments. `text` is a part of the file
    /// to read in its place.
    #[staticmethod]
    #[pyo3(signature = (path, text=None))]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
    fn from_toml(py: Python<'_>, path: PathBuf, text: Option<&str>) -> PyResult<Self> {
        let (mut run, environment) = embedded(py)?;
        from_file(&mut run, &path, text, &environment).map_err(|error| raise(py, error))?;
        Ok(Self { inner: run.limits })
    }

    /// These limits with some of them changed.
    #[pyo3(signature = (**limits), text_signature = "($self, **limits)")]
    fn replace(&self, py: Python<'_>, limits: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let run = Invocation {
            limits: self.inner.clone(),
            ..Invocation::default()
        };
        Self::changed(py, run, &Environment::default(), limits)
    }

    /// For `copy.replace`.
    #[pyo3(signature = (**limits), text_signature = "($self, /, **limits)")]
    fn __replace__(&self, py: Python<'_>, limits: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        self.replace(py, limits)
    }

    /// Bytes of memory.
    #[getter]
    fn memory(&self) -> u64 {
        self.inner.memory
    }

    /// Seconds of wall time for each call.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.inner.timeout.map(|time| time.as_secs_f64())
    }

    /// Units of fuel.
    #[getter]
    fn fuel(&self) -> Option<u64> {
        self.inner.fuel
    }

    /// Bytes of output.
    #[getter]
    fn output(&self) -> Option<u64> {
        self.inner.output
    }

    /// Bytes of stack.
    #[getter]
    fn stack(&self) -> usize {
        self.inner.stack
    }

    /// Open files, folders and other handles at once.
    #[getter]
    fn handles(&self) -> u32 {
        self.inner.handles
    }

    /// Connections at once.
    #[getter]
    fn connections(&self) -> u32 {
        self.inner.connections
    }

    /// HTTP requests sent.
    #[getter]
    fn outgoing(&self) -> Option<u64> {
        self.inner.outgoing
    }

    /// Bytes written to files.
    #[getter]
    fn write(&self) -> Option<u64> {
        self.inner.write
    }

    /// Bytes sent and received over the network.
    #[getter]
    fn transfer(&self) -> Option<u64> {
        self.inner.transfer
    }

    /// Seconds until a connection stands.
    #[getter]
    fn connect_timeout(&self) -> f64 {
        self.inner.connect_timeout.as_secs_f64()
    }

    /// Seconds from an HTTP request to the first byte of its answer.
    #[getter]
    fn first_byte_timeout(&self) -> f64 {
        self.inner.first_byte_timeout.as_secs_f64()
    }

    /// Seconds between two pieces of an HTTP answer.
    #[getter]
    fn between_bytes_timeout(&self) -> f64 {
        self.inner.between_bytes_timeout.as_secs_f64()
    }

    /// Core instances.
    #[getter]
    fn instances(&self) -> u32 {
        self.inner.instances
    }

    /// Tables.
    #[getter]
    fn tables(&self) -> u32 {
        self.inner.tables
    }

    /// Functions in a file to compile.
    #[getter]
    fn functions(&self) -> u64 {
        self.inner.bounds.functions
    }

    /// Bytes of the largest function in a file to compile.
    #[getter]
    fn body(&self) -> u64 {
        self.inner.bounds.body
    }

    /// Levels of blocks in a file to compile.
    #[getter]
    fn nesting(&self) -> u64 {
        self.inner.bounds.nesting
    }

    /// Bytes of a file to compile.
    #[getter]
    fn size(&self) -> u64 {
        self.inner.bounds.size
    }

    /// Seconds to read and compile a file.
    #[getter]
    fn compile_timeout(&self) -> Option<f64> {
        self.inner.compile_timeout.map(|time| time.as_secs_f64())
    }

    /// Bytes of memory for compiling a file.
    #[getter]
    fn compile_memory(&self) -> Option<u64> {
        self.inner.compile_memory
    }

    /// The command line that means the same, where nothing else is said.
    fn __str__(&self) -> String {
        let said = said(&Policy::default(), &self.inner, &EngineLimits::terminal());
        command_line(&said)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let fields = names().map(|name| {
            let value = slf.getattr(name.as_str())?;
            Ok(format!("{name}={}", value.repr()?))
        });
        Ok(format!(
            "Limits({})",
            fields.collect::<PyResult<Vec<_>>>()?.join(", ")
        ))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Limits>()
            .is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.inner)
    }

    /// What pickling and copying make it from again: every limit, so that no variable or file changes it on the way.
    fn __getnewargs_ex__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let py = slf.py();
        let limits = PyDict::new(py);
        for name in names() {
            limits.set_item(&name, slf.getattr(name.as_str())?)?;
        }
        // Seconds as a number would lose the last of the nanoseconds.
        let inner = &slf.get().inner;
        let exactly = |time: Duration| format!("{}ns", time.as_nanos());
        limits.set_item("timeout", inner.timeout.map(exactly))?;
        limits.set_item("compile_timeout", inner.compile_timeout.map(exactly))?;
        limits.set_item("connect_timeout", exactly(inner.connect_timeout))?;
        limits.set_item("first_byte_timeout", exactly(inner.first_byte_timeout))?;
        limits.set_item("between_bytes_timeout", exactly(inner.between_bytes_timeout))?;
        Ok((PyTuple::empty(py), limits))
    }
}

impl Limits {
    /// What `run` has for limits, with some of them changed.
    fn changed(
        py: Python<'_>,
        mut run: Invocation,
        environment: &Environment,
        limits: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        for (name, value) in limits.into_iter().flat_map(PyDictMethods::iter) {
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            let flag = flag(&name)?;
            let text = if value.is_none() {
                "none".to_owned()
            } else if let Ok(number) = value.cast::<PyFloat>() {
                // Python writes small numbers with an exponent.
                number.value().to_string()
            } else {
                value.str()?.to_str()?.to_owned()
            };
            (flag.set)(&mut run, &text, environment).map_err(|error| raise(py, named(&name, &error)))?;
        }
        Ok(Self { inner: run.limits })
    }
}

/// What holds where nothing is said, with the variables and files that say otherwise. A guest inside a program has tighter
/// defaults than one in a terminal; what was said of either holds.
fn embedded(py: Python<'_>) -> PyResult<(Invocation, Environment)> {
    let (mut run, environment) = ambient(py)?;
    let terminal = EngineLimits::terminal();
    let embedded = EngineLimits::embedded();
    if run.limits.timeout == terminal.timeout {
        run.limits.timeout = embedded.timeout;
    }
    if run.limits.output == terminal.output {
        run.limits.output = embedded.output;
    }
    Ok((run, environment))
}

/// Every limit, by its name in Python.
fn names() -> impl Iterator<Item = String> {
    let limits = FLAGS.iter().filter(|flag| flag.group == Group::Limits);
    limits.map(|flag| flag.name.trim_start_matches("max-").replace('-', "_"))
}

/// The row of the flag table for a limit: by its own name or behind `max-`.
fn flag(name: &str) -> PyResult<&'static Flag> {
    let flag = name.replace('_', "-");
    let found = by_name(&flag).or_else(|| by_name(&format!("max-{flag}")));
    found.filter(|flag| flag.group == Group::Limits).ok_or_else(|| {
        let known: Vec<String> = names().collect();
        PyTypeError::new_err(format!(
            "there is no limit `{name}`; there are {}",
            known.join(", ")
        ))
    })
}
