//! What `Policy` and `Limits` have in common: both are read by the table of flags, and cross as one frozen object each.

use crate::errors::raise;
use pyo3::prelude::*;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use wherry_engine::environment::Environment;
use wherry_engine::error::{Error, Result};
use wherry_engine::options::{CacheOptions, Invocation};
use wherry_engine::policy::text::{read, read_part};
use wherry_engine::settings;

/// Variables and settings files, as they are now.
pub fn ambient(py: Python<'_>) -> PyResult<(Invocation, Environment)> {
    let environment = Environment::of_process().map_err(|error| raise(py, error))?;
    let ambient = settings::ambient(&environment).map_err(|error| raise(py, error))?;
    Ok((ambient, environment))
}

/// Reads a policy file into `run`, or `text`, which is a part of that file.
pub fn from_file(
    run: &mut Invocation,
    file: &Path,
    text: Option<&str>,
    environment: &Environment,
) -> Result<()> {
    let file = file.to_string_lossy();
    match text {
        Some(text) => read_part(run, text, &file, environment),
        None => read(run, &file, environment),
    }
}

/// Where compiled code is kept.
pub fn cache_options(py: Python<'_>) -> PyResult<CacheOptions> {
    Ok(ambient(py)?.0.cache)
}

/// The same error with the name of the argument in front.
pub fn named(name: &str, error: &Error) -> Error {
    let renamed = Error::new(error.kind(), format!("`{name}`: {}", error.message()));
    match error.hint() {
        Some(hint) => renamed.with_hint(hint),
        None => renamed,
    }
}

/// A hash that equal values share: what they are made of, without the values of secrets.
pub fn hash_of(value: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{value:?}").hash(&mut hasher);
    hasher.finish()
}
