//! Values between a host language and guest memory, with no tree of values in between.
//!
//! A host language implements [`Port`]: how to look into one of its values and how to make one. The canonical ABI
//! (component-model `CanonicalABI.md`) is written once on top of it: [`shape`] works out the layout of a type,
//! [`lower`] writes values into a guest, [`lift`] reads them out, and [`bridge`] hands both to the engine. Python's
//! side is in `wherry-py`; other languages' encodings bring a port of their own.
//!
//! Start reading at [`Port`], then [`shape::Node`].

pub mod bridge;
pub mod lift;
pub mod lower;
pub mod shape;

use crate::error::{Error, Kind};
use std::sync::{Arc, Mutex};

pub use bridge::{Lifted, Outcome, Params, Returned};
pub use shape::{Node, Scalar, Shape, TypeNames, Types};
pub use wasmtime::component::{ResourceAny, ResourceType};

/// The inside of lowering and lifting: our errors, small enough to return by value.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of named type a port is asked to prepare names for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    /// A record; the names are those of its fields.
    Record,
    /// A variant; the names are those of its cases.
    Variant,
    /// An enum; the names are those of its cases.
    Enum,
    /// Flags; the names are those of its bits.
    Flags,
}

/// A resource handle that a host value stands for.
#[derive(Debug)]
pub enum Handle<O> {
    /// A resource that the guest implements.
    Guest(ResourceAny),
    /// A value of the host that the guest only holds a handle to.
    Host(O),
}

/// One host language: how its values are looked into, and how they are made.
///
/// Nothing here knows about memory or layout. Failures are [`Kind::Value`] errors that say what was expected and what was
/// there; the caller adds the path to the field. A port whose own code can fail (a property that raises) returns
/// [`Kind::Host`] with the exception as payload.
pub trait Port: Sized + Send + Sync + 'static {
    /// Proof that values may be touched now, such as holding the GIL.
    type Token<'t>: Copy;
    /// A value that can be looked into while the token is there.
    type Ref<'t>;
    /// A value that can be kept without the token.
    type Owned: Send + Sync + 'static;
    /// What the port keeps for a named type, such as interned field names and a class.
    type Names: Clone + Send + Sync + 'static;
    /// What a lifted guest resource must remember of the instance it lives in.
    type Home: Send + Sync + 'static;

    /// Runs `work` while values may be touched.
    fn attach<R>(work: impl for<'t> FnOnce(Self::Token<'t>) -> R) -> R;
    /// Makes an owned value visible again.
    fn bind<'t>(token: Self::Token<'t>, value: &Self::Owned) -> Self::Ref<'t>;
    /// Keeps a value beyond the token.
    fn own(value: Self::Ref<'_>) -> Self::Owned;
    /// Prepares a named type once, when its shape is made.
    fn names(token: Self::Token<'_>, named: Named, type_name: Option<&str>, names: &[&str]) -> Self::Names;

    /// The bits of a scalar as the canonical ABI has them in an `i64`: integers wrapped to 32 bits when they are no
    /// wider, floats as their IEEE 754 bits, a char as its code point, a bool as 0 or 1.
    ///
    /// # Errors
    /// [`Kind::Value`] when the type or the range does not fit.
    fn scalar(value: &Self::Ref<'_>, scalar: Scalar) -> Result<u64>;
    /// Lends the UTF-8 of a string.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is not a string or has lone surrogates.
    fn string<R>(value: &Self::Ref<'_>, take: impl FnOnce(&str) -> R) -> Result<R>;
    /// Lends the bytes of a buffer.
    ///
    /// # Errors
    /// [`Kind::Value`] when it has none.
    fn bytes<R>(value: &Self::Ref<'_>, take: impl FnOnce(&[u8]) -> R) -> Result<R>;
    /// The elements of a sequence.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is not one; `expected` is its WIT form.
    fn sequence<'t>(value: &Self::Ref<'t>, expected: &str) -> Result<Vec<Self::Ref<'t>>>;
    /// One element of a sequence that has it, such as the tuple of arguments.
    ///
    /// # Errors
    /// As [`Port::sequence`].
    fn item<'t>(value: &Self::Ref<'t>, index: usize) -> Result<Self::Ref<'t>> {
        let items = Self::sequence(value, "tuple")?;
        let missing = || Error::new(Kind::Value, format!("there is no argument {index}"));
        items.into_iter().nth(index).ok_or_else(missing)
    }
    /// The entries of a mapping.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is not one.
    fn entries<'t>(value: &Self::Ref<'t>) -> Result<Vec<(Self::Ref<'t>, Self::Ref<'t>)>>;
    /// One field of a record.
    ///
    /// # Errors
    /// [`Kind::Value`] when there is no such field.
    fn field<'t>(value: &Self::Ref<'t>, names: &Self::Names, index: usize) -> Result<Self::Ref<'t>>;
    /// Which case of a variant or enum a value is, and its payload.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is none of them.
    fn case<'t>(value: &Self::Ref<'t>, names: &Self::Names) -> Result<(usize, Option<Self::Ref<'t>>)>;
    /// The set bits of flags, the first name in the lowest bit.
    ///
    /// # Errors
    /// [`Kind::Value`] for a name that is not one of them.
    fn flags(value: &Self::Ref<'_>, names: &Self::Names) -> Result<u32>;
    /// The payload of an option; `wrapped` when a bare "none" would be ambiguous.
    ///
    /// # Errors
    /// [`Kind::Value`] when a wrapped option is neither none nor a wrapper.
    fn option<'t>(value: &Self::Ref<'t>, wrapped: bool) -> Result<Option<Self::Ref<'t>>>;
    /// The case of a result and its payload.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is neither.
    fn result<'t>(value: &Self::Ref<'t>) -> Result<std::result::Result<Self::Ref<'t>, Self::Ref<'t>>>;
    /// The resource that a value stands for. With `host`, any value will do.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is no resource; [`Kind::Closed`] when it was released.
    fn resource(value: &Self::Ref<'_>, host: bool, take: bool) -> Result<Handle<Self::Owned>>;

    /// A scalar from its bits, which are known to be in range.
    fn from_scalar(token: Self::Token<'_>, scalar: Scalar, bits: u64) -> Self::Ref<'_>;
    /// A string.
    fn from_str<'t>(token: Self::Token<'t>, text: &str) -> Self::Ref<'t>;
    /// A byte string.
    fn from_bytes<'t>(token: Self::Token<'t>, bytes: &[u8]) -> Self::Ref<'t>;
    /// A list.
    ///
    /// # Errors
    /// What the host language raises, such as running out of memory.
    fn from_list<'t>(token: Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>>;
    /// A tuple.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_tuple<'t>(token: Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>>;
    /// A mapping; of equal keys the last one wins.
    ///
    /// # Errors
    /// What the host language raises, such as a key that cannot be hashed.
    fn from_entries<'t>(
        token: Self::Token<'t>,
        entries: Vec<(Self::Ref<'t>, Self::Ref<'t>)>,
    ) -> Result<Self::Ref<'t>>;
    /// A record.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_record<'t>(
        token: Self::Token<'t>,
        names: &Self::Names,
        fields: Vec<Self::Ref<'t>>,
    ) -> Result<Self::Ref<'t>>;
    /// A case of a variant.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_case<'t>(
        token: Self::Token<'t>,
        names: &Self::Names,
        index: usize,
        payload: Option<Self::Ref<'t>>,
    ) -> Result<Self::Ref<'t>>;
    /// A case of an enum.
    fn from_enum<'t>(token: Self::Token<'t>, names: &Self::Names, index: usize) -> Self::Ref<'t>;
    /// Flags from their bits.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_flags<'t>(token: Self::Token<'t>, names: &Self::Names, bits: u32) -> Result<Self::Ref<'t>>;
    /// An option.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_option<'t>(
        token: Self::Token<'t>,
        payload: Option<Self::Ref<'t>>,
        wrapped: bool,
    ) -> Result<Self::Ref<'t>>;
    /// A result that is not the whole result of a function.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_result<'t>(
        token: Self::Token<'t>,
        result: std::result::Result<Option<Self::Ref<'t>>, Option<Self::Ref<'t>>>,
    ) -> Result<Self::Ref<'t>>;
    /// A handle to a resource that the guest implements.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_resource<'t>(
        token: Self::Token<'t>,
        handle: ResourceAny,
        home: &Self::Home,
    ) -> Result<Self::Ref<'t>>;
    /// Calls a host function with a tuple of arguments. With `fallible`, what comes back is a result as
    /// [`Port::result`] understands it.
    ///
    /// # Errors
    /// [`Kind::Host`] with the exception as payload.
    fn invoke(function: &Self::Owned, arguments: Self::Owned, fallible: bool) -> Result<Self::Owned>;
    /// The value that stands for "nothing", such as `None`.
    fn nothing(token: Self::Token<'_>) -> Self::Ref<'_>;
}

