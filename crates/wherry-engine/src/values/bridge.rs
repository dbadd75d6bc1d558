//! Where lowering and lifting meet the engine: the one place that stands on hidden traits of wasmtime.
//!
//! `ComponentType`, `Lower` and `Lift` are implemented for types that look at the run-time type they are handed, so that
//! four types serve every signature: [`Params`] and [`Outcome`] for calls into a guest, [`Lifted`] and [`Returned`] for
//! calls out of it. wasmtime is pinned exactly because of this file, and the round-trip tests of `tests/runtime` guard it.
//!
//! The engine hands a lift nothing but memory and types. The instance that a call belongs to is therefore kept for the
//! thread while the call runs: [`enter`].

mod elements;
mod pieces;

pub(crate) use elements::{Batch, Element, batch};
pub use pieces::{Piece, PieceResult, PieceType, Pieces};

use super::lift::{From, Lifting, Slots as LiftSlots};
use super::lower::{Lowering, Slots as LowerSlots};
use super::{Context, Node, Port, Shape};
use crate::error::{Error, Kind};
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock};
use wasmtime::ValRaw;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};

/// More flat values than this go through memory (`MAX_FLAT_PARAMS` of the canonical ABI).
pub const MAX_FLAT: usize = 16;

/// The shapes of one function, found at its first call.
pub struct Signature<P: Port> {
    params: OnceLock<Arc<Node<P>>>,
    results: OnceLock<Arc<Node<P>>>,
}

impl<P: Port> Default for Signature<P> {
    fn default() -> Self {
        Self {
            params: OnceLock::new(),
            results: OnceLock::new(),
        }
    }
}

/// A call in progress on this thread.
struct Call<P: Port> {
    context: *const Context<P>,
    signature: *const Signature<P>,
    lent: RefCell<Vec<u32>>,
}

thread_local! {
    static CURRENT: Cell<(*const (), Option<TypeId>)> = const { Cell::new((std::ptr::null(), None)) };
}

/// Runs `work`, in which values of `context` may be lowered and lifted on this thread.
///
/// With an asynchronous call this is done for each poll. Host values that were lent for the call are given back after it.
pub fn enter<P: Port, R>(context: &Context<P>, signature: &Signature<P>, work: impl FnOnce() -> R) -> R {
    struct Restore((*const (), Option<TypeId>));
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let call = Call::<P> {
        context,
        signature,
        lent: RefCell::default(),
    };
    let restore = Restore(CURRENT.replace((std::ptr::from_ref(&call).cast(), Some(TypeId::of::<P>()))));
    let result = work();
    drop(restore);
    for handle in call.lent.into_inner() {
        context.take(handle);
    }
    result
}

/// The call that this thread is in, for as long as `work` runs.
fn current<P: Port, R>(
    work: impl FnOnce(&Context<P>, &Signature<P>, &RefCell<Vec<u32>>) -> R,
) -> wasmtime::Result<R> {
    let (call, port) = CURRENT.get();
    if call.is_null() || port != Some(TypeId::of::<P>()) {
        return Err(Error::new(Kind::Internal, "a value crossed outside of a call").into());
    }
    // SAFETY: `enter` put the address of its own local there, of a `Call<P>` as the type id says, and takes it out before
    // that local goes. The pointers inside it come from references that outlive `enter`.
    let (context, signature, lent) = unsafe {
        let call = &*call.cast::<Call<P>>();
        (&*call.context, &*call.signature, &call.lent)
    };
    Ok(work(context, signature, lent))
}

/// Whether this thread drives the guest whose context is at this address.
pub(crate) fn is_in<P: Port>(home: usize) -> bool {
    current::<P, _>(|context, _, _| std::ptr::from_ref(context).addr() == home).unwrap_or(false)
}

/// The layout of `N` flat values. Size and alignment are checked here by the run-time type, so the engine is told none.
const fn flat_abi(flat: usize) -> CanonicalAbiInfo {
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_FLAT")]
    CanonicalAbiInfo {
        size32: 0,
        align32: 1,
        size64: 0,
        align64: 1,
        flat_count: Some(flat as u8),
    }
}

/// Flat slots as a slice.
fn slots<const N: usize>(dst: &mut MaybeUninit<[ValRaw; N]>) -> &mut [MaybeUninit<ValRaw>] {
    // SAFETY: an uninitialised array is an array of uninitialised elements.
    unsafe { std::slice::from_raw_parts_mut(dst.as_mut_ptr().cast(), N) }
}

