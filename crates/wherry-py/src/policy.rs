//! `wherry.Policy`: what a guest is granted, as one frozen value.
//!
//! The names of its arguments and attributes are those of the flags without `allow-`; texts are read by the same table of
//! flags as the command line: `--allow-net db:5432` is `Policy(net=["db:5432"])`. Start at [`ARGUMENTS`].

use crate::configuration::{from_file, hash_of, named};
use crate::errors::raise;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyMapping, PyMappingProxy, PyString, PyTuple};
use std::path::PathBuf;
use wherry_engine::determinism;
use wherry_engine::environment::Environment;
use wherry_engine::error::{Error, Kind};
use wherry_engine::flags::by_name;
use wherry_engine::limits::Limits;
use wherry_engine::options::Invocation;
use wherry_engine::policy::text::{command_line, said};
use wherry_engine::policy::{KeyValue, Policy as EnginePolicy, Randomness, Secret};

/// What an argument is given as.
#[derive(Clone, Copy)]
enum Form {
    /// One text, path or number.
    One,
    /// Texts.
    Many,
    /// A truth value.
    Switch,
    /// Folders: a mapping, or texts, paths and tuples of their parts.
    Folders,
    /// A mapping, or texts such as `NAME=VALUE`.
    Named,
    /// A mapping of names to values, or texts such as `NAME@FILE`.
    Secrets,
}

/// Each argument with the flag that reads it, and what it is given as.
const ARGUMENTS: [(&str, &str, Form); 15] = [
    ("dirs", "dir", Form::Folders),
    ("env", "env", Form::Named),
    ("env_file", "env-file", Form::One),
    ("workdir", "workdir", Form::One),
    ("net", "allow-net", Form::Many),
    ("http", "allow-http", Form::Many),
    ("listen", "allow-listen", Form::Many),
    ("dns", "allow-dns", Form::Switch),
    ("resolver", "resolver", Form::One),
    ("config", "config", Form::Named),
    ("secrets", "secret", Form::Secrets),
    ("kv", "kv", Form::One),
    ("clock", "clock", Form::One),
    ("random", "random", Form::One),
    ("deterministic", "deterministic", Form::Switch),
];

