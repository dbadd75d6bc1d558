//! Lowering: values of a host language into a guest, flat or in its memory.
//!
//! The rules are those of the canonical ABI (`lower_flat` and `store` in the component model's `CanonicalABI.md`). A flat
//! value is written as the 64 bits of its slot whatever its core type is: slots are little-endian, so narrower reads and
//! the joined slots of variants see the right bits.

use super::lift::little_endian;
use super::shape::{Cases, Field, Pair};
use super::{Context, Handle, Node, Port, Result, Scalar, Shape, streams};
use crate::error::{Error, Kind};
use std::mem::MaybeUninit;
use wasmtime::ValRaw;
use wasmtime::component::__internal::wasmtime_environ::component::TypeResourceTableIndex;
use wasmtime::component::__internal::{InterfaceType, LowerContext};
use wasmtime::component::{Lower as EngineLower, ResourceAny};

/// The largest list or string, in bytes, that fits a guest's 32-bit lengths (the canonical ABI's own bound).
const MAX_BYTES: usize = (1 << 31) - 1;

/// One lowering in progress: the guest it goes to and the host's side of it.
pub struct Lowering<'l, 's, P: Port, T: 'static> {
    /// The engine's access to memory, `realloc` and handle tables.
    pub cx: &'l mut LowerContext<'s, T>,
    /// The host values that the guest holds handles to.
    pub context: &'l Context<P>,
    /// Handles of host values that were lent for this call only.
    pub lent: &'l mut Vec<u32>,
}

/// Flat slots, filled from the left.
pub struct Slots<'a> {
    rest: &'a mut [MaybeUninit<ValRaw>],
}

impl<'a> Slots<'a> {
    /// Slots to fill.
    pub fn new(slots: &'a mut [MaybeUninit<ValRaw>]) -> Self {
        Self { rest: slots }
    }

    /// Fills the next slot.
    ///
    /// # Errors
    /// [`Kind::Internal`] when there are none left: the layout and the engine disagree.
    pub fn push(&mut self, bits: u64) -> Result<()> {
        let (first, rest) = std::mem::take(&mut self.rest)
            .split_first_mut()
            .ok_or_else(|| Error::new(Kind::Internal, "a value has more flat parts than its type"))?;
        first.write(ValRaw::u64(bits));
        self.rest = rest;
        Ok(())
    }
}

/// Turns an error of the engine inside lowering or lifting into ours.
pub(super) fn engine_error(error: wasmtime::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        // Kept whole as the payload: a trap in `realloc` must be told as a trap.
        Err(error) => Error::new(Kind::Trap, format!("{error}")).with_payload(Box::new(error)),
    }
}

/// Puts one step of the path to a value in front of a message about it.
pub(super) fn at(step: impl std::fmt::Display) -> impl FnOnce(Error) -> Error {
    move |error| error.in_path(&step.to_string())
}

