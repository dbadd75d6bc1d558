//! `--invoke 'name(args)'`: from what people type to one call, and from its result to text.
//!
//! A name is that of a function (`add`), or says which interface it is in (`acme:math/sums#add`). What cannot be
//! called that way is told with what can, in the form to type. Start reading at [`read`].

mod form;

use crate::error::{Error, Kind, Result};
use crate::exports::{Export, Place};
use crate::nearest::nearest;
use crate::options::Format;
use crate::program::{Code, Program};
use crate::sandbox::Linked;
use crate::wave::{self, Value};
use form::Form;
use wasmtime::ExternType;
use wasmtime::component::types::{ComponentItem, Type};

/// How many functions a message lists.
const LISTED: usize = 8;

/// One call that someone typed.
pub struct Call {
    /// The function.
    pub export: Export,
    /// Its arguments: a tuple.
    pub arguments: Value,
    form: Form,
}

/// Reads `name(args)`.
///
/// # Errors
/// [`Kind::NoExport`] when there is no such function or more than one, [`Kind::Value`] when the arguments are no WAVE or not
/// as many, [`Kind::Unsupported`] for a type that cannot be written.
pub fn read(linked: &Linked, typed: &str) -> Result<Call> {
    let (name, arguments) = match typed.find('(') {
        Some(at) => typed.split_at(at),
        None => (typed, "()"),
    };
    let export = find(linked, name.trim())?;
    let form = Form::of(&callable_name(linked, export), &types(&linked.program, export));
    if let Some(obstacle) = form.obstacle {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "`{}` cannot be called by `--invoke`: {obstacle} cannot be written as text",
                form.signature
            ),
        )
        .with_hint("call it from Python: `wherry.load(...)`"));
    }
    let arguments = tuple(arguments).map_err(|message| {
        Error::new(Kind::Value, format!("`{typed}` cannot be read: {message}")).with_hint(form.hint())
    })?;
    let arguments = form.complete(arguments)?;
    Ok(Call {
        export: export.clone(),
        arguments,
        form,
    })
}

/// Reads what stands in the parentheses, and these.
fn tuple(source: &str) -> Result<Vec<Value>, String> {
    let inner = source
        .trim_end()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    match inner {
        // WAVE has no empty tuple.
        Some(inner) if inner.trim().is_empty() => return Ok(Vec::new()),
        Some(_) => {}
        None => return Err("the parentheses are not closed".to_owned()),
    }
    match wave::parse(source) {
        Ok(Value::Tuple(values)) => Ok(values),
        Ok(_) => Err("there are no parentheses".to_owned()),
        Err(error) => {
            let detail = error
                .detail()
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            let found = source.get(error.span()).filter(|found| !found.is_empty());
            let found = found.map(|found| format!(" at `{found}`")).unwrap_or_default();
            Err(format!("{}{detail}{found}", error.kind()))
        }
    }
}

impl Call {
    /// The same error of the call with the argument it is about, and the right form.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        if error.kind() != Kind::Value {
            return error;
        }
        let message = match self.form.argument(error.path()) {
            Some(argument) => format!("argument {argument} of `{}`: {}", self.form.name, error.message()),
            None => format!("`{}`: {}", self.form.name, error.message()),
        };
        Error::new(Kind::Value, message).with_hint(self.form.hint())
    }

    /// The result as it is printed, without a line's end; `None` where there is nothing to print.
    #[must_use]
    pub fn print(&self, value: Value, failed: bool, format: Format) -> Option<String> {
        let value = match (self.export.fallible, failed) {
            (false, _) => value,
            (true, false) => Value::Result(Ok(Box::new(value))),
            (true, true) => Value::Result(Err(Box::new(value))),
        };
        match format {
            Format::Text if value == Value::Nothing => None,
            Format::Text => Some(wave::text(&value)),
            Format::Json => Some(wave::json(&value)),
        }
    }
}

/// What `--invoke` can call in a program, as a hint; `None` when there is nothing.
#[must_use]
pub fn advice(linked: &Linked) -> Option<String> {
    let forms: Vec<Form> = callable(linked)
        .map(|export| Form::of(&callable_name(linked, export), &types(&linked.program, export)))
        .filter(|form| form.obstacle.is_none())
        .collect();
    let first = forms.first()?;
    let mut listed: Vec<String> = forms
        .iter()
        .take(LISTED)
        .map(|form| format!("`{}`", form.signature))
        .collect();
    if forms.len() > LISTED {
        listed.push(format!("{} more", forms.len() - LISTED));
    }
    let file = &linked.program.name;
    Some(format!(
        "it exports {}; call one with `wherry run --invoke '{}' {file}`",
        listed.join(", "),
        first.example
    ))
}

