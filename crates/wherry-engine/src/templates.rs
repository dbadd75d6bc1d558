//! One program for engines of several kinds: which one a guest needs, and what was made for it.
//!
//! Determinism, fuel and another stack need an engine of their own, and so code of their own. Whoever embeds the engine loads
//! once with what most guests need, and has the rest made when it is asked for.

use crate::instance::Template;
use crate::limits::Limits;
use crate::mode::{Mode, POOL, POOL_MEMORY, Pool};
use crate::policy::Policy;
use crate::program::{Program, Source};
use crate::values::Port;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What engine a guest needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// How it is interrupted, and whether it is deterministic.
    pub mode: Mode,
    /// Bytes of its stack.
    pub stack: usize,
    /// The pool that its memory comes out of.
    pub pooled: Option<Pool>,
}

impl Choice {
    /// What most guests need.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            mode: Mode::Interruptible,
            stack: Limits::embedded().stack,
            pooled: Some(Pool::Calls),
        }
    }

    /// What a guest with this policy and these limits needs, while so many others are alive.
    #[must_use]
    pub fn of(policy: &Policy, limits: &Limits, alive: usize) -> Self {
        let mode = match (policy.deterministic, limits.fuel) {
            (true, _) => Mode::Deterministic,
            (false, Some(_)) => Mode::Metered,
            (false, None) => Mode::Interruptible,
        };
        // What the pool has no room for is refused to some guests and not to others.
        let room = mode != Mode::Deterministic && limits.memory <= POOL_MEMORY && alive < POOL as usize;
        Self {
            mode,
            stack: limits.stack,
            pooled: room.then_some(Pool::Calls),
        }
    }
}

/// A program, linked for one host language and for each engine that was asked for.
pub struct Templates<P: Port> {
    /// What it was loaded with.
    pub usual: Arc<Template<P>>,
    others: Mutex<HashMap<Choice, Arc<Template<P>>>>,
}

impl<P: Port> Templates<P> {
    /// A program that was loaded.
    #[must_use]
    pub fn new(usual: Template<P>) -> Self {
        Self {
            usual: Arc::new(usual),
            others: Mutex::default(),
        }
    }

    fn others(&self) -> MutexGuard<'_, HashMap<Choice, Arc<Template<P>>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program for this engine; where it is not there yet, `make` loads it anew from the bytes that `bytes` gives.
    ///
    /// # Errors
    /// What either of them returns.
    pub fn get<E>(
        &self,
        choice: Choice,
        bytes: impl FnOnce(&Program) -> Result<Arc<[u8]>, E>,
        make: impl FnOnce(Source, Choice) -> Result<Template<P>, E>,
    ) -> Result<Arc<Template<P>>, E> {
        let program = &self.usual.linked.program;
        let fits = choice.mode == program.key.mode && choice.stack == program.key.stack;
        if fits && choice.pooled == program.key.pooled {
            return Ok(Arc::clone(&self.usual));
        }
        if let Some(template) = self.others().get(&choice) {
            return Ok(Arc::clone(template));
        }
        let bytes = match bytes(program) {
            // Compiled code has no source to make code for another engine from; the engine that it came with will do.
            Err(_) if fits => return Ok(Arc::clone(&self.usual)),
            bytes => bytes?.to_vec(),
        };
        let name = program.name.clone();
        let fresh = Arc::new(make(Source::Bytes { bytes, name }, choice)?);
        Ok(Arc::clone(self.others().entry(choice).or_insert(fresh)))
    }
}
