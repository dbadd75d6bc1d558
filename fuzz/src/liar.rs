//! Components whose memory, allocator and results are whatever the fuzzer says.

use arbitrary::{Result, Unstructured};
use std::fmt::Write as _;

/// One element type each; a function takes and returns a list of it, so that all have the same flat form.
const ELEMENTS: &[&str] = &[
    "bool",
    "u8",
    "s16",
    "u32",
    "s64",
    "f32",
    "f64",
    "char",
    "string",
    "$record",
    "$variant",
    "$enum",
    "$flags",
    "(list u8)",
    "(list string)",
    "(list (list char))",
    "(map string u32)",
    "(option (option string))",
    "(result $variant (error $record))",
    "(tuple u8 $flags (option f64) (list $enum))",
];

const TYPES: &str = r#"
  (type $enum' (enum "a" "b" "c"))
  (export $enum "enum" (type $enum'))
  (type $flags' (flags "r" "w" "x"))
  (export $flags "flags" (type $flags'))
  (type $record' (record (field "a" u8) (field "b" string) (field "c" s64) (field "d" (list u16))))
  (export $record "record" (type $record'))
  (type $variant' (variant (case "none") (case "f" f32) (case "s" string) (case "d" f64) (case "r" $record)))
  (export $variant "variant" (type $variant'))
"#;

/// One component with a function `lie` that takes a list and returns one.
///
/// # Errors
/// When `bytes` are too few to decide it.
pub fn component(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let element = bytes.choose(ELEMENTS)?;
    let encoding = bytes.choose(&["utf8", "utf16", "latin1+utf16"])?;
    let allocated = address(bytes)?;
    let step: u16 = bytes.arbitrary()?;
    let result = address(bytes)?;
    let length = bytes.arbitrary_len::<u8>()?;
    let data = bytes.bytes(length)?;
    let mut memory = String::with_capacity(3 * length);
    for byte in data {
        let _ = write!(memory, "\\{byte:02x}");
    }
    let text = format!(
        r#"(component {TYPES}
  (core module $liar
    (memory (export "memory") 1 4)
    (data (i32.const 0) "{memory}")
    (global $next (mut i32) (i32.const {allocated}))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (i32.const {step}))))
    (func (export "lie") (param i32 i32) (result i32) (i32.const {result})))
  (core instance $liar (instantiate $liar))
  (alias core export $liar "memory" (core memory $memory))
  (alias core export $liar "realloc" (core func $realloc))
  (func (export "lie") (param "x" (list {element})) (result (list {element}))
    (canon lift (core func $liar "lie") (memory $memory) (realloc $realloc) string-encoding={encoding})))"#
    );
    wat::parse_str(text).map_err(|_| arbitrary::Error::IncorrectFormat)
}

/// Mostly inside the one page of memory, where a lie goes furthest.
fn address(bytes: &mut Unstructured<'_>) -> Result<i32> {
    if bytes.ratio(7, 8)? {
        bytes.int_in_range(0..=65_536)
    } else {
        bytes.arbitrary()
    }
}
