//! What the caller provides to guests: functions, and what ends its resources.
//!
//! A callback gets its arguments as one encoded tuple, and a [`Caller`] to answer by. The caller's handle is good for that one
//! call, on the thread of that call; anything else is found out.

use crate::failure::{Declined, Failed, Failure, Status, WRONG_THREAD, freed, guarded, quietly};
use crate::handles::{Handle, get, keep, release};
use crate::strings::{Out, bytes, optional_text, text};
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::exports::Import;

/// A function of the caller's: context, arguments and their length, and what it answers by.
pub type CFunction = extern "C" fn(*mut c_void, *const u8, usize, Handle) -> c_int;
/// Fills a stream of the caller's: context, how many elements are wanted, and what it answers by.
pub type CSource = extern "C" fn(*mut c_void, usize, Handle) -> c_int;
/// Hears that a resource of the caller's is at its end: context, and the resource's number.
pub type CDestructor = extern "C" fn(*mut c_void, u64);
/// Hears that a context is not used any more.
pub type CDestroy = extern "C" fn(*mut c_void);

/// The caller's own data behind a callback.
pub struct Data {
    pointer: *mut c_void,
    destroy: Option<CDestroy>,
}

// SAFETY: `wherry.h` tells the caller on which threads its data is used.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

impl Data {
    pub fn new(pointer: *mut c_void, destroy: Option<CDestroy>) -> Self {
        Self { pointer, destroy }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            destroy(self.pointer);
        }
    }
}

/// A host function.
pub struct Callback {
    function: CFunction,
    data: Data,
    name: String,
}

/// What ends resources of one type.
pub struct Destructor {
    function: CDestructor,
    data: Data,
}

impl Destructor {
    pub fn run(&self, number: u64) {
        (self.function)(self.data.pointer, number);
    }
}

/// A function or resource by its interface and name.
type Key = (Option<String>, String);

/// What one or several instances are given.
#[derive(Default)]
pub struct Imports {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    functions: Vec<(Key, Arc<Callback>)>,
    resources: Vec<(Key, Arc<Destructor>)>,
}