/// The functions that one would want to call: no entry points, and no methods, which need a handle.
fn callable(linked: &Linked) -> impl Iterator<Item = &Export> {
    linked.surface.exports.iter().filter(|export| match export.place {
        Place::Module => {
            !matches!(export.name.as_str(), "" | "_start" | "_initialize") && !export.name.starts_with("__")
        }
        Place::Component(_) => !export.name.starts_with('['),
    })
}

/// The shortest name that means this function and no other.
fn callable_name(linked: &Linked, export: &Export) -> String {
    let same = |other: &&Export| other.name == export.name;
    match &export.interface {
        Some(interface) if linked.surface.exports.iter().filter(same).count() > 1 => {
            format!("{interface}#{}", export.name)
        }
        _ => export.name.clone(),
    }
}

/// Whether an interface is the one of that name, with or without its version.
fn same_interface(interface: &str, named: &str) -> bool {
    interface == named || interface.split_once('@').is_some_and(|(bare, _)| bare == named)
}

fn find<'t>(linked: &'t Linked, name: &str) -> Result<&'t Export> {
    let exports = &linked.surface.exports;
    let found: Vec<&Export> = match name.split_once('#') {
        Some((interface, function)) => exports
            .iter()
            .filter(|export| export.name == function)
            .filter(|export| {
                export
                    .interface
                    .as_deref()
                    .is_some_and(|known| same_interface(known, interface))
            })
            .collect(),
        None => exports.iter().filter(|export| export.name == name).collect(),
    };
    // A function of the world itself has no longer name than its own.
    let own = found.iter().copied().find(|export| export.interface.is_none());
    match (own, found.as_slice()) {
        (Some(export), _) => Ok(export),
        (None, [export]) => Ok(*export),
        (None, []) => Err(unknown(linked, name)),
        (None, several) => {
            let names: Vec<String> = several
                .iter()
                .map(|export| callable_name(linked, export))
                .collect();
            Err(Error::new(
                Kind::NoExport,
                format!(
                    "`{}` exports more than one function `{name}`",
                    linked.program.name
                ),
            )
            .with_hint(format!("say which: `{}`", names.join("` or `"))))
        }
    }
}

fn unknown(linked: &Linked, name: &str) -> Error {
    let error = Error::new(
        Kind::NoExport,
        format!("`{}` exports no function `{name}`", linked.program.name),
    );
    let meant = nearest(name, callable(linked).map(|export| export.name.as_str()));
    let meant = meant.and_then(|meant| callable(linked).find(|export| export.name == meant));
    match meant {
        Some(export) => {
            let form = Form::of(&callable_name(linked, export), &types(&linked.program, export));
            error.with_hint(format!(
                "did you mean `{}`, such as `{}`?",
                form.signature, form.example
            ))
        }
        None => {
            error.with_hint(advice(linked).unwrap_or_else(|| "it exports no function to call".to_owned()))
        }
    }
}

/// The types of a function.
enum Types {
    /// In WIT, with names of parameters.
    Component(Vec<(String, Type)>, Option<Type>),
    /// In core WebAssembly.
    Module(wasmtime::FuncType),
    /// It is not there.
    Unknown,
}

fn types(program: &Program, export: &Export) -> Types {
    match &program.code {
        Code::Module(module) => match module.get_export(&export.name) {
            Some(ExternType::Func(function)) => Types::Module(function),
            _ => Types::Unknown,
        },
        Code::Component(component) => {
            let ty = component.component_type();
            let outer = |name: &str| ty.get_export(&program.engine, name).map(|item| item.ty);
            let item = match &export.interface {
                None => outer(&export.name),
                Some(interface) => match outer(interface) {
                    Some(ComponentItem::ComponentInstance(instance)) => instance
                        .get_export(&program.engine, &export.name)
                        .map(|item| item.ty),
                    _ => None,
                },
            };
            let Some(ComponentItem::ComponentFunc(function)) = item else {
                return Types::Unknown;
            };
            let params = function
                .params()
                .map(|(name, ty)| (name.to_owned(), ty))
                .collect();
            Types::Component(params, function.results().next())
        }
    }
}
