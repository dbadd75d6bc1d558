//! What is asked of the kernel: which pages were written, how many faults a thread took; and whether it can be asked.

use super::mapping::{Mapping, sealed};
use crate::fork;
use crate::registry::Registry;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::AsRawFd;

/// How written pages become known.
pub(super) enum Method {
    /// The kernel names them. It need not be asked when a thread took no fault, if `counted`.
    Named { pagemap: File, counted: bool },
    /// It does not: all pages are given back.
    GivenBack,
}

/// Why there can be no restored memories here; `None` where there can.
#[must_use]
pub fn unavailable() -> Option<&'static str> {
    method().err()
}

/// How written pages become known in this process, tried out at the first use. A forked child tries again: the list of pages
/// that its parent opened is the parent's.
pub(super) fn method() -> Result<&'static Method, &'static str> {
    static METHODS: Registry<u32, Result<Method, &'static str>> = Registry::new();
    let found = METHODS.get_or_try_insert(fork::generation(), || Ok::<_, ()>(try_out()));
    match found {
        Ok(Ok(method)) => Ok(method),
        Ok(Err(why)) => Err(why),
        Err(()) => Err("the process cannot be looked at"),
    }
}

fn try_out() -> Result<Method, &'static str> {
    let page = page_size();
    if !super::WASM_PAGE.is_multiple_of(page) {
        return Err("this system has pages of over 64 KiB");
    }
    let contents = vec![7; 4 * page];
    let (Ok((file, _)), Ok(mut mapping)) = (sealed(&contents, contents.len()), Mapping::reserve(4 * page))
    else {
        return Err("this system has no sealed memory files");
    };
    let mapped = mapping.map_private(0, &file, 0, 4 * page);
    if mapped.and_then(|()| mapping.open(0..4 * page)).is_err() {
        return Err("this system does not map sealed memory files");
    }
    let before = faults();
    mapping.bytes_mut(page..page + 1)[0] = 8;
    let counted = before.is_some() && faults() > before;
    let Ok(pagemap) = File::open("/proc/self/pagemap") else {
        return Ok(Method::GivenBack);
    };
    let mut found = Vec::new();
    let named = written(&pagemap, &mapping, 0..4 * page, Pages::OfFile, &mut found).is_ok();
    if named && found.len() == 1 && found[0] == (page..2 * page) {
        return Ok(Method::Named { pagemap, counted });
    }
    Ok(Method::GivenBack)
}

/// Bytes in a page of this system.
pub(super) fn page_size() -> usize {
    // SAFETY: it asks for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// How many page faults this thread took.
pub(super) fn faults() -> Option<i64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel fills what it is given the place of, when it says that it did.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    Some(usage.ru_minflt + usage.ru_majflt)
}

/// What pages are that nobody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// Those of a file.
    OfFile,
    /// Zeros.
    OfZeros,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// How many regions are named in one answer.
const AT_ONCE: usize = 256;

/// Where an address of the kernel's lies in a mapping.
fn place(address: u64, base: usize) -> io::Result<usize> {
    let address = usize::try_from(address).map_err(io::Error::other)?;
    address.checked_sub(base).ok_or(ErrorKind::InvalidData.into())
}

/// Adds to `found` the ranges of a mapping that were written, out of those in `within`.
pub(super) fn written(
    pagemap: &File,
    mapping: &Mapping,
    within: Range<usize>,
    unwritten: Pages,
    found: &mut Vec<Range<usize>>,
) -> io::Result<()> {
    let base = mapping.address();
    let mut regions = [Region::default(); AT_ONCE];
    let not = match unwritten {
        Pages::OfFile => PAGE_IS_FILE,
        Pages::OfZeros => PAGE_IS_PFNZERO,
    };
    let (mut from, end) = ((base + within.start) as u64, (base + within.end) as u64);
    while from < end {
        let mut scan = Scan {
            size: size_of::<Scan>() as u64,
            start: from,
            end,
            vec: regions.as_mut_ptr() as u64,
            vec_len: AT_ONCE as u64,
            category_inverted: not,
            category_mask: not,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            ..Scan::default()
        };
        // SAFETY: the kernel writes at most `vec_len` regions to `vec`, and the rest of its answer to `scan`.
        let answer = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut scan) };
        let count = usize::try_from(answer).map_err(|_| io::Error::last_os_error())?;
        let named = regions.get(..count).ok_or(ErrorKind::InvalidData)?;
        if scan.walk_end <= from {
            return Err(ErrorKind::InvalidData.into());
        }
        for region in named {
            let (start, end) = (place(region.start, base)?, place(region.end, base)?);
            match found.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => found.push(start..end),
            }
        }
        from = scan.walk_end;
    }
    Ok(())
}
