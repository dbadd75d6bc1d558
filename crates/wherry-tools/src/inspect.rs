//! Everything that a file tells of itself without being run: the record behind `wherry inspect`.
//!
//! The JSON form of [`Inspection`] is documented, field by field, in `wherry/runtime/inspect.py`; a change here
//! is a change of that schema. Start reading at [`inspect`].

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::layout::{self, Layout, Part, Producer, Section};
use crate::model::{Core, CoreType, Function, FunctionKind, Interface, Item, Model, NamedType, World};
use crate::needs::{self, Need};
use crate::places::{self, Place};
use crate::signature;
use crate::surface::{self, Names, Surface};
use crate::wit;

/// What a file tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `component`, `module` or `package` (a WIT package in binary form).
    pub form: &'static str,
    /// `command`, `reactor` or `library`; `None` for a WIT package.
    pub kind: Option<&'static str>,
    /// The generations of WASI that it stands on, oldest first: `unstable`, `0.1`, `0.2`, `0.3`.
    pub wasi: Vec<&'static str>,
    /// All six places, with the reason for each.
    pub places: Vec<Place>,
    /// What it needs from outside, in plain words.
    pub needs: Vec<Need>,
    /// What it imports.
    pub imports: Vec<Group>,
    /// What it exports.
    pub exports: Vec<Group>,
    /// Who made it.
    pub producers: Vec<Producer>,
    /// Bytes in the file.
    pub size: u64,
    /// Where they go, largest first, added up over all parts.
    pub sections: Vec<Section>,
    /// The modules and components in it, itself first.
    pub parts: Vec<Part>,
}

/// Imports or exports under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The interface, or the module name of imports; `None` for what stands by itself.
    pub name: Option<String>,
    /// The functions; of a module the memories, tables, globals and tags too.
    pub entries: Vec<Entry>,
    /// The types that the interface defines.
    pub types: Vec<TypeEntry>,
}

/// One function, or one memory, table, global or tag of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The name as the file has it, such as `[method]image.resize`.
    pub name: String,
    /// `function`, `method`, `static`, `constructor`; of a module also `memory`, `table`, `global` or `tag`;
    /// of a component in rare cases `module`, `component` or `value`.
    pub kind: &'static str,
    /// The whole of it on one line, with the name, such as `image.resize: func(width: u32)`.
    pub signature: String,
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeEntry {
    /// The name in the interface.
    pub name: String,
    /// The definition on one line, such as `record point { x: f64, y: f64 }`.
    pub definition: String,
}

/// Reads what the component or core module in `bytes` tells of itself.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are malformed or cut short, [`Error::TooLarge`] for what is longer or
/// deeper than anything that is not hostile.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    let layout = layout::layout(bytes)?;
    let (surface, imports, exports) = match wit::model(bytes)? {
        Model::Component(world) => {
            let (imports, exports) = (groups(&world, &world.imports), groups(&world, &world.exports));
            (Surface::Component(Names::of_world(&world)), imports, exports)
        }
        Model::Module(core) => {
            let (imports, exports) = (imported(&core), exported(&core));
            (Surface::Module(core), imports, exports)
        }
        Model::Package { names } => (Surface::Package, Vec::new(), bare(&names)),
    };
    Ok(Inspection {
        form: match surface {
            Surface::Component(_) => "component",
            Surface::Module(_) => "module",
            Surface::Package => "package",
        },
        kind: kind(&surface),
        wasi: surface::generations(&surface),
        places: places::places(&surface),
        needs: needs::needs(&surface),
        imports,
        exports,
        size: bytes.len() as u64,
        sections: totals(&layout, bytes.len() as u64),
        producers: layout.producers,
        parts: layout.parts,
    })
}

impl Inspection {
    /// The same file where something keeps it from running at all, such as that it was made for another host.
    #[must_use]
    pub fn refused(mut self, why: &str) -> Self {
        for place in &mut self.places {
            place.fits = false;
            why.clone_into(&mut place.why);
        }
        self
    }
}

