//! The flag table and the settings, for the command line in Python.
//!
//! Python draws help, completion and `wherry config explain` from what is here; it parses no flag of
//! `wherry run` itself.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use wherry_engine::environment::{self, Environment};
use wherry_engine::flags::{self as table, FLAGS};
use wherry_engine::settings::{self, Origin};
use wherry_engine::{arguments, launch, limits, machine};

use crate::errors::raise;

/// One row of the flag table.
#[pyclass(frozen, get_all, module = "wherry._native")]
pub struct Flag {
    name: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    choices: Vec<&'static str>,
    help: &'static str,
    variable: Option<&'static str>,
    default: Option<&'static str>,
    group: &'static str,
    repeatable: bool,
}

impl From<&'static table::Flag> for Flag {
    fn from(flag: &'static table::Flag) -> Self {
        Self {
            name: flag.name,
            short: flag.short,
            value: flag.value,
            choices: flag.choices.to_vec(),
            help: flag.help,
            variable: flag.variable,
            default: flag.default,
            group: flag.group.title(),
            repeatable: flag.repeatable,
        }
    }
}

/// One setting, its value as it was written, and where it came from.
#[pyclass(frozen, get_all, module = "wherry._native")]
pub struct Setting {
    name: &'static str,
    value: Option<String>,
    origin: String,
    variable: Option<&'static str>,
}

impl From<settings::Setting> for Setting {
    fn from(setting: settings::Setting) -> Self {
        Self {
            name: setting.flag.name,
            value: setting.value,
            origin: setting.origin.to_string(),
            variable: setting.flag.variable,
        }
    }
}

/// The flags of every command that runs guests, in the order of help.
#[pyfunction]
pub fn flags() -> Vec<Flag> {
    FLAGS.iter().map(Flag::from).collect()
}

/// Every setting that may come from a variable or a file: what holds here and now, and why.
#[pyfunction]
pub fn explain_settings(py: Python<'_>) -> PyResult<Vec<Setting>> {
    let settings = Environment::of_process().and_then(|environment| settings::explain(&environment));
    Ok(settings
        .map_err(|error| raise(py, error))?
        .into_iter()
        .map(Setting::from)
        .collect())
}

/// The paths of the project's and the user's settings file, whether they exist or not.
#[pyfunction]
pub fn settings_files(py: Python<'_>) -> PyResult<(OsString, Option<OsString>)> {
    let environment = Environment::of_process().map_err(|error| raise(py, error))?;
    Ok((
        environment.project_file().into(),
        environment.user_file().map(OsString::from),
    ))
}

/// What a variable or a file says of one setting; `None` when nothing does.
#[pyfunction]
pub fn setting(py: Python<'_>, name: &str) -> PyResult<Option<String>> {
    let settings = Environment::of_process().and_then(|environment| settings::explain(&environment));
    let settings = settings.map_err(|error| raise(py, error))?;
    let found = settings
        .into_iter()
        .find(|setting| setting.flag.name == name && setting.origin != Origin::Default);
    Ok(found.and_then(|setting| setting.value))
}

/// Whether a switch stands before FILE in the words after `wherry run`, which may be wrong otherwise.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "what Python hands over is owned")]
pub fn run_has_flag(words: Vec<OsString>, name: &str) -> bool {
    arguments::has_flag(&words, name)
}

/// Where FILE is among the words after `wherry run`; `None` where there is none, or the flags before it are wrong.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "what Python hands over is owned")]
pub fn run_file_index(words: Vec<OsString>) -> Option<usize> {
    let found = arguments::divide(&words).ok()?;
    (!found.rest.is_empty()).then(|| words.len() - found.rest.len())
}

/// The words that the name of a package stands for, where the store has a note of it.
#[pyfunction]
#[pyo3(signature = (name, store = None))]
pub fn run_noted(name: &str, store: Option<PathBuf>) -> Option<Vec<String>> {
    let store = store.unwrap_or_else(|| launch::store_folder(&|name| std::env::var_os(name)));
    launch::noted(&store, name)
}

/// Where the store is, unless somebody names another folder.
#[pyfunction]
pub fn store_folder() -> OsString {
    launch::store_folder(&|name| std::env::var_os(name)).into_os_string()
}

/// Whether nobody but this user and root can write what the store in a folder says that was agreed to.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn is_witness(store: PathBuf) -> bool {
    launch::is_witness(&store)
}

/// Whether a variable or a file asks for traces of errors, even where other settings are wrong.
#[pyfunction]
pub fn debug_wanted() -> bool {
    Environment::of_process().is_ok_and(|environment| settings::debug_wanted(&environment))
}

/// Reads a number of bytes such as `256MiB`.
#[pyfunction]
pub fn parse_size(py: Python<'_>, text: &str) -> PyResult<u64> {
    limits::size(text).map_err(|error| raise(py, error))
}

/// Reads a duration such as `1m30s`, in seconds.
#[pyfunction]
pub fn parse_duration(py: Python<'_>, text: &str) -> PyResult<f64> {
    limits::duration(text)
        .map(|duration| duration.as_secs_f64())
        .map_err(|error| raise(py, error))
}

/// Lets a closed pipe end this process, as it ends any program of a shell.
#[pyfunction]
pub fn end_on_closed_pipe() {
    environment::end_on_closed_pipe();
}

/// The versions of Wherry and of the engine underneath, and what they run on: `(wherry, wasmtime, target, features)`.
#[pyfunction]
pub fn about() -> (&'static str, &'static str, String, Vec<&'static str>) {
    (
        machine::VERSION,
        machine::WASMTIME,
        machine::target(),
        machine::features(),
    )
}
