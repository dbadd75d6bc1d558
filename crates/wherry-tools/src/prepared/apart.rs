//! The one module of a component that a server can instantiate by itself, and what each of its imports stands for.
//!
//! A component of one module has more modules around it that only connect things: one whose functions jump through a table, so
//! that the first can be instantiated before what it imports has a memory to work on, one that fills this table, and one that
//! calls `_initialize`. Who knows what an import stands for can hand it to the module at once. Every other shape is refused
//! with a [`Reason`]; nothing is taken from names that the component does not hold to. Start at [`apart`].

use std::collections::HashMap;

use wasmparser::{CanonicalOption, ComponentExternalKind, ComponentTypeRef, ComponentValType, Payload};

mod reading;

use reading::{Component, Core, Exporting, Function, Lift, Made, Type, at, other};

use super::connecting::Connecting;
use super::outline::Kind;
use super::rewound::rewound;
use super::shape::Shape;
use super::{Image, Reason, strip};

/// How large a memory may be at first whose image a server keeps beside each guest.
const MOST_PAGES: u64 = 512;

/// A module of a component that can be instantiated by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// The module, which must not run without its images if there are any.
    pub module: Vec<u8>,
    /// What its memories hold before any code of the guest runs.
    pub images: Vec<Image>,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// The export that is the function.
    pub function: String,
    /// The resources of which the function takes a handle each, which becomes its own.
    pub takes: Vec<Item>,
    /// The export that is its memory.
    pub memory: String,
    /// The export that gives memory for what functions return, where one needs it.
    pub realloc: Option<String>,
    /// The export to be called first.
    pub initialize: Option<String>,
    /// The exports of all that an instance remembers besides its memory; `None` where it remembers what cannot be put back.
    pub globals: Option<Vec<String>>,
}

/// A function or a resource of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// With its version.
    pub interface: String,
    /// Its name there.
    pub name: String,
}

/// A function that the module imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name that the module has for where it comes from.
    pub module: String,
    /// The name that the module has for it.
    pub name: String,
    /// What it is.
    pub means: Meaning,
}

/// What an imported function is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// This function, in the canonical ABI with strings in UTF-8.
    Calls(Item),
    /// What drops a handle of this resource.
    Drops(Item),
}

/// Takes a component apart that exports `function` in an interface whose name begins with `interface`.
///
/// # Errors
/// A [`Reason`] for every component that is more than one module with what connects it, and as [`super::prepare`].
pub fn apart(component: &[u8], interface: &str, function: &str) -> Result<Apart, Reason> {
    if crate::layout::layout(component)?.is_module() {
        return Err(Reason::new("it is a core module"));
    }
    super::validate(component)?;
    Component::read(component)?.apart(interface, function)
}

impl<'a> Component<'a> {
    /// Puts together what was found.
    fn apart(&self, interface: &str, function: &str) -> Result<Apart, Reason> {
        let lift = self.lift(interface, function)?;
        let Core::Export {
            instance: main,
            name: export,
        } = *at(&self.core_functions, lift.function)?
        else {
            return Err(other("it exports what it imports"));
        };
        let Some(Made::Of { module, args }) = self.core_instances.get(main) else {
            return Err(Reason::malformed());
        };
        let bytes = self.modules.get(*module).ok_or_else(Reason::malformed)?;
        let shape = Shape::read(bytes)?;
        let connections = self.connections(main)?;
        let mut uses = Uses {
            main,
            ..Uses::default()
        };
        uses.take(self, &lift.options)?;
        let mut imports = Vec::new();
        for import in &shape.imports {
            let Some(Made::Bundle(items)) = args
                .get(import.module)
                .and_then(|at| self.core_instances.get(*at))
            else {
                return Err(other("a module imports from another one"));
            };
            let (Kind::Func, item) = *items.get(import.name).ok_or_else(Reason::malformed)? else {
                return Err(other("a module imports more than functions"));
            };
            let means = self.meaning(item, &connections, &mut uses)?;
            imports.push(Import {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
                means,
            });
        }
        let (module, images) = stripped(bytes, &shape)?;
        let (module, globals) = match rewound(&module) {
            Ok((module, globals)) => (module, Some(globals)),
            Err(_) => (module, None),
        };
        Ok(Apart {
            module,
            images,
            imports,
            function: export.to_owned(),
            takes: self.takes(lift)?,
            memory: uses
                .memory
                .ok_or_else(|| Reason::new("its functions need no memory"))?
                .to_owned(),
            realloc: uses.realloc.map(str::to_owned),
            initialize: connections.initialize.map(str::to_owned),
            globals,
        })
    }

