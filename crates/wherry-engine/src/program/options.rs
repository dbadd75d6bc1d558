//! How a program is loaded: [`LoadOptions`].

use std::time::{Duration, Instant};

use super::preparing::Preparing;
use crate::bounds::Bounds;
use crate::cache::Cache;
use crate::compile::{CompilerChild, Patience, Progress};
use crate::limits::Limits;
use crate::mode::{self, EngineKey, Mode, Pool};

/// How to load. The lifetime is that of the callbacks.
#[derive(Clone)]
pub struct LoadOptions<'a> {
    /// The engine mode.
    pub mode: Mode,
    /// Bytes of stack for guests.
    pub stack: usize,
    /// `None` for this machine, or [`mode::PULLEY`].
    pub target: Option<String>,
    /// What messages call a file, in place of its path.
    pub name: Option<String>,
    /// Whether a trap takes a picture of the guest.
    pub coredump: bool,
    /// The pool that memory for guests comes out of.
    pub pooled: Option<Pool>,
    /// Who prepares components for guests whose memories are restored; `None` loads all as they are.
    pub preparing: Option<Preparing<'a>>,
    /// What may be compiled.
    pub bounds: Bounds,
    /// Where compiled code is kept; `None` compiles each time.
    pub cache: Option<Cache>,
    /// Whether the user passed compiled code on purpose: it runs as it is, outside any sandbox.
    pub precompiled: bool,
    /// Who compiles what is much work; `None` compiles in this process.
    pub child: Option<CompilerChild>,
    /// Bytes of memory that compiling may use.
    pub child_memory: Option<u64>,
    /// How long compiling may take.
    pub time: Option<Duration>,
    /// When compiling has to be over.
    pub deadline: Option<Instant>,
    /// Called about ten times a second when compiling takes over a second.
    pub progress: Option<&'a dyn Fn(Progress)>,
    /// Asked about fifty times a second while compiling: whether the user pressed Ctrl-C.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Told what works, but slower than it should.
    pub warn: &'a dyn Fn(String),
}

impl Default for LoadOptions<'_> {
    /// This machine, no cache, no child, no callbacks.
    fn default() -> Self {
        Self {
            mode: Mode::Plain,
            stack: mode::DEFAULT_STACK,
            target: None,
            name: None,
            coredump: false,
            pooled: None,
            preparing: None,
            bounds: Bounds::default(),
            cache: None,
            precompiled: false,
            child: None,
            child_memory: Limits::terminal().compile_memory,
            time: None,
            deadline: None,
            progress: None,
            interrupted: &|| false,
            warn: &|_| {},
        }
    }
}

impl LoadOptions<'_> {
    /// The same within `limits`, whose time for compiling begins now.
    #[must_use]
    pub fn within(self, limits: &Limits) -> Self {
        Self {
            bounds: limits.bounds,
            child_memory: limits.compile_memory,
            time: limits.compile_timeout,
            deadline: limits.compile_timeout.map(|time| Instant::now() + time),
            ..self
        }
    }

    /// Who compiles, until when, and who is told.
    pub(super) fn patience(&self) -> Patience<'_> {
        Patience {
            child: self.child.as_ref(),
            child_memory: self.child_memory,
            time: self.time,
            deadline: self.deadline,
            progress: self.progress,
            interrupted: self.interrupted,
        }
    }

    /// The key of the engine for a program that does, or does not, need `concurrency`.
    #[must_use]
    pub fn key(&self, concurrency: bool) -> EngineKey {
        EngineKey {
            mode: self.mode,
            concurrency,
            stack: self.stack,
            target: self.target.clone(),
            coredump: self.coredump,
            pooled: self.pooled,
            restored: false,
        }
    }
}
