//! Constant expressions that calculate, as the numbers that they come to.
//!
//! A module that shares the memory of another has its globals at an offset from one that it imports. To write that down takes
//! extended constant expressions, which WebAssembly had late: Node 20 and browsers of its time refuse them. Where the module
//! that is imported from stands in the component, the number is known. Start at [`settle`].

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{DataSection, ElementSection, GlobalSection, RawSection, Section as _};
use wasmparser::Payload;

use super::Reason;
use super::choice::{origins, shapes};
use super::constant::Constant;
use super::outline::{CoreInstance, Origin, Outline, lends_modules};
use super::strip::sections;
use crate::adapter::HEADER;
use crate::layout::DEEPEST;

/// What is known of each global of an instance, by its index.
type Globals = Vec<Option<Constant>>;

/// The component with those expressions of its modules as numbers, and so those inside it; what is not known stays.
pub(super) fn settle(component: &[u8], depth: usize) -> Result<Vec<u8>, Reason> {
    let modules = if lends_modules(component)? {
        HashMap::new()
    } else {
        modules(component)?
    };
    let mut made = component[..HEADER.min(component.len())].to_vec();
    for payload in sections(component)? {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let data = &component[range];
        let settled = match payload {
            Payload::ModuleSection { .. } => modules.get(&(data.as_ptr() as usize)).cloned(),
            Payload::ComponentSection { .. } if depth < DEEPEST => Some(settle(data, depth + 1)?),
            _ => None,
        };
        let data = settled.as_deref().unwrap_or(data);
        RawSection { id, data }.append_to(&mut made);
    }
    Ok(made)
}

/// The modules of a component with numbers, each by where it is, as they are parts of the component: those that are instantiated once.
fn modules(component: &[u8]) -> Result<HashMap<usize, Vec<u8>>, Reason> {
    let outline = Outline::read(component)?;
    let shapes = shapes(&outline)?;
    let mut known: HashMap<usize, Globals> = HashMap::new();
    let mut modules = HashMap::new();
    for (instance, shape) in &shapes {
        let mut globals = Globals::new();
        for (import, origin) in shape.imports.iter().zip(origins(&outline, shape, *instance)?) {
            if let wasmparser::TypeRef::Global(ty) = import.ty {
                globals.push(match origin {
                    Origin::Export { instance, name } if !ty.mutable => shapes
                        .get(&instance)
                        .and_then(|shape| shape.exports.get(name))
                        .and_then(|(_, index)| *known.get(&instance)?.get(*index as usize)?),
                    _ => None,
                });
            }
        }
        for global in shape.globals.clone().into_iter().flatten() {
            let global = global?;
            let value = Constant::of(&global.init_expr, |index| *globals.get(index as usize)?);
            globals.push(value.filter(|_| !global.ty.mutable));
        }
        if let CoreInstance::Made { module, .. } = &outline.instances[*instance]
            && let module = &outline.modules[*module]
            && let (Some(bytes), 1) = (module.bytes, module.uses)
        {
            modules.insert(bytes.as_ptr() as usize, rewritten(bytes, &globals)?);
        }
        known.insert(*instance, globals);
    }
    Ok(modules)
}

/// The module with what its expressions come to.
fn rewritten(module: &[u8], globals: &Globals) -> Result<Vec<u8>, Reason> {
    let mut settling = Settling(globals);
    let mut made = module[..HEADER.min(module.len())].to_vec();
    for payload in sections(module)? {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        match payload {
            Payload::GlobalSection(from) => {
                let mut section = GlobalSection::new();
                settling.parse_global_section(&mut section, from)?;
                section.append_to(&mut made);
            }
            Payload::ElementSection(from) => {
                let mut section = ElementSection::new();
                settling.parse_element_section(&mut section, from)?;
                section.append_to(&mut made);
            }
            Payload::DataSection(from) => {
                let mut section = DataSection::new();
                settling.parse_data_section(&mut section, from)?;
                section.append_to(&mut made);
            }
            _ => {
                let data = &module[range];
                RawSection { id, data }.append_to(&mut made);
            }
        }
    }
    Ok(made)
}

/// Writes sections again, with expressions of several instructions as numbers where they are known.
struct Settling<'g>(&'g Globals);

