//! What goes wrong, on its way to the caller: a status, and an error object with words.
//!
//! [`guarded`] is the one way out of every function: it makes a status of what came back, hands over an error object where one is
//! wanted, and turns a panic into an error, so that nothing unwinds into the caller.

use crate::handles::{Handle, keep, release};
use crate::strings::{c_string, optional_text, text};
use std::any::Any;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null;
use std::sync::Arc;
use wherry_engine::error::{Error, Kind};

/// The status of a call: 0, or what went wrong. The numbers are part of the ABI.
pub type Status = c_int;

pub const OK: Status = 0;
pub const WRONG_HANDLE: Status = 40;
pub const WRONG_THREAD: Status = 41;
pub const TOO_SMALL: Status = 42;
const INTERNAL: Status = 39;

/// What the functions of this crate return.
pub type Failed<T> = Result<T, Failure>;

/// A failure as the caller sees it.
pub struct Failure(Box<Words>);

struct Words {
    status: Status,
    code: c_int,
    message: CString,
    hint: Option<CString>,
    trace: Option<CString>,
}

/// What a callback returned in place of 0, carried through the engine.
pub struct Declined(pub c_int);

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self(Box::new(Words {
            status,
            code: 0,
            message: c_string(message.into()),
            hint: None,
            trace: None,
        }))
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(c_string(hint.into()));
        self
    }

    /// A handle that is none, or to something else.
    pub fn handle(message: String) -> Self {
        Self::new(WRONG_HANDLE, message)
    }

    pub fn internal(message: &str) -> Self {
        Self::new(INTERNAL, message)
    }

    /// An argument that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Kind::Usage, message).into()
    }

    pub fn message(&self) -> &str {
        self.0.message.to_str().unwrap_or_default()
    }
}

impl From<Error> for Failure {
    fn from(mut error: Error) -> Self {
        let declined = error
            .take_payload()
            .and_then(|payload| payload.downcast::<Declined>().ok());
        let code = match (error.exit_code(), declined) {
            (Some(code), _) => code.into(),
            (None, Some(declined)) => declined.0,
            (None, None) => 0,
        };
        let message = match error.message() {
            "" if error.kind() == Kind::Interrupted => "the call was interrupted",
            message => message,
        };
        Self(Box::new(Words {
            status: status(error.kind()),
            code,
            message: c_string(message),
            hint: error.hint().map(|hint| c_string(in_c(hint))),
            trace: trace(&error).map(c_string),
        }))
    }
}

