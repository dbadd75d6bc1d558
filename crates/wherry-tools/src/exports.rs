//! Exports that a tool left behind, such as the one by which it prepared a guest at build time, are taken away.

use std::collections::BTreeSet;
use std::ops::Range;

use wasm_encoder::{Encode as _, RawSection, Section as _};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::adapter::HEADER;
use crate::error::{Error, Result};
use crate::source::Source;

/// The component without the exports that the world of `source` does not name.
///
/// One that something else in the component refers to stays.
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

fn without(component: &[u8], wanted: &BTreeSet<String>) -> anyhow::Result<Vec<u8>> {
    let mut kept = component[..HEADER.min(component.len())].to_vec();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        let section = payload.as_section();
        if depth == 0
            && let Some((id, range)) = section
        {
            let data = &component[range];
            match &payload {
                Payload::ComponentExportSection(exports) => {
                    let exports = exports.clone();
                    let end = exports.range().end;
                    let mut starts = Vec::new();
                    for export in exports.into_iter_with_offsets() {
                        let (start, export) = export?;
                        starts.push((start, wanted.contains(export.name.name)));
                    }
                    RawSection {
                        id,
                        data: &some(component, &starts, end),
                    }
                    .append_to(&mut kept);
                }
                _ => RawSection { id, data }.append_to(&mut kept),
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

/// The items of a section that are kept, of which each begins somewhere and ends where the next one does.
fn some(component: &[u8], starts: &[(usize, bool)], end: usize) -> Vec<u8> {
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([end]);
    let items: Vec<Range<usize>> = starts
        .iter()
        .zip(ends)
        .filter(|((_, keep), _)| *keep)
        .map(|((start, _), end)| *start..end)
        .collect();
    let mut data = Vec::new();
    items.len().encode(&mut data);
    for item in items {
        data.extend_from_slice(&component[item]);
    }
    data
}
