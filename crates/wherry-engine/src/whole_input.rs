//! Standard input for deterministic runs: how it arrives makes no difference.
//!
//! Each read gives all that was asked for, up to a fixed size, until the input is at its end; whether a pipe had it in two
//! pieces or in ten, the guest cannot tell. So a read may block, and input is ready always.

use crate::witness::{Stream, Witness};
use bytes::Bytes;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The most that one read hands over.
const CHUNK: usize = 64 << 10;

/// An input that is read in whole pieces; all streams of it share one place in it.
#[derive(Clone)]
pub struct WholeInput {
    source: Arc<Mutex<Box<dyn Read + Send>>>,
    witness: Arc<Witness>,
}

impl WholeInput {
    /// Reads from `source`, and lets `witness` see it.
    pub fn new(source: Box<dyn Read + Send>, witness: Arc<Witness>) -> Self {
        Self {
            source: Arc::new(Mutex::new(source)),
            witness,
        }
    }

    /// Reads all of `size` bytes unless the input ends before.
    fn read_all(&self, size: usize) -> crate::Result<Vec<u8>> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; size.min(CHUNK)];
        let mut filled = 0;
        while filled < bytes.len() {
            match source.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other side of a terminal made it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(self.witness.fail(Stream::Input, &error)),
            }
        }
        bytes.truncate(filled);
        self.witness.saw(Stream::Input, &bytes);
        Ok(bytes)
    }
}

impl IsTerminal for WholeInput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for WholeInput {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for WholeInput {
    async fn ready(&mut self) {}
}

impl InputStream for WholeInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self
            .read_all(size)
            .map_err(|error| StreamError::Trap(error.into()))?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        Ok(bytes.into())
    }
}

impl AsyncRead for WholeInput {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = self.read_all(buffer.remaining()).map_err(io::Error::other)?;
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Drops(&'static [u8]);

    impl Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (Some(first), true) = (self.0.first(), !buffer.is_empty()) else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = &self.0[1..];
            Ok(1)
        }
    }

    #[test]
    fn a_read_gives_all_that_was_asked_for() {
        let mut input = WholeInput::new(Box::new(Drops(b"abcdef")), Arc::default());
        assert_eq!(input.read(4).ok(), Some(Bytes::from_static(b"abcd")));
        assert_eq!(input.read(4).ok(), Some(Bytes::from_static(b"ef")));
        assert!(matches!(input.read(4), Err(StreamError::Closed)));
    }
}
