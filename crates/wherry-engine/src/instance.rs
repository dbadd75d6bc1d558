//! One fresh sandbox of a program, and the calls into it.
//!
//! A [`Template`] is made once per program: linked, checked, cheap to instantiate. An [`Instance`] owns its store; it runs
//! one call at a time. Start reading at [`Instance::call`].

use crate::error::{Error, Kind, Result};
use crate::exports::{Export, Import, Place, Surface};
use crate::fork;
use crate::guest::Guest;
use crate::limits::Limits;
use crate::program::{Code, Program};
use crate::trap::classify;
use crate::values::bridge::{MAX_FLAT, Signature, enter};
use crate::values::{Context, Outcome, Params, Port, Types};
use crate::watch::{Cancel, Ticking, drive};
use crate::{core_values, hosting, wasi, watch};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::{InstancePre as ComponentPre, ResourceAny, TypedFunc};
use wasmtime::{InstancePre as ModulePre, Store, UpdateDeadline};

/// A program that is linked and can be instantiated again and again.
pub struct Template<P: Port> {
    /// The program.
    pub program: Program,
    /// Its functions, both ways.
    pub surface: Surface,
    /// The shapes of its types.
    pub types: Arc<Types<P>>,
    linked: Linked,
}

enum Linked {
    Component(ComponentPre<Guest>),
    Module(ModulePre<Guest>),
}

/// The host functions of one instance, in the order of [`Surface::imports`].
pub struct Host<P: Port> {
    /// The functions.
    pub functions: Vec<P::Owned>,
    /// What its values refer to.
    pub context: Arc<Context<P>>,
}

impl<P: Port> Template<P> {
    /// Links a program. `names` tells the WIT names of types by their field or case names.
    ///
    /// # Errors
    /// [`Kind::Link`] when it imports what nothing provides; the message lists all of it.
    pub fn new(program: Program, names: HashMap<Vec<String>, String>) -> Result<Self> {
        let surface = Surface::of(&program);
        let resources = u32::try_from(surface.resources.len()).unwrap_or(u32::MAX);
        let linked = match &program.code {
            Code::Component(component) => {
                let mut linker = wasi::component_linker(&program)?;
                hosting::define::<P>(&mut linker, &surface)?;
                Linked::Component(linker.instantiate_pre(component).map_err(|error| unlinked(&program, &error))?)
            }
            Code::Module(module) => {
                let linker = wasi::module_linker(&program.engine)?;
                hosting::refuse_unknown(&program, module)?;
                Linked::Module(linker.instantiate_pre(module).map_err(|error| unlinked(&program, &error))?)
            }
        };
        if program.key.mode.epochs() {
            watch::tick(&program.engine);
        }
        Ok(Self { program, surface, types: Arc::new(Types::new(names, resources)), linked })
    }

    /// What has to be provided for each instance.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.surface.imports
    }

    /// Makes one fresh sandbox.
    ///
    /// # Errors
    /// [`Kind::Memory`] when its memory is over the limit from the start, and what its start function ends in.
    pub fn instantiate(&self, mut guest: Guest, limits: &Limits, host: Host<P>) -> Result<Instance<P>> {
        let context = Arc::clone(&host.context);
        guest.host = Some(Arc::new(host));
        let mut store = Store::new(&self.program.engine, guest);
        store.limiter(|guest| &mut guest.meter);
        let waits = self.surface.waits || self.program.key.concurrency || self.program.key.mode.fuel();
        prepare(&mut store, limits, waits)?;
        let mut instance = Instance {
            store,
            inner: Inner::None,
            context,
            timeout: limits.timeout,
            waits,
            concurrent: self.program.key.concurrency,
            alive: true,
            generation: fork::generation(),
        };
        instance.start(&self.linked, &self.program)?;
        Ok(instance)
    }
}

