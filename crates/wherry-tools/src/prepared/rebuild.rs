//! The component around the one module that its modules have become.
//!
//! Everything keeps its order and its types. The modules that are fused and what linked them go; what others need of them is
//! the export of the one module. The index spaces of the core level are numbered anew, one item after another. Start at
//! [`rebuild`].

use std::collections::{BTreeSet, HashMap, HashSet};

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExportSection,
    ComponentInstanceSection, ComponentTypeSection, ExportKind, InstanceSection, ModuleArg, RawSection,
};

use super::Reason;
use super::choice::{Choice, Shapes, choose, shapes};
use super::merge::{ELSEWHERE, Fused, merge};
use super::outline::{CoreInstance, Item, Kind, Origin, Outline, Spaces, index, lends_modules};
use super::renaming::{Missing, Renamed};

/// Ids of sections as the binary format has them.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const COMPONENT_INSTANCE: u8 = 5;

/// The component in `bytes`, which is valid, with what can become one module as one, or `None` if nothing can.
///
/// `inside` makes what components within it become, if they change.
pub(super) fn rebuild(bytes: &[u8], inside: Inside<'_>) -> Result<Option<Vec<u8>>, Reason> {
    let outline = Outline::read(bytes)?;
    let shapes = shapes(&outline)?;
    let mut choice = choose(&outline, &shapes)?;
    if choice.members.len() < 2 {
        choice.members.clear();
        choice.place = 0;
    } else if lends_modules(bytes)? {
        return Err(Reason::new("a component inside it uses a module of it"));
    }
    let wanted = wanted(&outline, &shapes, &choice.members)?;
    let fused = if choice.members.is_empty() {
        None
    } else {
        Some(merge(&outline, &shapes, &choice.members, &wanted.exports)?)
    };
    let mut rebuilder = Rebuilder {
        outline: &outline,
        choice: &choice,
        fused: fused.as_ref(),
        wanted: &wanted,
        component: Component::new(),
        numbers: Numbers::default(),
        next: Counters::default(),
        numbered: 0,
        fused_instance: 0,
        changed: fused.is_some(),
    };
    for (place, item) in outline.items.iter().enumerate() {
        if place == choice.place {
            rebuilder.fused_module()?;
        }
        rebuilder.item(place, item, inside)?;
        rebuilder.number_modules(place);
    }
    if choice.place == outline.items.len() {
        rebuilder.fused_module()?;
    }
    Ok(rebuilder.changed.then(|| rebuilder.component.finish()))
}

/// What a component within another becomes, if it changes.
pub(super) type Inside<'i> = &'i dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, Reason>;

/// What stays of the items that only link, and what others need of the members.
#[derive(Default)]
struct Wanted<'a> {
    bundles: HashSet<usize>,
    items: HashSet<(Kind, u32)>,
    exports: BTreeSet<(usize, &'a str)>,
    /// Members that an instance outside is given whole, with what it takes of them.
    whole: HashMap<usize, BTreeSet<&'a str>>,
}

fn wanted<'a>(outline: &Outline<'a>, shapes: &Shapes<'a>, members: &[usize]) -> Result<Wanted<'a>, Reason> {
    let mut wanted = Wanted::default();
    for (instance, made) in outline.instances.iter().enumerate() {
        let CoreInstance::Made { args, .. } = made else {
            continue;
        };
        if members.contains(&instance) {
            continue;
        }
        for (name, arg) in args {
            if matches!(outline.instances[*arg], CoreInstance::Bundle { .. }) {
                wanted.bundles.insert(*arg);
            } else if members.contains(arg) {
                let taken = wanted.whole.entry(*arg).or_default();
                match shapes.get(&instance) {
                    Some(shape) => {
                        let imports = shape.imports.iter().filter(|import| import.module == *name);
                        taken.extend(imports.map(|import| import.name));
                    }
                    // What a module from elsewhere takes is not known.
                    None => taken.extend(shapes.get(arg).into_iter().flat_map(|shape| shape.exports.keys())),
                }
            }
        }
    }
    for item in &outline.items {
        wanted.items.extend(Outline::uses(item)?);
    }
    for bundle in &wanted.bundles {
        if let CoreInstance::Bundle { exports, .. } = &outline.instances[*bundle] {
            wanted
                .items
                .extend(exports.iter().map(|(_, kind, index)| (*kind, *index)));
        }
    }
    for (kind, index) in &wanted.items {
        if let Origin::Export { instance, name } = outline.origin(*kind, *index)?
            && members.contains(&instance)
        {
            wanted.exports.insert((instance, name));
        }
    }
    for (member, names) in &wanted.whole {
        wanted.exports.extend(names.iter().map(|name| (*member, *name)));
    }
    Ok(wanted)
}

/// The indices that items of the core level have now, by those that they had.
#[derive(Default)]
struct Numbers {
    items: Spaces<HashMap<u32, u32>>,
    instances: HashMap<usize, u32>,
    modules: HashMap<usize, u32>,
}

