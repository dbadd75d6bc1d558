//! What the caller's pointers say: texts, bytes, and places for results.

use crate::failure::{Failed, Failure};
use std::ffi::{CStr, CString, c_char};

/// A text for C; a zero in it, which C cannot see past, is written as `\0`.
pub fn c_string(text: impl Into<String>) -> CString {
    let text = text.into();
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// A text of the caller's.
pub fn text<'a>(pointer: *const c_char, what: &str) -> Failed<&'a str> {
    optional_text(pointer, what)?.ok_or_else(|| Failure::usage(format!("the {what} is NULL")))
}

/// A text of the caller's, or none.
pub fn optional_text<'a>(pointer: *const c_char, what: &str) -> Failed<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for a text that ends in a zero and stays until the call is over, as `wherry.h` asks.
    let text = unsafe { CStr::from_ptr(pointer) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::usage(format!("the {what} is not UTF-8"))),
    }
}

/// Bytes of the caller's, which may be NULL where there are none.
pub fn bytes<'a>(pointer: *const u8, length: usize, what: &str) -> Failed<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || length > isize::MAX as usize {
        return Err(Failure::usage(format!(
            "the {what} are {length} bytes at NULL, or more than there can be"
        )));
    }
    // SAFETY: the caller vouches for that many bytes, which stay until the call is over, as `wherry.h` asks.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// Where the caller wants something.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// A place that has to be there.
    pub fn new(pointer: *mut T, what: &str) -> Failed<Self> {
        if pointer.is_null() {
            return Err(Failure::usage(format!(
                "there is no place for the {what}: it is NULL"
            )));
        }
        Ok(Self(pointer))
    }

    pub fn write(self, value: T) {
        // SAFETY: it is not null, and the caller vouches for the address of its variable, as `wherry.h` asks.
        unsafe { self.0.write(value) };
    }
}
