//! Python's side of values: how Python objects are looked into, and how they are made.
//!
//! The mapping is documented once, for people, in `wherry/wit/__init__.py`; this file is that table as code. Layout and
//! memory are the engine's business (`wherry_engine::values`).

use crate::calling;
use crate::classes;
use crate::errors::carry;
use crate::home::Home;
use crate::names::Names;
use crate::record::Record;
use crate::resource::Resource;
use crate::streams::{self, Stream};
use crate::typed::Typed;
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMapping, PyString, PyTuple,
};
use std::sync::Arc;
use wherry_engine::error::{Error, Kind};
use wherry_engine::values::ResourceAny;
use wherry_engine::values::{Feed, Handle, Incoming, Named, Pipe, Port, Result, Scalar, Started};

/// Values of Python.
pub enum Python3 {}

type Any<'t> = Bound<'t, PyAny>;

/// What was expected and what was there instead, shortened to what a reader takes in.
fn wrong(expected: &str, value: &Any<'_>) -> Error {
    let shown = value
        .repr()
        .and_then(|text| Ok(text.to_str()?.to_owned()))
        .unwrap_or_else(|_| "…".to_owned());
    let shown = match shown.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    };
    let name = value
        .get_type()
        .name()
        .map(|name| name.to_string())
        .unwrap_or_default();
    Error::new(Kind::Value, format!("expected {expected}, got {shown} ({name})"))
}

fn integer(value: &Any<'_>, scalar: Scalar) -> Result<u64> {
    let (least, greatest) = scalar.range().unwrap_or_default();
    let fits = || format!("{} ({least} to {greatest})", scalar.name());
    if value.is_instance_of::<PyBool>() || value.is_instance_of::<PyFloat>() {
        return Err(wrong(&fits(), value));
    }
    let number = match value.extract::<i64>() {
        Ok(number) => i128::from(number),
        Err(_) => value
            .extract::<u64>()
            .map(i128::from)
            .map_err(|_| wrong(&fits(), value))?,
    };
    if number < least || number > greatest {
        return Err(wrong(&fits(), value));
    }
    // Two's complement in 64 bits; types up to 32 bits keep the low half, as an `i32` has them.
    let bits = u64::try_from(number & i128::from(u64::MAX)).unwrap_or_default();
    Ok(match scalar {
        Scalar::S64 | Scalar::U64 => bits,
        _ => bits & u64::from(u32::MAX),
    })
}

fn float(value: &Any<'_>, scalar: Scalar) -> Result<f64> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong(scalar.name(), value));
    }
    value.extract::<f64>().map_err(|_| wrong(scalar.name(), value))
}

/// The buffer of an object that is neither `bytes` nor `bytearray`, or the numbers of a list.
fn copied_bytes(value: &Any<'_>) -> Result<Vec<u8>> {
    let expected = "bytes, another buffer, or a list of u8";
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return value.extract::<Vec<u8>>().map_err(|_| wrong(expected, value));
    }
    let view = value
        .py()
        .import("builtins")
        .and_then(|builtins| builtins.getattr("memoryview"))
        .map_err(carry)?;
    let bytes = view.call1((value,)).and_then(|view| view.call_method0("tobytes"));
    let bytes = bytes.map_err(|_| wrong(expected, value))?;
    bytes
        .cast::<PyBytes>()
        .map(|bytes| bytes.as_bytes().to_vec())
        .map_err(|_| wrong(expected, value))
}

impl Port for Python3 {
    type Token<'t> = Python<'t>;
    type Ref<'t> = Any<'t>;
    type Owned = Py<PyAny>;
    type Items<'t> = std::vec::IntoIter<Any<'t>>;
    type Names = Arc<Names>;
    type Home = Arc<Home>;