fn tuple_index(
    ty: InterfaceType,
) -> wasmtime::Result<wasmtime::component::__internal::wasmtime_environ::component::TypeTupleIndex> {
    match ty {
        InterfaceType::Tuple(index) => Ok(index),
        _ => Err(Error::new(Kind::Internal, "the parameters of a function are no tuple").into()),
    }
}

/// The offset of `bytes`, which the engine took from the guest's memory.
fn offset_in(cx: &LiftContext<'_>, bytes: &[u8]) -> usize {
    bytes.as_ptr() as usize - cx.memory().as_ptr() as usize
}

/// Implements the part of the hidden traits that is the same for all four types.
macro_rules! flat_type {
    ($name:ident) => {
        // SAFETY: `Lower` is an array of `ValRaw`, and the run-time type is followed by the implementations below.
        unsafe impl<P: Port, const N: usize> ComponentType for $name<P, N> {
            type Lower = [ValRaw; N];
            const ABI: CanonicalAbiInfo = flat_abi(N);

            fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
                Ok(())
            }
        }

        // SAFETY: the parameters and results of a function are what the run-time type says.
        unsafe impl<P: Port, const N: usize> ComponentNamedList for $name<P, N> {}
    };
}

/// The arguments of a call into a guest: one sequence of host values.
pub struct Params<P: Port, const N: usize>(pub P::Owned);
flat_type!(Params);

impl<P: Port, const N: usize> Params<P, N> {
    fn lower<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        work: impl FnOnce(&mut Lowering<'_, '_, P, T>, &Node<P>, &P::Ref<'_>) -> super::Result<()>,
    ) -> wasmtime::Result<()> {
        let index = tuple_index(ty)?;
        current::<P, _>(|context, signature, lent| {
            let node = signature
                .params
                .get_or_init(|| context.types.tuple(index, cx.types));
            P::attach(|token| {
                let mut lent = lent.borrow_mut();
                let mut lowering = Lowering {
                    cx,
                    context,
                    lent: &mut lent,
                };
                let values = P::bind(token, &self.0);
                work(&mut lowering, node, &values)?;
                P::end(&values)
            })
        })?
        .map_err(Into::into)
    }
}

// SAFETY: fills the slots that the run-time type has, and writes inside of what `realloc` gave.
unsafe impl<P: Port, const N: usize> Lower for Params<P, N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; N]>,
    ) -> wasmtime::Result<()> {
        self.lower(cx, ty, |lowering, node, values| {
            let mut slots = LowerSlots::new(slots(dst));
            if node.flat <= MAX_FLAT {
                return lowering.flat(node, values, &mut slots);
            }
            let pointer = lowering.spill(node, values)?;
            slots.push(pointer as u64)
        })
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        self.lower(cx, ty, |lowering, node, values| {
            lowering.store(node, values, offset)
        })
    }
}

/// The result of a call into a guest.
pub struct Outcome<P: Port, const N: usize> {
    /// The value, or the payload where the function returns a `result`; "nothing" where there is none.
    pub value: P::Owned,
    /// Whether the function returned the error case of its `result`.
    pub failed: bool,
}
flat_type!(Outcome);

impl<P: Port, const N: usize> Outcome<P, N> {
    fn lift(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        flat: Option<&[ValRaw]>,
        at: usize,
    ) -> wasmtime::Result<Self> {
        let index = tuple_index(ty)?;
        current::<P, _>(|context, signature, _| {
            let node = signature
                .results
                .get_or_init(|| context.types.tuple(index, cx.types));
            P::attach(|token| {
                let Shape::Tuple(fields) = &node.shape else {
                    return Err(Error::new(
                        Kind::Internal,
                        "the results of a function are no tuple",
                    ));
                };
                let Some(field) = fields.first() else {
                    return Ok(Self {
                        value: P::own(P::nothing(token)),
                        failed: false,
                    });
                };
                let from = match flat {
                    Some(flat) if node.flat <= flat.len() => From::Flat(flat),
                    Some(flat) => From::Memory(returned_pointer(cx, flat[0], &field.node)?),
                    None => From::Memory(at),
                };
                let mut lifting = Lifting { cx, context };
                let (value, failed) = match (&field.node.shape, from) {
                    (Shape::Result(cases), from) => lifting.outcome(token, cases, from)?,
                    (_, From::Flat(flat)) => (
                        lifting.flat(token, &field.node, &mut LiftSlots::new(flat))?,
                        false,
                    ),
                    (_, From::Memory(offset)) => (lifting.load(token, &field.node, offset)?, false),
                };
                Ok(Self {
                    value: P::own(value),
                    failed,
                })
            })
        })?
        .map_err(Into::into)
    }
}

