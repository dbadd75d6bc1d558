//! One sandbox and the functions in it, as Python calls them.
//!
//! [`Cell`] holds the engine's instance and lets one call at a time through; [`Function`] is what `instance.add` is. Names,
//! interfaces and resources as people see them are put together in `wherry/runtime/instance.py`.

use crate::door::{Patience, beside, guarded, question};
use crate::errors::{carry, raise, result_error};
use crate::names::attribute;
use crate::port::Python3;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError, Weak};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Export;
use wherry_engine::hints;
use wherry_engine::hosting::Host;
use wherry_engine::instance::{Function as EngineFunction, Instance as EngineInstance};
use wherry_engine::linear_memory;
use wherry_engine::monitor::{Entry, Monitor, Verdict};
use wherry_engine::values::bridge::{Piece, PieceType};
use wherry_engine::values::lift::scalar_value;
use wherry_engine::values::{Outcome, ResourceAny, ResourceType};
use wherry_engine::watch::Cancel;

/// An instance that lets one call at a time through.
pub struct Cell {
    instance: Mutex<Option<EngineInstance<Python3>>>,
    /// Resources that were released while a call ran.
    released: Mutex<Vec<ResourceAny>>,
    cancel: Cancel,
    /// What the guest was refused; it outlives the sandbox.
    monitor: Arc<Monitor>,
    /// How long a call is waited for that the host may hold up.
    patience: Option<Patience>,
    /// A call did not come back in time, and holds the instance until it does.
    left: AtomicBool,
}

/// How many instances are alive in this process.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Cell {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Cell {
    /// How many instances are alive in this process.
    pub fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }

    pub fn new(instance: EngineInstance<Python3>, patience: Option<Patience>) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        let guest = instance.sandbox.guest();
        let (cancel, monitor) = (guest.watch.cancel.clone(), Arc::clone(&guest.monitor));
        Self {
            instance: Mutex::new(Some(instance)),
            released: Mutex::default(),
            cancel,
            monitor,
            patience,
            left: AtomicBool::new(false),
        }
    }

    /// Runs the guest without the GIL; where the host could hold it up, on a thread of its own.
    fn call<R: Send + 'static>(
        self: &Arc<Self>,
        py: Python<'_>,
        work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let Some(patience) = self.patience else {
            let question = question(py).map_err(carry)?;
            let run = || {
                self.running(|instance| {
                    instance.sandbox.watch().question = question;
                    work(instance)
                })
            };
            return py.detach(|| guarded(run));
        };
        let (theirs, late) = (Arc::clone(self), Arc::clone(self));
        let run = move || {
            theirs.running(|instance| {
                instance.sandbox.watch().question = None;
                work(instance)
            })
        };
        let left = || self.left.store(true, Ordering::Release);
        let late = move || {
            let _ = late.close();
        };
        beside(py, patience, self.cancel.clone(), run, left, late)
    }

    /// Why the instance cannot be used at once.
    fn taken(&self, busy: &str, hint: &str) -> Error {
        if self.left.load(Ordering::Acquire) {
            let message =
                "the instance was left behind in a call that the host did not come back from in time";
            return Error::new(Kind::Closed, message)
                .with_hint("make a new one from the same component: `component.instantiate()`");
        }
        Error::new(Kind::Busy, busy).with_hint(hint)
    }

    /// Does something with the instance, unless a call is running in it.
    pub fn with<R>(&self, work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R>) -> Result<R> {
        let mut slot = match self.instance.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(self.taken(
                    "the instance is running a call already",
                    "give each thread an instance of its own; they share the compiled component",
                ));
            }
        };
        let instance = slot.as_mut().ok_or_else(|| {
            Error::new(Kind::Closed, "the instance was closed")
                .with_hint("make a new one from the same component: `component.instantiate()`")
        })?;
        self.drain(instance);
        work(instance)
    }

    /// The same for what runs the guest: where that ends it, the error says what it was refused.
    fn running<R>(&self, work: impl FnOnce(&mut EngineInstance<Python3>) -> Result<R>) -> Result<R> {
        self.with(work).map_err(|error| {
            if error.kind().is_guest_s() {
                return error.with_more_hints(&hints::in_python(&self.monitor.entries()));
            }
            error
        })
    }

    fn drain(&self, instance: &mut EngineInstance<Python3>) {
        let released = std::mem::take(&mut *self.released.lock().unwrap_or_else(PoisonError::into_inner));
        for resource in released {
            // A destructor that traps leaves a dead instance, which the next call reports.
            let _ = instance.drop_resource(resource);
        }
    }

    fn close(&self) -> Result<()> {
        match self.instance.try_lock() {
            Ok(mut slot) => drop(slot.take()),
            Err(TryLockError::Poisoned(slot)) => drop(slot.into_inner().take()),
            // What was left behind is closed when it comes back.
            Err(TryLockError::WouldBlock) if self.left.load(Ordering::Acquire) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(self.taken(
                    "the instance is running a call and cannot be closed",
                    "wait for the call, or cancel it",
                ));
            }
        }
        Ok(())
    }
}

