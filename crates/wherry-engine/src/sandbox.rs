//! One fresh sandbox of a linked program, whatever language embeds it.
//!
//! [`Linked`] is made once per program; a [`Sandbox`] owns its store and runs one thing at a time. Values are not its
//! business: see `instance`. Start reading at [`Sandbox::run`].

use crate::error::{Error, Kind, Result};
use crate::exports::{Export, Place, Surface};
use crate::guest::Guest;
use crate::limits::{Limit, Limits, in_bytes};
use crate::meter::Shares;
use crate::mode::Mode;
use crate::program::{Code, Program};
use crate::ticker::Ticking;
use crate::trap::classify;
use crate::watch::{Watch, drive};
use crate::{coredump, fork, imports, wasi};
use std::time::{Duration, Instant};
use wasmtime::component::{InstancePre as ComponentPre, Linker as ComponentLinker};
use wasmtime::{InstancePre as ModulePre, ResourceLimiter, Store, UpdateDeadline};

/// How much fuel a metered guest burns before it is asked whether it should stop.
const FUEL_SLICE: u64 = 1_000_000;

/// Gives a store of an engine that counts fuel as much of it; its guest gives way often, to be asked whether it should stop.
///
/// # Errors
/// [`Kind::Internal`] when the engine counts none.
pub fn fill<T>(store: &mut Store<T>, fuel: Option<u64>) -> Result<()> {
    store
        .set_fuel(fuel.unwrap_or(u64::MAX))
        .and_then(|()| store.fuel_async_yield_interval(Some(FUEL_SLICE)))
        .map_err(|error| Error::new(Kind::Internal, format!("fuel cannot be set: {error:#}")))
}

/// A program that is linked and can be instantiated again and again.
pub struct Linked {
    /// The program.
    pub program: Program,
    /// Its functions, both ways.
    pub surface: Surface,
    pre: Pre,
}

enum Pre {
    Component(ComponentPre<Guest>),
    Module(ModulePre<Guest>),
}

impl Linked {
    /// Links a program to WASI and to what `define` adds for a component.
    ///
    /// # Errors
    /// [`Kind::Link`] when it imports what nothing provides; the message lists all of it.
    pub fn new(
        program: Program,
        define: impl FnOnce(&mut ComponentLinker<Guest>, &Surface) -> Result<()>,
    ) -> Result<Self> {
        let surface = Surface::of(&program);
        let pre = match &program.code {
            Code::Component(component) => {
                let mut linker = wasi::component_linker(&program.engine, program.key.concurrency)?;
                define(&mut linker, &surface)?;
                Pre::Component(
                    linker
                        .instantiate_pre(component)
                        .map_err(|error| imports::absent(&program, &linker, component, &surface, &error))?,
                )
            }
            Code::Module(module) => {
                imports::refuse_foreign(&program.name, module)?;
                let linker = wasi::module_linker(&program.engine)?;
                Pre::Module(
                    linker
                        .instantiate_pre(module)
                        .map_err(|error| imports::unknown(&program.name, &linker, module, error))?,
                )
            }
        };
        Ok(Self {
            program,
            surface,
            pre,
        })
    }

    /// What instances of a component are made from, for who drives them on a runtime of its own.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentPre<Guest>> {
        match &self.pre {
            Pre::Component(pre) => Some(pre),
            Pre::Module(_) => None,
        }
    }

    /// The same of a core module.
    #[must_use]
    pub fn module(&self) -> Option<&ModulePre<Guest>> {
        match &self.pre {
            Pre::Module(pre) => Some(pre),
            Pre::Component(_) => None,
        }
    }

    /// A store for an instance that is driven on a runtime: it yields at each tick, and who drives it watches the time.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the engine refuses its fuel.
    pub fn yielding_store(&self, guest: Guest, limits: &Limits) -> Result<Store<Guest>> {
        self.store(guest, limits, true)
    }

    /// A store with its limits armed and nothing in it yet.
    fn store(&self, guest: Guest, limits: &Limits, waits: bool) -> Result<Store<Guest>> {
        let mut store = Store::new(&self.program.engine, guest);
        store.limiter(|guest| &mut guest.meter);
        if self.program.key.mode.fuel() {
            fill(&mut store, limits.fuel)?;
        }
        let shares = Shares::of(limits);
        store.set_hostcall_fuel(shares.call);
        store.set_max_component_handles(shares.components);
        if let Some(tasks) = store.concurrent_resource_table() {
            tasks.set_max_capacity(shares.concurrent);
        }
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |mut store| {
            if let Some(sampler) = store.data().sampler.clone() {
                sampler.sample(&store);
            }
            if waits {
                // Asked between polls, on the thread's own stack: see `drive`.
                return Ok(UpdateDeadline::Yield(1));
            }
            store.data_mut().watch.check_at_tick()?;
            Ok(UpdateDeadline::Continue(1))
        });
        Ok(store)
    }
}

