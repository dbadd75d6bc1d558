//! `--coredump FILE`: what a guest's memories, globals and stack were when it trapped.
//!
//! The format is that of the tool conventions of WebAssembly (`Coredump.md`): a Wasm file with custom sections, which
//! `wasmgdb` and others open. Locals are not in it: compiled code does not keep them where they could be found.

use crate::error::{Error, Kind, Result};
use crate::guest::Guest;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use wasmtime::{Store, WasmCoreDump};
use wasmtime_wasi::I32Exit;

/// Where a core dump is to be written.
#[derive(Debug, Clone)]
pub struct Coredump {
    /// The file.
    pub path: PathBuf,
    /// What to call the program in it.
    pub name: String,
    /// The names of the secrets that the guest may know: its memory holds them as well.
    pub secrets: Vec<String>,
}

/// A core dump that was written, or why not.
type Dumped = Option<Result<Coredump>>;

/// Writes a core dump of the guest, if one was asked for and `error` is a trap.
pub fn write(error: &wasmtime::Error, store: &mut Store<Guest>) -> Dumped {
    let wanted = store.data().coredump.clone()?;
    // An exit passes through the engine as a trap does.
    if error.is::<I32Exit>() || error.is::<Error>() {
        return None;
    }
    let dump = error.downcast_ref::<WasmCoreDump>()?;
    let path = wanted.path.display();
    // The engine gives up on globals of some newer reference types by a panic.
    let bytes = catch_unwind(AssertUnwindSafe(|| dump.serialize(&mut *store, &wanted.name))).map_err(|_| {
        Error::new(
            Kind::Internal,
            format!("`{path}`: the engine cannot take a picture of this guest"),
        )
    });
    Some(bytes.and_then(|bytes| {
        keep(&wanted.path, &bytes).map_err(|error| Error::io(wanted.path.display(), &error))?;
        Ok(wanted.clone())
    }))
}

/// Writes it for its owner alone, as systems do with theirs: what a guest knows is nobody else's.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A file that is there already may be open to others; a device is written to.
    if path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        std::fs::remove_file(path)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// The same error with a word about its core dump.
#[must_use]
pub fn mention(error: Error, dumped: Dumped) -> Error {
    let said = match dumped {
        None => return error,
        Some(Ok(Coredump { path, secrets, .. })) => {
            let known = if secrets.is_empty() {
                String::new()
            } else {
                format!(", and what it knew of its secrets: {}", secrets.join(", "))
            };
            format!("`{}` holds a core dump of the guest{known}", path.display())
        }
        Some(Err(why)) => format!("no core dump was written: {}", why.message()),
    };
    let hint = error
        .hint()
        .map_or_else(|| said.clone(), |hint| format!("{hint}; {said}"));
    error.with_hint(hint)
}
