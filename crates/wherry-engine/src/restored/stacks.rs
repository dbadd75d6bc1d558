//! Stacks for guests, used again.
//!
//! They are not cleared: a guest has no way to read its native stack. Compiled code writes each place of a frame before it
//! reads it, as the values of WebAssembly all begin as something, and no instruction takes the address of one; what lies
//! below was left by a call that is over. wasmtime's own allocators do the same unless told otherwise.

use super::kernel::page_size;
use super::mapping::Mapping;
use super::shelf::Shelf;
use crate::fork;
use crate::mode::POOL;
use std::ops::Range;
use std::sync::Arc;
use wasmtime::{StackCreator, StackMemory};

/// Stacks that wait for a guest.
pub(super) struct Stacks {
    free: Shelf<Mapped>,
    /// The process that they were made in.
    generation: u32,
}

/// Addresses of a stack, with a guard below.
struct Mapped {
    mapping: Mapping,
    length: usize,
}

impl Stacks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            free: Shelf::new(),
            generation: fork::generation(),
        })
    }

    /// Gives back what was not used for long.
    pub(super) fn tidy(&self) {
        self.free.tidy();
    }
}

/// What the engine asks for stacks.
pub(super) struct Source(pub(super) Arc<Stacks>);

// SAFETY: a stack is whole pages with an inaccessible one below, and belongs to one guest at a time.
unsafe impl StackCreator for Source {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let page = page_size();
        let length = size.next_multiple_of(page);
        let ours = self.0.generation == fork::generation();
        let found = (ours && !zeroed).then(|| self.0.free.take()).flatten();
        let mapped = if let Some(mapped) = found.filter(|mapped| mapped.length == length) {
            mapped
        } else {
            let mut mapping = Mapping::reserve(length + page)?;
            mapping.open(page..page + length)?;
            Mapped { mapping, length }
        };
        Ok(Box::new(Stack {
            mapped: Some(mapped),
            home: Arc::clone(&self.0),
        }))
    }
}

/// One stack while a guest has it.
struct Stack {
    /// There until it is dropped.
    mapped: Option<Mapped>,
    home: Arc<Stacks>,
}

impl Stack {
    /// Its guard, and what comes above, as addresses.
    fn addresses(&self) -> (usize, usize, usize) {
        let page = page_size();
        self.mapped.as_ref().map_or((0, 0, 0), |mapped| {
            let guard = mapped.mapping.address();
            (guard, guard + page, guard + page + mapped.length)
        })
    }
}

// SAFETY: it says where the mapping lies.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.mapped.as_ref().map_or(std::ptr::null_mut(), |mapped| {
            mapped.mapping.start().wrapping_add(page_size() + mapped.length)
        })
    }

    fn range(&self) -> Range<usize> {
        let (_, bottom, top) = self.addresses();
        bottom..top
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let start = self
            .mapped
            .as_ref()
            .map_or(std::ptr::null_mut(), |mapped| mapped.mapping.start());
        start..start.wrapping_add(page_size())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(mapped) = self.mapped.take()
            && self.home.generation == fork::generation()
            && self.home.free.len() < POOL as usize
        {
            self.home.free.put(mapped);
        }
    }
}
