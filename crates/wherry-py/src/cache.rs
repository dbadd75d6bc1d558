//! Compiled code on disk, for `wherry cache` and `wherry compile`.
//!
//! Which folder that is, and how much it may hold, comes from the settings as for every run. Records cross as JSON.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;
use wherry_engine::cache::{Cache, Entry, Verdict};
use wherry_engine::compiled::Header;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::mode::{Mode, TARGETS};
use wherry_engine::program::{LoadOptions, Source, precompile};

use crate::configuration::{ambient, cache_options};
use crate::door::{self, through};
use crate::errors::raise;
use crate::limits::Limits;
use crate::loading;

/// An [`Entry`] as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    file: &'a str,
    size: u64,
    /// Seconds since 1970.
    used: f64,
    #[serde(flatten)]
    header: &'a Header,
}

/// A [`Verdict`] as JSON.
#[derive(Serialize)]
struct Judged<'a> {
    file: &'a str,
    problem: Option<&'a str>,
}

/// The folder of the cache, whether it exists or not; `None` for a user without a home.
#[pyfunction]
pub fn cache_path(py: Python<'_>) -> PyResult<Option<OsString>> {
    let (ambient, environment) = ambient(py)?;
    Ok(ambient.cache.folder(&environment).map(OsString::from))
}

/// What is in the cache, the last used first, as JSON.
#[pyfunction]
pub fn cache_ls(py: Python<'_>) -> PyResult<String> {
    on_cache(py, None, |cache| {
        let entries = cache.ls()?;
        json(&entries.iter().map(listed).collect::<Vec<_>>())
    })
    .map(|found| found.unwrap_or_else(|| "[]".into()))
}

fn listed(entry: &Entry) -> Listed<'_> {
    let used = entry
        .used
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    Listed {
        file: &entry.file,
        size: entry.size,
        used,
        header: &entry.header,
    }
}

/// Checks the contents of all entries and removes what is damaged; what was found of each, as JSON.
#[pyfunction]
pub fn cache_verify(py: Python<'_>) -> PyResult<String> {
    on_cache(py, None, |cache| {
        let verdicts = cache.verify()?;
        json(&verdicts.iter().map(judged).collect::<Vec<_>>())
    })
    .map(|found| found.unwrap_or_else(|| "[]".into()))
}

fn judged(verdict: &Verdict) -> Judged<'_> {
    Judged {
        file: &verdict.file,
        problem: verdict.problem.as_deref(),
    }
}

/// Removes what no run will use, and what is over `cap` bytes, or over the settings' own cap; gives files and bytes.
#[pyfunction]
#[pyo3(signature = (cap = None))]
pub fn cache_prune(py: Python<'_>, cap: Option<u64>) -> PyResult<(u64, u64)> {
    let cleared = on_cache(py, cap, Cache::prune)?.unwrap_or_default();
    Ok((cleared.files, cleared.bytes))
}

/// Removes everything; gives files and bytes.
#[pyfunction]
pub fn cache_clear(py: Python<'_>) -> PyResult<(u64, u64)> {
    let cleared = on_cache(py, None, Cache::clear)?.unwrap_or_default();
    Ok((cleared.files, cleared.bytes))
}

/// Does `work` on the cache of the settings; `None` where its folder does not exist, which looking at it does not change.
fn on_cache<R: Send>(
    py: Python<'_>,
    cap: Option<u64>,
    work: impl FnOnce(&Cache) -> Result<R> + Send,
) -> PyResult<Option<R>> {
    let size = cap.unwrap_or(cache_options(py)?.size);
    let folder = cache_path(py)?
        .map(PathBuf::from)
        .filter(|folder| folder.exists());
    through(py, || {
        folder
            .map(|folder| work(&Cache::open(&folder, size)?))
            .transpose()
    })
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(
            Kind::Internal,
            format!("what was found cannot be written down: {error}"),
        )
    })
}

/// The names of the targets of `precompile`.
#[pyfunction]
pub fn targets() -> Vec<&'static str> {
    TARGETS.to_vec()
}

/// The names of the engine modes.
#[pyfunction]
pub fn modes() -> Vec<&'static str> {
    Mode::ALL.iter().map(|mode| mode.name()).collect()
}

/// Compiles the file at `path` for `target`, or for this machine; gives the bytes of a `.cwasm` file.
///
/// While it takes over a second `progress` is called with the seconds so far. Bounds are those of `limits`, or of the settings.
/// What is large is compiled `apart`, in a process that can be ended; a process that ends with the work needs no other.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
#[pyo3(signature = (path, *, target = None, mode = "plain", limits = None, progress = None, apart = true))]
pub fn precompile_file<'py>(
    py: Python<'py>,
    path: PathBuf,
    target: Option<String>,
    mode: &str,
    limits: Option<&Limits>,
    progress: Option<Py<PyAny>>,
    apart: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let mode = Mode::from_name(mode).ok_or_else(|| raise(py, no_mode(mode)))?;
    let limits = match limits {
        Some(limits) => limits.inner.clone(),
        None => ambient(py)?.0.limits,
    };
    let child = if apart { loading::compiler_child(py)? } else { None };
    let question = door::question(py)?;
    let file = through(py, || {
        let stopped = RefCell::new(None);
        let show = |now: wherry_engine::compile::Progress| {
            if let Some(progress) = &progress {
                // That nobody can be told is no reason to fail.
                let _ = Python::attach(|py| progress.call1(py, (now.elapsed.as_secs_f64(),)));
            }
        };
        let options = LoadOptions {
            mode,
            target,
            child,
            progress: Some(&show),
            interrupted: &|| match question.as_ref().map_or(Ok(()), |question| question()) {
                Ok(()) => false,
                Err(error) => {
                    stopped.replace(Some(error));
                    true
                }
            },
            ..LoadOptions::default().within(&limits)
        };
        precompile(Source::Path(path), &options).map_err(|error| stopped.take().unwrap_or(error))
    })?;
    Ok(PyBytes::new(py, &file))
}

fn no_mode(name: &str) -> Error {
    let names: Vec<_> = Mode::ALL
        .iter()
        .map(|mode| format!("`{}`", mode.name()))
        .collect();
    Error::new(Kind::Usage, format!("there is no mode `{name}`"))
        .with_hint(format!("one of {}", names.join(", ")))
}
