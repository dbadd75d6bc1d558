//! The tags of encoded values, and reading and writing them: `docs/encoding.md` as code.
//!
//! A [`Reader`] never leaves its bytes: all that is read is checked against what is left of them first.

use std::cell::Cell;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::values::Scalar;

pub const STRING: u8 = 0x10;
pub const LIST: u8 = 0x11;
pub const MAP: u8 = 0x12;
pub const RECORD: u8 = 0x13;
pub const TUPLE: u8 = 0x14;
pub const CASE: u8 = 0x15;
pub const CASE_WITH: u8 = 0x16;
pub const ENUM: u8 = 0x17;
pub const FLAGS: u8 = 0x18;
pub const NONE: u8 = 0x19;
pub const SOME: u8 = 0x1a;
pub const OK: u8 = 0x1b;
pub const OK_WITH: u8 = 0x1c;
pub const ERR: u8 = 0x1d;
pub const ERR_WITH: u8 = 0x1e;
pub const OWN: u8 = 0x20;
pub const BORROW: u8 = 0x21;
pub const STREAM: u8 = 0x22;
pub const FUTURE: u8 = 0x23;
/// Added to the tag of a number, bool or char: a list of them side by side.
pub const PACKED: u8 = 0x40;

/// The tag of a scalar.
pub fn tag(scalar: Scalar) -> u8 {
    match scalar {
        Scalar::Bool => 0x01,
        Scalar::S8 => 0x02,
        Scalar::U8 => 0x03,
        Scalar::S16 => 0x04,
        Scalar::U16 => 0x05,
        Scalar::S32 => 0x06,
        Scalar::U32 => 0x07,
        Scalar::S64 => 0x08,
        Scalar::U64 => 0x09,
        Scalar::F32 => 0x0a,
        Scalar::F64 => 0x0b,
        Scalar::Char => 0x0c,
    }
}

/// The scalar of a tag.
fn scalar(tag: u8) -> Option<Scalar> {
    const ALL: [Scalar; 12] = [
        Scalar::Bool,
        Scalar::S8,
        Scalar::U8,
        Scalar::S16,
        Scalar::U16,
        Scalar::S32,
        Scalar::U32,
        Scalar::S64,
        Scalar::U64,
        Scalar::F32,
        Scalar::F64,
        Scalar::Char,
    ];
    ALL.get(usize::from(tag).checked_sub(1)?).copied()
}

/// How many bytes a scalar is.
pub fn width(scalar: Scalar) -> usize {
    match scalar {
        Scalar::Bool | Scalar::S8 | Scalar::U8 => 1,
        Scalar::S16 | Scalar::U16 => 2,
        Scalar::S32 | Scalar::U32 | Scalar::F32 | Scalar::Char => 4,
        Scalar::S64 | Scalar::U64 | Scalar::F64 => 8,
    }
}

/// What a tag stands for, for messages.
fn name(tag: u8) -> String {
    let known = match tag {
        STRING => "string",
        LIST => "list",
        MAP => "map",
        RECORD => "record",
        TUPLE => "tuple",
        CASE | CASE_WITH => "variant",
        ENUM => "enum",
        FLAGS => "flags",
        NONE | SOME => "option",
        OK | OK_WITH | ERR | ERR_WITH => "result",
        OWN => "own resource",
        BORROW => "borrowed resource",
        STREAM => "stream",
        FUTURE => "future",
        _ => match (scalar(tag), scalar(tag & !PACKED)) {
            (Some(scalar), _) => scalar.name(),
            (None, Some(scalar)) => return format!("list<{}>", scalar.name()),
            _ => return format!("no type at all (tag {tag:#04x})"),
        },
    };
    known.to_owned()
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Value, message)
}

/// Encoded values, read from the front.
#[derive(Default)]
pub struct Reader<'a> {
    rest: Cell<&'a [u8]>,
}

impl<'a> Reader<'a> {
    pub fn set(&self, bytes: &'a [u8]) {
        self.rest.set(bytes);
    }

