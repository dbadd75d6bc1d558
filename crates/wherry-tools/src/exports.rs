//! Exports that a tool left behind, such as the one by which it prepared a guest at build time, are taken away.

use std::collections::BTreeSet;

use wasm_encoder::{Encode as _, RawSection, Section as _};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentTypeRef, Parser, Payload, Validator,
    WasmFeatures,
};

use crate::adapter::HEADER;
use crate::error::{Error, Result};
use crate::source::Source;

/// The component without the exports that the world of `source` does not name.
///
/// Where that would break it they stay.
///
/// # Errors
/// [`Error::Invalid`] for a component that is none.
pub fn only_those_of(component: &[u8], source: &Source) -> Result<Vec<u8>> {
    let world = &source.resolve.worlds[source.world];
    let wanted: BTreeSet<String> = world
        .exports
        .keys()
        .map(|key| source.resolve.name_world_key(key))
        .collect();
    let found = without(component, &wanted).map_err(|error| Error::Invalid(format!("{error:#}")))?;
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    Ok(if validator.validate_all(&found).is_ok() {
        found
    } else {
        component.to_vec()
    })
}

/// Functions of a component as they are numbered. An export is a function of its own, so that those after one that
/// is taken away have lower numbers.
#[derive(Default)]
struct Functions {
    count: u32,
    taken: Vec<u32>,
}

impl Functions {
    /// The number that a function has now.
    fn renumbered(&self, index: u32) -> u32 {
        let before = self.taken.iter().filter(|taken| **taken < index).count();
        index - u32::try_from(before).unwrap_or(0)
    }

    /// Counts the functions that a section other than that of exports defines.
    fn count(&mut self, payload: &Payload<'_>) -> anyhow::Result<()> {
        let is_function = |kind| u32::from(kind == ComponentExternalKind::Func);
        match payload {
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    self.count += u32::from(matches!(import?.ty, ComponentTypeRef::Func(_)));
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions.clone() {
                    self.count += u32::from(matches!(function?, CanonicalFunction::Lift { .. }));
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    if let ComponentAlias::InstanceExport { kind, .. } = alias? {
                        self.count += is_function(kind);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn without(component: &[u8], wanted: &BTreeSet<String>) -> anyhow::Result<Vec<u8>> {
    let mut kept = component[..HEADER.min(component.len())].to_vec();
    let mut functions = Functions::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if depth == 0
            && let Some((id, range)) = payload.as_section()
        {
            if let Payload::ComponentExportSection(exports) = &payload {
                let data = some(component, exports, wanted, &mut functions)?;
                RawSection { id, data: &data }.append_to(&mut kept);
            } else {
                functions.count(&payload)?;
                let data = &component[range];
                RawSection { id, data }.append_to(&mut kept);
            }
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(kept)
}

/// The section of exports with those that are wanted.
fn some(
    component: &[u8],
    exports: &wasmparser::ComponentExportSectionReader<'_>,
    wanted: &BTreeSet<String>,
    functions: &mut Functions,
) -> anyhow::Result<Vec<u8>> {
    let mut found = Vec::new();
    for export in exports.clone().into_iter_with_offsets() {
        found.push(export?);
    }
    let ends = found
        .iter()
        .skip(1)
        .map(|(start, _)| *start)
        .chain([exports.range().end])
        .collect::<Vec<_>>();
    let (mut items, mut count) = (Vec::new(), 0_usize);
    for ((start, export), end) in found.iter().zip(ends) {
        let function = export.kind == ComponentExternalKind::Func;
        let own = functions.count;
        functions.count += u32::from(function);
        if !wanted.contains(export.name.name) {
            if function {
                functions.taken.push(own);
            }
            continue;
        }
        count += 1;
        let item = &component[*start..end];
        let index = functions.renumbered(export.index);
        if function && index != export.index {
            items.extend(renumbered(item, export.index, index)?);
        } else {
            items.extend_from_slice(item);
        }
    }
    let mut data = Vec::new();
    count.encode(&mut data);
    data.extend(items);
    Ok(data)
}

/// An exported function with another number: name, the sort of functions, the number, and perhaps a type.
fn renumbered(item: &[u8], from: u32, to: u32) -> anyhow::Result<Vec<u8>> {
    const FUNCTION: u8 = 1;
    let (mut before, mut after) = (vec![FUNCTION], vec![FUNCTION]);
    from.encode(&mut before);
    to.encode(&mut after);
    // Behind the name, in which anything may stand.
    let mut reader = wasmparser::BinaryReader::new(&item[1..], 0);
    reader.read_string()?;
    let name = 1 + reader.original_position();
    let rest = item[name..]
        .strip_prefix(before.as_slice())
        .ok_or_else(|| anyhow::anyhow!("an export is of another form than was expected"))?;
    Ok([&item[..name], &after, rest].concat())
}