    fn attach<R>(work: impl for<'t> FnOnce(Python<'t>) -> R) -> R {
        Python::attach(work)
    }

    fn bind<'t: 't>(token: Python<'t>, value: &Py<PyAny>) -> Any<'t> {
        value.bind(token).clone()
    }

    fn own(value: Any<'_>) -> Py<PyAny> {
        value.unbind()
    }

    fn names(token: Python<'_>, kind: Named, type_name: Option<&str>, names: &[&str]) -> Arc<Names> {
        Arc::new(Names::new(token, kind, type_name, names))
    }

    fn scalar(value: &Any<'_>, scalar: Scalar) -> Result<u64> {
        match scalar {
            Scalar::Bool => match value.cast::<PyBool>() {
                Ok(flag) => Ok(flag.is_true().into()),
                Err(_) => Err(wrong("bool", value)),
            },
            Scalar::F64 => Ok(float(value, scalar)?.to_bits()),
            Scalar::F32 => {
                let wide = float(value, scalar)?;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "rounding to f32 is what the type means"
                )]
                let narrow = wide as f32;
                if narrow.is_infinite() && wide.is_finite() {
                    return Err(wrong("f32 (to ±3.4028235e38)", value));
                }
                Ok(narrow.to_bits().into())
            }
            Scalar::Char => {
                let text = value.cast::<PyString>().ok().and_then(|text| text.to_str().ok());
                let mut chars = text.unwrap_or_default().chars();
                match (chars.next(), chars.next()) {
                    (Some(char), None) => Ok(u32::from(char).into()),
                    _ => Err(wrong("char (a str of one character)", value)),
                }
            }
            _ => integer(value, scalar),
        }
    }

    fn string<R>(value: &Any<'_>, take: impl FnOnce(&str) -> R) -> Result<R> {
        let text = value.cast::<PyString>().map_err(|_| wrong("str", value))?;
        let text = text
            .to_str()
            .map_err(|_| wrong("str without lone surrogates", value))?;
        Ok(take(text))
    }

    fn bytes<R>(value: &Any<'_>, take: impl FnOnce(&[u8]) -> R) -> Result<R> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(take(bytes.as_bytes()));
        }
        if let Ok(bytes) = value.cast::<PyByteArray>() {
            // A copy: the guest runs while the bytes are lent, and another thread might resize them.
            return Ok(take(&bytes.to_vec()));
        }
        copied_bytes(value).map(|bytes| take(&bytes))
    }

    fn sequence<'t: 't>(value: &Any<'t>, expected: &str) -> Result<Self::Items<'t>> {
        if let Ok(list) = value.cast::<PyList>() {
            return Ok(list.iter().collect::<Vec<_>>().into_iter());
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return Ok(tuple.iter().collect::<Vec<_>>().into_iter());
        }
        let text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyDict>();
        let items = if text { None } else { value.try_iter().ok() };
        items
            .ok_or_else(|| wrong(expected, value))?
            .collect::<PyResult<Vec<_>>>()
            .map(IntoIterator::into_iter)
            .map_err(carry)
    }

    fn item<'t: 't>(value: &Any<'t>, index: usize) -> Result<Any<'t>> {
        match value.cast::<PyTuple>() {
            Ok(tuple) => tuple.get_item(index).map_err(carry),
            Err(_) => value.get_item(index).map_err(carry),
        }
    }

    fn entries<'t: 't>(value: &Any<'t>) -> Result<Vec<(Any<'t>, Any<'t>)>> {
        if let Ok(dict) = value.cast::<PyDict>() {
            return Ok(dict.iter().collect());
        }
        let mapping = value.cast::<PyMapping>().map_err(|_| wrong("dict", value))?;
        let items = mapping.items().map_err(carry)?;
        items
            .iter()
            .map(|item| item.extract::<(Any<'t>, Any<'t>)>().map_err(carry))
            .collect()
    }

    fn field<'t: 't>(value: &Any<'t>, names: &Arc<Names>, index: usize) -> Result<Any<'t>> {
        let py = value.py();
        let name = names.python[index].bind(py);
        if names.typed.iter().any(|typed| typed.is_class_of(value)) {
            return value.getattr(name).map_err(carry);
        }
        if let Ok(record) = value.cast::<Record>() {
            let record = record.get();
            if Arc::ptr_eq(&record.names, names) || record.names.wit == names.wit {
                return Ok(record.values[index].bind(py).clone());
            }
        }
        let missing = || {
            let title = if names.type_name.is_empty() {
                "record"
            } else {
                &names.type_name
            };
            wrong(&format!("a {title} with a field `{name}`"), value)
        };
        if let Ok(mapping) = value.cast::<PyDict>() {
            let found = mapping.get_item(name).map_err(carry)?;
            return match found {
                Some(found) => Ok(found),
                None => mapping
                    .get_item(&names.wit[index])
                    .map_err(carry)?
                    .ok_or_else(missing),
            };
        }
        // Whether something is a mapping is asked late, as that takes longer than the field itself.
        let mapping = || {
            let mapping = value.cast::<PyMapping>().ok()?;
            mapping
                .get_item(name)
                .or_else(|_| mapping.get_item(&names.wit[index]))
                .ok()
        };
        if names.shadowed[index]
            && let Some(found) = mapping()
        {
            return Ok(found);
        }
        match value.getattr(name) {
            Ok(found) => Ok(found),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => mapping().ok_or_else(missing),
            Err(error) => Err(carry(error)),
        }
    }

    fn case<'t: 't>(value: &Any<'t>, names: &Arc<Names>) -> Result<(usize, Option<Any<'t>>)> {
        for typed in &names.typed {
            if let Some(found) = typed.case(value).map_err(carry)? {
                return Ok(found);
            }
        }
        let expected = || {
            let cases = names
                .wit
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            format!("one of {cases}")
        };
        let (tag, payload) = match value.cast::<PyString>() {
            Ok(tag) => (tag.clone(), None),
            Err(_) => classes::variant_parts(value)
                .map_err(carry)?
                .ok_or_else(|| wrong(&expected(), value))?,
        };
        let tag = tag.to_str().map_err(carry)?;
        names
            .find(tag)
            .map(|index| (index, payload))
            .ok_or_else(|| wrong(&expected(), value))
    }

    fn flags(value: &Any<'_>, names: &Arc<Names>) -> Result<u32> {
        if names.typed.iter().any(|typed| typed.is_class_of(value)) {
            let bits = value.getattr(intern!(value.py(), "value"));
            return bits.and_then(|bits| bits.extract()).map_err(carry);
        }
        let expected = || {
            let flags = names
                .wit
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            format!("a set of {flags}")
        };
        let items = if value.is_instance_of::<PyString>() {
            None
        } else {
            value.try_iter().ok()
        };
        let mut bits = 0;
        for item in items.ok_or_else(|| wrong(&expected(), value))? {
            let item = item.map_err(carry)?;
            let name = item.cast::<PyString>().ok().and_then(|name| name.to_str().ok());
            let index = name
                .and_then(|name| names.find(name))
                .ok_or_else(|| wrong(&expected(), value))?;
            bits |= 1 << index;
        }
        Ok(bits)
    }

    fn option<'t: 't>(value: &Any<'t>, wrapped: bool) -> Result<Option<Any<'t>>> {
        if value.is_none() {
            return Ok(None);
        }
        match classes::payload(value, classes::Class::Some).map_err(carry)? {
            Some(payload) => Ok(Some(payload)),
            None if wrapped => Err(wrong("None or wherry.Some(...)", value)),
            None => Ok(Some(value.clone())),
        }
    }

    fn result<'t: 't>(value: &Any<'t>) -> Result<std::result::Result<Any<'t>, Any<'t>>> {
        if let Some(payload) = classes::payload(value, classes::Class::Ok).map_err(carry)? {
            return Ok(Ok(payload));
        }
        match classes::payload(value, classes::Class::Err).map_err(carry)? {
            Some(payload) => Ok(Err(payload)),
            None => Err(wrong("wherry.Ok(...) or wherry.Err(...)", value)),
        }
    }

    fn resource(value: &Any<'_>, _: &Arc<Home>, host: Option<u32>, take: bool) -> Result<Handle<Py<PyAny>>> {
        if host.is_some() {
            return Ok(Handle::Host(value.clone().unbind()));
        }
        if let Ok(resource) = value.cast::<Resource>() {
            return resource.get().handle(take).map(Handle::Guest);
        }
        // An object of generated bindings, which holds the handle.
        let held = value.getattr(intern!(value.py(), "_handle")).ok();
        match held.as_ref().and_then(|held| held.cast::<Resource>().ok()) {
            Some(resource) => resource.get().handle(take).map(Handle::Guest),
            None => Err(wrong("a resource of the guest", value)),
        }
    }

    fn from_scalar<'t: 't>(token: Python<'t>, scalar: Scalar, bits: u64) -> Any<'t> {
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        match scalar {
            Scalar::Bool => PyBool::new(token, bits != 0).to_owned().into_any(),
            Scalar::U8 | Scalar::U16 | Scalar::U32 => PyInt::new(token, low).into_any(),
            Scalar::S8 => PyInt::new(token, low.to_le_bytes()[0].cast_signed()).into_any(),
            Scalar::S16 => PyInt::new(
                token,
                i16::from_le_bytes([low.to_le_bytes()[0], low.to_le_bytes()[1]]),
            )
            .into_any(),
            Scalar::S32 => PyInt::new(token, low.cast_signed()).into_any(),
            Scalar::U64 => PyInt::new(token, bits).into_any(),
            Scalar::S64 => PyInt::new(token, bits.cast_signed()).into_any(),
            Scalar::F32 => PyFloat::new(token, f32::from_bits(low).into()).into_any(),
            Scalar::F64 => PyFloat::new(token, f64::from_bits(bits)).into_any(),
            Scalar::Char => {
                let mut buffer = [0; 4];
                PyString::new(
                    token,
                    char::from_u32(low).unwrap_or_default().encode_utf8(&mut buffer),
                )
                .into_any()
            }
        }
    }

    fn from_str<'t: 't>(token: Python<'t>, text: &str) -> Any<'t> {
        PyString::new(token, text).into_any()
    }

    fn from_bytes<'t: 't>(token: Python<'t>, bytes: &[u8]) -> Any<'t> {
        PyBytes::new(token, bytes).into_any()
    }

    fn from_list<'t: 't>(token: Python<'t>, items: Vec<Any<'t>>) -> Result<Any<'t>> {
        PyList::new(token, items).map(Bound::into_any).map_err(carry)
    }

    fn from_tuple<'t: 't>(token: Python<'t>, items: Vec<Any<'t>>) -> Result<Any<'t>> {
        PyTuple::new(token, items).map(Bound::into_any).map_err(carry)
    }

    fn from_entries<'t: 't>(token: Python<'t>, entries: Vec<(Any<'t>, Any<'t>)>) -> Result<Any<'t>> {
        let dict = PyDict::new(token);
        for (key, value) in entries {
            dict.set_item(key, value).map_err(carry)?;
        }
        Ok(dict.into_any())
    }

    fn from_record<'t: 't>(token: Python<'t>, names: &Arc<Names>, fields: Vec<Any<'t>>) -> Result<Any<'t>> {
        if let Some(Typed::Record(record)) = names.typed.first() {
            return record.make(token, &names.python, fields).map_err(carry);
        }
        let values = fields.into_iter().map(Bound::unbind).collect();
        let record = Record {
            names: Arc::clone(names),
            values,
        };
        Bound::new(token, record).map(Bound::into_any).map_err(carry)
    }

    fn from_case<'t: 't>(
        token: Python<'t>,
        names: &Arc<Names>,
        index: usize,
        payload: Option<Any<'t>>,
    ) -> Result<Any<'t>> {
        if let Some(typed) = names.typed.first() {
            return typed.make_case(token, index, payload).map_err(carry);
        }
        classes::make_variant(token, &names.python[index], payload).map_err(carry)
    }

    fn from_enum<'t: 't>(token: Python<'t>, names: &Arc<Names>, index: usize) -> Any<'t> {
        if let Some(Typed::Enum(members)) = names.typed.first() {
            return members[index].bind(token).clone();
        }
        names.python[index].bind(token).clone().into_any()
    }

    fn from_flags<'t: 't>(token: Python<'t>, names: &Arc<Names>, bits: u32) -> Result<Any<'t>> {
        if let Some(Typed::Flags(class)) = names.typed.first() {
            return class.bind(token).call1((bits,)).map_err(carry);
        }
        let set = names
            .python
            .iter()
            .enumerate()
            .filter(|(index, _)| bits >> index & 1 == 1);
        PyFrozenSet::new(token, set.map(|(_, name)| name))
            .map(Bound::into_any)
            .map_err(carry)
    }

    fn from_option<'t: 't>(token: Python<'t>, payload: Option<Any<'t>>, wrapped: bool) -> Result<Any<'t>> {
        match payload {
            None => Ok(Self::nothing(token)),
            Some(payload) if wrapped => classes::make(token, classes::Class::Some, payload).map_err(carry),
            Some(payload) => Ok(payload),
        }
    }

    fn from_result<'t: 't>(
        token: Python<'t>,
        result: std::result::Result<Option<Any<'t>>, Option<Any<'t>>>,
    ) -> Result<Any<'t>> {
        let (class, payload) = match result {
            Ok(payload) => (classes::Class::Ok, payload),
            Err(payload) => (classes::Class::Err, payload),
        };
        classes::make(token, class, payload.unwrap_or_else(|| Self::nothing(token))).map_err(carry)
    }

    fn from_resource<'t: 't>(token: Python<'t>, handle: ResourceAny, home: &Arc<Home>) -> Result<Any<'t>> {
        let wrap = home.wrapper(handle.ty());
        let resource = Bound::new(token, Resource::new(handle, home))
            .map(Bound::into_any)
            .map_err(carry)?;
        match wrap {
            Some(wrap) => calling::call(wrap.bind(token), (resource,)).map_err(carry),
            None => Ok(resource),
        }
    }

    fn invoke(function: &Py<PyAny>, arguments: Py<PyAny>, fallible: bool) -> Result<Py<PyAny>> {
        Python::attach(|py| {
            let arguments = arguments.into_bound(py);
            let arguments = arguments
                .cast_into::<PyTuple>()
                .map_err(|error| carry(error.into()))?;
            let returned = calling::call(function.bind(py), arguments).and_then(classes::awaited);
            streams::settled(py, returned, fallible)
        })
    }

    fn start(function: &Py<PyAny>, arguments: Py<PyAny>, fallible: bool) -> Result<Started<Self>> {
        Python::attach(|py| {
            let arguments = arguments.into_bound(py).cast_into::<PyTuple>();
            let arguments = arguments.map_err(|error| carry(error.into()))?;
            match calling::call(function.bind(py), arguments) {
                Ok(value) if classes::is_coroutine(&value).map_err(carry)? => {
                    streams::answer(&value, fallible).map(Started::Later)
                }
                returned => streams::settled(py, returned, fallible).map(Started::Done),
            }
        })
    }

    fn from_pipe<'t: 't>(
        token: Python<'t>,
        incoming: Arc<Incoming<Self>>,
        home: &Arc<Home>,
    ) -> Result<Any<'t>> {
        streams::wrapped(token, Stream::new(incoming, home.cell()?)).map_err(carry)
    }

    fn feed(value: &Any<'_>, pipe: Pipe, home: &Arc<Home>) -> Result<Box<dyn Feed<Self>>> {
        let expected = match pipe {
            Pipe::Bytes => "bytes, or an iterable or asynchronous iterable of them",
            Pipe::Elements | Pipe::Units => "an iterable or asynchronous iterable",
            Pipe::Value | Pipe::Signal => "an awaitable",
        };
        streams::feed(value, pipe, &home.cell()?)?.ok_or_else(|| wrong(expected, value))
    }

    fn nothing<'t: 't>(token: Python<'t>) -> Any<'t> {
        token.None().into_bound(token)
    }
}