/// What lowering and lifting need beyond the types: the host's values that a guest holds handles to.
///
/// One for each instance. The engine hands no such thing to a lift, so [`bridge`] keeps the current one for the thread
/// while a call runs.
pub struct Context<P: Port> {
    /// The shapes of the component's types.
    pub types: Arc<Types<P>>,
    /// What a lifted guest resource remembers.
    pub home: P::Home,
    objects: Mutex<Objects<P::Owned>>,
}

/// Host values by handle. A freed slot is used again.
struct Objects<O> {
    slots: Vec<Option<O>>,
    free: Vec<u32>,
}

impl<P: Port> Context<P> {
    /// An empty table of host values for one instance.
    pub fn new(types: Arc<Types<P>>, home: P::Home) -> Self {
        Self {
            types,
            home,
            objects: Mutex::new(Objects {
                slots: Vec::new(),
                free: Vec::new(),
            }),
        }
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, Objects<P::Owned>> {
        self.objects
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps a host value and returns its handle.
    ///
    /// # Errors
    /// [`Kind::Value`] when there are 2³² of them.
    pub fn keep(&self, value: P::Owned) -> Result<u32> {
        let mut objects = self.objects();
        if let Some(index) = objects.free.pop() {
            objects.slots[index as usize] = Some(value);
            return Ok(index);
        }
        let index = u32::try_from(objects.slots.len())
            .map_err(|_| Error::new(Kind::Value, "the guest holds too many handles"))?;
        objects.slots.push(Some(value));
        Ok(index)
    }

    /// Looks at a host value that a guest holds a handle to.
    pub fn peek<R>(&self, handle: u32, look: impl FnOnce(&P::Owned) -> R) -> Option<R> {
        self.objects().slots.get(handle as usize)?.as_ref().map(look)
    }

    /// Takes a host value back, when the guest drops its handle or gives it away.
    pub fn take(&self, handle: u32) -> Option<P::Owned> {
        let mut objects = self.objects();
        let value = objects.slots.get_mut(handle as usize)?.take()?;
        objects.free.push(handle);
        Some(value)
    }

    /// How many host values the guest holds handles to.
    #[must_use]
    pub fn held(&self) -> usize {
        let objects = self.objects();
        objects.slots.len() - objects.free.len()
    }
}

/// The type that stands for the `index`th host resource of a component.
#[must_use]
pub fn host_resource(index: u32) -> ResourceType {
    ResourceType::host_dynamic(index)
}