/// What a resource remembers of the instance it lives in.
pub struct Home {
    cell: OnceLock<Weak<Cell>>,
    resources: OnceLock<Vec<(ResourceType, Option<String>, String)>>,
    exports: Arc<Vec<Export>>,
}

impl Home {
    pub fn new(exports: Arc<Vec<Export>>) -> Self {
        Self {
            cell: OnceLock::new(),
            resources: OnceLock::new(),
            exports,
        }
    }

    /// Says where home is, once the instance is there.
    pub fn settle(&self, cell: &Arc<Cell>, resources: Vec<(ResourceType, Option<String>, String)>) {
        let _ = self.cell.set(Arc::downgrade(cell));
        let _ = self.resources.set(resources);
    }

    /// The interface and name of a resource type.
    pub fn resource_name(&self, ty: ResourceType) -> Option<(Option<String>, String)> {
        let known = self.resources.get()?.iter().find(|(known, ..)| *known == ty)?;
        Some((known.1.clone(), known.2.clone()))
    }

    /// A method of a resource, by its Python name.
    pub fn method(&self, resource: ResourceType, name: &str) -> Result<Option<Function>> {
        let Some(cell) = self.cell.get().and_then(Weak::upgrade) else {
            return Err(Error::new(
                Kind::Closed,
                "the instance of the resource was closed",
            ));
        };
        let Some((interface, owner)) = self.resource_name(resource) else {
            return Ok(None);
        };
        let prefix = format!("[method]{owner}.");
        let found = self.exports.iter().find(|export| {
            let member = export.name.strip_prefix(&prefix);
            export.interface == interface && member.is_some_and(|member| attribute(member) == name)
        });
        let Some(export) = found.cloned() else {
            return Ok(None);
        };
        let inner = Arc::new(cell.with(|instance| instance.function(&export))?);
        Ok(Some(Function {
            owner: None,
            cell,
            inner,
            export,
        }))
    }

    /// Ends a resource now, or after the call that is running.
    pub fn release(&self, resource: ResourceAny) -> Result<()> {
        let Some(cell) = self.cell.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        if let Ok(mut slot) = cell.instance.try_lock() {
            return slot
                .as_mut()
                .map_or(Ok(()), |instance| instance.drop_resource(resource));
        }
        cell.released
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(resource);
        Ok(())
    }
}

/// One refusal as Python sees it: subject, operation, target, why, flag, value, count.
type Denial = (
    &'static str,
    &'static str,
    String,
    String,
    Option<&'static str>,
    Option<String>,
    u64,
);

/// One fresh sandbox.
#[pyclass(frozen, module = "wherry._native")]
pub struct Instance {
    pub cell: Arc<Cell>,
    pub exports: Arc<Vec<Export>>,
    /// Only so that the garbage collector sees the host functions: they may refer to the instance.
    pub host: Arc<Host<Python3>>,
}

