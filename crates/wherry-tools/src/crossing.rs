//! What has to be done to values where they cross between JavaScript and its engine's bindings.
//!
//! Those of componentize-qjs take 32 bits without a sign for 32 bits with one, both ways, and round what 64 bits hold
//! beyond the numbers of JavaScript. `guest/crossing.js` corrects the one and refuses the other, by the plan made here.

use heck::ToLowerCamelCase;
use serde_json::{Map, Value, json};
use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldItem};

use crate::error::Result;
use crate::javascript::{Role, as_result, class_name, is_option, modules, parameters, resolved};
use crate::source::Source;

/// The plan, in JSON: `exports` and `imports` by their names, each function with what is done to its values.
///
/// # Errors
/// [`crate::Error::Interface`] for what JavaScript has no form for.
pub fn plan(source: &Source) -> Result<Value> {
    let resolve = &source.resolve;
    let world = &resolve.worlds[source.world];
    let mut exports = Map::new();
    for item in world.exports.values() {
        if let WorldItem::Function(function) = item {
            enter(resolve, &mut exports, function)?;
        }
    }
    let mut globals = Map::new();
    for item in world.imports.values() {
        if let WorldItem::Function(function) = item {
            enter(resolve, &mut globals, function)?;
        }
    }
    let mut imports = Map::new();
    for module in modules(source) {
        let mut functions = Map::new();
        for function in resolve.interfaces[module.id].functions.values() {
            enter(resolve, &mut functions, function)?;
        }
        if module.exported {
            exports.insert(module.export(), json!({"interface": functions}));
        }
        if module.imported && !functions.is_empty() {
            imports.insert(
                module.name.clone(),
                json!({"versioned": module.versioned, "functions": functions}),
            );
        }
    }
    Ok(json!({"exports": exports, "globals": globals, "imports": imports}))
}

/// Puts a function into what is at its level, or into the class that it belongs to.
fn enter(resolve: &Resolve, into: &mut Map<String, Value>, function: &Function) -> Result<()> {
    let given: Vec<Value> = parameters(function)
        .map(|(_, ty)| conversion(resolve, *ty))
        .collect();
    let (result, thrown) = match function.result {
        None => (Value::Null, Value::Null),
        Some(ty) => match as_result(resolve, ty) {
            Some((ok, err)) => (optional(resolve, ok), json!([optional(resolve, err)])),
            None => (conversion(resolve, ty), Value::Null),
        },
    };
    let crossing = json!({"given": given, "result": result, "thrown": thrown});
    let (class, group, name) = match Role::of(function)? {
        Role::Function(name) => {
            into.insert(name, crossing);
            return Ok(());
        }
        Role::Constructor(id) => (id, "constructor", None),
        Role::Method(id, name) => (id, "methods", Some(name)),
        Role::Static(id, name) => (id, "statics", Some(name)),
    };
    let class = into
        .entry(class_name(resolve, class))
        .or_insert_with(|| json!({"methods": {}, "statics": {}}));
    match name {
        Some(name) => class[group][name.to_lower_camel_case()] = crossing,
        None => class[group] = crossing,
    }
    Ok(())
}

fn optional(resolve: &Resolve, ty: Option<Type>) -> Value {
    ty.map_or(Value::Null, |ty| conversion(resolve, ty))
}

/// What is done to a value of a type: nothing, or a form with what is done to its parts.
fn conversion(resolve: &Resolve, ty: Type) -> Value {
    let id = match resolved(resolve, ty) {
        Type::U32 => return json!("u32"),
        Type::U64 => return json!("u64"),
        Type::S64 => return json!("s64"),
        Type::Id(id) => id,
        _ => return Value::Null,
    };
    let (form, parts) = match &resolve.types[id].kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            (
                "record",
                named(fields.map(|field| (field.name.to_lower_camel_case(), conversion(resolve, field.ty)))),
            )
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            (
                "variant",
                named(cases.map(|case| (case.name.clone(), optional(resolve, case.ty)))),
            )
        }
        TypeDefKind::Result(result) => {
            let sides = [("ok", result.ok), ("err", result.err)];
            (
                "variant",
                named(
                    sides
                        .into_iter()
                        .map(|(name, ty)| (name.to_owned(), optional(resolve, ty))),
                ),
            )
        }
        TypeDefKind::Option(ty) if is_option(resolve, *ty) => (
            "variant",
            named([("some".to_owned(), conversion(resolve, *ty))].into_iter()),
        ),
        TypeDefKind::Option(ty) => ("option", listed([conversion(resolve, *ty)].into_iter())),
        TypeDefKind::Tuple(tuple) => (
            "tuple",
            listed(tuple.types.iter().map(|ty| conversion(resolve, *ty))),
        ),
        TypeDefKind::List(ty) | TypeDefKind::FixedLengthList(ty, _) => {
            ("list", listed([conversion(resolve, *ty)].into_iter()))
        }
        TypeDefKind::Map(key, value) => (
            "map",
            listed([conversion(resolve, *key), conversion(resolve, *value)].into_iter()),
        ),
        _ => return Value::Null,
    };
    if parts.is_null() {
        parts
    } else {
        json!([form, parts])
    }
}

/// The parts with something to do, by name, or nothing.
fn named(parts: impl Iterator<Item = (String, Value)>) -> Value {
    let found: Map<String, Value> = parts.filter(|(_, what)| !what.is_null()).collect();
    if found.is_empty() {
        Value::Null
    } else {
        Value::Object(found)
    }
}

/// All parts in order, or nothing if there is nothing to do for any.
fn listed(parts: impl Iterator<Item = Value>) -> Value {
    let found: Vec<Value> = parts.collect();
    if found.iter().all(Value::is_null) {
        Value::Null
    } else {
        Value::Array(found)
    }
}
