//! A component as a list of what it defines, one after another, with each core item followed to where it comes from.
//!
//! Only its outermost level: components inside it are bytes here. The index spaces of the component level are left alone by
//! all that follows, those of the core level are numbered anew. Start reading at [`Outline::read`].

use std::collections::HashMap;

use wasm_encoder::reencode::{Error as Reencoded, Reencode, ReencodeComponent};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, ExternalKind, Instance, Parser, Payload,
};

use super::Reason;

/// The kinds of items that core modules share, each with an index space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// One value for each index space.
pub(super) type Spaces<T> = [T; 5];

impl Kind {
    pub(super) const ALL: Spaces<Self> = [Self::Func, Self::Table, Self::Memory, Self::Global, Self::Tag];
}

impl From<ExternalKind> for Kind {
    fn from(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Func,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }
}

impl From<Kind> for wasm_encoder::ExportKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Func => Self::Func,
            Kind::Table => Self::Table,
            Kind::Memory => Self::Memory,
            Kind::Global => Self::Global,
            Kind::Tag => Self::Tag,
        }
    }
}

/// Where a core item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Origin<'a> {
    /// A function that the component itself makes, by its index.
    Canon(u32),
    /// The export of an instantiated module.
    Export { instance: usize, name: &'a str },
}

/// One definition, or a section that is carried over as it stands.
pub(super) enum Item<'a> {
    Section {
        id: u8,
        data: &'a [u8],
    },
    Module(usize),
    Component(&'a [u8]),
    Instance(usize),
    /// The alias of a core item, by its kind and index.
    CoreAlias(Kind, u32),
    Alias(ComponentAlias<'a>),
    /// A function of the component, and the index that it has if it is a core function.
    Canon(CanonicalFunction, Option<u32>),
    /// Types of which one is a resource that a core function ends.
    Types(wasmparser::ComponentTypeSectionReader<'a>),
    /// Instances of components: the bytes, and the section if modules are handed to one.
    Instances {
        data: &'a [u8],
        modules: Option<wasmparser::ComponentInstanceSectionReader<'a>>,
    },
    /// Exports of which one is a module.
    Exports(wasmparser::ComponentExportSectionReader<'a>),
}

/// A module of the component.
pub(super) struct ModuleUse<'a> {
    /// Its bytes, unless it comes from elsewhere.
    pub(super) bytes: Option<&'a [u8]>,
    /// How often it is instantiated, exported, or handed on.
    pub(super) uses: usize,
    /// Which item of the list defines it.
    pub(super) item: usize,
}

/// A core instance.
pub(super) enum CoreInstance<'a> {
    Made {
        /// Where it stands among the items.
        item: usize,
        module: usize,
        args: HashMap<&'a str, usize>,
    },
    /// Items under names, made by the component to hand them on.
    Bundle {
        item: usize,
        exports: Vec<(&'a str, Kind, u32)>,
        origins: HashMap<&'a str, Origin<'a>>,
    },
}

#[derive(Default)]
pub(super) struct Outline<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) modules: Vec<ModuleUse<'a>>,
    pub(super) instances: Vec<CoreInstance<'a>>,
    /// Where each core item comes from, and which item of the list defines it.
    pub(super) core: Spaces<Vec<(Origin<'a>, usize)>>,
    /// Whether a component inside this one, or one from elsewhere, runs something when it is instantiated.
    pub(super) components_run: bool,
}

impl<'a> Outline<'a> {
    /// Reads the component in `bytes`, which is valid.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut outline = Self::default();
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                return Err(Reason::malformed());
            };
            rest = &rest[consumed..];
            if let Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } = &payload
            {
                rest = &rest[unchecked_range.len()..];
            }
            outline.take(payload, bytes)?;
        }
        Ok(outline)
    }

    fn take(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
        let section = payload.as_section();
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                self.modules.push(ModuleUse {
                    bytes: Some(&bytes[unchecked_range]),
                    uses: 0,
                    item: self.items.len(),
                });
                self.items.push(Item::Module(self.modules.len() - 1));
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                let nested = &bytes[unchecked_range];
                self.components_run |= runs(nested)?;
                self.items.push(Item::Component(nested));
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.instance(instance?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(alias?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.canon(function?);
                }
            }
            // Names of what is numbered anew; no message ever shows them.
            Payload::CustomSection(section) if section.name() == "component-name" => {}
            payload => {
                let item = self.outer(payload, bytes)?;
                let raw = section.map(|(id, range)| Item::Section {
                    id,
                    data: &bytes[range],
                });
                self.items.extend(item.or(raw));
            }
        }
        Ok(())
    }

    /// A section of the component level, unless it can stay as it stands.
    fn outer(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<Option<Item<'a>>, Reason> {
        let mut named = false;
        Ok(match payload {
            Payload::ComponentTypeSection(section) => {
                for ty in section.clone() {
                    named |= matches!(ty?, wasmparser::ComponentType::Resource { dtor: Some(_), .. });
                }
                named.then_some(Item::Types(section))
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    named |= self.component_instance(&instance?);
                }
                let data = &bytes[section.range()];
                let modules = named.then_some(section);
                Some(Item::Instances { data, modules })
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    named |= self.hands_on(export.kind, export.index);
                    match export.kind {
                        ComponentExternalKind::Module => self.foreign_module(),
                        ComponentExternalKind::Component => self.components_run = true,
                        _ => {}
                    }
                }
                named.then_some(Item::Exports(section))
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.foreign_module(),
                        ComponentTypeRef::Component(_) => self.components_run = true,
                        _ => {}
                    }
                }
                None
            }
            _ => None,
        })
    }

    fn foreign_module(&mut self) {
        self.modules.push(ModuleUse {
            bytes: None,
            uses: 0,
            item: self.items.len(),
        });
    }

    /// Whether it is a module that is handed on.
    fn hands_on(&mut self, kind: ComponentExternalKind, index: u32) -> bool {
        if kind != ComponentExternalKind::Module {
            return false;
        }
        if let Some(module) = self.modules.get_mut(index as usize) {
            module.uses += 1;
        }
        true
    }

    /// Whether modules are handed to an instance.
    fn component_instance(&mut self, instance: &ComponentInstance<'a>) -> bool {
        let handed: Vec<(ComponentExternalKind, u32)> = match instance {
            ComponentInstance::Instantiate { args, .. } => {
                args.iter().map(|arg| (arg.kind, arg.index)).collect()
            }
            ComponentInstance::FromExports(exports) => {
                exports.iter().map(|export| (export.kind, export.index)).collect()
            }
        };
        handed.into_iter().fold(false, |modules, (kind, index)| {
            modules | self.hands_on(kind, index)
        })
    }

    fn instance(&mut self, instance: Instance<'a>) -> Result<(), Reason> {
        let item = self.items.len();
        self.items.push(Item::Instance(self.instances.len()));
        let made = match instance {
            Instance::Instantiate { module_index, args } => {
                let module = module_index as usize;
                self.modules.get_mut(module).ok_or_else(Reason::malformed)?.uses += 1;
                let args = args.iter().map(|arg| (arg.name, arg.index as usize));
                CoreInstance::Made {
                    item,
                    module,
                    args: args.collect(),
                }
            }
            Instance::FromExports(exports) => {
                let named = exports
                    .iter()
                    .map(|export| (export.name, Kind::from(export.kind), export.index));
                let named: Vec<_> = named.collect();
                let mut origins = HashMap::new();
                for &(name, kind, index) in &named {
                    origins.insert(name, self.origin(kind, index)?);
                }
                CoreInstance::Bundle {
                    item,
                    exports: named,
                    origins,
                }
            }
        };
        self.instances.push(made);
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) -> Result<(), Reason> {
        let item = self.items.len();
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let kind = Kind::from(kind);
                let origin = self.exported(instance_index as usize, name)?;
                self.core[kind as usize].push((origin, item));
                let index = index(self.core[kind as usize].len() - 1)?;
                self.items.push(Item::CoreAlias(kind, index));
                return Ok(());
            }
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            }
            | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                ..
            } => {
                if let ComponentAlias::Outer { count: 0, index, .. } = alias {
                    self.hands_on(ComponentExternalKind::Module, index);
                }
                self.foreign_module();
            }
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Component,
                ..
            }
            | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                ..
            } => self.components_run = true,
            _ => {}
        }
        self.items.push(Item::Alias(alias));
        Ok(())
    }

    fn canon(&mut self, function: CanonicalFunction) {
        let functions = &mut self.core[Kind::Func as usize];
        let made = if matches!(function, CanonicalFunction::Lift { .. }) {
            None
        } else {
            let index = u32::try_from(functions.len()).unwrap_or(u32::MAX);
            functions.push((Origin::Canon(index), self.items.len()));
            Some(index)
        };
        self.items.push(Item::Canon(function, made));
    }

    /// Where a core item comes from.
    pub(super) fn origin(&self, kind: Kind, index: u32) -> Result<Origin<'a>, Reason> {
        let found = self.core[kind as usize].get(index as usize);
        Ok(found.ok_or_else(Reason::malformed)?.0)
    }

    /// Where an export of a core instance comes from.
    pub(super) fn exported(&self, instance: usize, name: &'a str) -> Result<Origin<'a>, Reason> {
        match self.instances.get(instance).ok_or_else(Reason::malformed)? {
            CoreInstance::Made { .. } => Ok(Origin::Export { instance, name }),
            CoreInstance::Bundle { origins, .. } => origins.get(name).copied().ok_or_else(Reason::malformed),
        }
    }

    /// Which item defines what comes from `origin`.
    pub(super) fn defined_at(&self, origin: Origin<'a>) -> usize {
        match origin {
            Origin::Canon(index) => self.core[Kind::Func as usize][index as usize].1,
            Origin::Export { instance, .. } => self.instances[instance].item(),
        }
    }

    /// What an item uses of the core level, where it is neither alias nor core instance.
    pub(super) fn uses(item: &Item<'a>) -> Result<Vec<(Kind, u32)>, Reason> {
        let mut uses = Uses(Vec::new());
        match item {
            Item::Canon(function, _) => {
                let mut section = wasm_encoder::CanonicalFunctionSection::new();
                uses.parse_component_canonical(&mut section, function.clone())?;
            }
            Item::Types(section) => {
                for ty in section.clone() {
                    if let wasmparser::ComponentType::Resource {
                        dtor: Some(index), ..
                    } = ty?
                    {
                        uses.0.push((Kind::Func, index));
                    }
                }
            }
            _ => {}
        }
        Ok(uses.0)
    }
}

