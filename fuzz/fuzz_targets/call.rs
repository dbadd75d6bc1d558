//! A guest that loads is called, and nothing it does or returns is more than an error.
//!
//! Half of the inputs become modules of wasm-smith. The other half become components that lie: their allocator returns
//! any address, and their results point anywhere, at any bytes.

#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use wherry_fuzz::{call_all, expect_typed, liar, load};

fuzz_target!(|bytes: &[u8]| {
    let _ = run(&mut Unstructured::new(bytes));
});

fn run(bytes: &mut Unstructured<'_>) -> Result<()> {
    let module = if bytes.arbitrary()? {
        hostile_modules::module(bytes)?
    } else {
        liar::component(bytes)?
    };
    if let Some(program) = expect_typed(load(module)) {
        call_all(program, bytes)?;
    }
    Ok(())
}
