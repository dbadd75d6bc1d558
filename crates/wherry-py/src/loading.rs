//! What loading a program needs of the Python process: where compiled code is kept, and who compiles what is large.

use crate::configuration::cache_options;
use crate::door::{question, through};
use crate::errors::raise;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use wherry_engine::cache::Cache;
use wherry_engine::compile::{CompilerChild, worker};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::limits::Limits;
use wherry_engine::mode::{Mode, Pool};
use wherry_engine::options::CacheOptions;
use wherry_engine::program::{LoadOptions, PreparedForm, Preparing, Program, Source, load};
use wherry_engine::restored::Image;
use wherry_tools::prepared;

/// What a program is loaded for.
pub struct Wanted {
    pub mode: Mode,
    pub stack: usize,
    pub pooled: Option<Pool>,
    /// Whether large components are prepared, for guests that are made anew for each request.
    pub prepared: bool,
    pub target: Option<String>,
    pub name: String,
    pub precompiled: bool,
}

/// Loads a program as this process loads all of its own, and makes something of it; Ctrl-C is heard while it is compiled.
pub fn with_program<R: Send>(
    py: Python<'_>,
    source: Source,
    wanted: Wanted,
    limits: &Limits,
    make: impl FnOnce(Program, &LoadOptions<'_>) -> Result<R> + Send,
) -> PyResult<R> {
    let cache = cache(py, &cache_options(py)?)?;
    let child = compiler_child(py)?;
    let question = question(py)?;
    let warnings = Mutex::new(Vec::new());
    let result = through(py, || {
        let stopped = RefCell::new(None);
        let options = LoadOptions {
            mode: wanted.mode,
            stack: wanted.stack,
            pooled: wanted.pooled,
            preparing: wanted.prepared.then_some(PREPARING),
            target: wanted.target,
            name: Some(wanted.name),
            precompiled: wanted.precompiled,
            cache,
            child,
            interrupted: &|| match question.as_ref().map_or(Ok(()), |question| question()) {
                Ok(()) => false,
                Err(error) => {
                    stopped.replace(Some(error));
                    true
                }
            },
            warn: &|warning| {
                warnings
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(warning);
            },
            ..LoadOptions::default().within(limits)
        };
        let program = load(source, &options).map_err(|error| match error.kind() {
            Kind::Interrupted => stopped.take().unwrap_or(error),
            _ => error,
        })?;
        make(program, &options)
    })?;
    tell(py, warnings.into_inner().unwrap_or_else(PoisonError::into_inner))?;
    Ok(result)
}

/// How components are prepared.
pub const PREPARING: Preparing<'static> = Preparing {
    version: prepared::VERSION,
    prepare: &prepare,
};

/// Smaller components start so fast that restoring their memories gains nothing.
const WORTH_PREPARING: usize = 1 << 20;

fn prepare(component: &[u8]) -> std::result::Result<PreparedForm, String> {
    if component.len() < WORTH_PREPARING {
        return Err("it is small, and starts fast as it is".to_owned());
    }
    let made = prepared::prepare(component).map_err(|reason| reason.to_string())?;
    let images = made.images.into_iter().map(|image| Image {
        memory: image.memory,
        pages: image.pages,
        bytes: image.bytes,
    });
    Ok(PreparedForm {
        component: made.component,
        images: images.collect(),
    })
}

/// Tells what works, but slower than it should.
fn tell(py: Python<'_>, warnings: Vec<String>) -> PyResult<()> {
    if warnings.is_empty() {
        return Ok(());
    }
    let category = py.import("wherry.errors")?.getattr("WherryWarning")?;
    let warn = py.import("warnings")?.getattr("warn")?;
    for warning in warnings {
        warn.call1((warning, &category, 4))?;
    }
    Ok(())
}

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
