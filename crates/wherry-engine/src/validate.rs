//! Validation of a binary before it is compiled.
//!
//! The compiler validates too, but body by body on its way through the code, so that a fault in the last function
//! of a large module shows after minutes. Here all bodies are validated first, on all cores, which takes a
//! hundredth of the time that compiling does; the depth of blocks inside each body, which the compiler's own
//! structures follow, is bounded in the same pass.

use rayon::prelude::*;
use wasmparser::{
    BinaryReaderError, FuncToValidate, FunctionBody, Parser, Payload, ValidPayload, Validator,
    ValidatorResources,
};
use wasmtime::Engine;

use crate::bounds::{Bounds, at_most};
use crate::compile::in_pool;
use crate::error::{Error, Kind, Result};

/// Validates `bytes`, a binary, with the proposals of `engine`, and returns the deepest nesting of blocks.
///
/// # Errors
/// [`Kind::Invalid`], [`Kind::Unsupported`] for a proposal that is off, and [`Kind::TooLarge`] for nesting over
/// the bound.
pub fn validate(bytes: &[u8], engine: &Engine, bounds: &Bounds) -> Result<u64> {
    let features = engine.get_wasm_features();
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(bytes) {
        let payload = payload.map_err(|error| refused(&error))?;
        whole(&payload, bytes.len())?;
        if let ValidPayload::Func(function, body) =
            validator.payload(&payload).map_err(|error| refused(&error))?
        {
            bodies.push((function, body));
        }
    }
    in_pool(|| {
        bodies
            .into_par_iter()
            .map(|(function, body)| nesting(function, &body, bounds.nesting))
            .try_reduce(|| 0, |one, other| Ok(one.max(other)))
    })?
}

/// Refuses a module or component inside a component that the file breaks off in, which the parser takes for its end.
fn whole(payload: &Payload<'_>, length: usize) -> Result<()> {
    match payload {
        Payload::ModuleSection { unchecked_range, .. }
        | Payload::ComponentSection { unchecked_range, .. }
            if unchecked_range.end > length =>
        {
            let (start, missing) = (unchecked_range.start, unchecked_range.end - length);
            let message = format!(
                "not valid WebAssembly: {missing} bytes are missing of what starts at byte {start:#x}"
            );
            Err(Error::new(Kind::Invalid, message)
                .with_hint("it is cut short, as a download that broke off is"))
        }
        _ => Ok(()),
    }
}

/// Validates one body and returns its deepest nesting of blocks.
fn nesting(function: FuncToValidate<ValidatorResources>, body: &FunctionBody<'_>, bound: u64) -> Result<u64> {
    let invalid = |error: BinaryReaderError| refused(&error);
    let features = function.features;
    let mut validator = function.into_validator(wasmparser::FuncValidatorAllocations::default());
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader).map_err(invalid)?;
    reader.set_features(features);
    let mut deepest = 0;
    while !reader.eof() {
        let position = reader.original_position();
        reader
            .visit_operator(&mut validator.visitor(position))
            .map_err(invalid)?
            .map_err(invalid)?;
        // The body itself is a level of the validator's, and of nobody else's.
        let depth = u64::from(validator.control_stack_height()).saturating_sub(1);
        if depth > deepest {
            deepest = depth;
            at_most("levels of nesting", depth, bound, "--max-nesting")?;
        }
    }
    let end = reader.original_position();
    reader
        .finish_expression(&validator.visitor(end))
        .map_err(invalid)?;
    Ok(deepest)
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
        validate(
            &bytes,
            &engine,
            &Bounds {
                nesting,
                ..Bounds::default()
            },
        )
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
            let error = validate(&whole[..length], &engine, &Bounds::default()).expect_err("cut short");
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
