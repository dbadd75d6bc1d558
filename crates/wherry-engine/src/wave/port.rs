//! Written values as a host language: how the one lowering looks into them, and the one lifting makes them.

use super::{Value, text};
use crate::error::{Error, Kind};
use crate::values::{Handle, Named, Port, Result, Scalar};
use wasmtime::component::ResourceAny;

/// The port of values written as text.
pub struct Wave;

/// How much of a value an error shows.
const SHOWN: usize = 60;

impl Port for Wave {
    type Token<'t> = ();
    type Ref<'t> = Value;
    type Owned = Value;
    type Items<'t> = std::vec::IntoIter<Value>;
    type Names = Vec<String>;
    type Home = ();

    fn attach<R>(work: impl for<'t> FnOnce(Self::Token<'t>) -> R) -> R {
        work(())
    }

    fn bind<'t>((): Self::Token<'t>, value: &Value) -> Self::Ref<'t> {
        value.clone()
    }

    fn own(value: Self::Ref<'_>) -> Value {
        value
    }

    fn names((): Self::Token<'_>, _: Named, _: Option<&str>, names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn scalar(value: &Self::Ref<'_>, scalar: Scalar) -> Result<u64> {
        match (value, scalar) {
            (Value::Bool(value), Scalar::Bool) => Ok(u64::from(*value)),
            (Value::Char(value), Scalar::Char) => Ok(u64::from(u32::from(*value))),
            (Value::Number(digits), scalar) => number(digits, scalar),
            (other, scalar) => Err(unlike(scalar.name(), other)),
        }
    }

    fn string<R>(value: &Self::Ref<'_>, take: impl FnOnce(&str) -> R) -> Result<R> {
        match value {
            Value::String(text) => Ok(take(text)),
            other => Err(unlike("string", other)),
        }
    }

    fn bytes<R>(value: &Self::Ref<'_>, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let Value::List(items) = value else {
            return Err(unlike("list<u8>", value));
        };
        let byte = |(index, item): (usize, &Value)| {
            let bits =
                Self::scalar(item, Scalar::U8).map_err(|error| error.in_path(&format!("[{index}]")))?;
            Ok(bits.to_le_bytes()[0])
        };
        Ok(take(
            &items.iter().enumerate().map(byte).collect::<Result<Vec<u8>>>()?,
        ))
    }

    fn sequence<'t>(value: &Self::Ref<'t>, expected: &str) -> Result<Self::Items<'t>> {
        match (value, expected) {
            (Value::List(items), "list") | (Value::Tuple(items), "tuple") => Ok(items.clone().into_iter()),
            (other, expected) => Err(unlike(expected, other)),
        }
    }

    fn entries<'t>(value: &Self::Ref<'t>) -> Result<Vec<(Self::Ref<'t>, Self::Ref<'t>)>> {
        let Value::List(items) = value else {
            return Err(unlike("list of pairs", value));
        };
        items
            .iter()
            .map(|item| match item {
                Value::Tuple(pair) if pair.len() == 2 => Ok((pair[0].clone(), pair[1].clone())),
                other => Err(unlike("pair `(key, value)`", other)),
            })
            .collect()
    }

    fn field<'t>(value: &Self::Ref<'t>, names: &Vec<String>, index: usize) -> Result<Self::Ref<'t>> {
        let Value::Record(fields) = value else {
            return Err(unlike("record", value));
        };
        if let Some((unknown, _)) = fields.iter().find(|(name, _)| !names.contains(name)) {
            return Err(not_one_of("field", unknown, names));
        }
        let found = fields.iter().find(|(name, _)| *name == names[index]);
        // Whether a field may be left out is for its type to say: an option may.
        Ok(found.map_or(Value::Nothing, |(_, value)| value.clone()))
    }

    fn case<'t>(value: &Self::Ref<'t>, names: &Vec<String>) -> Result<(usize, Option<Self::Ref<'t>>)> {
        let Value::Case(label, payload) = value else {
            return Err(unlike(&one_of(names), value));
        };
        let index = names.iter().position(|name| name == label);
        let index = index.ok_or_else(|| not_one_of("case", label, names))?;
        Ok((index, payload.as_deref().cloned()))
    }

    fn flags(value: &Self::Ref<'_>, names: &Vec<String>) -> Result<u32> {
        let Value::Flags(set) = value else {
            return Err(unlike("flags such as `{a, b}`", value));
        };
        set.iter().try_fold(0, |bits, label| {
            let index = names.iter().position(|name| name == label);
            index
                .map(|index| bits | 1 << index)
                .ok_or_else(|| not_one_of("flag", label, names))
        })
    }

    fn option<'t>(value: &Self::Ref<'t>, wrapped: bool) -> Result<Option<Self::Ref<'t>>> {
        match value {
            Value::Nothing => Ok(None),
            Value::Option { payload, .. } => Ok(payload.as_deref().cloned()),
            other if wrapped => Err(unlike("option", other)),
            // WAVE lets `some(...)` be left out.
            other => Ok(Some(other.clone())),
        }
    }

    fn result<'t>(value: &Self::Ref<'t>) -> Result<std::result::Result<Self::Ref<'t>, Self::Ref<'t>>> {
        match value {
            Value::Result(Ok(payload)) => Ok(Ok((**payload).clone())),
            Value::Result(Err(payload)) => Ok(Err((**payload).clone())),
            // WAVE lets `ok(...)` be left out.
            other => Ok(Ok(other.clone())),
        }
    }

    fn resource(_: &Self::Ref<'_>, (): &(), _: Option<u32>, _: bool) -> Result<Handle<Value>> {
        Err(no_handles())
    }

    fn from_scalar((): Self::Token<'_>, scalar: Scalar, bits: u64) -> Self::Ref<'_> {
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Value::Number(match scalar {
            Scalar::Bool => return Value::Bool(bits != 0),
            Scalar::Char => return Value::Char(char::from_u32(low).unwrap_or(char::REPLACEMENT_CHARACTER)),
            Scalar::S8 => (low.to_le_bytes()[0].cast_signed()).to_string(),
            Scalar::S16 => (u16::try_from(low & 0xffff).unwrap_or(0).cast_signed()).to_string(),
            Scalar::S32 => low.cast_signed().to_string(),
            Scalar::S64 => bits.cast_signed().to_string(),
            Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => bits.to_string(),
            Scalar::F32 => float(&format!("{:?}", f32::from_bits(low))),
            Scalar::F64 => float(&format!("{:?}", f64::from_bits(bits))),
        })
    }

    fn from_str<'t>((): Self::Token<'t>, text: &str) -> Self::Ref<'t> {
        Value::String(text.to_owned())
    }

    fn from_bytes<'t>((): Self::Token<'t>, bytes: &[u8]) -> Self::Ref<'t> {
        Value::List(bytes.iter().map(|byte| Value::Number(byte.to_string())).collect())
    }

    fn from_list<'t>((): Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>> {
        Ok(Value::List(items))
    }

    fn from_tuple<'t>((): Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>> {
        Ok(Value::Tuple(items))
    }

    fn from_entries<'t>(
        (): Self::Token<'t>,
        entries: Vec<(Self::Ref<'t>, Self::Ref<'t>)>,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Map(entries))
    }

    fn from_record<'t>(
        (): Self::Token<'t>,
        names: &Vec<String>,
        fields: Vec<Self::Ref<'t>>,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Record(names.iter().cloned().zip(fields).collect()))
    }

    fn from_case<'t>(
        (): Self::Token<'t>,
        names: &Vec<String>,
        index: usize,
        payload: Option<Self::Ref<'t>>,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Case(names[index].clone(), payload.map(Box::new)))
    }

    fn from_enum<'t>((): Self::Token<'t>, names: &Vec<String>, index: usize) -> Self::Ref<'t> {
        Value::Case(names[index].clone(), None)
    }

    fn from_flags<'t>((): Self::Token<'t>, names: &Vec<String>, bits: u32) -> Result<Self::Ref<'t>> {
        let set = names
            .iter()
            .enumerate()
            .filter(|(index, _)| bits >> index & 1 == 1);
        Ok(Value::Flags(set.map(|(_, name)| name.clone()).collect()))
    }

    fn from_option<'t>(
        (): Self::Token<'t>,
        payload: Option<Self::Ref<'t>>,
        wrapped: bool,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Option {
            payload: payload.map(Box::new),
            wrapped,
        })
    }

    fn from_result<'t>(
        (): Self::Token<'t>,
        result: std::result::Result<Option<Self::Ref<'t>>, Option<Self::Ref<'t>>>,
    ) -> Result<Self::Ref<'t>> {
        let boxed = |payload: Option<Value>| Box::new(payload.unwrap_or(Value::Nothing));
        Ok(Value::Result(result.map(boxed).map_err(boxed)))
    }

    fn from_resource<'t>((): Self::Token<'t>, _: ResourceAny, (): &()) -> Result<Self::Ref<'t>> {
        Err(no_handles())
    }

    fn invoke(_: &Value, _: Value, _: bool) -> Result<Value> {
        Err(Error::new(
            Kind::Internal,
            "a written value was taken for a host function",
        ))
    }

    fn nothing((): Self::Token<'_>) -> Self::Ref<'_> {
        Value::Nothing
    }
}

