//! No restored memories: this system has no sealed files in memory. Programs are loaded as they are.

use super::{Beginning, Counts, Shared};
use crate::error::{Error, Kind, Result};
use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The memories of a component; there are none.
#[derive(Clone)]
pub struct Images(Infallible);

/// The memories of one guest; there are none.
#[derive(Clone)]
pub struct Lease(Infallible);

/// A future of one guest; there are none.
pub struct Drive<F>(Infallible, PhantomData<F>);

/// Why there can be no restored memories here.
#[must_use]
pub fn unavailable() -> Option<&'static str> {
    Some("this system has no sealed memory files")
}

impl Images {
    pub(crate) fn new(_images: &[Beginning], _memories: u32, _shared: Option<Shared>) -> Result<Self> {
        Err(Error::new(
            Kind::Unsupported,
            "this system has no sealed memory files",
        ))
    }

    /// Never called.
    pub fn drive<F>(&self, _future: F) -> Drive<F> {
        match self.0 {}
    }

    /// Never called.
    #[must_use]
    pub fn lease(&self) -> Lease {
        match self.0 {}
    }

    /// Never called.
    pub fn tidy(&self) {
        match self.0 {}
    }

    /// Never called.
    #[must_use]
    pub fn counts(&self) -> Counts {
        match self.0 {}
    }
}

impl Lease {
    /// Never called.
    pub fn drive<F>(&self, _future: F) -> Drive<F> {
        match self.0 {}
    }

    pub(super) fn rewind(&self) -> bool {
        match self.0 {}
    }
}

impl<F: Future<Output = wasmtime::Result<T>>, T> Future for Drive<F> {
    type Output = wasmtime::Result<T>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {}
    }
}
