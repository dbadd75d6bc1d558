//! WebAssembly modules at random that pass validation, with exports that are known before they are made.
//!
//! The tests and the fuzz target `call` share what is decided here: which proposals appear, how large a module
//! gets, and that it ends. Start reading at [`module`].

use arbitrary::{Result, Unstructured};
use wasm_smith::{Config, Module};

/// Turns of loops and calls that a module may make before it traps by itself.
const TURNS: u32 = 1_000;

/// What every module exports. The tests call these by name.
const EXPORTS: &str = r#"
(module
  (func (export "numbers") (param i32 i64 f32 f64) (result i32) unreachable)
  (func (export "plain"))
  (func (export "many") (param i64) (result i64 f64) unreachable))
"#;

/// One module, decided by `bytes` alone.
///
/// # Errors
/// When `bytes` are too few to decide it.
pub fn module(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut module = Module::new(config(bytes)?, bytes)?;
    module
        .ensure_termination(TURNS)
        .map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(module.to_bytes())
}

/// All that the engine takes; now and then imports, large memories and large tables, which it has an answer for.
fn config(bytes: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = Config {
        allow_start_export: bytes.ratio(1, 4)?,
        exports: wat::parse_str(EXPORTS).ok(),
        generate_custom_sections: bytes.ratio(1, 8)?,
        max_funcs: 8,
        max_imports: 0,
        max_instructions: 60,
        max_memories: 2,
        max_memory32_bytes: 1 << 21,
        max_memory64_bytes: 1 << 21,
        max_table_elements: 10_000,
        max_tables: 2,
        max_types: 20,
        threads_enabled: false,
        ..Config::default()
    };
    if bytes.ratio(1, 10)? {
        config.max_imports = 4;
    }
    if bytes.ratio(1, 40)? {
        config.max_memory32_bytes = 1 << 32;
        config.max_memory64_bytes = 1 << 64;
        config.max_table_elements = 1 << 30;
    }
    Ok(config)
}
