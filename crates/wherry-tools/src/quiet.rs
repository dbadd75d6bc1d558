//! Panics of the decoder, caught and kept off stderr.
//!
//! `wit-parser` asserts things that a component made in bad faith can break. Such a panic is the file's fault
//! and becomes an error; and as stderr belongs to the guest, Rust's report of it must not be printed.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`; a panic in it comes back as its message and is not reported on stderr.
///
/// Panics of other threads, and of this one outside `decode`, are reported as before.
pub(crate) fn quietly<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                report(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    // What `decode` may have left half done is its own and is dropped here.
    let outcome = panic::catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(before);
    outcome.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown reason")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::quietly;

    #[test]
    fn a_panic_comes_back_as_its_message() {
        assert_eq!(quietly(|| 7), Ok(7));
        let outcome: Result<(), String> = quietly(|| panic!("broken {}", 1));
        assert_eq!(outcome, Err("broken 1".to_owned()));
    }
}
