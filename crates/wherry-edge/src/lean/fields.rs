//! Fields of messages, by the rules of [`FieldMap`].

use super::{Fields, Lean, Rules, Slot, plain, resource, unknown};
use wasmtime::Result;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::HeaderError;
use wasmtime_wasi_http::{FieldMap, FieldMapError};

type Name = String;
type Value = Vec<u8>;
type Changed<T = ()> = Result<std::result::Result<T, HeaderError>>;

/// Links the resource `fields`.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<Fields>(types, "fields")?;
    types.func_wrap("[constructor]fields", plain(|lean, ()| new(lean)))?;
    types.func_wrap("[static]fields.from-list", plain(from_list))?;
    types.func_wrap("[method]fields.get", plain(get))?;
    types.func_wrap("[method]fields.has", plain(has))?;
    types.func_wrap("[method]fields.entries", plain(entries))?;
    types.func_wrap("[method]fields.clone", plain(clone))?;
    types.func_wrap("[method]fields.set", plain(set))?;
    types.func_wrap("[method]fields.append", plain(append))?;
    types.func_wrap("[method]fields.delete", plain(delete))
}

pub fn new(lean: &mut Lean) -> Result<Resource<Fields>> {
    let fields = FieldMap::new_mutable(lean.most_fields);
    lean.push(Slot::Fields(fields))
}

pub fn get(lean: &mut Lean, (handle, name): (Resource<Fields>, Name)) -> Result<Vec<Value>> {
    let values = lean.fields(&handle)?.get_all(name);
    Ok(values.iter().map(|value| value.as_bytes().to_vec()).collect())
}

pub fn has(lean: &mut Lean, (handle, name): (Resource<Fields>, Name)) -> Result<bool> {
    Ok(lean.fields(&handle)?.contains_key(name))
}

pub fn entries(lean: &mut Lean, (handle,): (Resource<Fields>,)) -> Result<Vec<(Name, Value)>> {
    let fields = lean.fields(&handle)?.iter();
    Ok(fields
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect())
}

pub fn clone(lean: &mut Lean, (handle,): (Resource<Fields>,)) -> Result<Resource<Fields>> {
    let mut fields = lean.fields(&handle)?.clone();
    fields.set_mutable(lean.most_fields);
    lean.push(Slot::Fields(fields))
}

pub fn set(lean: &mut Lean, (handle, name, values): (Resource<Fields>, Name, Vec<Value>)) -> Changed {
    said(lean.fields(&handle)?.set(&mut Rules, name, values))
}

pub fn append(lean: &mut Lean, (handle, name, value): (Resource<Fields>, Name, Value)) -> Changed {
    let appended = lean.fields(&handle)?.append(&mut Rules, name, value);
    said(appended.map(drop))
}

pub fn delete(lean: &mut Lean, (handle, name): (Resource<Fields>, Name)) -> Changed {
    let removed = lean.fields(&handle)?.remove_all(&mut Rules, name);
    said(removed.map(drop))
}

pub fn from_list(lean: &mut Lean, (entries,): (Vec<(Name, Value)>,)) -> Changed<Resource<Fields>> {
    let mut fields = FieldMap::new_mutable(lean.most_fields);
    for (name, value) in entries {
        if let Err(error) = said(fields.append(&mut Rules, name, value).map(drop))? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(lean.push(Slot::Fields(fields))?))
}

/// What the guest is told of a change; one past the host's room for fields ends it.
fn said(changed: std::result::Result<(), FieldMapError>) -> Changed {
    let told = match changed {
        Ok(()) => Ok(()),
        Err(FieldMapError::Immutable) => Err(HeaderError::Immutable),
        Err(FieldMapError::Forbidden) => Err(HeaderError::Forbidden),
        Err(FieldMapError::InvalidHeaderName | FieldMapError::InvalidHeaderValue) => {
            Err(HeaderError::InvalidSyntax)
        }
        Err(error @ (FieldMapError::TooManyFields | FieldMapError::TotalSizeTooBig)) => {
            return Err(error.into());
        }
    };
    Ok(told)
}

impl Lean {
    fn fields(&mut self, handle: &Resource<Fields>) -> Result<&mut FieldMap> {
        match self.slot(handle)? {
            Slot::Fields(fields) => Ok(fields),
            _ => Err(unknown()),
        }
    }
}