    /// The one function that it exports.
    fn lift(&self, interface: &str, function: &str) -> Result<&Lift, Reason> {
        let mut exports = self
            .exports
            .iter()
            .filter(|(name, _)| name.starts_with(interface));
        let (Some((_, index)), None) = (exports.next(), exports.next()) else {
            return Err(other("it exports not just one interface of that kind"));
        };
        let Exporting::Wrapping {
            component,
            function: handed,
        } = *at(&self.instances, *index)?
        else {
            return Err(other("it exports an interface that is not its own"));
        };
        if self.components.len() != 1 {
            return Err(other("it has components in it"));
        }
        if !wraps(
            self.components.get(component).ok_or_else(Reason::malformed)?,
            function,
        )? {
            return Err(other("a component in it does more than name a function"));
        }
        match (self.lifted.as_slice(), *at(&self.functions, handed)?) {
            ([lift], Function::Lifted(0)) => Ok(lift),
            _ => Err(other("it exports more than one function")),
        }
    }

    fn takes(&self, lift: &Lift) -> Result<Vec<Item>, Reason> {
        let odd = || Reason::new("its function takes other than handles");
        let Type::Function(parameters) = at(&self.types, lift.ty)? else {
            return Err(odd());
        };
        let resource = |ty: &ComponentValType| {
            let ComponentValType::Type(index) = ty else {
                return Err(odd());
            };
            let Type::Own(of) = at(&self.types, *index)? else {
                return Err(odd());
            };
            match at(&self.types, *of)? {
                Type::Resource(named) => Ok((*named).into()),
                _ => Err(odd()),
            }
        };
        parameters.iter().map(resource).collect()
    }

    /// What the instances beside the one of the module do.
    fn connections(&self, main: usize) -> Result<Connections<'a>, Reason> {
        let mut found = Connections::default();
        for (number, made) in self.core_instances.iter().enumerate() {
            let Made::Of { module, args } = made else { continue };
            if number == main {
                continue;
            }
            let handed = |(from, name)| {
                let instance = *args.get(from).ok_or_else(Reason::malformed)?;
                match self.core_instances.get(instance) {
                    Some(Made::Bundle(items)) => items
                        .get(name)
                        .map(|(_, item)| *item)
                        .ok_or_else(Reason::malformed),
                    _ => Ok(Core::Export { instance, name }),
                }
            };
            let bytes = self.modules.get(*module).ok_or_else(Reason::malformed)?;
            match Connecting::of(bytes)? {
                Connecting::Jumping { places, table } if found.jumping.is_none() && args.is_empty() => {
                    found.jumping = Some((number, places, table));
                }
                Connecting::Filling { functions, table } if found.filled.is_none() => {
                    let target = Some(handed(table)?);
                    let jumping = found.jumping.as_ref().map(|(instance, _, name)| Core::Export {
                        instance: *instance,
                        name,
                    });
                    if target != jumping {
                        return Err(other("a table is filled that is another one"));
                    }
                    found.filled = Some(functions.into_iter().map(handed).collect::<Result<_, _>>()?);
                }
                // Whatever it calls may jump through the table.
                Connecting::Starting { function }
                    if found.initialize.is_none() && found.jumping.is_some() == found.filled.is_some() =>
                {
                    match handed(function)? {
                        Core::Export { instance, name } if instance == main => {
                            found.initialize = Some(name);
                        }
                        _ => return Err(other("it starts with what is not its own")),
                    }
                }
                _ => return Err(other("it has several modules")),
            }
        }
        Ok(found)
    }

    fn meaning(
        &self,
        item: Core<'a>,
        connections: &Connections<'a>,
        uses: &mut Uses<'a>,
    ) -> Result<Meaning, Reason> {
        match item {
            Core::Drop(named) => Ok(Meaning::Drops(named.into())),
            Core::Lowered(index) => {
                let (named, options) = self.lowered.get(index).ok_or_else(Reason::malformed)?;
                uses.take(self, options)?;
                Ok(Meaning::Calls((*named).into()))
            }
            Core::Export { instance, name } => match (&connections.jumping, &connections.filled) {
                (Some((jumping, places, _)), Some(filled)) if *jumping == instance => {
                    let place = places.get(name).ok_or_else(Reason::malformed)?;
                    match at(filled, *place)? {
                        Core::Export { .. } => Err(other("a module imports from another one")),
                        item => self.meaning(*item, connections, uses),
                    }
                }
                _ => Err(other("a module imports from another one")),
            },
        }
    }
}

