//! Classes that generated bindings have for named types of WIT: dataclasses, enumerations, flags.
//!
//! Without them values are those of `wherry.runtime.values`. `Component.use_classes` hands them over, before the first call.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use wherry_engine::values::{Named, Types};

use crate::calling;
use crate::names::Names;
use crate::port::Python3;

/// What stands for a type in generated bindings.
pub enum Typed {
    /// The class of a record.
    Record(Record),
    /// A class for each case of a variant.
    Variant(Vec<Case>),
    /// The members of an enumeration.
    Enum(Vec<Py<PyAny>>),
    /// A class of flags, the first name in the lowest bit.
    Flags(Py<PyType>),
}

/// The class of a case of a variant.
pub struct Case {
    class: Py<PyType>,
    /// A case without a payload is one object for all.
    alone: Option<Py<PyAny>>,
}

/// A type as Python hands it over: kind, name in WIT, names of its members in WIT, what stands for it.
pub type Given = (String, String, Vec<String>, Vec<Py<PyAny>>);

/// Has the types of a component stand for these classes.
pub fn prepare(py: Python<'_>, types: &Types<Python3>, given: &[Given]) -> PyResult<()> {
    let mut found: BTreeMap<(u8, &[String]), (Named, Names)> = BTreeMap::new();
    for (kind, name, members, classes) in given {
        let (sort, class) = typed(py, kind, classes)?;
        let spelled: Vec<&str> = members.iter().map(String::as_str).collect();
        let entry = found
            .entry((sort as u8, members.as_slice()))
            .or_insert_with(|| (sort, Names::new(py, sort, Some(name), &spelled)));
        entry.1.typed.push(class);
    }
    for ((_, members), (sort, names)) in found {
        types.prepare(sort, members.to_vec(), Arc::new(names));
    }
    Ok(())
}

fn typed(py: Python<'_>, kind: &str, classes: &[Py<PyAny>]) -> PyResult<(Named, Typed)> {
    let class = |one: &Py<PyAny>| Ok::<_, PyErr>(one.bind(py).cast::<PyType>()?.clone().unbind());
    let only = || {
        classes
            .first()
            .ok_or_else(|| PyValueError::new_err("a class is missing"))
    };
    Ok(match kind {
        "record" => (
            Named::Record,
            Typed::Record(Record {
                class: class(only()?)?,
                twin: classes.get(1).map(class).transpose()?,
            }),
        ),
        "flags" => (Named::Flags, Typed::Flags(class(only()?)?)),
        "enum" => {
            let members = classes.iter().map(|one| one.clone_ref(py)).collect();
            (Named::Enum, Typed::Enum(members))
        }
        _ => {
            let cases = classes.iter().map(|one| {
                let class = class(one)?;
                let fields = class.bind(py).getattr("__match_args__")?.len()?;
                let alone = (fields == 0).then(|| class.call0(py)).transpose()?;
                Ok(Case { class, alone })
            });
            (Named::Variant, Typed::Variant(cases.collect::<PyResult<_>>()?))
        }
    })
}

impl Typed {
    /// Whether a value is of this class, which is a record's or that of flags.
    pub fn is_class_of(&self, value: &Bound<'_, PyAny>) -> bool {
        match self {
            Typed::Record(Record { class, .. }) | Typed::Flags(class) => {
                value.get_type().is(class.bind(value.py()))
            }
            Typed::Variant(_) | Typed::Enum(_) => false,
        }
    }

    /// Which case or member a value is, and the payload where the case has one.
    pub fn case<'py>(
        &self,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(usize, Option<Bound<'py, PyAny>>)>> {
        let py = value.py();
        match self {
            Typed::Variant(cases) => {
                let ty = value.get_type();
                let Some(index) = cases.iter().position(|case| ty.is(case.class.bind(py))) else {
                    return Ok(None);
                };
                let payload = match cases[index].alone {
                    Some(_) => None,
                    None => Some(value.getattr(pyo3::intern!(py, "value"))?),
                };
                Ok(Some((index, payload)))
            }
            Typed::Enum(members) => {
                let index = members.iter().position(|member| value.is(member.bind(py)));
                Ok(index.map(|index| (index, None)))
            }
            Typed::Record(_) | Typed::Flags(_) => Ok(None),
        }
    }

    /// A case of a variant.
    pub fn make_case<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        payload: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Typed::Variant(cases) = self else {
            return Err(PyValueError::new_err("the type is no variant"));
        };
        match &cases[index].alone {
            Some(alone) => Ok(alone.bind(py).clone()),
            None => calling::call(cases[index].class.bind(py), (payload,)),
        }
    }
}

/// The class of a record.
///
/// Where a twin with the same slots is given, objects are made of the twin, filled in, and then turned into those of the class:
/// that may be frozen, and what a frozen dataclass runs to make an object takes three times as long.
pub struct Record {
    class: Py<PyType>,
    twin: Option<Py<PyType>>,
}

impl Record {
    /// A record of these fields, in the order of the type.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        names: &[Py<PyString>],
        fields: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py);
        let Some(twin) = &self.twin else {
            return class.call1(PyTuple::new(py, fields)?);
        };
        let made = twin.bind(py).call0()?;
        for (name, field) in names.iter().zip(fields) {
            made.setattr(name.bind(py), field)?;
        }
        made.setattr(intern!(py, "__class__"), class)?;
        Ok(made)
    }
}
