//! From a validated binary to an image of machine code.
//!
//! The compiler cannot be interrupted. What is small is compiled on threads of this process, and when the user
//! does not want to wait any longer the threads finish for nobody. What is large is compiled in a child process
//! ([`child`]), which can be killed, and whose memory can be bounded; [`worker`] is what runs there. Start reading at
//! [`compile`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};
use wasmtime::CodeBuilder;

use crate::error::{Error, Kind, Result};
use crate::mode::{self, EngineKey};
use crate::recognise::Form;
use crate::registry::Registry;

pub mod child;
pub mod worker;

/// Bytes of function bodies from which on a child compiles: about half a second of work on two cores, against which the
/// start of an interpreter is small.
pub const CHILD_FROM: u64 = 512 << 10;

/// How often the user's wishes are looked at while compiling.
const POLL: Duration = Duration::from_millis(20);

/// What is over sooner shows no progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// The stack of a compiling thread; some passes of the compiler recurse with the depth of the code.
const COMPILER_STACK: usize = 16 << 20;

/// The program that compiles large modules in a process of its own, by calling [`worker::work`].
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
    /// A binary that was validated.
    pub bytes: Arc<[u8]>,
    /// Component or core module.
    pub form: Form,
    /// The engine.
    pub key: EngineKey,
    /// Bytes of function bodies in it.
    pub code: u64,
}

/// Who compiles, until when, and who is told.
#[derive(Clone)]
pub struct Patience<'a> {
    /// Who compiles what is large.
    pub child: Option<&'a CompilerChild>,
    /// Bytes of memory that the child may use.
    pub child_memory: Option<u64>,
    /// When it has to be over.
    pub deadline: Option<Instant>,
    /// Told about ten times a second when it takes over a second.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Asked whether the user pressed Ctrl-C.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// Compiles `job` into an image.
///
/// # Errors
/// [`Kind::Compile`] and [`Kind::Unsupported`] when the compiler gives up; [`Kind::Interrupted`] and
/// [`Kind::Time`] when it was ended; [`Kind::TooLarge`] when the child ran out of memory.
pub fn compile(job: &Job, patience: &Patience<'_>) -> Result<Vec<u8>> {
    match patience.child {
        Some(child) if job.code >= CHILD_FROM => child::compile(job, child, patience),
        _ => compile_here(job, patience),
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
            return Err(
                Error::new(Kind::Time, "compiling was not done in time").with_hint(
                    "give it more with `--compile-timeout 1h` if you trust this file, in Python with \
                 `Limits(compile_timeout=\"1h\")`",
                ),
            );
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

/// Compiles in this thread and the pool that it belongs to.
fn image(bytes: &[u8], form: Form, key: &EngineKey) -> Result<Vec<u8>> {
    let engine = mode::engine(key)?;
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = CodeBuilder::new(&engine);
        builder.wasm_binary(bytes, None)?;
        match form {
            Form::Component => builder.compile_component_serialized(),
            _ => builder.compile_module_serialized(),
        }
    }));
    match compiled {
        Ok(compiled) => compiled.map_err(|error| refused(&error)),
        Err(panic) => Err(Error::new(
            Kind::Internal,
            format!("a fault in the compiler: {}", panic_message(&*panic)),
        )),
    }
}

/// The compiler's refusal of what passed validation.
fn refused(error: &wasmtime::Error) -> Error {
    let message = format!("{error:#}");
    let kind = if message.contains("Unsupported feature") {
        Kind::Unsupported
    } else {
        Kind::Compile
    };
    Error::new(kind, format!("the compiler gave up: {message}"))
        .with_hint("the code is valid but over what the compiler can do; smaller functions may help")
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
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
    use std::cell::Cell;
    use std::fmt::Write;

    /// Waits for as long as it takes, and tells nobody.
    pub(crate) fn patient() -> Patience<'static> {
        Patience {
            child: None,
            child_memory: None,
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
            code: CHILD_FROM,
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
