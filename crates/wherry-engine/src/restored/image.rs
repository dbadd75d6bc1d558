//! What a memory holds at the start, where no guest can change it.

use super::mapping::{Mapping, sealed};
use std::fs::File;
use std::io;

/// The start of a memory: to be mapped, and to be written back from.
pub(super) struct Source {
    file: Option<(File, Mapping)>,
    length: usize,
}

impl Source {
    /// A memory of `length` bytes, whole pages, that begins with `contents`.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn new(contents: &[u8], length: usize) -> io::Result<Self> {
        let file = sealed(contents, length)?;
        let mut mapping = Mapping::reserve(length)?;
        mapping.map_private(0, &file, length)?;
        Ok(Self {
            file: Some((file, mapping)),
            length,
        })
    }

    /// A memory that is zero.
    pub(super) fn zeros() -> Self {
        Self {
            file: None,
            length: 0,
        }
    }

    /// Bytes that are given; what follows them in a memory is zero.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Maps it into `mapping` at `at`.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn map(&self, mapping: &mut Mapping, at: usize) -> io::Result<()> {
        let Some((file, _)) = &self.file else {
            return mapping.without_huge_pages();
        };
        mapping.map_private(at, file, self.length)?;
        mapping.open(at..at + self.length)
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.file
            .as_ref()
            .map_or(&[], |(_, mapping)| mapping.bytes(0..self.length))
    }
}