impl<P: Port, T: 'static> Lowering<'_, '_, P, T> {
    /// Lowers a value into flat slots.
    ///
    /// # Errors
    /// [`Kind::Value`] when the value does not fit; [`Kind::Trap`] when the guest's allocator fails.
    pub fn flat(&mut self, node: &Node<P>, value: &P::Ref<'_>, slots: &mut Slots<'_>) -> Result<()> {
        match &node.shape {
            Shape::Scalar(_)
            | Shape::Enum(..)
            | Shape::Flags(..)
            | Shape::Own(_)
            | Shape::Borrow(_)
            | Shape::Pipe(..) => slots.push(self.number(&node.shape, value)?),
            Shape::String | Shape::Bytes | Shape::List(_) | Shape::Map(_) => {
                let (pointer, length) = self.heap(&node.shape, value)?;
                slots.push(pointer as u64)?;
                slots.push(length as u64)
            }
            Shape::Record(fields, names) => {
                for (index, field) in fields.iter().enumerate() {
                    let item = P::field(value, names, index)?;
                    self.flat(&field.node, &item, slots)
                        .map_err(at(format_args!(".{}", field.name)))?;
                }
                Ok(())
            }
            Shape::Tuple(fields) => {
                let items = Self::tuple_items(fields, value)?;
                for (index, (field, item)) in fields.iter().zip(items).enumerate() {
                    self.flat(&field.node, &item, slots)
                        .map_err(at(format_args!("[{index}]")))?;
                }
                Ok(())
            }
            Shape::Array(element, count) => {
                let numbers = |bytes: &[u8], scalar| {
                    counted(*count, bytes.len() / element.size)?;
                    let mut numbers = bytes.chunks_exact(element.size);
                    numbers.try_for_each(|bytes| slots.push(scalar_bits(scalar, bytes)))
                };
                if let Some(pushed) = Self::numbers(element, value, numbers)? {
                    return pushed;
                }
                let items = Self::array_items(*count, value)?;
                for (index, item) in items.enumerate() {
                    self.flat(element, &item, slots)
                        .map_err(at(format_args!("[{index}]")))?;
                }
                Ok(())
            }
            Shape::Variant(cases, _) | Shape::Option(cases, _) | Shape::Result(cases) => {
                let (index, payload) = Self::case(&node.shape, value)?;
                slots.push(index as u64)?;
                let before = slots.rest.len();
                if let Some((node, payload)) = Self::payload(cases, index, payload.as_ref())? {
                    self.flat(node, payload, slots)
                        .map_err(at(Self::step(cases, index)))?;
                }
                // The longest case decides how many slots there are; what this one leaves must be zero.
                let used = before - slots.rest.len();
                (used + 1..node.flat).try_for_each(|_| slots.push(0))
            }
            Shape::Unsupported(what) => Err(unsupported(what)),
        }
    }

    /// Lowers a value into memory at `offset`, which `realloc` or the engine has checked for the whole value.
    ///
    /// # Errors
    /// As [`Lowering::flat`].
    pub fn store(&mut self, node: &Node<P>, value: &P::Ref<'_>, offset: usize) -> Result<()> {
        let mut image = vec![0; node.size];
        self.draw(node, value, &mut image)?;
        self.write(offset, &image)
    }

    /// Draws the image of a value, as long as its type is. What it points to goes into the guest at once; the image itself is
    /// written by the caller, in one piece with its neighbours.
    fn draw(&mut self, node: &Node<P>, value: &P::Ref<'_>, image: &mut [u8]) -> Result<()> {
        match &node.shape {
            Shape::Scalar(_)
            | Shape::Enum(..)
            | Shape::Flags(..)
            | Shape::Own(_)
            | Shape::Borrow(_)
            | Shape::Pipe(..) => {
                let bits = self.number(&node.shape, value)?;
                image[..node.size].copy_from_slice(&bits.to_le_bytes()[..node.size]);
                Ok(())
            }
            Shape::String | Shape::Bytes | Shape::List(_) | Shape::Map(_) => {
                let (pointer, length) = self.heap(&node.shape, value)?;
                let pair = (length as u64) << 32 | pointer as u64;
                image[..8].copy_from_slice(&pair.to_le_bytes());
                Ok(())
            }
            Shape::Record(fields, names) => {
                for (index, field) in fields.iter().enumerate() {
                    let item = P::field(value, names, index)?;
                    self.draw(&field.node, &item, &mut image[field.offset..])
                        .map_err(at(format_args!(".{}", field.name)))?;
                }
                Ok(())
            }
            Shape::Tuple(fields) => {
                let items = Self::tuple_items(fields, value)?;
                for (index, (field, item)) in fields.iter().zip(items).enumerate() {
                    self.draw(&field.node, &item, &mut image[field.offset..])
                        .map_err(at(format_args!("[{index}]")))?;
                }
                Ok(())
            }
            Shape::Array(element, count) => {
                let numbers = |bytes: &[u8], _| {
                    counted(*count, bytes.len() / element.size)?;
                    image[..bytes.len()].copy_from_slice(bytes);
                    Ok(())
                };
                if let Some(drawn) = Self::numbers(element, value, numbers)? {
                    return drawn;
                }
                let items = Self::array_items(*count, value)?;
                self.draw_all(element, items, image)
            }
            Shape::Variant(cases, _) | Shape::Option(cases, _) | Shape::Result(cases) => {
                let (index, payload) = Self::case(&node.shape, value)?;
                let discriminant = (index as u64).to_le_bytes();
                image[..cases.discriminant].copy_from_slice(&discriminant[..cases.discriminant]);
                match Self::payload(cases, index, payload.as_ref())? {
                    Some((node, payload)) => self
                        .draw(node, payload, &mut image[cases.payload..])
                        .map_err(at(Self::step(cases, index))),
                    None => Ok(()),
                }
            }
            Shape::Unsupported(what) => Err(unsupported(what)),
        }
    }

    /// The number that stands for a value which is one flat slot.
    fn number(&mut self, shape: &Shape<P>, value: &P::Ref<'_>) -> Result<u64> {
        match shape {
            Shape::Scalar(scalar) => P::scalar(value, *scalar),
            Shape::Enum(_, names) => Ok(P::case(value, names)?.0 as u64),
            Shape::Flags(_, names) => Ok(P::flags(value, names)?.into()),
            Shape::Own(resource) => self.handle(*resource, value, true).map(u64::from),
            Shape::Borrow(resource) => self.handle(*resource, value, false).map(u64::from),
            Shape::Pipe(pipe, ty) => {
                let feed = P::feed(value, *pipe, &self.context.home)?;
                streams::lower(self.cx, *pipe, *ty, feed).map(u64::from)
            }
            _ => Err(Error::new(
                Kind::Internal,
                "a compound type was taken for a number",
            )),
        }
    }

    /// Copies a string, list or map into memory that the guest's `realloc` gives; returns address and length.
    fn heap(&mut self, shape: &Shape<P>, value: &P::Ref<'_>) -> Result<(usize, usize)> {
        match shape {
            Shape::String => P::string(value, |text| lower_text(self.cx, text))?,
            Shape::Bytes => P::bytes(value, |bytes| {
                let pointer = self.allocate(1, 1, bytes.len())?;
                self.write(pointer, bytes)?;
                Ok((pointer, bytes.len()))
            })?,
            Shape::List(element) => self.list(element, value),
            Shape::Map(pair) => self.map(pair, value),
            _ => Err(Error::new(
                Kind::Internal,
                "a type without a length was taken for a list",
            )),
        }
    }

    fn list(&mut self, element: &Node<P>, value: &P::Ref<'_>) -> Result<(usize, usize)> {
        let copied = Self::numbers(element, value, |bytes, _| {
            let count = bytes.len() / element.size;
            let pointer = self.allocate(element.align, element.size, count)?;
            self.write(pointer, bytes)?;
            Ok((pointer, count))
        })?;
        if let Some(copied) = copied {
            return copied;
        }
        let items = P::sequence(value, "list")?;
        let count = items.len();
        let pointer = self.allocate(element.align, element.size, count)?;
        let mut image = vec![0; element.size * count];
        self.draw_all(element, items, &mut image)?;
        self.write(pointer, &image)?;
        Ok((pointer, count))
    }

    fn map(&mut self, pair: &Pair<P>, value: &P::Ref<'_>) -> Result<(usize, usize)> {
        let entries = P::entries(value)?;
        let pointer = self.allocate(pair.align, pair.size, entries.len())?;
        let mut image = vec![0; pair.size * entries.len()];
        for (index, ((key, value), image)) in entries
            .iter()
            .zip(image.chunks_exact_mut(pair.size.max(1)))
            .enumerate()
        {
            self.draw(&pair.key, key, image)
                .map_err(at(format_args!(" key {index}")))?;
            self.draw(&pair.value, value, &mut image[pair.value_offset..])
                .map_err(at(format_args!(" value {index}")))?;
        }
        self.write(pointer, &image)?;
        Ok((pointer, entries.len()))
    }

    /// Draws elements side by side.
    fn draw_all(&mut self, element: &Node<P>, items: P::Items<'_>, image: &mut [u8]) -> Result<()> {
        for (index, (item, image)) in items.zip(image.chunks_exact_mut(element.size.max(1))).enumerate() {
            self.draw(element, &item, image)
                .map_err(at(format_args!("[{index}]")))?;
        }
        Ok(())
    }

    /// Memory for `count` elements, from the guest's own `realloc`, which the engine checks for bounds and alignment.
    fn allocate(&mut self, align: u32, size: usize, count: usize) -> Result<usize> {
        let bytes = size
            .checked_mul(count)
            .filter(|&bytes| bytes <= MAX_BYTES)
            .ok_or_else(|| {
                Error::new(
                    Kind::Value,
                    format!("{count} elements of {size} bytes are too large for a guest"),
                )
            })?;
        self.cx.realloc(0, 0, align, bytes).map_err(engine_error)
    }

    /// Allocates and fills a value as a whole, for parameters that do not fit flat slots.
    ///
    /// # Errors
    /// As [`Lowering::flat`].
    pub fn spill(&mut self, node: &Node<P>, value: &P::Ref<'_>) -> Result<usize> {
        let pointer = self.allocate(node.align, node.size, 1)?;
        self.store(node, value, pointer)?;
        Ok(pointer)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        offset
            .checked_add(bytes.len())
            .and_then(|end| self.cx.as_slice_mut().get_mut(offset..end))
            .ok_or_else(|| Error::new(Kind::Trap, "the guest's memory shrank under a value"))?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// The guest's handle for a resource value.
    fn handle(&mut self, resource: TypeResourceTableIndex, value: &P::Ref<'_>, own: bool) -> Result<u32> {
        let ty = self.cx.resource_type(resource);
        let host = self.context.types.host_place(ty);
        match P::resource(value, &self.context.home, host, own)? {
            Handle::Guest(handle) => self.guest_handle(resource, handle, own),
            Handle::Host(value) => {
                let kept = self.context.keep(value)?;
                if own {
                    return self
                        .cx
                        .guest_resource_lower_own(resource, kept)
                        .map_err(engine_error);
                }
                self.lent.push(kept);
                self.cx
                    .guest_resource_lower_borrow(resource, kept)
                    .map_err(engine_error)
            }
        }
    }

    fn guest_handle(
        &mut self,
        resource: TypeResourceTableIndex,
        handle: ResourceAny,
        own: bool,
    ) -> Result<u32> {
        let ty = if own {
            InterfaceType::Own(resource)
        } else {
            InterfaceType::Borrow(resource)
        };
        let mut slot = MaybeUninit::<ValRaw>::uninit();
        handle
            .linear_lower_to_flat(self.cx, ty, &mut slot)
            .map_err(|error| {
                Error::new(
                    Kind::Value,
                    format!("this resource cannot be passed here: {error}"),
                )
            })?;
        // SAFETY: lowering a resource initialises its one flat value.
        Ok(unsafe { slot.assume_init() }.get_u32())
    }

    fn tuple_items<'t>(fields: &[Field<P>], value: &P::Ref<'t>) -> Result<P::Items<'t>> {
        let items = P::sequence(value, "tuple")?;
        if items.len() == fields.len() {
            return Ok(items);
        }
        Err(Error::new(
            Kind::Value,
            format!(
                "expected a tuple of {} elements, got {}",
                fields.len(),
                items.len()
            ),
        ))
    }

    /// Takes the numbers of a list where the port keeps them side by side.
    fn numbers<R>(
        element: &Node<P>,
        value: &P::Ref<'_>,
        take: impl FnOnce(&[u8], Scalar) -> R,
    ) -> Result<Option<R>> {
        match element.scalar() {
            Some(scalar) => P::numbers(value, scalar, |bytes| take(bytes, scalar)),
            None => Ok(None),
        }
    }

    fn array_items<'t>(count: usize, value: &P::Ref<'t>) -> Result<P::Items<'t>> {
        let items = P::sequence(value, "list")?;
        counted(count, items.len()).map(|()| items)
    }

    /// Which case a value is, for each of the three kinds of variant.
    fn case<'t>(shape: &Shape<P>, value: &P::Ref<'t>) -> Result<(usize, Option<P::Ref<'t>>)> {
        match shape {
            Shape::Variant(_, names) => P::case(value, names),
            Shape::Option(_, wrapped) => {
                Ok(P::option(value, *wrapped)?.map_or((0, None), |payload| (1, Some(payload))))
            }
            _ => Ok(match P::result(value)? {
                Ok(payload) => (0, Some(payload)),
                Err(payload) => (1, Some(payload)),
            }),
        }
    }

    /// The type and value of a case's payload; a missing payload is an error, a needless one only if it is something.
    fn payload<'c, 'v, 't>(
        cases: &'c Cases<P>,
        index: usize,
        value: Option<&'v P::Ref<'t>>,
    ) -> Result<Option<(&'c Node<P>, &'v P::Ref<'t>)>> {
        let (name, node) = &cases.cases[index];
        match (node, value) {
            (Some(node), Some(value)) => Ok(Some((node, value))),
            (None, Some(value)) if !P::is_nothing(value)? => Err(Error::new(
                Kind::Value,
                format!("the case `{name}` takes no value and has one"),
            )),
            (None, _) => Ok(None),
            (Some(_), None) => Err(Error::new(
                Kind::Value,
                format!("the case `{name}` needs a value and has none"),
            )),
        }
    }

    fn step(cases: &Cases<P>, index: usize) -> String {
        format!("({})", cases.cases[index].0)
    }
}

