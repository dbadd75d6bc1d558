//! Lean guests that are one module: it is instantiated by itself, and what it imports is linked to it at once.
//!
//! A component of one module is instantiated as three or four, and each call between it and the host goes through the types of
//! the component model. Here the calls are those of the canonical ABI as the module makes them, and the rules of that are kept
//! by hand: a handle is looked up with its type, what the guest hands over is read as [`super::flat`] says, memory for what it
//! is given comes from its `realloc`, and nothing that it imports may be called meanwhile. Start at [`Direct::new`].
//!
//! Where an instance can be put back to what it was, the next request gets it like that, and none is made: see [`Guest`].

use super::flat::{Given, Listed, Named, Scheme, Stored, Streaming, handle, method, option, put};
use super::streams::{BLOCKING_WRITE, Streamed, ready, to_debug_string};
use super::{
    Awaited, Fields, FutureTrailers, IncomingBody, IncomingRequest, InputStream, IoError, Kind, Lean,
    OutgoingBody, OutgoingResponse, OutputStream, Pollable, ResponseOutparam, bodies, fields, messages,
};
use crate::application::{Application, in_slices};
use crate::arriving::Arriving;
use crate::exchange::{Exchange, ROOM};
use crate::observe::record::Peak;
use crate::observe::spans::{Spanning, Trace};
use crate::pool::{Pool, Used};
use crate::running::Call;
use crate::sandboxes::{again, refuel};
use bytes::Bytes;
use http::request::Parts;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime::{
    AsContextMut as _, Caller, Engine, Extern, Instance, InstancePre, Linker, Memory, ModuleExport, Result,
    Store, Trap, TypedFunc, WasmParams, WasmRet, WasmTyList, bail, format_err,
};
use wherry_engine::limits::Limits;
use wherry_engine::meter::Shares;
use wherry_engine::program::{Code, Program};
use wherry_engine::restored::{Beginnings, Images, Lease};

/// The module of a component, which does all that the component does.
pub struct Alone {
    /// Without its data.
    pub program: Program,
    /// What it imports.
    pub imports: Vec<Imported>,
    /// The export that answers requests; it takes a handle of the request, and one of where the answer goes.
    pub handle: String,
    /// Its memory.
    pub memory: String,
    /// What gives memory for what it is given.
    pub realloc: Option<String>,
    /// What is called first.
    pub initialize: Option<String>,
    /// Its exports of all that an instance remembers besides its memory, where it remembers nothing else.
    pub globals: Option<Vec<String>>,
}

/// A function that a module imports.
pub struct Imported {
    /// Where the module has it from.
    pub module: String,
    /// What the module calls it.
    pub name: String,
    /// The interface that it stands in.
    pub interface: String,
    /// What it is called there; of a resource, its handles are dropped.
    pub item: String,
    /// Whether it drops handles.
    pub drops: bool,
}

/// What the store of such a guest has besides.
#[derive(Default)]
pub struct State {
    memory: Option<Memory>,
    realloc: Option<ModuleExport>,
    /// Its `realloc` runs: it may not leave its instance.
    inside: bool,
    /// How many bytes one call may hand over.
    most: usize,
}

/// A module that is linked with the lean host.
pub struct Direct {
    engine: Engine,
    pre: InstancePre<Lean>,
    images: Images,
    handle: ModuleExport,
    memory: ModuleExport,
    realloc: Option<ModuleExport>,
    initialize: Option<ModuleExport>,
    /// See [`Alone::globals`].
    globals: Option<Vec<String>>,
    shares: Shares,
    rested: Arc<Pool<Rested>>,
}

/// An instance in its sandbox.
struct Guest {
    store: Store<Lean>,
    handle: TypedFunc<(u32, u32), ()>,
    initialize: Option<TypedFunc<(), ()>>,
    /// Bytes of memory that it used before anything of it ran.
    begun: usize,
}

/// A guest that was put back to what it was before anything of it ran, and what with.
struct Rested {
    guest: Guest,
    beginnings: Beginnings,
}