/// A hint that names a flag or Python, as it is said in C.
fn in_c(hint: &str) -> String {
    let mut hint = hint.replace("`component.instantiate()`", "`wherry_instance_new`");
    for (begin, end) in [(", in Python with `", "`"), (" (in Python: `", "`)")] {
        while let Some(start) = hint.find(begin) {
            let Some(length) = hint[start + begin.len()..].find(end) else {
                break;
            };
            hint.replace_range(start..start + begin.len() + length + end.len(), "");
        }
    }
    let words = hint.split('`').enumerate().map(|(index, words)| {
        let flag = words.strip_prefix("--").filter(|_| index % 2 == 1);
        match flag.map(|flag| flag.split_once([' ', '='])) {
            Some(Some((name, value))) => in_policy(name, value),
            Some(None) => in_policy(&words[2..], "true"),
            None => words.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join("`")
}

fn in_policy(name: &str, value: &str) -> String {
    if name == "precompiled" {
        return "WHERRY_LOAD_PRECOMPILED".to_owned();
    }
    format!("wherry_policy_set(policy, \"{name}\", \"{value}\", ...)")
}

/// The guest's stack, a line for each frame, innermost first.
fn trace(error: &Error) -> Option<String> {
    let lines = error.frames().iter().map(|frame| {
        let name = frame.function.clone();
        let name = name.unwrap_or_else(|| format!("function {}", frame.index));
        match &frame.location {
            Some((file, line)) => format!("{name} ({file}:{line})"),
            None => name,
        }
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The number of each kind. They are part of the ABI: a new kind gets a new number, and none changes.
fn status(kind: Kind) -> Status {
    match kind {
        Kind::NotFound => 1,
        Kind::Io => 2,
        Kind::NotWebAssembly => 3,
        Kind::Foreign => 4,
        Kind::Invalid => 5,
        Kind::Unsupported => 6,
        Kind::TooLarge => 7,
        Kind::Compile => 8,
        Kind::Precompiled => 9,
        Kind::Link => 10,
        Kind::NoExport => 11,
        Kind::Value => 12,
        Kind::Busy => 13,
        Kind::Closed => 14,
        Kind::Forked => 15,
        Kind::Trap => 16,
        Kind::Stack => 17,
        Kind::Time => 18,
        Kind::Fuel => 19,
        Kind::Output => 20,
        Kind::Memory => 21,
        Kind::Exit => 22,
        Kind::Interrupted => 23,
        Kind::Usage => 24,
        Kind::Grant => 25,
        Kind::Interface => 26,
        Kind::Host => 27,
        Kind::Internal => INTERNAL,
    }
}

/// Does the work of one function: returns its status, and puts an error object into `error` unless that is NULL.
pub fn guarded(error: *mut Handle, work: impl FnOnce() -> Failed<()>) -> Status {
    // A panic may leave an object half changed; each is behind a lock that does not mind, or is gone.
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = format!("a fault of Wherry's own: {}", said(panic.as_ref()));
        let hint = "please report it, with what you called and the file if you can share it";
        Err(Failure::internal(&message).with_hint(hint))
    });
    let (status, object) = match done {
        Ok(()) => (OK, None),
        Err(failure) => (failure.0.status, Some(failure)),
    };
    if !error.is_null() {
        let handle = object.and_then(|failure| keep(Arc::new(failure)).ok());
        // SAFETY: the caller vouches for the address of its variable, as `wherry.h` asks.
        unsafe { error.write(handle.unwrap_or(std::ptr::null_mut())) };
    }
    status
}

/// The same for a function that has no room for an error object.
pub fn quietly(work: impl FnOnce() -> Failed<()>) -> Status {
    guarded(std::ptr::null_mut(), work)
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Looks at an error object; `otherwise` for what is none.
fn seen<R>(error: Handle, otherwise: R, look: impl FnOnce(&Words) -> R) -> R {
    match crate::handles::get::<Failure>(error) {
        Ok(failure) => look(&failure.0),
        Err(_) => otherwise,
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_new(
    status: Status,
    message: *const c_char,
    hint: *const c_char,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let failure = Failure::new(
            if status == OK { INTERNAL } else { status },
            text(message, "message")?,
        );
        Err(match optional_text(hint, "hint")? {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        })
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_status(error: Handle) -> Status {
    seen(error, WRONG_HANDLE, |words| words.status)
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_code(error: Handle) -> c_int {
    seen(error, 0, |words| words.code)
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_message(error: Handle) -> *const c_char {
    seen(error, c"this is no error object".as_ptr(), |words| {
        words.message.as_ptr()
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_hint(error: Handle) -> *const c_char {
    seen(error, null(), |words| {
        words.hint.as_ref().map_or(null(), |hint| hint.as_ptr())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_trace(error: Handle) -> *const c_char {
    seen(error, null(), |words| {
        words.trace.as_ref().map_or(null(), |trace| trace.as_ptr())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_error_free(error: Handle) -> Status {
    freed::<Failure>(error)
}

/// Releases a handle; NULL is none.
pub fn freed<T: crate::handles::Held>(handle: Handle) -> Status {
    if handle.is_null() {
        return OK;
    }
    quietly(|| release::<T>(handle).map(drop))
}

/// Each status with its name in the header, for the test that both agree.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_of_its_own() {
        let mut error = std::ptr::null_mut();
        let status = guarded(&raw mut error, || panic!("broken {}", 1));
        assert_eq!(status, INTERNAL);
        let failure = release::<Failure>(error).ok().expect("an error object");
        assert_eq!(failure.message(), "a fault of Wherry's own: broken 1");
        assert_eq!(guarded(&raw mut error, || Ok(())), OK);
        assert!(error.is_null());
    }

    #[test]
    fn each_kind_has_a_number_of_its_own_and_the_header_names_it() {
        let header = include_str!("../include/wherry.h");
        let mut seen = Vec::new();
        for &kind in Kind::ALL {
            let number = status(kind);
            assert!(!seen.contains(&number), "{kind:?}");
            seen.push(number);
            let mut name = String::new();
            for letter in format!("{kind:?}").chars() {
                if letter.is_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            assert!(header.contains(&format!("WHERRY_{name} = {number}")), "{name}");
        }
    }

    #[test]
    fn hints_say_what_to_do_in_c() {
        let hint =
            in_c("raise it with `--timeout 1m`, or use `component.instantiate()` and `--deterministic`");
        assert_eq!(
            hint,
            "raise it with `wherry_policy_set(policy, \"timeout\", \"1m\", ...)`, or use `wherry_instance_new` and \
             `wherry_policy_set(policy, \"deterministic\", \"true\", ...)`"
        );
    }
}
