//! How JavaScript sees the interfaces of a world: names, and what both declarations and glue go by.
//!
//! Nobody but componentize-qjs decides how values look, so that no generator for another engine fits: an `option` is
//! `T | null`, 64 bits are a number, modules of imports have no version in their names.

use std::collections::BTreeMap;

use heck::{ToLowerCamelCase, ToUpperCamelCase};
use wit_parser::{
    Function, FunctionKind, InterfaceId, Resolve, Type, TypeDefKind, TypeId, WorldItem, WorldKey,
};

use crate::error::{Error, Result};
use crate::source::Source;

/// Words that cannot be names, in strict code and modules either (ECMA-262, "Keywords and Reserved Words").
pub(crate) const WORDS: &[&str] = &[
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// An interface of a world, as a module of JavaScript.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    /// The name that it is imported by.
    pub(crate) name: String,
    /// The name with its version, if it has one.
    pub(crate) versioned: Option<String>,
    /// The interface.
    pub(crate) id: InterfaceId,
    /// Whether the world imports it.
    pub(crate) imported: bool,
    /// Whether the world exports it.
    pub(crate) exported: bool,
}

impl Module {
    /// The name of the export that implements it: the last part of its name.
    pub(crate) fn export(&self) -> String {
        let short = self.name.rsplit('/').next().unwrap_or(&self.name);
        short.split('@').next().unwrap_or(short).to_lower_camel_case()
    }
}

/// The interfaces of a world, in its order; one that is imported and exported is there once.
pub(crate) fn modules(source: &Source) -> Vec<Module> {
    let world = &source.resolve.worlds[source.world];
    let mut found: Vec<Module> = Vec::new();
    let sides = [(&world.imports, true), (&world.exports, false)];
    for (items, imported) in sides {
        for (key, item) in items {
            let WorldItem::Interface { id, .. } = item else {
                continue;
            };
            let whole = full_name(&source.resolve, key, *id);
            let name = whole.split('@').next().unwrap_or(&whole).to_owned();
            let versioned = (name != whole).then_some(whole);
            if let Some(known) = found
                .iter_mut()
                .find(|one| one.name == name && one.versioned == versioned)
            {
                known.exported = true;
                continue;
            }
            found.push(Module {
                name,
                versioned,
                id: *id,
                imported,
                exported: !imported,
            });
        }
    }
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for one in &found {
        *times.entry(one.name.clone()).or_default() += 1;
    }
    for one in &mut found {
        // Of two versions of one interface each goes by its whole name.
        if times[&one.name] > 1
            && let Some(whole) = one.versioned.take()
        {
            one.name = whole;
        }
    }
    found
}

fn full_name(resolve: &Resolve, key: &WorldKey, id: InterfaceId) -> String {
    match key {
        WorldKey::Name(name) => name.clone(),
        WorldKey::Interface(_) => resolve.id_of(id).unwrap_or_else(|| resolve.name_world_key(key)),
    }
}

/// The name of the module with the types of the world itself.
pub(crate) fn world_module(source: &Source) -> String {
    let world = &source.resolve.worlds[source.world];
    match world.package {
        Some(id) => {
            let package = &source.resolve.packages[id].name;
            format!("{}:{}/{}", package.namespace, package.name, world.name)
        }
        None => world.name.clone(),
    }
}

/// What a function of WIT is in JavaScript.
pub(crate) enum Role<'a> {
    /// A function of its own name.
    Function(String),
    /// `new`, of the class.
    Constructor(TypeId),
    /// A method of the class, with its name.
    Method(TypeId, &'a str),
    /// A static method of the class, with its name.
    Static(TypeId, &'a str),
}

impl<'a> Role<'a> {
    /// The role of a function.
    ///
    /// # Errors
    /// [`Error::Interface`] for an asynchronous one.
    pub(crate) fn of(function: &'a Function) -> Result<Self> {
        let last = function.name.rsplit('.').next().unwrap_or_default();
        Ok(match function.kind {
            FunctionKind::Freestanding => Self::Function(function.name.to_lower_camel_case()),
            FunctionKind::Constructor(id) => Self::Constructor(id),
            FunctionKind::Method(id) => Self::Method(id, last),
            FunctionKind::Static(id) => Self::Static(id, last),
            FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) | FunctionKind::AsyncStatic(_) => {
                return Err(Error::Interface(format!(
                    "function `{}` is async, which JavaScript and TypeScript have no form for yet",
                    function.name
                )));
            }
        })
    }
}

/// The parameters of a function: without the object of a method.
pub(crate) fn parameters(function: &Function) -> impl Iterator<Item = (String, &Type)> {
    let own = usize::from(matches!(function.kind, FunctionKind::Method(_)));
    function
        .params
        .iter()
        .skip(own)
        .map(|param| (param.name.to_lower_camel_case(), &param.ty))
}

/// The type that a name stands for.
pub(crate) fn resolved(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty {
        match resolve.types[id].kind {
            TypeDefKind::Type(inner) => ty = inner,
            _ => break,
        }
    }
    ty
}

/// The two sides of a type that is a `result`.
pub(crate) fn as_result(resolve: &Resolve, ty: Type) -> Option<(Option<Type>, Option<Type>)> {
    let Type::Id(id) = resolved(resolve, ty) else {
        return None;
    };
    match &resolve.types[id].kind {
        TypeDefKind::Result(result) => Some((result.ok, result.err)),
        _ => None,
    }
}

/// Whether a type is an `option`, whose absence has to be told from that of an `option` around it.
pub(crate) fn is_option(resolve: &Resolve, ty: Type) -> bool {
    matches!(resolved(resolve, ty), Type::Id(id) if matches!(resolve.types[id].kind, TypeDefKind::Option(_)))
}

/// The name of the class of a resource, or of any type with a name.
pub(crate) fn class_name(resolve: &Resolve, id: TypeId) -> String {
    resolve.types[id]
        .name
        .as_deref()
        .unwrap_or_default()
        .to_upper_camel_case()
}
