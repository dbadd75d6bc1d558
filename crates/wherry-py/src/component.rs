//! A loaded program, as Python holds it: compiled once, instantiated again and again, from any thread.

use crate::door::{self, Patience, beside, through};
use crate::errors::raise;
use crate::home::Home;
use crate::instance::{Cell, Instance};
use crate::limits::Limits;
use crate::loading::{self, Wanted};
use crate::policy::Policy;
use crate::port::Python3;
use crate::stdio::Streams;
use crate::typed::{self, Given};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use wherry_engine::determinism;
use wherry_engine::exports::{Export, Import};
use wherry_engine::guest::Guest;
use wherry_engine::hosting::Host;
use wherry_engine::instance::Template;
use wherry_engine::limits::Limits as EngineLimits;
use wherry_engine::policy::Policy as EnginePolicy;
use wherry_engine::program::{Code, Program, Source};
use wherry_engine::run::command;
use wherry_engine::stdio::Stdio;
use wherry_engine::templates::{Choice, Templates};
use wherry_engine::values::{Context, TypeNames};
use wherry_engine::watch::{Cancel, Question};
use wherry_tools::model::{Model, TypeKind};

/// A program that was loaded. Private: `wherry.Component` wraps it.
#[pyclass(frozen, module = "wherry._native")]
pub struct Component {
    templates: Templates<Python3>,
    exports: Arc<Vec<Export>>,
    target: Option<String>,
    /// Classes of generated bindings, for templates that are made later too.
    classes: OnceLock<Vec<Given>>,
    /// What may be compiled, and how long that may take, for the modes that are asked for later.
    limits: EngineLimits,
}

/// An export or import as Python sees it: interface, name, parameters, whether it returns, whether it may fail.
type Entry = (Option<String>, String, Vec<String>);

#[pymethods]
impl Component {
    /// Loads from a path, or from bytes under a name for messages.
    #[new]
    #[pyo3(signature = (source, name, limits, *, precompiled = false, target = None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        name: String,
        limits: &Limits,
        precompiled: bool,
        target: Option<String>,
    ) -> PyResult<Self> {
        let source = match source.cast::<PyBytes>() {
            Ok(bytes) => Source::Bytes {
                bytes: bytes.as_bytes().to_vec(),
                name: name.clone(),
            },
            Err(_) => Source::Path(source.extract::<PathBuf>()?),
        };
        let limits = limits.inner.clone();
        let template = make(
            py,
            source,
            Choice::usual(),
            precompiled,
            target.clone(),
            name,
            &limits,
        )?;
        let exports = Arc::new(template.linked.surface.exports.clone());
        Ok(Self {
            templates: Templates::new(template),
            exports,
            classes: OnceLock::new(),
            target,
            limits,
        })
    }

    /// Has values of named types be objects of these classes, each with its kind, its name and the names of its members. To be
    /// called before the first call of a function.
    fn use_classes(&self, py: Python<'_>, classes: Vec<Given>) -> PyResult<()> {
        typed::prepare(py, &self.templates.usual.types, &classes)?;
        let _ = self.classes.set(classes);
        Ok(())
    }

    /// Makes one fresh sandbox. Without `streams` it writes where this process does, and reads nothing. `functions` are the host
    /// functions in the order of `imports()`. With `whole` the time limit holds for its start and all calls together.
    #[pyo3(signature = (policy, limits, streams, functions, *, whole = false))]
    fn instantiate(
        &self,
        py: Python<'_>,
        policy: &Policy,
        limits: &Limits,
        streams: Option<&Streams>,
        functions: Vec<Py<PyAny>>,
        whole: bool,
    ) -> PyResult<Instance> {
        let limits = &determinism::limits(&policy.inner, &limits.inner).map_err(|error| raise(py, error))?;
        let template = self.template(py, &policy.inner, limits)?;
        // The places of exports are those of one compiled component and no other.
        let exports = if Arc::ptr_eq(&template, &self.templates.usual) {
            Arc::clone(&self.exports)
        } else {
            Arc::new(template.linked.surface.exports.clone())
        };
        let (arguments, stdio) = match streams {
            Some(streams) => (streams.arguments.clone(), streams.take(py)?),
            None => (vec![template.linked.program.name.clone()], Stdio::outputs()),
        };
        let calls = !functions.is_empty() || template.linked.surface.feeds;
        let patience = Patience::of(&policy.inner, limits, calls);
        let home = Arc::new(Home::new(Arc::clone(&exports)));
        let context = Arc::new(Context::new(Arc::clone(&template.types), Arc::clone(&home)));
        let host = Arc::new(Host { functions, context });
        let start = {
            let (template, host) = (Arc::clone(&template), Arc::clone(&host));
            let (policy, limits) = (policy.inner.clone(), limits.clone());
            move |question: Option<Question>, cancel: Cancel| {
                let guest = if patience.is_some() {
                    Guest::apart
                } else {
                    Guest::new
                };
                let mut guest = guest(&policy, &limits, &arguments, stdio)?;
                guest.watch.question = question;
                guest.watch.cancel = cancel;
                guest.watch.whole = whole;
                template.instantiate(guest, &limits, host)
            }
        };
        let mut instance = match patience {
            None => {
                let question = door::question(py)?;
                through(py, || start(question, Cancel::default()))
            }
            Some(patience) => {
                let cancel = Cancel::default();
                let theirs = cancel.clone();
                beside(py, patience, cancel, move || start(None, theirs), || (), || ())
                    .map_err(|error| raise(py, error))
            }
        }?;
        let resources = instance.resources(&template.linked);
        let cell = Arc::new(Cell::new(instance, patience));
        home.settle(&cell, resources);
        Ok(Instance { cell, exports, host })
    }

    /// Has code ready for this policy and these limits: determinism, fuel and another stack need code of their own.
    fn prepare(&self, py: Python<'_>, policy: &Policy, limits: &Limits) -> PyResult<()> {
        let limits = determinism::limits(&policy.inner, &limits.inner).map_err(|error| raise(py, error))?;
        self.template(py, &policy.inner, &limits).map(drop)
    }

    /// What can be called: interface, name in WIT, parameters.
    fn exports(&self) -> Vec<Entry> {
        self.exports
            .iter()
            .map(|export| {
                (
                    export.interface.clone(),
                    export.name.clone(),
                    export.params.clone(),
                )
            })
            .collect()
    }

    /// What has to be provided, WASI left out: interface, name in WIT, parameters.
    fn imports(&self) -> Vec<Entry> {
        let imports: &[Import] = self.templates.usual.imports();
        imports
            .iter()
            .map(|import| {
                (
                    import.interface.clone(),
                    import.name.clone(),
                    import.params.clone(),
                )
            })
            .collect()
    }

    /// The place in `exports()` of the function that a command starts with, which `entry` names if not the usual one.
    #[pyo3(signature = (entry = None))]
    fn entry_point(&self, py: Python<'_>, entry: Option<&str>) -> PyResult<usize> {
        let entry = command(&self.templates.usual.linked, entry).map_err(|error| raise(py, error))?;
        let place = self
            .exports
            .iter()
            .position(|export| export.interface == entry.interface && export.name == entry.name);
        Ok(place.unwrap_or_default())
    }

    /// The binary that was compiled.
    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let program = &self.templates.usual.linked.program;
        let bytes = through(py, || program.bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// SHA-256 of the source.
    #[getter]
    fn digest(&self) -> &str {
        &self.templates.usual.linked.program.digest
    }

    /// What it is called in messages.
    #[getter]
    fn name(&self) -> &str {
        &self.templates.usual.linked.program.name
    }

    /// Whether it is a component; else it is a core module.
    #[getter]
    fn is_component(&self) -> bool {
        matches!(self.templates.usual.linked.program.code, Code::Component(_))
    }
}

