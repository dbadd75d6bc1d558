//! Streams of WASI 0.2 from and into files that have done what they were asked when they return.
//!
//! Those of wasmtime-wasi go by another thread, which is wanted neither where the guest's own may wait, nor where what the
//! host does has to be done in the order of the calls.

use super::put;
use crate::monitor::{Access, Monitor};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// The most bytes of one read or write.
const MOST: usize = 64 << 10;

/// A stream from or into a file that is done when it returns.
pub struct Prompt {
    /// The file.
    pub file: Arc<File>,
    /// Where it goes on; at the end of the file when there is no place.
    pub at: Option<u64>,
    /// Who hears that it failed, with what was done then.
    pub told: Option<(Arc<Monitor>, Access)>,
}

impl Prompt {
    fn failed(&self, error: std::io::Error) -> StreamError {
        if let Some((monitor, access)) = &self.told {
            let code = ErrorCode::from(std::io::Error::from(error.kind()));
            monitor.failed(|| access.clone(), code.name());
        }
        StreamError::LastOperationFailed(error.into())
    }

    fn moved(&mut self, bytes: usize) {
        self.at = self.at.map(|at| at.saturating_add(bytes as u64));
    }
}

/// Does it again when a signal came between.
fn patiently(mut work: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match work() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Prompt {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl InputStream for Prompt {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = BytesMut::zeroed(size.min(MOST));
        let at = self.at.unwrap_or_default();
        let read = patiently(|| self.file.read_at(&mut bytes, at));
        let read = read.map_err(|error| self.failed(error))?;
        if read == 0 && size > 0 {
            return Err(StreamError::Closed);
        }
        bytes.truncate(read);
        self.moved(read);
        Ok(bytes.freeze())
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Prompt {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let written = patiently(|| put(&self.file, self.at, rest));
            let written = written.map_err(|error| self.failed(error))?;
            self.moved(written);
            rest = &rest[written..];
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST)
    }
}
