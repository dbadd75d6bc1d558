//! From the types that validation builds to the [`World`] of a component.
//!
//! Validation gives a type a new identity whenever it is imported or exported under a name, and remembers
//! which one it had before. The first name is taken as the definition; those that follow are aliases of it.
//! Start reading at [`world`].

use std::collections::{BTreeMap, HashMap};

use wasmparser::PrimitiveValType as P;
use wasmparser::component_types::{
    AliasableResourceId, ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId,
    ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, RecordType,
    ResourceId, VariantType,
};

use crate::model::{
    Case, Field, Function, FunctionKind, Interface, Item, NamedType, Other, Param, Primitive, Type, TypeDef,
    TypeKind, World,
};
use crate::wit::Border;

/// How many identities are followed back from one use of a type. Composed components have a handful for each
/// level; in bad faith a file makes a million, and uses the last of them a million times.
const LONGEST_CHAIN: usize = 1_000;

/// Reads the imports, then the exports, so that a type that is both is defined by the import.
pub(crate) fn world(border: &Border) -> World {
    let mut reader = Reader::new(border);
    let imports = reader.items(&border.imports);
    let exports = reader.items(&border.exports);
    World {
        imports,
        exports,
        types: reader.types,
        docs: BTreeMap::new(),
    }
}

/// How many component types a WIT package wraps around a world.
const WRAPPED: usize = 2;

/// Reads what a WIT package defines: interfaces as they are, worlds as what they import and export.
pub(crate) fn packaged(border: &Border) -> World {
    let mut reader = Reader::new(border);
    let mut defined = Vec::new();
    // A package exports a component type for each of its items, which wraps an interface or, once more, a world.
    let mut wrappers: Vec<_> = border.exports.iter().map(|(_, ty)| (*ty, 0)).collect();
    while let Some((ty, depth)) = wrappers.pop() {
        let (ComponentEntityType::Component(id)
        | ComponentEntityType::Type {
            created: ComponentAnyTypeId::Component(id),
            ..
        }) = ty
        else {
            continue;
        };
        let mut scope = Scope::new();
        let wrapped = &border.types[id];
        for (name, item) in wrapped.imports.iter().chain(&wrapped.exports) {
            defined.push(reader.item(&mut scope, name, item.ty));
            if depth < WRAPPED {
                wrappers.push((item.ty, depth + 1));
            }
        }
    }
    World {
        imports: Vec::new(),
        exports: defined,
        types: reader.types,
        docs: BTreeMap::new(),
    }
}

struct Reader<'a> {
    border: &'a Border,
    types: Vec<TypeDef>,
    /// Where each identity of a type stands in `types`.
    places: HashMap<ComponentAnyTypeId, u32>,
    /// Where each resource was defined, whatever its identities.
    resources: HashMap<ResourceId, u32>,
}

/// The resources of one interface by name, for the methods that follow them.
type Scope = HashMap<String, u32>;

impl<'a> Reader<'a> {
    fn new(border: &'a Border) -> Self {
        Self {
            border,
            types: Vec::new(),
            places: HashMap::new(),
            resources: HashMap::new(),
        }
    }

    fn items(&mut self, items: &[(String, ComponentEntityType)]) -> Vec<Item> {
        let mut scope = Scope::new();
        items
            .iter()
            .map(|(name, ty)| self.item(&mut scope, name, *ty))
            .collect()
    }

    fn item(&mut self, scope: &mut Scope, name: &str, ty: ComponentEntityType) -> Item {
        let other = |kind| {
            Item::Other(Other {
                name: name.to_owned(),
                kind,
            })
        };
        match ty {
            ComponentEntityType::Instance(id) => Item::Interface(self.interface(name, id)),
            ComponentEntityType::Func(id) => Item::Function(self.function(scope, name, id)),
            ComponentEntityType::Type { referenced, created } => {
                match self.name_type(scope, None, name, referenced, created) {
                    Some(named) => Item::Type(named),
                    None => other("component"),
                }
            }
            ComponentEntityType::Module(_) => other("module"),
            ComponentEntityType::Component(_) => other("component"),
            ComponentEntityType::Value(_) => other("value"),
        }
    }