impl CoreInstance<'_> {
    pub(super) fn item(&self) -> usize {
        match self {
            Self::Made { item, .. } | Self::Bundle { item, .. } => *item,
        }
    }
}

/// Notes which core items are named while something is written that nobody reads.
struct Uses(Vec<(Kind, u32)>);

impl Uses {
    fn note(&mut self, kind: Kind, index: u32) -> u32 {
        self.0.push((kind, index));
        index
    }
}

impl Reencode for Uses {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Reencoded> {
        Ok(self.note(Kind::Func, index))
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Reencoded> {
        Ok(self.note(Kind::Table, index))
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Reencoded> {
        Ok(self.note(Kind::Memory, index))
    }
}

impl ReencodeComponent for Uses {}

pub(super) fn index(place: usize) -> Result<u32, Reason> {
    u32::try_from(place).map_err(|_| Reason::malformed())
}

/// Whether something runs when the component in `bytes` is instantiated: whatever instantiates something may.
fn runs(bytes: &[u8]) -> Result<bool, Reason> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::InstanceSection(_)
        | Payload::ComponentInstanceSection(_)
        | Payload::ComponentStartSection { .. } = payload?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a component inside the one in `bytes` uses a module of it by an alias.
pub(super) fn lends_modules(bytes: &[u8]) -> Result<bool, Reason> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::Outer {
                        kind: ComponentOuterAliasKind::CoreModule,
                        count,
                        ..
                    } = alias?
                        && depth > 0
                        && count == depth
                    {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}
