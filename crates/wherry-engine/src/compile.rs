//! From a binary to an image of machine code.
//!
//! The compiler cannot be interrupted. What is little work is validated and compiled on threads of this process, and when the
//! user does not want to wait any longer the threads finish for nobody, soon. All else is done in a child process ([`child`]),
//! which can be killed, and whose memory is bounded; [`worker`] is what runs there. What is little work is told by
//! [`effort`](crate::effort), which bounds it from above. Start reading at [`compile`].

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::effort::Effort;
use crate::error::{Error, Kind, Result};
use crate::limits::typed_duration;
use crate::mode::{self, EngineKey};
use crate::recognise::Form;
use crate::registry::Registry;
use crate::validate::{Validated, validate};

pub mod child;
#[cfg(feature = "compiler")]
mod code;
pub mod worker;

#[cfg(feature = "compiler")]
use code::image;

/// How often the user's wishes are looked at while compiling.
const POLL: Duration = Duration::from_millis(20);

/// What is over sooner shows no progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// The stack of a compiling thread; some passes of the compiler recurse with the depth of the code.
const COMPILER_STACK: usize = 16 << 20;

/// The program that compiles what is much work in a process of its own, by calling [`worker::work`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompilerChild {
    /// The program, such as the Python interpreter.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<std::ffi::OsString>,
}

/// How far compiling has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Since it began.
    pub elapsed: Duration,
    /// Bytes of function bodies to compile.
    pub code: u64,
}

/// What is compiled, and with what engine.
#[derive(Clone)]
pub struct Job {
    /// A binary that was checked against its static bounds.
    pub bytes: Arc<[u8]>,
    /// Component or core module.
    pub form: Form,
    /// The engine.
    pub key: EngineKey,
    /// Levels of blocks that are accepted inside one body.
    pub nesting: u64,
    /// Bytes of function bodies in it.
    pub code: u64,
    /// What compiling may take, but for what only the instructions tell.
    pub effort: Effort,
    /// The most values that a call or a branch in it may hand over.
    pub values: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Compiled {
    /// The machine code, as wasmtime writes it.
    pub image: Vec<u8>,
    /// The deepest nesting of blocks that was found.
    pub nesting: u64,
    /// Whether a table grows while it runs.
    pub grows_tables: bool,
}

/// Who compiles, until when, and who is told.
#[derive(Clone)]
pub struct Patience<'a> {
    /// Who compiles what is much work; `None` is for this process.
    pub child: Option<&'a CompilerChild>,
    /// Bytes of memory that compiling may use.
    pub child_memory: Option<u64>,
    /// How long it may take, for messages.
    pub time: Option<Duration>,
    /// When it has to be over.
    pub deadline: Option<Instant>,
    /// Told about ten times a second when it takes over a second.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Asked whether the user pressed Ctrl-C.
    pub interrupted: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    /// Whether work that is bounded by `effort` may be done on threads of this process, which finish it whatever happens.
    fn leaves_here(&self, effort: Effort) -> bool {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        effort.is_small()
            && left.is_none_or(|left| effort.time() <= left)
            && self.child_memory.is_none_or(|bytes| effort.memory() <= bytes)
    }
}

/// Validates `job` and compiles it into an image.
///
/// # Errors
/// Those of [`validate`]; [`Kind::Compile`] and [`Kind::Unsupported`] when the compiler gives up; [`Kind::Interrupted`] and
/// [`Kind::Time`] when it was ended; [`Kind::TooLarge`] when the child ran out of memory.
pub fn compile(job: &Job, patience: &Patience<'_>) -> Result<Compiled> {
    if let Some(child) = patience.child
        && !patience.leaves_here(job.effort)
    {
        return child::compile(job, child, patience);
    }
    let validated = job.validated()?;
    match patience.child {
        Some(child) if !patience.leaves_here(job.effort + validated.effort) => {
            child::compile(job, child, patience)
        }
        _ => Ok(Compiled {
            image: compile_here(job, patience)?,
            nesting: validated.nesting,
            grows_tables: validated.grows_tables,
        }),
    }
}

/// Text up to this size is converted in this process: a moment, and some megabytes.
const SHORT_TEXT: usize = 1 << 20;

/// The binary form of `text`, which has `name` in messages, and no more than `most` bytes.
///
/// # Errors
/// [`Kind::Invalid`] for what is not valid text format, and those of [`compile`] for what was ended.
pub fn convert(text: &[u8], name: &str, most: u64, patience: &Patience<'_>) -> Result<Vec<u8>> {
    match patience.child {
        Some(child) if text.len() > SHORT_TEXT => child::convert(text, name, most, child, patience),
        _ => binary_of_text(text, name),
    }
}

/// The same in this thread.
pub(crate) fn binary_of_text(text: &[u8], name: &str) -> Result<Vec<u8>> {
    wat::parse_bytes(text).map(Cow::into_owned).map_err(|mut error| {
        error.set_path(name);
        Error::new(
            Kind::Invalid,
            format!("`{name}` is not valid text format: {error}"),
        )
    })
}

