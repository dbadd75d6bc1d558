//! Lifting: values out of a guest, from flat slots or its memory.
//!
//! The rules are those of the canonical ABI (`lift_flat` and `load` in the component model's `CanonicalABI.md`). Everything
//! that a guest hands over is checked here: addresses, lengths, discriminants, characters.

use super::lower::{at, engine_error};
use super::shape::{Cases, Field, Pair};
use super::streams::Incoming;
use super::{Context, Node, Opening, Port, Result, Scalar, Shape};
use crate::error::{Error, Kind};
use std::sync::Arc;
use wasmtime::ValRaw;
use wasmtime::component::__internal::wasmtime_environ::component::{StringEncoding, TypeResourceTableIndex};
use wasmtime::component::__internal::{InterfaceType, LiftContext};
use wasmtime::component::{Lift as EngineLift, ResourceAny};

/// One lifting in progress: the guest it comes from and the host's side of it.
pub struct Lifting<'l, 's, P: Port> {
    /// The engine's access to memory and handle tables.
    pub cx: &'l mut LiftContext<'s>,
    /// The host values that the guest holds handles to.
    pub context: &'l Context<P>,
}

/// Bytes that a value costs the host beyond its bytes in the guest: an object, and pointers to it.
const HOST_VALUE: usize = 48;

/// Flat slots, read from the left.
pub struct Slots<'a> {
    rest: &'a [ValRaw],
}

impl<'a> Slots<'a> {
    /// Slots to read.
    #[must_use]
    pub fn new(slots: &'a [ValRaw]) -> Self {
        Self { rest: slots }
    }

    fn next(&mut self) -> Result<u64> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| Error::new(Kind::Internal, "a value has fewer flat parts than its type"))?;
        self.rest = rest;
        Ok(first.get_u64())
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

/// What a guest handed over breaks the canonical ABI: it traps.
fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(
        Kind::Trap,
        format!("the guest handed over a broken value: {what}"),
    )
}