/// Arms what the engine mode has: fuel, or the epoch.
fn prepare(store: &mut Store<Guest>, limits: &Limits, waits: bool) -> Result<()> {
    let internal = |error: wasmtime::Error| Error::new(Kind::Internal, format!("{error:#}"));
    if let Some(fuel) = limits.fuel {
        store.set_fuel(fuel).map_err(internal)?;
        store.fuel_async_yield_interval(Some(FUEL_SLICE)).map_err(internal)?;
    }
    if limits.memory > 0 {
        store.set_hostcall_fuel(usize::try_from(limits.memory).unwrap_or(usize::MAX).max(HOSTCALL_LEAST));
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        if waits {
            // Asked between polls, on the thread's own stack: see `drive`.
            return Ok(UpdateDeadline::Yield(1));
        }
        store.data().watch.check()?;
        Ok(UpdateDeadline::Continue(1))
    });
    Ok(())
}

/// How much fuel a metered guest burns before it is asked whether it should stop.
const FUEL_SLICE: u64 = 1_000_000;

/// What one call may always hand over, in bytes, however small the memory limit.
const HOSTCALL_LEAST: usize = 128 << 20;

fn unlinked(program: &Program, error: &wasmtime::Error) -> Error {
    Error::new(Kind::Link, format!("`{}` cannot be linked: {error:#}", program.name))
        .with_hint("`wherry inspect` lists what it imports")
}

/// One fresh sandbox.
pub struct Instance<P: Port> {
    store: Store<Guest>,
    inner: Inner,
    context: Arc<Context<P>>,
    timeout: Option<Duration>,
    waits: bool,
    concurrent: bool,
    alive: bool,
    generation: u32,
}

enum Inner {
    None,
    Component(wasmtime::component::Instance),
    Module(wasmtime::Instance),
}

/// A function of one instance, with its shapes.
pub struct Function<P: Port> {
    inner: FunctionInner,
    signature: Signature<P>,
}

enum FunctionInner {
    Component(wasmtime::component::Func),
    Module(wasmtime::Func),
}

impl<P: Port> Function<P> {
    /// Whether this is a function of a core module, which knows numbers only.
    #[must_use]
    pub fn is_core(&self) -> bool {
        matches!(self.inner, FunctionInner::Module(_))
    }
}

impl<P: Port> Instance<P> {
    fn start(&mut self, linked: &Linked, program: &Program) -> Result<()> {
        let signature = Signature::default();
        let inner = match linked {
            Linked::Component(pre) => self
                .run(&signature, (), |store, ()| pre.instantiate(store), async |store, ()| {
                    pre.instantiate_async(store).await
                })
                .map(Inner::Component),
            Linked::Module(pre) => self
                .run(&signature, (), |store, ()| pre.instantiate(store), async |store, ()| {
                    pre.instantiate_async(store).await
                })
                .map(Inner::Module),
        };
        self.inner = inner.map_err(|error| match self.store.data().meter.refused() {
            true if error.kind() == Kind::Trap => Error::new(
                Kind::Memory,
                format!(
                    "`{}` needs more memory at its start than the limit of {} bytes",
                    program.name,
                    self.store.data().meter.limit()
                ),
            )
            .with_hint("raise it with `--memory`, such as `--memory 2GiB`"),
            _ => error,
        })?;
        Ok(())
    }

    /// Finds an export.
    ///
    /// # Errors
    /// [`Kind::NoExport`] when this instance has none such, [`Kind::Closed`] when it cannot be used any more.
    pub fn function(&mut self, export: &Export) -> Result<Function<P>> {
        self.usable()?;
        let inner = match (&self.inner, &export.place) {
            (Inner::Component(instance), Place::Component(place)) => {
                instance.get_func(&mut self.store, place).map(FunctionInner::Component)
            }
            (Inner::Module(instance), Place::Module) => {
                instance.get_func(&mut self.store, &export.name).map(FunctionInner::Module)
            }
            _ => None,
        };
        inner
            .map(|inner| Function { inner, signature: Signature::default() })
            .ok_or_else(|| Error::new(Kind::NoExport, format!("there is no function `{}`", export.name)))
    }

