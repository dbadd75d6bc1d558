//! Keeps a language with a garbage collector inside the component while it is lent memory.
//!
//! A component may not call what it imports while it allocates for its caller (`cabi_realloc`) or clears up after
//! a call (`cabi_post_*`); it traps if it does. The collector of Go may run there, and asks for the time and looks
//! for timers. So while one of those functions runs the time stands still and no event is there: the calls are
//! answered in the module itself. Upstream has this for one clock of two
//! (<https://github.com/bytecodealliance/wasmtime/issues/14318>).

use std::collections::HashMap;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, GlobalType, MemArg, Module, ValType,
};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

const WASI: &str = "wasi_snapshot_preview1";
const REALLOC: &str = "cabi_realloc";
const POST: &str = "cabi_post_";

/// The module with no call to clocks and events while it is lent memory, if it makes any.
///
/// # Errors
/// For a module that is malformed.
pub(crate) fn kept_inside(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Some(mut shape) = Shape::read(module)? else {
        return Ok(module.to_vec());
    };
    let mut made = Module::new();
    shape
        .parse_core_module(&mut made, Parser::new(0), module)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(made.finish())
}

/// A function of the module: its place, its type, and how many parameters that has.
#[derive(Clone, Copy)]
struct Place {
    index: u32,
    kind: u32,
    params: u32,
}

/// What has to be known of a module to change it.
struct Shape {
    clock: Place,
    poll: Place,
    /// Functions during which nothing is called, by the name of their export.
    lending: Vec<(String, Place)>,
    functions: u32,
    globals: u32,
}

/// What sections say of functions, as they are read.
#[derive(Default)]
struct Sections {
    params: Vec<u32>,
    kinds: Vec<u32>,
    imports: HashMap<String, usize>,
    lending: Vec<(String, usize)>,
    globals: u32,
}

