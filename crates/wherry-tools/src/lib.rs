//! The component tool-chain under Wherry: what a file imports and exports, and what it tells of itself.
//!
//! - [`wit::model`] reads the interface of a component or core module into the one [`model`] of it, which the
//!   runtime, `inspect` and the generators of bindings share; [`signature`] prints parts of it.
//! - [`layout::layout`] reads what the file is made of.
//! - [`inspect::inspect`] puts both together with what the file [`needs`] and which [`places`] it fits.
//! - [`source::Source`] reads the interfaces of a project, which may use those of [`wasi`]; [`bindings::generate`] makes what its guest is compiled
//!   against, [`componentize::componentize`] a component of what the compiler made.
//!
//! Every function that describes a file takes bytes from anybody: what is malformed is an [`Error`], never a panic, and time and
//! memory stay in proportion to the file.

mod adapter;
mod assemblyscript;
pub mod bindings;
mod component;
pub mod componentize;
mod crossing;
mod declarations;
pub mod docs;
pub mod error;
pub mod exports;
pub mod inspect;
mod javascript;
pub mod layout;
mod lending;
pub mod model;
mod module;
pub mod needs;
pub mod places;
pub mod prepared;
mod quiet;
pub mod signature;
pub mod source;
mod supported;
mod surface;
pub mod wasi;
pub mod wit;

pub use error::{Error, Result};
