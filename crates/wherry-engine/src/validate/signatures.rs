//! How many values the functions of a component may hand over, told from its types, which may double with each one that is named.

use std::collections::HashMap;

use wasmparser::component_types::{ComponentDefinedType, ComponentDefinedTypeId, ComponentValType};
use wasmparser::types::TypesRef;

use crate::effort::{self, Effort};

/// What it takes to compile the calls into and out of a component that has these types.
pub(super) fn effort(types: TypesRef<'_>) -> Effort {
    let functions = types.component_function_count();
    let mut sizes = Sizes {
        types,
        known: HashMap::new(),
    };
    let largest = (0..functions)
        .map(|index| {
            let function = &types[types.component_function_at(index)];
            let params = function.params.iter().map(|(_, ty)| ty);
            sizes.of(params.chain(&function.result))
        })
        .max();
    // Each function of a component becomes a function of a module, or comes from one.
    let calls = u64::from(functions) + u64::from(types.function_count());
    effort::of_calls(calls, largest.unwrap_or(0))
}

/// Sizes of types, each worked out once. How deep types are in one another is bounded by validation.
struct Sizes<'a> {
    types: TypesRef<'a>,
    known: HashMap<ComponentDefinedTypeId, u64>,
}

impl Sizes<'_> {
    fn of<'t>(&mut self, types: impl Iterator<Item = &'t ComponentValType>) -> u64 {
        types.fold(1, |sum, ty| sum.saturating_add(self.one(*ty)))
    }

    fn one(&mut self, ty: ComponentValType) -> u64 {
        let ComponentValType::Type(id) = ty else { return 1 };
        if let Some(size) = self.known.get(&id) {
            return *size;
        }
        let types = self.types;
        let size = match &types[id] {
            ComponentDefinedType::Record(record) => self.of(record.fields.values()),
            ComponentDefinedType::Tuple(tuple) => self.of(tuple.types.iter()),
            ComponentDefinedType::Variant(variant) => {
                self.of(variant.cases.values().filter_map(|case| case.ty.as_ref()))
            }
            ComponentDefinedType::Result { ok, err, .. } => self.of(ok.iter().chain(err)),
            ComponentDefinedType::Map { key, value, .. } => self.of([key, value].into_iter()),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                self.one(*element).saturating_mul(u64::from(*length))
            }
            ComponentDefinedType::List { element: ty, .. } | ComponentDefinedType::Option { ty, .. } => {
                self.of([ty].into_iter())
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => names.len() as u64,
            _ => 1,
        };
        self.known.insert(id, size);
        size
    }
}