impl Direct {
    /// Links a module; `None` where it imports what the lean host does not have.
    pub fn new(alone: &Alone, limits: &Limits) -> Option<Self> {
        let Code::Module(module) = &alone.program.code else {
            return None;
        };
        let mut linker = Linker::new(&alone.program.engine);
        // The same name twice is the same function: see `wherry_tools::prepared`.
        linker.allow_shadowing(true);
        for import in &alone.imports {
            define(&mut linker, import).ok()?;
        }
        let export = |name: &String| module.get_export_index(name);
        let (realloc, initialize) = (alone.realloc.as_ref(), alone.initialize.as_ref());
        Some(Self {
            engine: alone.program.engine.clone(),
            pre: linker.instantiate_pre(module).ok()?,
            images: alone.program.images()?.clone(),
            handle: export(&alone.handle)?,
            memory: export(&alone.memory)?,
            realloc: realloc.map(|name| export(name).ok_or(())).transpose().ok()?,
            initialize: initialize.map(|name| export(name).ok_or(())).transpose().ok()?,
            globals: alone.globals.clone(),
            rested: Pool::new(u32::MAX),
            shares: Shares::of(limits),
        })
    }

    /// What its memories are put back to.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// Answers one request with a guest of its own; nothing of that runs before it is polled.
    pub fn answer(
        self: &Arc<Self>,
        application: &Arc<Application>,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> Call {
        let rested = self.rested.take().map(|used| used.instance);
        let lease = match &rested {
            Some(rested) => rested.beginnings.lease().clone(),
            None => self.images.lease(),
        };
        let (this, application, of) = (Arc::clone(self), Arc::clone(application), lease.clone());
        Box::pin(lease.drive(async move {
            let limits = application.limits();
            this.run(rested, &of, limits, parts, arriving, exchange).await
        }))
    }

    async fn run(
        &self,
        rested: Option<Rested>,
        lease: &Lease,
        limits: &Limits,
        parts: Parts,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> Result<()> {
        let of = Arc::clone(&exchange);
        let seen = of.seen();
        let making = seen.trace().map(Trace::instance);
        let (mut guest, beginnings, request, outparam) = if let Some(rested) = rested {
            let Rested {
                mut guest,
                beginnings,
            } = rested;
            again(&mut guest.store, limits)?;
            let (request, outparam) = guest.store.data_mut().again(parts, arriving, exchange);
            (guest, Some(beginnings), request, outparam)
        } else {
            let (lean, request, outparam) = Lean::new(limits, &self.shares, parts, arriving, exchange);
            let (guest, beginnings) = self.guest(lean, lease, limits).await?;
            (guest, beginnings, request, outparam)
        };
        let store = &mut guest.store;
        let peak = Peak::new(store.data().meter.watched(), Arc::clone(seen.account()));
        if let Some(initialize) = &guest.initialize {
            initialize.call_async(&mut *store, ()).await?;
        }
        drop(making);
        let running = seen.trace().map(Trace::guest);
        let result = guest
            .handle
            .call_async(&mut *store, (request + 1, outparam + 1))
            .await;
        Spanning::over(running, &result);
        if result.is_err() {
            of.note_memory(&store.data().meter);
            return result;
        }
        drop(peak);
        if let Some(beginnings) = beginnings {
            store.data_mut().rewind(guest.begun);
            if beginnings.rewind(store) {
                self.rested.put(Used::new(Rested { guest, beginnings }));
            }
        }
        Ok(())
    }

    /// A new guest for the request that is in `lean`, and what it can be put back to.
    async fn guest(
        &self,
        mut lean: Lean,
        lease: &Lease,
        limits: &Limits,
    ) -> Result<(Guest, Option<Beginnings>)> {
        lean.direct.realloc = self.realloc;
        lean.direct.most = self.shares.call;
        let mut store = Store::new(&self.engine, lean);
        store.limiter(|lean| &mut lean.meter);
        refuel(&mut store, limits)?;
        in_slices(&mut store);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let memory = instance.get_module_export(&mut store, &self.memory);
        let memory = memory.and_then(Extern::into_memory);
        store.data_mut().direct.memory = memory;
        let beginnings = self.globals.as_ref().zip(memory);
        let beginnings = beginnings
            .and_then(|(names, memory)| Beginnings::of(lease, &mut store, &instance, memory, names));
        let handle = export(&mut store, &instance, &self.handle)?;
        let initialize = self.initialize.as_ref();
        let initialize = initialize
            .map(|name| export(&mut store, &instance, name))
            .transpose()?;
        let guest = Guest {
            begun: store.data().meter.used(),
            store,
            handle,
            initialize,
        };
        Ok((guest, beginnings))
    }
}

/// An export that returns nothing.
fn export<P: WasmParams>(
    store: &mut Store<Lean>,
    instance: &Instance,
    export: &ModuleExport,
) -> Result<TypedFunc<P, ()>> {
    let function = instance
        .get_module_export(&mut *store, export)
        .and_then(Extern::into_func);
    let function = function.ok_or_else(|| format_err!("the guest has no such function"))?;
    function.typed::<P, ()>(&*store)
}

type Called<'a> = Caller<'a, Lean>;

/// The host, for a function that needs nothing of the guest's memory.
fn host<'a>(caller: &'a mut Called<'_>) -> Result<&'a mut Lean> {
    let lean = caller.data_mut();
    if lean.direct.inside {
        return Err(Trap::CannotLeaveComponent.into());
    }
    Ok(lean)
}

/// The host, and the guest's memory.
fn both<'a>(caller: &'a mut Called<'_>) -> Result<(&'a mut [u8], &'a mut Lean)> {
    let memory = host(caller)?.direct.memory;
    let memory = memory.ok_or_else(|| format_err!("the guest has no memory"))?;
    Ok(memory.data_and_store_mut(caller))
}

/// Stores what a function returned.
fn answer<T: Stored>(caller: &mut Called<'_>, to: u32, value: T) -> Result<()> {
    let memory = caller.data().direct.memory;
    let memory = memory.ok_or_else(|| format_err!("the guest has no memory"))?;
    put(memory.data_mut(caller), to, value)
}

/// Has the guest give memory.
async fn room(caller: &mut Called<'_>, align: u32, size: usize) -> Result<u32> {
    let size = u32::try_from(size).map_err(|_| format_err!("{size} bytes are too many for a guest"))?;
    let realloc = caller.data().direct.realloc;
    let realloc = realloc.and_then(|export| caller.get_module_export(&export));
    let realloc = realloc
        .and_then(Extern::into_func)
        .ok_or_else(|| format_err!("the guest gives no memory"))?;
    let realloc = realloc.typed::<(u32, u32, u32, u32), u32>(&*caller)?;
    caller.data_mut().direct.inside = true;
    let place = realloc
        .call_async(caller.as_context_mut(), (0, 0, align, size))
        .await?;
    caller.data_mut().direct.inside = false;
    if !place.is_multiple_of(align) {
        bail!("realloc return: result not aligned");
    }
    let memory = caller.data().direct.memory;
    let end = memory.map_or(0, |memory| memory.data_size(&*caller)) as u64;
    if u64::from(place) + u64::from(size) > end {
        bail!("realloc return: beyond end of memory");
    }
    Ok(place)
}

/// Bytes into memory that the guest gives.
async fn copied(caller: &mut Called<'_>, bytes: &[u8]) -> Result<Listed> {
    let at = room(caller, 1, bytes.len()).await?;
    let memory = caller.data().direct.memory;
    let memory = memory.ok_or_else(|| format_err!("the guest has no memory"))?;
    memory.write(caller, at as usize, bytes)?;
    Ok(Listed {
        at,
        length: length(bytes.len())?,
    })
}

/// As [`copied`], of what may not be there.
async fn optional(caller: &mut Called<'_>, text: Option<String>) -> Result<Option<Listed>> {
    Ok(match text {
        Some(text) => Some(copied(caller, text.as_bytes()).await?),
        None => None,
    })
}

/// What was read, or why nothing was.
async fn piece(caller: &mut Called<'_>, read: Streamed<Bytes>) -> Result<Streaming<Listed>> {
    Ok(Streaming(match read {
        Ok(bytes) => Ok(copied(caller, &bytes).await?),
        Err(error) => Err(error),
    }))
}

fn length(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| format_err!("a list is too long for a guest"))
}