/// A command has a main function; a reactor is set up once and then called; a library is only called.
fn kind(surface: &Surface) -> Option<&'static str> {
    match surface {
        Surface::Component(names)
            if names
                .exports
                .iter()
                .any(|name| surface::is_wasi(name, "cli", "run")) =>
        {
            Some("command")
        }
        Surface::Module(core) if surface::start(core).is_some() => Some("command"),
        Surface::Module(core) if surface::has_start(core, "_initialize") => Some("reactor"),
        Surface::Component(_) | Surface::Module(_) => Some("library"),
        Surface::Package => None,
    }
}

fn groups(world: &World, items: &[Item]) -> Vec<Group> {
    let mut own = Group {
        name: None,
        entries: Vec::new(),
        types: Vec::new(),
    };
    let mut groups = Vec::new();
    for item in items {
        match item {
            Item::Interface(interface) => groups.push(group(world, interface)),
            Item::Function(function) => own.entries.push(entry(world, function)),
            Item::Type(named) => own.types.extend(type_entry(world, named)),
            Item::Other(other) => own.entries.push(Entry {
                name: other.name.clone(),
                kind: other.kind,
                signature: format!("{}: {}", other.name, other.kind),
            }),
        }
    }
    if !own.entries.is_empty() || !own.types.is_empty() {
        groups.insert(0, own);
    }
    groups
}

fn group(world: &World, interface: &Interface) -> Group {
    Group {
        name: Some(interface.name.clone()),
        entries: interface
            .functions
            .iter()
            .map(|function| entry(world, function))
            .collect(),
        types: interface
            .types
            .iter()
            .filter_map(|named| type_entry(world, named))
            .collect(),
    }
}

fn entry(world: &World, function: &Function) -> Entry {
    Entry {
        name: function.name.clone(),
        kind: match function.kind {
            FunctionKind::Free => "function",
            FunctionKind::Method => "method",
            FunctionKind::Static => "static",
            FunctionKind::Constructor => "constructor",
        },
        signature: signature::function(world, function),
    }
}

fn type_entry(world: &World, named: &NamedType) -> Option<TypeEntry> {
    let def = world.types.get(named.index as usize)?;
    let definition = signature::definition(world, &named.name, def);
    Some(TypeEntry {
        name: named.name.clone(),
        definition,
    })
}

fn imported(core: &Core) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for import in &core.imports {
        let entry = core_entry(&import.name, &import.ty);
        // Linkers sort imports by module; one that does not gets a group more.
        match groups
            .last_mut()
            .filter(|group| group.name.as_deref() == Some(import.module.as_str()))
        {
            Some(group) => group.entries.push(entry),
            None => groups.push(Group {
                name: Some(import.module.clone()),
                entries: vec![entry],
                types: Vec::new(),
            }),
        }
    }
    groups
}

fn exported(core: &Core) -> Vec<Group> {
    let entries: Vec<Entry> = core
        .exports
        .iter()
        .map(|export| core_entry(&export.name, &export.ty))
        .collect();
    if entries.is_empty() {
        Vec::new()
    } else {
        vec![Group {
            name: None,
            entries,
            types: Vec::new(),
        }]
    }
}

fn core_entry(name: &str, ty: &CoreType) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: match ty {
            CoreType::Function { .. } => "function",
            CoreType::Memory { .. } => "memory",
            CoreType::Table { .. } => "table",
            CoreType::Global { .. } => "global",
            CoreType::Tag => "tag",
        },
        signature: match name {
            "" => format!("\"\": {}", signature::core(ty)),
            name => format!("{name}: {}", signature::core(ty)),
        },
    }
}

/// Names without signatures.
fn bare(names: &[String]) -> Vec<Group> {
    let groups = names.iter();
    groups
        .map(|name| Group {
            name: Some(name.clone()),
            entries: Vec::new(),
            types: Vec::new(),
        })
        .collect()
}

/// The sizes of all parts added up by what they hold, and what is left for headers.
fn totals(layout: &Layout, size: u64) -> Vec<Section> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for section in layout.parts.iter().flat_map(|part| &part.sections) {
        *totals.entry(&section.name).or_default() += section.size;
    }
    let counted: u64 = totals.values().sum();
    totals.insert("headers", size.saturating_sub(counted));
    let mut totals: Vec<Section> = totals
        .into_iter()
        .map(|(name, size)| Section {
            name: name.to_owned(),
            size,
        })
        .collect();
    totals.sort_by_key(|section| Reverse(section.size));
    totals
}
