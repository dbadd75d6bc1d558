//! The one model of an interface: what a component or a core module imports and exports.
//!
//! The runtime lists a component's functions from it and takes the names of records, variants and resources
//! from it (the engine's own types have no names); `inspect` prints it; later the generators of bindings read
//! it. It serialises to JSON for Python, where `wherry.wit` has the same records.
//!
//! Types live in one flat list, [`World::types`], and refer to each other by place in it, so that a type that
//! is used a thousand times is stored once. Start reading at [`Model`].

use std::collections::BTreeMap;

use serde::Serialize;

/// The interface of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Model {
    /// A component: typed imports and exports.
    Component(World),
    /// A core module: functions of numbers, and memories, tables, globals and tags.
    Module(Core),
    /// A WIT package in binary form: interfaces without code.
    Package {
        /// The names of its interfaces and worlds, such as `wasi:io/poll@0.2.0`.
        names: Vec<String>,
    },
}

/// What a component imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct World {
    /// What the component must be given, in the order of the file.
    pub imports: Vec<Item>,
    /// What the component offers, in the order of the file.
    pub exports: Vec<Item>,
    /// Every type that the functions mention. [`Type::Defined`] is a place in this list.
    pub types: Vec<TypeDef>,
    /// What the author's interface file says, as far as the component has it ([`crate::docs`]): of the world under the
    /// empty name, of an interface under its name, of an item under `INTERFACE#ITEM`, of a field, case or flag under
    /// `INTERFACE#ITEM.MEMBER`.
    pub docs: BTreeMap<String, String>,
}

/// One import or export of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "sort", rename_all = "kebab-case")]
pub enum Item {
    /// Functions and types under one name.
    Interface(Interface),
    /// A function of the component itself.
    Function(Function),
    /// A type of the component itself.
    Type(NamedType),
    /// Something that has no type in WIT and can be neither called nor read.
    Other(Other),
}

/// A module, component or value that a component imports or exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The name as the component has it.
    pub name: String,
    /// `module`, `component` or `value`.
    pub kind: &'static str,
}

/// An interface that a component imports or exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The name as the component has it: `wasi:cli/run@0.2.0`, or a plain name.
    pub name: String,
    /// The functions, methods included, in the order of the file.
    pub functions: Vec<Function>,
    /// The types that the interface defines or uses, in the order of the file.
    pub types: Vec<NamedType>,
}

/// A type under the name that an interface or a component gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedType {
    /// The name in the interface.
    pub name: String,
    /// Its place in [`World::types`].
    #[serde(rename = "type")]
    pub index: u32,
}

/// A function, method, static function or constructor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// The name as the component has it, such as `[method]image.resize`.
    pub name: String,
    /// The name alone, such as `resize`; `constructor` for a constructor.
    pub item: String,
    /// How it is called.
    pub kind: FunctionKind,
    /// The resource that a method, static function or constructor belongs to: a place in [`World::types`].
    pub resource: Option<u32>,
    /// Whether WIT declares it `async` (WASI 0.3).
    #[serde(rename = "async")]
    pub is_async: bool,
    /// The parameters; the first one of a method is the resource itself.
    pub params: Vec<Param>,
    /// The type of the result, if there is one.
    pub result: Option<Type>,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionKind {
    /// By itself.
    Free,
    /// On a resource.
    Method,
    /// By the name of its resource.
    Static,
    /// To make a resource.
    Constructor,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Param {
    /// The name in kebab-case.
    pub name: String,
    /// What it takes.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A type where it is used: in JSON the name of a primitive, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Type {
    /// A type that every world has.
    Primitive(Primitive),
    /// A place in [`World::types`].
    Defined(u32),
}

/// The types that need no definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of WIT")]
pub enum Primitive {
    Bool,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
}

/// One entry of [`World::types`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeDef {
    /// The name in kebab-case; `None` for a type that is written where it is used, such as `list<u8>`.
    pub name: Option<String>,
    /// The interface that defines it; `None` for a type of the component itself or without a name.
    pub owner: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: TypeKind,
}

/// What a defined type is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TypeKind {
    /// Fields with names.
    Record {
        /// The fields in order.
        fields: Vec<Field>,
    },
    /// One of several cases, with or without a payload.
    Variant {
        /// The cases in order.
        cases: Vec<Case>,
    },
    /// One of several names.
    Enum {
        /// The names in order.
        cases: Vec<String>,
    },
    /// Any number of several names.
    Flags {
        /// The names in order.
        flags: Vec<String>,
    },
    /// A value or nothing.
    Option {
        /// The type of the value.
        payload: Type,
    },
    /// A success or a failure.
    Result {
        /// What a success carries.
        ok: Option<Type>,
        /// What a failure carries.
        err: Option<Type>,
    },
    /// Any number of values of one type.
    List {
        /// The type of each.
        element: Type,
    },
    /// A fixed number of values of one type.
    FixedList {
        /// The type of each.
        element: Type,
        /// How many there are.
        length: u32,
    },
    /// Keys, each with a value.
    Map {
        /// The type of the keys.
        key: Type,
        /// The type of the values.
        value: Type,
    },
    /// Values of several types in order.
    Tuple {
        /// The type of each.
        elements: Vec<Type>,
    },
    /// Something that only its owner can look into.
    Resource,
    /// A handle that hands the resource over.
    Own {
        /// The resource's place in [`World::types`].
        resource: u32,
    },
    /// A handle that lends the resource for one call.
    Borrow {
        /// The resource's place in [`World::types`].
        resource: u32,
    },
    /// Values that arrive over time (WASI 0.3).
    Stream {
        /// The type of each, if they carry anything.
        payload: Option<Type>,
    },
    /// One value that arrives later (WASI 0.3).
    Future {
        /// The type of the value, if it carries anything.
        payload: Option<Type>,
    },
    /// Another name for a type; [`World::definition`] follows it.
    Alias {
        /// The type that is meant.
        target: Type,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// The name in kebab-case.
    pub name: String,
    /// The type of the field.
    #[serde(rename = "type")]
    pub ty: Type,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The name in kebab-case.
    pub name: String,
    /// What the case carries, if anything.
    pub payload: Option<Type>,
}

