//! A run done again from its receipt, for Python.

use crate::door::{question, through};
use crate::errors::raise;
use crate::loading::compiler_child;
use pyo3::prelude::*;
use std::path::PathBuf;
use wherry_engine::limits::duration;
use wherry_engine::run::How;
use wherry_engine::verify::{Difference, Found, verify};

/// A field that differs, as Python sees it.
type Field = (String, String, String, Vec<String>);

/// Runs the program of a receipt again and gives the fields that differ: field, what the receipt says, what is so, and
/// the fields that may be to blame for it.
///
/// Standard input is this process's; what the guest writes is thrown away.
#[pyfunction]
#[pyo3(signature = (receipt, *, file, dirs, env, config, secrets, timeout))]
#[expect(clippy::too_many_arguments, reason = "each is an option of the command")]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn verify_run(
    py: Python<'_>,
    receipt: PathBuf,
    file: Option<PathBuf>,
    dirs: Vec<String>,
    env: Vec<String>,
    config: Vec<String>,
    secrets: Vec<String>,
    timeout: Option<String>,
) -> PyResult<Vec<Field>> {
    let timeout = timeout.map(|text| duration(&text)).transpose();
    let found = Found {
        file,
        dirs,
        env,
        config,
        secrets,
        timeout: timeout.map_err(|error| raise(py, error))?,
    };
    let child = compiler_child(py)?;
    let asked = question(py)?;
    let differences = through(py, || {
        let how = How {
            question: &|| asked.as_ref().map_or(Ok(()), |question| question()),
            child,
            progress: &|_| (),
            warn: &|_| (),
            say: &|_| (),
        };
        verify(&receipt, &found, &how)
    })?;
    let plain = |one: Difference| (one.field, one.receipt, one.run, one.causes);
    Ok(differences.into_iter().map(plain).collect())
}
