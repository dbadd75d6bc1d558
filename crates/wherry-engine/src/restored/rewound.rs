//! Whole instances that are put back to what they were, so that the next guest need not be made.
//!
//! What an instance of a module remembers is its memory, its mutable globals, its tables, and which of its segments it dropped.
//! The first are put back here. The others cannot be, so this is for modules alone whose code changes none of them, and which
//! export every global that it may change: see `wherry_tools::prepared::Apart`. What the host keeps for a guest is the
//! business of the host.
//!
//! The engine has no way to make a memory smaller, but asks for its size anew whenever it is to grow, be it by nothing. So that is
//! asked for, and when the size is another one afterwards than at first, the instance goes.

use super::Lease;
use wasmtime::{AsContextMut, Global, Instance, Memory, Val};

/// What an instance began with.
pub struct Beginnings {
    lease: Lease,
    memory: Memory,
    pages: u64,
    globals: Vec<(Global, Val)>,
}

impl Beginnings {
    /// Those of an instance that was made just now and has run nothing, with this memory alone, and with the globals that it
    /// exports under these names; `None` when it has no such ones.
    #[must_use]
    pub fn of(
        lease: &Lease,
        store: &mut impl AsContextMut,
        instance: &Instance,
        memory: Memory,
        globals: &[String],
    ) -> Option<Self> {
        let globals = globals.iter().map(|name| {
            let global = instance.get_export(&mut *store, name)?.into_global()?;
            Some((global, global.get(&mut *store)))
        });
        let globals = globals.collect::<Option<_>>()?;
        Some(Self {
            lease: lease.clone(),
            memory,
            pages: memory.size(store.as_context()),
            globals,
        })
    }

    /// The memory, for the next future of the guest.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Puts all of it back, inside of the future that ran the guest; when false, this instance must not be used again.
    #[must_use]
    pub fn rewind(&self, store: &mut impl AsContextMut) -> bool {
        let grown = self.memory.size(store.as_context()) != self.pages;
        let mut globals = self.globals.iter();
        if !globals.all(|(global, value)| global.set(&mut *store, *value).is_ok()) || !self.lease.rewind() {
            return false;
        }
        if grown && self.memory.grow(&mut *store, 0).is_err() {
            return false;
        }
        self.memory.size(store.as_context()) == self.pages
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