/// Stores a list that a function returned, its elements at `at`, one after another.
fn listed<T: Stored>(caller: &mut Called<'_>, to: u32, at: u32, values: Vec<T>) -> Result<()> {
    let list = Listed {
        at,
        length: length(values.len())?,
    };
    let mut place = at;
    for value in values {
        answer(caller, place, value)?;
        place += length(T::SIZE)?;
    }
    answer(caller, to, list)
}

impl Lean {
    /// What a handle of the guest stands for, which has to be of that type. Handles count from 1.
    fn handle<T: Kind>(&self, handle: u32) -> Result<Resource<T>> {
        let place = handle.wrapping_sub(1);
        match self.slots.get(place as usize) {
            Some(slot) if T::is(slot) => Ok(Resource::new_own(place)),
            Some(_) => bail!("handle index {handle} used with the wrong type"),
            None => bail!("unknown handle index {handle}"),
        }
    }
}

/// Links one import.
fn define(linker: &mut Linker<Lean>, import: &Imported) -> Result<()> {
    let (interface, version) = import.interface.split_once('@').unwrap_or_default();
    if !version.starts_with("0.2.") {
        bail!("another version");
    }
    let to = &mut Place {
        linker,
        module: &import.module,
        name: &import.name,
    };
    if import.drops {
        return dropping(to, &import.item);
    }
    match interface {
        "wasi:io/error" => to.errors(&import.item),
        "wasi:io/poll" => to.poll(&import.item),
        "wasi:io/streams" if import.item.contains("input-stream") => to.input(&import.item),
        "wasi:io/streams" => to.output(&import.item),
        "wasi:http/types" if import.item.contains("fields") => to.fields(&import.item),
        "wasi:http/types" if import.item.contains("incoming-request") => to.requests(&import.item),
        "wasi:http/types" if import.item.contains("response") => to.responses(&import.item),
        "wasi:http/types" => to.bodies(&import.item),
        _ => bail!("no interface of the lean host"),
    }
}