/// What a guest is granted. The default is nothing beyond clocks, randomness and stores in memory.
#[pyclass(frozen, module = "wherry")]
pub struct Policy {
    pub inner: EnginePolicy,
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(
        signature = (**grants),
        text_signature = "(*, dirs=None, env=None, env_file=None, workdir=None, net=None, http=None, listen=None, \
                          dns=False, resolver=None, config=None, secrets=None, kv=None, clock=None, random=None, \
                          deterministic=False)"
    )]
    fn new(py: Python<'_>, grants: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let environment = Environment::of_process().map_err(|error| raise(py, error))?;
        let mut run = Invocation::default();
        for (name, value) in grants.into_iter().flat_map(PyDictMethods::iter) {
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            let (name, flag, form) = argument(&name)?;
            if value.is_none() {
                continue;
            }
            for text in texts(name, form, &value, &mut run.policy)? {
                let set = by_name(flag).map_or(Ok(()), |flag| (flag.set)(&mut run, &text, &environment));
                set.map_err(|error| raise(py, named(name, &error)))?;
            }
        }
        Self::checked(py, run.policy)
    }

    /// Reads the grants of a policy file, as `--policy FILE` does; paths in it start beside it. `text` is a part of the file to
    /// read in its place.
    #[staticmethod]
    #[pyo3(signature = (path, text=None))]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
    fn from_toml(py: Python<'_>, path: PathBuf, text: Option<&str>) -> PyResult<Self> {
        let environment = Environment::of_process().map_err(|error| raise(py, error))?;
        let mut run = Invocation::default();
        from_file(&mut run, &path, text, &environment).map_err(|error| raise(py, error))?;
        Self::checked(py, run.policy)
    }

    /// This policy with some of its grants replaced.
    #[pyo3(signature = (**grants), text_signature = "($self, **grants)")]
    fn replace(&self, py: Python<'_>, grants: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let Self { inner: said } = Self::new(py, grants)?;
        let mut inner = self.inner.clone();
        for (name, _) in grants.into_iter().flat_map(PyDictMethods::iter) {
            take(&mut inner, &said, name.cast::<PyString>()?.to_str()?);
        }
        Self::checked(py, inner)
    }

    /// For `copy.replace`.
    #[pyo3(signature = (**grants), text_signature = "($self, /, **grants)")]
    fn __replace__(&self, py: Python<'_>, grants: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        self.replace(py, grants)
    }

    /// What either of two policies grants. Where both say something of one name, the right one's holds.
    fn __or__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        Self::checked(py, both(self.inner.clone(), &other.inner))
    }

    /// Folders, each as `HOST::GUEST` or `HOST::GUEST:ro`.
    #[getter]
    fn dirs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.dirs.iter().map(ToString::to_string))
    }

    /// Environment variables by their names.
    #[getter]
    fn env<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        mapping(py, &self.inner.env)
    }

    /// The folder that the guest starts in, as the guest calls it.
    #[getter]
    fn workdir(&self) -> Option<&str> {
        self.inner.workdir.as_deref()
    }

    /// Where the guest may connect to, each as `HOST:PORT`.
    #[getter]
    fn net<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.net.iter().map(ToString::to_string))
    }

    /// Where the guest may send requests to, each as `[METHOD ]URL`.
    #[getter]
    fn http<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.http.iter().map(ToString::to_string))
    }

    /// Where the guest may accept connections, each as `ADDR:PORT`.
    #[getter]
    fn listen<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.listen.iter().map(ToString::to_string))
    }

    /// Whether the guest may look up any name.
    #[getter]
    fn dns(&self) -> bool {
        self.inner.dns
    }

    /// The server that is asked for addresses of names; `None` is the system.
    #[getter]
    fn resolver(&self) -> Option<String> {
        self.inner.resolver.map(|server| server.to_string())
    }

    /// What the guest's configuration answers, by name.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        mapping(py, &self.inner.config)
    }

    /// The names of secrets; nothing shows their values.
    #[getter]
    fn secrets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.secrets.iter().map(|(name, _)| name))
    }

    /// The file that keeps what the guest stores; `None` is memory.
    #[getter]
    fn kv(&self) -> Option<String> {
        match &self.inner.kv {
            KeyValue::Sqlite(path) => Some(path.display().to_string()),
            KeyValue::Memory => None,
        }
    }

    /// The guest's clocks: `host`, `none`, or when a virtual one begins.
    #[getter]
    fn clock(&self) -> String {
        self.inner.clock().to_string()
    }

    /// The source of the guest's randomness: `host`, `none` or a seed.
    #[getter]
    fn random(&self) -> Random {
        match self.inner.randomness() {
            Randomness::Seeded(seed) => Random::Seed(seed),
            other => Random::Named(other.to_string()),
        }
    }

    /// Whether the guest sees nothing that differs from one run or machine to the next.
    #[getter]
    fn deterministic(&self) -> bool {
        self.inner.deterministic
    }

    /// The command line that means the same, but for the values of variables, which may be secrets: names are not.
    fn __str__(&self) -> String {
        let limits = Limits::terminal();
        let mut said = said(&self.inner, &limits, &limits);
        for grant in said.iter_mut().filter(|grant| grant.flag == "env") {
            grant
                .value
                .truncate(grant.value.find('=').unwrap_or(grant.value.len()));
        }
        command_line(&said)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let plain = Bound::new(
            py,
            Self {
                inner: EnginePolicy::default(),
            },
        )?;
        let mut shown = Vec::new();
        for (name, _, form) in ARGUMENTS {
            let Some(value) = slf.getattr_opt(name)? else {
                continue;
            };
            let unsaid = match name {
                "clock" | "random" => slf.get().unsaid(name),
                _ => value.eq(plain.getattr(name)?)?,
            };
            if unsaid {
                continue;
            }
            // Values of variables may be secrets; names are not.
            let value = match form {
                Form::Named => PyTuple::new(py, value.cast::<PyMapping>()?.keys()?)?.into_any(),
                _ => value,
            };
            shown.push(format!("{name}={}", value.repr()?));
        }
        Ok(format!("Policy({})", shown.join(", ")))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Policy>()
            .is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.inner)
    }

    /// What pickling and copying make it from again. The values of secrets are in it: a pickle is for other processes of the
    /// same program.
    fn __getnewargs_ex__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let py = slf.py();
        let grants = PyDict::new(py);
        for (name, ..) in ARGUMENTS {
            match slf.getattr_opt(name)? {
                Some(value) if !slf.get().unsaid(name) => grants.set_item(name, value)?,
                _ => {}
            }
        }
        let inner = &slf.get().inner;
        grants.set_item("env", pairs(py, &inner.env)?)?;
        grants.set_item("config", pairs(py, &inner.config)?)?;
        let secrets = inner.secrets.iter().map(|(name, secret)| match secret.file() {
            Some(file) => format!("{name}@{}", file.display()).into_bound_py_any(py),
            None => (name, secret.reveal()).into_bound_py_any(py),
        });
        grants.set_item("secrets", secrets.collect::<PyResult<Vec<_>>>()?)?;
        Ok((PyTuple::empty(py), grants))
    }
}

