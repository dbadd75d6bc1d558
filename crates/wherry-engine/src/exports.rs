//! What a program offers to be called, and what it needs from the embedding program.
//!
//! [`Surface::of`] reads both from compiled code, in the order of the file. Functions of core modules are in it too, with
//! numbers as values.

use crate::error::{Error, Kind};
use crate::interfaces::{Standing, standing};
use crate::program::{Code, Program};
use crate::values::bridge::MAX_FLAT;
use wasmtime::component::ComponentExportIndex;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::{Engine, ExternType};

/// The functions of a program, both ways.
#[derive(Default)]
pub struct Surface {
    /// What can be called.
    pub exports: Vec<Export>,
    /// What has to be provided, WASI left out.
    pub imports: Vec<Import>,
    /// The resources that the embedding program has to implement: interface and name.
    pub resources: Vec<(Option<String>, String)>,
    /// The resources that the program implements: interface, name and place.
    pub own_resources: Vec<(Option<String>, String, ComponentExportIndex)>,
    /// Whether a function takes streams or futures, which the embedding program fills while the guest runs.
    pub feeds: bool,
    /// Whether anything that is imported may wait, so that calls need a stack of their own.
    pub waits: bool,
}

/// A function that can be called.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts of WIT which do not depend on each other"
)]
pub struct Export {
    /// The interface it is in; `None` for a function of the world itself.
    pub interface: Option<String>,
    /// Its name in WIT, such as `[method]counter.increment`.
    pub name: String,
    /// The names of its parameters.
    pub params: Vec<String>,
    /// Whether it returns a value.
    pub returns: bool,
    /// Whether its whole result is a `result`.
    pub fallible: bool,
    /// Whether its only parameter is a record.
    pub takes_record: bool,
    /// Whether it is `async` in WIT.
    pub asynchronous: bool,
    /// How many flat values its result is; `None` past all that fits.
    pub(crate) flat_results: Option<usize>,
    /// Where it is in compiled code.
    pub place: Place,
}

impl Export {
    /// An error about a value with the function and the parameter that it is about, by the name that it is `spelled` with.
    #[must_use]
    pub fn located(&self, error: Error, spelled: impl FnOnce(&str) -> String) -> Error {
        if error.kind() != Kind::Value {
            return error;
        }
        // The path begins with the place of the argument: `[0].field`.
        let path = error.path();
        let argument = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let named = argument.and_then(|(place, rest)| {
            let name = self.params.get(place.parse::<usize>().ok()?)?;
            Some(format!("`{}{rest}`: ", spelled(name)))
        });
        let message = format!(
            "{}(): {}{}",
            self.name,
            named.unwrap_or_default(),
            error.message()
        );
        error.with_message(message)
    }
}

/// Where an export is in compiled code.
#[derive(Clone)]
pub enum Place {
    /// In a component.
    Component(ComponentExportIndex),
    /// In a core module, by name.
    Module,
}

/// A function that has to be provided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The interface it is in; `None` for a function of the world itself.
    pub interface: Option<String>,
    /// Its name in WIT.
    pub name: String,
    /// The names of its parameters.
    pub params: Vec<String>,
    /// Whether its whole result is a `result`.
    pub fallible: bool,
    /// Whether it is `async` in WIT.
    pub asynchronous: bool,
    /// How many flat values its parameters are, or `None` when they go through memory.
    pub(crate) flat_params: Option<usize>,
    /// How many flat values its result is: 0, or 1; more go through memory.
    pub(crate) flat_results: usize,
}