impl Imports {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The functions that a component wants, in its order.
    ///
    /// # Errors
    /// A failure that names all that are missing.
    pub fn functions(&self, wanted: &[Import]) -> Failed<Vec<Arc<Callback>>> {
        let tables = self.tables();
        let mut missing = Vec::new();
        let mut found = Vec::new();
        for import in wanted {
            let known = tables.functions.iter();
            let mut known =
                known.filter(|((interface, name), _)| *interface == import.interface && *name == import.name);
            match known.next_back() {
                Some((_, callback)) => found.push(Arc::clone(callback)),
                None => missing.push(full_name(import.interface.as_deref(), &import.name)),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let message = format!(
            "the component imports what nothing provides: {}",
            missing.join(", ")
        );
        let error = Error::new(Kind::Link, message).with_hint("give each to `wherry_imports_function`");
        Err(error.into())
    }

    /// What ends the resources that a component wants, in its order.
    pub fn destructors(&self, wanted: &[(Option<String>, String)]) -> Vec<Option<Arc<Destructor>>> {
        let tables = self.tables();
        let found = wanted.iter().map(|key| {
            let mut known = tables.resources.iter().filter(|(known, _)| known == key);
            known.next_back().map(|(_, destructor)| Arc::clone(destructor))
        });
        found.collect()
    }
}

fn full_name(interface: Option<&str>, name: &str) -> String {
    match interface {
        Some(interface) => format!("`{interface}#{name}`"),
        None => format!("`{name}`"),
    }
}

/// A host function in one instance.
#[derive(Clone)]
pub struct Bound {
    pub callback: Arc<Callback>,
    /// The handle of the instance, once there is one.
    pub instance: Arc<OnceLock<usize>>,
}

impl Bound {
    /// Calls it.
    ///
    /// # Errors
    /// [`Kind::Host`] with what the callback said of its failure.
    pub fn invoke(&self, arguments: &[u8]) -> Result<Vec<u8>> {
        let Callback { function, data, name } = &*self.callback;
        let instance = self.instance.get().copied().unwrap_or(0);
        let answer = Caller::answered(instance, None, |caller| {
            function(data.pointer, arguments.as_ptr(), arguments.len(), caller)
        });
        Ok(answer
            .map_err(|failed| failed.error(&format!("the host function `{name}`")))?
            .value)
    }
}

/// What fills a stream of the caller's.
pub struct Source {
    function: CSource,
    data: Data,
}

impl Source {
    pub fn new(function: CSource, data: Data) -> Self {
        Self { function, data }
    }

    /// About `most` elements, encoded as a list; no bytes at the end, and nothing while there is nothing yet.
    ///
    /// # Errors
    /// [`Kind::Host`] with what the callback said of its failure.
    pub fn ask(&self, most: usize) -> Result<Option<Vec<u8>>> {
        let call = |caller| (self.function)(self.data.pointer, most, caller);
        let answer = Caller::answered(0, Some(false), call);
        let answer = answer.map_err(|failed| failed.error("the source of a stream"))?;
        Ok((answer.later != Some(true)).then_some(answer.value))
    }
}

/// One call out of a guest, as the callback sees it.
pub struct Caller {
    thread: ThreadId,
    instance: usize,
    answer: Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    value: Vec<u8>,
    failure: Option<String>,
    /// Whether there is no value yet, of which a source alone may say so.
    later: Option<bool>,
}

/// A callback that failed: what it returned, and what it said of that.
struct Unanswered(c_int, Option<String>);

impl Unanswered {
    fn error(self, who: &str) -> Error {
        let Self(status, said) = self;
        let message = match said {
            Some(said) => format!("{who} failed: {said}"),
            None => format!("{who} failed and returned {status}"),
        };
        Error::new(Kind::Host, message).with_payload(Box::new(Declined(status)))
    }
}

impl Caller {
    /// What a callback answers that is called with a handle of its own.
    fn answered(
        instance: usize,
        later: Option<bool>,
        call: impl FnOnce(Handle) -> c_int,
    ) -> std::result::Result<Answer, Unanswered> {
        let caller = Arc::new(Caller {
            thread: thread::current().id(),
            instance,
            answer: Mutex::new(Answer {
                later,
                ..Answer::default()
            }),
        });
        let handle =
            keep(Arc::clone(&caller)).map_err(|failure| Unanswered(0, Some(failure.message().to_owned())))?;
        let status = call(handle);
        drop(release::<Caller>(handle));
        let answer = std::mem::take(&mut *caller.answer());
        if status == 0 && answer.failure.is_none() {
            return Ok(answer);
        }
        Err(Unanswered(status, answer.failure))
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller of this handle, on the thread of its call.
    fn here(handle: Handle) -> Failed<Arc<Self>> {
        let caller = get::<Caller>(handle)?;
        if caller.thread == thread::current().id() {
            return Ok(caller);
        }
        let failure = Failure::new(
            WRONG_THREAD,
            "a callback is answered on the thread that it is called on",
        );
        Err(failure.with_hint("have that thread wait for the others, and answer itself"))
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_imports_new(out: *mut Handle, error: *mut Handle) -> Status {
    guarded(error, || {
        let out = Out::new(out, "table of imports")?;
        out.write(keep(Arc::new(Imports::default()))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_imports_function(
    imports: Handle,
    interface: *const c_char,
    name: *const c_char,
    function: Option<CFunction>,
    context: *mut c_void,
    destroy: Option<CDestroy>,
    error: *mut Handle,
) -> Status {
    // Made first: whatever is refused below, the context is the library's to destroy.
    let data = Data::new(context, destroy);
    guarded(error, || {
        let imports = get::<Imports>(imports)?;
        let interface = optional_text(interface, "interface")?.map(str::to_owned);
        let name = text(name, "name")?;
        let callback = Callback {
            function: function.ok_or_else(|| Failure::usage("the function is NULL"))?,
            data,
            name: name.to_owned(),
        };
        let entry = ((interface, name.to_owned()), Arc::new(callback));
        imports.tables().functions.push(entry);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_imports_resource(
    imports: Handle,
    interface: *const c_char,
    name: *const c_char,
    destructor: Option<CDestructor>,
    context: *mut c_void,
    destroy: Option<CDestroy>,
    error: *mut Handle,
) -> Status {
    let data = Data::new(context, destroy);
    guarded(error, || {
        let imports = get::<Imports>(imports)?;
        let interface = optional_text(interface, "interface")?.map(str::to_owned);
        let name = text(name, "name")?.to_owned();
        let destructor = Destructor {
            function: destructor.ok_or_else(|| Failure::usage("the destructor is NULL"))?,
            data,
        };
        imports
            .tables()
            .resources
            .push(((interface, name), Arc::new(destructor)));
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_imports_free(imports: Handle) -> Status {
    freed::<Imports>(imports)
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_caller_return(
    caller: Handle,
    value: *const u8,
    length: usize,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let caller = Caller::here(caller)?;
        let value = bytes(value, length, "bytes of the result")?;
        let mut answer = caller.answer();
        answer.value.clear();
        answer.value.extend_from_slice(value);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_caller_reserve(
    caller: Handle,
    length: usize,
    out: *mut *mut u8,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let out = Out::new(out, "buffer")?;
        let caller = Caller::here(caller)?;
        let mut answer = caller.answer();
        answer.value.clear();
        answer
            .value
            .try_reserve_exact(length)
            .map_err(|_| Failure::usage(format!("there is no memory for {length} bytes")))?;
        answer.value.resize(length, 0);
        out.write(answer.value.as_mut_ptr());
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_caller_fail(caller: Handle, message: *const c_char) -> Status {
    quietly(|| {
        let caller = Caller::here(caller)?;
        let message = text(message, "message")?;
        caller.answer().failure = Some(message.to_owned());
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_caller_later(caller: Handle) -> Status {
    quietly(|| {
        let caller = Caller::here(caller)?;
        let mut answer = caller.answer();
        let later = answer.later.as_mut();
        *later.ok_or_else(|| Failure::usage("a callback has its answer when it returns"))? = true;
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_caller_instance(caller: Handle) -> Handle {
    let instance = Caller::here(caller).map_or(0, |caller| caller.instance);
    std::ptr::without_provenance_mut(instance)
}
