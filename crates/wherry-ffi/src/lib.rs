//! libwherry: the engine behind a small, stable C ABI, for languages that are neither Rust nor Python.
//!
//! `include/wherry.h` is what callers see, and says what each function does and on which threads; `docs/encoding.md` is the form
//! of values. Nothing a caller does may end its process: a handle is looked up and never followed ([`handles`]), a panic becomes
//! an error ([`failure`]), a buffer is read within its bounds ([`encoding`]). Values go through the engine's one lowering and
//! lifting ([`port`]). Start reading at [`instance`].

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "handles are as wide as pointers, and hold a place and a generation: see crates/wherry-ffi/src/handles.rs"
);

mod component;
mod context;
mod encoding;
mod failure;
mod handles;
mod imports;
mod instance;
mod packages;
mod policy;
mod port;
mod resources;
mod stack;
mod streams;
mod strings;

use std::ffi::{CStr, c_char};

/// The version of the ABI: of the header, of the symbols and of the encoding of values. It is in the name of the library.
const ABI_VERSION: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version with a zero in it"),
};

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_abi_version() -> u32 {
    ABI_VERSION
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_version() -> *const c_char {
    VERSION.as_ptr()
}