/// What the engine says of too many parts, for which it has no error type; what they are, and the flag that allows more.
const COUNTED: [(&str, &str, &str); 3] = [
    ("instance count too high", "core instances", "--max-instances"),
    ("memory count too high", "memories", "--max-instances"),
    ("table count too high", "tables", "--max-tables"),
];

/// One fresh sandbox.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of the program and of the store which do not depend on each other"
)]
pub struct Sandbox {
    store: Store<Guest>,
    inner: Inner,
    timeout: Option<Duration>,
    /// The fuel that it was given.
    given: Option<u64>,
    waits: bool,
    /// It calls functions of the embedding program, which may take longer than a tick.
    hosted: bool,
    concurrent: bool,
    mode: Mode,
    alive: bool,
    generation: u32,
}

#[derive(Clone, Copy)]
enum Inner {
    Nothing,
    Component(wasmtime::component::Instance),
    Module(wasmtime::Instance),
}

/// A function in a sandbox.
#[derive(Clone, Copy)]
pub enum Callee {
    /// Of a component.
    Component(wasmtime::component::Func),
    /// Of a core module.
    Module(wasmtime::Func),
}

impl Sandbox {
    /// Makes a sandbox in which nothing has run yet; [`Sandbox::start`] puts the program in.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the engine refuses the limits.
    pub fn new(linked: &Linked, guest: Guest, limits: &Limits) -> Result<Self> {
        let key = &linked.program.key;
        let waits = linked.surface.waits || key.concurrency || key.mode.fuel();
        Ok(Self {
            store: linked.store(guest, limits, waits)?,
            inner: Inner::Nothing,
            timeout: limits.timeout,
            given: limits.fuel,
            waits,
            hosted: !linked.surface.imports.is_empty(),
            concurrent: key.concurrency,
            mode: key.mode,
            alive: true,
            generation: fork::generation(),
        })
    }

    /// Instantiates the program.
    ///
    /// # Errors
    /// [`Kind::Memory`] when its memory is over the limit from the start, and what its start function ends in.
    pub fn start(&mut self, linked: &Linked) -> Result<()> {
        let inner = match &linked.pre {
            Pre::Component(pre) => self
                .run(
                    (),
                    |store, ()| pre.instantiate(store),
                    async |store, ()| pre.instantiate_async(store).await,
                )
                .map(Inner::Component),
            Pre::Module(pre) => self
                .run(
                    (),
                    |store, ()| pre.instantiate(store),
                    async |store, ()| pre.instantiate_async(store).await,
                )
                .map(Inner::Module),
        };
        self.inner = inner.map_err(|error| self.too_large(&linked.program, error))?;
        Ok(())
    }

    /// The same error, unless the program did not fit its limits from the start.
    fn too_large(&self, program: &Program, error: Error) -> Error {
        if let Some(error) = self.too_many(program, &error) {
            return error;
        }
        let meter = &self.store.data().meter;
        if !meter.refused() || !matches!(error.kind(), Kind::Trap | Kind::Memory) {
            return error;
        }
        let message = format!(
            "`{}` needs more memory at its start than the limit of {}",
            program.name,
            in_bytes(meter.limit() as u64)
        );
        Error::new(Kind::Memory, message).with_hint(Limit::Memory.hint(meter.limit() as u64))
    }

    /// The error for a program with more instances or tables than it may have.
    fn too_many(&self, program: &Program, error: &Error) -> Option<Error> {
        let meter = &self.store.data().meter;
        let limits = [meter.instances(), meter.memories(), meter.tables()];
        let counted = COUNTED.into_iter().zip(limits);
        let mut struck = counted.filter(|((what, ..), _)| error.message().contains(what));
        let ((_, many, flag), limit) = struck.next()?;
        let message = format!("`{}` has more {many} than the limit of {limit}", program.name);
        let more = limit.saturating_mul(10).max(10);
        Some(Error::new(Kind::TooLarge, message).with_hint(format!("raise it with `{flag} {more}`")))
    }

