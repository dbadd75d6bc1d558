//! One sandbox and the functions in it.
//!
//! An [`Instance`] lets one call at a time through, from whatever thread, and says so to others. The result of a call stays in it
//! until the next one, and is lent to the caller meanwhile. Start reading at [`Function::call`].

use crate::component::Component;
use crate::encoding::Reader;
use crate::failure::{Failed, Failure, Status, TOO_SMALL, freed, guarded, quietly};
use crate::handles::{Handle, get, keep, release};
use crate::imports::{Bound, Imports};
use crate::policy::Policy;
use crate::port::{Encoded, Owned, recycle};
use crate::resources::Home;
use crate::stack;
use crate::strings::{Out, bytes, optional_text, text};
use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use wherry_engine::determinism;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Export;
use wherry_engine::guest::Guest;
use wherry_engine::hints;
use wherry_engine::hosting::Host;
use wherry_engine::instance::{Function as EngineFunction, Instance as EngineInstance, Template};
use wherry_engine::monitor::Monitor;
use wherry_engine::options::Invocation;
use wherry_engine::stdio::Stdio;
use wherry_engine::values::{Context, ResourceAny};
use wherry_engine::watch::Cancel;

/// A sandbox, and what its last call returned.
pub struct Room {
    pub instance: EngineInstance<Encoded>,
    result: Vec<u8>,
}

/// An instance that lets one call at a time through.
pub struct Instance {
    room: Mutex<Option<Room>>,
    exports: Vec<Export>,
    home: Arc<Home>,
    cancel: Cancel,
    /// Bytes of stack that the guest may use.
    stack: usize,
    /// What the guest was refused; it outlives the sandbox.
    monitor: Arc<Monitor>,
    /// Resources that were released while a call ran.
    released: Mutex<Vec<ResourceAny>>,
    /// It was released while a call ran, and goes when that is done.
    closing: AtomicBool,
}

/// How many instances are alive in this process: there is room for so many in the pool.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Instance {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const HINT: &str = "make a new one from the same component: `wherry_instance_new`";

impl Instance {
    pub fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }

    fn new(
        component: &Component,
        said: &Invocation,
        imports: Option<&Imports>,
        place: &Arc<OnceLock<usize>>,
    ) -> Failed<Self> {
        let policy = &said.policy;
        let limits = determinism::limits(policy, &said.limits)?;
        stack::check(limits.stack)?;
        let template: Arc<Template<Encoded>> = component.template(policy, &limits)?;
        let none = Imports::default();
        let imports = imports.unwrap_or(&none);
        let functions = imports
            .functions(template.imports())?
            .into_iter()
            .map(|callback| {
                Owned::Function(Bound {
                    callback,
                    instance: Arc::clone(place),
                })
            });
        let home = Arc::new(Home::new(imports.destructors(&template.linked.surface.resources)));
        let host = Host {
            functions: functions.collect(),
            context: Arc::new(Context::new(Arc::clone(&template.types), Arc::clone(&home))),
        };
        let name = template.linked.program.name.clone();
        let guest = Guest::new(policy, &limits, &[name], Stdio::outputs())?;
        let (cancel, monitor) = (guest.watch.cancel.clone(), Arc::clone(&guest.monitor));
        let instance = template.instantiate(guest, &limits, host)?;
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            room: Mutex::new(Some(Room {
                instance,
                result: Vec::new(),
            })),
            exports: template.linked.surface.exports.clone(),
            home,
            cancel,
            stack: limits.stack,
            monitor,
            released: Mutex::default(),
            closing: AtomicBool::new(false),
        })
    }

    /// Does something with the sandbox, unless a call is running in it.
    pub fn with<R>(&self, work: impl FnOnce(&mut Room) -> Result<R>) -> Failed<R> {
        stack::check(self.stack)?;
        let closed = || Error::new(Kind::Closed, "the instance was released").with_hint(HINT);
        let mut guard = match self.room.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            // Who releases it may hold it for a moment.
            Err(TryLockError::WouldBlock) if self.closing.load(Ordering::Acquire) => {
                return Err(closed().into());
            }
            Err(TryLockError::WouldBlock) => {
                let error = Error::new(Kind::Busy, "the instance is running a call already")
                    .with_hint("give each thread an instance of its own; they share the compiled component");
                return Err(error.into());
            }
        };
        let room = guard.as_mut().ok_or_else(closed)?;
        if self.cancel.is_asked() {
            return Err(Error::new(Kind::Interrupted, "the instance was cancelled")
                .with_hint(HINT)
                .into());
        }
        for resource in std::mem::take(&mut *lock(&self.released)) {
            // A destructor that traps leaves a dead instance, which the next call reports.
            let _ = room.instance.drop_resource(resource);
        }
        let done = work(room);
        if self.closing.load(Ordering::Acquire) {
            // The result of the call goes with it.
            drop(guard.take());
            return Err(closed().into());
        }
        drop(guard);
        self.close_if_asked();
        done.map_err(|error| self.explained(error).into())
    }

    /// Where the call ended the guest, the error says what that was refused.
    fn explained(&self, error: Error) -> Error {
        if error.kind().is_guest_s() {
            return error.with_more_hints(&hints::in_c(&self.monitor.entries()));
        }
        error
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.close_if_asked();
    }

    /// Ends the sandbox where that was asked for; a call that is running does so at its end.
    fn close_if_asked(&self) {
        if self.closing.load(Ordering::Acquire) {
            let room = match self.room.try_lock() {
                Ok(mut guard) => guard.take(),
                Err(TryLockError::Poisoned(guard)) => guard.into_inner().take(),
                Err(TryLockError::WouldBlock) => None,
            };
            drop(room);
        }
    }

    /// Ends a resource of the guest's now, or before the next call.
    fn drop_resource(&self, number: u64) -> Failed<()> {
        stack::check(self.stack)?;
        let resource = self.home.guest_resource(number, true)?;
        if let Ok(mut guard) = self.room.try_lock() {
            return guard
                .as_mut()
                .map_or(Ok(()), |room| Ok(room.instance.drop_resource(resource)?));
        }
        lock(&self.released).push(resource);
        Ok(())
    }
}

