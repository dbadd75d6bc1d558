//! What is in memory and on the stack of WebAssembly: numbers, and lists of whatever size.

use std::fmt::Write as _;

use wit_bindgen_core::abi::{Bitcast, Instruction};
use wit_bindgen_core::uwriteln;
use wit_bindgen_core::wit_parser::{Resolve, Type, TypeDefKind};

use super::glue::{Block, Glue};

impl Glue<'_, '_> {
    /// Numbers: converted, read and written. `None` for other instructions.
    pub(super) fn flat(&mut self, instruction: &Instruction<'_>, operands: &[String]) -> Option<Vec<String>> {
        use Instruction as I;
        let value = operands.first().map(String::as_str).unwrap_or_default();
        let one = match instruction {
            I::I32Const { val } => val.to_string(),
            I::ConstZero { tys } => return Some(vec!["0".to_owned(); tys.len()]),
            I::Bitcasts { casts } => {
                return Some(
                    operands
                        .iter()
                        .zip(*casts)
                        .map(|(value, cast)| bits(value, cast))
                        .collect(),
                );
            }
            I::I32FromBool => format!("({value} ? 1 : 0)"),
            I::BoolFromI32 => format!("({value} != 0)"),
            I::I32FromChar
            | I::I32FromU32
            | I::I32FromS32
            | I::I32FromU16
            | I::I32FromS16
            | I::I32FromU8
            | I::I32FromS8 => {
                format!("(<i32>{value})")
            }
            I::I64FromU64 | I::I64FromS64 => format!("(<i64>{value})"),
            I::S8FromI32 => format!("(<i8>{value})"),
            I::U8FromI32 => format!("(<u8>{value})"),
            I::S16FromI32 => format!("(<i16>{value})"),
            I::U16FromI32 => format!("(<u16>{value})"),
            I::U32FromI32 | I::CharFromI32 => format!("(<u32>{value})"),
            I::U64FromI64 => format!("(<u64>{value})"),
            I::S32FromI32
            | I::S64FromI64
            | I::CoreF32FromF32
            | I::CoreF64FromF64
            | I::F32FromCoreF32
            | I::F64FromCoreF64 => value.to_owned(),
            I::I32Load { offset } | I::PointerLoad { offset } | I::LengthLoad { offset } => {
                self.read("i32", value, offset.size_wasm32())
            }
            I::I32Load8U { offset } => self.read("u8", value, offset.size_wasm32()),
            I::I32Load8S { offset } => self.read("i8", value, offset.size_wasm32()),
            I::I32Load16U { offset } => self.read("u16", value, offset.size_wasm32()),
            I::I32Load16S { offset } => self.read("i16", value, offset.size_wasm32()),
            I::I64Load { offset } => self.read("i64", value, offset.size_wasm32()),
            I::F32Load { offset } => self.read("f32", value, offset.size_wasm32()),
            I::F64Load { offset } => self.read("f64", value, offset.size_wasm32()),
            I::I32Store { offset } | I::PointerStore { offset } | I::LengthStore { offset } => {
                return Some(self.write("i32", operands, offset.size_wasm32()));
            }
            I::I32Store8 { offset } => return Some(self.write("u8", operands, offset.size_wasm32())),
            I::I32Store16 { offset } => return Some(self.write("u16", operands, offset.size_wasm32())),
            I::I64Store { offset } => return Some(self.write("i64", operands, offset.size_wasm32())),
            I::F32Store { offset } => return Some(self.write("f32", operands, offset.size_wasm32())),
            I::F64Store { offset } => return Some(self.write("f64", operands, offset.size_wasm32())),
            _ => return None,
        };
        Some(vec![one])
    }

    /// Read at once, and not where it is used: the memory may be freed by then.
    fn read(&mut self, ty: &str, at: &str, offset: usize) -> String {
        let widened = if matches!(ty, "u8" | "i8" | "u16" | "i16") {
            "<i32>"
        } else {
            ""
        };
        self.constant(&format!("{widened}$abi.read<{ty}>({})", plus(at, offset)))
    }

