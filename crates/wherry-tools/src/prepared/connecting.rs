//! Modules that only connect others: what each of them does, if that is all it does.

use std::collections::HashMap;

use wasmparser::{ElementItems, ElementKind, ExternalKind, FuncType, Operator};

use super::Reason;
use super::constant::Constant;
use super::outline::Kind;
use super::shape::Shape;

/// A module that only connects others.
pub(super) enum Connecting<'a> {
    /// Each function calls what is at its place in the table, with the same arguments.
    Jumping {
        places: HashMap<&'a str, u32>,
        table: &'a str,
    },
    /// It puts functions that it imports into a table that it imports, in the order of the places.
    Filling {
        functions: Vec<Name<'a>>,
        table: Name<'a>,
    },
    /// It calls what it imports.
    Starting { function: Name<'a> },
}

/// Where an import comes from, and its name there: one tool has it all from one place, another one from several.
pub(super) type Name<'a> = (&'a str, &'a str);

impl<'a> Connecting<'a> {
    /// What the module does.
    ///
    /// # Errors
    /// A [`Reason`] for one that does anything else.
    pub(super) fn of(module: &'a [u8]) -> Result<Self, Reason> {
        let shape = Shape::read(module)?;
        let plain = shape.defined(Kind::Memory) == 0
            && shape.defined(Kind::Global) == 0
            && shape.defined(Kind::Tag) == 0
            && shape.data.is_none();
        let found = if !plain {
            None
        } else if shape.imports.is_empty() {
            jumping(&shape)?
        } else if shape.start.is_some() {
            starting(&shape)
        } else {
            filling(&shape)?
        };
        found.ok_or_else(|| Reason::new("it has several modules that do something"))
    }
}

fn types(shape: &Shape<'_>) -> Result<Vec<FuncType>, Reason> {
    let types = shape.types.clone().into_iter();
    Ok(types
        .flat_map(wasmparser::TypeSectionReader::into_iter_err_on_gc_types)
        .collect::<Result<_, _>>()?)
}

fn jumping<'a>(shape: &Shape<'a>) -> Result<Option<Connecting<'a>>, Reason> {
    if shape.start.is_some() || shape.elements.is_some() || shape.defined(Kind::Table) != 1 {
        return Ok(None);
    }
    let types = types(shape)?;
    let functions = shape.functions.clone().into_iter().flatten();
    let bodies = shape.code.clone().into_iter().flatten();
    for (place, (ty, body)) in (0_u32..).zip(functions.zip(bodies)) {
        let (ty, body) = (ty?, body?);
        let parameters = types
            .get(ty as usize)
            .ok_or_else(Reason::malformed)?
            .params()
            .len();
        if body.get_locals_reader()?.get_count() != 0 {
            return Ok(None);
        }
        let mut operators = body.get_operators_reader()?;
        for number in 0..parameters {
            match operators.read()? {
                Operator::LocalGet { local_index } if local_index as usize == number => {}
                _ => return Ok(None),
            }
        }
        let at = matches!(operators.read()?, Operator::I32Const { value } if value.cast_unsigned() == place);
        let called = matches!(
            operators.read()?,
            Operator::CallIndirect { type_index, table_index: 0 } if type_index == ty
        );
        if !at || !called || !matches!(operators.read()?, Operator::End) {
            return Ok(None);
        }
    }
    let mut places = HashMap::new();
    let mut table = None;
    for (name, (kind, index)) in &shape.exports {
        match kind {
            Kind::Func => {
                places.insert(*name, *index);
            }
            Kind::Table if table.is_none() => table = Some(*name),
            _ => return Ok(None),
        }
    }
    Ok(table.map(|table| Connecting::Jumping { places, table }))
}

fn filling<'a>(shape: &Shape<'a>) -> Result<Option<Connecting<'a>>, Reason> {
    if shape.defined(Kind::Func) != 0 || shape.defined(Kind::Table) != 0 || !shape.exports.is_empty() {
        return Ok(None);
    }
    let named = |kind| shape.imports_of(kind).map(|import| (import.module, import.name));
    let functions: Vec<Name<'_>> = named(Kind::Func).collect();
    let tables: Vec<Name<'_>> = named(Kind::Table).collect();
    let elements: Vec<_> = shape
        .elements
        .clone()
        .into_iter()
        .flatten()
        .collect::<Result<_, _>>()?;
    let (&[table], [element]) = (tables.as_slice(), elements.as_slice()) else {
        return Ok(None);
    };
    if functions.len() + 1 != shape.imports.len() {
        return Ok(None);
    }
    let (
        ElementKind::Active {
            table_index,
            offset_expr,
        },
        ElementItems::Functions(items),
    ) = (&element.kind, &element.items)
    else {
        return Ok(None);
    };
    if table_index.unwrap_or(0) != 0 || Constant::of(offset_expr, |_| None) != Some(Constant::I32(0)) {
        return Ok(None);
    }
    let mut filled = Vec::new();
    for index in items.clone() {
        filled.push(*functions.get(index? as usize).ok_or_else(Reason::malformed)?);
    }
    Ok(Some(Connecting::Filling {
        functions: filled,
        table,
    }))
}

fn starting<'a>(shape: &Shape<'a>) -> Option<Connecting<'a>> {
    let alone = shape.defined(Kind::Func) == 0
        && shape.defined(Kind::Table) == 0
        && shape.elements.is_none()
        && shape.exports.is_empty();
    match shape.imports.as_slice() {
        [import]
            if alone
                && shape.start == Some(0)
                && super::shape::kind_of(&import.ty) == Kind::from(ExternalKind::Func) =>
        {
            Some(Connecting::Starting {
                function: (import.module, import.name),
            })
        }
        _ => None,
    }
}
