//! Values that are known before anything runs: offsets of segments and globals that nobody writes.

use wasm_encoder::{ConstExpr, Instruction};
use wasmparser::{ConstExpr as Expression, Operator};

/// A number, with floats as their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
}

impl Constant {
    /// What `expression` comes to, if it is of numbers alone; `global` tells what is known of globals.
    pub(super) fn of(expression: &Expression<'_>, global: impl Fn(u32) -> Option<Self>) -> Option<Self> {
        let mut stack = Vec::new();
        for operator in expression.get_operators_reader() {
            let value = match operator.ok()? {
                Operator::I32Const { value } => Self::I32(value),
                Operator::I64Const { value } => Self::I64(value),
                Operator::F32Const { value } => Self::F32(value.bits()),
                Operator::F64Const { value } => Self::F64(value.bits()),
                Operator::GlobalGet { global_index } => global(global_index)?,
                Operator::End => break,
                operator => {
                    let (right, left) = (stack.pop()?, stack.pop()?);
                    Self::calculated(&operator, left, right)?
                }
            };
            stack.push(value);
        }
        match stack.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }

    fn calculated(operator: &Operator<'_>, left: Self, right: Self) -> Option<Self> {
        Some(match (operator, left, right) {
            (Operator::I32Add, Self::I32(left), Self::I32(right)) => Self::I32(left.wrapping_add(right)),
            (Operator::I32Sub, Self::I32(left), Self::I32(right)) => Self::I32(left.wrapping_sub(right)),
            (Operator::I32Mul, Self::I32(left), Self::I32(right)) => Self::I32(left.wrapping_mul(right)),
            (Operator::I64Add, Self::I64(left), Self::I64(right)) => Self::I64(left.wrapping_add(right)),
            (Operator::I64Sub, Self::I64(left), Self::I64(right)) => Self::I64(left.wrapping_sub(right)),
            (Operator::I64Mul, Self::I64(left), Self::I64(right)) => Self::I64(left.wrapping_mul(right)),
            _ => return None,
        })
    }

    /// As an address or an index.
    pub(super) fn unsigned(self) -> Option<u64> {
        match self {
            Self::I32(value) => Some(u64::from(value.cast_unsigned())),
            Self::I64(value) => Some(value.cast_unsigned()),
            Self::F32(_) | Self::F64(_) => None,
        }
    }

    pub(super) fn instruction(self) -> Instruction<'static> {
        match self {
            Self::I32(value) => Instruction::I32Const(value),
            Self::I64(value) => Instruction::I64Const(value),
            Self::F32(bits) => Instruction::F32Const(wasm_encoder::Ieee32::new(bits)),
            Self::F64(bits) => Instruction::F64Const(wasm_encoder::Ieee64::new(bits)),
        }
    }

    pub(super) fn expression(self) -> ConstExpr {
        ConstExpr::extended([self.instruction()])
    }
}
