//! What has to be known of one core module before its code is looked at.

use std::collections::HashMap;

use wasmparser::{
    CodeSectionReader, DataKind, DataSectionReader, ElementKind, ElementSectionReader, ExternalKind,
    FunctionSectionReader, GlobalSectionReader, Import, KnownCustom, MemorySectionReader, NameSectionReader,
    Parser, Payload, SectionLimited, TableSectionReader, TagSectionReader, TypeRef, TypeSectionReader,
};

use super::Reason;
use super::outline::{Kind, Spaces};

/// The sections of a module, as far as they are there.
#[derive(Default)]
pub(super) struct Shape<'a> {
    pub(super) types: Option<TypeSectionReader<'a>>,
    pub(super) imports: Vec<Import<'a>>,
    pub(super) functions: Option<FunctionSectionReader<'a>>,
    pub(super) tables: Option<TableSectionReader<'a>>,
    pub(super) memories: Option<MemorySectionReader<'a>>,
    pub(super) tags: Option<TagSectionReader<'a>>,
    pub(super) globals: Option<GlobalSectionReader<'a>>,
    pub(super) exports: HashMap<&'a str, (Kind, u32)>,
    pub(super) start: Option<u32>,
    pub(super) elements: Option<ElementSectionReader<'a>>,
    pub(super) data_count: Option<u32>,
    pub(super) code: Option<CodeSectionReader<'a>>,
    pub(super) data: Option<DataSectionReader<'a>>,
    pub(super) names: Option<NameSectionReader<'a>>,
    /// How many items of each kind it imports.
    pub(super) imported: Spaces<u32>,
    pub(super) size: usize,
}

/// What an instance of a module does by itself while it is made.
#[derive(Default)]
pub(super) struct Effects {
    /// Tables and memories of the module that it writes to, by their index.
    pub(super) writes: Vec<(Kind, u32)>,
    /// Whether it calls a function.
    pub(super) starts: bool,
}

impl<'a> Shape<'a> {
    /// Reads the frame of a valid module.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut shape = Self {
            size: bytes.len(),
            ..Self::default()
        };
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                return Err(Reason::malformed());
            };
            rest = &rest[consumed..];
            if let Payload::CodeSectionStart { size, range, .. } = &payload {
                let reader = wasmparser::BinaryReader::new(&bytes[range.clone()], range.start);
                shape.code = Some(CodeSectionReader::new(reader)?);
                parser.skip_section();
                rest = &rest[*size as usize..];
            }
            shape.take(payload)?;
        }
        Ok(shape)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<(), Reason> {
        match payload {
            Payload::TypeSection(section) => self.types = Some(section),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.imported[kind_of(&import.ty) as usize] += 1;
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(section) => self.functions = Some(section),
            Payload::TableSection(section) => self.tables = Some(section),
            Payload::MemorySection(section) => self.memories = Some(section),
            Payload::TagSection(section) => self.tags = Some(section),
            Payload::GlobalSection(section) => self.globals = Some(section),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports
                        .insert(export.name, (export.kind.into(), export.index));
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => self.elements = Some(section),
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(section) => self.data = Some(section),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.names = Some(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What making an instance of it does, beyond making it.
    pub(super) fn effects(&self) -> Result<Effects, Reason> {
        let mut effects = Effects {
            writes: Vec::new(),
            starts: self.start.is_some(),
        };
        for element in self.elements.clone().into_iter().flatten() {
            if let ElementKind::Active { table_index, .. } = element?.kind {
                effects.writes.push((Kind::Table, table_index.unwrap_or(0)));
            }
        }
        for data in self.data.clone().into_iter().flatten() {
            if let DataKind::Active { memory_index, .. } = data?.kind {
                effects.writes.push((Kind::Memory, memory_index));
            }
        }
        effects.writes.sort_unstable();
        effects.writes.dedup();
        Ok(effects)
    }

    /// How many pages its one memory has at first, if it has one that is neither shared nor of 64 bits or other pages.
    pub(super) fn pages(&self) -> Result<Option<u64>, Reason> {
        let memories = self.memories.clone().into_iter().flatten();
        let memories = memories.collect::<Result<Vec<_>, _>>()?;
        Ok(match memories.as_slice() {
            [memory] if !memory.shared && !memory.memory64 && memory.page_size_log2.is_none() => {
                Some(memory.initial)
            }
            _ => None,
        })
    }

    /// How many items of a kind it defines.
    pub(super) fn defined(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Func => self.functions.as_ref().map_or(0, SectionLimited::count),
            Kind::Table => self.tables.as_ref().map_or(0, SectionLimited::count),
            Kind::Memory => self.memories.as_ref().map_or(0, SectionLimited::count),
            Kind::Global => self.globals.as_ref().map_or(0, SectionLimited::count),
            Kind::Tag => self.tags.as_ref().map_or(0, SectionLimited::count),
        }
    }

    /// The imports of one kind, in their order.
    pub(super) fn imports_of(&self, kind: Kind) -> impl Iterator<Item = &Import<'a>> {
        self.imports
            .iter()
            .filter(move |import| kind_of(&import.ty) == kind)
    }

    /// The import that an item of this kind and index is, unless the module defines it.
    pub(super) fn import(&self, kind: Kind, index: u32) -> Option<&Import<'a>> {
        self.imports_of(kind).nth(index as usize)
    }
}

/// The index space that an import goes to.
pub(super) fn kind_of(ty: &TypeRef) -> Kind {
    match ty {
        TypeRef::Func(_) | TypeRef::FuncExact(_) => Kind::from(ExternalKind::Func),
        TypeRef::Table(_) => Kind::Table,
        TypeRef::Memory(_) => Kind::Memory,
        TypeRef::Global(_) => Kind::Global,
        TypeRef::Tag(_) => Kind::Tag,
    }
}
