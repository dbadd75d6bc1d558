//! How a function is called, shown to people: `add(a: u32, b: u32) -> u32`, such as `add(1, 2)`.

use super::Types;
use crate::error::{Error, Kind, Result};
use crate::wave::Value;
use std::fmt::Write;
use wasmtime::component::types::Type;

/// Where a signature or example is cut: types nest, and a message is read by a person.
const LONGEST: usize = 400;

/// How one function is called.
pub struct Form {
    /// Its name, as short as it is unambiguous.
    pub name: String,
    /// Its signature.
    pub signature: String,
    /// A call that would be accepted.
    pub example: String,
    /// A type that cannot be written, in words.
    pub obstacle: Option<&'static str>,
    params: Vec<Param>,
}

/// One parameter.
struct Param {
    /// Core functions have none.
    name: Option<String>,
    /// Whether it may be left out at the end.
    optional: bool,
}

impl Form {
    /// The form of a function of these types.
    pub(super) fn of(name: &str, types: &Types) -> Self {
        let (mut signature, mut example) = (Text(format!("{name}(")), Text(format!("{name}(")));
        let (mut obstacle, mut params) = (None, Vec::new());
        match types {
            Types::Component(named, result) => {
                for (index, (param, ty)) in named.iter().enumerate() {
                    signature.comma(index);
                    signature.put(&format!("{param}: "));
                    signature.ty(ty);
                    example.comma(index);
                    example.sample(ty, index);
                    obstacle = obstacle.or_else(|| unwritable(ty));
                    params.push(Param {
                        name: Some(param.clone()),
                        optional: matches!(ty, Type::Option(_)),
                    });
                }
                signature.put(")");
                if let Some(ty) = result {
                    signature.put(" -> ");
                    signature.ty(ty);
                    obstacle = obstacle.or_else(|| unwritable(ty));
                }
            }
            Types::Module(function) => {
                for (index, ty) in function.params().enumerate() {
                    signature.comma(index);
                    signature.put(&ty.to_string());
                    example.comma(index);
                    example.put(&(index + 1).to_string());
                    obstacle = obstacle.or_else(|| unwritable_core(&ty));
                    params.push(Param {
                        name: None,
                        optional: false,
                    });
                }
                let results: Vec<String> = function.results().map(|ty| ty.to_string()).collect();
                obstacle = function
                    .results()
                    .find_map(|ty| unwritable_core(&ty))
                    .or(obstacle);
                signature.put(")");
                match results.as_slice() {
                    [] => {}
                    [one] => signature.put(&format!(" -> {one}")),
                    several => signature.put(&format!(" -> ({})", several.join(", "))),
                }
            }
            Types::Unknown => signature.put(")"),
        }
        example.put(")");
        Self {
            name: name.to_owned(),
            signature: signature.0,
            example: example.0,
            obstacle,
            params,
        }
    }

    /// What to type.
    pub fn hint(&self) -> String {
        format!("the form is `{}`, such as `{}`", self.signature, self.example)
    }

    /// The arguments with trailing options filled in, as WAVE lets them be left out.
    ///
    /// # Errors
    /// [`Kind::Value`] when there are too few or too many.
    pub fn complete(&self, mut arguments: Vec<Value>) -> Result<Value> {
        let (given, wanted) = (arguments.len(), self.params.len());
        if given > wanted || self.params[given..].iter().any(|param| !param.optional) {
            let arguments = if wanted == 1 { "argument" } else { "arguments" };
            let message = format!("`{}` takes {wanted} {arguments}, and here are {given}", self.name);
            return Err(Error::new(Kind::Value, message).with_hint(self.hint()));
        }
        arguments.resize(wanted, Value::Nothing);
        Ok(Value::Tuple(arguments))
    }

    /// Names the argument at the start of a path such as `[0].x`, and the rest of the path.
    pub fn argument(&self, path: &str) -> Option<String> {
        let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
        let index: usize = index.parse().ok()?;
        Some(match self.params.get(index)?.name.as_deref() {
            Some(name) => format!("`{name}{rest}`"),
            None => format!("{}", index + 1),
        })
    }
}

/// Text that stops growing when nobody would read on.
struct Text(String);

impl Text {
    fn put(&mut self, text: &str) {
        if self.0.len() < LONGEST {
            self.0.push_str(text);
        } else if !self.0.ends_with("...") {
            self.0.push_str("...");
        }
    }

