//! What modules write into their memories while they are instantiated, taken out of them as images.
//!
//! An image is what a memory holds before any code of the guest runs, so that a server can map it, and put back the pages that
//! a request wrote. The module declares the memory as before and writes nothing to it. Passive segments stay under their
//! numbers; so does what is written into the memory of another module, as that comes later. Start functions run after the
//! image is in place, as they ran after the segments. Start at [`strip`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use wasm_encoder::{CustomSection, DataSection, Encode as _, RawSection, Section as _};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    DataKind, Instance, Parser, Payload,
};

use super::constant::Constant;
use super::outline::Kind;
use super::shape::Shape;
use super::{Image, Reason};
use crate::adapter::HEADER;
use crate::layout::DEEPEST;

/// The section that tells whoever looks at it that a component must not run without its images, with the place, pages and length of each.
const IMAGES: &str = "wherry:images";

const PAGE: u64 = 65_536;
/// Images are whole pages of the machine.
const GRAIN: usize = 4_096;
/// How long an image may be: a segment at the end of 4 GiB would make one of 4 GiB.
const LONGEST: u64 = 512 << 20;
/// How many memories one instantiation may make and still be followed.
const MOST_MEMORIES: usize = 1_000;

/// The component without active segments for memories of their own module, and what they held.
pub(super) fn strip(component: &[u8]) -> Result<(Vec<u8>, Vec<Image>), Reason> {
    let mut walker = Stripper::default();
    walker.walk(component, 0)?;
    let mut images = Vec::new();
    for (order, (module, memory)) in (0_u32..).zip(&walker.memories) {
        let made = walker.modules.get(module).ok_or_else(Reason::malformed)?;
        if let Some((pages, bytes)) = made.images.get(memory) {
            images.push(Image {
                memory: order,
                pages: *pages,
                bytes: bytes.clone(),
            });
        }
    }
    let mut rest = walker.rewritten(component)?;
    if !images.is_empty() {
        let mut data = Vec::new();
        for image in &images {
            image.memory.encode(&mut data);
            image.pages.encode(&mut data);
            image.bytes.len().encode(&mut data);
        }
        let section = CustomSection {
            name: IMAGES.into(),
            data: data.into(),
        };
        section.append_to(&mut rest);
    }
    Ok((rest, images))
}

/// One module without what it writes into its memories, and what they held.
pub(super) fn module(bytes: &[u8]) -> Result<(Vec<u8>, Vec<Image>), Reason> {
    let stripped = Stripped::of(bytes)?;
    let images = stripped.images.into_iter();
    let images = images.map(|(memory, (pages, bytes))| Image { memory, pages, bytes });
    Ok((stripped.bytes, images.collect()))
}

/// A module without its segments, and the pages and bytes of each memory that they wrote to.
struct Stripped {
    bytes: Vec<u8>,
    images: BTreeMap<u32, (u64, Vec<u8>)>,
    memories: u32,
}

/// Modules are told apart by where they are: all slices are parts of one component.
#[derive(Default)]
struct Stripper {
    modules: HashMap<usize, Stripped>,
    /// Each memory that an instantiation makes, in their order, by its module and its number there.
    memories: Vec<(usize, u32)>,
}

/// What an instance can be made of at one level; of what comes from elsewhere nothing is known.
#[derive(Default)]
struct Level<'a> {
    modules: Vec<Option<&'a [u8]>>,
    components: Vec<Option<&'a [u8]>>,
}