    fn interface(&mut self, name: &str, id: ComponentInstanceTypeId) -> Interface {
        let mut scope = Scope::new();
        let mut interface = Interface {
            name: name.to_owned(),
            functions: Vec::new(),
            types: Vec::new(),
        };
        let border = self.border;
        for (item, ty) in &border.types[id].exports {
            match ty.ty {
                ComponentEntityType::Func(id) => interface.functions.push(self.function(&scope, item, id)),
                ComponentEntityType::Type { referenced, created } => {
                    interface
                        .types
                        .extend(self.name_type(&mut scope, Some(name), item, referenced, created));
                }
                // Modules, components and instances within an interface have no form in WIT.
                _ => {}
            }
        }
        interface
    }

    /// Enters a type under its name; `None` for types of functions, instances and components.
    fn name_type(
        &mut self,
        scope: &mut Scope,
        owner: Option<&str>,
        name: &str,
        referenced: ComponentAnyTypeId,
        created: ComponentAnyTypeId,
    ) -> Option<NamedType> {
        // An instance that is imported and exported again keeps the identities of its types.
        let earlier = self.known(created).or_else(|| self.known(referenced));
        let kind = match (earlier, referenced) {
            (Some(place), _) => TypeKind::Alias {
                target: Type::Defined(place),
            },
            (None, ComponentAnyTypeId::Defined(id)) => self.kind(id),
            (None, ComponentAnyTypeId::Resource(_)) => TypeKind::Resource,
            (None, _) => return None,
        };
        let place = self.add(TypeDef {
            name: Some(name.to_owned()),
            owner: owner.map(str::to_owned),
            kind,
        });
        self.places.insert(created, place);
        if let ComponentAnyTypeId::Resource(id) = created {
            self.resources.entry(id.resource()).or_insert(place);
            scope.insert(name.to_owned(), place);
        }
        Some(NamedType {
            name: name.to_owned(),
            index: place,
        })
    }

    /// The named definition behind an identity, if it was met before under this or an earlier identity.
    fn known(&self, id: ComponentAnyTypeId) -> Option<u32> {
        let mut next = Some(id);
        for _ in 0..LONGEST_CHAIN {
            let Some(id) = next else { break };
            let found = self.places.get(&id).copied();
            if let Some(place) = found.filter(|place| self.types[*place as usize].name.is_some()) {
                return Some(place);
            }
            next = self.border.types.peel_alias(id);
        }
        match id {
            ComponentAnyTypeId::Resource(id) => self.resources.get(&id.resource()).copied(),
            _ => None,
        }
    }

    fn add(&mut self, def: TypeDef) -> u32 {
        // Validation allows a million types.
        let place = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
        self.types.push(def);
        place
    }

    fn function(&mut self, scope: &Scope, name: &str, id: ComponentFuncTypeId) -> Function {
        let border = self.border;
        let ty = &border.types[id];
        let (kind, resource, item) = parts(name);
        Function {
            name: name.to_owned(),
            item: item.to_owned(),
            kind,
            resource: resource.and_then(|resource| scope.get(resource).copied()),
            is_async: ty.async_,
            params: ty
                .params
                .iter()
                .map(|(name, ty)| Param {
                    name: name.to_string(),
                    ty: self.used(*ty),
                })
                .collect(),
            result: ty.result.map(|ty| self.used(ty)),
        }
    }