    /// Finds an export.
    ///
    /// # Errors
    /// [`Kind::NoExport`] when there is none such, [`Kind::Closed`] when the sandbox cannot be used any more.
    pub fn callee(&mut self, export: &Export) -> Result<Callee> {
        self.usable()?;
        let callee = match (self.inner, &export.place) {
            (Inner::Component(instance), Place::Component(place)) => {
                instance.get_func(&mut self.store, place).map(Callee::Component)
            }
            (Inner::Module(instance), Place::Module) => instance
                .get_func(&mut self.store, &export.name)
                .map(Callee::Module),
            _ => None,
        };
        callee.ok_or_else(|| Error::new(Kind::NoExport, format!("there is no function `{}`", export.name)))
    }

    /// The component in it, with the store, for what the engine's own bindings call.
    #[must_use]
    pub fn component(&mut self) -> Option<(wasmtime::component::Instance, &mut Store<Guest>)> {
        match self.inner {
            Inner::Component(instance) => Some((instance, &mut self.store)),
            _ => None,
        }
    }

    /// The memory that a core module exports as `memory`, with the store.
    pub(crate) fn memory(&mut self) -> Option<(wasmtime::Memory, &mut Store<Guest>)> {
        match self.inner {
            Inner::Module(instance) => {
                let memory = instance.get_memory(&mut self.store, "memory")?;
                Some((memory, &mut self.store))
            }
            _ => None,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&mut self) -> &mut Store<Guest> {
        &mut self.store
    }

    /// Who may stop the guest.
    pub fn watch(&mut self) -> &mut Watch {
        &mut self.store.data_mut().watch
    }

    /// The guest's state, for the counters in it.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        self.store.data()
    }

    /// Fuel that is left, in modes that meter.
    #[must_use]
    pub fn fuel(&self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    /// Fuel that was used, where fuel was given.
    #[must_use]
    pub fn burnt(&self) -> Option<u64> {
        Some(self.given?.saturating_sub(self.fuel()?))
    }

    /// Whether the sandbox can be used: it has not ended in a trap, and this process has not forked since it was made.
    ///
    /// # Errors
    /// [`Kind::Closed`] and [`Kind::Forked`] with what to do instead.
    pub fn usable(&self) -> Result<()> {
        let hint = "make a new one from the same component: `component.instantiate()`";
        if self.generation != fork::generation() {
            return Err(
                Error::new(Kind::Forked, "the instance was made before this process forked").with_hint(hint),
            );
        }
        if self.alive {
            return Ok(());
        }
        let message = "the instance ended in an earlier call and cannot be used any more";
        Err(Error::new(Kind::Closed, message).with_hint(hint))
    }

    /// Runs the guest: `now` at once where nothing in it can wait, else `later` on a stack of its own.
    ///
    /// # Errors
    /// Whatever ends the guest; after all but a value that does not fit, the sandbox is dead.
    pub fn run<A, R>(
        &mut self,
        arguments: A,
        now: impl FnOnce(&mut Store<Guest>, A) -> wasmtime::Result<R>,
        later: impl AsyncFnOnce(&mut Store<Guest>, A) -> wasmtime::Result<R>,
    ) -> Result<R> {
        self.usable()?;
        self.store.data_mut().called_out = false;
        let watch = &mut self.store.data_mut().watch;
        if !watch.whole || watch.deadline.is_none() {
            (watch.deadline, watch.allowance) = match self.timeout {
                Some(timeout) if self.waits || self.hosted || watch.whole => {
                    (Some((Instant::now() + timeout, timeout)), None)
                }
                timeout => (None, timeout),
            };
        }
        let _ticking = self.mode.epochs().then(Ticking::start);
        let result = if self.waits {
            let watch = self.store.data().watch.clone();
            drive(&watch, later(&mut self.store, arguments))
        } else {
            Ok(now(&mut self.store, arguments))
        };
        let error = match result {
            Ok(Ok(value)) => {
                self.store.data_mut().note_refused_memory();
                return Ok(value);
            }
            Ok(Err(error)) => {
                let dumped = coredump::write(&error, &mut self.store);
                coredump::mention(classify(error, self.store.data()), dumped)
            }
            Err(stopped) => stopped,
        };
        if error.kind() != Kind::Memory {
            self.store.data_mut().note_refused_memory();
        }
        // An argument that does not fit never reached the guest; after all else it is in no known state. The asynchronous
        // machinery has entered the guest by then.
        let entered = self.concurrent || self.store.data().called_out;
        self.alive = matches!(error.kind(), Kind::Value | Kind::Unsupported | Kind::Closed) && !entered;
        Err(error)
    }
}
