//! Bringing what was written to the disk.

use pyo3::prelude::*;
use std::fs::File;
use std::path::PathBuf;

/// Waits until everything that was written to the file system of `path` is on the disk.
///
/// # Errors
/// `OSError`, with the number of the system.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn sync_disk(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    let sync = || -> std::io::Result<()> { Ok(rustix::fs::syncfs(File::open(&path)?)?) };
    Ok(py.detach(sync)?)
}