    fn write(&mut self, ty: &str, operands: &[String], offset: usize) -> Vec<String> {
        uwriteln!(
            self.body,
            "$abi.write<{ty}>({}, <{ty}>{});",
            plus(&operands[1], offset),
            operands[0]
        );
        Vec::new()
    }

    /// Lists, texts and maps. `None` for other instructions.
    pub(super) fn list(&mut self, instruction: &Instruction<'_>, operands: &[String]) -> Option<Vec<String>> {
        use Instruction as I;
        Some(match instruction {
            I::StringLower { realloc } => {
                let text = self.constant(&operands[0]);
                let length = self.constant(&format!("$abi.utf8Length({text})"));
                let at = self.allocated(&length, 1, realloc.is_some());
                uwriteln!(self.body, "$abi.lowerString({text}, {length}, {at});");
                vec![at, length]
            }
            I::StringLift => {
                vec![self.constant(&format!("$abi.liftString({}, {})", operands[0], operands[1]))]
            }
            I::ListCanonLower { element, realloc } => {
                let list = self.constant(&operands[0]);
                let length = self.constant(&format!("{list}.length"));
                let at = if realloc.is_some() {
                    let size = self.size(&[element]);
                    format!("$abi.lowerNumbers({list}.dataStart, {length}, {size})")
                } else {
                    format!("<i32>{list}.dataStart")
                };
                vec![self.constant(&at), length]
            }
            I::ListCanonLift { element, .. } => {
                let lift = if self.writer.is_byte(element) {
                    "liftBytes".to_owned()
                } else {
                    format!("liftNumbers<{}>", self.writer.ty(element))
                };
                vec![self.constant(&format!("$abi.{lift}({}, {})", operands[0], operands[1]))]
            }
            I::ListLower { element, realloc } => self.lower_list(element, &operands[0], realloc.is_some()),
            I::ListLift { element, .. } => vec![self.lift_list(element, operands)],
            I::MapLower { key, value, realloc } => {
                self.lower_map((key, value), &operands[0], realloc.is_some())
            }
            I::MapLift { key, value, .. } => vec![self.lift_map((key, value), operands)],
            I::GuestDeallocate { size, .. } => {
                uwriteln!(self.body, "$abi.free({}, {});", operands[0], size.size_wasm32());
                Vec::new()
            }
            I::GuestDeallocateString => {
                uwriteln!(self.body, "$abi.free({}, {});", operands[0], operands[1]);
                Vec::new()
            }
            I::GuestDeallocateList { element } => self.free_list(&[element], operands),
            I::GuestDeallocateMap { key, value } => self.free_list(&[key, value], operands),
            _ => return None,
        })
    }

    /// The bytes from one element of a list to the next.
    fn size(&self, types: &[&Type]) -> usize {
        self.writer
            .plan
            .sizes
            .record(types.iter().copied())
            .size
            .size_wasm32()
    }

    /// Runs a block once for each element; `first` is what it needs to begin with.
    fn each(&mut self, block: &Block, length: &str, at: &str, size: usize, first: &str, last: &str) {
        let number = block.number;
        uwriteln!(
            self.body,
            "for (let $i{number} = 0; $i{number} < {length}; ++$i{number}) {{\n{first}"
        );
        if block.body.contains(&format!("$base{number}")) || last.contains(&format!("$base{number}")) {
            uwriteln!(self.body, "const $base{number} = {at} + $i{number} * {size};");
        }
        uwriteln!(self.body, "{}{last}}}", block.body);
    }

    fn lower_list(&mut self, element: &Type, value: &str, given: bool) -> Vec<String> {
        let block = self.block();
        let list = self.constant(value);
        let length = self.constant(&format!("{list}.length"));
        let size = self.size(&[element]);
        let at = self.allocated(&length, size, given);
        let number = block.number;
        let first = format!("const $element{number} = {list}[$i{number}];");
        self.each(&block, &length, &at, size, &first, "");
        vec![at, length]
    }

