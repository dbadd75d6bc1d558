//! The prepared form of a component: the same behaviour, in a shape that a server can start quickly and put back quickly.
//!
//! A component made of many modules, such as CPython with its libraries, links them anew for every instance: thousands of
//! functions are looked up to fill the one table that they share. [`fuse`] makes one module of them; [`prepare`] also takes out
//! what they write into memories, as [images](Image) that a server maps and puts back. The prepared form belongs
//! in a cache, keyed by the digest of the component and [`VERSION`]; the package keeps what its author made.
//!
//! Nothing here changes what a component does. Where that cannot be had the answer is a [`Reason`]. The same bytes give the
//! same bytes. Names of functions stay, as traps tell them; DWARF of fused modules goes.

mod apart;
mod choice;
mod connecting;
mod constant;
mod merge;
mod outline;
mod rebuild;
mod renaming;
mod rewound;
mod settle;
mod shape;
mod strip;

use wasmparser::{Validator, WasmFeatures};

use crate::layout::{self, DEEPEST};
use crate::quiet;

pub use apart::{Apart, Import, Item, Meaning, apart};

/// Counted up whenever the same component would be prepared in another way.
pub const VERSION: u32 = 1;

/// Why a component cannot be prepared, for whoever asks why it starts slowly; without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

impl Reason {
    fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    fn malformed() -> Self {
        Self::new("it is malformed")
    }
}

impl From<wasmparser::BinaryReaderError> for Reason {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self(format!("{} at byte {}", error.message(), error.offset()))
    }
}

impl<E: std::fmt::Display> From<wasm_encoder::reencode::Error<E>> for Reason {
    fn from(error: wasm_encoder::reencode::Error<E>) -> Self {
        Self(format!("it has a form that cannot be written again: {error}"))
    }
}

impl From<crate::Error> for Reason {
    fn from(error: crate::Error) -> Self {
        Self(error.to_string())
    }
}

/// The component with the core modules that it links among themselves as one, as far as order allows it.
///
/// One that has nothing to fuse comes back as it is.
///
/// # Errors
/// A [`Reason`] for bytes that are no valid component, and for forms that cannot be fused.
pub fn fuse(component: &[u8]) -> Result<Vec<u8>, Reason> {
    if layout::layout(component)?.is_module() {
        return Err(Reason::new("it is a core module; only components are prepared"));
    }
    validate(component)?;
    let fused = quiet::quietly(|| fused(component, 0)).unwrap_or_else(|panic| Err(Reason(panic)))?;
    let Some(fused) = fused else {
        return Ok(component.to_vec());
    };
    validate(&fused).map_err(|Reason(why)| Reason(format!("its modules do not fit into one: {why}")))?;
    Ok(fused)
}

/// The component with constant expressions that calculate as numbers, where they can be known, for engines that take no others.
///
/// # Errors
/// A [`Reason`] for bytes that are no valid component.
pub fn settle(component: &[u8]) -> Result<Vec<u8>, Reason> {
    if layout::layout(component)?.is_module() {
        return Err(Reason::new("it is a core module; only components are settled"));
    }
    validate(component)?;
    quiet::quietly(|| settle::settle(component, 0)).unwrap_or_else(|panic| Err(Reason(panic)))
}

/// The prepared form of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// A component, which must not run without its images if there are any.
    pub component: Vec<u8>,
    /// What its memories hold before any code of the guest runs; those without an image are zero.
    pub images: Vec<Image>,
}

/// What one memory holds at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Which memory: the number of it, from 0, among those that one instantiation makes, in the order in which it makes them.
    pub memory: u32,
    /// How large the memory is at first, in pages of 64 KiB.
    pub pages: u64,
    /// Its bytes from address 0 to the last 4 KiB that are not all zero; all behind them is zero.
    pub bytes: Vec<u8>,
}

/// Fuses the modules of a component and takes the images of its memories out of it.
///
/// # Errors
/// As [`fuse`], and where it cannot be known before it runs what a memory holds at first.
pub fn prepare(component: &[u8]) -> Result<Prepared, Reason> {
    let fused = fuse(component)?;
    let (component, images) = strip::strip(&fused)?;
    validate(&component)?;
    Ok(Prepared { component, images })
}

fn validate(component: &[u8]) -> Result<(), Reason> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(component)?;
    Ok(())
}

fn fused(component: &[u8], depth: usize) -> Result<Option<Vec<u8>>, Reason> {
    if depth > DEEPEST {
        return Ok(None);
    }
    rebuild::rebuild(component, &|inside| fused(inside, depth + 1))
}
