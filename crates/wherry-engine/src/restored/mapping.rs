//! Addresses of our own: reserved, mapped, opened to the guest and closed again. Every system call on them stands here.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;

/// Reserved addresses, inaccessible at first, given back when dropped.
pub(super) struct Mapping {
    start: *mut u8,
    length: usize,
}

// SAFETY: it owns its addresses, and hands out what lies there under the rules of borrowing.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves so many bytes, whole pages.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn reserve(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: no address is asked for, so nothing that is mapped changes.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            start: start.cast(),
            length,
        })
    }

    pub(super) fn address(&self) -> usize {
        self.start as usize
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    fn within(&self, range: &Range<usize>) -> io::Result<()> {
        if range.start <= range.end && range.end <= self.length {
            return Ok(());
        }
        Err(ErrorKind::InvalidInput.into())
    }

    /// Maps `length` bytes of a file from `from` on at `at`, for reading; once the range is open, what is written there stays there.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn map_private(&mut self, at: usize, file: &File, from: u64, length: usize) -> io::Result<()> {
        self.within(&(at..at.saturating_add(length)))?;
        let from = from.try_into().map_err(io::Error::other)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: the range is within addresses of our own, which nothing else knows of.
        let mapped = unsafe {
            let start = self.start.add(at).cast();
            libc::mmap(start, length, libc::PROT_READ, flags, file.as_raw_fd(), from)
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.without_huge_pages()
    }

    /// Has the pages of a range mapped at once, for reading: for writing, each would be copied now. Where the kernel does not
    /// do that, each is mapped when it is first needed.
    pub(super) fn populate(&self, range: Range<usize>) {
        if self.within(&range).is_ok() && !range.is_empty() {
            // SAFETY: the range is within addresses of our own, and nothing in it changes.
            unsafe {
                libc::madvise(
                    self.start.add(range.start).cast(),
                    range.len(),
                    libc::MADV_POPULATE_READ,
                )
            };
        }
    }

    /// Has the kernel make no huge pages here, which may become writable without a fault.
    ///
    /// # Errors
    /// Those of the system; not where it has none anyway.
    pub(super) fn without_huge_pages(&self) -> io::Result<()> {
        // SAFETY: it changes how pages are made, not what they hold.
        let answer = unsafe { libc::madvise(self.start.cast(), self.length, libc::MADV_NOHUGEPAGE) };
        let error = io::Error::last_os_error();
        // A kernel without huge pages does not know the word.
        if answer == 0 || error.raw_os_error() == Some(libc::EINVAL) {
            return Ok(());
        }
        Err(error)
    }

    /// Makes a range accessible.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(&mut self, range: Range<usize>) -> io::Result<()> {
        self.protect(range, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Makes a range inaccessible; what is there stays.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn close(&mut self, range: Range<usize>) -> io::Result<()> {
        self.protect(range, libc::PROT_NONE)
    }

    fn protect(&mut self, range: Range<usize>, protection: libc::c_int) -> io::Result<()> {
        self.within(&range)?;
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: the range is within addresses of our own; `&mut` says that nobody looks at them now.
        let answer = unsafe { libc::mprotect(self.start.add(range.start).cast(), range.len(), protection) };
        if answer == 0 {
            return Ok(());
        }
        Err(io::Error::last_os_error())
    }

    /// Gives written pages back: what is there is the file's again, or zeros.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn give_back(&mut self, range: Range<usize>) -> io::Result<()> {
        self.within(&range)?;
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: as in `protect`.
        let answer = unsafe {
            libc::madvise(
                self.start.add(range.start).cast(),
                range.len(),
                libc::MADV_DONTNEED,
            )
        };
        if answer == 0 {
            return Ok(());
        }
        Err(io::Error::last_os_error())
    }

    /// What lies in a range that is open.
    pub(super) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(self.within(&range).is_ok(), "a range of its own");
        // SAFETY: within addresses of our own, borrowed for as long as the slice; the callers ask for what they opened.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// As [`Mapping::bytes_mut`], for reading.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(self.within(&range).is_ok(), "a range of its own");
        // SAFETY: as in `bytes_mut`.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the addresses are ours and nobody has them any more. Where the system refuses, they are never used again.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// A file in memory of `length` bytes that begins with `contents` and is zero from there on; nobody can change it any more. What is
/// zero takes no room in it; says what does.
///
/// # Errors
/// Those of the system.
pub(super) fn sealed(contents: &[u8], length: usize) -> io::Result<(File, Vec<Range<usize>>)> {
    const PIECE: usize = 64 << 10;
    // SAFETY: the name is a string that ends in zero.
    let descriptor = unsafe {
        libc::memfd_create(
            c"wherry-image".as_ptr(),
            libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
        )
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now, for this file alone.
    let file = unsafe { File::from_raw_fd(descriptor) };
    file.set_len(u64::try_from(length).map_err(io::Error::other)?)?;
    let mut filled: Vec<Range<usize>> = Vec::new();
    for (piece, from) in contents.chunks(PIECE).zip((0..).step_by(PIECE)) {
        if piece.iter().all(|byte| *byte == 0) {
            continue;
        }
        file.write_all_at(piece, from as u64)?;
        let end = length.min(from + PIECE);
        match filled.last_mut() {
            Some(last) if last.end == from => last.end = end,
            _ => filled.push(from..end),
        }
    }
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
    // SAFETY: it says what may be done to the file from now on.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((file, filled))
}
