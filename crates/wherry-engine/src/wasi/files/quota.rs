//! How many bytes a guest may still write to files: exact, whoever writes, and shared by all its streams.

use crate::limits::Limit;
use crate::monitor::Monitor;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

/// The bytes that may still be written.
#[derive(Debug)]
pub struct Quota {
    limit: Option<u64>,
    rest: AtomicU64,
}

impl Quota {
    /// A quota of `limit` bytes, or none.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            rest: AtomicU64::new(limit.unwrap_or(u64::MAX)),
        }
    }

    /// The limit; `None` where everything may be written, and nothing needs to be counted.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Counts anew.
    pub fn renew(&self) {
        self.rest.store(self.limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes as much of `wanted` as may still be written.
    pub fn take(&self, wanted: u64) -> u64 {
        if self.limit.is_none() {
            return wanted;
        }
        let taken = |rest: u64| Some(rest - rest.min(wanted));
        let before = self
            .rest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        before.unwrap_or_default().min(wanted)
    }

    /// Gives back what was taken and not written.
    pub fn give_back(&self, bytes: u64) {
        if self.limit.is_some() {
            self.rest.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// What a stream answers when the quota is used up; `filesystem-error-code` knows it again.
#[derive(Debug)]
pub struct OverQuota;

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as much was written to files as may be")
    }
}

impl std::error::Error for OverQuota {}

/// A stream of WASI 0.2 into a file, under a quota.
pub struct Metered {
    /// The stream itself.
    pub inner: DynOutputStream,
    /// What may still be written.
    pub quota: Arc<Quota>,
    /// Who hears of it when nothing may.
    pub monitor: Arc<Monitor>,
}

impl Metered {
    fn over(&self) -> StreamError {
        self.monitor
            .struck(Limit::Write, "write", self.quota.limit().unwrap_or_default());
        StreamError::LastOperationFailed(wasmtime::Error::new(OverQuota))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Metered {
    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        let taken = usize::try_from(self.quota.take(bytes.len() as u64)).unwrap_or(usize::MAX);
        if taken == bytes.len() {
            return self.inner.write(bytes);
        }
        if taken > 0 {
            self.inner.write(bytes.split_to(taken))?;
        }
        Err(self.over())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let permit = self.inner.check_write()?;
        let rest = usize::try_from(self.quota.rest.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        // A guest that may write nothing waits for ever: it is told by the write that goes too far.
        Ok(permit.min(rest.max(1)))
    }

    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        let taken = usize::try_from(self.quota.take(bytes.len() as u64)).unwrap_or(usize::MAX);
        let rest = bytes.split_off(taken.min(bytes.len()));
        if taken > 0 || rest.is_empty() {
            self.inner.blocking_write_and_flush(bytes).await?;
        }
        if rest.is_empty() { Ok(()) } else { Err(self.over()) }
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
