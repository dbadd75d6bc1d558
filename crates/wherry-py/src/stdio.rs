//! The standard streams of a guest, as Python names them.

use crate::errors::raise;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::fs::File;
use std::sync::{Mutex, PoisonError};
use wherry_engine::error::{Error, Kind};
use wherry_engine::stdio::{Buffer, Input, Output, Standard, Stdio};

/// Arguments and standard streams for one guest. Private: `wherry.runtime` makes them.
///
/// `stdin` is `None` (at its end), `"inherit"`, bytes or the number of a descriptor; the outputs are `None` (thrown away),
/// `"inherit"`, `"capture"` or the number of a descriptor. Descriptors are duplicated.
#[pyclass(frozen, module = "wherry._native")]
pub struct Streams {
    pub arguments: Vec<String>,
    stdio: Mutex<Option<Stdio>>,
    stdout: Option<Buffer>,
    stderr: Option<Buffer>,
}

#[derive(FromPyObject)]
enum Choice {
    Named(String),
    Descriptor(i32),
}

#[pymethods]
impl Streams {
    #[new]
    #[pyo3(signature = (arguments, stdin = None, stdout = None, stderr = None))]
    fn new(
        py: Python<'_>,
        arguments: Vec<String>,
        stdin: Option<&Bound<'_, PyAny>>,
        stdout: Option<Choice>,
        stderr: Option<Choice>,
    ) -> PyResult<Self> {
        let input = input(stdin)?;
        let (output, stdout) = self::output(py, stdout, Standard::Out)?;
        let (error, stderr) = self::output(py, stderr, Standard::Err)?;
        Ok(Self {
            arguments,
            stdio: Mutex::new(Some(Stdio {
                input,
                output,
                error,
                witness: None,
            })),
            stdout,
            stderr,
        })
    }

    /// What the guest wrote, where it was captured.
    fn captured<'py>(&self, py: Python<'py>) -> (Option<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>) {
        let bytes = |buffer: &Option<Buffer>| buffer.as_ref().map(|buffer| PyBytes::new(py, &buffer.take()));
        (bytes(&self.stdout), bytes(&self.stderr))
    }
}

impl Streams {
    /// The streams themselves, for one guest only.
    pub fn take(&self, py: Python<'_>) -> PyResult<Stdio> {
        let stdio = self.stdio.lock().unwrap_or_else(PoisonError::into_inner).take();
        stdio.ok_or_else(|| raise(py, Error::new(Kind::Internal, "the streams were used already")))
    }
}

fn input(choice: Option<&Bound<'_, PyAny>>) -> PyResult<Input> {
    let Some(choice) = choice.filter(|choice| !choice.is_none()) else {
        return Ok(Input::Empty);
    };
    if let Ok(bytes) = choice.cast::<PyBytes>() {
        return Ok(Input::Bytes(bytes.as_bytes().to_vec()));
    }
    match choice.extract::<Choice>()? {
        Choice::Named(_) => Ok(Input::Inherit),
        Choice::Descriptor(number) => Ok(Input::File(duplicate(choice.py(), number)?)),
    }
}

fn output(py: Python<'_>, choice: Option<Choice>, standard: Standard) -> PyResult<(Output, Option<Buffer>)> {
    Ok(match choice {
        None => (Output::Discard, None),
        Some(Choice::Descriptor(number)) => (Output::File(duplicate(py, number)?), None),
        Some(Choice::Named(name)) if name == "capture" => {
            let buffer = Buffer::default();
            (Output::Buffer(buffer.clone()), Some(buffer))
        }
        Some(Choice::Named(_)) => (Output::Inherit(standard), None),
    })
}

/// A descriptor of our own for the same open file.
fn duplicate(py: Python<'_>, number: i32) -> PyResult<File> {
    wherry_engine::stdio::duplicate(number).map_err(|error| raise(py, error))
}