fn dropping(to: &mut Place<'_>, resource: &str) -> Result<()> {
    match resource {
        "error" => to.drops::<IoError>(),
        "pollable" => to.drops::<Pollable>(),
        "input-stream" => to.drops::<InputStream>(),
        "output-stream" => to.drops::<OutputStream>(),
        "fields" | "headers" | "trailers" => to.drops::<Fields>(),
        "incoming-request" => to.drops::<IncomingRequest>(),
        "outgoing-response" => to.drops::<OutgoingResponse>(),
        "response-outparam" => to.drops::<ResponseOutparam>(),
        "incoming-body" => to.drops::<IncomingBody>(),
        "future-trailers" => to.drops::<FutureTrailers>(),
        "outgoing-body" => to.drops::<OutgoingBody>(),
        _ => bail!("no resource of the lean host"),
    }
}

/// Where a function is linked.
struct Place<'a> {
    linker: &'a mut Linker<Lean>,
    module: &'a str,
    name: &'a str,
}

/// A function that gives a handle for a handle.
type Made<T, R> = fn(&mut Lean, (Resource<T>,)) -> Result<Resource<R>>;
/// The same, of something that can be had once.
type MadeOnce<T, R> = fn(&mut Lean, (Resource<T>,)) -> Result<super::Once<R>>;

/// A function that gives text for a handle.
type Told<T> = fn(&mut Lean, (Resource<T>,)) -> Result<Option<String>>;

