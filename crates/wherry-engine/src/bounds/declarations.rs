//! How deep the types of a component are declared inside one another, told without recursion.
//!
//! The parser calls itself for each level, and three bytes are a level: a file of some kilobytes would use up the stack of
//! whoever reads it. So each section of types is walked over here before the parser sees it.

use std::ops::Range;

use wasmparser::{
    BinaryReader, ComponentType, ComponentTypeDeclaration, FromReader, InstanceTypeDeclaration, Parser,
    Payload,
};

use super::{DEEPEST, harmful, invalid};
use crate::error::Result;

/// How a component type and an instance type begin.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;

/// How a declaration begins that is a type itself.
const TYPE: u8 = 0x01;

/// Refuses a component in `bytes` whose types are declared in one another deeper than any tool-chain does; for readers that do
/// not go through [`check`](super::check).
///
/// # Errors
/// [`Kind::TooLarge`](crate::error::Kind), and [`Kind::Invalid`](crate::error::Kind) for what cannot be walked over.
pub fn shallow(bytes: &[u8]) -> Result<()> {
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ComponentTypeSection(types) = payload.map_err(invalid)? {
            section(bytes, types.range())?;
        }
    }
    Ok(())
}

/// The same for one section of types, which is at `range` in `bytes`.
pub(super) fn section(bytes: &[u8], range: Range<usize>) -> Result<()> {
    let Some(part) = bytes.get(range.clone()) else {
        return Ok(());
    };
    Declarations {
        part,
        reader: BinaryReader::new(part, range.start),
        start: range.start,
    }
    .walk()
    .map_err(invalid)?
    .then_some(())
    .ok_or_else(|| harmful("types nested over 100 levels deep"))
}

/// Where the walk is.
struct Declarations<'a> {
    part: &'a [u8],
    reader: BinaryReader<'a>,
    start: usize,
}

/// Declarations that are still to come on one level, and whether they are those of a component.
struct Level {
    left: u32,
    component: bool,
}

impl Declarations<'_> {
    fn next(&self) -> Option<u8> {
        self.part
            .get(self.reader.original_position() - self.start)
            .copied()
    }

    /// Whether all types are shallow enough.
    fn walk(&mut self) -> wasmparser::Result<bool> {
        let types = self.reader.read_var_u32()?;
        for _ in 0..types {
            let mut levels = Vec::new();
            self.one_type(&mut levels)?;
            while let Some(level) = levels.last_mut() {
                if level.left == 0 {
                    levels.pop();
                    continue;
                }
                level.left -= 1;
                let component = level.component;
                self.declaration(component, &mut levels)?;
                if levels.len() as u64 > DEEPEST {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Reads a type; of one that declares others only how many they are.
    fn one_type(&mut self, levels: &mut Vec<Level>) -> wasmparser::Result<()> {
        match self.next() {
            Some(kind @ (COMPONENT | INSTANCE)) => {
                self.reader.read_u8()?;
                levels.push(Level {
                    left: self.reader.read_var_u32()?,
                    component: kind == COMPONENT,
                });
                Ok(())
            }
            _ => ComponentType::from_reader(&mut self.reader).map(drop),
        }
    }

    fn declaration(&mut self, component: bool, levels: &mut Vec<Level>) -> wasmparser::Result<()> {
        if self.next() == Some(TYPE) {
            self.reader.read_u8()?;
            return self.one_type(levels);
        }
        if component {
            ComponentTypeDeclaration::from_reader(&mut self.reader).map(drop)
        } else {
            InstanceTypeDeclaration::from_reader(&mut self.reader).map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::{Bounds, check};
    use crate::error::Kind;

    /// A component with instance types in one another, so many levels deep; the innermost declares nothing.
    fn nested(depth: usize, kind: u8) -> Vec<u8> {
        let mut types = vec![1];
        for _ in 1..depth {
            types.extend([kind, 1, TYPE]);
        }
        types.extend([kind, 0]);
        let mut length = Vec::new();
        for at in 0..5 {
            let digit = u8::try_from(types.len() >> (7 * at) & 0x7f).expect("seven bits");
            length.push(if at < 4 { digit | 0x80 } else { digit });
        }
        [b"\0asm\x0d\0\x01\0\x07", &length[..], &types].concat()
    }

    fn refusal(bytes: &[u8]) -> Option<Kind> {
        let checked = check(bytes, &Bounds::default()).err().map(|error| error.kind());
        assert_eq!(checked, shallow(bytes).err().map(|error| error.kind()));
        checked
    }

    #[test]
    fn types_nest_a_hundred_deep_and_no_deeper() {
        let deepest = usize::try_from(DEEPEST).expect("small");
        for kind in [COMPONENT, INSTANCE] {
            assert_eq!(refusal(&nested(deepest - 1, kind)), None);
            assert_eq!(refusal(&nested(deepest, kind)), None);
            assert_eq!(refusal(&nested(deepest + 1, kind)), Some(Kind::TooLarge));
            // This deep the parser would use up any stack.
            assert_eq!(refusal(&nested(10_000_000, kind)), Some(Kind::TooLarge));
        }
    }

    #[test]
    fn what_is_beside_one_another_is_not_deep() {
        let ty = "(type (component (type (instance (type (record (field \"a\" u8))) \
                  (export \"b\" (type (sub resource))))) (import \"c\" (func (param \"d\" string))) \
                  (alias outer 0 0 (type)) (export \"e\" (instance (type 0)))))";
        let text = format!("(component (type u8) {})", ty.repeat(200));
        let bytes = wat::parse_str(text).map_err(|error| error.to_string()[..50].to_owned());
        assert_eq!(refusal(&bytes.expect("text")), None);
    }

    #[test]
    fn every_cut_is_an_error() {
        let whole = nested(20, INSTANCE);
        for end in 9..whole.len() {
            assert_eq!(refusal(&whole[..end]), Some(Kind::Invalid), "{end}");
        }
    }
}