#[pymethods]
impl Instance {
    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.host
            .functions
            .iter()
            .try_for_each(|function| visit.call(function))
    }

    fn __clear__(&self) {
        // A running call keeps the instance alive by itself, so this one is at rest.
        let _ = self.cell.close();
    }

    /// The function at a place in the list of exports.
    fn function(slf: &Bound<'_, Self>, index: usize) -> PyResult<Function> {
        let (py, this) = (slf.py(), slf.get());
        let missing = || raise(py, Error::new(Kind::NoExport, "there is no such export"));
        let export = this.exports.get(index).ok_or_else(missing)?.clone();
        let inner = this
            .cell
            .with(|instance| instance.function(&export))
            .map_err(|error| raise(py, error))?;
        Ok(Function {
            owner: Some(slf.clone().unbind()),
            cell: Arc::clone(&this.cell),
            inner: Arc::new(inner),
            export,
        })
    }

    /// Runs a command from the function at this place, and returns its exit code as far as the function tells: a guest that
    /// calls `exit` raises `GuestExit`.
    fn run(slf: &Bound<'_, Self>, index: usize) -> PyResult<u8> {
        let py = slf.py();
        let function = Self::function(slf, index)?;
        let outcome = function.call(py, PyTuple::empty(py))?;
        Ok(outcome.failed.into())
    }

    /// Ends the sandbox and gives back all that it holds.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        crate::door::through(py, || self.cell.close())
    }

    /// Ends the running call from another thread.
    fn cancel(&self) {
        self.cell.cancel.cancel();
    }

    /// Bytes of linear memory and tables in use.
    fn memory(&self, py: Python<'_>) -> PyResult<usize> {
        self.cell
            .with(|instance| Ok(instance.sandbox.guest().meter.used()))
            .map_err(|error| raise(py, error))
    }

    /// Bytes of a core module's memory.
    fn read_memory<'py>(&self, py: Python<'py>, address: u64, length: u64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self
            .cell
            .with(|instance| linear_memory::read(&mut instance.sandbox, address, length));
        Ok(PyBytes::new(py, &bytes.map_err(|error| raise(py, error))?))
    }

    /// Puts bytes into a core module's memory.
    fn write_memory(&self, py: Python<'_>, address: u64, data: &[u8]) -> PyResult<()> {
        let written = self
            .cell
            .with(|instance| linear_memory::write(&mut instance.sandbox, address, data));
        written.map_err(|error| raise(py, error))
    }

    /// Fuel that is left, where fuel was given.
    fn fuel(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.cell
            .with(|instance| Ok(instance.sandbox.fuel()))
            .map_err(|error| raise(py, error))
    }

    /// Fuel that was used, where fuel was given.
    fn burnt(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.cell
            .with(|instance| Ok(instance.sandbox.burnt()))
            .map_err(|error| raise(py, error))
    }

    /// What the guest was refused: subject, operation, target, why, flag and value that would allow it, and how often.
    fn denials(&self) -> Vec<Denial> {
        let entries = self.cell.monitor.entries();
        let denial = |entry: Entry| {
            let Verdict::Refused { why, lift } = entry.verdict else {
                return None;
            };
            let (flag, value) = lift.map(|grant| (grant.flag, grant.value)).unzip();
            let access = entry.access;
            let subject = access.subject.name();
            Some((
                subject,
                access.operation,
                access.target,
                why,
                flag,
                value,
                entry.count,
            ))
        };
        entries.into_iter().filter_map(denial).collect()
    }

    /// The hint for a guest that failed: what it was refused, and what would allow it.
    fn hint(&self) -> Option<String> {
        let lines = hints::in_python(&self.cell.monitor.entries());
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// How many host values the guest holds handles to.
    fn held(&self, py: Python<'_>) -> PyResult<usize> {
        self.cell
            .with(|instance| Ok(instance.context().held()))
            .map_err(|error| raise(py, error))
    }
}

/// A function of one instance.
///
/// Called with positional or keyword arguments, by the names of the parameters in WIT (in snake case). Where the only
/// parameter is a record, its fields may be given as keyword arguments.
#[pyclass(frozen, module = "wherry")]
pub struct Function {
    /// The Python object of the instance, for the garbage collector; methods of resources have none.
    owner: Option<Py<Instance>>,
    cell: Arc<Cell>,
    inner: Arc<EngineFunction<Python3>>,
    export: Export,
}

#[pymethods]
impl Function {
    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        visit.call(&self.owner)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let arguments = match kwargs {
            None if args.len() == self.export.params.len() => args.clone(),
            _ => self.arguments(args, kwargs)?,
        };
        if let Some(value) = self.call_pieces(py, &arguments)? {
            return Ok(value);
        }
        let Outcome { value, failed } = self.call(py, arguments)?;
        if failed {
            return Err(PyErr::from_value(result_error(py)?.call1((value,))?));
        }
        Ok(value)
    }

    /// The name in WIT.
    #[getter]
    fn name(&self) -> &str {
        &self.export.name
    }

    fn __repr__(&self) -> String {
        let params: Vec<String> = self.export.params.iter().map(|name| attribute(name)).collect();
        format!("<function {}({})>", self.export.name, params.join(", "))
    }
}