    fn full(&self) -> bool {
        self.0.len() >= LONGEST
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.put(", ");
        }
    }

    /// Writes items between brackets.
    fn list<T>(
        &mut self,
        (open, close): (&str, &str),
        items: impl Iterator<Item = T>,
        item: impl Fn(&mut Self, T),
    ) {
        self.put(open);
        for (index, each) in items.enumerate() {
            if self.full() {
                self.put("");
                return;
            }
            self.comma(index);
            item(self, each);
        }
        self.put(close);
    }

    /// Writes a type in the manner of WIT, where a named type is spelled out: the engine knows no names.
    fn ty(&mut self, ty: &Type) {
        let plain = ("{", "}");
        match ty {
            Type::List(list) => self.list(("list<", ">"), [list.ty()].iter(), Self::ty),
            Type::FixedLengthList(list) => {
                self.list(("list<", ""), [list.ty()].iter(), Self::ty);
                self.put(&format!(", {}>", list.len()));
            }
            Type::Map(map) => self.list(("map<", ">"), [map.key(), map.value()].iter(), Self::ty),
            Type::Tuple(tuple) => self.list(("tuple<", ">"), tuple.types(), |text, ty| text.ty(&ty)),
            Type::Option(option) => self.list(("option<", ">"), [option.ty()].iter(), Self::ty),
            Type::Result(result) => match (result.ok(), result.err()) {
                (None, None) => self.put("result"),
                (ok, err) => self.list(("result<", ">"), [ok, err].into_iter(), |text, ty| match ty {
                    Some(ty) => text.ty(&ty),
                    None => text.put("_"),
                }),
            },
            Type::Record(record) => {
                self.put("record ");
                self.list(plain, record.fields(), |text, field| {
                    text.put(&format!("{}: ", field.name));
                    text.ty(&field.ty);
                });
            }
            Type::Variant(variant) => {
                self.put("variant ");
                self.list(plain, variant.cases(), |text, case| {
                    text.put(case.name);
                    if let Some(ty) = case.ty {
                        text.list(("(", ")"), [ty].iter(), Self::ty);
                    }
                });
            }
            Type::Enum(ty) => {
                self.put("enum ");
                self.list(plain, ty.names(), Self::put);
            }
            Type::Flags(flags) => {
                self.put("flags ");
                self.list(plain, flags.names(), Self::put);
            }
            other => self.put(simple(other)),
        }
    }

    /// Writes a value of a type; `index` makes numbers differ.
    fn sample(&mut self, ty: &Type, index: usize) {
        match ty {
            Type::Bool => self.put("true"),
            Type::Float32 | Type::Float64 => self.put(&format!("{}.5", index + 1)),
            Type::Char => self.put("'a'"),
            Type::String => self.put("\"text\""),
            Type::List(list) => self.list(("[", "]"), [list.ty()].iter(), |text, ty| text.sample(ty, index)),
            Type::FixedLengthList(list) => {
                let element = list.ty();
                self.list(("[", "]"), 0..list.len(), |text, at| {
                    text.sample(&element, at as usize);
                });
            }
            Type::Map(map) => {
                let pair = [map.key(), map.value()];
                self.list(("[(", ")]"), pair.iter(), |text, ty| text.sample(ty, index));
            }
            Type::Tuple(tuple) => {
                self.list(("(", ")"), tuple.types().enumerate(), |text, (at, ty)| {
                    text.sample(&ty, at);
                });
            }
            Type::Record(record) => {
                self.list(("{", "}"), record.fields().enumerate(), |text, (at, field)| {
                    text.put(&format!("{}: ", field.name));
                    text.sample(&field.ty, at);
                });
            }
            Type::Variant(variant) => {
                if let Some(case) = variant.cases().next() {
                    self.put(case.name);
                    if let Some(ty) = case.ty {
                        self.list(("(", ")"), [ty].iter(), |text, ty| text.sample(ty, index));
                    }
                }
            }
            Type::Enum(ty) => self.put(ty.names().next().unwrap_or_default()),
            Type::Option(option) => self.list(("some(", ")"), [option.ty()].iter(), |text, ty| {
                text.sample(ty, index);
            }),
            Type::Result(result) => match result.ok() {
                Some(ty) => self.list(("ok(", ")"), [ty].iter(), |text, ty| text.sample(ty, index)),
                None => self.put("ok"),
            },
            Type::Flags(flags) => self.list(("{", "}"), flags.names().take(2), Self::put),
            _ => {
                let _ = write!(self.0, "{}", index + 1);
            }
        }
    }
}

/// The name of a type that is not made of others.
fn simple(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::Own(_) => "own<resource>",
        Type::Borrow(_) => "borrow<resource>",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
        _ => "a type made of others",
    }
}

/// What in a type has no form in text.
fn unwritable(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Own(_) | Type::Borrow(_) => Some("a handle to a resource"),
        Type::Future(_) => Some("a future"),
        Type::Stream(_) => Some("a stream"),
        Type::ErrorContext => Some("an error context"),
        Type::List(list) => unwritable(&list.ty()),
        Type::FixedLengthList(list) => unwritable(&list.ty()),
        Type::Map(map) => unwritable(&map.key()).or_else(|| unwritable(&map.value())),
        Type::Tuple(tuple) => tuple.types().find_map(|ty| unwritable(&ty)),
        Type::Record(record) => record.fields().find_map(|field| unwritable(&field.ty)),
        Type::Variant(variant) => variant.cases().find_map(|case| unwritable(&case.ty?)),
        Type::Option(option) => unwritable(&option.ty()),
        Type::Result(result) => [result.ok(), result.err()].iter().flatten().find_map(unwritable),
        _ => None,
    }
}

fn unwritable_core(ty: &wasmtime::ValType) -> Option<&'static str> {
    match ty {
        wasmtime::ValType::V128 => Some("a vector"),
        wasmtime::ValType::Ref(_) => Some("a reference"),
        _ => None,
    }
}
