//! Compiling: in this process or in a child that can be ended.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Kind, Result};
use crate::registry::Registry;

/// The program that compiles large modules in a process of its own.
#[derive(Debug, Clone)]
pub struct CompilerChild {
    /// The program, such as the Python interpreter.
    pub program: std::path::PathBuf,
    /// Its arguments.
    pub args: Vec<std::ffi::OsString>,
}

/// How far compiling has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since it began.
    pub elapsed: std::time::Duration,
    /// Bytes of function bodies to compile.
    pub code: u64,
}

/// One pool per process: the threads of rayon's own do not survive a fork.
static POOLS: Registry<u32, ThreadPool> = Registry::new();

/// Runs `work` where rayon's iterators use our own threads.
///
/// # Errors
/// [`Kind::Internal`] when threads cannot be had.
pub(crate) fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    let pool = POOLS.get_or_try_insert(std::process::id(), || {
        ThreadPoolBuilder::new()
            .thread_name(|index| format!("wherry-compile-{index}"))
            .build()
            .map_err(|error| Error::new(Kind::Internal, format!("no threads to compile with: {error}")))
    })?;
    Ok(pool.install(work))
}