impl Function {
    /// Calls a function of small values: they cross before and after, so that the GIL is released once and not three times.
    fn call_pieces(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>) -> PyResult<Option<Py<PyAny>>> {
        let made = self
            .inner
            .pieces(arguments.as_any())
            .map_err(|error| raise(py, self.located(error)))?;
        let Some((pieces, result)) = made else {
            return Ok(None);
        };
        let inner = Arc::clone(&self.inner);
        let returned = self
            .cell
            .call(py, move |instance| instance.call_pieces(&inner, pieces))
            .map_err(|error| raise(py, self.located(error)))?;
        let value = match (result, returned) {
            (PieceType::Scalar(scalar), Some(Piece::Bits(bits))) => scalar_value::<Python3>(py, scalar, bits)
                .map_err(|error| raise(py, error))?
                .unbind(),
            (_, Some(Piece::Text(text))) => PyString::new(py, &text).into_any().unbind(),
            _ => py.None(),
        };
        Ok(Some(value))
    }

    /// Calls it without the GIL.
    fn call(&self, py: Python<'_>, arguments: Bound<'_, PyTuple>) -> PyResult<Outcome<Python3, 1>> {
        let arguments = arguments.into_any().unbind();
        let inner = Arc::clone(&self.inner);
        self.cell
            .call(py, move |instance| instance.call(&inner, arguments))
            .map_err(|error| raise(py, self.located(error)))
    }

    /// Puts arguments in the order of the parameters.
    fn arguments<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = args.py();
        let names: Vec<String> = self.export.params.iter().map(|name| attribute(name)).collect();
        let mut given: Vec<Option<Bound<'py, PyAny>>> = args.iter().map(Some).collect();
        let wrong = |what: String| {
            let error = Error::new(Kind::Value, format!("{}(): {what}", self.export.name));
            raise(
                py,
                error.with_hint(format!(
                    "call it as `{}({})`",
                    attribute(&self.export.name),
                    names.join(", ")
                )),
            )
        };
        if given.len() > names.len() {
            return Err(wrong(format!(
                "takes {} arguments, got {}",
                names.len(),
                given.len()
            )));
        }
        given.resize(names.len(), None);
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        if let (Some(kwargs), true, [None]) = (kwargs, self.export.takes_record, given.as_slice())
            && !kwargs.contains(&names[0])?
        {
            given[0] = Some(kwargs.clone().into_any());
            return PyTuple::new(py, given.into_iter().flatten().collect::<Vec<_>>());
        }
        for (name, value) in kwargs.into_iter().flat_map(PyDictMethods::iter) {
            let name: String = name.extract()?;
            let place = names.iter().position(|known| *known == name);
            match place.map(|place| &mut given[place]) {
                Some(slot @ None) => *slot = Some(value),
                Some(_) => return Err(wrong(format!("got `{name}` twice"))),
                None => return Err(wrong(format!("has no parameter `{name}`"))),
            }
        }
        let missing = names.iter().zip(&given).find(|(_, value)| value.is_none());
        if let Some((name, _)) = missing {
            return Err(wrong(format!("`{name}` is missing")));
        }
        PyTuple::new(py, given.into_iter().flatten().collect::<Vec<_>>())
    }

    /// An error about a value with the function and the parameter that it is about.
    fn located(&self, error: Error) -> Error {
        if error.kind() != Kind::Value {
            return error;
        }
        // The path begins with the place of the argument: `[0].field`.
        let path = error.path();
        let argument = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let named = argument.and_then(|(place, rest)| {
            let name = self.export.params.get(place.parse::<usize>().ok()?)?;
            Some(format!("`{}{rest}`", attribute(name)))
        });
        let message = match named {
            Some(named) => format!("{}(): {named}: {}", self.export.name, error.message()),
            None => format!("{}(): {}", self.export.name, error.message()),
        };
        error.with_message(message)
    }
}