    /// Calls a function with a sequence of arguments and waits for its result.
    ///
    /// # Errors
    /// [`Kind::Value`] when an argument does not fit (the instance can still be used); whatever ends the guest, after
    /// which the instance is dead; [`Kind::Closed`] and [`Kind::Forked`] when it cannot be used any more.
    pub fn call(&mut self, function: &Function<P>, arguments: P::Owned) -> Result<Outcome<P, 1>> {
        match &function.inner {
            FunctionInner::Component(inner) => {
                // SAFETY: both types follow the run-time type of the function, whatever it is.
                let typed: TypedFunc<Params<P, MAX_FLAT>, Outcome<P, 1>> =
                    unsafe { TypedFunc::new_unchecked(*inner) };
                self.run(
                    &function.signature,
                    Params(arguments),
                    |store, arguments| typed.call(store, arguments),
                    async |store, arguments| typed.call_async(store, arguments).await,
                )
            }
            FunctionInner::Module(inner) => self.call_core(inner, &function.signature, &arguments),
        }
    }

    fn call_core(
        &mut self,
        function: &wasmtime::Func,
        signature: &Signature<P>,
        arguments: &P::Owned,
    ) -> Result<Outcome<P, 1>> {
        let ty = function.ty(&self.store);
        let values = core_values::lower::<P>(&ty, arguments)?;
        let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
        let results = self.run(
            signature,
            values,
            |store, values| function.call(store, &values, &mut results).map(|()| results.clone()),
            async |store, values| {
                let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
                function.call_async(store, &values, &mut results).await?;
                Ok(results)
            },
        )?;
        core_values::lift::<P>(&results)
    }

    /// Ends a resource that the guest implements, and runs its destructor.
    ///
    /// # Errors
    /// As [`Instance::call`].
    pub fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        if !self.alive {
            return Ok(());
        }
        self.run(
            &Signature::default(),
            resource,
            |store, resource| resource.resource_drop(store),
            async |store, resource| resource.resource_drop_async(store).await,
        )
    }

    /// Ends the running call from another thread.
    #[must_use]
    pub fn cancel(&self) -> Cancel {
        self.store.data().watch.cancel.clone()
    }

    /// The guest's state, for the counters in it.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        self.store.data()
    }

    /// What values of this instance refer to.
    #[must_use]
    pub fn context(&self) -> &Arc<Context<P>> {
        &self.context
    }

    /// Bytes of linear memory that the guest uses now.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.store.data().meter.used()
    }

    /// Fuel that is left, in modes that meter.
    #[must_use]
    pub fn fuel(&self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    fn usable(&self) -> Result<()> {
        if self.generation != fork::generation() {
            return Err(Error::new(Kind::Forked, "the instance was made before this process forked")
                .with_hint("make a new one from the same component: `component.instantiate()`"));
        }
        if self.alive {
            return Ok(());
        }
        Err(Error::new(Kind::Closed, "the instance ended in an earlier call and cannot be used any more")
            .with_hint("make a new one from the same component: `component.instantiate()`"))
    }

    /// Runs the guest: at once where nothing in it can wait, else on a stack of its own.
    fn run<A, R>(
        &mut self,
        signature: &Signature<P>,
        arguments: A,
        now: impl FnOnce(&mut Store<Guest>, A) -> wasmtime::Result<R>,
        later: impl AsyncFnOnce(&mut Store<Guest>, A) -> wasmtime::Result<R>,
    ) -> Result<R> {
        self.usable()?;
        let watch = &mut self.store.data_mut().watch;
        watch.deadline = self.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let _ticking = Ticking::start();
        let store = &mut self.store;
        let waits = self.waits;
        let result = enter(&self.context, signature, || {
            if waits {
                let watch = store.data().watch.clone();
                drive(&watch, later(store, arguments))
            } else {
                Ok(now(store, arguments))
            }
        });
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => classify(error, self.store.data()),
            Err(stopped) => stopped,
        };
        // A value that does not fit never reached the guest; after all else it is in no known state. The asynchronous
        // machinery has entered the guest by then.
        self.alive = matches!(error.kind(), Kind::Value | Kind::Unsupported) && !self.concurrent;
        Err(error)
    }
}
