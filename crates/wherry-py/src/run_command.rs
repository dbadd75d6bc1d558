//! `wherry run`, from its words to its exit code.

use crate::door::guarded;
use crate::errors::{carry, raise};
use crate::loading::compiler_child;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::ffi::OsString;
use wherry_engine::compile::Progress;
use wherry_engine::environment::Environment;
use wherry_engine::error::Result;
use wherry_engine::run::{How, run};
use wherry_engine::settings;

/// Runs `[OPTIONS] FILE [ARGS...]` with the standard streams of this process; gives the exit code, the result of `--invoke`
/// to be printed as a line, and hints for when the code is not 0.
///
/// While compiling takes long `progress` is called with the seconds, and with `None` when that is over; `warn` is called with
/// text. With `--quiet` neither is. `say` is called with what the person asked to be told. When a time limit or Ctrl-C strikes, the guest's thread may still run when this raises:
/// end the process.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts arguments by value")]
pub fn run_command(
    py: Python<'_>,
    words: Vec<OsString>,
    warn: Py<PyAny>,
    progress: Py<PyAny>,
    say: Py<PyAny>,
) -> PyResult<(u8, Option<String>, Vec<String>)> {
    let child = compiler_child(py)?;
    let work = || {
        let invocation = settings::parse_run(&words, &Environment::of_process()?)?;
        let person = Person {
            quiet: invocation.options.quiet,
            interrupted: RefCell::default(),
        };
        let how = How {
            question: &|| person.ask(),
            child,
            progress: &|now: Option<Progress>| {
                person.tell(|py| progress.call1(py, (now.map(|now| now.elapsed.as_secs_f64()),)));
            },
            warn: &|message| person.tell(|py| warn.call1(py, (message.as_str(),))),
            say: &|line| person.say(|py| say.call1(py, (line.as_str(),))),
        };
        run(&invocation, &how)
    };
    let done = py.detach(|| guarded(work)).map_err(|error| raise(py, error))?;
    Ok((done.code, done.printed, done.hints))
}

/// Who typed the command.
struct Person {
    quiet: bool,
    /// Ctrl-C that was pressed while Python wrote something to the terminal.
    interrupted: RefCell<Option<PyErr>>,
}

impl Person {
    /// Says something, unless the person wants to hear nothing.
    fn tell(&self, say: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) {
        if !self.quiet {
            self.say(say);
        }
    }

    /// Says something. That it cannot be said is no reason to fail.
    fn say(&self, say: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) {
        Python::attach(|py| {
            if let Err(error) = say(py)
                && !error.is_instance_of::<PyException>(py)
            {
                self.interrupted.replace(Some(error));
            }
        });
    }

    /// Asks whether to go on; on threads other than the main one Python never hears Ctrl-C.
    fn ask(&self) -> Result<()> {
        if let Some(error) = self.interrupted.take() {
            return Err(carry(error));
        }
        Python::attach(|py| py.check_signals().map_err(carry))
    }
}