impl Sections {
    fn take(&mut self, payload: Payload<'_>) -> anyhow::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for kind in types.into_iter_err_on_gc_types() {
                    self.params.push(u32::try_from(kind?.params().len())?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(kind) = import.ty {
                        if import.module == WASI {
                            self.imports.insert(import.name.to_owned(), self.kinds.len());
                        }
                        self.kinds.push(kind);
                    }
                    self.globals += u32::from(matches!(import.ty, TypeRef::Global(_)));
                }
            }
            Payload::FunctionSection(section) => {
                for kind in section {
                    self.kinds.push(kind?);
                }
            }
            Payload::GlobalSection(section) => self.globals += section.count(),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let lends = export.name == REALLOC || export.name.starts_with(POST);
                    if lends && export.kind == ExternalKind::Func {
                        let index = usize::try_from(export.index)?;
                        self.lending.push((export.name.to_owned(), index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn place(&self, index: usize) -> anyhow::Result<Place> {
        let missing = || anyhow::anyhow!("a function is named that is not there");
        let kind = *self.kinds.get(index).ok_or_else(missing)?;
        let params = *self.params.get(usize::try_from(kind)?).ok_or_else(missing)?;
        let index = u32::try_from(index)?;
        Ok(Place { index, kind, params })
    }
}

impl Shape {
    /// What matters of the module, unless it has no clock or no events.
    fn read(module: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut sections = Sections::default();
        for payload in Parser::new(0).parse_all(module) {
            sections.take(payload?)?;
        }
        let import = |name| sections.imports.get(name).map(|index| sections.place(*index));
        let (Some(clock), Some(poll)) = (import("clock_time_get"), import("poll_oneoff")) else {
            return Ok(None);
        };
        let lending = sections
            .lending
            .iter()
            .map(|(name, index)| Ok((name.clone(), sections.place(*index)?)));
        Ok(Some(Self {
            clock: clock?,
            poll: poll?,
            lending: lending.collect::<anyhow::Result<_>>()?,
            functions: u32::try_from(sections.kinds.len())?,
            globals: sections.globals,
        }))
    }

    /// Whether one of the functions runs during which nothing is called.
    const fn lends(&self) -> u32 {
        self.globals
    }

    /// The last time that the clock of the calendar told, and the other.
    const fn times(&self) -> (u32, u32) {
        (self.globals + 1, self.globals + 2)
    }

    /// `clock_time_get(id, precision, address)` that tells the last time again while memory is lent.
    fn clock(&self) -> Function {
        let (calendar, steady) = self.times();
        let time = MemArg {
            offset: 0,
            align: 3,
            memory_index: 0,
        };
        let mut function = Function::new([(1, ValType::I32)]);
        let mut code = function.instructions();
        code.global_get(self.lends()).if_(BlockType::Result(ValType::I32));
        code.local_get(2)
            .global_get(steady)
            .global_get(calendar)
            .local_get(0)
            .select();
        code.i64_store(time).i32_const(0);
        code.else_();
        code.local_get(0)
            .local_get(1)
            .local_get(2)
            .call(self.clock.index)
            .local_set(3);
        code.local_get(0).if_(BlockType::Empty);
        code.local_get(2).i64_load(time).global_set(steady);
        code.else_();
        code.local_get(2).i64_load(time).global_set(calendar);
        code.end();
        code.local_get(3).end().end();
        function
    }

    /// `poll_oneoff(subscriptions, events, count, address)` that finds no event while memory is lent.
    fn poll(&self) -> Function {
        let count = MemArg {
            offset: 0,
            align: 2,
            memory_index: 0,
        };
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.global_get(self.lends()).if_(BlockType::Result(ValType::I32));
        code.local_get(3).i32_const(0).i32_store(count).i32_const(0);
        code.else_();
        code.local_get(0)
            .local_get(1)
            .local_get(2)
            .local_get(3)
            .call(self.poll.index);
        code.end().end();
        function
    }

    /// A function during which memory is lent.
    fn lent(&self, place: Place) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.i32_const(1).global_set(self.lends());
        for param in 0..place.params {
            code.local_get(param);
        }
        code.call(place.index).i32_const(0).global_set(self.lends()).end();
        function
    }
}

type Done = Result<(), Error<std::convert::Infallible>>;

impl Reencode for Shape {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        Ok(match index {
            _ if index == self.clock.index => self.functions,
            _ if index == self.poll.index => self.functions + 1,
            _ => index,
        })
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Done {
        // As it stands: places of functions have stayed.
        module.section(&CustomSection {
            name: section.name().into(),
            data: section.data().into(),
        });
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Done {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.clock.kind).function(self.poll.kind);
        for (_, place) in &self.lending {
            functions.function(place.kind);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Done {
        utils::parse_global_section(self, globals, section)?;
        let variable = |val_type| GlobalType {
            val_type,
            mutable: true,
            shared: false,
        };
        globals.global(variable(ValType::I32), &ConstExpr::i32_const(0));
        globals.global(variable(ValType::I64), &ConstExpr::i64_const(0));
        globals.global(variable(ValType::I64), &ConstExpr::i64_const(0));
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, export: wasmparser::Export<'_>) -> Done {
        let place = (self.functions + 2..)
            .zip(&self.lending)
            .find(|(_, (name, _))| name == export.name);
        match place {
            Some((wrapper, _)) => exports.export(export.name, ExportKind::Func, wrapper),
            None => return utils::parse_export(self, exports, export),
        };
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Done {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.clock()).function(&self.poll());
        for (_, place) in &self.lending {
            code.function(&self.lent(*place));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::kept_inside;
    use wasmparser::{Operator, Parser, Payload};

    const CALLS: &str = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $mine (mut i32) (i32.const 7))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (drop (call $time (i32.const 1) (i64.const 0) (i32.const 8)))
            (drop (call $poll (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
            (global.get $mine))
        (func (export "cabi_post_f") (param i32))
        (func (export "f") (result i32)
            (call $time (i32.const 1) (i64.const 0) (i32.const 8))))"#;

    /// Which functions each function calls, in the order of the module.
    fn calls(module: &[u8]) -> Vec<Vec<u32>> {
        let bodies =
            Parser::new(0)
                .parse_all(module)
                .filter_map(|payload| match payload.expect("a valid module") {
                    Payload::CodeSectionEntry(body) => Some(body),
                    _ => None,
                });
        let called = |body: wasmparser::FunctionBody<'_>| {
            let operators = body.get_operators_reader().expect("operators").into_iter();
            operators
                .filter_map(|operator| match operator.expect("an operator") {
                    Operator::Call { function_index } => Some(function_index),
                    _ => None,
                })
                .collect()
        };
        bodies.map(called).collect()
    }

    #[test]
    fn calls_are_answered_inside_where_none_may_leave() {
        let before = wat::parse_str(CALLS).expect("a module");
        assert_eq!(calls(&before), [vec![0, 1], vec![], vec![0]]);
        let after = kept_inside(&before).expect("a module");
        wasmparser::validate(&after).expect("a valid one");
        // Clock and events are 5 and 6 now, which alone call out; 7 and 8 are what lends, under the same names.
        let changed = [vec![5, 6], vec![], vec![5], vec![0], vec![1], vec![2], vec![3]];
        assert_eq!(calls(&after), changed);
    }

    #[test]
    fn a_module_without_clock_or_events_stays_as_it_is() {
        let module = wat::parse_str(r#"(module (func (export "cabi_realloc")))"#).expect("a module");
        assert_eq!(kept_inside(&module).expect("a module"), module);
    }
}
