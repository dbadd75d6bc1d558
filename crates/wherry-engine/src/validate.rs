//! Validation of a binary before it is compiled.
//!
//! The compiler validates too, but body by body on its way through the code, so that a fault in the last function
//! of a large module shows after minutes. Here all bodies are validated first, on all cores, which takes a
//! hundredth of the time that compiling does; the depth of blocks inside each body, which the compiler's own
//! structures follow, is bounded in the same pass, and what makes compiling long is counted.

use rayon::prelude::*;
use wasmparser::{
    BinaryReaderError, FuncToValidate, FunctionBody, Parser, Payload, ValidPayload, Validator,
    ValidatorResources,
};
use wasmtime::Engine;

use crate::bounds::at_most;
use crate::compile::in_pool;
use crate::effort::{Body, Effort};
use crate::error::{Error, Kind, Result};

mod signatures;

/// What validation found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Validated {
    /// The deepest nesting of blocks.
    pub nesting: u64,
    /// What compiling takes for the sake of single instructions.
    pub effort: Effort,
    /// Whether a table grows while it runs.
    pub grows_tables: bool,
}

impl Validated {
    fn and(self, other: Self) -> Self {
        Self {
            nesting: self.nesting.max(other.nesting),
            effort: self.effort + other.effort,
            grows_tables: self.grows_tables || other.grows_tables,
        }
    }
}

/// Validates `bytes`, a binary, with the proposals of `engine`. A call in it hands over `values` at the most.
///
/// # Errors
/// [`Kind::Invalid`], [`Kind::Unsupported`] for a proposal that is off, and [`Kind::TooLarge`] for blocks deeper than
/// `nesting`.
pub fn validate(bytes: &[u8], engine: &Engine, nesting: u64, values: u64) -> Result<Validated> {
    let features = engine.get_wasm_features();
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let (mut bodies, mut effort) = (Vec::new(), Effort::default());
    for payload in parser.parse_all(bytes) {
        let payload = payload.map_err(|error| refused(&error))?;
        whole(&payload, bytes.len())?;
        match validator.payload(&payload).map_err(|error| refused(&error))? {
            ValidPayload::Func(function, body) => bodies.push((function, body)),
            ValidPayload::End(types) => effort += signatures::effort(types.as_ref()),
            _ => {}
        }
    }
    in_pool(|| {
        bodies
            .into_par_iter()
            .map(|(function, body)| one(function, &body, nesting, values))
            .try_reduce(Validated::default, |one, other| Ok(one.and(other)))
    })?
    .map(|validated| Validated {
        effort: validated.effort + effort,
        ..validated
    })
}

/// Refuses a module or component inside a component that the file breaks off in, which the parser takes for its end.
fn whole(payload: &Payload<'_>, length: usize) -> Result<()> {
    match payload {
        Payload::ModuleSection { unchecked_range, .. }
        | Payload::ComponentSection { unchecked_range, .. }
            if unchecked_range.end > length =>
        {
            Err(cut_short(length))
        }
        _ => Ok(()),
    }
}

/// The error for a file that ends after so many bytes and before its end.
pub(crate) fn cut_short(length: usize) -> Error {
    let message = format!("cut short: the file ends too early, after {length} bytes");
    Error::new(Kind::Invalid, message).with_hint("copy or download it again")
}

/// As many values as a call usually hands over; they cost nothing worth counting.
const FEW: u64 = 16;

/// Validates one body, and counts on the way.
fn one(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    bound: u64,
    values: u64,
) -> Result<Validated> {
    let invalid = |error: BinaryReaderError| refused(&error);
    let features = function.features;
    let mut validator = function.into_validator(wasmparser::FuncValidatorAllocations::default());
    let mut reader = body.get_binary_reader();
    let (code, start) = (body.as_bytes(), reader.original_position());
    validator.read_locals(&mut reader).map_err(invalid)?;
    reader.set_features(features);
    let mut count = Count {
        body: Body {
            variables: u64::from(validator.len_locals()),
            values: values.saturating_sub(FEW),
            ..Body::default()
        },
        handlers: Vec::new(),
        open: 0,
        grows_tables: false,
    };
    while !reader.eof() {
        let position = reader.original_position();
        reader
            .visit_operator(&mut validator.visitor(position))
            .map_err(invalid)?
            .map_err(invalid)?;
        // The body itself is a level of the validator's, and of nobody else's.
        let depth = u64::from(validator.control_stack_height()).saturating_sub(1);
        if depth > count.body.nesting {
            count.body.nesting = depth;
            at_most("levels of nesting", depth, bound, "--max-nesting")?;
        }
        let end = reader.original_position();
        count.instruction(code.get(position - start..end - start).unwrap_or_default(), depth);
    }
    let end = reader.original_position();
    reader
        .finish_expression(&validator.visitor(end))
        .map_err(invalid)?;
    Ok(Validated {
        nesting: count.body.nesting,
        effort: count.body.effort(),
        grows_tables: count.grows_tables,
    })
}

/// What is counted in a body, and the blocks with handlers that are open: at which depth, and how many they have.
struct Count {
    body: Body,
    handlers: Vec<(u64, u64)>,
    /// How many handlers they have together.
    open: u64,
    grows_tables: bool,
}

