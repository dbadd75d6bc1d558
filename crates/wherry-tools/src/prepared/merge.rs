//! Several modules and what links them become one module.
//!
//! Indices are renamed, code is carried over as it is otherwise. What one module imports from another is the item itself
//! afterwards, what it imports from elsewhere is imported once. Globals that nobody writes turn into their values, so that
//! segments whose offset was the global of another module have a constant one, and tables of functions can be filled lazily.
//! Segments stand in the order in which they were applied, and start functions are called in the order in which they were.
//! Names of functions are kept, as traps tell them; DWARF is not, as it speaks of places in the code. Start at [`merge`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, ExportSection, Function,
    FunctionSection, GlobalSection, ImportSection, MemorySection, Module, NameMap, NameSection, StartSection,
    TableSection, TagSection, TypeSection,
};
use wasmparser::{DataKind, ElementItems, ElementKind, FuncType, Name, Operator};

use super::Reason;
use super::choice::{Shapes, origins};
use super::constant::Constant;
use super::outline::{Kind, Origin, Outline, Spaces, index};
use super::renaming::{Global, Map, Renaming, plain};
use super::shape::{Shape, kind_of};

/// Under which name all that comes from elsewhere is imported.
pub(super) const ELSEWHERE: &str = "host";

/// One module made of several.
pub(super) struct Fused<'a> {
    pub(super) bytes: Vec<u8>,
    /// What it imports, each under its number.
    pub(super) imports: Vec<(Kind, Origin<'a>)>,
    /// The names of what others need of it.
    pub(super) exports: HashMap<(usize, &'a str), (Kind, String)>,
}

/// Fuses `members`, of which others need the exports that are `wanted`.
pub(super) fn merge<'a>(
    outline: &Outline<'a>,
    shapes: &Shapes<'a>,
    members: &[usize],
    wanted: &BTreeSet<(usize, &'a str)>,
) -> Result<Fused<'a>, Reason> {
    let mut merger = Merger::new(shapes, members)?;
    merger.add_types()?;
    merger.link(outline)?;
    let exports = merger.exports(wanted)?;
    merger.settle_globals(&exports)?;
    let bytes = merger.write(&exports)?;
    let names = exports
        .into_iter()
        .map(|export| (export.key, (export.kind, export.name)));
    Ok(Fused {
        bytes,
        imports: merger
            .imports
            .iter()
            .map(|import| (import.kind, import.origin))
            .collect(),
        exports: names.collect(),
    })
}

/// Something that comes from elsewhere, as the member imports it that is first to do so.
struct Import<'a> {
    kind: Kind,
    origin: Origin<'a>,
    member: usize,
    ty: wasmparser::TypeRef,
}

/// Something that others need; a global by its slot.
struct Export<'a> {
    key: (usize, &'a str),
    kind: Kind,
    item: u32,
    name: String,
}

struct Merger<'s, 'a> {
    /// Instance and module of each member, in the order in which they are made.
    members: Vec<(usize, &'s Shape<'a>)>,
    places: HashMap<usize, usize>,
    types: TypeSection,
    /// How many types there are, as groups have several.
    type_count: u32,
    plain: HashMap<FuncType, u32>,
    maps: Vec<Map>,
    imports: Vec<Import<'a>>,
    /// How many items there are of each kind.
    counts: Spaces<u32>,
    globals: Vec<Global>,
}

impl<'s, 'a> Merger<'s, 'a> {
    fn new(shapes: &'s Shapes<'a>, members: &[usize]) -> Result<Self, Reason> {
        let members = members.iter().map(|member| Some((*member, shapes.get(member)?)));
        let members: Vec<_> = members.collect::<Option<_>>().ok_or_else(Reason::malformed)?;
        let places = members
            .iter()
            .enumerate()
            .map(|(place, (instance, _))| (*instance, place));
        Ok(Self {
            places: places.collect(),
            maps: members.iter().map(|_| Map::default()).collect(),
            members,
            types: TypeSection::new(),
            type_count: 0,
            plain: HashMap::new(),
            imports: Vec::new(),
            counts: [0; 5],
            globals: Vec::new(),
        })
    }

    fn add_types(&mut self) -> Result<(), Reason> {
        for place in 0..self.members.len() {
            for group in self.members[place].1.types.clone().into_iter().flatten() {
                let group = group?;
                let key = plain(&group).cloned();
                if let Some(known) = key.as_ref().and_then(|key| self.plain.get(key)) {
                    self.maps[place].types.push(*known);
                    continue;
                }
                let first = self.type_count;
                let count = index(group.types().len())?;
                self.maps[place].types.extend(first..first + count);
                let mut renaming = Renaming::new(&self.maps[place], &[]);
                renaming.parse_recursive_type_group(self.types.ty(), group)?;
                self.type_count = first + count;
                if let Some(key) = key {
                    self.plain.insert(key, first);
                }
            }
        }
        Ok(())
    }