impl Job {
    fn validated(&self) -> Result<Validated> {
        validate(&self.bytes, &mode::engine(&self.key)?, self.nesting, self.values)
    }
}

/// Compiles on threads of this process, whatever the size.
fn compile_here(job: &Job, patience: &Patience<'_>) -> Result<Vec<u8>> {
    let (sender, receiver) = channel();
    let job = job.clone();
    let code = job.code;
    pool()?.spawn(move || {
        // Nobody may be there to receive: the caller stopped waiting.
        let _ = sender.send(image(&job.bytes, job.form, &job.key));
    });
    wait(&receiver, code, patience)?
}

/// Waits for what `receiver` gets, as long as `patience` lasts.
fn wait<T>(receiver: &Receiver<T>, code: u64, patience: &Patience<'_>) -> Result<T> {
    let begin = Instant::now();
    let mut shown = begin;
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Kind::Internal, "compiling ended without a result"));
            }
        }
        if (patience.interrupted)() {
            return Err(Error::new(Kind::Interrupted, "interrupted while compiling"));
        }
        let now = Instant::now();
        if patience.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(late(patience.time));
        }
        if let Some(progress) = patience.progress
            && now - begin >= PROGRESS_AFTER
            && now - shown >= PROGRESS_EVERY
        {
            progress(Progress {
                elapsed: now - begin,
                code,
            });
            shown = now;
        }
    }
}

/// The error for what took longer than `limit`.
fn late(limit: Option<Duration>) -> Error {
    let time = limit.unwrap_or_default();
    let more = if time < Duration::from_hours(1) {
        "1h".to_owned()
    } else {
        typed_duration(time.saturating_mul(2))
    };
    let message = format!(
        "compiling was not done within its limit of {}",
        typed_duration(time)
    );
    Error::new(Kind::Time, message).with_hint(format!(
        "give it more with `--compile-timeout {more}` if you trust this file, in Python with \
         `Limits(compile_timeout=\"{more}\")`"
    ))
}

/// Where there is no compiler, all that is not compiled yet is refused.
#[cfg(not(feature = "compiler"))]
fn image(_: &[u8], _: Form, key: &EngineKey) -> Result<Vec<u8>> {
    let mode = key.mode.name();
    let error = Error::new(
        Kind::Unsupported,
        "it has to be compiled, and this build of Wherry has no compiler",
    );
    Err(error.with_hint(format!(
        "compile it ahead of time: `wherry compile --mode {mode} FILE -o OUT`"
    )))
}

/// One pool per process: the threads of rayon's own do not survive a fork.
static POOLS: Registry<u32, ThreadPool> = Registry::new();

fn pool() -> Result<&'static ThreadPool> {
    POOLS.get_or_try_insert(std::process::id(), || {
        ThreadPoolBuilder::new()
            .thread_name(|index| format!("wherry-compile-{index}"))
            .stack_size(COMPILER_STACK)
            .build()
            .map_err(|error| Error::new(Kind::Internal, format!("no threads to compile with: {error}")))
    })
}