impl Place<'_> {
    fn sync<P, R>(&mut self, function: impl wasmtime::IntoFunc<Lean, P, R>) -> Result<()> {
        self.linker.func_wrap(self.module, self.name, function)?;
        Ok(())
    }

    /// The same, of a function that waits, for the guest's `realloc` if for nothing else.
    fn waits<P: WasmTyList, R: WasmRet>(
        &mut self,
        function: impl for<'a> Fn(Called<'a>, P) -> Box<dyn Future<Output = R> + Send + 'a>
        + Send
        + Sync
        + 'static,
    ) -> Result<()> {
        self.linker.func_wrap_async(self.module, self.name, function)?;
        Ok(())
    }

    fn drops<T: Kind>(&mut self) -> Result<()> {
        self.sync(|mut caller: Called<'_>, this: u32| {
            let lean = host(&mut caller)?;
            let this = lean.handle::<T>(this)?;
            lean.end(this.rep())
        })
    }

    fn makes<T: Kind, R: 'static>(&mut self, make: Made<T, R>) -> Result<()> {
        self.sync(move |mut caller: Called<'_>, this: u32| -> Result<u32> {
            let lean = host(&mut caller)?;
            let this = lean.handle::<T>(this)?;
            Ok(handle(&make(lean, (this,))?))
        })
    }

    fn makes_once<T: Kind, R: 'static>(&mut self, make: MadeOnce<T, R>) -> Result<()> {
        self.sync(move |mut caller: Called<'_>, this: u32, to: u32| {
            let (memory, lean) = both(&mut caller)?;
            let this = lean.handle::<T>(this)?;
            put(memory, to, make(lean, (this,))?)
        })
    }

    /// A function of a handle that gives text, if there is any.
    fn tells<T: Kind>(&mut self, tell: Told<T>) -> Result<()> {
        self.waits(move |mut caller: Called<'_>, (this, to): (u32, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                let this = lean.handle::<T>(this)?;
                let told = tell(lean, (this,))?;
                let told = optional(&mut caller, told).await?;
                answer(&mut caller, to, told)
            })
        })
    }

    fn errors(&mut self, item: &str) -> Result<()> {
        if item != "[method]error.to-debug-string" {
            bail!("no function of the lean host");
        }
        self.waits(|mut caller: Called<'_>, (this, to): (u32, u32)| {
            Box::new(async move {
                let lean = host(&mut caller)?;
                let this = lean.handle::<IoError>(this)?;
                let words = to_debug_string(lean, (this,))?;
                let words = copied(&mut caller, words.as_bytes()).await?;
                answer(&mut caller, to, words)
            })
        })
    }

    fn poll(&mut self, item: &str) -> Result<()> {
        match item {
            "[method]pollable.ready" => self.sync(|mut caller: Called<'_>, this: u32| -> Result<u32> {
                let lean = host(&mut caller)?;
                let this = lean.handle::<Pollable>(this)?;
                ready(lean, (this,)).map(u32::from)
            }),
            "[method]pollable.block" => self.waits(|mut caller: Called<'_>, (this,): (u32,)| {
                Box::new(async move {
                    let lean = host(&mut caller)?;
                    let this = lean.handle::<Pollable>(this)?;
                    let awaited = lean.awaited(&this)?;
                    lean.wait(awaited).await;
                    Ok(())
                })
            }),
            "poll" => self.waits(|mut caller: Called<'_>, (list, count, to): (u32, u32, u32)| {
                Box::new(async move {
                    let (memory, lean) = both(&mut caller)?;
                    let handles = Given::new(memory, lean.direct.most).list::<4>(list, count, 16)?;
                    let handles = handles.map(|handle| lean.handle::<Pollable>(u32::from_le_bytes(*handle)));
                    let handles: Vec<_> = handles.collect::<Result<_>>()?;
                    let found = lean.poll_all(&handles).await?;
                    let at = room(&mut caller, 4, found.len() * 4).await?;
                    listed(&mut caller, to, at, found)
                })
            }),
            _ => bail!("no function of the lean host"),
        }
    }
}

mod streams;
mod types;
