//! What a stream or future carries, where only the run-time type says what that is.
//!
//! The engine asks an element for its size at compile time. It is told none, so that it hands over the address of the first
//! one and how many there are; the rest is read off the run-time type, for all of them in one go.

use super::{current, offset_in};
use crate::error::{Error, Kind};
use crate::values::lift::Lifting;
use crate::values::lower::Lowering;
use crate::values::{Port, Result};
use std::cell::Cell;
use std::mem::MaybeUninit;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentType, Lift, Lower};

/// An element of a stream, or the value of a future.
pub(crate) enum Element<P: Port> {
    /// One value of the host, on its way into a guest.
    One(P::Owned),
    /// All that was written at once, as a list.
    Batch(P::Owned),
    /// One of those that are in the batch.
    Rest,
}

/// What is lifted at the address of the first element.
#[derive(Clone, Copy)]
pub(crate) enum Batch {
    /// So many elements, as a list.
    List(usize),
    /// The value of a future, by itself.
    Value,
    /// Nothing: it is in the batch already.
    Nothing,
}

thread_local! {
    static BATCH: Cell<Batch> = const { Cell::new(Batch::Nothing) };
}

/// Runs `read`, in which elements are lifted as `wanted`.
pub(crate) fn batch<R>(wanted: Batch, read: impl FnOnce() -> R) -> R {
    BATCH.set(wanted);
    let done = read();
    BATCH.set(Batch::Nothing);
    done
}

/// An error about an element: it is not about an argument of the call that runs.
fn told(error: Error) -> Error {
    if error.kind() != Kind::Value {
        return error;
    }
    let message = format!("what a stream or future carries: {}", error.message());
    match error.path() {
        "" => Error::new(Kind::Value, message),
        path => Error::new(Kind::Value, format!("{message}, at `{path}`")),
    }
}

// SAFETY: it has no flat form, and a size of nothing: the engine reads and writes nothing of it by itself.
unsafe impl<P: Port> ComponentType for Element<P> {
    type Lower = [wasmtime::ValRaw; 0];
    const ABI: CanonicalAbiInfo = CanonicalAbiInfo {
        size32: 0,
        align32: 1,
        size64: 0,
        align64: 1,
        flat_count: None,
    };

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn never_flat() -> wasmtime::Error {
    Error::new(Kind::Internal, "an element of a stream was to be flat").into()
}

// SAFETY: addresses are checked before anything is read.
unsafe impl<P: Port> Lift for Element<P> {
    fn linear_lift_from_flat(
        _: &mut LiftContext<'_>,
        _: InterfaceType,
        _: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Err(never_flat())
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let wanted = BATCH.replace(Batch::Nothing);
        if matches!(wanted, Batch::Nothing) {
            return Ok(Element::Rest);
        }
        let at = offset_in(cx, bytes);
        current::<P, _>(|context, _, _| {
            let node = context.types.element(ty, cx.types);
            P::attach(|token| {
                let mut lifting = Lifting { cx, context };
                let lifted = match wanted {
                    Batch::List(count) => lifting.batch(token, &node, at, count)?,
                    _ => lifting.load(token, &node, at)?,
                };
                Ok(Element::Batch(P::own(lifted)))
            })
        })?
        .map_err(|error: Error| error.into())
    }
}

// SAFETY: what is written is inside of what the engine checked for so many elements of the run-time type.
unsafe impl<P: Port> Lower for Element<P> {
    fn linear_lower_to_flat<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        Err(never_flat())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        Self::linear_store_list_to_memory(cx, ty, offset, std::slice::from_ref(self))
    }

    fn linear_store_list_to_memory<T>(
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
        items: &[Self],
    ) -> wasmtime::Result<()> {
        current::<P, _>(|context, _, lent| {
            let node = context.types.element(ty, cx.types);
            if !offset.is_multiple_of(node.align as usize) {
                return Err(Error::new(
                    Kind::Trap,
                    "the guest reads to an address that is not aligned",
                ));
            }
            let mut lent = lent.borrow_mut();
            let mut lowering = Lowering {
                cx,
                context,
                lent: &mut lent,
            };
            let store = |(place, item): (usize, &Self)| -> Result<()> {
                let Element::One(value) = item else {
                    return Err(Error::new(Kind::Internal, "a batch was to be lowered"));
                };
                P::attach(|token| {
                    let value = P::bind(token, value);
                    lowering.store(&node, &value, offset + place * node.size)?;
                    P::end(&value)
                })
            };
            items.iter().enumerate().try_for_each(store)
        })?
        .map_err(|error| told(error).into())
    }
}
