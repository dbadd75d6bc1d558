//! Memories of guests that are put back to what they were, so that the next guest takes no page fault.
//!
//! A guest with much data spends most of a short request on its memory: pages are mapped, faulted in, copied and given back.
//! Here each memory is a private mapping of a file that holds what the memory is at the start (an [`Image`]); when its
//! guest is gone, the pages that it wrote are written back from the image and stay where they are. This needs a component
//! without data of its own: see `wherry_tools::prepared`. Start at [`Images::new`] and [`Images::drive`].
//!
//! # Which image
//!
//! The engine asks for a memory by its type only. So the future that makes and runs a guest is driven by [`Images::drive`],
//! which says during each poll, to its own thread, whose memories are being made; they are told apart by their order, which is
//! that of one instantiation. A memory of another size, one too many, or one that is asked for by nobody is refused: a guest
//! never starts with a memory that is not its own.
//!
//! # Why nothing is left behind
//!
//! 1. A page of the mapping that was never written is the file's own. Nobody can write that: it is a sealed one in memory, or
//!    one of the cache, which holds the machine code as well and is trusted like it. To write the page of the mapping, its
//!    thread has to take a page fault, which makes it an anonymous page; it stays one until it is given back.
//! 2. `dirty` of a slot names every anonymous page of it when it is handed out. For it is what the kernel named when it was
//!    last asked (`PAGEMAP_SCAN`: present or swapped out, and not the file's), and nobody touched the slot since.
//! 3. So a guest writes pages in `dirty`, or takes faults. Faults are counted by the kernel for each thread, and the count of
//!    this thread is read after each poll, and before it or earlier still, between which alone the guest can touch its memory: its store is inside
//!    the future. This holds wherever the future is polled next. When no count has moved, `dirty` still names all, and the
//!    kernel need not be asked; else it is. A memory that is dropped anywhere but in its own future is always asked about.
//! 4. All in `dirty` is written back. The list only grows (until the slot starts over), so pages of earlier guests are
//!    written back as well.
//!
//! Where the image ends before the memory does, zeros take its place. What would break the second or third point is a kernel that makes pages writable without a fault: huge pages, which are
//! therefore off for these mappings. A zero page in place of one with zeros (merging of equal pages) counts as written.
//! Memory that a guest grew is cleared in the same way, kept, and made inaccessible again. That the faults are
//! counted, and that the kernel answers as it should, is tried out at the start (`kernel.rs`); where it does not, the whole
//! mapping is given back after each guest, and where there is no sealed file there are no restored memories.
//!
//! A child of a fork makes memories of its own for each guest, as it has no part in what its parent keeps.

use std::fs::File;
use std::sync::Arc;

#[cfg(target_os = "linux")]
mod drive;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
mod memories;
#[cfg(target_os = "linux")]
mod shelf;
#[cfg(target_os = "linux")]
mod slot;
#[cfg(target_os = "linux")]
mod stacks;
#[cfg(all(test, target_os = "linux"))]
mod tests;

#[cfg(not(target_os = "linux"))]
mod absent;
mod rewound;

#[cfg(not(target_os = "linux"))]
pub use absent::{Drive, Images, Lease, unavailable};
#[cfg(target_os = "linux")]
pub use drive::{Drive, Lease};
#[cfg(target_os = "linux")]
pub use kernel::unavailable;
#[cfg(target_os = "linux")]
pub use memories::Images;
pub use rewound::Beginnings;

/// What a memory of a component holds at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Which of the memories that one instantiation makes, counted from 0 in the order in which they are made.
    pub memory: u32,
    /// How large it is, in pages of 64 KiB.
    pub pages: u64,
    /// Its beginning; what follows is zero.
    pub bytes: Vec<u8>,
}

/// An [`Image`], here or in a file.
pub(crate) struct Beginning {
    pub(crate) memory: u32,
    pub(crate) pages: u64,
    pub(crate) contents: Contents,
}

/// Where the beginning of a memory is kept.
pub(crate) enum Contents {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file that is replaced and never changed, as those of the cache are: so many bytes from there on.
    File(Arc<File>, u64, usize),
}

impl Contents {
    /// How many bytes there are.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(_, _, length) => *length,
        }
    }
}

impl From<Image> for Beginning {
    fn from(image: Image) -> Self {
        Self {
            memory: image.memory,
            pages: image.pages,
            contents: Contents::Bytes(image.bytes),
        }
    }
}

/// Bytes in a page of WebAssembly.
pub(crate) const WASM_PAGE: usize = 64 << 10;

/// What is counted of restored memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Places that were made.
    pub made: u64,
    /// Memories that were put back to what they were.
    pub reset: u64,
    /// Those of them that stay with their guest, for the next request to it.
    pub rewound: u64,
    /// Those of them where the kernel had to be asked what was written.
    pub asked: u64,
    /// Those of them that were given back as a whole.
    pub given_back: u64,
    /// Places that could not be put back, and are not used again.
    pub lost: u64,
    /// Those of them that were looked at whole and found different; only where that is asked for.
    pub different: u64,
    /// Places that wait for a guest.
    pub waiting: u64,
    /// Bytes that those keep of pages that guests wrote.
    pub kept: u64,
}

/// What an engine of restored memories has for all its guests.
#[derive(Clone)]
pub(crate) struct Shared {
    #[cfg(target_os = "linux")]
    stacks: Arc<stacks::Stacks>,
}

impl Shared {
    /// Has an engine with these settings ask here for memories and stacks.
    pub(crate) fn configure(config: &mut wasmtime::Config) -> Self {
        // Memories come with their data; and where wasmtime made any, it would want to map it itself.
        config.memory_init_cow(false);
        #[cfg(target_os = "linux")]
        {
            let stacks = stacks::Stacks::new();
            config
                .with_host_memory(Arc::new(memories::Creator))
                .with_host_stack(Arc::new(stacks::Source(Arc::clone(&stacks))));
            Self { stacks }
        }
        #[cfg(not(target_os = "linux"))]
        Self {}
    }
}
