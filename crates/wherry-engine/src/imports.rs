//! What a program imports and nothing provides: one message that lists all of it, and what can be done about each.

use std::collections::BTreeSet;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceType};
use wasmtime::{ExternType, Linker, Module, UnknownImportError};

use crate::exports::Surface;
use crate::guest::Guest;
use crate::hints::shown;
use crate::interfaces::{Standing, definition, standing};
use crate::program::Program;
use crate::{Error, Kind, Result};

/// The most imports that are named.
const MOST: usize = 20;

/// Refuses a component that imports what no embedding program is there to give.
///
/// # Errors
/// [`Kind::Link`] with the list.
pub fn refuse(program: &str, surface: &Surface) -> Result<()> {
    let missing = foreign(surface);
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing.iter().map(|name| format!("`{}`", shown(name))).collect();
    Err(refusal(program, &list).with_hint(advice(&missing)))
}

/// The interfaces that an embedding program would have to provide.
fn foreign(surface: &Surface) -> BTreeSet<&str> {
    let functions = surface
        .imports
        .iter()
        .map(|import| import.interface.as_deref().unwrap_or(&import.name));
    let resources = surface
        .resources
        .iter()
        .map(|(interface, name)| interface.as_deref().unwrap_or(name));
    functions.chain(resources).collect()
}

/// Why a component could not be linked: all that it imports from interfaces that are here and do not have it, and all
/// interfaces that are not.
#[must_use]
pub fn absent(
    program: &Program,
    linker: &ComponentLinker<Guest>,
    component: &Component,
    surface: &Surface,
    error: &wasmtime::Error,
) -> Error {
    let mut linker = linker.clone();
    // A name that is taken cannot be given to another function: what can be given one is not there.
    linker.allow_shadowing(false);
    let (mut missing, mut older) = (Vec::new(), Vec::new());
    for (name, item) in component.component_type().imports(&program.engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if standing(name) != Standing::Provided {
            continue;
        }
        let items: Vec<_> = instance.exports(&program.engine).collect();
        let lacking = items
            .iter()
            .filter(|(inner, item)| lacks(&mut linker, &definition(name), inner, &item.ty));
        let before = missing.len();
        missing.extend(lacking.map(|(inner, _)| named(name, inner)));
        if missing.len() > before {
            older.push(format!("`{}`", shown(name)));
        }
    }
    if missing.is_empty() {
        return unlinked(&program.name, error);
    }
    let mut hints = vec![format!(
        "{} {} here without that, and no flag adds it: build the program for WASI 0.2.12 or 0.3.0",
        listed(&older),
        if older.len() == 1 { "is" } else { "are" }
    )];
    let others = foreign(surface);
    missing.extend(others.iter().map(|name| format!("`{}`", shown(name))));
    if !others.is_empty() {
        hints.push(advice(&others));
    }
    refusal(&program.name, &missing).with_hint(hints.join("\n"))
}

/// Whether an interface that is here lacks a function or resource of this name.
fn lacks(linker: &mut ComponentLinker<Guest>, interface: &str, name: &str, item: &ComponentItem) -> bool {
    let Ok(mut place) = linker.instance(interface) else {
        return false;
    };
    match item {
        ComponentItem::ComponentFunc(_) => place.func_wrap(name, |_, (): ()| Ok(())).is_ok(),
        ComponentItem::Resource(_) => place
            .resource(name, ResourceType::host::<()>(), |_, _| Ok(()))
            .is_ok(),
        _ => false,
    }
}

/// What can be done about imports of a component; no flag provides any.
fn advice(missing: &BTreeSet<&str>) -> String {
    let of = |wanted: Standing| {
        let names = missing.iter().filter(|name| standing(name) == wanted);
        names.map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>()
    };
    let mut advice = Vec::new();
    if !of(Standing::Own).is_empty() {
        advice.push(
            "in Python, functions of your own can be imported: `component.instantiate(imports=...)`"
                .to_owned(),
        );
    }
    let old = of(Standing::OtherVersion);
    if !old.is_empty() {
        advice.push(format!(
            "{} {} here in another version: build the program for WASI 0.2 or 0.3",
            listed(&old),
            if old.len() == 1 { "is" } else { "are" }
        ));
    }
    let unknown = of(Standing::Unknown);
    if !unknown.is_empty() {
        advice.push(format!(
            "no flag provides {}; in Python, `component.instantiate(imports=...)` can",
            listed(&unknown)
        ));
    }
    advice.join("\n")
}

/// Refuses a core module that imports more than WASI.
///
/// # Errors
/// [`Kind::Link`] with the list.
pub fn refuse_foreign(program: &str, module: &Module) -> Result<()> {
    let foreign: Vec<String> = module
        .imports()
        .filter(|import| !matches!(import.module(), "wasi_snapshot_preview1" | "wasi_unstable"))
        .map(|import| named(import.module(), import.name()))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(refusal(program, &foreign).with_hint(
        "core modules get WASI and nothing else, and no flag changes that; build it as a component to give it functions \
         of your own",
    ))
}

/// Why a core module could not be linked: all the functions that WASI 0.1 does not have.
#[must_use]
pub fn unknown(program: &str, linker: &Linker<Guest>, module: &Module, error: wasmtime::Error) -> Error {
    let mut linker = linker.clone();
    let (mut missing, mut last) = (Vec::new(), error);
    while let Some(import) = last.downcast_ref::<UnknownImportError>() {
        missing.push(named(import.module(), import.name()));
        let ExternType::Func(ty) = import.ty() else { break };
        let stub = linker.func_new(import.module(), import.name(), ty, |_, _, _| Ok(()));
        if stub.is_err() || missing.len() > MOST {
            break;
        }
        match linker.instantiate_pre(module) {
            Ok(_) => break,
            Err(next) => last = next,
        }
    }
    if missing.is_empty() {
        return unlinked(program, &last);
    }
    refusal(program, &missing)
        .with_hint("WASI 0.1 has no such functions, and no flag provides them; build it for plain WASI")
}

/// Why a program could not be linked, in the engine's words.
#[must_use]
pub fn unlinked(program: &str, error: &wasmtime::Error) -> Error {
    Error::new(Kind::Link, format!("`{program}` cannot be linked: {error:#}"))
        .with_hint("`wherry inspect` lists what it imports")
}

fn named(module: &str, name: &str) -> String {
    format!("`{}` from `{}`", shown(name), shown(module))
}

fn refusal(program: &str, missing: &[String]) -> Error {
    Error::new(
        Kind::Link,
        format!("`{program}` imports what nothing provides: {}", listed(missing)),
    )
}

/// A list for people, cut where it says no more.
fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}
