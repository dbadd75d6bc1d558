//! Whether an instance of a module can be put back to what it was, and the module with all exported that this needs.
//!
//! A module remembers its memories, its mutable globals, its tables, and which segments it dropped. A server can write memories
//! and globals; so a module is refused whose code changes anything else, or which has values that are not numbers. Start at
//! [`rewound`].

use wasm_encoder::{ExportKind, ExportSection, RawSection, Section as _};
use wasmparser::{CompositeInnerType, FunctionBody, Operator, Payload, ValType};

use super::outline::Kind;
use super::shape::Shape;
use super::{Reason, strip};
use crate::adapter::HEADER;

/// What exports of globals are called, with their number.
const GLOBAL: &str = "wherry:global-";

/// The module with each of its mutable globals exported, and the names of those exports.
pub(super) fn rewound(module: &[u8]) -> Result<(Vec<u8>, Vec<String>), Reason> {
    let shape = Shape::read(module)?;
    check(&shape)?;
    let mut names = Vec::new();
    let imported = shape.imported[Kind::Global as usize];
    for (index, global) in (imported..).zip(shape.globals.clone().into_iter().flatten()) {
        let ty = global?.ty;
        if ty.mutable {
            if matches!(ty.content_type, ValType::Ref(_)) {
                return Err(remembers("it has globals that are references"));
            }
            let name = format!("{GLOBAL}{index}");
            if shape.exports.contains_key(name.as_str()) {
                return Err(remembers("it has exports under the names of Wherry's"));
            }
            names.push((name, index));
        }
    }
    let rewritten = exporting(module, &names)?;
    Ok((rewritten, names.into_iter().map(|(name, _)| name).collect()))
}

/// Refuses what remembers more than memories and globals.
fn check(shape: &Shape<'_>) -> Result<(), Reason> {
    if shape.tags.is_some() || shape.imported[Kind::Global as usize] > 0 {
        return Err(remembers("it has exceptions, or globals of another module"));
    }
    for group in shape.types.clone().into_iter().flatten() {
        for ty in group?.types() {
            if !matches!(ty.composite_type.inner, CompositeInnerType::Func(_)) {
                return Err(remembers("it has types of a collector of garbage"));
            }
        }
    }
    for body in shape.code.clone().into_iter().flatten() {
        check_body(&body?)?;
    }
    Ok(())
}

fn check_body(body: &FunctionBody<'_>) -> Result<(), Reason> {
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        match reader.read()? {
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::DataDrop { .. } => return Err(remembers("it changes its tables, or drops segments")),
            _ => {}
        }
    }
    Ok(())
}

/// The module with these exports more.
fn exporting(module: &[u8], globals: &[(String, u32)]) -> Result<Vec<u8>, Reason> {
    let mut made = module[..HEADER.min(module.len())].to_vec();
    for payload in strip::sections(module)? {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export?;
                section.export(export.name, Kind::from(export.kind).into(), export.index);
            }
            for (name, index) in globals {
                section.export(name, ExportKind::Global, *index);
            }
            section.append_to(&mut made);
        } else {
            let data = &module[range];
            RawSection { id, data }.append_to(&mut made);
        }
    }
    Ok(made)
}

fn remembers(why: &str) -> Reason {
    Reason::new(format!("{why}, so an instance of it is not used again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(Vec<u8>, Vec<String>), Reason> {
        rewound(&wat::parse_str(text).expect("a module"))
    }

    #[test]
    fn mutable_globals_are_exported_and_nothing_else_changes() {
        let text = r#"(module
            (memory (export "memory") 1)
            (global i32 (i32.const 1))
            (global $kept (export "kept") (mut i64) (i64.const 2))
            (global (mut f32) (f32.const 3))
            (func (export "run") (global.set $kept (i64.const 4)))
            (data (i32.const 8) "data"))"#;
        let (module, names) = of(text).expect("it can be put back");
        assert_eq!(names, ["wherry:global-1", "wherry:global-2"]);
        let shape = Shape::read(&module).expect("a module");
        let found = |name| shape.exports.get(name).copied();
        assert_eq!(found("wherry:global-1"), Some((Kind::Global, 1)));
        assert_eq!(found("wherry:global-2"), Some((Kind::Global, 2)));
        assert_eq!(
            (found("run"), found("memory")),
            (Some((Kind::Func, 0)), Some((Kind::Memory, 0)))
        );
        assert_eq!(shape.exports.len(), 5);
        wasmparser::validate(&module).expect("it is valid");
    }

    #[test]
    fn what_cannot_be_put_back_is_refused() {
        for part in [
            "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
            "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
            "(table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1)))",
            "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))",
            "(table 1 funcref) (elem func) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(elem func) (func (elem.drop 0))",
            r#"(memory 1) (data "x") (func (data.drop 0))"#,
            "(global (mut funcref) (ref.null func))",
            "(type (struct (field (mut i32))))",
            "(tag)",
            r#"(import "a" "b" (global (mut i32)))"#,
            r#"(memory 1) (global (mut i32) (i32.const 0)) (export "wherry:global-0" (memory 0))"#,
        ] {
            assert!(of(&format!("(module {part})")).is_err(), "{part}");
        }
    }

    #[test]
    fn what_is_only_read_may_be_there() {
        let text = r#"(module
            (table 1 funcref) (memory 1) (data "x") (global funcref (ref.null func)) (type $none (func))
            (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))
                (drop (memory.grow (i32.const 1)))
                (drop (table.get (i32.const 0)))
                (call_indirect (type $none) (i32.const 0))))"#;
        assert_eq!(of(text).map(|(_, names)| names), Ok(vec![]));
    }
}