impl Component {
    /// The program for this policy and these limits: determinism, fuel and another stack need another engine.
    fn template(
        &self,
        py: Python<'_>,
        policy: &EnginePolicy,
        limits: &EngineLimits,
    ) -> PyResult<Arc<Template<Python3>>> {
        let choice = Choice::of(policy, limits, Cell::alive());
        self.templates.get(
            choice,
            |program| through(py, || program.bytes()),
            |source, choice| {
                let name = self.templates.usual.linked.program.name.clone();
                let template = make(py, source, choice, false, self.target.clone(), name, &self.limits)?;
                if let Some(classes) = self.classes.get() {
                    typed::prepare(py, &template.types, classes)?;
                }
                Ok(template)
            },
        )
    }
}

/// Loads and links.
fn make(
    py: Python<'_>,
    source: Source,
    choice: Choice,
    precompiled: bool,
    target: Option<String>,
    name: String,
    limits: &EngineLimits,
) -> PyResult<Template<Python3>> {
    let wanted = Wanted {
        mode: choice.mode,
        stack: choice.stack,
        prepared: false,
        pooled: choice.pooled,
        target,
        name,
        precompiled,
    };
    loading::with_program(py, source, wanted, limits, |program, _| {
        let names = type_names(&program);
        Template::new(program, names)
    })
}

/// What the types of a program are called, read from its own description once that is asked.
fn type_names(program: &Program) -> TypeNames {
    let program = program.clone();
    Box::new(move || {
        let model = program
            .bytes()
            .ok()
            .and_then(|bytes| wherry_tools::wit::model(&bytes).ok());
        let Some(Model::Component(world)) = model else {
            return HashMap::new();
        };
        world
            .types
            .iter()
            .filter_map(|ty| Some((member_names(&ty.kind)?, ty.name.clone()?)))
            .collect()
    })
}

/// The names by which the engine knows a type.
fn member_names(kind: &TypeKind) -> Option<Vec<String>> {
    Some(match kind {
        TypeKind::Record { fields } => fields.iter().map(|field| field.name.clone()).collect(),
        TypeKind::Variant { cases } => cases.iter().map(|case| case.name.clone()).collect(),
        _ => return None,
    })
}
