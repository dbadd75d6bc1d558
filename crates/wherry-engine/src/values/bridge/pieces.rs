//! Calls with small values, which are held without the host language, so that its lock is let go of once and not three times.

use super::{LowerSlots, MAX_FLAT, Signature, flat_abi, slots, tuple_index};
use crate::error::{Error, Kind};
use crate::values::lower::lower_text;
use crate::values::{Port, Result, Scalar, Shape};
use std::mem::MaybeUninit;
use wasmtime::ValRaw;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};

/// How many parameters a function may have to be called with [`Pieces`].
const MAX_PIECES: usize = 4;

/// The longest string that is worth a copy to spare two turns of the host's lock.
const MAX_TEXT: usize = 4 << 10;

/// A small value that is held without the host language.
#[derive(Debug, Clone)]
pub enum Piece {
    /// The bits of a number.
    Bits(u64),
    /// A short string.
    Text(String),
}

/// The arguments of a call that are all numbers and short strings, taken out of the host language before the call: nothing of
/// it is touched inside.
#[derive(Debug, Clone)]
pub struct Pieces {
    items: [Piece; MAX_PIECES],
    count: usize,
}

/// What a function called with [`Pieces`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceType {
    /// Nothing.
    Nothing,
    /// A number.
    Scalar(Scalar),
    /// A string.
    Text,
}

/// The result of such a call; `None` where the function returns nothing.
#[derive(Debug, Clone)]
pub struct PieceResult<const N: usize>(pub Option<Piece>);

impl<P: Port> Signature<P> {
    /// What the function returns, if that is a small value; `None` for all else, and before the first call.
    #[must_use]
    pub fn piece_type(&self) -> Option<PieceType> {
        let Shape::Tuple(fields) = &self.results.get()?.shape else {
            return None;
        };
        match fields.first().map(|field| &field.node.shape) {
            None => Some(PieceType::Nothing),
            Some(Shape::Scalar(scalar)) => Some(PieceType::Scalar(*scalar)),
            Some(Shape::String) => Some(PieceType::Text),
            Some(_) => None,
        }
    }

    /// Arguments as small values, where every parameter is one; `None` for all else, and before the first call.
    ///
    /// # Errors
    /// [`Kind::Value`] when an argument does not fit.
    pub fn pieces(&self, arguments: &P::Ref<'_>) -> Result<Option<Pieces>> {
        let Some(Shape::Tuple(fields)) = self.params.get().map(|node| &node.shape) else {
            return Ok(None);
        };
        if fields.len() > MAX_PIECES {
            return Ok(None);
        }
        let mut pieces = Pieces {
            items: [const { Piece::Bits(0) }; MAX_PIECES],
            count: fields.len(),
        };
        for (index, field) in fields.iter().enumerate() {
            let value = P::item(arguments, index)?;
            let piece = match field.node.shape {
                Shape::Scalar(scalar) => P::scalar(&value, scalar).map(|bits| Some(Piece::Bits(bits))),
                Shape::String => P::string(&value, |text| {
                    (text.len() <= MAX_TEXT).then(|| Piece::Text(text.to_owned()))
                }),
                _ => return Ok(None),
            };
            match piece.map_err(|error| error.in_path(&format!("[{index}]")))? {
                Some(piece) => pieces.items[index] = piece,
                None => return Ok(None),
            }
        }
        Ok(Some(pieces))
    }
}

// SAFETY: as many slots as the parameters of the function have are filled, as its shape says.
unsafe impl ComponentType for Pieces {
    type Lower = [ValRaw; MAX_FLAT];
    const ABI: CanonicalAbiInfo = flat_abi(MAX_FLAT);

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: as above.
unsafe impl ComponentNamedList for Pieces {}

// SAFETY: as above.
unsafe impl Lower for Pieces {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        dst: &mut MaybeUninit<[ValRaw; MAX_FLAT]>,
    ) -> wasmtime::Result<()> {
        let mut slots = LowerSlots::new(slots(dst));
        for piece in &self.items[..self.count] {
            match piece {
                Piece::Bits(bits) => slots.push(*bits)?,
                Piece::Text(text) => {
                    let (pointer, length) = lower_text(cx, text)?;
                    slots.push(pointer as u64)?;
                    slots.push(length as u64)?;
                }
            }
        }
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: usize,
    ) -> wasmtime::Result<()> {
        Err(Error::new(Kind::Internal, "small values were to be passed through memory").into())
    }
}

// SAFETY: as many slots are read as the function has results, 0 or 1; addresses are checked.
unsafe impl<const N: usize> ComponentType for PieceResult<N> {
    type Lower = [ValRaw; N];
    const ABI: CanonicalAbiInfo = flat_abi(N);

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> wasmtime::Result<()> {
        Ok(())
    }
}

// SAFETY: as above.
unsafe impl<const N: usize> ComponentNamedList for PieceResult<N> {}

// SAFETY: as above.
unsafe impl<const N: usize> Lift for PieceResult<N> {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        ty: InterfaceType,
        src: &[ValRaw; N],
    ) -> wasmtime::Result<Self> {
        let index = tuple_index(ty)?;
        let Some(slot) = src.first() else {
            return Ok(Self(None));
        };
        if cx.types[index].types.first() != Some(&InterfaceType::String) {
            return Ok(Self(Some(Piece::Bits(slot.get_u64()))));
        }
        let at = slot.get_u32() as usize;
        let pair = cx
            .memory()
            .get(at..)
            .and_then(|rest| rest.get(..8))
            .filter(|_| at.is_multiple_of(4));
        let pair = pair.ok_or_else(|| {
            Error::new(
                Kind::Trap,
                "the guest returned an address that is outside its memory or not aligned",
            )
        })?;
        let text = String::linear_lift_from_memory(cx, InterfaceType::String, pair)?;
        Ok(Self(Some(Piece::Text(text))))
    }

    fn linear_lift_from_memory(
        _: &mut LiftContext<'_>,
        _: InterfaceType,
        _: &[u8],
    ) -> wasmtime::Result<Self> {
        Err(Error::new(Kind::Internal, "a small value came back through memory").into())
    }
}