impl Count {
    /// Counts an instruction of these bytes, after which the code is `depth` blocks deep.
    fn instruction(&mut self, bytes: &[u8], depth: u64) {
        let [opcode, rest @ ..] = bytes else { return };
        let length = bytes.len() as u64;
        match opcode {
            // `loop`
            0x03 => {
                self.body.loops += 1;
                self.body.branches += 1;
            }
            // `if`, `else`, `br`, `br_if`, `br_on_null`, `br_on_non_null`
            0x04 | 0x05 | 0x0c | 0x0d | 0xd5 | 0xd6 => self.body.branches += 1,
            // `br_table`: each of its labels is a byte or more.
            0x0e => self.body.branches += length,
            // `end`
            0x0b => {
                while let Some((_, clauses)) = self.handlers.pop_if(|(opened, _)| *opened > depth) {
                    self.open -= clauses;
                }
            }
            // `try_table`: each of its clauses is two bytes or more.
            0x1f => {
                self.body.branches += length;
                self.handlers.push((depth, length));
                self.open += length;
            }
            // Calls, and what else becomes several blocks or a call: of exceptions, tables, memories, references.
            0x08 | 0x0a | 0x10..=0x15 | 0x25 | 0x26 | 0x40 | 0xd2 | 0xfb => self.call(),
            // What follows 7 under this prefix is of memories and tables.
            0xfc if rest.first().is_some_and(|second| *second > 7) => {
                // `table.grow`
                self.grows_tables |= rest.first() == Some(&0x0f);
                self.call();
            }
            _ => {}
        }
    }

    fn call(&mut self) {
        self.body.calls += 1;
        self.body.handlers = self.body.handlers.saturating_add(self.open);
    }
}

/// Words of the validator that name a proposal which is off; it has no error code to tell them by.
const PROPOSAL_IS_OFF: &[&str] = &["feature", "not enabled", "proposal"];

/// The error for what the validator refused.
pub(crate) fn refused(error: &BinaryReaderError) -> Error {
    let (message, offset) = (error.message(), error.offset());
    if message.contains("legacy_exceptions") {
        return Error::new(
            Kind::Unsupported,
            format!("uses the first draft of exceptions, which the standard replaced ({message} at byte {offset:#x})"),
        )
        .with_hint("rebuild it with `-mllvm -wasm-use-legacy-eh=false`, or translate it: `wasm-opt --translate-to-exnref`");
    }
    if PROPOSAL_IS_OFF.iter().any(|words| message.contains(words)) {
        return Error::new(
            Kind::Unsupported,
            format!("needs a proposal that is off: {message} (at byte {offset:#x})"),
        )
        .with_hint("rebuild it for WebAssembly 3.0 without threads");
    }
    Error::new(
        Kind::Invalid,
        format!("not valid WebAssembly: {message} (at byte {offset:#x})"),
    )
    .with_hint("it is damaged, or the tool that made it has a fault")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::{EngineKey, engine};

    fn validated(text: &str, nesting: u64) -> Result<u64> {
        let engine = engine(&EngineKey::default()).expect("an engine");
        let bytes = wat::parse_str(text).expect("text");
        validate(&bytes, &engine, nesting, 0).map(|validated| validated.nesting)
    }

    fn nested(depth: usize) -> String {
        format!(
            "(module (func {}{}))",
            "block ".repeat(depth),
            "end ".repeat(depth)
        )
    }

    #[test]
    fn nesting_is_bounded_at_the_level() {
        assert_eq!(validated(&nested(9), 10).expect("below"), 9);
        assert_eq!(validated(&nested(10), 10).expect("at"), 10);
        let error = validated(&nested(11), 10).expect_err("above");
        assert_eq!(error.kind(), Kind::TooLarge);
        assert!(error.hint().expect("a hint").contains("--max-nesting"));
    }

    #[test]
    fn a_component_cut_short_inside_a_module_is_invalid() {
        let engine = engine(&EngineKey::default()).expect("an engine");
        let whole = wat::parse_str("(component (core module (func) (func)))").expect("text");
        for length in 9..whole.len() {
            let error = validate(&whole[..length], &engine, 10, 0).expect_err("cut short");
            assert_eq!(error.kind(), Kind::Invalid, "{length}: {error}");
        }
    }

    #[test]
    fn what_does_not_type_is_invalid() {
        let error = validated("(module (func (result i32) i64.const 1))", 10).expect_err("ill-typed");
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("type mismatch"), "{error}");
    }

    #[test]
    fn proposals_that_are_off_are_unsupported() {
        let off = [
            "(module (memory 1) (func i32.const 0 i32.const 0 i32.atomic.store))",
            "(module (func try i32.const 0 drop catch_all end))",
            "(module (func i64.const 1 i64.const 1 i64.mul_wide_s drop drop))",
        ];
        for text in off {
            assert_eq!(
                validated(text, 10).err().map(|error| error.kind()),
                Some(Kind::Unsupported),
                "{text}"
            );
        }
    }

    #[test]
    fn proposals_of_phase_four_are_on() {
        let on = [
            "(module (memory i64 1))",
            "(module (memory 1) (memory 1))",
            "(module (type (struct (field i32))))",
            "(module (tag) (func (throw 0)))",
            "(module (func $f (return_call $f)))",
            "(module (func (param v128 v128 v128) (result v128) \
                (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))",
            "(module (type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0))))",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
            "(component (type (map string u32)))",
        ];
        for text in on {
            assert!(
                validated(text, 10).is_ok(),
                "{text}: {:?}",
                validated(text, 10).err()
            );
        }
    }
}