    fn lift_list(&mut self, element: &Type, operands: &[String]) -> String {
        let block = self.block();
        let (at, length) = (&operands[0], &operands[1]);
        let ty = self.writer.ty(element);
        let lifted = self.constant(&format!("new Array<{ty}>({length})"));
        let size = self.size(&[element]);
        let last = format!("{lifted}[$i{}] = {};\n", block.number, block.results[0]);
        self.each(&block, length, at, size, "", &last);
        self.free_elements(at, length, size);
        lifted
    }

    fn lower_map(&mut self, (key, value): (&Type, &Type), map: &str, given: bool) -> Vec<String> {
        let block = self.block();
        let map = self.constant(map);
        let keys = self.constant(&format!("{map}.keys()"));
        let values = self.constant(&format!("{map}.values()"));
        let length = self.constant(&format!("{keys}.length"));
        let size = self.size(&[key, value]);
        let at = self.allocated(&length, size, given);
        let number = block.number;
        let first =
            format!("const $key{number} = {keys}[$i{number}];\nconst $value{number} = {values}[$i{number}];");
        self.each(&block, &length, &at, size, &first, "");
        vec![at, length]
    }

    fn lift_map(&mut self, (key, value): (&Type, &Type), operands: &[String]) -> String {
        let block = self.block();
        let (at, length) = (&operands[0], &operands[1]);
        let types = format!("{}, {}", self.writer.ty(key), self.writer.ty(value));
        let map = self.constant(&format!("new Map<{types}>()"));
        let size = self.size(&[key, value]);
        let last = format!("{map}.set({});\n", block.results.join(", "));
        self.each(&block, length, at, size, "", &last);
        self.free_elements(at, length, size);
        map
    }

    fn free_list(&mut self, types: &[&Type], operands: &[String]) -> Vec<String> {
        let block = self.block();
        let size = self.size(types);
        let (at, length) = (&operands[0], &operands[1]);
        if !block.body.is_empty() {
            self.each(&block, length, at, size, "", "");
        }
        self.free_elements(at, length, size);
        Vec::new()
    }

    fn free_elements(&mut self, at: &str, length: &str, size: usize) {
        if size > 0 {
            uwriteln!(self.body, "$abi.free({at}, {length});");
        }
    }
}

/// Whether a list of it is the same bytes in AssemblyScript and in the canonical ABI.
pub(super) fn is_number(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => is_number(resolve, ty),
            _ => false,
        },
        Type::Bool | Type::String | Type::ErrorContext => false,
        _ => true,
    }
}

fn plus(at: &str, offset: usize) -> String {
    if offset == 0 {
        at.to_owned()
    } else {
        format!("{at} + {offset}")
    }
}

/// A value of one type of WebAssembly in the bits of another.
fn bits(value: &str, cast: &Bitcast) -> String {
    match cast {
        Bitcast::F32ToI32 => format!("$abi.bits<i32, f32>({value})"),
        Bitcast::F64ToI64 => format!("$abi.bits<i64, f64>({value})"),
        Bitcast::I32ToF32 => format!("$abi.bits<f32, i32>({value})"),
        Bitcast::I64ToF64 => format!("$abi.bits<f64, i64>({value})"),
        Bitcast::F32ToI64 => format!("(<i64>(<u32>$abi.bits<i32, f32>({value})))"),
        Bitcast::I64ToF32 => format!("$abi.bits<f32, i32>(<i32>{value})"),
        Bitcast::I32ToI64 | Bitcast::PToP64 | Bitcast::LToI64 => format!("(<i64>(<u32>{value}))"),
        Bitcast::I64ToI32 | Bitcast::P64ToP | Bitcast::I64ToL => format!("(<i32>{value})"),
        Bitcast::Sequence(both) => bits(&bits(value, &both[0]), &both[1]),
        Bitcast::P64ToI64
        | Bitcast::I64ToP64
        | Bitcast::I32ToP
        | Bitcast::PToI32
        | Bitcast::PToL
        | Bitcast::LToP
        | Bitcast::I32ToL
        | Bitcast::LToI32
        | Bitcast::None => value.to_owned(),
    }
}
