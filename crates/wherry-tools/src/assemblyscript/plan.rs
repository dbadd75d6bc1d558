//! Where each interface, type and function of a world stands in what is generated, and how it is called there.

use std::collections::HashMap;

use wit_bindgen_core::wit_parser::{
    Function, FunctionKind, InterfaceId, PackageName, Resolve, SizeAlign, Type, TypeDefKind, TypeId, WorldId,
    WorldItem, WorldKey,
};
use wit_bindgen_core::{Direction, dealias};

use super::names::{Names, camel, member, pascal};

/// The file that stands for the user's source.
pub(super) const USER: &str = "user";
/// The file with what is imported into the world itself, and its types.
pub(super) const WORLD: &str = "world";

/// An interface that is imported or exported.
#[derive(Debug)]
pub(super) struct Place {
    /// The file with its types, and its functions if it is imported.
    pub(super) path: String,
    /// What the user's source calls its functions by, if it is exported.
    pub(super) namespace: String,
    /// All names in the file.
    pub(super) names: Names,
}

/// A type that has a name.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The file that it is in.
    pub(super) path: String,
    /// Its name there.
    pub(super) name: String,
    /// Of a variant, the names of what says which case it is, and of each case.
    pub(super) tag: String,
    pub(super) cases: Vec<String>,
}

/// A resource, and who has it.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub(super) direction: Direction,
    /// What drops it: a method of imported resources, and one that exported resources may have.
    pub(super) drop: String,
}

type Key = (Option<InterfaceId>, bool, String);

/// All of a world.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) sizes: SizeAlign,
    pub(super) world_names: Names,
    places: HashMap<InterfaceId, Place>,
    types: HashMap<TypeId, Named>,
    resources: HashMap<TypeId, Owned>,
    functions: HashMap<Key, String>,
}

impl Plan {
    pub(super) fn of(resolve: &Resolve, world: WorldId) -> Self {
        let mut plan = Self::default();
        plan.sizes.fill(resolve);
        let mut user = Names::default();
        let world = &resolve.worlds[world];
        for (direction, items) in [
            (Direction::Import, &world.imports),
            (Direction::Export, &world.exports),
        ] {
            let exported = direction == Direction::Export;
            for (key, item) in items {
                match item {
                    WorldItem::Type { id, .. } => {
                        let mut names = std::mem::take(&mut plan.world_names);
                        plan.name_type(resolve, *id, (WORLD, "", direction), &mut names);
                        plan.world_names = names;
                    }
                    WorldItem::Function(function) if function.kind.resource().is_none() => {
                        let names = if exported {
                            &mut user
                        } else {
                            &mut plan.world_names
                        };
                        let name = names.claim(&camel(&resolve.name_world_key(key)));
                        plan.functions
                            .insert((None, exported, function.name.clone()), name);
                    }
                    _ => {}
                }
            }
            let mut files = Names::default();
            for (key, item) in items {
                if let WorldItem::Interface { id, .. } = item {
                    plan.place(resolve, key, *id, direction, (&mut files, &mut user));
                }
            }
        }
        let mut methods = HashMap::new();
        for item in world.imports.values() {
            if let WorldItem::Function(function) = item {
                plan.name_method(resolve, None, false, function, &mut methods);
            }
        }
        plan.name_drops(methods);
        plan
    }

    fn place(
        &mut self,
        resolve: &Resolve,
        key: &WorldKey,
        id: InterfaceId,
        direction: Direction,
        (files, user): (&mut Names, &mut Names),
    ) {
        let exported = direction == Direction::Export;
        let folder = if exported { "exports" } else { "imports" };
        let file = files.claim(&file_name(resolve, key, files));
        let namespace = if exported {
            user.claim(&camel(&file))
        } else {
            String::new()
        };
        let path = format!("{folder}/{file}");
        let mut names = Names::default();
        for ty in resolve.interfaces[id].types.values() {
            self.name_type(resolve, *ty, (&path, &namespace, direction), &mut names);
        }
        let mut methods = HashMap::new();
        for function in resolve.interfaces[id].functions.values() {
            if function.kind.resource().is_some() {
                self.name_method(resolve, Some(id), exported, function, &mut methods);
            } else {
                let name = names.claim(&camel(&function.name));
                self.functions
                    .insert((Some(id), exported, function.name.clone()), name);
            }
        }
        self.name_drops(methods);
        let place = Place {
            path,
            namespace,
            names,
        };
        self.places.insert(id, place);
    }

