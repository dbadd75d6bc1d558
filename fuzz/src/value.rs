//! Values of the component model as plain Rust data, so that calls can be fuzzed without Python.

use arbitrary::Arbitrary;
use wasmtime::component::ResourceAny;
use wherry_engine::error::{Error, Kind};
use wherry_engine::values::{Handle, Named, Port, Result, Scalar};

/// Any value; the fuzzer makes them without regard to the type that is wanted.
#[derive(Arbitrary, Clone, Debug)]
pub enum Value {
    /// None, or an absent payload.
    Nothing,
    /// A number, bool, char or set of flags.
    Bits(u64),
    /// A string.
    Text(String),
    /// A list of bytes.
    Bytes(Vec<u8>),
    /// A list, tuple or record, by position.
    List(Vec<Value>),
    /// A map.
    Entries(Vec<(Value, Value)>),
    /// A case of a variant or enum, by position.
    Case(u8, Option<Box<Value>>),
    /// An option that may hold another one.
    Some(Box<Value>),
    /// The ok case of a result.
    Ok(Box<Value>),
    /// The error case of a result.
    Err(Box<Value>),
}

impl Port for Value {
    type Token<'t> = ();
    type Ref<'t> = Value;
    type Owned = Value;
    type Items<'t> = std::vec::IntoIter<Value>;
    type Names = ();
    type Home = ();

    fn attach<R>(work: impl for<'t> FnOnce(()) -> R) -> R {
        work(())
    }