    fn take(&self, count: usize) -> Result<&'a [u8]> {
        let rest = self.rest.get();
        let (taken, rest) = rest.split_at_checked(count).ok_or_else(|| {
            wrong(format!(
                "the buffer ends too early: {count} bytes are to come, and {} are there",
                rest.len()
            ))
        })?;
        self.rest.set(rest);
        Ok(taken)
    }

    fn array<const N: usize>(&self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.get().split_first_chunk::<N>().ok_or_else(|| {
            wrong(format!(
                "the buffer ends too early: {N} bytes are to come, and {} are there",
                self.rest.get().len()
            ))
        })?;
        self.rest.set(rest);
        Ok(*taken)
    }

    /// The next tag, which has to be one of these.
    pub fn tag(&self, wanted: &[u8], expected: &str) -> Result<u8> {
        let [tag] = self.array::<1>()?;
        if wanted.contains(&tag) {
            return Ok(tag);
        }
        Err(wrong(format!("expected {expected}, got {}", name(tag))))
    }

    pub fn u32(&self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// How many parts follow, of at least `least` bytes each.
    pub fn count(&self, least: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        let left = self.rest.get().len();
        if count > left / least {
            return Err(wrong(format!(
                "the buffer says that {count} parts follow, and has {left} bytes left"
            )));
        }
        Ok(count)
    }

    /// The bits of a number of this type, as a flat slot has them.
    pub fn scalar(&self, scalar: Scalar) -> Result<u64> {
        self.tag(&[tag(scalar)], scalar.name())?;
        self.bits(scalar)
    }

    fn bits(&self, scalar: Scalar) -> Result<u64> {
        let narrow = |value: i32| u64::from(value.cast_unsigned());
        Ok(match scalar {
            Scalar::Bool => {
                let [byte] = self.array()?;
                is_bool(byte)?;
                byte.into()
            }
            Scalar::U8 => self.array::<1>()?[0].into(),
            Scalar::S8 => narrow(i8::from_le_bytes(self.array()?).into()),
            Scalar::U16 => u16::from_le_bytes(self.array()?).into(),
            Scalar::S16 => narrow(i16::from_le_bytes(self.array()?).into()),
            Scalar::U32 | Scalar::S32 | Scalar::F32 => self.u32()?.into(),
            Scalar::Char => {
                let code = self.u32()?;
                is_char(code)?;
                code.into()
            }
            Scalar::U64 | Scalar::S64 | Scalar::F64 => self.u64()?,
        })
    }

    /// Text.
    pub fn string(&self) -> Result<&'a str> {
        self.tag(&[STRING], "string")?;
        self.text()
    }

    fn text(&self) -> Result<&'a str> {
        let length = self.u32()? as usize;
        std::str::from_utf8(self.take(length)?)
            .map_err(|error| wrong(format!("a string is not UTF-8: {error}")))
    }

    /// The elements of a list of numbers, side by side.
    pub fn packed(&self, scalar: Scalar) -> Result<&'a [u8]> {
        let wanted = tag(scalar) | PACKED;
        let [found] = self.array::<1>()?;
        if found != wanted {
            return Err(wrong(format!("expected {}, got {}", name(wanted), name(found))));
        }
        self.side_by_side(scalar)
    }

    fn side_by_side(&self, scalar: Scalar) -> Result<&'a [u8]> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.saturating_mul(width(scalar)))?;
        match scalar {
            Scalar::Bool => bytes.iter().try_for_each(|&byte| is_bool(byte))?,
            Scalar::Char => {
                let (chars, _) = bytes.as_chunks::<4>();
                chars
                    .iter()
                    .try_for_each(|&code| is_char(u32::from_le_bytes(code)))?;
            }
            _ => {}
        }
        Ok(bytes)
    }

    /// Looks at a whole value without its type: each part is there and well-formed, and nothing comes after it.
    ///
    /// The engine keeps a little of each call whose arguments are refused after it began, and what was given away in them: so what
    /// can be told before is refused before.
    pub fn whole(&self) -> Result<()> {
        self.skip()?;
        self.end()
    }

    /// The elements of a list of any form, each encoded by itself.
    pub fn elements(&self) -> Result<Vec<Vec<u8>>> {
        let [found] = self.array::<1>()?;
        if let (None, Some(scalar)) = (scalar(found), scalar(found & !PACKED)) {
            let numbers = self.side_by_side(scalar)?.chunks_exact(width(scalar));
            return Ok(numbers.map(|bytes| [&[tag(scalar)], bytes].concat()).collect());
        }
        if found != LIST {
            return Err(wrong(format!("expected list, got {}", name(found))));
        }
        let count = self.count(1)?;
        (0..count)
            .map(|_| {
                let from = self.rest.get();
                self.skip()?;
                Ok(from[..from.len() - self.rest.get().len()].to_vec())
            })
            .collect()
    }

    /// Goes past one value.
    fn skip(&self) -> Result<()> {
        // A value says how many follow it, so that their number is all there is to keep, however deep they are.
        let mut pending = 1_u64;
        while pending > 0 {
            pending -= 1;
            let [tag] = self.array::<1>()?;
            pending += match tag {
                LIST | RECORD | TUPLE => self.count(1)? as u64,
                MAP => 2 * self.count(2)? as u64,
                CASE_WITH => self.u32().map(|_| 1)?,
                SOME | OK_WITH | ERR_WITH => 1,
                STRING => self.text().map(|_| 0)?,
                CASE | ENUM | FLAGS => self.u32().map(|_| 0)?,
                NONE | OK | ERR => 0,
                OWN | BORROW | STREAM | FUTURE => self.u64().map(|_| 0)?,
                _ => match (scalar(tag), scalar(tag & !PACKED)) {
                    (Some(scalar), _) => self.bits(scalar).map(|_| 0)?,
                    (None, Some(scalar)) => self.side_by_side(scalar).map(|_| 0)?,
                    (None, None) => return Err(wrong(format!("expected a value, got {}", name(tag)))),
                },
            };
        }
        Ok(())
    }

    /// Nothing is left.
    pub fn end(&self) -> Result<()> {
        match self.rest.get().len() {
            0 => Ok(()),
            left => Err(wrong(format!("{left} bytes are left over"))),
        }
    }
}

