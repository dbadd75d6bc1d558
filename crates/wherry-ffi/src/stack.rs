//! Whether the thread that calls has the stack that a guest may use.
//!
//! A guest runs on the caller's own stack, and its limit is counted from where it begins. On a thread with less than that left
//! it would run into the thread's end, which nothing could make an error of; so that is looked at before.

use crate::failure::{Failed, Failure};
use std::cell::Cell;
use std::ops::Range;

/// What the library, the engine and a callback need besides.
const MARGIN: usize = 128 << 10;

thread_local! {
    static BOUNDS: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Refuses to run a guest with a stack of so many bytes where this thread has less.
pub fn check(stack: usize) -> Failed<()> {
    let here = std::ptr::from_ref(&stack).addr();
    let (start, end) = BOUNDS.get().unwrap_or_else(|| {
        let found = bounds().map_or((0, 0), |bounds| (bounds.start, bounds.end));
        BOUNDS.set(Some(found));
        found
    });
    // In a callback of a guest that may wait, this is a stack of the engine's own, which has room for both.
    let Some(left) = here.checked_sub(start).filter(|_| here < end) else {
        return Ok(());
    };
    if left >= stack.saturating_add(MARGIN) {
        return Ok(());
    }
    let message = format!(
        "this thread has {} KiB of stack left, and the guest may use {} KiB",
        left >> 10,
        stack >> 10
    );
    let hint = "call from a thread with more (`pthread_attr_setstacksize`), or give the guest less: \
                `wherry_policy_set(policy, \"stack\", \"64KiB\", ...)`";
    Err(Failure::usage(message).with_hint(hint))
}

/// Where the stack of this thread is.
#[cfg(target_os = "linux")]
fn bounds() -> Option<Range<usize>> {
    let mut address = std::ptr::null_mut();
    let mut size = 0;
    // SAFETY: the attributes are made by the first call, only read when that succeeded, and destroyed.
    let found = unsafe {
        let mut attributes = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(&raw const attributes, &raw mut address, &raw mut size);
        libc::pthread_attr_destroy(&raw mut attributes);
        found
    };
    (found == 0).then(|| address.addr()..address.addr() + size)
}

#[cfg(not(target_os = "linux"))]
fn bounds() -> Option<Range<usize>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_told_what_it_lacks() {
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let on_small = small
            .spawn(|| (check(64 << 10).is_ok(), check(1 << 20).is_ok()))
            .expect("a thread");
        assert_eq!(on_small.join().ok(), Some((true, false)));
        let large = std::thread::Builder::new().stack_size(4 << 20);
        assert_eq!(
            large
                .spawn(|| check(1 << 20).is_ok())
                .expect("a thread")
                .join()
                .ok(),
            Some(true)
        );
    }
}