/// Runs `work` where rayon's iterators use our own threads.
///
/// # Errors
/// [`Kind::Internal`] when threads cannot be had.
pub(crate) fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    Ok(pool()?.install(work))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bounds::{self, Bounds};
    use std::cell::Cell;
    use std::fmt::Write;

    /// Waits for as long as it takes, and tells nobody.
    pub(crate) fn patient() -> Patience<'static> {
        Patience {
            child: None,
            child_memory: None,
            time: None,
            deadline: None,
            progress: None,
            interrupted: &|| false,
        }
    }

    pub(crate) fn job(text: &str) -> Job {
        let bytes = wat::parse_str(text).expect("text").into();
        Job {
            bytes,
            form: Form::Module,
            key: EngineKey::default(),
            nesting: 100,
            code: 1 << 20,
            effort: Effort::ENDLESS,
            values: 0,
        }
    }

    /// A module that takes about a second.
    fn slow() -> Job {
        let mut text = String::from("(module (memory 1)");
        for function in 0..3000 {
            let _ = write!(text, "(func (param i32) (result i32)");
            for at in 0..100 {
                let _ = write!(
                    text,
                    "(i32.store offset={at} (local.get 0) (i32.const {function}))"
                );
            }
            text.push_str("(i32.load (local.get 0)))");
        }
        text.push(')');
        job(&text)
    }

    #[test]
    fn a_small_module_compiles() {
        assert!(compile(&job("(module (func))"), &patient()).is_ok());
    }

    /// Whether a child is asked for a program that was checked as all are.
    fn goes_to_a_child(text: &str, patience: &Patience<'_>) -> bool {
        let child = CompilerChild {
            program: "/nonexistent/compiler".into(),
            args: Vec::new(),
        };
        let bounds = Bounds::default();
        let bytes: Arc<[u8]> = wat::parse_str(text).expect("text").into();
        let shape = bounds::check(&bytes, &bounds).expect("a shape");
        let job = Job {
            form: shape.form,
            effort: shape.effort,
            values: shape.values,
            nesting: bounds.nesting,
            bytes,
            ..job("(module)")
        };
        let patience = Patience {
            child: Some(&child),
            ..patience.clone()
        };
        compile(&job, &patience).is_err()
    }

    #[test]
    fn little_work_is_done_here() {
        let little = [
            "(module (func (export \"_start\")))".to_owned(),
            format!(
                "(module {})",
                "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))".repeat(500)
            ),
            "(module (memory 256) (data (i32.const 0) \"a\") (data (i32.const 16000000) \"b\"))".to_owned(),
            format!("(module (func {} {}))", "block ".repeat(60), "end ".repeat(60)),
            "(component (core module $m (func (export \"f\"))) (core instance $m (instantiate $m)) \
             (func $f (canon lift (core func $m \"f\"))) \
             (component $wrapped (import \"f\" (func $f)) (export \"g\" (func $f))) \
             (instance $i (instantiate $wrapped (with \"f\" (func $f)))) (export \"acme:tools/i\" (instance $i)))"
                .to_owned(),
        ];
        for text in little {
            assert!(!goes_to_a_child(&text, &patient()), "{text:.100}");
        }
    }

    #[test]
    fn much_work_is_done_by_a_child() {
        let variables = "i32 ".repeat(2_000);
        let many = "i32 ".repeat(1_000);
        let handlers = "try_table (catch_all 0) ".repeat(100);
        let much = [
            // Variables and branches, loops in one another, calls under handlers, values of calls and of branches.
            format!(
                "(module (func (param i32) (local {variables}) {}))",
                "(if (local.get 0) (then))".repeat(1_000)
            ),
            format!(
                "(module (func {} {}))",
                "loop ".repeat(3_000),
                "end ".repeat(3_000)
            ),
            format!(
                "(module (func block {handlers} {} {} end))",
                "call 0 ".repeat(300),
                "end ".repeat(100)
            ),
            format!(
                "(module (func (param {many}) {}) (func (param i32)))",
                "(call 1 (local.get 0))".repeat(2_000)
            ),
            // Small functions without end.
            format!("(module {})", "(func)".repeat(50_000)),
            // Pictures of memories and of tables.
            format!(
                "(module {} (data (i32.const 0) \"a\"))",
                "(memory 256)".repeat(20)
            ),
            format!(
                "(module (func) {} (elem (i32.const 0) 0))",
                "(table 1000000 funcref)".repeat(60)
            ),
            // Types that double with each one, again and again; and what doubles with each component.
            {
                let types: Vec<_> = (1..18)
                    .map(|at| format!("(type $t{at} (tuple $t{} $t{}))", at - 1, at - 1))
                    .collect();
                let types = types.concat();
                let functions = "(func (type $f) (canon lift (core func $m \"f\") (memory $m \"m\") \
                    (realloc (func $m \"r\"))))"
                    .repeat(100);
                format!(
                    "(component (type $t0 (tuple u8 u8)) {types} (core module $m (memory (export \"m\") 1) \
                     (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable) \
                     (func (export \"f\") (param i32))) (core instance $m (instantiate $m)) \
                     (type $f (func (param \"x\" $t17))) {functions})"
                )
            },
            "(component (component $c (core module)) (instance (instantiate $c)))".to_owned(),
        ];
        for text in much {
            assert!(goes_to_a_child(&text, &patient()), "{text:.100}");
        }
    }

    #[test]
    fn who_gives_little_time_or_memory_has_a_child_keep_to_it() {
        let text = format!("(module {})", "(func)".repeat(1_000));
        let soon = Patience {
            deadline: Some(Instant::now() + Duration::from_millis(10)),
            ..patient()
        };
        let little = Patience {
            child_memory: Some(32 << 20),
            ..patient()
        };
        assert!(!goes_to_a_child(&text, &patient()));
        assert!(goes_to_a_child(&text, &soon));
        assert!(goes_to_a_child(&text, &little));
    }

    #[test]
    fn waiting_ends_when_the_user_says_so() {
        let asked = Cell::new(0);
        let interrupted = || {
            asked.set(asked.get() + 1);
            true
        };
        let error = compile(
            &slow(),
            &Patience {
                interrupted: &interrupted,
                ..patient()
            },
        )
        .expect_err("interrupted");
        assert_eq!(error.kind(), Kind::Interrupted);
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let patience = Patience {
            deadline: Some(Instant::now()),
            ..patient()
        };
        assert_eq!(
            compile(&slow(), &patience).err().map(|error| error.kind()),
            Some(Kind::Time)
        );
    }

    #[test]
    fn a_module_over_what_the_compiler_can_do_is_refused() {
        // 50,000 locals of 16 bytes do not fit a frame on some targets, and are fine on others: either way, an answer.
        let text = format!("(module (func (local {})))", "v128 ".repeat(50_000));
        if let Err(error) = compile(&job(&text), &patient()) {
            assert_eq!(error.kind(), Kind::Compile);
        }
    }
}