/// Checks the address of a result in memory: inside, and aligned.
fn returned_pointer<P: Port>(cx: &LiftContext<'_>, slot: ValRaw, node: &Node<P>) -> super::Result<usize> {
    let pointer = slot.get_u32() as usize;
    let inside = pointer
        .checked_add(node.size)
        .is_some_and(|end| end <= cx.memory().len());
    if inside && pointer.is_multiple_of(node.align as usize) {
        return Ok(pointer);
    }
    Err(Error::new(
        Kind::Trap,
        "the guest returned an address that is outside its memory or not aligned",
    ))
}

// SAFETY: reads the slots that the run-time type has, and checks every address.
unsafe impl<P: Port, const N: usize> Lift for Outcome<P, N> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; N],
    ) -> wasmtime::Result<Self> {
        Self::lift(cx, ty, Some(src), 0)
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let at = offset_in(cx, bytes);
        Self::lift(cx, ty, None, at)
    }
}

/// The arguments of a call out of a guest: one tuple of host values.
pub struct Lifted<P: Port, const N: usize>(pub P::Owned);
flat_type!(Lifted);

impl<P: Port, const N: usize> Lifted<P, N> {
    fn lift(cx: &mut LiftContext<'_>, ty: InterfaceType, from: &From<'_>) -> wasmtime::Result<Self> {
        let index = tuple_index(ty)?;
        current::<P, _>(|context, _, _| {
            let node = context.types.tuple(index, cx.types);
            P::attach(|token| {
                let mut lifting = Lifting { cx, context };
                let values = match from {
                    From::Flat(flat) => lifting.flat(token, &node, &mut LiftSlots::new(flat))?,
                    From::Memory(offset) => lifting.load(token, &node, *offset)?,
                };
                Ok::<_, Error>(Self(P::own(values)))
            })
        })?
        .map_err(Into::into)
    }
}

// SAFETY: reads the slots that the run-time type has, and checks every address.
unsafe impl<P: Port, const N: usize> Lift for Lifted<P, N> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; N],
    ) -> wasmtime::Result<Self> {
        Self::lift(cx, ty, &From::Flat(src))
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let at = offset_in(cx, bytes);
        Self::lift(cx, ty, &From::Memory(at))
    }
}

/// The result of a call out of a guest, and the name of the function; anything where the function returns nothing.
pub struct Returned<P: Port, const N: usize>(pub P::Owned, pub Arc<str>);
flat_type!(Returned);

impl<P: Port, const N: usize> Returned<P, N> {
    fn lower<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        work: impl FnOnce(&mut Lowering<'_, '_, P, T>, &Node<P>, &P::Ref<'_>) -> super::Result<()>,
    ) -> wasmtime::Result<()> {
        let index = tuple_index(ty)?;
        current::<P, _>(|context, _, lent| {
            let node = context.types.tuple(index, cx.types);
            let Shape::Tuple(fields) = &node.shape else {
                return Err(Error::new(
                    Kind::Internal,
                    "the results of a function are no tuple",
                ));
            };
            let Some(field) = fields.first() else {
                return Ok(());
            };
            P::attach(|token| {
                let mut lent = lent.borrow_mut();
                let mut lowering = Lowering {
                    cx,
                    context,
                    lent: &mut lent,
                };
                let value = P::bind(token, &self.0);
                work(&mut lowering, &field.node, &value)?;
                P::end(&value)
            })
        })?
        .map_err(|error| self.located(error).into())
    }

    /// An error about a value with the function that returned it and the path to the part that does not fit.
    fn located(&self, error: Error) -> Error {
        if error.kind() != Kind::Value {
            return error;
        }
        let message = format!(
            "the host function `{}` returned `result{}`: {}",
            self.1,
            error.path(),
            error.message()
        );
        error.with_message(message)
    }
}

// SAFETY: fills the slots that the run-time type has, and writes where the engine checked.
unsafe impl<P: Port, const N: usize> Lower for Returned<P, N> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; N]>,
    ) -> wasmtime::Result<()> {
        self.lower(cx, ty, |lowering, node, value| {
            lowering.flat(node, value, &mut LowerSlots::new(slots(dst)))
        })
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        self.lower(cx, ty, |lowering, node, value| {
            lowering.store(node, value, offset)
        })
    }
}
