//! What is kept of a run beside its output: the hints at its end, the audit, the policy that is learned.
//!
//! `run` makes one [`Recording`] before the guest starts and ends it once, however the run ended: by itself, in a trap, at a
//! limit, by Ctrl-C with the guest's thread left behind.

use crate::audit::{self, Audit, Ending};
use crate::error::{Error, Kind, Result};
use crate::hints;
use crate::learn::Lesson;
use crate::monitor::{Monitor, Tell};
use crate::options::Invocation;
use crate::program::Program;
use crate::receipt::{self, Draft};
use crate::run::{Completed, How};
use crate::witness::Witness;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

/// What is kept of one run.
pub struct Recording {
    /// What the guest is watched by.
    pub monitor: Arc<Monitor>,
    audit: Option<Audit>,
    lesson: Option<Lesson>,
    draft: Option<Draft>,
    /// The program's digest, once it is there.
    program: OnceCell<String>,
}

/// What a guest used up, as far as it came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Fuel, where fuel was given.
    pub fuel: Option<u64>,
    /// The most bytes of memory.
    pub memory: Option<u64>,
}

impl Recording {
    /// Makes the files and finds the person to ask, before anything is compiled.
    ///
    /// # Errors
    /// As [`Audit::create`], [`Lesson::begin`] and [`Lesson::ask`].
    pub fn begin(invocation: &Invocation, how: &How<'_>) -> Result<Self> {
        let options = &invocation.options;
        let draft = options
            .receipt
            .as_deref()
            .map(|path| Draft::begin(path, invocation))
            .transpose()?;
        let lesson = Lesson::begin(options)?;
        let ask = lesson
            .as_ref()
            .map(|lesson| lesson.ask(options.allow_all))
            .transpose()?;
        let audit = options.audit.as_deref().map(Audit::create).transpose()?;
        if let Some(path) = &options.audit
            && audit::within_reach(path, &invocation.policy)
        {
            (how.warn)(format!(
                "the guest may change `{}`: it lies in a folder that the guest may write",
                path.display()
            ));
        }
        if ask.is_some() && options.allow_all {
            (how.say)("warning: `--allow-all` allows the guest everything that it asks for".to_owned());
        }
        let tell = audit
            .clone()
            .map(|audit| -> Tell { Box::new(move |access, verdict| audit.tell(access, verdict)) });
        let monitor = match (&tell, &ask) {
            (None, None) => Monitor::default(),
            _ => Monitor::auditing(tell, ask),
        };
        Ok(Self {
            monitor: Arc::new(monitor),
            audit,
            lesson,
            draft,
            program: OnceCell::new(),
        })
    }

    /// The program is there and about to run.
    ///
    /// # Errors
    /// As [`Audit::start`].
    pub fn start(&self, program: &Program) -> Result<()> {
        self.program.get_or_init(|| program.digest.clone());
        self.audit
            .as_ref()
            .map_or(Ok(()), |audit| audit.start(&program.name, &program.digest))
    }

    /// Who sees the standard streams, for a receipt.
    #[must_use]
    pub fn witness(&self) -> Option<Arc<Witness>> {
        self.draft.as_ref().map(|draft| Arc::clone(&draft.witness))
    }

    /// Whether it can go on.
    ///
    /// # Errors
    /// As [`Audit::check`].
    pub fn check(&self) -> Result<()> {
        self.audit.as_ref().map_or(Ok(()), Audit::check)
    }

    /// How long the guest has waited for a person's answers.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.lesson.as_ref().map_or(Duration::ZERO, Lesson::waited)
    }

    /// Whether a person may be asked while the guest runs, which the guest's own time limit knows nothing of.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.lesson.is_some()
    }

    /// Ends the recording: the last line of the audit, the policy, and the hints for a guest that failed.
    ///
    /// # Errors
    /// The run's own; else [`Kind::Io`] when a file could not be written.
    pub fn end(
        &self,
        result: Result<Completed>,
        spent: Spent,
        invocation: &Invocation,
        how: &How<'_>,
    ) -> Result<Completed> {
        let audited = self.audit.as_ref().map_or(Ok(()), |audit| {
            let (how, code) = ended(&result);
            let ending = Ending {
                how,
                code,
                fuel: spent.fuel,
                peak_memory: spent.memory,
            };
            audit.end(ending, &self.monitor)
        });
        let learned = self.lesson.as_ref().map_or(Ok(()), |lesson| {
            lesson
                .write(invocation, &self.monitor)
                .map(|said| (how.say)(said))
        });
        let receipted = self.receipt(&result, spent, invocation, how);
        let result = explained(result, &self.monitor);
        match (result, audited.and(learned).and(receipted)) {
            (Ok(completed), written) => written.map(|()| completed),
            (Err(error), Err(unwritten)) if error.message() != unwritten.message() => {
                (how.warn)(unwritten.message().to_owned());
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl Recording {
    /// Writes the receipt, where one was asked for and the run can be done again.
    fn receipt(
        &self,
        result: &Result<Completed>,
        spent: Spent,
        invocation: &Invocation,
        how: &How<'_>,
    ) -> Result<()> {
        let Some(draft) = &self.draft else {
            return Ok(());
        };
        let ended = result.as_ref().map(|completed| completed.code);
        let end = receipt::end(ended.map_err(Error::kind));
        let (Some(end), Some(fuel), Some(program)) = (end, spent.fuel, self.program.get()) else {
            (how.warn)("no receipt is written: another machine may end such a run otherwise".to_owned());
            return Ok(());
        };
        let printed = result
            .as_ref()
            .ok()
            .and_then(|completed| completed.printed.as_deref());
        draft.finish(invocation, program, end, fuel, printed)
    }
}

/// The same end of a run with what the guest was refused, where that may be why it ended so.
fn explained(result: Result<Completed>, monitor: &Monitor) -> Result<Completed> {
    match result {
        Ok(completed) if completed.code != 0 => Ok(Completed {
            hints: hints::at_terminal(&monitor.entries()),
            ..completed
        }),
        Err(error) if error.kind().is_guest_s() => {
            Err(error.with_more_hints(&hints::at_terminal(&monitor.entries())))
        }
        result => result,
    }
}

/// What ended a run, and the exit code of the command.
fn ended(result: &Result<Completed>) -> (&'static str, u8) {
    match result {
        Ok(completed) => ("exit", completed.code),
        Err(error) => cause(error),
    }
}

fn cause(error: &Error) -> (&'static str, u8) {
    match error.kind() {
        Kind::Time => ("time", 124),
        Kind::Trap => ("trap", 134),
        Kind::Stack => ("stack", 134),
        Kind::Memory => ("memory", 137),
        Kind::Fuel => ("fuel", 152),
        Kind::Output => ("output", 153),
        // What the person asked for comes as an exception of the embedding program.
        Kind::Interrupted | Kind::Host => ("interrupted", 130),
        _ => ("error", 125),
    }
}
