//! What callers hold: numbers in the form of pointers, looked up and never followed.
//!
//! A handle is the place of an object and the generation of that place, so that one which was released, or never was one, is
//! found out. Places are used again, memory for them is never given back, and a lookup locks nothing but the place. Objects are
//! counted: one that is released while a call uses it goes when the call is done.

use crate::component::Component;
use crate::context::Context;
use crate::failure::{Failed, Failure};
use crate::imports::{Caller, Imports};
use crate::instance::{Function, Instance};
use crate::policy::Policy;
use crate::streams::Stream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What a handle looks like to C: a pointer to a type that is never complete.
#[repr(C)]
pub struct Opaque {
    _private: [u8; 0],
}

/// A handle as it crosses the border.
pub type Handle = *mut Opaque;

/// Anything that has a handle.
pub enum Object {
    Context(Arc<Context>),
    Component(Arc<Component>),
    Policy(Arc<Policy>),
    Imports(Arc<Imports>),
    Instance(Arc<Instance>),
    Function(Arc<Function>),
    Caller(Arc<Caller>),
    Stream(Arc<Stream>),
    Error(Arc<Failure>),
}

/// A type that has handles.
pub trait Held: Sized {
    /// What messages call it.
    const NAME: &'static str;

    fn wrap(this: Arc<Self>) -> Object;
    fn unwrap(object: &Object) -> Option<&Arc<Self>>;
}

macro_rules! held {
    ($($variant:ident($type:ty) = $name:literal,)*) => {
        $(impl Held for $type {
            const NAME: &'static str = $name;

            fn wrap(this: Arc<Self>) -> Object {
                Object::$variant(this)
            }

            fn unwrap(object: &Object) -> Option<&Arc<Self>> {
                match object {
                    Object::$variant(this) => Some(this),
                    _ => None,
                }
            }
        })*

        impl Object {
            fn name(&self) -> &'static str {
                match self {
                    $(Object::$variant(_) => $name,)*
                }
            }
        }
    };
}

held! {
    Context(Context) = "context",
    Component(Component) = "component",
    Policy(Policy) = "policy",
    Imports(Imports) = "table of imports",
    Instance(Instance) = "instance",
    Function(Function) = "function",
    Caller(Caller) = "caller",
    Stream(Stream) = "stream",
    Error(Failure) = "error",
}

/// One place. Its generation changes whenever its object goes.
struct Slot(Mutex<(u32, Option<Object>)>);

/// The first row has this many places, and each row twice as many as the one before.
const FIRST: usize = 64;

/// Enough rows for 2³¹ places.
const ROWS: usize = 26;

static TABLE: [OnceLock<Box<[Slot]>>; ROWS] = [const { OnceLock::new() }; ROWS];

/// Places that are free, and how many were ever taken.
static FREE: Mutex<(Vec<u32>, u32)> = Mutex::new((Vec::new(), 0));

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The row of a place, and where it is in there.
fn position(place: u32) -> (usize, usize) {
    let shifted = place as usize + FIRST;
    let row = (shifted.ilog2() - FIRST.ilog2()) as usize;
    (row, shifted - (FIRST << row))
}

fn slot(place: u32) -> Option<&'static Slot> {
    let (row, column) = position(place);
    TABLE.get(row)?.get()?.get(column)
}

fn made(place: u32) -> Option<&'static Slot> {
    let (row, column) = position(place);
    let fresh = || (0..FIRST << row).map(|_| Slot(Mutex::new((1, None)))).collect();
    TABLE.get(row)?.get_or_init(fresh).get(column)
}

/// Keeps an object and gives out a handle to it.
pub fn keep<T: Held>(object: Arc<T>) -> Failed<Handle> {
    let place = {
        let (free, taken) = &mut *lock(&FREE);
        free.pop().unwrap_or_else(|| {
            *taken += 1;
            *taken - 1
        })
    };
    let slot = made(place).ok_or_else(|| Failure::internal("there are too many handles"))?;
    let mut slot = lock(&slot.0);
    slot.1 = Some(T::wrap(object));
    let handle = (slot.0 as usize) << 32 | place as usize;
    Ok(std::ptr::without_provenance_mut(handle))
}

/// Whether a handle is one, and to what.
fn look<R>(
    handle: Handle,
    wanted: &'static str,
    found: impl FnOnce(u32, &mut (u32, Option<Object>)) -> Option<R>,
) -> Failed<R> {
    if handle.is_null() {
        return Err(Failure::handle(format!("the {wanted} is NULL")));
    }
    let number = handle.addr();
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    let (place, generation) = (number as u32, (number >> 32) as u32);
    let wrong = |what: String| Err(Failure::handle(what));
    let Some(slot) = slot(place) else {
        return wrong(format!("this is no handle, and a {wanted} is wanted"));
    };
    let mut slot = lock(&slot.0);
    match &slot.1 {
        Some(_) if slot.0 == generation => {}
        _ if slot.0 > generation && generation > 0 => {
            return wrong(format!("the {wanted} was released already"));
        }
        _ => return wrong(format!("this is no handle, and a {wanted} is wanted")),
    }
    let name = slot.1.as_ref().map_or("handle", Object::name);
    found(place, &mut slot).ok_or_else(|| {
        Failure::handle(format!(
            "this is a handle to an object of another kind ({name}), and a {wanted} is wanted"
        ))
    })
}

/// The object of a handle.
pub fn get<T: Held>(handle: Handle) -> Failed<Arc<T>> {
    look(handle, T::NAME, |_, (_, object)| {
        object.as_ref().and_then(T::unwrap).map(Arc::clone)
    })
}

/// Ends a handle; the object is given back, to be dropped where nothing is locked.
pub fn release<T: Held>(handle: Handle) -> Failed<Arc<T>> {
    let (place, object) = look(handle, T::NAME, |place, slot| {
        let object = Arc::clone(slot.1.as_ref().and_then(T::unwrap)?);
        slot.1 = None;
        slot.0 = slot.0.checked_add(1).unwrap_or(1);
        Some((place, object))
    })?;
    lock(&FREE).0.push(place);
    Ok(object)
}
