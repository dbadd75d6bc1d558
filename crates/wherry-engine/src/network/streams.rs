//! Streams of WASI 0.2 whose bytes are counted.

use super::quota::{NoRoom, Transfer};
use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

/// What is received.
pub(super) struct Received {
    pub inner: DynInputStream,
    pub transfer: Arc<Transfer>,
}

/// What is sent.
pub(super) struct Sent {
    pub inner: DynOutputStream,
    pub transfer: Arc<Transfer>,
}

#[async_trait]
impl Pollable for Received {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait]
impl InputStream for Received {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let Self { inner, transfer } = self;
        transfer
            .moves(size, |room| {
                // With no room left, one byte shows whether there is more; the end of a stream costs nothing.
                let read = inner.read(room.max(1).min(size));
                match read {
                    Ok(bytes) if bytes.len() > room => (Err(None), 0),
                    Ok(bytes) => {
                        let length = bytes.len();
                        (Ok(bytes), length)
                    }
                    Err(error) => (Err(Some(error)), 0),
                }
            })
            .map_err(|error| error.unwrap_or_else(|| struck(transfer, "receive")))
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Sent {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait]
impl OutputStream for Sent {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let Self { inner, transfer } = self;
        let length = bytes.len();
        transfer
            .moves(length, |room| {
                if room < length {
                    return (Err(None), 0);
                }
                match inner.write(bytes) {
                    Ok(()) => (Ok(()), length),
                    Err(error) => (Err(Some(error)), 0),
                }
            })
            .map_err(|error| error.unwrap_or_else(|| struck(transfer, "send")))
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    /// At least one byte may be written, so that it is the write of it that fails and not a flush after the last one.
    fn check_write(&mut self) -> StreamResult<usize> {
        let most = self.inner.check_write()?;
        Ok(most.min(self.transfer.left().max(1)))
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

fn struck(transfer: &Transfer, operation: &'static str) -> StreamError {
    transfer.strike(operation);
    StreamError::LastOperationFailed(NoRoom::io().into())
}