impl Policy {
    /// A policy that does not contradict itself.
    fn checked(py: Python<'_>, inner: EnginePolicy) -> PyResult<Self> {
        determinism::check(&inner).map_err(|error| raise(py, error))?;
        Ok(Self { inner })
    }

    /// Whether an argument was not given, where its attribute says what holds without it as well.
    fn unsaid(&self, name: &str) -> bool {
        match name {
            "clock" => self.inner.clock.is_none(),
            "random" => self.inner.random.is_none(),
            _ => false,
        }
    }
}

/// A source of randomness as an argument has it.
#[derive(IntoPyObject)]
enum Random {
    Named(String),
    Seed(u64),
}

/// The row of [`ARGUMENTS`] for a name.
fn argument(name: &str) -> PyResult<(&'static str, &'static str, Form)> {
    let mut rows = ARGUMENTS.into_iter();
    rows.find(|(known, ..)| *known == name).ok_or_else(|| {
        let known = ARGUMENTS.map(|(known, ..)| known).join(", ");
        PyTypeError::new_err(format!("there is no grant `{name}`; there are {known}"))
    })
}

/// What the flag of an argument is given, once for each text. Values of secrets go into the policy without it.
fn texts(
    name: &str,
    form: Form,
    value: &Bound<'_, PyAny>,
    policy: &mut EnginePolicy,
) -> PyResult<Vec<String>> {
    let one = |value: &Bound<'_, PyAny>| -> PyResult<String> { Ok(plain(value)?.to_str()?.to_owned()) };
    match form {
        Form::One => Ok(vec![one(value)?]),
        Form::Switch => Ok(vec![value.cast::<PyBool>()?.is_true().to_string()]),
        Form::Folders => pairs_or_items(name, value)?.iter().map(dir_text).collect(),
        Form::Many => items(name, value)?.iter().map(one).collect(),
        Form::Named | Form::Secrets => named_texts(name, form, value, policy),
    }
}

/// The same for names with values: from a mapping, or from a list of texts and of pairs.
fn named_texts(
    name: &str,
    form: Form,
    value: &Bound<'_, PyAny>,
    policy: &mut EnginePolicy,
) -> PyResult<Vec<String>> {
    let mut texts = Vec::new();
    for item in pairs_or_items(name, value)? {
        if item.is_instance_of::<PyString>() {
            texts.push(item.extract()?);
            continue;
        }
        let Ok((key, value)) = item.extract::<(String, String)>() else {
            let error = Error::new(Kind::Usage, format!("`{name}`: names and values are strings"));
            let hint = format!("such as `{name}={{\"LEVEL\": \"3\"}}`, or `{name}=[\"LEVEL=3\"]`");
            return Err(raise(item.py(), error.with_hint(hint)));
        };
        if key.is_empty() || key.contains('=') {
            let error = Error::new(Kind::Usage, format!("`{name}`: `{key}` is not a name"));
            return Err(raise(item.py(), error));
        }
        match form {
            Form::Secrets => policy
                .add_secret(&key, Secret::new(value))
                .map_err(|error| raise(item.py(), named(name, &error)))?,
            _ => texts.push(format!("{key}={value}")),
        }
    }
    Ok(texts)
}

/// The pairs of a mapping, or the items of a list.
fn pairs_or_items<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match value.cast::<PyMapping>() {
        Ok(mapping) => Ok(mapping.items()?.iter().collect()),
        Err(_) => items(name, value),
    }
}

/// The items of a list. One text is not a list of its letters.
fn items<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if value.is_instance_of::<PyString>() {
        let error = Error::new(Kind::Usage, format!("`{name}` is a list"));
        let hint = format!("put the text into one: `{name}=[...]`");
        return Err(raise(value.py(), error.with_hint(hint)));
    }
    value.try_iter()?.collect()
}

/// A text, the text of a path, or a number as text.
fn plain<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    match value.extract::<u64>() {
        Ok(_) => value.str(),
        Err(_) => path(value),
    }
}

