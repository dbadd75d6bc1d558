//! The layout of WIT types in the canonical ABI, worked out once for each type of a component.
//!
//! Sizes, alignments and offsets come from the engine's own type information; what a [`Port`] prepares for a named type
//! (field names, a class) is kept beside them. [`Types`] caches the shapes of a component for all its instances.

use super::streams::Pipe;
use super::{Named, Port, host_resource};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use wasmtime::component::__internal::wasmtime_environ::component::{
    TypeResourceTableIndex, TypeTupleIndex, VariantInfo,
};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType};
use wasmtime::component::ResourceType;

/// A type that is one number in the canonical ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
}

impl Scalar {
    /// Its name in WIT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "bool",
            Scalar::S8 => "s8",
            Scalar::U8 => "u8",
            Scalar::S16 => "s16",
            Scalar::U16 => "u16",
            Scalar::S32 => "s32",
            Scalar::U32 => "u32",
            Scalar::S64 => "s64",
            Scalar::U64 => "u64",
            Scalar::F32 => "f32",
            Scalar::F64 => "f64",
            Scalar::Char => "char",
        }
    }

    /// The least and greatest value of an integer type; `None` for the others.
    #[must_use]
    pub fn range(self) -> Option<(i128, i128)> {
        Some(match self {
            Scalar::S8 => (i8::MIN.into(), i8::MAX.into()),
            Scalar::U8 => (0, u8::MAX.into()),
            Scalar::S16 => (i16::MIN.into(), i16::MAX.into()),
            Scalar::U16 => (0, u16::MAX.into()),
            Scalar::S32 => (i32::MIN.into(), i32::MAX.into()),
            Scalar::U32 => (0, u32::MAX.into()),
            Scalar::S64 => (i64::MIN.into(), i64::MAX.into()),
            Scalar::U64 => (0, u64::MAX.into()),
            Scalar::Bool | Scalar::F32 | Scalar::F64 | Scalar::Char => return None,
        })
    }
}

/// A type with its layout in a 32-bit memory.
pub struct Node<P: Port> {
    /// What it is made of.
    pub shape: Shape<P>,
    /// Bytes in memory.
    pub size: usize,
    /// Alignment in memory, in bytes.
    pub align: u32,
    /// Core values in the flat representation.
    pub flat: usize,
}

impl<P: Port> Node<P> {
    /// The type, where it is one number.
    pub(super) fn scalar(&self) -> Option<Scalar> {
        match self.shape {
            Shape::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }
}

/// What a type is made of.
pub enum Shape<P: Port> {
    /// One number.
    Scalar(Scalar),
    /// `string`
    String,
    /// `list<u8>`, which crosses as one buffer.
    Bytes,
    /// `list<T>`
    List(Box<Node<P>>),
    /// `list<T, N>`: N elements in place.
    Array(Box<Node<P>>, usize),
    /// `map<K, V>`, a list of pairs.
    Map(Box<Pair<P>>),
    /// `record`: fields with their offsets.
    Record(Vec<Field<P>>, P::Names),
    /// `tuple`, and the parameters and results of a function.
    Tuple(Vec<Field<P>>),
    /// `variant`
    Variant(Cases<P>, P::Names),
    /// `enum`, by the number of its cases.
    Enum(usize, P::Names),
    /// `flags`, by the number of its names (at most 32).
    Flags(usize, P::Names),
    /// `option<T>`; wrapped when T can itself be nothing.
    Option(Cases<P>, bool),
    /// `result<T, E>`
    Result(Cases<P>),
    /// `own<R>`
    Own(TypeResourceTableIndex),
    /// `borrow<R>`
    Borrow(TypeResourceTableIndex),
    /// `stream<T>` and `future<T>`
    Pipe(Pipe, InterfaceType),
    /// What does not cross yet, by its name in WIT.
    Unsupported(&'static str),
}

/// One field of a record or tuple.
pub struct Field<P: Port> {
    /// The field's name in WIT; empty in a tuple.
    pub name: String,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// Its type.
    pub node: Node<P>,
}

/// The entry of a map, laid out as `tuple<K, V>`.
pub struct Pair<P: Port> {
    /// The key.
    pub key: Node<P>,
    /// The value.
    pub value: Node<P>,
    /// Bytes from the start of the entry to the value.
    pub value_offset: usize,
    /// Bytes of an entry.
    pub size: usize,
    /// Alignment of an entry.
    pub align: u32,
}

/// The cases of a variant, option or result.
pub struct Cases<P: Port> {
    /// Name and payload of each case.
    pub cases: Vec<(String, Option<Node<P>>)>,
    /// Bytes of the discriminant.
    pub discriminant: usize,
    /// Bytes from the start to the payload.
    pub payload: usize,
}

/// Tells the WIT names of a component's types by their field or case names, which is all that the engine keeps of them.
/// Asked once, when the first of them crosses.
pub type TypeNames = Box<dyn Fn() -> HashMap<Vec<String>, String> + Send + Sync>;

/// What was made for the names of a type.
type Made<P> = HashMap<(Named, Vec<String>), <P as Port>::Names>;

/// The shapes of one component, made when they are first needed.
pub struct Types<P: Port> {
    shapes: RwLock<HashMap<TypeTupleIndex, Arc<Node<P>>>>,
    elements: RwLock<HashMap<InterfaceType, Arc<Node<P>>>>,
    names: TypeNames,
    known: OnceLock<HashMap<Vec<String>, String>>,
    made: Mutex<Made<P>>,
    host_resources: u32,
}

impl<P: Port> Types<P> {
    /// An empty cache. `names` tells what types are called; `host_resources` how many resources the component imports that are not WASI's.
    #[must_use]
    pub fn new(names: TypeNames, host_resources: u32) -> Self {
        Self {
            shapes: RwLock::default(),
            elements: RwLock::default(),
            names,
            known: OnceLock::new(),
            made: Mutex::default(),
            host_resources,
        }
    }

