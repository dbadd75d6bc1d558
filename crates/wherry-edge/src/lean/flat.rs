//! The canonical ABI by hand, for the types of the lean host: what functions are given, and what they return.
//!
//! Sizes and places are those of `CanonicalABI.md`, "Element Size" and "Storing"; strings are in UTF-8. Everything that traps
//! there traps here: what lies outside of the memory, is not aligned, or is no value of its type.

use super::Once;
use super::bodies::{Finished, Trailers};
use super::streams::StreamError;
use wasmtime::component::Resource;
use wasmtime::{Result, bail, format_err};
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, HeaderError, Method};

/// What a guest hands over in one call.
pub struct Given<'a> {
    memory: &'a [u8],
    /// How many bytes it may still hand over.
    left: usize,
}

impl<'a> Given<'a> {
    /// Reads from a memory, up to `most` bytes.
    pub fn new(memory: &'a [u8], most: usize) -> Self {
        Self { memory, left: most }
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| format_err!("the call hands over more than it may"))?;
        Ok(())
    }

    /// `list<u8>`.
    pub fn bytes(&mut self, at: u32, length: u32) -> Result<&'a [u8]> {
        let (start, length) = (at as usize, length as usize);
        let found = start
            .checked_add(length)
            .and_then(|end| self.memory.get(start..end));
        let found = found.ok_or_else(|| format_err!("list pointer/length out of bounds of memory"))?;
        self.spend(length)?;
        Ok(found)
    }

    /// `string`.
    pub fn string(&mut self, at: u32, length: u32) -> Result<&'a str> {
        Ok(std::str::from_utf8(self.bytes(at, length)?)?)
    }

    /// A list whose elements are `SIZE` bytes each, of numbers of 32 bits; each costs the host `cost` bytes.
    pub fn list<const SIZE: usize>(
        &mut self,
        at: u32,
        length: u32,
        cost: usize,
    ) -> Result<impl ExactSizeIterator<Item = &'a [u8; SIZE]> + use<'a, SIZE>> {
        let (start, length) = (at as usize, length as usize);
        let size = length.checked_mul(SIZE);
        let end = size.and_then(|size| start.checked_add(size));
        let found = end.and_then(|end| self.memory.get(start..end));
        let found = found.ok_or_else(|| format_err!("list pointer/length out of bounds of memory"))?;
        if !start.is_multiple_of(4) {
            bail!("list pointer is not aligned");
        }
        self.spend(length.saturating_mul(cost))?;
        Ok(found.as_chunks::<SIZE>().0.iter())
    }

    /// `option<string>`.
    fn optional(&mut self, some: u32, at: u32, length: u32) -> Result<()> {
        if option(some)? {
            self.string(at, length)?;
        }
        Ok(())
    }

    /// An `error-code`, as its case and what the cases have, flattened; only whether it is one is asked.
    pub fn error_code(&mut self, case: u32, first: u32, second: u64, rest: [u32; 4]) -> Result<()> {
        let [third, fourth, fifth, _] = rest;
        let low = low(second);
        match case {
            // `TLS-alert-received-payload`.
            14 => {
                option(first)?;
                self.optional(third, fourth, fifth)?;
            }
            // A number that may be there.
            17 | 21 | 23 | 26 | 28 | 29 => {
                option(first)?;
            }
            // `option<field-size-payload>`.
            22 => {
                if option(first)? {
                    self.optional(low, third, fourth)?;
                    option(fifth)?;
                }
            }
            // `DNS-error-payload` and `field-size-payload`: text and a number, which may both be there.
            1 | 24 | 27 | 30 => {
                self.optional(first, low, third)?;
                option(fourth)?;
            }
            31 | 32 | 38 => self.optional(first, low, third)?,
            0..=38 => {}
            _ => bail!("unexpected discriminant: {case}"),
        }
        Ok(())
    }
}

/// A number of 32 bits where there is room for 64.
fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whether an option has something.
pub fn option(case: u32) -> Result<bool> {
    match case {
        0 => Ok(false),
        1 => Ok(true),
        _ => bail!("invalid option discriminant"),
    }
}

/// A list or a string in the guest's memory.
pub struct Listed {
    /// Where it begins.
    pub at: u32,
    /// How many elements it has.
    pub length: u32,
}

/// What can be stored in the memory of a guest.
pub trait Stored {
    /// Bytes that it takes.
    const SIZE: usize;
    /// Where it may be.
    const ALIGN: usize;
    /// Stores it in as many bytes.
    fn store(self, to: &mut [u8]);
}

/// Stores what a function returns where its guest wants it.
pub fn put<T: Stored>(memory: &mut [u8], at: u32, value: T) -> Result<()> {
    let at = at as usize;
    if !at.is_multiple_of(T::ALIGN) {
        bail!("pointer not aligned");
    }
    let end = at.checked_add(T::SIZE);
    let to = end.and_then(|end| memory.get_mut(at..end));
    value.store(to.ok_or_else(|| format_err!("pointer out of bounds"))?);
    Ok(())
}

/// A new handle, as its guest knows it: zero is none.
pub fn handle<T>(resource: &Resource<T>) -> u32
where
    T: 'static,
{
    resource.rep() + 1
}

fn number(to: &mut [u8], at: usize, value: u32) {
    to[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn listed(to: &mut [u8], at: usize, list: &Listed) {
    number(to, at, list.at);
    number(to, at + 4, list.length);
}

impl Stored for u32 {
    const SIZE: usize = 4;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        number(to, 0, self);
    }
}

impl Stored for Listed {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        listed(to, 0, &self);
    }
}