/// A list of a fixed length has as many elements.
fn counted(count: usize, found: usize) -> Result<()> {
    if count == found {
        return Ok(());
    }
    Err(Error::new(
        Kind::Value,
        format!("expected exactly {count} elements, got {found}"),
    ))
}

/// The bits of a number in memory as a flat slot has them.
fn scalar_bits(scalar: Scalar, bytes: &[u8]) -> u64 {
    let bits = little_endian(bytes);
    let narrow = |value: i32| u64::from(value.cast_unsigned());
    match scalar {
        Scalar::S8 => narrow(bits.to_le_bytes()[0].cast_signed().into()),
        Scalar::S16 => narrow(i16::from_le_bytes([bits.to_le_bytes()[0], bits.to_le_bytes()[1]]).into()),
        _ => bits,
    }
}

/// Copies a string into a guest and returns address and length.
///
/// Strings go through the engine, which knows the three encodings that a guest may ask for.
///
/// # Errors
/// [`Kind::Trap`] when the guest's allocator fails.
pub(super) fn lower_text<T>(cx: &mut LowerContext<'_, T>, text: &str) -> Result<(usize, usize)> {
    let mut pair = MaybeUninit::<[ValRaw; 2]>::uninit();
    text.linear_lower_to_flat(cx, InterfaceType::String, &mut pair)
        .map_err(engine_error)?;
    // SAFETY: lowering a string initialises both of its flat values: address and length.
    let [pointer, length] = unsafe { pair.assume_init() };
    Ok((pointer.get_u32() as usize, length.get_u32() as usize))
}

fn unsupported(what: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        format!("values of type `{what}` do not cross between host and guest yet"),
    )
}