/// How many items there are so far.
#[derive(Default)]
struct Counters {
    items: Spaces<u32>,
    instances: u32,
    modules: u32,
}

impl Numbers {
    fn item(&self, kind: Kind, index: u32) -> Renamed {
        let found = self.items[kind as usize].get(&index).copied();
        found.ok_or(Error::UserError(Missing))
    }
}

impl Reencode for Numbers {
    type Error = Missing;

    fn function_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Func, index)
    }

    fn table_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Memory, index)
    }
}

impl ReencodeComponent for Numbers {
    fn outer_module_index(&mut self, count: u32, index: u32) -> u32 {
        if count == 0 {
            self.module_index(index)
        } else {
            index
        }
    }

    fn module_index(&mut self, index: u32) -> u32 {
        self.modules.get(&(index as usize)).copied().unwrap_or(u32::MAX)
    }
}

fn taken(counter: &mut u32) -> u32 {
    *counter += 1;
    *counter - 1
}

struct Rebuilder<'r, 'a> {
    outline: &'r Outline<'a>,
    choice: &'r Choice,
    fused: Option<&'r Fused<'a>>,
    wanted: &'r Wanted<'a>,
    component: Component,
    numbers: Numbers,
    next: Counters,
    /// How many modules have their number, or are known to need none.
    numbered: usize,
    fused_instance: u32,
    changed: bool,
}

