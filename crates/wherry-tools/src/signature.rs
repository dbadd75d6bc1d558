//! Functions and types as a reader of WIT would write them.

use std::fmt::Write as _;

use crate::model::{Core, CoreType, Function, FunctionKind, Item, Type, TypeDef, TypeKind, World};

/// The signature of `function` on one line: `add: func(a: u32, b: u32) -> u32`.
///
/// Functions of a resource are written with its name, and a method without the parameter for the resource
/// itself: `image.resize: func(width: u32)`, `image.open: static func(path: string) -> image`.
#[must_use]
pub fn function(world: &World, function: &Function) -> String {
    let mut out = String::new();
    if let Some(resource) = function.resource.and_then(|index| world.name_of(index)) {
        out.push_str(resource);
        out.push('.');
    }
    out.push_str(&function.item);
    out.push_str(match (function.kind, function.is_async) {
        (FunctionKind::Constructor, _) => "(",
        (FunctionKind::Static, false) => ": static func(",
        (FunctionKind::Static, true) => ": static async func(",
        (FunctionKind::Free | FunctionKind::Method, false) => ": func(",
        (FunctionKind::Free | FunctionKind::Method, true) => ": async func(",
    });
    let hidden = usize::from(function.kind == FunctionKind::Method);
    for (place, param) in function.params.iter().skip(hidden).enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        let _ = write!(out, "{comma}{}: ", param.name);
        write_type(&mut out, world, param.ty);
    }
    out.push(')');
    if let Some(result) = function
        .result
        .filter(|_| function.kind != FunctionKind::Constructor)
    {
        out.push_str(" -> ");
        write_type(&mut out, world, result);
    }
    out
}

/// `ty` where it is used: its name if it has one, and otherwise what it is made of.
#[must_use]
pub fn used(world: &World, ty: Type) -> String {
    let mut out = String::new();
    write_type(&mut out, world, ty);
    out
}

/// The definition of a type with a name, on one line: `record point { x: f64, y: f64 }`.
#[must_use]
pub fn definition(world: &World, name: &str, def: &TypeDef) -> String {
    let mut out = String::new();
    let (keyword, parts): (&str, Vec<String>) = match &def.kind {
        TypeKind::Record { fields } => (
            "record",
            fields
                .iter()
                .map(|field| format!("{}: {}", field.name, used(world, field.ty)))
                .collect(),
        ),
        TypeKind::Variant { cases } => (
            "variant",
            cases
                .iter()
                .map(|case| match case.payload {
                    Some(payload) => format!("{}({})", case.name, used(world, payload)),
                    None => case.name.clone(),
                })
                .collect(),
        ),
        TypeKind::Enum { cases } => ("enum", cases.clone()),
        TypeKind::Flags { flags } => ("flags", flags.clone()),
        TypeKind::Resource => return format!("resource {name}"),
        _ => {
            let _ = write!(out, "type {name} = ");
            write_kind(&mut out, world, &def.kind);
            return out;
        }
    };
    let _ = write!(out, "{keyword} {name} {{ {} }}", parts.join(", "));
    out
}

/// The signature of a core function: `(i32, i32) -> (i64)`; other things say what they are.
#[must_use]
pub fn core(ty: &CoreType) -> String {
    match ty {
        CoreType::Function { params, results } => {
            let params = params.join(", ");
            match results.as_slice() {
                [] => format!("func({params})"),
                [result] => format!("func({params}) -> {result}"),
                results => format!("func({params}) -> ({})", results.join(", ")),
            }
        }
        CoreType::Memory {
            minimum,
            maximum,
            wide,
            shared,
        } => {
            let most = maximum.map_or_else(String::new, |pages| format!(" to {pages}"));
            let bits = if *wide { ", 64-bit" } else { "" };
            let threads = if *shared { ", shared" } else { "" };
            format!("memory of {minimum}{most} pages{bits}{threads}")
        }
        CoreType::Table { element } => format!("table of {element}"),
        CoreType::Global { value, mutable } => {
            format!("{}global {value}", if *mutable { "mutable " } else { "" })
        }
        CoreType::Tag => "tag".to_owned(),
    }
}

/// The imports and exports of a core module, one on each line.
#[must_use]
pub fn module(core: &Core) -> String {
    let mut out = "// A core module has no WIT: functions take and return numbers.\n".to_owned();
    for import in &core.imports {
        let _ = writeln!(
            out,
            "import {}.{}: {};",
            import.module,
            import.name,
            self::core(&import.ty)
        );
    }
    for export in &core.exports {
        let _ = writeln!(out, "export {}: {};", export.name, self::core(&export.ty));
    }
    out
}

fn write_type(out: &mut String, world: &World, ty: Type) {
    match ty {
        Type::Primitive(primitive) => out.push_str(primitive.name()),
        Type::Defined(index) => match world.types.get(index as usize) {
            Some(TypeDef { name: Some(name), .. }) => out.push_str(name),
            Some(def) => write_kind(out, world, &def.kind),
            None => out.push('_'),
        },
    }
}

