//! The adapters from WASI 0.1 to 0.2, with exit codes carried whole.
//!
//! As they are published they know success and failure alone: `proc_exit` calls `exit`, which takes a `result`.
//! WASI 0.2.12 has `exit-with-code` beside it, with the same core type, so that the import is given its name and
//! the comparison with 0 in front of the call is made one that changes nothing.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasm_encoder::{RawSection, Section as _};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// The bytes before the first section.
pub(crate) const HEADER: usize = 8;

const EXIT: (&[u8], &[u8]) = (
    b"\x14wasi:cli/exit@0.2.12\x04exit\0",
    b"\x14wasi:cli/exit@0.2.12\x0eexit-with-code\0",
);
/// `i32.const 0`, `i32.ne`, `call`; and `i32.const 0`, `i32.or`, `call`.
const STATUS: (&[u8], &[u8]) = (b"\x41\0\x47\x10", b"\x41\0\x72\x10");

/// The adapter for commands, or for everything else.
///
/// # Errors
/// If the adapter is not as it was when this was written, which a test would tell.
pub(crate) fn adapter(command: bool) -> anyhow::Result<Vec<u8>> {
    let bytes = if command { COMMAND } else { REACTOR };
    let exit = body(bytes, "proc_exit")?;
    let mut adapter = bytes[..HEADER].to_vec();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let data = &bytes[range.clone()];
        let data = match &payload {
            Payload::ImportSection(_) => Cow::Owned(replaced(data, EXIT)?),
            Payload::CodeSectionStart { .. } => {
                let (start, end) = (exit.start - range.start, exit.end - range.start);
                Cow::Owned(
                    [
                        &data[..start],
                        &replaced(&data[start..end], STATUS)?,
                        &data[end..],
                    ]
                    .concat(),
                )
            }
            _ => Cow::Borrowed(data),
        };
        RawSection { id, data: &data }.append_to(&mut adapter);
    }
    Ok(adapter)
}

/// Where the body of an exported function is.
fn body(bytes: &[u8], name: &str) -> anyhow::Result<std::ops::Range<usize>> {
    let (mut imported, mut wanted, mut bodies) = (0, None, Vec::new());
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.name == name && export.kind == ExternalKind::Func {
                        wanted = Some(usize::try_from(export.index)?);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            _ => {}
        }
    }
    wanted
        .and_then(|index| bodies.get(index.checked_sub(imported)?).cloned())
        .ok_or_else(|| anyhow::anyhow!("the adapter has no function `{name}`"))
}

/// `data` with the one place that is `from` made `to`.
fn replaced(data: &[u8], (from, to): (&[u8], &[u8])) -> anyhow::Result<Vec<u8>> {
    let mut places = (0..data.len()).filter(|&at| data[at..].starts_with(from));
    match (places.next(), places.next()) {
        (Some(at), None) => Ok([&data[..at], to, &data[at + from.len()..]].concat()),
        _ => anyhow::bail!("the adapter is another than was expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::adapter;

    #[test]
    fn both_adapters_carry_exit_codes_and_stay_valid() {
        for command in [true, false] {
            let bytes = adapter(command).expect("an adapter");
            wasmparser::validate(&bytes).expect("a valid one");
            assert!(bytes.windows(15).any(|found| found == b"\x0eexit-with-code"));
        }
    }
}