impl Reencode for Settling<'_> {
    type Error = Infallible;

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> Result<wasm_encoder::ConstExpr, Error<Infallible>> {
        // The last one is the end.
        let calculates = expression.get_operators_reader().into_iter().nth(2).is_some();
        let known = |index: u32| *self.0.get(index as usize)?;
        match Constant::of(&expression, known) {
            Some(constant) if calculates => Ok(constant.expression()),
            _ => utils::const_expr(self, expression),
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{DataKind, ElementKind, Validator, WasmFeatures};

    use super::super::shape::Shape;

    use super::*;

    const FIRST: &str = r#"
        (core module $first
            (memory (export "memory") 1)
            (table (export "table") 8 funcref)
            (global (export "base") i32 i32.const 1000)
            (global (export "place") i32 i32.const 3)
            (global (export "pointer") (mut i32) i32.const 7))
        (core instance $first (instantiate $first))
        (alias core export $first "base" (core global $base))
        (core instance $env (export "base" (global $base)))"#;

    /// The module of a component that is linked with another one, settled, for an engine without extended expressions.
    fn settled(inner: &str) -> Vec<u8> {
        let component = wat::parse_str(format!(
            r#"(component (component {FIRST}
                (core module $second
                    (import "env" "base" (global $base i32))
                    (import "first" "place" (global $place i32))
                    (import "first" "memory" (memory 1))
                    (import "first" "table" (table 8 funcref))
                    {inner})
                (core instance (instantiate $second (with "env" (instance $env)) (with "first" (instance $first))))))"#
        ));
        let settled = settle(&component.expect("a component"), 0).expect("settled");
        let old = WasmFeatures::all().difference(WasmFeatures::EXTENDED_CONST);
        Validator::new_with_features(old)
            .validate_all(&settled)
            .expect("valid");
        let mut found = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&settled) {
            if let Payload::ModuleSection { unchecked_range, .. } = payload.expect("a section") {
                found = settled[unchecked_range].to_vec();
            }
        }
        found
    }

    /// What a global, a segment of elements and a segment of data of the module have for numbers.
    fn numbers(module: &[u8]) -> Vec<Option<Constant>> {
        let shape = Shape::read(module).expect("a module");
        let of = |expression| Constant::of(&expression, |_| None);
        let globals = shape.globals.into_iter().flatten();
        let mut found: Vec<_> = globals.map(|global| of(global.expect("one").init_expr)).collect();
        for element in shape.elements.into_iter().flatten() {
            if let ElementKind::Active { offset_expr, .. } = element.expect("one").kind {
                found.push(of(offset_expr));
            }
        }
        for data in shape.data.into_iter().flatten() {
            if let DataKind::Active { offset_expr, .. } = data.expect("one").kind {
                found.push(of(offset_expr));
            }
        }
        found
    }

    #[test]
    fn what_is_calculated_from_imports_is_a_number() {
        let module = settled(
            r#"(global $one i32 (i32.add (global.get $base) (i32.const 24)))
               (global $two i32 (i32.mul (global.get $one) (i32.const 2)))
               (global (mut i32) (i32.sub (global.get $two) (i32.const 1)))
               (func $f)
               (elem (offset (i32.add (global.get $place) (i32.const 1))) $f)
               (data (offset (i32.add (global.get $base) (i32.const 8))) "abc")"#,
        );
        let expected = [1024, 2048, 2047, 4, 1008].map(|number| Some(Constant::I32(number)));
        assert_eq!(numbers(&module), expected);
    }

    #[test]
    fn what_is_one_instruction_stays() {
        let module = settled("(global i32 (global.get $base)) (global i32 (i32.const 5))");
        assert_eq!(numbers(&module), [None, Some(Constant::I32(5))]);
    }

    #[test]
    fn what_has_two_values_stays() {
        let component = wat::parse_str(format!(
            r#"(component {FIRST}
                (core module $other (global (export "base") i32 i32.const 2000))
                (core instance $other (instantiate $other))
                (core module $twice
                    (import "env" "base" (global $base i32))
                    (global i32 (i32.add (global.get $base) (i32.const 1))))
                (core instance (instantiate $twice (with "env" (instance $env))))
                (core instance (instantiate $twice (with "env" (instance $other)))))"#
        ));
        let component = component.expect("a component");
        assert_eq!(settle(&component, 0), Ok(component));
    }

    #[test]
    fn what_a_component_inside_instantiates_again_stays() {
        let component = wat::parse_str(format!(
            r#"(component $outer {FIRST}
                (core module $second
                    (import "env" "base" (global $base i32))
                    (global i32 (i32.add (global.get $base) (i32.const 1))))
                (core instance (instantiate $second (with "env" (instance $env))))
                (component
                    (core module $other (global (export "base") i32 i32.const 2000))
                    (core instance $other (instantiate $other))
                    (alias outer $outer $second (core module $again))
                    (core instance (instantiate $again (with "env" (instance $other))))))"#
        ));
        let component = component.expect("a component");
        assert_eq!(settle(&component, 0), Ok(component));
    }
}