    fn bind<'t>((): Self::Token<'t>, value: &Value) -> Self::Ref<'t> {
        value.clone()
    }

    fn own(value: Value) -> Value {
        value
    }

    fn names((): (), _: Named, _: Option<&str>, _: &[&str]) {}

    fn scalar(value: &Value, scalar: Scalar) -> Result<u64> {
        let Value::Bits(bits) = value else {
            return Err(unfit(scalar.name()));
        };
        Ok(match scalar {
            Scalar::Bool => bits & 1,
            Scalar::Char => return code_point(*bits),
            Scalar::F32 => bits & u64::from(u32::MAX),
            Scalar::U64 | Scalar::S64 | Scalar::F64 => *bits,
            Scalar::U8 => bits & 0xff,
            Scalar::U16 => bits & 0xffff,
            Scalar::U32 | Scalar::S32 => bits & u64::from(u32::MAX),
            Scalar::S8 => sign_extended(i32::from(*bits as i8)),
            Scalar::S16 => sign_extended(i32::from(*bits as i16)),
        })
    }

    fn string<R>(value: &Value, take: impl FnOnce(&str) -> R) -> Result<R> {
        let Value::Text(text) = value else {
            return Err(unfit("string"));
        };
        Ok(take(text))
    }

    fn bytes<R>(value: &Value, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let Value::Bytes(bytes) = value else {
            return Err(unfit("bytes"));
        };
        Ok(take(bytes))
    }

    fn sequence<'t>(value: &Self::Ref<'t>, expected: &str) -> Result<Self::Items<'t>> {
        let Value::List(items) = value else {
            return Err(unfit(expected));
        };
        Ok(items.clone().into_iter())
    }

    fn entries<'t>(value: &Self::Ref<'t>) -> Result<Vec<(Self::Ref<'t>, Self::Ref<'t>)>> {
        let Value::Entries(entries) = value else {
            return Err(unfit("map"));
        };
        Ok(entries.clone())
    }

    fn field<'t>(value: &Self::Ref<'t>, (): &(), index: usize) -> Result<Self::Ref<'t>> {
        let Value::List(fields) = value else {
            return Err(unfit("record"));
        };
        fields.get(index).cloned().ok_or_else(|| unfit("field"))
    }

    /// Hands any number on: a port that names a case which is not there must not hurt.
    fn case<'t>(value: &Self::Ref<'t>, (): &()) -> Result<(usize, Option<Self::Ref<'t>>)> {
        let Value::Case(index, payload) = value else {
            return Err(unfit("case"));
        };
        Ok((usize::from(index % 3), payload.as_deref().cloned()))
    }

    fn flags(value: &Value, (): &()) -> Result<u32> {
        let Value::Bits(bits) = value else {
            return Err(unfit("flags"));
        };
        Ok((*bits & 0b111) as u32)
    }

    fn option<'t>(value: &Self::Ref<'t>, wrapped: bool) -> Result<Option<Self::Ref<'t>>> {
        match value {
            Value::Nothing => Ok(None),
            Value::Some(payload) => Ok(Some(Value::clone(payload))),
            _ if wrapped => Err(unfit("some")),
            payload => Ok(Some(payload.clone())),
        }
    }

    fn result<'t>(value: &Self::Ref<'t>) -> Result<std::result::Result<Self::Ref<'t>, Self::Ref<'t>>> {
        match value {
            Value::Ok(payload) => Ok(Ok(Value::clone(payload))),
            Value::Err(payload) => Ok(Err(Value::clone(payload))),
            _ => Err(unfit("result")),
        }
    }

    fn resource(_: &Value, (): &(), _: Option<u32>, _: bool) -> Result<Handle<Value>> {
        Err(unfit("resource"))
    }

    fn from_scalar((): Self::Token<'_>, _: Scalar, bits: u64) -> Self::Ref<'_> {
        Value::Bits(bits)
    }

    fn from_str<'t>((): Self::Token<'t>, text: &str) -> Self::Ref<'t> {
        Value::Text(text.to_owned())
    }

    fn from_bytes<'t>((): Self::Token<'t>, bytes: &[u8]) -> Self::Ref<'t> {
        Value::Bytes(bytes.to_vec())
    }

    fn from_list<'t>((): Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>> {
        Ok(Value::List(items))
    }

    fn from_tuple<'t>((): Self::Token<'t>, items: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>> {
        Ok(Value::List(items))
    }

    fn from_entries<'t>(
        (): Self::Token<'t>,
        entries: Vec<(Self::Ref<'t>, Self::Ref<'t>)>,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Entries(entries))
    }

    fn from_record<'t>((): Self::Token<'t>, (): &(), fields: Vec<Self::Ref<'t>>) -> Result<Self::Ref<'t>> {
        Ok(Value::List(fields))
    }

    fn from_case<'t>(
        (): Self::Token<'t>,
        (): &(),
        index: usize,
        payload: Option<Self::Ref<'t>>,
    ) -> Result<Self::Ref<'t>> {
        Ok(Value::Case(
            u8::try_from(index).unwrap_or(u8::MAX),
            payload.map(Box::new),
        ))
    }

    fn from_enum<'t>((): Self::Token<'t>, (): &(), index: usize) -> Self::Ref<'t> {
        Value::Case(u8::try_from(index).unwrap_or(u8::MAX), None)
    }

    fn from_flags<'t>((): Self::Token<'t>, (): &(), bits: u32) -> Result<Self::Ref<'t>> {
        Ok(Value::Bits(bits.into()))
    }

    fn from_option<'t>(
        (): Self::Token<'t>,
        payload: Option<Self::Ref<'t>>,
        _: bool,
    ) -> Result<Self::Ref<'t>> {
        Ok(payload.map_or(Value::Nothing, |payload| Value::Some(Box::new(payload))))
    }

    fn from_result<'t>(
        (): Self::Token<'t>,
        result: std::result::Result<Option<Self::Ref<'t>>, Option<Self::Ref<'t>>>,
    ) -> Result<Self::Ref<'t>> {
        let boxed = |payload: Option<Value>| Box::new(payload.unwrap_or(Value::Nothing));
        Ok(match result {
            Ok(payload) => Value::Ok(boxed(payload)),
            Err(payload) => Value::Err(boxed(payload)),
        })
    }

    fn from_resource<'t>((): Self::Token<'t>, _: ResourceAny, (): &()) -> Result<Self::Ref<'t>> {
        Err(unfit("resource"))
    }

    fn invoke(_: &Value, arguments: Value, _: bool) -> Result<Value> {
        Ok(arguments)
    }

    fn nothing((): Self::Token<'_>) -> Self::Ref<'_> {
        Value::Nothing
    }
}

fn unfit(expected: &str) -> Error {
    Error::new(Kind::Value, format!("expected {expected}"))
}

fn code_point(bits: u64) -> Result<u64> {
    let point = u32::try_from(bits % 0x11_0000).ok().and_then(char::from_u32);
    point
        .map(|point| u32::from(point).into())
        .ok_or_else(|| unfit("char"))
}

fn sign_extended(number: i32) -> u64 {
    u64::from(number.cast_unsigned())
}