impl<'a> Level<'a> {
    fn elsewhere(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(None),
            ComponentExternalKind::Component => self.components.push(None),
            _ => {}
        }
    }

    /// Takes in what a section defines that an instance can be made of.
    fn define(&mut self, payload: &Payload<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                self.modules.push(Some(&bytes[unchecked_range.clone()]));
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                self.components.push(Some(&bytes[unchecked_range.clone()]));
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => self.elsewhere(kind),
                        ComponentAlias::Outer { kind, .. } => match kind {
                            ComponentOuterAliasKind::CoreModule => self.modules.push(None),
                            ComponentOuterAliasKind::Component => self.components.push(None),
                            _ => {}
                        },
                        ComponentAlias::CoreInstanceExport { .. } => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let kind = export?.kind;
                    if kind == ComponentExternalKind::Module {
                        return Err(Reason::new("it exports a module, which others may instantiate"));
                    }
                    self.elsewhere(kind);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Stripper {
    /// Follows one instantiation of the component in `bytes`.
    fn walk(&mut self, bytes: &[u8], depth: usize) -> Result<(), Reason> {
        let mut level = Level::default();
        for payload in sections(bytes)? {
            level.define(&payload, bytes)?;
            match payload {
                Payload::InstanceSection(section) => {
                    for instance in section {
                        if let Instance::Instantiate { module_index, .. } = instance? {
                            let module = level.modules.get(module_index as usize).copied().flatten();
                            self.instantiated(module.ok_or_else(|| unknown("module"))?)?;
                        }
                    }
                }
                Payload::ComponentInstanceSection(section) => {
                    for instance in section {
                        if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                            let inside = level.components.get(component_index as usize).copied().flatten();
                            if depth >= DEEPEST {
                                return Err(Reason::new("its components nest too deep"));
                            }
                            self.walk(inside.ok_or_else(|| unknown("component"))?, depth + 1)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn instantiated(&mut self, module: &[u8]) -> Result<(), Reason> {
        let key = module.as_ptr() as usize;
        let memories = match self.modules.entry(key) {
            Entry::Occupied(known) => known.get().memories,
            Entry::Vacant(place) => place.insert(Stripped::of(module)?).memories,
        };
        self.memories.extend((0..memories).map(|memory| (key, memory)));
        if self.memories.len() > MOST_MEMORIES {
            return Err(Reason::new("it makes too many memories"));
        }
        Ok(())
    }

    /// The component with each module that is instantiated as it is without its segments.
    fn rewritten(&self, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut made = bytes[..HEADER.min(bytes.len())].to_vec();
        for payload in sections(bytes)? {
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let data = &bytes[range];
            match payload {
                Payload::ModuleSection { .. } => {
                    let stripped = self.modules.get(&(data.as_ptr() as usize));
                    let data = stripped.map_or(data, |stripped| &stripped.bytes);
                    RawSection { id, data }.append_to(&mut made);
                }
                Payload::ComponentSection { .. } => {
                    let data = &self.rewritten(data)?;
                    RawSection { id, data }.append_to(&mut made);
                }
                _ => RawSection { id, data }.append_to(&mut made),
            }
        }
        Ok(made)
    }
}

fn unknown(what: &str) -> Reason {
    Reason::new(format!(
        "it instantiates a {what} that it is handed, so its memories cannot be counted"
    ))
}

/// The sections of one level, those of modules and components unopened.
pub(super) fn sections(bytes: &[u8]) -> Result<Vec<Payload<'_>>, Reason> {
    let mut parser = Parser::new(0);
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            return Err(Reason::malformed());
        };
        rest = &rest[consumed..];
        match &payload {
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                rest = &rest[unchecked_range.len()..];
            }
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = &rest[*size as usize..];
            }
            _ => {}
        }
        found.push(payload);
    }
    Ok(found)
}

impl Stripped {
    fn of(module: &[u8]) -> Result<Self, Reason> {
        let shape = Shape::read(module)?;
        let imported = shape.imported[Kind::Memory as usize];
        let mut images: BTreeMap<u32, (u64, Vec<u8>)> = BTreeMap::new();
        let mut rest = DataSection::new();
        for data in shape.data.clone().into_iter().flatten() {
            let data = data?;
            match data.kind {
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } if memory_index >= imported => {
                    let memory = memory_index - imported;
                    let offset = Constant::of(&offset_expr, |_| None).and_then(Constant::unsigned);
                    let offset = offset.ok_or_else(|| {
                        Reason::new("a data segment has its place from a global that another module sets")
                    })?;
                    write(
                        &shape,
                        memory,
                        images.entry(memory).or_default(),
                        offset,
                        data.data,
                    )?;
                    // An active segment is dropped once it is applied; an empty one behaves as one that was dropped.
                    if shape.data_count.is_some() {
                        rest.passive([]);
                    }
                }
                _ => {
                    rest.raw(&module[data.range]);
                }
            }
        }
        for (_, bytes) in images.values_mut() {
            trim(bytes);
        }
        images.retain(|_, (_, bytes)| !bytes.is_empty());
        Ok(Self {
            bytes: without(module, &rest)?,
            images,
            memories: shape.defined(Kind::Memory),
        })
    }
}

/// Puts a segment into the image of a memory.
fn write(
    shape: &Shape<'_>,
    memory: u32,
    image: &mut (u64, Vec<u8>),
    offset: u64,
    data: &[u8],
) -> Result<(), Reason> {
    let ty = shape.memories.clone().into_iter().flatten().nth(memory as usize);
    let ty = ty.ok_or_else(Reason::malformed)??;
    if ty.page_size_log2.is_some_and(|log| log != 16) || ty.shared {
        return Err(Reason::new(
            "a memory of it is shared or has pages of another size",
        ));
    }
    image.0 = ty.initial;
    let end = offset.saturating_add(data.len() as u64);
    if end > ty.initial.saturating_mul(PAGE) {
        return Err(Reason::new(
            "a data segment lies outside of its memory, so it never starts",
        ));
    }
    if end > LONGEST {
        return Err(Reason::new(format!(
            "its memory is written to beyond {} MiB",
            LONGEST >> 20
        )));
    }
    let (Ok(start), Ok(end)) = (usize::try_from(offset), usize::try_from(end)) else {
        return Err(Reason::malformed());
    };
    if image.1.len() < end {
        image.1.resize(end, 0);
    }
    image.1[start..end].copy_from_slice(data);
    Ok(())
}

/// Ends an image with the last page that is not all zero.
fn trim(bytes: &mut Vec<u8>) {
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    bytes.resize(used.next_multiple_of(GRAIN), 0);
    bytes.shrink_to_fit();
}

/// The module with other data segments; with none of them and nothing that counts on any, without the sections.
fn without(module: &[u8], rest: &DataSection) -> Result<Vec<u8>, Reason> {
    let mut made = module[..HEADER.min(module.len())].to_vec();
    for payload in sections(module)? {
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        match payload {
            Payload::DataSection(_) if rest.is_empty() => {}
            Payload::DataSection(_) => rest.append_to(&mut made),
            _ => RawSection {
                id,
                data: &module[range],
            }
            .append_to(&mut made),
        }
    }
    Ok(made)
}