/// A function of an instance, found once and called again and again.
pub struct Function {
    instance: Arc<Instance>,
    inner: EngineFunction<Encoded>,
    export: Export,
}

impl Function {
    /// Finds a function by its interface and name.
    fn find(instance: &Arc<Instance>, interface: Option<&str>, name: &str) -> Failed<Self> {
        let wanted = |export: &&Export| export.interface.as_deref() == interface && export.name == name;
        let export = instance.exports.iter().find(wanted).cloned();
        let export = export.ok_or_else(|| {
            let known = instance.exports.iter().map(|export| match &export.interface {
                Some(interface) => format!("`{interface}#{}`", export.name),
                None => format!("`{}`", export.name),
            });
            let known: Vec<String> = known.take(20).collect();
            Error::new(Kind::NoExport, format!("there is no function `{name}`"))
                .with_hint(format!("the functions are {}", known.join(", ")))
        })?;
        let inner = instance.with(|room| room.instance.function(&export))?;
        Ok(Self {
            instance: Arc::clone(instance),
            inner,
            export,
        })
    }

    /// Calls it with an encoded tuple, and hands over the encoded result.
    fn call<R>(&self, arguments: &[u8], take: impl FnOnce(&[u8]) -> R) -> Failed<R> {
        let reader = Reader::default();
        reader.set(arguments);
        reader.whole().map_err(|error| self.located(error))?;
        self.instance.with(|room| {
            recycle(std::mem::take(&mut room.result));
            // SAFETY: the caller vouches that its arguments stay until it gets an answer.
            let arguments = unsafe { Owned::lent(arguments) };
            let outcome = room.instance.call(&self.inner, arguments);
            room.result = outcome.map_err(|error| self.located(error))?.value.into_bytes();
            Ok(take(&room.result))
        })
    }