impl<P: Port> Lifting<'_, '_, P> {
    /// Lifts a value out of flat slots.
    ///
    /// # Errors
    /// [`Kind::Trap`] when the guest breaks the canonical ABI; what the port returns otherwise.
    pub fn flat<'t>(
        &mut self,
        token: P::Token<'t>,
        node: &Node<P>,
        slots: &mut Slots<'_>,
    ) -> Result<P::Ref<'t>> {
        match &node.shape {
            Shape::Scalar(_)
            | Shape::Enum(..)
            | Shape::Flags(..)
            | Shape::Own(_)
            | Shape::Borrow(_)
            | Shape::Pipe(..) => {
                let bits = slots.next()?;
                self.number(token, &node.shape, bits)
            }
            Shape::String | Shape::Bytes | Shape::List(_) | Shape::Map(_) => {
                let (pointer, length) = (slots.next()?, slots.next()?);
                self.heap(token, &node.shape, low32(pointer), low32(length))
            }
            Shape::Record(fields, names) => {
                P::begin(token, Opening::Record(fields.len()));
                let items = self.flat_fields(token, fields, slots)?;
                P::from_record(token, names, items)
            }
            Shape::Tuple(fields) => {
                P::begin(token, Opening::Tuple(fields.len()));
                let items = self.flat_fields(token, fields, slots)?;
                P::from_tuple(token, items)
            }
            Shape::Array(element, count) => {
                P::begin(token, Opening::List(*count, element.scalar()));
                let items = (0..*count)
                    .map(|_| self.flat(token, element, slots))
                    .collect::<Result<_>>()?;
                P::from_list(token, items)
            }
            Shape::Variant(cases, _) | Shape::Option(cases, _) | Shape::Result(cases) => {
                let index = low32(slots.next()?);
                let before = slots.rest.len();
                let payload = Self::payload(cases, index)?;
                P::begin(token, Self::opening(&node.shape, index, payload.is_some()));
                let payload = match payload {
                    Some(payload) => Some(self.flat(token, payload, slots)?),
                    None => None,
                };
                let used = before - slots.rest.len();
                slots.skip((node.flat - 1).saturating_sub(used));
                Self::case(token, &node.shape, index, payload)
            }
            Shape::Unsupported(what) => Err(unsupported(what)),
        }
    }

    /// Lifts a value out of memory at `offset`.
    ///
    /// # Errors
    /// As [`Lifting::flat`].
    pub fn load<'t>(&mut self, token: P::Token<'t>, node: &Node<P>, offset: usize) -> Result<P::Ref<'t>> {
        match &node.shape {
            Shape::Scalar(_)
            | Shape::Enum(..)
            | Shape::Flags(..)
            | Shape::Own(_)
            | Shape::Borrow(_)
            | Shape::Pipe(..) => {
                let bits = self.read(offset, node.size)?;
                self.number(token, &node.shape, bits)
            }
            Shape::String | Shape::Bytes | Shape::List(_) | Shape::Map(_) => {
                let pair = self.read(offset, 8)?;
                self.heap(token, &node.shape, low32(pair), low32(pair >> 32))
            }
            Shape::Record(fields, names) => {
                P::begin(token, Opening::Record(fields.len()));
                let items = self.load_fields(token, fields, offset)?;
                P::from_record(token, names, items)
            }
            Shape::Tuple(fields) => {
                P::begin(token, Opening::Tuple(fields.len()));
                let items = self.load_fields(token, fields, offset)?;
                P::from_tuple(token, items)
            }
            Shape::Array(element, count) => self.load_all(token, element, offset, *count),
            Shape::Variant(cases, _) | Shape::Option(cases, _) | Shape::Result(cases) => {
                let index = low32(self.read(offset, cases.discriminant)?);
                let payload = Self::payload(cases, index)?;
                P::begin(token, Self::opening(&node.shape, index, payload.is_some()));
                let payload = match payload {
                    Some(payload) => Some(self.load(token, payload, offset + cases.payload)?),
                    None => None,
                };
                Self::case(token, &node.shape, index, payload)
            }
            Shape::Unsupported(what) => Err(unsupported(what)),
        }
    }

    /// The whole result of a function that is a `result`: its payload, and whether that is the error case.
    ///
    /// # Errors
    /// As [`Lifting::flat`].
    pub fn outcome<'t>(
        &mut self,
        token: P::Token<'t>,
        cases: &Cases<P>,
        from: From<'_>,
    ) -> Result<(P::Ref<'t>, bool)> {
        let (index, payload) = match from {
            From::Flat(slots) => {
                let mut slots = Slots::new(slots);
                let index = low32(slots.next()?);
                let payload = Self::payload(cases, index)?;
                P::begin(token, Opening::Result(index == 0, payload.is_some()));
                (
                    index,
                    payload
                        .map(|node| self.flat(token, node, &mut slots))
                        .transpose()?,
                )
            }
            From::Memory(offset) => {
                let index = low32(self.read(offset, cases.discriminant)?);
                let payload = Self::payload(cases, index)?;
                P::begin(token, Opening::Result(index == 0, payload.is_some()));
                (
                    index,
                    payload
                        .map(|node| self.load(token, node, offset + cases.payload))
                        .transpose()?,
                )
            }
        };
        Ok((payload.unwrap_or_else(|| P::nothing(token)), index == 1))
    }

    fn flat_fields<'t>(
        &mut self,
        token: P::Token<'t>,
        fields: &[Field<P>],
        slots: &mut Slots<'_>,
    ) -> Result<Vec<P::Ref<'t>>> {
        self.account(fields.len(), HOST_VALUE)?;
        fields
            .iter()
            .map(|field| self.flat(token, &field.node, slots))
            .collect()
    }

    fn load_fields<'t>(
        &mut self,
        token: P::Token<'t>,
        fields: &[Field<P>],
        offset: usize,
    ) -> Result<Vec<P::Ref<'t>>> {
        self.account(fields.len(), HOST_VALUE)?;
        fields
            .iter()
            .map(|field| self.load(token, &field.node, offset + field.offset))
            .collect()
    }

    /// Lifts elements that are side by side, as a list.
    ///
    /// # Errors
    /// As [`Lifting::flat`].
    pub fn batch<'t>(
        &mut self,
        token: P::Token<'t>,
        element: &Node<P>,
        offset: usize,
        count: usize,
    ) -> Result<P::Ref<'t>> {
        self.list_bounds(offset, count, element.size, element.align)?;
        self.load_all(token, element, offset, count)
    }

    fn load_all<'t>(
        &mut self,
        token: P::Token<'t>,
        element: &Node<P>,
        offset: usize,
        count: usize,
    ) -> Result<P::Ref<'t>> {
        let opening = Opening::List(count, element.scalar());
        let Some(scalar) = element.scalar() else {
            P::begin(token, opening);
            let items = (0..count).map(|index| {
                self.load(token, element, offset + index * element.size)
                    .map_err(at(format_args!("[{index}]")))
            });
            let items = items.collect::<Result<_>>()?;
            return P::from_list(token, items);
        };
        let bytes = self.slice(offset, count * element.size)?;
        // Any bytes are a number; those of a `bool` or `char` are looked at one by one.
        if !matches!(scalar, Scalar::Bool | Scalar::Char)
            && let Some(list) = P::from_numbers(token, scalar, bytes)
        {
            return Ok(list);
        }
        P::begin(token, opening);
        let items = bytes
            .chunks_exact(element.size)
            .map(|bytes| scalar_value::<P>(token, scalar, little_endian(bytes)));
        P::from_list(token, items.collect::<Result<_>>()?)
    }

    /// The value that a number stands for.
    fn number<'t>(&mut self, token: P::Token<'t>, shape: &Shape<P>, bits: u64) -> Result<P::Ref<'t>> {
        match shape {
            Shape::Scalar(scalar) => scalar_value::<P>(token, *scalar, bits),
            Shape::Enum(count, names) => {
                let index = low32(bits);
                if index >= *count {
                    return Err(broken(format_args!("case {index} of an enum with {count}")));
                }
                Ok(P::from_enum(token, names, index))
            }
            Shape::Flags(count, names) => {
                // Bits above the last name are ignored, as the canonical ABI says.
                let mask = u32::MAX
                    .checked_shr(32 - u32::try_from(*count).unwrap_or(32))
                    .unwrap_or(0);
                let bits = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
                P::from_flags(token, names, bits & mask)
            }
            Shape::Own(resource) => self.handle(token, *resource, low32(bits), true),
            Shape::Borrow(resource) => self.handle(token, *resource, low32(bits), false),
            Shape::Pipe(pipe, ty) => {
                let incoming = Incoming::lift(self.cx, *pipe, *ty, low32(bits)).map_err(engine_error)?;
                let incoming = Arc::new(incoming);
                self.context.arrived(&incoming);
                P::from_pipe(token, incoming, &self.context.home)
            }
            _ => Err(Error::new(
                Kind::Internal,
                "a compound type was taken for a number",
            )),
        }
    }

    fn heap<'t>(
        &mut self,
        token: P::Token<'t>,
        shape: &Shape<P>,
        pointer: usize,
        length: usize,
    ) -> Result<P::Ref<'t>> {
        match shape {
            Shape::String => self.string(token, pointer, length),
            Shape::Bytes => {
                self.account(length, 1)?;
                Ok(P::from_bytes(token, self.slice(pointer, length)?))
            }
            Shape::List(element) => {
                self.list_bounds(pointer, length, element.size, element.align)?;
                self.load_all(token, element, pointer, length)
            }
            Shape::Map(pair) => self.map(token, pair, pointer, length),
            _ => Err(Error::new(
                Kind::Internal,
                "a type without a length was taken for a list",
            )),
        }
    }

    fn map<'t>(
        &mut self,
        token: P::Token<'t>,
        pair: &Pair<P>,
        pointer: usize,
        length: usize,
    ) -> Result<P::Ref<'t>> {
        self.list_bounds(pointer, length, pair.size, pair.align)?;
        P::begin(token, Opening::Map(length));
        let entries = (0..length)
            .map(|index| {
                let offset = pointer + index * pair.size;
                let key = self.load(token, &pair.key, offset)?;
                Ok((key, self.load(token, &pair.value, offset + pair.value_offset)?))
            })
            .collect::<Result<_>>()?;
        P::from_entries(token, entries)
    }

    fn string<'t>(&mut self, token: P::Token<'t>, pointer: usize, length: usize) -> Result<P::Ref<'t>> {
        if self.encoding() == StringEncoding::Utf8 {
            self.account(length, 1)?;
            let text = std::str::from_utf8(self.slice(pointer, length)?).map_err(broken)?;
            return Ok(P::from_str(token, text));
        }
        // The engine knows the other two encodings.
        let pair = [ValRaw::u64(pointer as u64), ValRaw::u64(length as u64)];
        let text = String::linear_lift_from_flat(self.cx, InterfaceType::String, &pair).map_err(broken)?;
        Ok(P::from_str(token, &text))
    }

    fn encoding(&self) -> StringEncoding {
        self.cx.options().string_encoding
    }

    /// The value behind a guest's handle.
    fn handle<'t>(
        &mut self,
        token: P::Token<'t>,
        resource: TypeResourceTableIndex,
        index: usize,
        own: bool,
    ) -> Result<P::Ref<'t>> {
        let index = u32::try_from(index).map_err(broken)?;
        if self
            .context
            .types
            .host_place(self.cx.resource_type(resource))
            .is_some()
        {
            let value = if own {
                let (kept, ..) = self
                    .cx
                    .guest_resource_lift_own(resource, index)
                    .map_err(engine_error)?;
                self.context.take(kept).map(|value| P::returned(token, value))
            } else {
                let kept = self
                    .cx
                    .guest_resource_lift_borrow(resource, index)
                    .map_err(engine_error)?;
                self.context.peek(kept, |value| P::bind(token, value))
            };
            return value.ok_or_else(|| broken("a handle to nothing"));
        }
        let ty = if own {
            InterfaceType::Own(resource)
        } else {
            InterfaceType::Borrow(resource)
        };
        let handle =
            ResourceAny::linear_lift_from_flat(self.cx, ty, &ValRaw::u32(index)).map_err(engine_error)?;
        P::from_resource(token, handle, &self.context.home)
    }

    fn payload(cases: &Cases<P>, index: usize) -> Result<Option<&Node<P>>> {
        match cases.cases.get(index) {
            Some((_, node)) => Ok(node.as_ref()),
            None => Err(broken(format_args!(
                "case {index} of a variant with {}",
                cases.cases.len()
            ))),
        }
    }

    /// How each of the three kinds of variant begins.
    fn opening(shape: &Shape<P>, index: usize, payload: bool) -> Opening {
        match shape {
            Shape::Variant(..) => Opening::Case(index, payload),
            Shape::Option(..) => Opening::Option(index == 1),
            _ => Opening::Result(index == 0, payload),
        }
    }

    fn case<'t>(
        token: P::Token<'t>,
        shape: &Shape<P>,
        index: usize,
        payload: Option<P::Ref<'t>>,
    ) -> Result<P::Ref<'t>> {
        match shape {
            Shape::Variant(_, names) => P::from_case(token, names, index, payload),
            Shape::Option(_, wrapped) => P::from_option(token, payload, *wrapped),
            _ => P::from_result(token, if index == 0 { Ok(payload) } else { Err(payload) }),
        }
    }

    /// Counts what the host allocates on behalf of the guest, so that a small message cannot claim gigabytes.
    fn account(&mut self, count: usize, size: usize) -> Result<()> {
        self.cx.consume_fuel_array(count, size).map_err(|_| {
            Error::new(
                Kind::Memory,
                "the guest handed over more data in one call than the host takes",
            )
            .with_hint("pass it in several calls, or raise the limit with `--memory`")
        })
    }

    fn list_bounds(&mut self, pointer: usize, count: usize, size: usize, align: u32) -> Result<()> {
        self.account(count, size.saturating_add(HOST_VALUE))?;
        if !pointer.is_multiple_of(align as usize) {
            return Err(broken("a list that is not aligned"));
        }
        let bytes = count
            .checked_mul(size)
            .ok_or_else(|| broken("a list that is too long"))?;
        self.slice(pointer, bytes).map(|_| ())
    }

    fn slice(&self, offset: usize, length: usize) -> Result<&[u8]> {
        offset
            .checked_add(length)
            .and_then(|end| self.cx.memory().get(offset..end))
            .ok_or_else(|| broken("an address outside its memory"))
    }

    fn read(&self, offset: usize, size: usize) -> Result<u64> {
        self.slice(offset, size).map(little_endian)
    }
}

