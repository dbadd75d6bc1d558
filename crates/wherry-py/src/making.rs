//! Interfaces become bindings, and core modules components, for `wherry.build`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use wherry_engine::error::{Error, Kind};
use wherry_tools::bindings::{self, Language};
use wherry_tools::componentize as component;
use wherry_tools::docs;
use wherry_tools::exports;
use wherry_tools::prepared;
use wherry_tools::source::Source;
use wherry_tools::wasi;

use crate::errors::raise;

/// The name of the world in `wit`, a file or folder, that is built.
#[pyfunction]
#[pyo3(signature = (wit, world = None))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn world_name(py: Python<'_>, wit: PathBuf, world: Option<String>) -> PyResult<String> {
    py.detach(|| Source::read(&wit, world.as_deref()).map(|source| source.name().to_owned()))
        .map_err(|error| raise(py, refused(&error)))
}

/// The source that a guest in `language` is compiled against, each file by its name.
#[pyfunction]
#[pyo3(signature = (wit, language, world = None))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn generate_bindings(
    py: Python<'_>,
    wit: PathBuf,
    language: &str,
    world: Option<String>,
) -> PyResult<BTreeMap<String, Vec<u8>>> {
    let generate = || {
        let language = Language::named(language).ok_or_else(|| {
            Error::new(
                Kind::Usage,
                format!("no bindings are generated for `{language}` here"),
            )
        })?;
        let source = Source::read(&wit, world.as_deref()).map_err(|error| refused(&error))?;
        let files = bindings::generate(source, language).map_err(|error| refused(&error))?;
        Ok(files.into_iter().collect())
    };
    py.detach(generate).map_err(|error: Error| raise(py, error))
}

/// The module of Go that generated Go imports, each file by its name.
#[pyfunction]
pub fn go_module() -> BTreeMap<&'static str, &'static str> {
    bindings::GO_MODULE.iter().copied().collect()
}

/// The component of the core module in `data`; with `wit` the types of its world are put into it first.
#[pyfunction]
#[pyo3(signature = (data, wit = None, world = None))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn componentize(
    py: Python<'_>,
    data: PyBackedBytes,
    wit: Option<PathBuf>,
    world: Option<String>,
) -> PyResult<Vec<u8>> {
    let make = || {
        let source = wit.map(|wit| Source::read(&wit, world.as_deref())).transpose()?;
        component::componentize(&data, source.as_ref())
    };
    py.detach(make).map_err(|error| raise(py, refused(&error)))
}

/// The component in `data` with the core modules that it links among themselves as one.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn fuse(py: Python<'_>, data: PyBackedBytes) -> PyResult<Vec<u8>> {
    py.detach(|| prepared::fuse(&data))
        .map_err(|reason| raise(py, Error::new(Kind::Unsupported, reason.to_string())))
}

/// The component in `data` with constant expressions that calculate as numbers, where they can be known.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn settle(py: Python<'_>, data: PyBackedBytes) -> PyResult<Vec<u8>> {
    py.detach(|| prepared::settle(&data))
        .map_err(|reason| raise(py, Error::new(Kind::Unsupported, reason.to_string())))
}

/// Number, pages and bytes of what a memory holds at first.
type Image = (u32, u64, Vec<u8>);

/// The prepared form of the component in `data`, and of each memory that has an image its number, its pages and its bytes.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn prepare(py: Python<'_>, data: PyBackedBytes) -> PyResult<(Vec<u8>, Vec<Image>)> {
    let made = py.detach(|| prepared::prepare(&data));
    let made = made.map_err(|reason| raise(py, Error::new(Kind::Unsupported, reason.to_string())))?;
    let images = made
        .images
        .into_iter()
        .map(|image| (image.memory, image.pages, image.bytes));
    Ok((made.component, images.collect()))
}

/// The component in `data` without the exports that its world in `wit` does not name.
#[pyfunction]
#[pyo3(signature = (data, wit, world = None))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn without_other_exports(
    py: Python<'_>,
    data: PyBackedBytes,
    wit: PathBuf,
    world: Option<String>,
) -> PyResult<Vec<u8>> {
    py.detach(|| exports::only_those_of(&data, &Source::read(&wit, world.as_deref())?))
        .map_err(|error| raise(py, refused(&error)))
}

/// The component in `data` with what the interfaces in `wit` say of themselves, for bindings to it.
#[pyfunction]
#[pyo3(signature = (data, wit, world = None))]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn with_docs(
    py: Python<'_>,
    data: PyBackedBytes,
    wit: PathBuf,
    world: Option<String>,
) -> PyResult<Vec<u8>> {
    py.detach(|| docs::embed(data.to_vec(), &Source::read(&wit, world.as_deref())?))
        .map_err(|error| raise(py, refused(&error)))
}

/// The interfaces of WASI 0.2, each package as a file of WIT by its name.
#[pyfunction]
pub fn wasi_interfaces(py: Python<'_>) -> PyResult<BTreeMap<String, String>> {
    py.detach(wasi::files)
        .map(|files| files.into_iter().collect())
        .map_err(|error| raise(py, refused(&error)))
}

fn refused(error: &wherry_tools::Error) -> Error {
    use wherry_tools::Error as E;
    let kind = match error {
        E::Invalid(_) | E::Inexpressible(_) => Kind::Invalid,
        E::TooLarge(_) => Kind::TooLarge,
        E::Interface(_) => Kind::Interface,
    };
    Error::new(kind, error.to_string())
}
