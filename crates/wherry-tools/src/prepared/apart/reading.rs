//! A component as far as it matters to whoever takes it apart: its core instances and functions, and what each comes from.
//!
//! Anything that is more than one module with what connects it ends the reading with a [`Reason`]. Start at [`Component::read`].

use std::collections::HashMap;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentDefinedType, ComponentExternalKind,
    ComponentInstance, ComponentType, ComponentTypeRef, ComponentValType, ExternalKind, Instance, Payload,
};

use super::super::outline::Kind;
use super::super::{Reason, strip};
use super::Item;

pub(super) fn other(what: &str) -> Reason {
    Reason::new(format!(
        "it is more than one module with what connects it: {what}"
    ))
}

/// An item of an imported interface.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) interface: &'a str,
    pub(super) name: &'a str,
}

impl From<Named<'_>> for Item {
    fn from(named: Named<'_>) -> Self {
        Self {
            interface: named.interface.to_owned(),
            name: named.name.to_owned(),
        }
    }
}

/// A core item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Core<'a> {
    Lowered(usize),
    Drop(Named<'a>),
    Export { instance: usize, name: &'a str },
}

/// A core instance.
pub(super) enum Made<'a> {
    Of {
        module: usize,
        args: HashMap<&'a str, usize>,
    },
    Bundle(HashMap<&'a str, (Kind, Core<'a>)>),
}

/// A type of the component, as far as it matters here.
#[derive(Clone)]
pub(super) enum Type<'a> {
    Resource(Named<'a>),
    Own(u32),
    Function(Vec<ComponentValType>),
    Other,
}

#[derive(Clone, Copy)]
pub(super) enum Function<'a> {
    Imported(Named<'a>),
    Lifted(usize),
}

#[derive(Clone, Copy)]
pub(super) enum Exporting<'a> {
    Imported(&'a str),
    /// An instance of the component of this index that was handed one function.
    Wrapping {
        component: usize,
        function: u32,
    },
    Other,
}

pub(super) struct Lift {
    pub(super) function: u32,
    pub(super) ty: u32,
    pub(super) options: Box<[CanonicalOption]>,
}

