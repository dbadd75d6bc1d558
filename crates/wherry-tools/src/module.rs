//! What a core module imports and exports, with the types of its functions.

use wasmparser::{CompositeInnerType, ExternalKind, FuncType, Parser, Payload, RecGroup, TypeRef, ValType};

use crate::error::{Error, Result};
use crate::model::{Core, CoreExport, CoreImport, CoreType};
use crate::wit::LONGEST_INTERFACE;

/// Reads the imports and exports of the core module in `bytes`; code is skipped, not validated.
pub(crate) fn core(bytes: &[u8]) -> Result<Core> {
    let mut index = Index::default();
    let mut core = Core::default();
    let mut room = LONGEST_INTERFACE;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(groups) => {
                for group in groups {
                    index.add_types(group?);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let ty = index.imported(import.ty);
                    spend(&mut room, import.module.len() + import.name.len(), &ty)?;
                    core.imports.push(CoreImport {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        ty,
                    });
                }
            }
            Payload::FunctionSection(functions) => {
                for function in functions {
                    index.functions.push(function?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    index.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    index.memories.push(memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    index.globals.push(global?.ty);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let ty = index.exported(export.kind, export.index)?;
                    spend(&mut room, export.name.len(), &ty)?;
                    core.exports.push(CoreExport {
                        name: export.name.to_owned(),
                        ty,
                    });
                }
            }
            _ => {}
        }
    }
    Ok(core)
}

/// Takes what one import or export adds off the room that is left: a name or a type that the file states once
/// may be used a million times.
fn spend(room: &mut u64, names: usize, ty: &CoreType) -> Result<()> {
    let types = match ty {
        CoreType::Function { params, results } => 16 * (params.len() + results.len()),
        _ => 16,
    };
    match room.checked_sub((names + types) as u64) {
        Some(left) => {
            *room = left;
            Ok(())
        }
        None => Err(Error::TooLarge(format!(
            "the imports and exports take more than {LONGEST_INTERFACE} bytes"
        ))),
    }
}

/// What the indices of exports refer to.
#[derive(Default)]
struct Index {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    tables: Vec<wasmparser::TableType>,
    memories: Vec<wasmparser::MemoryType>,
    globals: Vec<wasmparser::GlobalType>,
}

impl Index {
    fn add_types(&mut self, group: RecGroup) {
        self.types
            .extend(group.into_types().map(|ty| match ty.composite_type.inner {
                CompositeInnerType::Func(function) => Some(function),
                _ => None,
            }));
    }

    fn imported(&mut self, ty: TypeRef) -> CoreType {
        match ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                self.functions.push(index);
                self.function(index)
            }
            TypeRef::Table(table) => {
                self.tables.push(table);
                describe_table(&table)
            }
            TypeRef::Memory(memory) => {
                self.memories.push(memory);
                describe_memory(&memory)
            }
            TypeRef::Global(global) => {
                self.globals.push(global);
                describe_global(&global)
            }
            TypeRef::Tag(_) => CoreType::Tag,
        }
    }

    fn exported(&self, kind: ExternalKind, index: u32) -> Result<CoreType> {
        let place = index as usize;
        let found = match kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                self.functions.get(place).map(|ty| self.function(*ty))
            }
            ExternalKind::Table => self.tables.get(place).map(describe_table),
            ExternalKind::Memory => self.memories.get(place).map(describe_memory),
            ExternalKind::Global => self.globals.get(place).map(describe_global),
            ExternalKind::Tag => Some(CoreType::Tag),
        };
        found.ok_or_else(|| {
            Error::Invalid(format!(
                "an export refers to number {index}, which does not exist"
            ))
        })
    }

    /// The signature at `index`; an empty one where validation would refuse the module.
    fn function(&self, index: u32) -> CoreType {
        let words = |types: &[ValType]| types.iter().map(ToString::to_string).collect();
        match self.types.get(index as usize) {
            Some(Some(ty)) => CoreType::Function {
                params: words(ty.params()),
                results: words(ty.results()),
            },
            _ => CoreType::Function {
                params: Vec::new(),
                results: Vec::new(),
            },
        }
    }
}

fn describe_table(table: &wasmparser::TableType) -> CoreType {
    CoreType::Table {
        element: table.element_type.to_string(),
    }
}

fn describe_memory(memory: &wasmparser::MemoryType) -> CoreType {
    CoreType::Memory {
        minimum: memory.initial,
        maximum: memory.maximum,
        wide: memory.memory64,
        shared: memory.shared,
    }
}

fn describe_global(global: &wasmparser::GlobalType) -> CoreType {
    CoreType::Global {
        value: global.content_type.to_string(),
        mutable: global.mutable,
    }
}