    /// Gives every item its index, and every import what it stands for.
    fn link(&mut self, outline: &Outline<'a>) -> Result<(), Reason> {
        let mut sources = Vec::new();
        let mut known: HashMap<(Kind, Origin<'a>), u32> = HashMap::new();
        for (place, (instance, shape)) in self.members.iter().enumerate() {
            let from = origins(outline, shape, *instance)?;
            for (import, origin) in shape.imports.iter().zip(&from) {
                let kind = kind_of(&import.ty);
                let inside =
                    matches!(origin, Origin::Export { instance, .. } if self.places.contains_key(instance));
                if !inside && !known.contains_key(&(kind, *origin)) {
                    known.insert((kind, *origin), self.counts[kind as usize]);
                    self.counts[kind as usize] += 1;
                    self.imports.push(Import {
                        kind,
                        origin: *origin,
                        member: place,
                        ty: import.ty,
                    });
                }
            }
            sources.push(from);
        }
        for (place, from) in sources.iter().enumerate() {
            let shape = self.members[place].1;
            for (import, origin) in shape.imports.iter().zip(from) {
                let kind = kind_of(&import.ty);
                let item = match known.get(&(kind, *origin)) {
                    Some(item) => *item,
                    None => self.exported(*origin)?.1,
                };
                self.maps[place].items[kind as usize].push(item);
            }
            for kind in Kind::ALL {
                let first = self.counts[kind as usize];
                let next = first
                    .checked_add(shape.defined(kind))
                    .ok_or_else(Reason::malformed)?;
                self.maps[place].items[kind as usize].extend(first..next);
                self.counts[kind as usize] = next;
            }
        }
        self.place_segments()
    }

    /// What a member exports, by the index that it has now.
    fn exported(&self, origin: Origin<'a>) -> Result<(Kind, u32), Reason> {
        let Origin::Export { instance, name } = origin else {
            return Err(Reason::malformed());
        };
        let place = *self.places.get(&instance).ok_or_else(Reason::malformed)?;
        let export = self.members[place].1.exports.get(name);
        let (kind, index) = *export.ok_or_else(Reason::malformed)?;
        let item = self.maps[place].items[kind as usize].get(index as usize);
        Ok((kind, *item.ok_or_else(Reason::malformed)?))
    }

    fn place_segments(&mut self) -> Result<(), Reason> {
        let (mut elements, mut data) = (0_u32, 0_u32);
        for (map, (_, shape)) in self.maps.iter_mut().zip(&self.members) {
            (map.elements, map.data) = (elements, data);
            let added = shape
                .elements
                .as_ref()
                .map_or(0, wasmparser::SectionLimited::count);
            elements = elements.checked_add(added).ok_or_else(Reason::malformed)?;
            let added = shape.data.as_ref().map_or(0, wasmparser::SectionLimited::count);
            data = data.checked_add(added).ok_or_else(Reason::malformed)?;
        }
        Ok(())
    }

    /// What others need, under names of which each is there once.
    fn exports(&self, wanted: &BTreeSet<(usize, &'a str)>) -> Result<Vec<Export<'a>>, Reason> {
        let mut taken = HashSet::new();
        let mut exports = Vec::new();
        for key in wanted {
            let (instance, name) = *key;
            let (kind, item) = self.exported(Origin::Export { instance, name })?;
            let mut own = name.to_owned();
            let mut number = 1_u32;
            while !taken.insert(own.clone()) {
                number += 1;
                own = format!("{name}:{number}");
            }
            exports.push(Export {
                key: *key,
                kind,
                item,
                name: own,
            });
        }
        Ok(exports)
    }

    /// Finds out which globals have one value for ever, and numbers the others.
    fn settle_globals(&mut self, exports: &[Export<'a>]) -> Result<(), Reason> {
        let mut written = self.written_globals()?;
        let shown = exports.iter().filter(|export| export.kind == Kind::Global);
        written.extend(shown.map(|export| export.item));
        let imported = self
            .imports
            .iter()
            .filter(|import| import.kind == Kind::Global)
            .count();
        let mut next = index(imported)?;
        self.globals = (0..next).map(Global::At).collect();
        for place in 0..self.members.len() {
            for global in self.members[place].1.globals.clone().into_iter().flatten() {
                let global = global?;
                let slot = index(self.globals.len())?;
                let known = |index: u32| {
                    let slot = self.maps[place].items[Kind::Global as usize].get(index as usize)?;
                    match self.globals.get(*slot as usize)? {
                        Global::Always(constant) => Some(*constant),
                        Global::At(_) => None,
                    }
                };
                let settled = match Constant::of(&global.init_expr, known) {
                    Some(constant) if !written.contains(&slot) => Global::Always(constant),
                    _ => {
                        next += 1;
                        Global::At(next - 1)
                    }
                };
                self.globals.push(settled);
            }
        }
        Ok(())
    }

    /// The slots of globals that code writes to.
    fn written_globals(&self) -> Result<HashSet<u32>, Reason> {
        let mut written = HashSet::new();
        for (map, (_, shape)) in self.maps.iter().zip(&self.members) {
            for body in shape.code.clone().into_iter().flatten() {
                let mut operators = body?.get_operators_reader()?;
                while !operators.eof() {
                    if let Operator::GlobalSet { global_index } = operators.read()? {
                        let slot = map.items[Kind::Global as usize].get(global_index as usize);
                        written.insert(*slot.ok_or_else(Reason::malformed)?);
                    }
                }
            }
        }
        Ok(written)
    }

    fn write(&mut self, exports: &[Export<'a>]) -> Result<Vec<u8>, Reason> {
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        let mut sections = Sections::default();
        for (map, (_, shape)) in self.maps.iter().zip(&self.members) {
            let mut renaming = Renaming::new(map, &self.globals);
            if let Some(section) = shape.functions.clone() {
                renaming.parse_function_section(&mut functions, section)?;
            }
            sections.add(&mut renaming, shape)?;
            if let Some(section) = shape.code.clone() {
                renaming.parse_code_section(&mut code, section)?;
            }
            sections.referenced.append(&mut renaming.referenced);
        }
        let start = self.start(&mut functions, &mut code)?;
        let mut module = Module::new();
        module.section(&self.types);
        module.section(&self.import_section()?);
        module.section(&functions);
        module.section(&sections.tables);
        module.section(&sections.memories);
        if !sections.tags.is_empty() {
            module.section(&sections.tags);
        }
        module.section(&sections.globals);
        module.section(&self.export_section(exports));
        if let Some(function_index) = start {
            module.section(&StartSection { function_index });
        }
        module.section(sections.declared());
        if self.members.iter().any(|(_, shape)| shape.data_count.is_some()) {
            let count = sections.data.len();
            module.section(&DataCountSection { count });
        }
        module.section(&code);
        module.section(&sections.data);
        module.section(&self.names());
        Ok(module.finish())
    }

    /// What is called at the start: the one function that there is, or a new one that calls them one after another.
    fn start(
        &mut self,
        functions: &mut FunctionSection,
        code: &mut CodeSection,
    ) -> Result<Option<u32>, Reason> {
        let mut starts = Vec::new();
        for (map, (_, shape)) in self.maps.iter().zip(&self.members) {
            if let Some(start) = shape.start {
                let function = map.items[Kind::Func as usize].get(start as usize);
                starts.push(*function.ok_or_else(Reason::malformed)?);
            }
        }
        if starts.len() < 2 {
            return Ok(starts.pop());
        }
        let ty = if let Some(ty) = self.plain.get(&FuncType::new([], [])) {
            *ty
        } else {
            self.types.ty().function([], []);
            self.type_count += 1;
            self.type_count - 1
        };
        functions.function(ty);
        let mut body = Function::new([]);
        for function in starts {
            body.instructions().call(function);
        }
        body.instructions().end();
        code.function(&body);
        Ok(Some(self.counts[Kind::Func as usize]))
    }

    fn import_section(&self) -> Result<ImportSection, Reason> {
        let mut section = ImportSection::new();
        for (number, import) in self.imports.iter().enumerate() {
            let ty = Renaming::new(&self.maps[import.member], &[]).entity_type(import.ty)?;
            section.import(ELSEWHERE, &number.to_string(), ty);
        }
        Ok(section)
    }

    fn export_section(&self, exports: &[Export<'a>]) -> ExportSection {
        let mut section = ExportSection::new();
        for export in exports {
            let item = match self.globals.get(export.item as usize) {
                Some(Global::At(index)) if export.kind == Kind::Global => *index,
                _ => export.item,
            };
            section.export(&export.name, export.kind.into(), item);
        }
        section
    }

    /// The names of functions, as their modules have them, and the name of the largest module.
    fn names(&self) -> NameSection {
        let imported = self
            .imports
            .iter()
            .filter(|import| import.kind == Kind::Func)
            .count();
        let mut found: BTreeMap<u32, &str> = BTreeMap::new();
        let mut module: Option<(usize, &str)> = None;
        for (map, (_, shape)) in self.maps.iter().zip(&self.members) {
            // Nobody has validated it: what cannot be read is left out.
            for part in shape.names.clone().into_iter().flatten().map_while(Result::ok) {
                match part {
                    Name::Module { name, .. } if module.is_none_or(|(size, _)| size < shape.size) => {
                        module = Some((shape.size, name));
                    }
                    Name::Function(names) => {
                        let own = shape.imported[Kind::Func as usize];
                        for name in names.into_iter().map_while(Result::ok) {
                            let function = map.items[Kind::Func as usize].get(name.index as usize);
                            if let Some(function) = function
                                && (name.index >= own || (*function as usize) < imported)
                            {
                                found.insert(*function, name.name);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut functions = NameMap::new();
        for (function, name) in found {
            functions.append(function, name);
        }
        let mut section = NameSection::new();
        if let Some((_, name)) = module {
            section.module(name);
        }
        section.functions(&functions);
        section
    }
}

/// What is gathered of all members, one after another.
#[derive(Default)]
struct Sections {
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
    elements: ElementSection,
    data: DataSection,
    /// Functions that code takes references to, which has to be declared.
    referenced: BTreeSet<u32>,
}

impl Sections {
    fn add(&mut self, renaming: &mut Renaming<'_>, shape: &Shape<'_>) -> Result<(), Reason> {
        if let Some(section) = shape.tables.clone() {
            renaming.parse_table_section(&mut self.tables, section)?;
        }
        if let Some(section) = shape.memories.clone() {
            renaming.parse_memory_section(&mut self.memories, section)?;
        }
        if let Some(section) = shape.tags.clone() {
            renaming.parse_tag_section(&mut self.tags, section)?;
        }
        let first = shape.imported[Kind::Global as usize];
        for (number, global) in (first..).zip(shape.globals.clone().into_iter().flatten()) {
            if let Global::At(_) = renaming.global(number)? {
                renaming.parse_global(&mut self.globals, global?)?;
            }
        }
        for element in shape.elements.clone().into_iter().flatten() {
            self.element(renaming, element?)?;
        }
        for data in shape.data.clone().into_iter().flatten() {
            let data = data?;
            let bytes = data.data.iter().copied();
            match data.kind {
                DataKind::Passive => self.data.passive(bytes),
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => {
                    let offset = offset(renaming, &offset_expr)?;
                    self.data
                        .active(renaming.memory_index(memory_index)?, &offset, bytes)
                }
            };
        }
        Ok(())
    }

    fn element(
        &mut self,
        renaming: &mut Renaming<'_>,
        element: wasmparser::Element<'_>,
    ) -> Result<(), Reason> {
        let items = match functions(renaming, &element.items)? {
            Some(functions) => Elements::Functions(functions.into()),
            None => renaming.element_items(element.items)?,
        };
        match element.kind {
            ElementKind::Passive => self.elements.passive(items),
            ElementKind::Declared => self.elements.declared(items),
            ElementKind::Active {
                table_index,
                offset_expr,
            } => {
                let offset = offset(renaming, &offset_expr)?;
                // Without a number it is the first table, and functions; another form says any table.
                let table = Some(renaming.table_index(table_index.unwrap_or(0))?).filter(|table| *table != 0);
                self.elements.active(table, &offset, items)
            }
        };
        Ok(())
    }

    /// All segments of elements, and one more that declares what code takes references to.
    fn declared(&mut self) -> &ElementSection {
        if !self.referenced.is_empty() {
            let referenced: Vec<u32> = self.referenced.iter().copied().collect();
            self.elements.declared(Elements::Functions(referenced.into()));
        }
        &self.elements
    }
}

/// Where a segment goes, as a number if that can be known.
fn offset(renaming: &mut Renaming<'_>, expression: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Reason> {
    let known = |index| match renaming.global(index) {
        Ok(Global::Always(constant)) => Some(constant),
        _ => None,
    };
    match Constant::of(expression, known) {
        Some(constant) => Ok(constant.expression()),
        None => Ok(renaming.const_expr(expression.clone())?),
    }
}

/// The functions of a segment that is nothing but functions, in whatever form it has them: only the short form of segments is
/// what tables are filled with lazily.
fn functions(renaming: &mut Renaming<'_>, items: &ElementItems<'_>) -> Result<Option<Vec<u32>>, Reason> {
    let ElementItems::Expressions(ty, expressions) = items else {
        return Ok(None);
    };
    if *ty != wasmparser::RefType::FUNCREF {
        return Ok(None);
    }
    let mut functions = Vec::new();
    for expression in expressions.clone() {
        let mut operators = expression?.get_operators_reader();
        let Operator::RefFunc { function_index } = operators.read()? else {
            return Ok(None);
        };
        if !operators.is_end_then_eof() {
            return Ok(None);
        }
        functions.push(renaming.function_index(function_index)?);
    }
    Ok(Some(functions))
}