impl Stored for (Listed, Listed) {
    const SIZE: usize = 16;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        listed(to, 0, &self.0);
        listed(to, 8, &self.1);
    }
}

impl Stored for Option<Listed> {
    const SIZE: usize = 12;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_some().into();
        if let Some(list) = self {
            listed(to, 4, &list);
        }
    }
}

impl<T: 'static> Stored for Once<T> {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_err().into();
        if let Ok(resource) = self {
            number(to, 4, handle(&resource));
        }
    }
}

/// What a stream answers: `result<T, stream-error>`.
pub struct Streaming<T>(pub std::result::Result<T, StreamError>);

fn stream_error(to: &mut [u8], error: &StreamError) {
    match error {
        StreamError::LastOperationFailed(error) => {
            to[0] = 0;
            number(to, 4, handle(error));
        }
        StreamError::Closed => to[0] = 1,
    }
}

impl Stored for Streaming<()> {
    const SIZE: usize = 12;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.0.is_err().into();
        if let Err(error) = self.0 {
            stream_error(&mut to[4..], &error);
        }
    }
}

impl Stored for Streaming<Listed> {
    const SIZE: usize = 12;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.0.is_err().into();
        match self.0 {
            Ok(list) => listed(to, 4, &list),
            Err(error) => stream_error(&mut to[4..], &error),
        }
    }
}

impl Stored for Streaming<u64> {
    const SIZE: usize = 16;
    const ALIGN: usize = 8;

    fn store(self, to: &mut [u8]) {
        to[0] = self.0.is_err().into();
        match self.0 {
            Ok(count) => to[8..16].copy_from_slice(&count.to_le_bytes()),
            Err(error) => stream_error(&mut to[8..], &error),
        }
    }
}

fn header_error(error: HeaderError) -> u8 {
    match error {
        HeaderError::InvalidSyntax => 0,
        HeaderError::Forbidden => 1,
        HeaderError::Immutable => 2,
    }
}

impl Stored for std::result::Result<(), HeaderError> {
    const SIZE: usize = 2;
    const ALIGN: usize = 1;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_err().into();
        if let Err(error) = self {
            to[1] = header_error(error);
        }
    }
}

impl<T: 'static> Stored for std::result::Result<Resource<T>, HeaderError> {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_err().into();
        match self {
            Ok(resource) => number(to, 4, handle(&resource)),
            Err(error) => to[4] = header_error(error),
        }
    }
}

/// Bytes of an `error-code`: the case, and what the largest one has.
const ERROR_CODE: usize = 32;

/// The codes that the lean host gives; of others it only says that it failed.
fn error_code(to: &mut [u8], code: &ErrorCode) {
    match code {
        ErrorCode::HttpResponseBodySize(size) => {
            to[0] = 28;
            to[8] = size.is_some().into();
            to[16..24].copy_from_slice(&size.unwrap_or_default().to_le_bytes());
        }
        ErrorCode::HttpProtocolError => to[0] = 35,
        _ => {
            to[0] = 38;
            to[8] = 0;
        }
    }
}

impl Stored for Finished {
    const SIZE: usize = 8 + ERROR_CODE;
    const ALIGN: usize = 8;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_err().into();
        if let Err(code) = self {
            error_code(&mut to[8..], &code);
        }
    }
}

impl Stored for Option<ErrorCode> {
    const SIZE: usize = 8 + ERROR_CODE;
    const ALIGN: usize = 8;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_some().into();
        if let Some(code) = self {
            error_code(&mut to[8..], &code);
        }
    }
}

impl Stored for Trailers {
    const SIZE: usize = 24 + ERROR_CODE;
    const ALIGN: usize = 8;

    fn store(self, to: &mut [u8]) {
        to[0] = self.is_some().into();
        let Some(taken) = self else { return };
        to[8] = taken.is_err().into();
        let Ok(arrived) = taken else { return };
        to[16] = arrived.is_err().into();
        match arrived {
            Ok(fields) => {
                to[24] = fields.is_some().into();
                if let Some(fields) = fields {
                    number(to, 28, handle(&fields));
                }
            }
            Err(code) => error_code(&mut to[24..], &code),
        }
    }
}

/// `option<scheme>`, of the two that have no name of their own.
pub struct Scheme {
    /// Whether it is the one with TLS.
    pub secure: bool,
}

impl Stored for Scheme {
    const SIZE: usize = 16;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = 1;
        to[4] = self.secure.into();
    }
}

/// `method`: a case, and the name of one that has no case.
pub struct Named {
    /// The number of the case.
    pub case: u8,
    /// Its name.
    pub name: Option<Listed>,
}

impl Stored for Named {
    const SIZE: usize = 12;
    const ALIGN: usize = 4;

    fn store(self, to: &mut [u8]) {
        to[0] = self.case;
        if let Some(name) = self.name {
            listed(to, 4, &name);
        }
    }
}

/// The case of a method, and its name where there is none.
pub fn method(method: Method) -> (u8, Option<String>) {
    match method {
        Method::Get => (0, None),
        Method::Head => (1, None),
        Method::Post => (2, None),
        Method::Put => (3, None),
        Method::Delete => (4, None),
        Method::Connect => (5, None),
        Method::Options => (6, None),
        Method::Trace => (7, None),
        Method::Patch => (8, None),
        Method::Other(name) => (9, Some(name)),
    }
}
