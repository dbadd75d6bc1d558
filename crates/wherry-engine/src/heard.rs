//! Standard input for runs that are recorded: that it was read is noted, and nothing of what was in it.

use crate::monitor::{Access, Monitor, Subject};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamResult};

/// An input in front of which somebody listens.
pub struct Heard {
    inner: Box<dyn StdinStream>,
    monitor: Arc<Monitor>,
}

impl Heard {
    /// Lets `monitor` hear when `inner` is read.
    pub fn new(inner: impl StdinStream + 'static, monitor: Arc<Monitor>) -> Self {
        Self {
            inner: Box::new(inner),
            monitor,
        }
    }
}

impl IsTerminal for Heard {
    fn is_terminal(&self) -> bool {
        self.inner.is_terminal()
    }
}

impl StdinStream for Heard {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Reading {
            inner: self.inner.p2_stream(),
            monitor: Arc::clone(&self.monitor),
        })
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Reading {
            inner: Box::into_pin(self.inner.async_stream()),
            monitor: Arc::clone(&self.monitor),
        })
    }
}

/// One stream of it, in the form of either generation.
struct Reading<S> {
    inner: S,
    monitor: Arc<Monitor>,
}

impl<S> Reading<S> {
    fn note(&self) {
        self.monitor.granted(|| Access {
            subject: Subject::Stdin,
            operation: "read",
            target: "standard input".to_owned(),
        });
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reading<Box<dyn InputStream>> {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Reading<Box<dyn InputStream>> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.note();
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.note();
        self.inner.blocking_read(size).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

impl AsyncRead for Reading<Pin<Box<dyn AsyncRead + Send + Sync>>> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.note();
        self.get_mut().inner.as_mut().poll_read(context, buffer)
    }
}
