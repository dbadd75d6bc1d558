//! What a memory holds at the start, where no guest can change it.

use super::Contents;
use super::kernel::page_size;
use super::mapping::{Mapping, sealed};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The start of a memory: to be mapped, and to be written back from.
pub(super) struct Source {
    kept: Option<Kept>,
    /// Bytes that are given, in whole pages; what follows them in a memory is zero.
    length: usize,
    /// Bytes of the memory at the start, or none where that is not known.
    least: usize,
}

struct Kept {
    file: File,
    from: u64,
    /// What is not zero, or may not be.
    filled: Vec<Range<usize>>,
    mapping: Mapping,
}

impl Source {
    /// A memory of `least` bytes, whole pages, that begins with `contents`.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn new(contents: &Contents, least: usize) -> io::Result<Self> {
        let page = page_size();
        let length = contents.length().next_multiple_of(page);
        if length > least {
            return Err(ErrorKind::InvalidInput.into());
        }
        if length == 0 {
            return Ok(Self {
                least,
                ..Self::zeros()
            });
        }
        let ((file, filled), from) = match contents {
            Contents::Bytes(bytes) => (sealed(bytes, length)?, 0),
            Contents::File(file, from, given) if *given == length && from.is_multiple_of(page as u64) => {
                ((file.try_clone()?, std::iter::once(0..length).collect()), *from)
            }
            Contents::File(file, from, given) => {
                let mut bytes = vec![0; *given];
                file.read_exact_at(&mut bytes, *from)?;
                (sealed(&bytes, length)?, 0)
            }
        };
        let mut mapping = Mapping::reserve(length)?;
        mapping.map_private(0, &file, from, length)?;
        Ok(Self {
            kept: Some(Kept {
                file,
                from,
                filled,
                mapping,
            }),
            length,
            least,
        })
    }

    /// A memory that is zero.
    pub(super) fn zeros() -> Self {
        Self {
            kept: None,
            length: 0,
            least: 0,
        }
    }

    /// Bytes that are given; what follows them in a memory is zero.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Bytes that each guest has; none where that is not known.
    pub(super) fn least(&self) -> usize {
        self.least
    }

    /// Maps it into `mapping` at `at`, and lets all that each guest has be reached.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn map(&self, mapping: &mut Mapping, at: usize) -> io::Result<()> {
        match &self.kept {
            Some(kept) => {
                mapping.map_private(at, &kept.file, kept.from, self.length)?;
                // Pages that are zero take room in the file once they are mapped: a stack that nobody reaches into stays out of it.
                for range in &kept.filled {
                    mapping.populate(at + range.start..at + range.end);
                }
            }
            None => mapping.without_huge_pages()?,
        }
        mapping.open(at..at + self.least)
    }

    /// Bytes that the file takes, for tests.
    #[cfg(test)]
    pub(super) fn room(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let kept = self.kept.as_ref();
        kept.map_or(0, |kept| {
            kept.file
                .metadata()
                .map_or(u64::MAX, |found| found.blocks() * 512)
        })
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        self.kept
            .as_ref()
            .map_or(&[], |kept| kept.mapping.bytes(0..self.length))
    }
}
