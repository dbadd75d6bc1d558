//! Core modules become components: the form that every place knows.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as ADAPTED;
use wasm_encoder::{ExportSection, NameMap, NameSection, RawSection, Section as _};
use wasmparser::{ExternalKind, KnownCustom, Name, NameSectionReader, Naming, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::adapter::{HEADER, adapter};
use crate::assemblyscript;
use crate::error::{Error, Result};
use crate::lending::kept_inside;
use crate::quiet;
use crate::source::Source;

/// Where a command starts.
const START: &str = "_start";

/// The component of a core module that was compiled for WASI 0.1 or for the world of `source`.
///
/// With `source` the types of its world are put into the module, which needs that if its bindings did not.
///
/// # Errors
/// [`Error::Invalid`] for a module that is none, or that does not do what its world says.
pub fn componentize(module: &[u8], source: Option<&Source>) -> Result<Vec<u8>> {
    quiet::quietly(|| encode(module, source))
        .unwrap_or_else(|panic| Err(anyhow::anyhow!(panic)))
        .map_err(|error| Error::Invalid(format!("{error:#}")))
}

fn encode(module: &[u8], source: Option<&Source>) -> anyhow::Result<Vec<u8>> {
    let mut module = kept(module, starts_unnamed(module)?)?;
    if let Some(source) = source {
        module = kept_inside(&module)?;
        embed_component_metadata(&mut module, &source.resolve, source.world, StringEncoding::UTF8)?;
    }
    let adapter = adapter(exports(&module, START)?)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(ADAPTED, &adapter)?
        .encode()
}

/// The module without what debuggers read, which is most of its bytes; names of functions stay, for traps.
///
/// Exports get the names that AssemblyScript has identifiers for. Where it starts without a name, which the adapter does
/// not take, it starts at `_start`; that does what `_initialize` would do, so that nothing is set up twice.
fn kept(module: &[u8], unnamed: bool) -> anyhow::Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(module.len());
    kept.extend_from_slice(&module[..module.len().min(HEADER)]);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(custom) = &payload
            && custom.name().starts_with(".debug_")
        {
            continue;
        }
        if let Payload::CustomSection(custom) = &payload
            && let KnownCustom::Name(names) = custom.as_known()
            && let Some(names) = told(names)
        {
            names.append_to(&mut kept);
            continue;
        }
        if let Payload::ExportSection(exports) = &payload {
            let mut renamed = ExportSection::new();
            for export in exports.clone() {
                let export = export?;
                let name = match export.name {
                    "" if unnamed => START.to_owned(),
                    "_initialize" if unnamed => continue,
                    name => assemblyscript::stood_for(name).unwrap_or_else(|| name.to_owned()),
                };
                renamed.export(&name, export.kind.into(), export.index);
            }
            renamed.append_to(&mut kept);
        } else if let Some((id, range)) = payload.as_section() {
            RawSection {
                id,
                data: &module[range],
            }
            .append_to(&mut kept);
        }
    }
    Ok(kept)
}

/// The names of functions as traps tell them, if some stand for others; what is malformed stays, as nobody has to read it.
fn told(names: NameSectionReader<'_>) -> Option<NameSection> {
    let mut map = NameMap::new();
    let mut renamed = false;
    for part in names {
        if let Name::Function(functions) = part.ok()? {
            for function in functions {
                let Naming { index, name } = function.ok()?;
                let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
                let other = assemblyscript::stood_for(last);
                renamed |= other.is_some();
                map.append(index, other.as_deref().unwrap_or(name));
            }
        }
    }
    let mut told = NameSection::new();
    told.functions(&map);
    renamed.then_some(told)
}

/// Whether the module starts under the empty name, as some tool-chains have it.
fn starts_unnamed(module: &[u8]) -> anyhow::Result<bool> {
    Ok(exports(module, "")? && !exports(module, START)?)
}

/// Whether the module has a function under this name.
fn exports(module: &[u8], name: &str) -> anyhow::Result<bool> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(exports) = payload? {
            for export in exports {
                let export = export?;
                if export.name == name && export.kind == ExternalKind::Func {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
