//! Addresses for one memory, and how they are put back to what they were: see [`Slot::reset`].

use super::image::Source;
use super::kernel::{Method, Pages, page_size, written};
use super::mapping::Mapping;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;

/// How many bytes of written pages a slot keeps for the next guest; what is over is given back to the kernel.
pub(super) const KEPT: usize = 8 << 20;

/// After how many guests all of it is given back, so that what one guest wrote is not written back for ever.
pub(super) const START_OVER: u32 = 256;

/// A place for one memory.
pub(super) struct Slot {
    mapping: Mapping,
    source: Arc<Source>,
    /// Where the memory begins in the mapping: before it is a guard as large as the one behind.
    base: usize,
    capacity: usize,
    /// Where it ends for the guest, in whole pages of the system.
    open: usize,
    /// What may differ from the source, out of what it covers: ranges of the mapping.
    dirty: Vec<Range<usize>>,
    /// What may hold something other than zeros, out of what comes behind.
    grown: Vec<Range<usize>>,
    uses: u32,
}

/// What a reset took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    /// What was written was known already.
    Known,
    /// The kernel was asked.
    Asked,
    /// Everything was given back.
    GivenBack,
}

impl Slot {
    /// A slot with room for `capacity` bytes and guards of `guard` bytes, both whole pages.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn new(source: &Arc<Source>, capacity: usize, guard: usize) -> io::Result<Self> {
        let length = capacity
            .checked_add(guard.saturating_mul(2))
            .filter(|_| source.least() <= capacity)
            .ok_or(ErrorKind::InvalidInput)?;
        let mut mapping = Mapping::reserve(length)?;
        source.map(&mut mapping, guard)?;
        Ok(Self {
            mapping,
            base: guard,
            capacity,
            open: source.least(),
            source: Arc::clone(source),
            dirty: Vec::new(),
            grown: Vec::new(),
            uses: 0,
        })
    }

    /// Whether it is as [`Slot::new`] makes one with these numbers.
    pub(super) fn fits(&self, capacity: usize, guard: usize) -> bool {
        (self.capacity, self.base) == (capacity, guard)
    }

    /// Where the memory begins.
    pub(super) fn start(&self) -> *mut u8 {
        self.mapping.start().wrapping_add(self.base)
    }

    /// Lets the guest reach so many bytes.
    ///
    /// # Errors
    /// Those of the system, and when there is no room for so many.
    pub(super) fn grow(&mut self, bytes: usize) -> io::Result<()> {
        let open = bytes.next_multiple_of(page_size());
        if open > self.capacity {
            return Err(ErrorKind::OutOfMemory.into());
        }
        if open > self.open {
            self.mapping.open(self.base + self.open..self.base + open)?;
            self.open = open;
        }
        Ok(())
    }

    /// Puts everything back to what it was, for the next guest. With `known`, its guest took no page fault.
    ///
    /// # Errors
    /// Those of the system: the slot must not be used again then.
    pub(super) fn reset(&mut self, method: &Method, known: bool) -> io::Result<Reset> {
        self.uses += 1;
        let reset = match method {
            Method::Named { pagemap, counted } if !self.uses.is_multiple_of(START_OVER) => {
                let known = known && *counted;
                if !known {
                    self.ask(pagemap)?;
                }
                self.write_back()?;
                if known { Reset::Known } else { Reset::Asked }
            }
            _ => {
                self.give_all_back()?;
                Reset::GivenBack
            }
        };
        let (least, open) = (self.source.least(), self.open);
        self.mapping.close(self.base + least..self.base + open)?;
        self.open = least;
        Ok(reset)
    }

    /// Has the kernel name what was written.
    fn ask(&mut self, pagemap: &File) -> io::Result<()> {
        let end = self.base + self.source.length();
        self.dirty.clear();
        written(
            pagemap,
            &self.mapping,
            self.base..end,
            Pages::OfFile,
            &mut self.dirty,
        )?;
        // What this guest could not reach is as it was: kept from earlier ones, and zero.
        let open = self.base + self.open;
        let beyond: Vec<_> = (self.grown.drain(..))
            .filter_map(|range| (range.end > open).then(|| range.start.max(open)..range.end))
            .collect();
        written(pagemap, &self.mapping, end..open, Pages::OfZeros, &mut self.grown)?;
        self.grown.extend(beyond);
        Ok(())
    }

    /// Writes back what may have been written.
    fn write_back(&mut self) -> io::Result<()> {
        let length = self.source.length();
        let end = self.base + length;
        keep(&mut self.mapping, &mut self.dirty, end)?;
        let behind = self.grown.last().map_or(end, |range| range.end);
        keep(&mut self.mapping, &mut self.grown, behind)?;
        for range in &self.dirty {
            let original = &self.source.bytes()[range.start - self.base..range.end - self.base];
            self.mapping.bytes_mut(range.clone()).copy_from_slice(original);
        }
        let open = self.base + self.open;
        for range in &self.grown {
            if range.start < open {
                self.mapping.bytes_mut(range.start..range.end.min(open)).fill(0);
            }
        }
        Ok(())
    }

    fn give_all_back(&mut self) -> io::Result<()> {
        let kept = self.grown.last().map_or(0, |range| range.end);
        self.mapping
            .give_back(self.base..kept.max(self.base + self.open))?;
        self.dirty.clear();
        self.grown.clear();
        Ok(())
    }

    /// Whether all of it is as in a new one; looks at every byte, those that were kept of earlier growth too.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn is_as_new(&mut self) -> io::Result<bool> {
        let length = self.source.length();
        let (end, open) = (self.base + length, self.base + self.open);
        let kept = self.grown.last().map_or(open, |range| range.end).max(open);
        if self.mapping.bytes(self.base..end) != self.source.bytes() {
            return Ok(false);
        }
        self.mapping.open(open..kept)?;
        let zero = is_zero(self.mapping.bytes(end..kept));
        self.mapping.close(open..kept)?;
        Ok(zero)
    }

    /// Bytes that it keeps of what guests wrote.
    pub(super) fn kept(&self) -> usize {
        self.dirty.iter().chain(&self.grown).map(Range::len).sum()
    }
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROS.len())
        .all(|piece| *piece == ZEROS[..piece.len()])
}

/// Gives back what is over [`KEPT`], up to `end`.
fn keep(mapping: &mut Mapping, ranges: &mut Vec<Range<usize>>, end: usize) -> io::Result<()> {
    let mut room = KEPT;
    let Some(over) = ranges.iter_mut().position(|range| {
        if range.len() <= room {
            room -= range.len();
            return false;
        }
        true
    }) else {
        return Ok(());
    };
    let (from, until) = (ranges[over].start + room, ranges[over].start + room);
    mapping.give_back(from..end)?;
    ranges[over].end = until;
    ranges.truncate(over + usize::from(room > 0));
    Ok(())
}
