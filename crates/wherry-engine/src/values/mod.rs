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
pub mod streams;

use crate::error::{Error, Kind};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::StoreContextMut;

pub use bridge::{Lifted, Outcome, Params, Returned};
pub use shape::{Node, Scalar, Shape, TypeNames, Types};
pub use streams::{Feed, Incoming, Pipe, Taken};
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

/// A compound value that is about to be made, for ports that write a value from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A list of so many elements, and their type where they are scalars.
    List(usize, Option<Scalar>),
    /// A map of so many entries.
    Map(usize),
    /// A record of so many fields.
    Record(usize),
    /// A tuple of so many elements.
    Tuple(usize),
    /// The case of a variant at this place, and whether it has a payload.
    Case(usize, bool),
    /// An option, and whether it holds something.
    Option(bool),
    /// A result: whether it is a success, and whether it has a payload.
    Result(bool, bool),
}

/// A resource handle that a host value stands for.
#[derive(Debug)]
pub enum Handle<O> {
    /// A resource that the guest implements.
    Guest(ResourceAny),
    /// A value of the host that the guest only holds a handle to.
    Host(O),
}

/// What a host function has answered.
pub enum Started<P: Port> {
    /// It is done, and this is what it returned.
    Done(P::Owned),
    /// It gives one value later.
    Later(Box<dyn Feed<P>>),
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
    type Owned: Send + Sync + Unpin + 'static;
    /// The elements of a sequence, in order.
    type Items<'t>: ExactSizeIterator<Item = Self::Ref<'t>>;
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
    fn sequence<'t>(value: &Self::Ref<'t>, expected: &str) -> Result<Self::Items<'t>>;
    /// Lends the elements of a list of numbers as they are in a guest's memory, side by side and little-endian; `None` where
    /// they are not kept like that.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is no such list.
    fn numbers<R>(_: &Self::Ref<'_>, _: Scalar, _: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        Ok(None)
    }
    /// One element of a sequence that has it, such as the tuple of arguments.
    ///
    /// # Errors
    /// As [`Port::sequence`].
    fn item<'t>(value: &Self::Ref<'t>, index: usize) -> Result<Self::Ref<'t>> {
        let mut items = Self::sequence(value, "tuple")?;
        let missing = || Error::new(Kind::Value, format!("there is no argument {index}"));
        items.nth(index).ok_or_else(missing)
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
    /// Whether a value stands for no payload at all, where a case takes none.
    ///
    /// # Errors
    /// [`Kind::Value`] when that cannot be told.
    fn is_nothing(value: &Self::Ref<'_>) -> Result<bool> {
        Ok(Self::option(value, false)?.is_none())
    }
    /// The resource that a value stands for. For a resource of the host, `host` is its place among those that the component
    /// imports, and any value will do.
    ///
    /// # Errors
    /// [`Kind::Value`] when it is no resource; [`Kind::Closed`] when it was released.
    fn resource(
        value: &Self::Ref<'_>,
        home: &Self::Home,
        host: Option<u32>,
        take: bool,
    ) -> Result<Handle<Self::Owned>>;
    /// Nothing is left of a value that was looked into: its arguments or its result were all there is.
    ///
    /// # Errors
    /// [`Kind::Value`] when there is more of it than its type has.
    fn end(_: &Self::Ref<'_>) -> Result<()> {
        Ok(())
    }

    /// A compound value begins: its parts are made next, and then the value itself.
    fn begin(_: Self::Token<'_>, _: Opening) {}

    /// A scalar from its bits, which are known to be in range.
    fn from_scalar(token: Self::Token<'_>, scalar: Scalar, bits: u64) -> Self::Ref<'_>;
    /// A string.
    fn from_str<'t>(token: Self::Token<'t>, text: &str) -> Self::Ref<'t>;
    /// A byte string.
    fn from_bytes<'t>(token: Self::Token<'t>, bytes: &[u8]) -> Self::Ref<'t>;
    /// A list of numbers from their bytes, side by side and little-endian; `None` has it made of its elements.
    #[must_use]
    fn from_numbers<'t>(_: Self::Token<'t>, _: Scalar, _: &[u8]) -> Option<Self::Ref<'t>> {
        None
    }
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
    /// A value of the host that a guest gives back for good.
    #[must_use]
    fn returned(token: Self::Token<'_>, value: Self::Owned) -> Self::Ref<'_> {
        Self::bind(token, &value)
    }
    /// Calls a host function with a tuple of arguments. With `fallible`, what comes back is a result as
    /// [`Port::result`] understands it.
    ///
    /// # Errors
    /// [`Kind::Host`] with the exception as payload.
    fn invoke(function: &Self::Owned, arguments: Self::Owned, fallible: bool) -> Result<Self::Owned>;
    /// Calls a host function that is `async` in WIT, as [`Port::invoke`] does; it may answer later.
    ///
    /// # Errors
    /// As [`Port::invoke`].
    fn start(function: &Self::Owned, arguments: Self::Owned, fallible: bool) -> Result<Started<Self>> {
        Self::invoke(function, arguments, fallible).map(Started::Done)
    }
    /// What stands for a stream or future that a guest gives away.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] where the host language has no such thing.
    fn from_pipe<'t>(_: Self::Token<'t>, _: Arc<Incoming<Self>>, _: &Self::Home) -> Result<Self::Ref<'t>> {
        Err(streams::unsupported())
    }
    /// Where the elements of a stream come from, or the value of a future, that a value stands for.
    ///
    /// # Errors
    /// [`Kind::Value`] when it stands for none, [`Kind::Unsupported`] where the host language has no such thing.
    fn feed(_: &Self::Ref<'_>, _: Pipe, _: &Self::Home) -> Result<Box<dyn Feed<Self>>> {
        Err(streams::unsupported())
    }
    /// The elements of a list, each by itself.
    ///
    /// # Errors
    /// As [`Port::sequence`].
    fn split(list: &Self::Owned) -> Result<Vec<Self::Owned>> {
        Self::attach(|token| {
            let items = Self::sequence(&Self::bind(token, list), "list")?;
            Ok(items.map(Self::own).collect())
        })
    }
    /// A list of values that were kept.
    ///
    /// # Errors
    /// As [`Port::from_list`].
    fn gather(values: Vec<Self::Owned>) -> Result<Self::Owned> {
        Self::attach(|token| {
            let values = values.iter().map(|value| Self::bind(token, value));
            Self::from_list(token, values.collect()).map(Self::own)
        })
    }
    /// A list of so many values that are nothing, which a stream without a type carries.
    ///
    /// # Errors
    /// As [`Port::from_list`].
    fn from_units(token: Self::Token<'_>, count: usize) -> Result<Self::Ref<'_>> {
        Self::begin(token, Opening::List(count, None));
        Self::from_list(token, (0..count).map(|_| Self::nothing(token)).collect())
    }
    /// How many values of a stream without a type are in a list of them.
    ///
    /// # Errors
    /// As [`Port::sequence`].
    fn units(list: &Self::Owned) -> Result<usize> {
        Self::split(list).map(|values| values.len())
    }
    /// What a future without a type brings.
    ///
    /// # Errors
    /// What the host language raises.
    fn from_signal(token: Self::Token<'_>) -> Result<Self::Ref<'_>> {
        Ok(Self::nothing(token))
    }
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
    /// Streams and futures that came out of the guest, and that nothing listens to yet.
    arrived: Mutex<Vec<Arc<Incoming<P>>>>,
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
            arrived: Mutex::default(),
        }
    }

    /// Notes a stream or future that came out of the guest.
    fn arrived(&self, incoming: &Arc<Incoming<P>>) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.push(Arc::clone(incoming));
    }

    /// Listens to the streams and futures that came out of the guest since this was done last.
    ///
    /// # Errors
    /// [`Kind::Internal`] where the engine does not know one.
    pub(crate) fn listen<T: 'static>(&self, mut store: StoreContextMut<'_, T>) -> Result<()> {
        let arrived = std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for incoming in arrived {
            incoming.listen(&mut store, std::ptr::from_ref(self).addr())?;
        }
        Ok(())
    }

    fn objects(&self) -> std::sync::MutexGuard<'_, Objects<P::Owned>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
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