#[derive(Default)]
pub(super) struct Component<'a> {
    pub(super) modules: Vec<&'a [u8]>,
    pub(super) components: Vec<&'a [u8]>,
    pub(super) core_functions: Vec<Core<'a>>,
    pub(super) core_tables: Vec<Core<'a>>,
    pub(super) core_memories: Vec<Core<'a>>,
    pub(super) core_instances: Vec<Made<'a>>,
    pub(super) types: Vec<Type<'a>>,
    pub(super) functions: Vec<Function<'a>>,
    pub(super) instances: Vec<Exporting<'a>>,
    pub(super) lowered: Vec<(Named<'a>, Box<[CanonicalOption]>)>,
    pub(super) lifted: Vec<Lift>,
    pub(super) exports: Vec<(&'a str, u32)>,
}

pub(super) fn at<T>(list: &[T], index: u32) -> Result<&T, Reason> {
    list.get(index as usize).ok_or_else(Reason::malformed)
}

impl<'a> Component<'a> {
    /// Reads the component in `bytes`, which is valid.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut read = Self::default();
        for payload in strip::sections(bytes)? {
            read.take(payload, bytes)?;
        }
        Ok(read)
    }

    fn take(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
        match payload {
            Payload::Version { .. }
            | Payload::CustomSection(_)
            | Payload::CoreTypeSection(_)
            | Payload::End(_) => {}
            Payload::ModuleSection { unchecked_range, .. } => self.modules.push(&bytes[unchecked_range]),
            Payload::ComponentSection { unchecked_range, .. } => {
                self.components.push(&bytes[unchecked_range]);
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.types.push(kind(&ty?));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    match import.ty {
                        ComponentTypeRef::Instance(_) => {
                            self.instances.push(Exporting::Imported(import.name.name));
                        }
                        _ => return Err(other("it imports more than interfaces")),
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.canon(function?)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let made = self.made(instance?)?;
                    self.core_instances.push(made);
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instances.push(wrapping(&instance?));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exported(export.name.name, export.kind, export.index)?;
                }
            }
            _ => return Err(other("it has a section of another kind")),
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), Reason> {
        match *alias {
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let (kind, item) = self.export(kind, instance_index as usize, name)?;
                match kind {
                    Kind::Func => self.core_functions.push(item),
                    Kind::Table => self.core_tables.push(item),
                    Kind::Memory => self.core_memories.push(item),
                    Kind::Global | Kind::Tag => return Err(other("its modules share globals")),
                }
            }
            ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let Exporting::Imported(interface) = *at(&self.instances, instance_index)? else {
                    return Err(other("it uses what a component in it exports"));
                };
                let named = Named { interface, name };
                match kind {
                    ComponentExternalKind::Func => self.functions.push(Function::Imported(named)),
                    ComponentExternalKind::Type => self.types.push(Type::Resource(named)),
                    _ => return Err(other("an interface that it imports has more than functions")),
                }
            }
            ComponentAlias::Outer { .. } => return Err(Reason::malformed()),
        }
        Ok(())
    }

    /// What an export of a core instance is.
    fn export(&self, kind: ExternalKind, instance: usize, name: &'a str) -> Result<(Kind, Core<'a>), Reason> {
        match self.core_instances.get(instance).ok_or_else(Reason::malformed)? {
            Made::Of { .. } => Ok((kind.into(), Core::Export { instance, name })),
            Made::Bundle(items) => items.get(name).copied().ok_or_else(Reason::malformed),
        }
    }

    fn canon(&mut self, function: CanonicalFunction) -> Result<(), Reason> {
        match function {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                self.functions.push(Function::Lifted(self.lifted.len()));
                self.lifted.push(Lift {
                    function: core_func_index,
                    ty: type_index,
                    options,
                });
            }
            CanonicalFunction::Lower { func_index, options } => {
                let Function::Imported(named) = *at(&self.functions, func_index)? else {
                    return Err(other("it calls a function of its own"));
                };
                self.core_functions.push(Core::Lowered(self.lowered.len()));
                self.lowered.push((named, options));
            }
            CanonicalFunction::ResourceDrop { resource } => {
                let Type::Resource(named) = *at(&self.types, resource)? else {
                    return Err(other("it has resources of its own"));
                };
                self.core_functions.push(Core::Drop(named));
            }
            _ => return Err(other("it uses functions of the component model itself")),
        }
        Ok(())
    }

    fn made(&self, instance: Instance<'a>) -> Result<Made<'a>, Reason> {
        Ok(match instance {
            Instance::Instantiate { module_index, args } => Made::Of {
                module: module_index as usize,
                args: args.iter().map(|arg| (arg.name, arg.index as usize)).collect(),
            },
            Instance::FromExports(exports) => {
                let mut items = HashMap::new();
                for export in &exports {
                    let kind = Kind::from(export.kind);
                    let list = match kind {
                        Kind::Func => &self.core_functions,
                        Kind::Table => &self.core_tables,
                        Kind::Memory => &self.core_memories,
                        Kind::Global | Kind::Tag => return Err(other("its modules share globals")),
                    };
                    items.insert(export.name, (kind, *at(list, export.index)?));
                }
                Made::Bundle(items)
            }
        })
    }

    fn exported(&mut self, name: &'a str, kind: ComponentExternalKind, index: u32) -> Result<(), Reason> {
        match kind {
            ComponentExternalKind::Instance => {
                self.exports.push((name, index));
                self.instances.push(*at(&self.instances, index)?);
            }
            ComponentExternalKind::Type => self.types.push(at(&self.types, index)?.clone()),
            _ => return Err(other("it exports more than interfaces")),
        }
        Ok(())
    }
}

/// An instance of a component that was handed one function.
fn wrapping<'a>(instance: &ComponentInstance<'a>) -> Exporting<'a> {
    let ComponentInstance::Instantiate {
        component_index,
        args,
    } = instance
    else {
        return Exporting::Other;
    };
    let mut functions = args.iter().filter(|arg| arg.kind == ComponentExternalKind::Func);
    match (functions.next(), functions.next()) {
        (Some(handed), None) => Exporting::Wrapping {
            component: *component_index as usize,
            function: handed.index,
        },
        _ => Exporting::Other,
    }
}

/// A type, as far as it matters here.
fn kind<'a>(ty: &ComponentType<'a>) -> Type<'a> {
    match ty {
        ComponentType::Defined(ComponentDefinedType::Own(of)) => Type::Own(*of),
        ComponentType::Func(ty) if ty.result.is_none() && !ty.async_ => {
            Type::Function(ty.params.iter().map(|(_, ty)| *ty).collect())
        }
        _ => Type::Other,
    }
}