/// What a core module imports and exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Core {
    /// What the module must be given, in the order of the file.
    pub imports: Vec<CoreImport>,
    /// What the module offers, in the order of the file.
    pub exports: Vec<CoreExport>,
}

/// An import of a core module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreImport {
    /// The first of the two names, such as `wasi_snapshot_preview1`.
    pub module: String,
    /// The second of the two names, such as `fd_write`.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub ty: CoreType,
}

/// An export of a core module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreExport {
    /// The name, which may be empty.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub ty: CoreType,
}

/// What crosses the border of a core module. Types of values are written as in the text format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CoreType {
    /// A function of numbers, vectors and references.
    Function {
        /// The types of the parameters.
        params: Vec<String>,
        /// The types of the results.
        results: Vec<String>,
    },
    /// A linear memory.
    Memory {
        /// Pages at the start; a page is 64 KiB.
        minimum: u64,
        /// Pages that it never outgrows.
        maximum: Option<u64>,
        /// Whether addresses have 64 bits.
        wide: bool,
        /// Whether threads may share it.
        shared: bool,
    },
    /// A table of references.
    Table {
        /// The type of its elements.
        element: String,
    },
    /// A global variable.
    Global {
        /// The type of its value.
        value: String,
        /// Whether it can change.
        mutable: bool,
    },
    /// A tag of exceptions.
    Tag,
}

/// What a type turns out to be once aliases are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition<'a> {
    /// A primitive type.
    Primitive(Primitive),
    /// A defined type that is no alias.
    Defined(&'a TypeDef),
}

impl Model {
    /// The world of a component; `None` for anything else.
    #[must_use]
    pub fn world(&self) -> Option<&World> {
        match self {
            Self::Component(world) => Some(world),
            Self::Module(_) | Self::Package { .. } => None,
        }
    }
}

impl World {
    /// What `ty` is, with aliases followed; the name is that of the definition, not of the alias.
    ///
    /// `None` if `ty` is not of this world.
    #[must_use]
    pub fn definition(&self, ty: Type) -> Option<Definition<'_>> {
        let mut ty = ty;
        // An alias points to an older entry, so that the number of entries bounds the chain.
        for _ in 0..=self.types.len() {
            match ty {
                Type::Primitive(primitive) => return Some(Definition::Primitive(primitive)),
                Type::Defined(index) => {
                    let def = self.types.get(index as usize)?;
                    match &def.kind {
                        TypeKind::Alias { target } => ty = *target,
                        _ => return Some(Definition::Defined(def)),
                    }
                }
            }
        }
        None
    }

    /// The name of the type at `index` with aliases followed, such as that of the resource of a method.
    #[must_use]
    pub fn name_of(&self, index: u32) -> Option<&str> {
        match self.definition(Type::Defined(index))? {
            Definition::Defined(def) => def.name.as_deref(),
            Definition::Primitive(_) => None,
        }
    }

    /// The exported function `name` (as the component has it) of `interface`, or of the component itself.
    #[must_use]
    pub fn exported_function(&self, interface: Option<&str>, name: &str) -> Option<&Function> {
        find(&self.exports, interface, name)
    }

    /// The imported function `name` (as the component has it) of `interface`, or of the component itself.
    #[must_use]
    pub fn imported_function(&self, interface: Option<&str>, name: &str) -> Option<&Function> {
        find(&self.imports, interface, name)
    }
}

/// Every function of `items`, each with its interface.
pub fn functions(items: &[Item]) -> impl Iterator<Item = (Option<&str>, &Function)> {
    items.iter().flat_map(|item| {
        let (interface, functions) = match item {
            Item::Interface(interface) => (Some(interface.name.as_str()), interface.functions.as_slice()),
            Item::Function(function) => (None, std::slice::from_ref(function)),
            Item::Type(_) | Item::Other(_) => (None, [].as_slice()),
        };
        functions.iter().map(move |function| (interface, function))
    })
}

fn find<'a>(items: &'a [Item], interface: Option<&str>, name: &str) -> Option<&'a Function> {
    functions(items)
        .find(|(owner, function)| *owner == interface && function.name == name)
        .map(|(_, function)| function)
}

impl Primitive {
    /// The name in WIT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::S8 => "s8",
            Self::S16 => "s16",
            Self::S32 => "s32",
            Self::S64 => "s64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::ErrorContext => "error-context",
        }
    }
}
