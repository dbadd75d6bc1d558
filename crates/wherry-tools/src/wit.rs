//! From bytes to the [`Model`] of what they import and export.
//!
//! `wit-component` does the decoding; this module turns its graph into our flat records, and holds hostile
//! input to bounds first: how deep components nest, and how long the whole interface is when printed. Function
//! bodies are not validated here, as that is the business of loading. Start reading at [`model`].

use std::collections::HashMap;

use wit_component::{DecodedWasm, WitPrinter};
use wit_parser::{
    self as wit, FunctionKind as Kind, Handle, Resolve, TypeDefKind, TypeOwner, WorldItem, WorldKey,
};

use crate::error::{Error, Result};
use crate::layout;
use crate::model::{
    Case, Field, Function, FunctionKind, Interface, Item, Model, NamedType, Param, Primitive, Type, TypeDef,
    TypeKind, World,
};
use crate::module;
use crate::quiet;
use crate::signature;

/// The longest interface that is described, in bytes of WIT. The largest that was seen has 200 KiB; types that
/// repeat each other, level upon level, would reach any length.
pub const LONGEST_INTERFACE: u64 = 16 << 20;

/// Reads what the component or core module in `bytes` imports and exports.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are malformed or cut short, [`Error::Inexpressible`] for a component whose
/// interface WIT cannot say (it may still run), [`Error::TooLarge`] for one that nests too deep or is longer
/// than [`LONGEST_INTERFACE`].
pub fn model(bytes: &[u8]) -> Result<Model> {
    let layout = layout::layout(bytes)?;
    if layout.is_module() {
        return module::core(bytes).map(Model::Module);
    }
    match decode(bytes)? {
        DecodedWasm::Component(resolve, world) => component(&resolve, world).map(Model::Component),
        DecodedWasm::WitPackage(resolve, package) => Ok(Model::Package {
            name: resolve.packages[package].name.to_string(),
        }),
    }
}

/// The interface of the component or WIT package in `bytes` as WIT text.
///
/// # Errors
/// As [`model`], and [`Error::Inexpressible`] for a core module.
pub fn text(bytes: &[u8]) -> Result<String> {
    if layout::layout(bytes)?.is_module() {
        return Err(Error::Inexpressible(
            "a core module has no WIT; its functions take and return numbers".to_owned(),
        ));
    }
    let decoded = decode(bytes)?;
    if let DecodedWasm::Component(resolve, world) = &decoded {
        component(resolve, *world)?; // for its bound on the length
    }
    let main = decoded.package();
    let resolve = decoded.resolve();
    let nested: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != main)
        .collect();
    quiet::quietly(|| {
        let mut printer = WitPrinter::default();
        printer
            .print(resolve, main, &nested)
            .map(|()| printer.output.to_string())
    })
    .unwrap_or_else(|panic| Err(anyhow::anyhow!(panic)))
    .map_err(|error| Error::Inexpressible(format!("the interface cannot be printed as WIT: {error:#}")))
}

/// Decodes with the panics of the decoder caught: it asserts what a hostile component can break.
fn decode(bytes: &[u8]) -> Result<DecodedWasm> {
    match quiet::quietly(|| wit_component::decode(bytes)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => match error.downcast_ref::<wasmparser::BinaryReaderError>() {
            Some(invalid) => Err(Error::Invalid(format!(
                "{} at byte {}",
                invalid.message(),
                invalid.offset()
            ))),
            None => Err(Error::Inexpressible(format!(
                "the interface cannot be said in WIT: {error:#}"
            ))),
        },
        Err(panic) => Err(Error::Inexpressible(format!(
            "the interface cannot be said in WIT: {panic}"
        ))),
    }
}