fn path<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let path = value.py().import("os")?.call_method1("fspath", (value,))?;
    Ok(path.cast_into::<PyString>()?)
}

/// A folder as `HOST[::GUEST][:ro]`, from such a string, a path, or a tuple of its parts.
fn dir_text(dir: &Bound<'_, PyAny>) -> PyResult<String> {
    let part = |part: &Bound<'_, PyAny>| -> PyResult<String> { Ok(path(part)?.to_str()?.to_owned()) };
    let Ok(parts) = dir.cast::<PyTuple>() else {
        return part(dir);
    };
    let parts = parts
        .iter()
        .map(|found| part(&found))
        .collect::<PyResult<Vec<_>>>()?;
    if let Some(guest) = parts.get(1).filter(|guest| guest.contains("::")) {
        let message = format!("`dirs`: a guest has no folder `{guest}`");
        let hint = "two colons divide the host's path from the guest's: leave them out of the guest's";
        return Err(raise(dir.py(), Error::new(Kind::Usage, message).with_hint(hint)));
    }
    match parts.as_slice() {
        [host, guest] => Ok(format!("{host}::{guest}")),
        [host, guest, mode] if mode == "ro" => Ok(format!("{host}::{guest}:ro")),
        // Not the end of the grant, but of the name.
        [host, guest, mode] if mode == "rw" && guest.ends_with(":ro") => Ok(format!("{host}::{guest}/")),
        [host, guest, mode] if mode == "rw" => Ok(format!("{host}::{guest}")),
        _ => Err(PyTypeError::new_err(
            "a folder is `HOST[::GUEST][:ro]`, (HOST, GUEST) or (HOST, GUEST, 'ro')",
        )),
    }
}

/// Takes what `said` has for one argument.
fn take(policy: &mut EnginePolicy, said: &EnginePolicy, name: &str) {
    match name {
        "dirs" => policy.dirs.clone_from(&said.dirs),
        "env" | "env_file" => policy.env.clone_from(&said.env),
        "workdir" => policy.workdir.clone_from(&said.workdir),
        "net" => policy.net.clone_from(&said.net),
        "http" => policy.http.clone_from(&said.http),
        "listen" => policy.listen.clone_from(&said.listen),
        "dns" => policy.dns = said.dns,
        "resolver" => policy.resolver = said.resolver,
        "config" => policy.config.clone_from(&said.config),
        "secrets" => policy.secrets.clone_from(&said.secrets),
        "kv" => policy.kv.clone_from(&said.kv),
        "clock" => policy.clock = said.clock,
        "random" => policy.random = said.random,
        "deterministic" => policy.deterministic = said.deterministic,
        _ => {}
    }
}

/// What either of two policies grants.
fn both(mut left: EnginePolicy, right: &EnginePolicy) -> EnginePolicy {
    fn add<T: Clone>(left: &mut Vec<T>, right: &[T], same: impl Fn(&T, &T) -> bool) {
        left.retain(|one| !right.iter().any(|other| same(one, other)));
        left.extend_from_slice(right);
    }
    fn choose<T: Clone + Default + PartialEq>(left: &mut T, right: &T) {
        if *right != T::default() {
            left.clone_from(right);
        }
    }
    add(&mut left.dirs, &right.dirs, |one, other| one.guest == other.guest);
    add(&mut left.env, &right.env, |one, other| one.0 == other.0);
    add(&mut left.net, &right.net, PartialEq::eq);
    add(&mut left.http, &right.http, PartialEq::eq);
    add(&mut left.listen, &right.listen, PartialEq::eq);
    add(&mut left.config, &right.config, |one, other| one.0 == other.0);
    add(&mut left.secrets, &right.secrets, |one, other| one.0 == other.0);
    choose(&mut left.workdir, &right.workdir);
    choose(&mut left.dns, &right.dns);
    choose(&mut left.resolver, &right.resolver);
    choose(&mut left.kv, &right.kv);
    choose(&mut left.clock, &right.clock);
    choose(&mut left.random, &right.random);
    choose(&mut left.deterministic, &right.deterministic);
    left
}

fn pairs<'py>(py: Python<'py>, pairs: &[(String, String)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in pairs {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

/// Names and values that cannot be changed.
fn mapping<'py>(py: Python<'py>, values: &[(String, String)]) -> PyResult<Bound<'py, PyMappingProxy>> {
    Ok(PyMappingProxy::new(py, pairs(py, values)?.as_mapping()))
}