/// What connects a module with what it imports.
#[derive(Default)]
struct Connections<'a> {
    /// The instance whose functions jump, the place in the table of each, and the table.
    jumping: Option<(usize, HashMap<&'a str, u32>, &'a str)>,
    /// What is in the table.
    filled: Option<Vec<Core<'a>>>,
    /// The export that is called before any other.
    initialize: Option<&'a str>,
}

/// Which exports of the module serve all functions.
#[derive(Default)]
struct Uses<'a> {
    main: usize,
    memory: Option<&'a str>,
    realloc: Option<&'a str>,
}

impl<'a> Uses<'a> {
    fn take(&mut self, component: &Component<'a>, options: &[CanonicalOption]) -> Result<(), Reason> {
        for option in options {
            let (place, item) = match option {
                CanonicalOption::UTF8 => continue,
                CanonicalOption::Memory(index) => (&mut self.memory, at(&component.core_memories, *index)?),
                CanonicalOption::Realloc(index) => {
                    (&mut self.realloc, at(&component.core_functions, *index)?)
                }
                _ => return Err(Reason::new("a function of it is called in another way")),
            };
            match item {
                Core::Export { instance, name }
                    if *instance == self.main && place.is_none_or(|known| known == *name) =>
                {
                    *place = Some(name);
                }
                _ => return Err(other("its functions work on several memories")),
            }
        }
        Ok(())
    }
}

/// A module without its data, and what its memory holds at first.
fn stripped(bytes: &[u8], shape: &Shape<'_>) -> Result<(Vec<u8>, Vec<Image>), Reason> {
    let pages = shape.pages()?.filter(|pages| *pages <= MOST_PAGES);
    let (Some(pages), None) = (pages, shape.start) else {
        return Err(Reason::new(
            "its module starts by itself, or has other than one memory of at most 32 MiB",
        ));
    };
    let (module, mut images) = strip::module(bytes)?;
    // Zeros are an image too: a server has them at hand, and need not open the memory for each guest.
    if images.is_empty() && pages > 0 {
        images.push(Image {
            memory: 0,
            pages,
            bytes: Vec::new(),
        });
    }
    Ok((module, images))
}

/// Whether a component does nothing but export the function that it imports, under this name.
fn wraps(bytes: &[u8], function: &str) -> Result<bool, Reason> {
    let (mut imported, mut exported) = (0, 0);
    for payload in strip::sections(bytes)? {
        match payload {
            Payload::Version { .. }
            | Payload::CustomSection(_)
            | Payload::ComponentTypeSection(_)
            | Payload::End(_) => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Func(_) => imported += 1,
                        ComponentTypeRef::Type(_) => {}
                        _ => return Ok(false),
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Func if export.name.name == function && export.index == 0 => {
                            exported += 1;
                        }
                        ComponentExternalKind::Type => {}
                        _ => return Ok(false),
                    }
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(imported == 1 && exported == 1)
}
