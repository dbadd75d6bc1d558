//! `Policy` and `Limits`: what crosses into the engine as one frozen object each.
//!
//! Both are read by the same table of flags as the command line (`wherry_engine::flags`), so that a name means the same in
//! both places: `--max-output 1MiB` is `Limits(output="1MiB")`.

use crate::errors::raise;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};
use wherry_engine::environment::Environment;
use wherry_engine::error::{Error, Kind};
use wherry_engine::flags::{FLAGS, Flag, Group, by_name};
use wherry_engine::limits::Limits as EngineLimits;
use wherry_engine::options::{CacheOptions, Invocation};
use wherry_engine::policy::Policy as EnginePolicy;
use wherry_engine::settings;

/// Variables and settings files, as they are now.
pub fn ambient(py: Python<'_>) -> PyResult<(Invocation, Environment)> {
    let environment = Environment::of_process().map_err(|error| raise(py, error))?;
    let ambient = settings::ambient(&environment).map_err(|error| raise(py, error))?;
    Ok((ambient, environment))
}

/// Where compiled code is kept.
pub fn cache_options(py: Python<'_>) -> PyResult<CacheOptions> {
    Ok(ambient(py)?.0.cache)
}

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
        text_signature = "(*, memory=..., timeout=..., fuel=..., output=..., stack=..., handles=..., instances=..., \
                          tables=..., functions=..., body=..., nesting=..., size=...)"
    )]
    fn new(py: Python<'_>, limits: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let (mut ambient, environment) = ambient(py)?;
        // A guest inside a program has tighter defaults than one in a terminal; what was said of either holds.
        let terminal = EngineLimits::terminal();
        let embedded = EngineLimits::embedded();
        if ambient.limits.timeout == terminal.timeout {
            ambient.limits.timeout = embedded.timeout;
        }
        if ambient.limits.output == terminal.output {
            ambient.limits.output = embedded.output;
        }
        for (name, value) in limits.into_iter().flat_map(PyDictMethods::iter) {
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            let flag = limit_flag(&name)?;
            let text = if value.is_none() {
                "none".to_owned()
            } else {
                value.str()?.to_str()?.to_owned()
            };
            (flag.set)(&mut ambient, &text, &environment).map_err(|error| raise(py, named(&name, &error)))?;
        }
        Ok(Self {
            inner: ambient.limits,
        })
    }

    fn __repr__(&self) -> String {
        let limits = &self.inner;
        let option = |value: Option<u64>| value.map_or_else(|| "None".to_owned(), |value| value.to_string());
        let timeout = limits
            .timeout
            .map_or_else(|| "None".to_owned(), |time| time.as_secs_f64().to_string());
        format!(
            "Limits(memory={}, timeout={timeout}, fuel={}, output={}, stack={}, handles={})",
            limits.memory,
            option(limits.fuel),
            option(limits.output),
            limits.stack,
            limits.handles,
        )
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Limits>()
            .is_ok_and(|other| other.get().inner == self.inner)
    }
}

/// The row of the flag table for a limit: by its own name or behind `max-`.
fn limit_flag(name: &str) -> PyResult<&'static Flag> {
    let flag = name.replace('_', "-");
    let found = by_name(&flag).or_else(|| by_name(&format!("max-{flag}")));
    found.filter(|flag| flag.group == Group::Limits).ok_or_else(|| {
        let known = FLAGS.iter().filter(|flag| flag.group == Group::Limits);
        let known: Vec<String> = known
            .map(|flag| flag.name.trim_start_matches("max-").replace('-', "_"))
            .collect();
        PyTypeError::new_err(format!(
            "there is no limit `{name}`; there are {}",
            known.join(", ")
        ))
    })
}

/// The same error with the name of the argument in front.
fn named(name: &str, error: &Error) -> Error {
    let renamed = Error::new(error.kind(), format!("`{name}`: {}", error.message()));
    match error.hint() {
        Some(hint) => renamed.with_hint(hint),
        None => renamed,
    }
}

/// What a guest is granted. The default is nothing.
#[pyclass(frozen, module = "wherry")]
pub struct Policy {
    pub inner: EnginePolicy,
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (*, dirs = None, env = None, workdir = None))]
    fn new(
        py: Python<'_>,
        dirs: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyAny>>,
        workdir: Option<String>,
    ) -> PyResult<Self> {
        let environment = Environment::of_process().map_err(|error| raise(py, error))?;
        let mut inner = EnginePolicy {
            workdir,
            ..EnginePolicy::default()
        };
        if let Some(dirs) = dirs {
            for dir in dirs.try_iter()? {
                let text = dir_text(&dir?)?;
                inner
                    .grant_dir(&text, &environment)
                    .map_err(|error| raise(py, error))?;
            }
        }
        if let Some(env) = env {
            grant_env(&mut inner, env, &environment)?;
        }
        Ok(Self { inner })
    }

    fn __repr__(&self) -> String {
        let dirs = self.inner.dirs.iter().map(|dir| {
            format!(
                "'{}::{}{}'",
                dir.host.display(),
                dir.guest,
                if dir.read_only { ":ro" } else { "" }
            )
        });
        // Values of variables may be secrets; names are not.
        let env = self.inner.env.iter().map(|(name, _)| format!("'{name}'"));
        format!(
            "Policy(dirs=[{}], env=[{}])",
            dirs.collect::<Vec<_>>().join(", "),
            env.collect::<Vec<_>>().join(", ")
        )
    }
}

/// A folder as `HOST[::GUEST][:ro]`, from such a string, a path, or a tuple of its parts.
fn dir_text(dir: &Bound<'_, PyAny>) -> PyResult<String> {
    let path = |part: &Bound<'_, PyAny>| -> PyResult<String> {
        let path = part.py().import("os")?.call_method1("fspath", (part,))?;
        Ok(path.cast::<PyString>()?.to_str()?.to_owned())
    };
    let Ok(parts) = dir.cast::<PyTuple>() else {
        return path(dir);
    };
    let parts = parts
        .iter()
        .map(|part| path(&part))
        .collect::<PyResult<Vec<_>>>()?;
    match parts.as_slice() {
        [host, guest] => Ok(format!("{host}::{guest}")),
        [host, guest, mode] if mode == "ro" => Ok(format!("{host}::{guest}:ro")),
        [host, guest, mode] if mode == "rw" => Ok(format!("{host}::{guest}")),
        _ => Err(PyTypeError::new_err(
            "a folder is `HOST[::GUEST][:ro]`, (HOST, GUEST) or (HOST, GUEST, 'ro')",
        )),
    }
}

fn grant_env(policy: &mut EnginePolicy, env: &Bound<'_, PyAny>, environment: &Environment) -> PyResult<()> {
    let py = env.py();
    if let Ok(mapping) = env.cast::<PyMapping>() {
        for item in mapping.items()?.iter() {
            let (name, value): (String, String) = item.extract()?;
            policy.add_env(&name, value).map_err(|error| raise(py, error))?;
        }
        return Ok(());
    }
    if env.is_instance_of::<PyString>() {
        let error = Error::new(
            Kind::Usage,
            "`env` is a mapping, or a list of `NAME` and `NAME=VALUE`",
        );
        return Err(raise(py, error));
    }
    for item in env.try_iter()? {
        let text: String = item?.extract()?;
        policy
            .grant_env(&text, environment)
            .map_err(|error| raise(py, error))?;
    }
    Ok(())
}