    /// An error about a value with the function and the parameter that it is about.
    fn located(&self, error: Error) -> Error {
        self.export.located(error, str::to_owned)
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_instance_new(
    component: Handle,
    policy: Handle,
    imports: Handle,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "instance")?;
        let component = get::<Component>(component)?;
        let said = Policy::of(policy)?;
        let imports = if imports.is_null() {
            None
        } else {
            Some(get::<Imports>(imports)?)
        };
        let place = Arc::new(OnceLock::new());
        let instance = Instance::new(&component, &said, imports.as_deref(), &place)?;
        let instance = Arc::new(instance);
        let _ = instance.home.instance.set(Arc::downgrade(&instance));
        let handle = keep(instance)?;
        let _ = place.set(handle.addr());
        out.write(handle);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_instance_cancel(instance: Handle) -> Status {
    quietly(|| {
        get::<Instance>(instance)?.cancel.cancel();
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_instance_memory(instance: Handle, out: *mut u64, error: *mut Handle) -> Status {
    guarded(error, || {
        let out = Out::new(out, "number")?;
        let used = get::<Instance>(instance)?.with(|room| Ok(room.instance.sandbox.guest().meter.used()))?;
        out.write(used as u64);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_instance_fuel(instance: Handle, out: *mut u64, error: *mut Handle) -> Status {
    guarded(error, || {
        let out = Out::new(out, "number")?;
        let left = get::<Instance>(instance)?.with(|room| Ok(room.instance.sandbox.fuel()))?;
        let left = left.ok_or_else(|| {
            Failure::usage("the instance has no fuel that is counted")
                .with_hint("give it some: `wherry_policy_set(policy, \"fuel\", \"1000000\")`")
        })?;
        out.write(left);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_instance_free(instance: Handle) -> Status {
    if instance.is_null() {
        return crate::failure::OK;
    }
    quietly(|| {
        release::<Instance>(instance)?.close();
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_resource_drop(instance: Handle, resource: u64, error: *mut Handle) -> Status {
    guarded(error, || get::<Instance>(instance)?.drop_resource(resource))
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_function_find(
    instance: Handle,
    interface: *const c_char,
    name: *const c_char,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "function")?;
        let instance = get::<Instance>(instance)?;
        let function = Function::find(
            &instance,
            optional_text(interface, "interface")?,
            text(name, "name")?,
        )?;
        out.write(keep(Arc::new(function))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_function_call(
    function: Handle,
    arguments: *const u8,
    length: usize,
    result: *mut *const u8,
    result_length: *mut usize,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let result = Out::new(result, "result")?;
        let result_length = Out::new(result_length, "length of the result")?;
        let function = get::<Function>(function)?;
        let arguments = bytes(arguments, length, "arguments")?;
        let (pointer, length) = function.call(arguments, |result| (result.as_ptr(), result.len()))?;
        result.write(pointer);
        result_length.write(length);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_function_call_into(
    function: Handle,
    arguments: *const u8,
    length: usize,
    buffer: *mut u8,
    capacity: usize,
    result_length: *mut usize,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let result_length = Out::new(result_length, "length of the result")?;
        let function = get::<Function>(function)?;
        let arguments = bytes(arguments, length, "arguments")?;
        if capacity > 0 && buffer.is_null() {
            return Err(Failure::usage("the buffer is NULL"));
        }
        let copied = function.call(arguments, |result| {
            let fits = result.len() <= capacity;
            if fits && !result.is_empty() {
                // SAFETY: the caller vouches for so many bytes, and the two do not overlap: one is the library's own.
                unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), buffer, result.len()) };
            }
            (result.len(), fits)
        });
        let (needed, fits) = copied?;
        result_length.write(needed);
        if fits {
            return Ok(());
        }
        let message = format!("the result is {needed} bytes, and the buffer has {capacity}");
        Err(Failure::new(TOO_SMALL, message)
            .with_hint("the result is kept until the next call: `wherry_function_result`"))
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_function_result(
    function: Handle,
    result: *mut *const u8,
    result_length: *mut usize,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let result = Out::new(result, "result")?;
        let result_length = Out::new(result_length, "length of the result")?;
        let function = get::<Function>(function)?;
        let (pointer, length) = function
            .instance
            .with(|room| Ok((room.result.as_ptr(), room.result.len())))?;
        result.write(pointer);
        result_length.write(length);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_function_free(function: Handle) -> Status {
    freed::<Function>(function)
}
