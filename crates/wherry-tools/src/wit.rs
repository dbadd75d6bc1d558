//! From bytes to the [`Model`] of what they import and export, and to WIT text.
//!
//! The model is read off the types that validation builds, so that it exists for every valid component.
//! `wit-component` would do the same for most; but it refuses what no WIT file can say, such as an interface
//! that is exported again as it was imported, and such components run. For [`text`] it is the right tool.
//! Function bodies are not validated here, as that is the business of loading. Start reading at [`model`].

use std::borrow::Cow;

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, ValidPayload, Validator, WasmFeatures};
use wit_component::WitPrinter;

use crate::component;
use crate::docs;
use crate::error::{Error, Result};
use crate::layout;
use crate::model::Model;
use crate::module;
use crate::quiet;
use crate::signature;

/// The longest interface that is described, in bytes of WIT. The largest that was seen has 200 KiB; types that
/// repeat each other, level upon level, would reach any length.
pub const LONGEST_INTERFACE: u64 = 16 << 20;

/// Reads what the component or core module in `bytes` imports and exports.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are malformed, cut short or ill-typed, [`Error::TooLarge`] for components
/// that nest too deep or whose interface is longer than [`LONGEST_INTERFACE`].
pub fn model(bytes: &[u8]) -> Result<Model> {
    if layout::layout(bytes)?.is_module() {
        return module::core(bytes).map(Model::Module);
    }
    let border = border(bytes)?;
    let names = package(&border);
    let mut world = if names.is_some() {
        component::packaged(&border)
    } else {
        component::world(&border)
    };
    let length = signature::length(&world);
    if length > LONGEST_INTERFACE {
        return Err(Error::TooLarge(format!(
            "the interface is {length} bytes long when printed; at most {LONGEST_INTERFACE} are described"
        )));
    }
    if let Some(names) = names {
        return Ok(Model::Package { names });
    }
    world.docs = docs::read(bytes)?.unwrap_or_default();
    Ok(Model::Component(world))
}

/// The interface of the component or WIT package in `bytes` as WIT text; for a core module, which has none,
/// its imports and exports in the same manner.
///
/// # Errors
/// As [`model`], and [`Error::Inexpressible`] for what WIT cannot say, such as a component that exports a module.
pub fn text(bytes: &[u8]) -> Result<String> {
    if let Model::Module(core) = model(bytes)? {
        return Ok(signature::module(&core));
    }
    // `wit-parser` asserts what a component made in bad faith can break.
    quiet::quietly(|| print(bytes))
        .unwrap_or_else(|panic| Err(anyhow::anyhow!(panic)))
        .map_err(|error| Error::Inexpressible(format!("the interface cannot be written as WIT: {error:#}")))
}

fn print(bytes: &[u8]) -> anyhow::Result<String> {
    let decoded = wit_component::decode(bytes)?;
    let (main, resolve) = (decoded.package(), decoded.resolve());
    let others: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != main)
        .collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, main, &others)?;
    Ok(printer.output.to_string())
}

/// The binary form of `source`, a component or module in the text format; `name` is for messages.
///
/// # Errors
/// [`Error::Invalid`] with the name, line and column, and the line itself.
pub fn binary(source: &[u8], name: &str) -> Result<Vec<u8>> {
    let binary = wat::parse_bytes(source).map_err(|mut error| {
        error.set_path(name);
        Error::Invalid(error.to_string())
    });
    binary.map(Cow::into_owned)
}

/// What stands at the border of a component, in the order of the file, with the types it refers to.
pub(crate) struct Border {
    pub(crate) types: Types,
    pub(crate) imports: Vec<(String, ComponentEntityType)>,
    pub(crate) exports: Vec<(String, ComponentEntityType)>,
}

/// Validates everything but function bodies.
fn border(bytes: &[u8]) -> Result<Border> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        let verdict = validator.payload(&payload)?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.clone() {
                    let name = import?.name.name;
                    let item = validator
                        .types(0)
                        .and_then(|types| types.component_item_for_import(name));
                    imports.extend(item.map(|item| (name.to_owned(), item.ty)));
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.clone() {
                    let name = export?.name.name;
                    let item = validator
                        .types(0)
                        .and_then(|types| types.component_item_for_export(name));
                    exports.extend(item.map(|item| (name.to_owned(), item.ty)));
                }
            }
            _ => {}
        }
        if let ValidPayload::End(types) = verdict {
            depth -= 1;
            if depth == 0 {
                return Ok(Border {
                    types,
                    imports,
                    exports,
                });
            }
        }
    }
    Err(Error::Invalid(
        "the file ends before the component does".to_owned(),
    ))
}

/// The names in a WIT package: a component that exports types of components and nothing else.
fn package(border: &Border) -> Option<Vec<String>> {
    if border.exports.is_empty() || !border.imports.is_empty() {
        return None;
    }
    let mut names = Vec::new();
    for (_, ty) in &border.exports {
        let ComponentEntityType::Type {
            created: ComponentAnyTypeId::Component(id),
            ..
        } = ty
        else {
            return None;
        };
        names.extend(border.types[*id].exports.keys().cloned());
    }
    Some(names)
}