/// The bits of a number of this type.
fn number(digits: &str, scalar: Scalar) -> Result<u64> {
    let wrong = || unlike(scalar.name(), &Value::Number(digits.to_owned()));
    if let Some((least, greatest)) = scalar.range() {
        let value: i128 = digits.parse().map_err(|_| wrong())?;
        if !(least..=greatest).contains(&value) {
            let name = scalar.name();
            let message = format!("{digits} is out of range for {name}, which is {least} to {greatest}");
            return Err(Error::new(Kind::Value, message));
        }
        // Two's complement: to 64 bits, or to 32 for types that are no wider.
        let bits = u64::try_from(value & i128::from(u64::MAX)).map_err(|_| wrong())?;
        let wide = matches!(scalar, Scalar::S64 | Scalar::U64);
        return Ok(if wide { bits } else { bits & u64::from(u32::MAX) });
    }
    match scalar {
        Scalar::F32 => digits
            .parse()
            .map(|value: f32| u64::from(value.to_bits()))
            .map_err(|_| wrong()),
        Scalar::F64 => digits.parse().map(f64::to_bits).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// Rust's shortest digits of a float that read back the same, without a fraction of zero.
fn float(digits: &str) -> String {
    if digits == "NaN" {
        return "nan".to_owned();
    }
    digits.strip_suffix(".0").unwrap_or(digits).to_owned()
}

/// A value of another type than the function wants.
fn unlike(expected: &str, found: &Value) -> Error {
    if *found == Value::Nothing {
        return Error::new(
            Kind::Value,
            format!("expected a value of type {expected}, and there is none"),
        );
    }
    let mut shown = text(found);
    if shown.chars().count() > SHOWN {
        shown = shown.chars().take(SHOWN).chain("...".chars()).collect();
    }
    Error::new(Kind::Value, format!("expected {expected}, got `{shown}`"))
}

fn not_one_of(what: &str, found: &str, names: &[String]) -> Error {
    Error::new(
        Kind::Value,
        format!("there is no {what} `{found}`, but {}", one_of(names)),
    )
}

/// A list of names for a sentence.
fn one_of(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn no_handles() -> Error {
    Error::new(
        Kind::Unsupported,
        "a handle to a resource cannot be written as text",
    )
    .with_hint("call it from Python: `wherry.load(...)`")
}