fn write_kind(out: &mut String, world: &World, kind: &TypeKind) {
    let named = |index: u32| world.name_of(index).unwrap_or("_");
    match kind {
        TypeKind::Option { payload } => write_generic(out, world, "option", &[*payload]),
        TypeKind::List { element } => write_generic(out, world, "list", &[*element]),
        TypeKind::Map { key, value } => write_generic(out, world, "map", &[*key, *value]),
        TypeKind::Tuple { elements } => write_generic(out, world, "tuple", elements),
        TypeKind::Stream { payload } => write_generic(out, world, "stream", payload.as_slice()),
        TypeKind::Future { payload } => write_generic(out, world, "future", payload.as_slice()),
        TypeKind::FixedList { element, length } => {
            out.push_str("list<");
            write_type(out, world, *element);
            let _ = write!(out, ", {length}>");
        }
        TypeKind::Result {
            ok: None,
            err: Some(err),
        } => {
            out.push_str("result<_, ");
            write_type(out, world, *err);
            out.push('>');
        }
        TypeKind::Result { ok, err } => {
            let parts: Vec<Type> = ok.iter().chain(err).copied().collect();
            write_generic(out, world, "result", &parts);
        }
        TypeKind::Own { resource } => out.push_str(named(*resource)),
        TypeKind::Borrow { resource } => {
            let _ = write!(out, "borrow<{}>", named(*resource));
        }
        TypeKind::Alias { target } => write_type(out, world, *target),
        // These always have a name in WIT, and are written by it.
        TypeKind::Record { .. }
        | TypeKind::Variant { .. }
        | TypeKind::Enum { .. }
        | TypeKind::Flags { .. }
        | TypeKind::Resource => out.push('_'),
    }
}

fn write_generic(out: &mut String, world: &World, name: &str, parts: &[Type]) {
    out.push_str(name);
    if parts.is_empty() {
        return;
    }
    out.push('<');
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        write_type(out, world, *part);
    }
    out.push('>');
}

/// At least how many bytes all definitions and signatures of `world` take when printed.
///
/// Linear in the number of types, where printing itself may be exponential: a type without a name is written
/// out wherever it is used, so that twenty pairs of pairs are a million words.
pub(crate) fn length(world: &World) -> u64 {
    let mut lengths: Vec<u64> = Vec::with_capacity(world.types.len());
    let mut total = 0_u64;
    for def in &world.types {
        let length = kind_length(&lengths, world, &def.kind);
        let name = def.name.as_ref().map(|name| name.len() as u64);
        if name.is_some() {
            total = total.saturating_add(length);
        }
        lengths.push(name.unwrap_or(length));
    }
    for item in world.imports.iter().chain(&world.exports) {
        let used = match item {
            Item::Interface(interface) => {
                let functions = interface
                    .functions
                    .iter()
                    .map(|function| function_length(&lengths, function));
                let names = interface.types.iter().map(|named| named.name.len() as u64 + 8);
                functions
                    .chain(names)
                    .fold(interface.name.len() as u64, u64::saturating_add)
            }
            Item::Function(function) => function_length(&lengths, function),
            Item::Type(named) => named.name.len() as u64,
            Item::Other(other) => other.name.len() as u64,
        };
        total = total.saturating_add(used);
    }
    total
}

fn function_length(lengths: &[u64], function: &Function) -> u64 {
    let params = function
        .params
        .iter()
        .map(|param| type_length(lengths, param.ty).saturating_add(param.name.len() as u64));
    let result = function.result.map(|ty| type_length(lengths, ty));
    params
        .chain(result)
        .fold(function.name.len() as u64 + 8, u64::saturating_add)
}

fn type_length(lengths: &[u64], ty: Type) -> u64 {
    match ty {
        Type::Primitive(primitive) => primitive.name().len() as u64,
        // What a type refers to stands before it in the list.
        Type::Defined(index) => lengths
            .get(index as usize)
            .copied()
            .unwrap_or(0)
            .saturating_add(2),
    }
}

fn kind_length(lengths: &[u64], world: &World, kind: &TypeKind) -> u64 {
    let sum = |types: &[Type]| {
        types
            .iter()
            .map(|ty| type_length(lengths, *ty))
            .fold(8, u64::saturating_add)
    };
    let text = |names: &[String]| {
        names
            .iter()
            .map(|name| name.len() as u64 + 2)
            .fold(8, u64::saturating_add)
    };
    match kind {
        TypeKind::Record { fields } => fields
            .iter()
            .map(|field| type_length(lengths, field.ty).saturating_add(field.name.len() as u64))
            .fold(8, u64::saturating_add),
        TypeKind::Variant { cases } => cases
            .iter()
            .map(|case| {
                let payload = case.payload.map_or(0, |ty| type_length(lengths, ty));
                payload.saturating_add(case.name.len() as u64)
            })
            .fold(8, u64::saturating_add),
        TypeKind::Enum { cases } => text(cases),
        TypeKind::Flags { flags } => text(flags),
        TypeKind::Option { payload: part }
        | TypeKind::List { element: part }
        | TypeKind::FixedList { element: part, .. } => sum(&[*part]),
        TypeKind::Alias { target } => sum(&[*target]),
        TypeKind::Result { ok, err } => sum(ok.as_slice()).saturating_add(sum(err.as_slice())),
        TypeKind::Map { key, value } => sum(&[*key, *value]),
        TypeKind::Tuple { elements } => sum(elements),
        TypeKind::Stream { payload } | TypeKind::Future { payload } => sum(payload.as_slice()),
        TypeKind::Own { resource } | TypeKind::Borrow { resource } => {
            world.name_of(*resource).map_or(8, |name| name.len() as u64 + 8)
        }
        TypeKind::Resource => 8,
    }
}