fn is_bool(byte: u8) -> Result<()> {
    if byte > 1 {
        return Err(wrong(format!("{byte:#04x} is no bool, which is 0 or 1")));
    }
    Ok(())
}

fn is_char(code: u32) -> Result<()> {
    match char::from_u32(code) {
        Some(_) => Ok(()),
        None => Err(wrong(format!("{code:#x} is no Unicode scalar value"))),
    }
}

/// Encoded values, written to the end of a buffer.
#[derive(Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
    /// How many numbers are yet to come in the list that was begun last, which has one tag for all of them.
    untagged: usize,
}

impl Writer {
    /// A tag with a number after it: a count, a place, a set of flags.
    pub fn headed(&mut self, tag: u8, number: u32) {
        let [a, b, c, d] = number.to_le_bytes();
        self.bytes.extend_from_slice(&[tag, a, b, c, d]);
    }

    pub fn handle(&mut self, tag: u8, number: u64) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub fn tag(&mut self, tag: u8) {
        self.bytes.push(tag);
    }

    /// A list of numbers begins, which come one by one.
    pub fn numbers_begin(&mut self, scalar: Scalar, count: usize) {
        self.headed(tag(scalar) | PACKED, length(count));
        self.untagged = count;
    }

    pub fn scalar(&mut self, scalar: Scalar, bits: u64) {
        if self.untagged > 0 {
            self.untagged -= 1;
        } else {
            self.bytes.push(tag(scalar));
        }
        let bytes = bits.to_le_bytes();
        self.bytes.extend_from_slice(&bytes[..width(scalar)]);
    }

    pub fn string(&mut self, text: &str) {
        self.headed(STRING, length(text.len()));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn numbers(&mut self, scalar: Scalar, bytes: &[u8]) {
        self.headed(tag(scalar) | PACKED, length(bytes.len() / width(scalar)));
        self.bytes.extend_from_slice(bytes);
    }
}

/// The list of values that are encoded each by itself.
pub fn list(values: &[Vec<u8>]) -> Vec<u8> {
    let numbers = values.first().and_then(|value| scalar(*value.first()?));
    let mut writer = Writer::default();
    writer.headed(
        numbers.map_or(LIST, |scalar| tag(scalar) | PACKED),
        length(values.len()),
    );
    for value in values {
        let tagged = usize::from(numbers.is_some());
        writer
            .bytes
            .extend_from_slice(value.get(tagged..).unwrap_or_default());
    }
    writer.bytes
}

/// A length as it is written: what comes out of a guest's memory is no longer than that.
pub fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> std::result::Result<(), String> {
        let reader = Reader::default();
        reader.set(bytes);
        reader.whole().map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_value_is_told_from_what_is_none_however_deep_it_is() {
        let mut deep = vec![SOME; 1_000_000];
        assert!(whole(&deep).is_err_and(|message| message.contains("too early")));
        deep.push(NONE);
        assert_eq!(whole(&deep), Ok(()));
        deep.push(NONE);
        assert!(whole(&deep).is_err_and(|message| message == "1 bytes are left over"));
        assert_eq!(
            whole(&[TUPLE, 2, 0, 0, 0, 0x01, 1, STRING, 1, 0, 0, 0, b'a']),
            Ok(())
        );
        for wrong in [
            &[TUPLE, 255, 255, 255, 255, 0x01, 1][..],
            &[0x01, 2],
            &[STRING, 1, 0, 0, 0, 0xff],
            &[0x0d],
        ] {
            assert!(whole(wrong).is_err(), "{wrong:?}");
        }
    }
}