    fn used(&mut self, ty: ComponentValType) -> Type {
        match ty {
            ComponentValType::Primitive(primitive) => Type::Primitive(convert(primitive)),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    /// A type where it is used; the recursion is as deep as the type, which validation holds to 100 levels.
    fn defined(&mut self, id: ComponentDefinedTypeId) -> Type {
        let identity = ComponentAnyTypeId::Defined(id);
        if let Some(place) = self
            .places
            .get(&identity)
            .copied()
            .or_else(|| self.known(identity))
        {
            return Type::Defined(place);
        }
        if let ComponentDefinedType::Primitive(primitive) = self.border.types[id] {
            return Type::Primitive(convert(primitive));
        }
        let kind = self.kind(id);
        let place = self.add(TypeDef {
            name: None,
            owner: None,
            kind,
        });
        self.places.insert(identity, place);
        Type::Defined(place)
    }

    fn kind(&mut self, id: ComponentDefinedTypeId) -> TypeKind {
        let border = self.border;
        match &border.types[id] {
            ComponentDefinedType::Primitive(primitive) => TypeKind::Alias {
                target: Type::Primitive(convert(*primitive)),
            },
            ComponentDefinedType::Record(record) => TypeKind::Record {
                fields: self.fields(record),
            },
            ComponentDefinedType::Variant(variant) => TypeKind::Variant {
                cases: self.cases(variant),
            },
            ComponentDefinedType::Enum(names) => TypeKind::Enum {
                cases: names.iter().map(ToString::to_string).collect(),
            },
            ComponentDefinedType::Flags(names) => TypeKind::Flags {
                flags: names.iter().map(ToString::to_string).collect(),
            },
            ComponentDefinedType::Tuple(tuple) => TypeKind::Tuple {
                elements: tuple.types.iter().map(|ty| self.used(*ty)).collect(),
            },
            ComponentDefinedType::List { element, .. } => TypeKind::List {
                element: self.used(*element),
            },
            ComponentDefinedType::FixedLengthList { element, length, .. } => TypeKind::FixedList {
                element: self.used(*element),
                length: *length,
            },
            ComponentDefinedType::Map { key, value, .. } => TypeKind::Map {
                key: self.used(*key),
                value: self.used(*value),
            },
            ComponentDefinedType::Option { ty, .. } => TypeKind::Option {
                payload: self.used(*ty),
            },
            ComponentDefinedType::Result { ok, err, .. } => TypeKind::Result {
                ok: ok.map(|ty| self.used(ty)),
                err: err.map(|ty| self.used(ty)),
            },
            ComponentDefinedType::Own(id) => TypeKind::Own {
                resource: self.resource(*id),
            },
            ComponentDefinedType::Borrow(id) => TypeKind::Borrow {
                resource: self.resource(*id),
            },
            ComponentDefinedType::Stream { ty, .. } => TypeKind::Stream {
                payload: ty.map(|ty| self.used(ty)),
            },
            ComponentDefinedType::Future { ty, .. } => TypeKind::Future {
                payload: ty.map(|ty| self.used(ty)),
            },
        }
    }

    fn fields(&mut self, record: &RecordType) -> Vec<Field> {
        let fields = record.fields.iter();
        fields
            .map(|(name, ty)| Field {
                name: name.to_string(),
                ty: self.used(*ty),
            })
            .collect()
    }

    fn cases(&mut self, variant: &VariantType) -> Vec<Case> {
        let cases = variant.cases.iter();
        cases
            .map(|(name, case)| Case {
                name: name.to_string(),
                payload: case.ty.map(|ty| self.used(ty)),
            })
            .collect()
    }

    /// The resource of a handle under the name that is in scope, or the one it was defined under.
    fn resource(&mut self, id: AliasableResourceId) -> u32 {
        let identity = ComponentAnyTypeId::Resource(id);
        if let Some(place) = self.known(identity) {
            return place;
        }
        let place = self.add(TypeDef {
            name: None,
            owner: None,
            kind: TypeKind::Resource,
        });
        self.places.insert(identity, place);
        self.resources.insert(id.resource(), place);
        place
    }
}

/// How a function is called, its resource and its name alone, out of `[method]image.resize`.
fn parts(name: &str) -> (FunctionKind, Option<&str>, &str) {
    if let Some(resource) = name.strip_prefix("[constructor]") {
        return (FunctionKind::Constructor, Some(resource), "constructor");
    }
    for (prefix, kind) in [
        ("[method]", FunctionKind::Method),
        ("[static]", FunctionKind::Static),
    ] {
        if let Some((resource, item)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.')) {
            return (kind, Some(resource), item);
        }
    }
    (FunctionKind::Free, None, name)
}

fn convert(primitive: P) -> Primitive {
    match primitive {
        P::Bool => Primitive::Bool,
        P::U8 => Primitive::U8,
        P::U16 => Primitive::U16,
        P::U32 => Primitive::U32,
        P::U64 => Primitive::U64,
        P::S8 => Primitive::S8,
        P::S16 => Primitive::S16,
        P::S32 => Primitive::S32,
        P::S64 => Primitive::S64,
        P::F32 => Primitive::F32,
        P::F64 => Primitive::F64,
        P::Char => Primitive::Char,
        P::String => Primitive::String,
        P::ErrorContext => Primitive::ErrorContext,
    }
}