    /// Has the types with these members under `names`, which the embedding program prepared itself. Shapes that were made
    /// before keep theirs.
    pub fn prepare(&self, kind: Named, members: Vec<String>, names: P::Names) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert((kind, members), names);
    }

    /// The place of a resource among those that the embedding program implements; `None` for one of the guest.
    pub(super) fn host_place(&self, ty: ResourceType) -> Option<u32> {
        (0..self.host_resources).find(|&index| ty == host_resource(index))
    }

    /// The shape of a function's parameters or results.
    pub fn tuple(&self, index: TypeTupleIndex, types: &ComponentTypes) -> Arc<Node<P>> {
        if let Some(node) = self
            .shapes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&index)
        {
            return Arc::clone(node);
        }
        let node = P::attach(|token| Arc::new(self.node(token, InterfaceType::Tuple(index), types)));
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shapes.entry(index).or_insert(node))
    }

    /// The shape of what a stream or future carries.
    pub(super) fn element(&self, ty: InterfaceType, types: &ComponentTypes) -> Arc<Node<P>> {
        let known = self.elements.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = known.get(&ty) {
            return Arc::clone(node);
        }
        drop(known);
        let node = P::attach(|token| Arc::new(self.node(token, ty, types)));
        let mut elements = self.elements.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(elements.entry(ty).or_insert(node))
    }

    fn node(&self, token: P::Token<'_>, ty: InterfaceType, types: &ComponentTypes) -> Node<P> {
        let abi = types.canonical_abi(&ty);
        let flat = match ty {
            // Over 16 flat values go through memory; the exact number is then of no interest.
            InterfaceType::Tuple(_) => abi.flat_count.map_or(usize::MAX, usize::from),
            _ => abi.flat_count.map_or(0, usize::from),
        };
        Node {
            shape: self.shape(token, ty, types),
            size: abi.size32 as usize,
            align: abi.align32,
            flat,
        }
    }

    fn shape(&self, token: P::Token<'_>, ty: InterfaceType, types: &ComponentTypes) -> Shape<P> {
        match ty {
            InterfaceType::Bool => Shape::Scalar(Scalar::Bool),
            InterfaceType::S8 => Shape::Scalar(Scalar::S8),
            InterfaceType::U8 => Shape::Scalar(Scalar::U8),
            InterfaceType::S16 => Shape::Scalar(Scalar::S16),
            InterfaceType::U16 => Shape::Scalar(Scalar::U16),
            InterfaceType::S32 => Shape::Scalar(Scalar::S32),
            InterfaceType::U32 => Shape::Scalar(Scalar::U32),
            InterfaceType::S64 => Shape::Scalar(Scalar::S64),
            InterfaceType::U64 => Shape::Scalar(Scalar::U64),
            InterfaceType::Float32 => Shape::Scalar(Scalar::F32),
            InterfaceType::Float64 => Shape::Scalar(Scalar::F64),
            InterfaceType::Char => Shape::Scalar(Scalar::Char),
            InterfaceType::String => Shape::String,
            InterfaceType::Own(resource) => Shape::Own(resource),
            InterfaceType::Borrow(resource) => Shape::Borrow(resource),
            InterfaceType::Future(index) => Shape::Pipe(Pipe::future(types[types[index].ty].payload), ty),
            InterfaceType::Stream(index) => Shape::Pipe(Pipe::stream(types[types[index].ty].payload), ty),
            InterfaceType::ErrorContext(_) => Shape::Unsupported("error-context"),
            compound => self.compound(token, compound, types),
        }
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each compound type")]
    fn compound(&self, token: P::Token<'_>, ty: InterfaceType, types: &ComponentTypes) -> Shape<P> {
        let node = |ty: InterfaceType| self.node(token, ty, types);
        match ty {
            InterfaceType::List(index) => match types[index].element {
                InterfaceType::U8 => Shape::Bytes,
                element => Shape::List(Box::new(node(element))),
            },
            InterfaceType::FixedLengthList(index) => {
                let list = &types[index];
                Shape::Array(Box::new(node(list.element)), list.size as usize)
            }
            InterfaceType::Map(index) => {
                let map = &types[index];
                Shape::Map(Box::new(Pair {
                    key: node(map.key),
                    value: node(map.value),
                    value_offset: map.value_offset32 as usize,
                    size: map.entry_abi.size32 as usize,
                    align: map.entry_abi.align32,
                }))
            }
            InterfaceType::Tuple(index) => {
                Shape::Tuple(self.fields(token, types[index].types.iter().map(|ty| ("", *ty)), types))
            }
            InterfaceType::Record(index) => {
                let fields = types[index]
                    .fields
                    .iter()
                    .map(|field| (field.name.as_str(), field.ty));
                let names = self.named(token, Named::Record, fields.clone().map(|(name, _)| name));
                Shape::Record(self.fields(token, fields, types), names)
            }
            InterfaceType::Variant(index) => {
                let ty = &types[index];
                let names = self.named(token, Named::Variant, ty.cases.keys().map(String::as_str));
                let cases = ty.cases.iter().map(|(name, ty)| (name.as_str(), *ty));
                Shape::Variant(self.cases(token, &ty.info, cases, types), names)
            }
            InterfaceType::Enum(index) => {
                let ty = &types[index];
                Shape::Enum(
                    ty.names.len(),
                    self.named(token, Named::Enum, ty.names.iter().map(String::as_str)),
                )
            }
            InterfaceType::Flags(index) => {
                let ty = &types[index];
                if ty.names.len() > 32 {
                    return Shape::Unsupported("flags with more than 32 names");
                }
                Shape::Flags(
                    ty.names.len(),
                    self.named(token, Named::Flags, ty.names.iter().map(String::as_str)),
                )
            }
            InterfaceType::Option(index) => {
                let ty = &types[index];
                let cases = [("none", None), ("some", Some(ty.ty))];
                let wrapped = matches!(ty.ty, InterfaceType::Option(_));
                Shape::Option(self.cases(token, &ty.info, cases.into_iter(), types), wrapped)
            }
            InterfaceType::Result(index) => {
                let ty = &types[index];
                let cases = [("ok", ty.ok), ("err", ty.err)];
                Shape::Result(self.cases(token, &ty.info, cases.into_iter(), types))
            }
            // Scalars, strings, handles and what does not cross were told apart in `shape`.
            _ => Shape::Unsupported("a type of a later component model"),
        }
    }

    /// The names of a type, the same object for each mention of it.
    fn named<'n>(&self, token: P::Token<'_>, kind: Named, names: impl Iterator<Item = &'n str>) -> P::Names {
        let names: Vec<&str> = names.collect();
        let key: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = (kind, key);
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made().get(&key).cloned() {
            return known;
        }
        // Not under the lock: making them may run code of the host language, which may come back here.
        let known = self
            .known
            .get_or_init(|| (self.names)())
            .get(&key.1)
            .map(String::as_str);
        let fresh = P::names(token, kind, known, &names);
        made().entry(key).or_insert(fresh).clone()
    }

    fn fields<'n>(
        &self,
        token: P::Token<'_>,
        fields: impl Iterator<Item = (&'n str, InterfaceType)>,
        types: &ComponentTypes,
    ) -> Vec<Field<P>> {
        let mut end = 0;
        fields
            .map(|(name, ty)| {
                let offset = types.canonical_abi(&ty).next_field32_size(&mut end);
                Field {
                    name: name.to_owned(),
                    offset,
                    node: self.node(token, ty, types),
                }
            })
            .collect()
    }

    fn cases<'n>(
        &self,
        token: P::Token<'_>,
        info: &VariantInfo,
        cases: impl Iterator<Item = (&'n str, Option<InterfaceType>)>,
        types: &ComponentTypes,
    ) -> Cases<P> {
        let cases: Vec<_> = cases
            .map(|(name, ty)| (name.to_owned(), ty.map(|ty| self.node(token, ty, types))))
            .collect();
        // `discriminant_type` of the canonical ABI: the least unsigned integer that counts the cases.
        let discriminant = match cases.len() {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        Cases {
            cases,
            discriminant,
            payload: info.payload_offset32 as usize,
        }
    }
}
