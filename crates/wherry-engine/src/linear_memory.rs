//! The memory of a core module, for functions that take and return addresses.
//!
//! A core module knows numbers alone: text goes in and out as an address, by a convention of its own, and whoever calls it
//! follows that. A component has the canonical ABI for this, and its memory is nobody's business.

use crate::error::{Error, Kind, Result};
use crate::sandbox::Sandbox;

/// Reads `length` bytes at `address`.
///
/// # Errors
/// [`Kind::NoExport`] when the program exports no memory, [`Kind::Value`] when it is smaller than that, and those of
/// [`Sandbox::usable`].
pub fn read(sandbox: &mut Sandbox, address: u64, length: u64) -> Result<Vec<u8>> {
    view(sandbox, address, length).map(|bytes| bytes.to_vec())
}

/// Writes `bytes` at `address`.
///
/// # Errors
/// As [`read`].
pub fn write(sandbox: &mut Sandbox, address: u64, bytes: &[u8]) -> Result<()> {
    view(sandbox, address, bytes.len() as u64).map(|place| place.copy_from_slice(bytes))
}

fn view(sandbox: &mut Sandbox, address: u64, length: u64) -> Result<&mut [u8]> {
    sandbox.usable()?;
    let (memory, store) = sandbox.memory().ok_or_else(|| {
        Error::new(
            Kind::NoExport,
            "there is no memory to reach: only core modules export one, as `memory`",
        )
        .with_hint("values of a component are given and returned as they are")
    })?;
    let bytes = memory.data_mut(store);
    let size = bytes.len();
    let range = usize::try_from(address)
        .ok()
        .zip(usize::try_from(address.saturating_add(length)).ok());
    range
        .and_then(|(start, end)| bytes.get_mut(start..end))
        .ok_or_else(|| {
            let message =
                format!("{length} bytes at address {address} are not all in the memory of {size} bytes");
            Error::new(Kind::Value, message)
        })
}
