//! `wherry run`, from its words to its exit code.

use crate::door::guarded;
use crate::errors::{carry, raise};
use crate::loading::compiler_child;
use pyo3::prelude::*;
use std::ffi::OsString;
use wherry_engine::compile::Progress;
use wherry_engine::environment::Environment;
use wherry_engine::error::Result;
use wherry_engine::run::{Completed, How, run};
use wherry_engine::settings;

/// Runs `[OPTIONS] FILE [ARGS...]` with the standard streams of this process; gives the exit code, and the result of
/// `--invoke` to be printed as a line.
///
/// While compiling takes long `progress` is called with the seconds, and with `None` when that is over; `warn` is called with
/// text. With `--quiet` neither is. When a time limit or Ctrl-C strikes, the guest's thread may still run when this raises:
/// end the process.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn run_command(
    py: Python<'_>,
    words: Vec<OsString>,
    warn: Py<PyAny>,
    progress: Py<PyAny>,
) -> PyResult<(u8, Option<String>)> {
    let child = compiler_child(py)?;
    let work = || {
        let invocation = settings::parse_run(&words, &Environment::of_process()?)?;
        let talk = |listener: &dyn Fn(Python<'_>) -> PyResult<Py<PyAny>>| {
            if !invocation.options.quiet {
                // That nobody can be told is no reason to fail.
                let _ = Python::attach(listener);
            }
        };
        let how = How {
            question: &hear,
            child,
            progress: &|now: Option<Progress>| {
                talk(&|py| progress.call1(py, (now.map(|now| now.elapsed.as_secs_f64()),)));
            },
            warn: &|message| talk(&|py| warn.call1(py, (message.as_str(),))),
        };
        run(&invocation, &how)
    };
    let Completed { code, printed } = py.detach(|| guarded(work)).map_err(|error| raise(py, error))?;
    Ok((code, printed))
}

/// Whether Ctrl-C was pressed; on threads other than the main one Python never says so.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method's path is not general in its lifetime"
)]
fn hear() -> Result<()> {
    Python::attach(|py| py.check_signals()).map_err(carry)
}