fn component(resolve: &Resolve, id: wit::WorldId) -> Result<World> {
    let mut reader = Reader {
        resolve,
        places: HashMap::new(),
        types: Vec::new(),
    };
    let world = &resolve.worlds[id];
    let imports = reader.items(&world.imports);
    let exports = reader.items(&world.exports);
    let world = World {
        imports,
        exports,
        types: reader.types,
    };
    let length = signature::length(&world);
    if length > LONGEST_INTERFACE {
        return Err(Error::TooLarge(format!(
            "the interface is {length} bytes long when printed; at most {LONGEST_INTERFACE} are described"
        )));
    }
    Ok(world)
}

/// Copies the types that are reached, each once, with what it refers to before it.
struct Reader<'a> {
    resolve: &'a Resolve,
    places: HashMap<wit::TypeId, u32>,
    types: Vec<TypeDef>,
}

impl Reader<'_> {
    fn items(&mut self, items: &wit::IndexMap<WorldKey, WorldItem>) -> Vec<Item> {
        items
            .iter()
            .map(|(key, item)| match item {
                WorldItem::Interface { id, .. } => {
                    Item::Interface(self.interface(self.name_of_key(key), *id))
                }
                WorldItem::Function(function) => Item::Function(self.function(function)),
                WorldItem::Type { id, .. } => Item::Type(NamedType {
                    name: self.name_of_key(key),
                    index: self.defined(*id),
                }),
            })
            .collect()
    }

    fn name_of_key(&self, key: &WorldKey) -> String {
        match key {
            WorldKey::Name(name) => name.clone(),
            WorldKey::Interface(id) => self.name_of_interface(*id).unwrap_or_default(),
        }
    }

    fn name_of_interface(&self, id: wit::InterfaceId) -> Option<String> {
        let interface = &self.resolve.interfaces[id];
        Some(
            self.resolve
                .id_of_name(interface.package?, interface.name.as_ref()?),
        )
    }

    fn interface(&mut self, name: String, id: wit::InterfaceId) -> Interface {
        let interface = &self.resolve.interfaces[id];
        let types = interface
            .types
            .iter()
            .map(|(name, id)| NamedType {
                name: name.clone(),
                index: self.defined(*id),
            })
            .collect();
        let functions = interface
            .functions
            .values()
            .map(|function| self.function(function))
            .collect();
        Interface {
            name,
            functions,
            types,
            docs: interface.docs.contents.clone(),
        }
    }

    fn function(&mut self, function: &wit::Function) -> Function {
        let (kind, item) = match function.kind {
            Kind::Freestanding | Kind::AsyncFreestanding => (FunctionKind::Free, function.name.as_str()),
            Kind::Constructor(_) => (FunctionKind::Constructor, "constructor"),
            Kind::Method(_) | Kind::AsyncMethod(_) => (FunctionKind::Method, after_dot(&function.name)),
            Kind::Static(_) | Kind::AsyncStatic(_) => (FunctionKind::Static, after_dot(&function.name)),
        };
        Function {
            item: item.to_owned(),
            kind,
            resource: function.kind.resource().map(|id| self.defined(id)),
            is_async: function.kind.is_async(),
            params: function
                .params
                .iter()
                .map(|param| Param {
                    name: param.name.clone(),
                    ty: self.used(param.ty),
                })
                .collect(),
            result: function.result.map(|ty| self.used(ty)),
            docs: function.docs.contents.clone(),
            name: function.name.clone(),
        }
    }

    fn used(&mut self, ty: wit::Type) -> Type {
        Type::Primitive(match ty {
            wit::Type::Id(id) => return Type::Defined(self.defined(id)),
            wit::Type::Bool => Primitive::Bool,
            wit::Type::U8 => Primitive::U8,
            wit::Type::U16 => Primitive::U16,
            wit::Type::U32 => Primitive::U32,
            wit::Type::U64 => Primitive::U64,
            wit::Type::S8 => Primitive::S8,
            wit::Type::S16 => Primitive::S16,
            wit::Type::S32 => Primitive::S32,
            wit::Type::S64 => Primitive::S64,
            wit::Type::F32 => Primitive::F32,
            wit::Type::F64 => Primitive::F64,
            wit::Type::Char => Primitive::Char,
            wit::Type::String => Primitive::String,
            wit::Type::ErrorContext => Primitive::ErrorContext,
        })
    }

    /// The place of a type. The recursion is as deep as the type, which validation holds to 100 levels.
    fn defined(&mut self, id: wit::TypeId) -> u32 {
        if let Some(place) = self.places.get(&id) {
            return *place;
        }
        let def = &self.resolve.types[id];
        let kind = self.kind(&def.kind);
        let owner = match def.owner {
            TypeOwner::Interface(id) => self.name_of_interface(id),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        let place = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        self.types.push(TypeDef {
            name: def.name.clone(),
            owner,
            kind,
            docs: def.docs.contents.clone(),
        });
        self.places.insert(id, place);
        place
    }

    fn kind(&mut self, kind: &TypeDefKind) -> TypeKind {
        match kind {
            TypeDefKind::Record(record) => TypeKind::Record {
                fields: self.fields(record),
            },
            TypeDefKind::Variant(variant) => TypeKind::Variant {
                cases: self.cases(variant),
            },
            TypeDefKind::Enum(names) => TypeKind::Enum {
                cases: names.cases.iter().map(|case| case.name.clone()).collect(),
            },
            TypeDefKind::Flags(names) => TypeKind::Flags {
                flags: names.flags.iter().map(|flag| flag.name.clone()).collect(),
            },
            TypeDefKind::Tuple(tuple) => TypeKind::Tuple {
                elements: tuple.types.iter().map(|ty| self.used(*ty)).collect(),
            },
            TypeDefKind::Option(payload) => TypeKind::Option {
                payload: self.used(*payload),
            },
            TypeDefKind::Result(result) => TypeKind::Result {
                ok: result.ok.map(|ty| self.used(ty)),
                err: result.err.map(|ty| self.used(ty)),
            },
            TypeDefKind::List(element) => TypeKind::List {
                element: self.used(*element),
            },
            TypeDefKind::FixedLengthList(element, length) => TypeKind::FixedList {
                element: self.used(*element),
                length: *length,
            },
            TypeDefKind::Map(key, value) => TypeKind::Map {
                key: self.used(*key),
                value: self.used(*value),
            },
            TypeDefKind::Handle(Handle::Own(id)) => TypeKind::Own {
                resource: self.defined(*id),
            },
            TypeDefKind::Handle(Handle::Borrow(id)) => TypeKind::Borrow {
                resource: self.defined(*id),
            },
            TypeDefKind::Stream(payload) => TypeKind::Stream {
                payload: payload.map(|ty| self.used(ty)),
            },
            TypeDefKind::Future(payload) => TypeKind::Future {
                payload: payload.map(|ty| self.used(ty)),
            },
            TypeDefKind::Type(target) => TypeKind::Alias {
                target: self.used(*target),
            },
            // `Unknown` exists only while WIT source is parsed, never in what was decoded.
            TypeDefKind::Resource | TypeDefKind::Unknown => TypeKind::Resource,
        }
    }

    fn fields(&mut self, record: &wit::Record) -> Vec<Field> {
        let fields = record.fields.iter();
        fields
            .map(|field| Field {
                name: field.name.clone(),
                ty: self.used(field.ty),
                docs: field.docs.contents.clone(),
            })
            .collect()
    }

    fn cases(&mut self, variant: &wit::Variant) -> Vec<Case> {
        let cases = variant.cases.iter();
        cases
            .map(|case| Case {
                name: case.name.clone(),
                payload: case.ty.map(|ty| self.used(ty)),
                docs: case.docs.contents.clone(),
            })
            .collect()
    }
}

/// `resize` of `[method]image.resize`.
fn after_dot(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, item)| item)
}
