//! Fields of messages, by the rules of [`FieldMap`].

use super::{Fields, Lean, Rules, Slot, resource, unknown};
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::types::HeaderError;
use wasmtime_wasi_http::{FieldMap, FieldMapError};

type Store<'a> = StoreContextMut<'a, Lean>;
type Name = String;
type Value = Vec<u8>;
type Changed<T = ()> = Result<(std::result::Result<T, HeaderError>,)>;

/// Links the resource `fields`.
pub fn add_to_linker(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<Fields>(types, "fields")?;
    types.func_wrap("[constructor]fields", |mut store: Store<'_>, (): ()| {
        let lean = store.data_mut();
        let fields = FieldMap::new_mutable(lean.most_fields);
        Ok((lean.push::<Fields>(Slot::Fields(fields))?,))
    })?;
    types.func_wrap("[static]fields.from-list", from_list)?;
    types.func_wrap(
        "[method]fields.get",
        |mut store: Store<'_>, (handle, name): (Resource<Fields>, Name)| -> Result<(Vec<Value>,)> {
            let values = store.data_mut().fields(&handle)?.get_all(name);
            Ok((values.iter().map(|value| value.as_bytes().to_vec()).collect(),))
        },
    )?;
    types.func_wrap(
        "[method]fields.has",
        |mut store: Store<'_>, (handle, name): (Resource<Fields>, Name)| {
            Ok((store.data_mut().fields(&handle)?.contains_key(name),))
        },
    )?;
    types.func_wrap(
        "[method]fields.entries",
        |mut store: Store<'_>, (handle,): (Resource<Fields>,)| -> Result<(Vec<(Name, Value)>,)> {
            let fields = store.data_mut().fields(&handle)?.iter();
            Ok((fields
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect(),))
        },
    )?;
    types.func_wrap(
        "[method]fields.clone",
        |mut store: Store<'_>, (handle,): (Resource<Fields>,)| {
            let lean = store.data_mut();
            let mut fields = lean.fields(&handle)?.clone();
            fields.set_mutable(lean.most_fields);
            Ok((lean.push::<Fields>(Slot::Fields(fields))?,))
        },
    )?;
    changes(types)
}

fn changes(types: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_>, (handle, name, values): (Resource<Fields>, Name, Vec<Value>)| -> Changed {
            said(store.data_mut().fields(&handle)?.set(&mut Rules, name, values))
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_>, (handle, name, value): (Resource<Fields>, Name, Value)| -> Changed {
            let appended = store.data_mut().fields(&handle)?.append(&mut Rules, name, value);
            said(appended.map(drop))
        },
    )?;
    types.func_wrap(
        "[method]fields.delete",
        |mut store: Store<'_>, (handle, name): (Resource<Fields>, Name)| -> Changed {
            let removed = store.data_mut().fields(&handle)?.remove_all(&mut Rules, name);
            said(removed.map(drop))
        },
    )
}

fn from_list(
    mut store: Store<'_>,
    (entries,): (Vec<(Name, Value)>,),
) -> Result<(std::result::Result<Resource<Fields>, HeaderError>,)> {
    let lean = store.data_mut();
    let mut fields = FieldMap::new_mutable(lean.most_fields);
    for (name, value) in entries {
        if let (Err(error),) = said(fields.append(&mut Rules, name, value).map(drop))? {
            return Ok((Err(error),));
        }
    }
    Ok((Ok(lean.push(Slot::Fields(fields))?),))
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
    Ok((told,))
}

impl Lean {
    fn fields(&mut self, handle: &Resource<Fields>) -> Result<&mut FieldMap> {
        match self.slot(handle)? {
            Slot::Fields(fields) => Ok(fields),
            _ => Err(unknown()),
        }
    }
}
