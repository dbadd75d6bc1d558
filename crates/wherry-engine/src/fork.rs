//! Which process this is, without asking the kernel at each call.
//!
//! Threads do not survive a fork, and what they were to do is left undone in the child. Whatever stands on a thread of
//! its own (the ticker, the reactor, the compiler's pool) keeps the [`generation`] it was made in and is made anew when
//! that has passed.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(1);

/// How often this process has been forked since Wherry was first used in it, counted along the line of children.
#[must_use]
pub fn generation() -> u32 {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(register);
    GENERATION.load(Ordering::Relaxed)
}

#[cfg(unix)]
fn register() {
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler only adds to an atomic, which is allowed between a fork and what follows. Where the
    // registration fails for want of memory, a forked child finds a stale generation and its first wait its deadline.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

#[cfg(not(unix))]
fn register() {}