    fn name_method(
        &mut self,
        resolve: &Resolve,
        interface: Option<InterfaceId>,
        exported: bool,
        function: &Function,
        methods: &mut HashMap<TypeId, Names>,
    ) {
        let Some(of) = function.kind.resource() else {
            return;
        };
        let wanted = match function.kind {
            FunctionKind::Constructor(_) if !is_fallible(resolve, function) => return,
            FunctionKind::Constructor(_) => "create".to_owned(),
            _ => camel(function.item_name()),
        };
        let name = methods.entry(of).or_default().claim(&wanted);
        self.functions
            .insert((interface, exported, function.name.clone()), name);
    }

    /// What drops a resource has another name if a method is called so.
    fn name_drops(&mut self, methods: HashMap<TypeId, Names>) {
        for (resource, mut names) in methods {
            let owned = self
                .resources
                .get_mut(&resource)
                .expect("methods are of resources of their interface");
            owned.drop = names.claim("drop");
        }
    }

    fn name_type(
        &mut self,
        resolve: &Resolve,
        id: TypeId,
        (path, namespace, direction): (&str, &str, Direction),
        names: &mut Names,
    ) {
        let ty = &resolve.types[id];
        let written = pascal(ty.name.as_deref().unwrap_or_default());
        let mut made = Named {
            path: path.to_owned(),
            name: names.claim(&written),
            tag: String::new(),
            cases: Vec::new(),
        };
        match &ty.kind {
            TypeDefKind::Variant(variant) => {
                let whole = member(ty.name.as_deref().unwrap_or_default());
                made.tag = names.claim(&format!("{whole}Tag"));
                let cases = variant.cases.iter();
                made.cases = cases
                    .map(|case| names.claim(&format!("{whole}{}", member(&case.name))))
                    .collect();
            }
            TypeDefKind::Resource => {
                if direction == Direction::Export {
                    USER.clone_into(&mut made.path);
                    made.name = format!("{namespace}.{}", made.name);
                }
                let owned = Owned {
                    direction,
                    drop: "drop".to_owned(),
                };
                self.resources.insert(id, owned);
            }
            _ => {}
        }
        self.types.insert(id, made);
    }

    pub(super) fn interface(&self, id: InterfaceId) -> &Place {
        &self.places[&id]
    }

    /// A record, variant, enum, flags or resource, by whatever name it is reached.
    pub(super) fn named(&self, resolve: &Resolve, id: TypeId) -> &Named {
        &self.types[&dealias(resolve, id)]
    }

    /// A type as its own interface calls it.
    pub(super) fn alias(&self, id: TypeId) -> &Named {
        &self.types[&id]
    }

    pub(super) fn resource(&self, resolve: &Resolve, id: TypeId) -> &Owned {
        &self.resources[&dealias(resolve, id)]
    }

    /// What the function is called, in its file or in the user's source; a constructor as a static method.
    pub(super) fn function(
        &self,
        interface: Option<InterfaceId>,
        direction: Direction,
        function: &Function,
    ) -> &str {
        &self.functions[&(interface, direction == Direction::Export, function.name.clone())]
    }
}

/// A name for the file of an interface: as short as can be told apart from the others.
fn file_name(resolve: &Resolve, key: &WorldKey, taken: &Names) -> String {
    let id = match key {
        WorldKey::Name(name) => return name.clone(),
        WorldKey::Interface(id) => *id,
    };
    let interface = &resolve.interfaces[id];
    let own = interface.name.clone().unwrap_or_default();
    let Some(PackageName {
        namespace,
        name,
        version,
    }) = interface.package.map(|package| &resolve.packages[package].name)
    else {
        return own;
    };
    let mut found = [
        own.clone(),
        format!("{name}-{own}"),
        format!("{namespace}-{name}-{own}"),
    ]
    .into_iter()
    .filter(|name| taken.is_free(name));
    found.next().unwrap_or_else(|| {
        let version = version.as_ref().map(ToString::to_string).unwrap_or_default();
        let digits = version.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        format!("{namespace}-{name}-{own}-{digits}")
    })
}

/// Whether a constructor may fail: it is a static method then.
pub(super) fn is_fallible(resolve: &Resolve, function: &Function) -> bool {
    !matches!(function.result, Some(Type::Id(id)) if matches!(resolve.types[id].kind, TypeDefKind::Handle(_)))
}

/// Whether a type is held by reference and never null, so that null can stand for none of it.
pub(super) fn is_reference(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::String => true,
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => is_reference(resolve, ty),
            TypeDefKind::Option(_) | TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => false,
            _ => true,
        },
        _ => false,
    }
}