impl<'a> Rebuilder<'_, 'a> {
    fn item(&mut self, place: usize, item: &Item<'a>, inside: Inside<'_>) -> Result<(), Reason> {
        match item {
            Item::Section { id, data } => self.raw(*id, data),
            Item::Module(module) => {
                if let Some(bytes) = self.outline.modules[*module].bytes
                    && !self.is_fused(*module)
                {
                    self.raw(MODULE, bytes);
                }
            }
            Item::Component(bytes) => {
                let made = inside(bytes)?;
                self.changed |= made.is_some();
                self.raw(COMPONENT, made.as_deref().unwrap_or(bytes));
            }
            Item::Instance(instance) => return self.instance(place, *instance),
            Item::CoreAlias(kind, index) => return self.core_alias(place, *kind, *index),
            Item::Alias(alias) => {
                let mut section = ComponentAliasSection::new();
                section.alias(self.numbers.component_alias(alias.clone())?);
                self.component.section(&section);
            }
            Item::Canon(function, made) => {
                let mut section = CanonicalFunctionSection::new();
                self.numbers
                    .parse_component_canonical(&mut section, function.clone())?;
                self.component.section(&section);
                if let Some(index) = made {
                    let number = taken(&mut self.next.items[Kind::Func as usize]);
                    self.numbers.items[Kind::Func as usize].insert(*index, number);
                }
            }
            Item::Types(section) => {
                let mut types = ComponentTypeSection::new();
                self.numbers
                    .parse_component_type_section(&mut types, section.clone())?;
                self.component.section(&types);
            }
            Item::Instances { data, modules: None } => self.raw(COMPONENT_INSTANCE, data),
            Item::Instances {
                modules: Some(section),
                ..
            } => {
                let mut instances = ComponentInstanceSection::new();
                self.numbers
                    .parse_component_instance_section(&mut instances, section.clone())?;
                self.component.section(&instances);
            }
            Item::Exports(section) => {
                let mut exports = ComponentExportSection::new();
                self.numbers
                    .parse_component_export_section(&mut exports, section.clone())?;
                self.component.section(&exports);
            }
        }
        Ok(())
    }

    fn raw(&mut self, id: u8, data: &[u8]) {
        self.component.section(&RawSection { id, data });
    }

    fn is_fused(&self, module: usize) -> bool {
        let of_module = |member: &usize| matches!(&self.outline.instances[*member], CoreInstance::Made { module: own, .. } if *own == module);
        self.choice.members.iter().any(of_module)
    }

    /// Numbers the modules that an item defines, or passes on.
    fn number_modules(&mut self, place: usize) {
        while let Some(module) = self.outline.modules.get(self.numbered)
            && module.item <= place
        {
            if !self.is_fused(self.numbered) {
                let number = taken(&mut self.next.modules);
                self.numbers.modules.insert(self.numbered, number);
            }
            self.numbered += 1;
        }
    }

    /// The instance that has `origin`, if it is one of those that are fused.
    fn member(&self, origin: Origin<'a>) -> Option<(usize, &'a str)> {
        match origin {
            Origin::Export { instance, name } if self.choice.members.contains(&instance) => {
                Some((instance, name))
            }
            _ => None,
        }
    }

    fn core_alias(&mut self, place: usize, kind: Kind, index: u32) -> Result<(), Reason> {
        let origin = self.outline.origin(kind, index)?;
        if !self.wanted.items.contains(&(kind, index)) {
            return Ok(());
        }
        if self.member(origin).is_some() && place < self.choice.place {
            return Ok(());
        }
        let number = self.alias(kind, origin)?;
        self.numbers.items[kind as usize].insert(index, number);
        Ok(())
    }

    /// Makes a new item of what comes from `origin`.
    fn alias(&mut self, kind: Kind, origin: Origin<'a>) -> Result<u32, Reason> {
        let (instance, name) = match (origin, self.member(origin)) {
            (_, Some(key)) => {
                let fused = self.fused.ok_or_else(Reason::malformed)?;
                let (_, name) = fused.exports.get(&key).ok_or_else(Reason::malformed)?;
                (self.fused_instance, name.as_str())
            }
            (Origin::Export { instance, name }, None) => (self.instance_number(instance)?, name),
            (Origin::Canon(index), None) => return Ok(self.numbers.item(Kind::Func, index)?),
        };
        let mut section = ComponentAliasSection::new();
        section.alias(Alias::CoreInstanceExport {
            instance,
            kind: kind.into(),
            name,
        });
        self.component.section(&section);
        Ok(taken(&mut self.next.items[kind as usize]))
    }

    fn instance_number(&self, instance: usize) -> Result<u32, Reason> {
        let number = self.numbers.instances.get(&instance).copied();
        number.ok_or_else(Reason::malformed)
    }

    fn instance(&mut self, place: usize, instance: usize) -> Result<(), Reason> {
        let outline = self.outline;
        match &outline.instances[instance] {
            CoreInstance::Bundle { exports, origins, .. } => {
                let later = place < self.choice.place
                    && origins.values().any(|origin| self.member(*origin).is_some());
                if self.wanted.bundles.contains(&instance) && !later {
                    self.bundle_again(instance, exports)?;
                }
            }
            CoreInstance::Made { module, args, .. } => {
                if self.choice.members.contains(&instance) {
                    return Ok(());
                }
                let mut named = Vec::new();
                for (name, arg) in args {
                    named.push((*name, ModuleArg::Instance(self.given(*arg)?)));
                }
                named.sort_unstable_by_key(|(name, _)| *name);
                let module = self.numbers.module_index(index(*module)?);
                let number = self.section(InstanceSection::new().instantiate(module, named));
                self.numbers.instances.insert(instance, number);
            }
        }
        Ok(())
    }

    fn section(&mut self, section: &InstanceSection) -> u32 {
        self.component.section(section);
        taken(&mut self.next.instances)
    }

    fn bundle_again(&mut self, instance: usize, exports: &[(&'a str, Kind, u32)]) -> Result<(), Reason> {
        let mut items = Vec::new();
        for (name, kind, index) in exports {
            items.push((*name, (*kind).into(), self.numbers.item(*kind, *index)?));
        }
        let number = self.section(InstanceSection::new().export_items(items));
        self.numbers.instances.insert(instance, number);
        Ok(())
    }

    /// The instance that another is given; a member is a bundle of what is taken of it.
    fn given(&mut self, arg: usize) -> Result<u32, Reason> {
        if let Some(number) = self.numbers.instances.get(&arg) {
            return Ok(*number);
        }
        let names = self.wanted.whole.get(&arg).ok_or_else(Reason::malformed)?;
        let fused = self.fused.ok_or_else(Reason::malformed)?;
        let mut items = Vec::new();
        for name in names {
            let (kind, _) = fused.exports.get(&(arg, *name)).ok_or_else(Reason::malformed)?;
            let origin = Origin::Export { instance: arg, name };
            items.push((*name, (*kind).into(), self.alias(*kind, origin)?));
        }
        let number = self.section(InstanceSection::new().export_items(items));
        self.numbers.instances.insert(arg, number);
        Ok(number)
    }

    /// The one module, its instance, and what was defined before it of what it exports.
    fn fused_module(&mut self) -> Result<(), Reason> {
        let Some(fused) = self.fused else { return Ok(()) };
        self.raw(MODULE, &fused.bytes);
        let module = taken(&mut self.next.modules);
        let mut items = Vec::new();
        for (number, (kind, origin)) in fused.imports.iter().enumerate() {
            items.push((number.to_string(), (*kind).into(), self.alias(*kind, *origin)?));
        }
        let mut args = Vec::new();
        if !items.is_empty() {
            let named = items
                .iter()
                .map(|(name, kind, number)| (name.as_str(), *kind, *number));
            let named: Vec<(&str, ExportKind, u32)> = named.collect();
            let host = self.section(InstanceSection::new().export_items(named));
            args.push((ELSEWHERE, ModuleArg::Instance(host)));
        }
        self.fused_instance = self.section(InstanceSection::new().instantiate(module, args));
        let place = self.choice.place;
        for item in &self.outline.items[..place] {
            match item {
                Item::CoreAlias(kind, index)
                    if self.member(self.outline.origin(*kind, *index)?).is_some() =>
                {
                    self.core_alias(place, *kind, *index)?;
                }
                Item::Instance(instance) => {
                    if let CoreInstance::Bundle { origins, .. } = &self.outline.instances[*instance]
                        && origins.values().any(|origin| self.member(*origin).is_some())
                    {
                        self.instance(place, *instance)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
