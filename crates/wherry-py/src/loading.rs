//! What loading a program needs of the Python process: where compiled code is kept, and who compiles what is large.

use crate::errors::raise;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use wherry_engine::cache::Cache;
use wherry_engine::compile::{CompilerChild, worker};
use wherry_engine::error::Error;
use wherry_engine::options::CacheOptions;

/// The cache that the settings name; `None` where it is off or there is no place for one.
pub fn cache(py: Python<'_>, options: &CacheOptions) -> PyResult<Option<Cache>> {
    // Without a cache everything works, only slower.
    options.open().or_else(|error| warn(py, &error).map(|()| None))
}

fn warn(py: Python<'_>, error: &Error) -> PyResult<()> {
    let category = py.import("wherry.errors")?.getattr("WherryWarning")?;
    let message = format!("compiled code is not kept: {error}");
    py.import("warnings")?
        .getattr("warn")?
        .call1((message, category, 4))
        .map(drop)
}

/// What the compiler's process runs. It is told where Wherry is, as neither variables nor the user's own packages lead it there:
/// whatever else they would bring in has no place in a process that only compiles.
const WORKER: &str = "import sys; sys.path.insert(0, sys.argv[1]); from wherry._native import compile_worker; compile_worker()";

/// This interpreter as the compiler of what is large; `None` in a program that embeds Python without an interpreter.
pub fn compiler_child(py: Python<'_>) -> PyResult<Option<CompilerChild>> {
    let executable: Option<PathBuf> = py.import("sys")?.getattr("executable")?.extract()?;
    let package: PathBuf = py.import("wherry")?.getattr("__file__")?.extract()?;
    let Some(root) = package.parent().and_then(Path::parent) else {
        return Ok(None);
    };
    let mut args = ["-I", "-S", "-c", WORKER].map(OsString::from).to_vec();
    args.push(root.into());
    Ok(executable
        .filter(|path| path.is_absolute())
        .map(|program| CompilerChild { program, args }))
}

/// Compiles one module from standard input to standard output. Run by a process of our own, never by users.
#[pyfunction]
pub fn compile_worker(py: Python<'_>) -> PyResult<()> {
    py.detach(|| worker::work(std::io::stdin().lock(), std::io::stdout().lock()))
        .map_err(|error| raise(py, error))
}