impl Surface {
    /// Reads the surface of a program.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        match &program.code {
            Code::Component(component) => {
                let ty = component.component_type();
                let mut surface = Self::default();
                for (name, item) in ty.imports(&program.engine) {
                    surface.import(&program.engine, name, &item.ty);
                }
                for (name, item) in ty.exports(&program.engine) {
                    surface.export(program, component, name, &item.ty);
                }
                surface
            }
            Code::Module(module) => Self {
                exports: module
                    .exports()
                    .filter_map(|export| core_export(export.name(), &export.ty()))
                    .collect(),
                waits: module.imports().next().is_some(),
                ..Self::default()
            },
        }
    }

    fn import(&mut self, engine: &Engine, name: &str, item: &ComponentItem) {
        match item {
            ComponentItem::ComponentInstance(_) if standing(name) == Standing::Provided => self.waits = true,
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(engine) {
                    self.import_item(Some(name), inner, &item.ty);
                }
            }
            item => self.import_item(None, name, item),
        }
    }

    fn import_item(&mut self, interface: Option<&str>, name: &str, item: &ComponentItem) {
        let interface = interface.map(str::to_owned);
        match item {
            ComponentItem::ComponentFunc(function) => self.imports.push(Import {
                interface,
                name: name.to_owned(),
                params: function.params().map(|(name, _)| name.to_owned()).collect(),
                fallible: fallible(function),
                asynchronous: function.async_(),
                flat_params: sum(function.params().map(|(_, ty)| flat_count(&ty)))
                    .filter(|&flat| flat <= MAX_FLAT),
                flat_results: sum(function.results().map(|ty| flat_count(&ty)))
                    .filter(|&flat| flat <= 1)
                    .unwrap_or(0),
            }),
            ComponentItem::Resource(_) => self.resources.push((interface, name.to_owned())),
            _ => {}
        }
    }

    fn export(
        &mut self,
        program: &Program,
        component: &wasmtime::component::Component,
        name: &str,
        item: &ComponentItem,
    ) {
        match item {
            ComponentItem::ComponentFunc(function) => {
                if let Some(place) = component.get_export_index(None, name) {
                    self.feeds |= takes_pipes(function);
                    self.exports.push(component_export(None, name, function, place));
                }
            }
            ComponentItem::Resource(_) => {
                if let Some(place) = component.get_export_index(None, name) {
                    self.own_resources.push((None, name.to_owned(), place));
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                let Some(outer) = component.get_export_index(None, name) else {
                    return;
                };
                for (inner, item) in instance.exports(&program.engine) {
                    let place = component.get_export_index(Some(&outer), inner);
                    match (&item.ty, place) {
                        (ComponentItem::ComponentFunc(function), Some(place)) => {
                            self.feeds |= takes_pipes(function);
                            self.exports
                                .push(component_export(Some(name), inner, function, place));
                        }
                        (ComponentItem::Resource(_), Some(place)) => {
                            self.own_resources
                                .push((Some(name.to_owned()), inner.to_owned(), place));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn component_export(
    interface: Option<&str>,
    name: &str,
    function: &ComponentFunc,
    place: ComponentExportIndex,
) -> Export {
    Export {
        interface: interface.map(str::to_owned),
        name: name.to_owned(),
        params: function.params().map(|(name, _)| name.to_owned()).collect(),
        returns: function.results().len() > 0,
        fallible: fallible(function),
        takes_record: function.params().len() == 1
            && matches!(function.params().next(), Some((_, Type::Record(_)))),
        asynchronous: function.async_(),
        flat_results: sum(function.results().map(|ty| flat_count(&ty))),
        place: Place::Component(place),
    }
}

fn core_export(name: &str, ty: &ExternType) -> Option<Export> {
    let ExternType::Func(function) = ty else {
        return None;
    };
    Some(Export {
        interface: None,
        name: name.to_owned(),
        params: (0..function.params().len())
            .map(|index| format!("p{index}"))
            .collect(),
        returns: function.results().len() > 0,
        fallible: false,
        takes_record: false,
        asynchronous: false,
        flat_results: None,
        place: Place::Module,
    })
}

/// Whether a stream or future is anywhere in the parameters of a function.
fn takes_pipes(function: &ComponentFunc) -> bool {
    function.params().any(|(_, ty)| has_pipe(&ty))
}

fn has_pipe(ty: &Type) -> bool {
    match ty {
        Type::Stream(_) | Type::Future(_) => true,
        Type::List(list) => has_pipe(&list.ty()),
        Type::FixedLengthList(list) => has_pipe(&list.ty()),
        Type::Map(map) => has_pipe(&map.value()),
        Type::Record(record) => record.fields().any(|field| has_pipe(&field.ty)),
        Type::Tuple(tuple) => tuple.types().any(|ty| has_pipe(&ty)),
        Type::Variant(cases) => cases.cases().any(|case| case.ty.is_some_and(|ty| has_pipe(&ty))),
        Type::Option(option) => has_pipe(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].iter().flatten().any(has_pipe),
        _ => false,
    }
}

fn fallible(function: &ComponentFunc) -> bool {
    matches!(function.results().next(), Some(Type::Result(_)))
}

fn sum(counts: impl Iterator<Item = Option<usize>>) -> Option<usize> {
    counts.sum()
}

/// How many core values a type is, as `flatten_type` of the canonical ABI counts; `None` past any use.
fn flat_count(ty: &Type) -> Option<usize> {
    let variant = |payloads: &mut dyn Iterator<Item = Option<Type>>| {
        let longest = payloads
            .flatten()
            .map(|ty| flat_count(&ty))
            .try_fold(0, |most, count| Some(most.max(count?)));
        longest.and_then(|count| count.checked_add(1))
    };
    match ty {
        Type::String | Type::List(_) | Type::Map(_) => Some(2),
        Type::Record(record) => sum(record.fields().map(|field| flat_count(&field.ty))),
        Type::Tuple(tuple) => sum(tuple.types().map(|ty| flat_count(&ty))),
        Type::FixedLengthList(list) => flat_count(&list.ty())?.checked_mul(list.len() as usize),
        Type::Variant(cases) => variant(&mut cases.cases().map(|case| case.ty)),
        Type::Option(option) => variant(&mut [Some(option.ty())].into_iter()),
        Type::Result(result) => variant(&mut [result.ok(), result.err()].into_iter()),
        Type::Flags(flags) => Some(flags.names().len().div_ceil(32)),
        _ => Some(1),
    }
}