/// Where the result of a function is.
#[derive(Clone, Copy)]
pub enum From<'a> {
    /// In flat slots.
    Flat(&'a [ValRaw]),
    /// In memory, at this offset.
    Memory(usize),
}

/// The low 32 bits as an index into a 32-bit memory.
fn low32(bits: u64) -> usize {
    usize::try_from(bits & u64::from(u32::MAX)).unwrap_or(0)
}

pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(wide)
}

/// A scalar after the checks and wraps of the canonical ABI.
///
/// # Errors
/// [`Kind::Trap`] for a `char` that is none; nothing else can be wrong.
pub fn scalar_value<P: Port>(token: P::Token<'_>, scalar: Scalar, bits: u64) -> Result<P::Ref<'_>> {
    let bits = match scalar {
        Scalar::Bool => u64::from(bits & 0xffff_ffff != 0),
        Scalar::U8 | Scalar::S8 => bits & 0xff,
        Scalar::U16 | Scalar::S16 => bits & 0xffff,
        Scalar::U32 | Scalar::S32 | Scalar::F32 => bits & 0xffff_ffff,
        Scalar::U64 | Scalar::S64 | Scalar::F64 => bits,
        Scalar::Char => {
            let code = bits & 0xffff_ffff;
            if u32::try_from(code).ok().and_then(char::from_u32).is_none() {
                return Err(broken(format_args!("{code:#x} is no Unicode scalar value")));
            }
            code
        }
    };
    Ok(P::from_scalar(token, scalar, bits))
}

fn unsupported(what: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("values of type `{what}` do not cross between host and guest yet"),
    )
}
