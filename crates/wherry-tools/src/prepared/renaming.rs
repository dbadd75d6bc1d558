//! The indices of one module as they are in the module that it becomes part of.

use std::collections::BTreeSet;

use wasm_encoder::Instruction;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasmparser::{CompositeInnerType, FuncType, HeapType, Operator, RecGroup, ValType};

use super::constant::Constant;
use super::outline::{Kind, Spaces};

/// What each index of a module is called afterwards; globals by their slot.
#[derive(Default)]
pub(super) struct Map {
    pub(super) types: Vec<u32>,
    pub(super) items: Spaces<Vec<u32>>,
    pub(super) elements: u32,
    pub(super) data: u32,
}

/// What has become of a global.
#[derive(Debug, Clone, Copy)]
pub(super) enum Global {
    At(u32),
    /// Nobody writes it, so that its value stands wherever it was read.
    Always(Constant),
}

/// Writes parts of a module with their indices renamed.
pub(super) struct Renaming<'m> {
    pub(super) map: &'m Map,
    /// The globals of all modules, by slot.
    pub(super) globals: &'m [Global],
    /// Functions that code takes references to.
    pub(super) referenced: BTreeSet<u32>,
}

/// An index that is not there, which validation has ruled out.
#[derive(Debug)]
pub(super) struct Missing;

impl std::fmt::Display for Missing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an index is not there")
    }
}

pub(super) type Renamed<T = u32> = Result<T, Error<Missing>>;

impl<'m> Renaming<'m> {
    pub(super) fn new(map: &'m Map, globals: &'m [Global]) -> Self {
        Self {
            map,
            globals,
            referenced: BTreeSet::new(),
        }
    }

    fn item(&self, kind: Kind, index: u32) -> Renamed {
        found(&self.map.items[kind as usize], index)
    }

    pub(super) fn global(&self, index: u32) -> Renamed<Global> {
        found(self.globals, self.item(Kind::Global, index)?)
    }
}

fn found<T: Copy>(list: &[T], index: u32) -> Renamed<T> {
    list.get(index as usize).copied().ok_or(Error::UserError(Missing))
}

impl Reencode for Renaming<'_> {
    type Error = Missing;

    fn type_index(&mut self, index: u32) -> Renamed {
        found(&self.map.types, index)
    }

    fn function_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Func, index)
    }

    fn table_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Table, index)
    }

    fn memory_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Memory, index)
    }

    fn tag_index(&mut self, index: u32) -> Renamed {
        self.item(Kind::Tag, index)
    }

    fn global_index(&mut self, index: u32) -> Renamed {
        match self.global(index)? {
            Global::At(index) => Ok(index),
            Global::Always(_) => Err(Error::UserError(Missing)),
        }
    }

    fn element_index(&mut self, index: u32) -> Renamed {
        Ok(self.map.elements + index)
    }

    fn data_index(&mut self, index: u32) -> Renamed {
        Ok(self.map.data + index)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Renamed<Instruction<'a>> {
        match operator {
            Operator::GlobalGet { global_index } => {
                if let Global::Always(constant) = self.global(global_index)? {
                    return Ok(constant.instruction());
                }
            }
            Operator::RefFunc { function_index } => {
                let function = self.function_index(function_index)?;
                self.referenced.insert(function);
            }
            _ => {}
        }
        utils::instruction(self, operator)
    }
}

/// The type of functions in a group, if it says the same in every module: it is alone and names no other type.
pub(super) fn plain(group: &RecGroup) -> Option<&FuncType> {
    let mut types = group.types();
    let (Some(ty), None) = (types.next(), types.next()) else {
        return None;
    };
    let CompositeInnerType::Func(function) = &ty.composite_type.inner else {
        return None;
    };
    let alone = !group.is_explicit_rec_group()
        && ty.is_final
        && ty.supertype_idx.is_none()
        && !ty.composite_type.shared
        && ty.composite_type.descriptor_idx.is_none()
        && ty.composite_type.describes_idx.is_none();
    let named = |ty: &ValType| match ty {
        ValType::Ref(reference) => !matches!(reference.heap_type(), HeapType::Abstract { .. }),
        _ => false,
    };
    (alone && !function.params().iter().chain(function.results()).any(named)).then_some(function)
}
