//! An input read as a native program would: what the guest asks for, and no byte more.
//!
//! The next program of a shell's group reads on where the guest stopped. A thread that reads ahead would break that, and
//! cost a detour for each read; so the guest's own thread reads. It does so only when there is something to read, and until
//! then waits with all else that the guest waits for.

use crate::readiness::{Descriptor, Readiness};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The most that one read hands over.
const CHUNK: usize = 64 << 10;

/// The input of a guest; all streams of it share one registration with the kernel.
#[derive(Clone)]
pub struct DescriptorInput {
    readiness: Readiness,
}

impl DescriptorInput {
    /// The standard input of this process.
    pub fn process() -> Self {
        Self::new(Descriptor::Process(rustix::stdio::stdin()))
    }

    /// A file, pipe or socket.
    pub fn file(file: File) -> Self {
        Self::new(Descriptor::Own(Arc::new(file)))
    }

    fn new(descriptor: Descriptor) -> Self {
        Self {
            readiness: Readiness::reading(descriptor),
        }
    }

    fn read_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(&self.readiness, &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                // A program started without standard input: nothing to read.
                Err(rustix::io::Errno::BADF) => return Ok(0),
                other => return other.map_err(Into::into),
            }
        }
    }
}

/// Reads that hold the thread up until there is something, the end, or no guest any more that could have it.
impl io::Read for DescriptorInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readiness.hold() {
            return Err(io::Error::other("the guest was stopped"));
        }
        self.read_into(buffer)
    }
}

impl IsTerminal for DescriptorInput {
    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&self.readiness.as_fd())
    }
}

impl StdinStream for DescriptorInput {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for DescriptorInput {
    async fn ready(&mut self) {
        self.readiness.ready().await;
    }
}

impl InputStream for DescriptorInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 || !self.readiness.is_ready() {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(CHUNK));
        match self.read_into(&mut buffer) {
            Ok(0) => Err(StreamError::Closed),
            Ok(count) => {
                buffer.truncate(count);
                Ok(buffer.freeze())
            }
            // The other side of a terminal made it non-blocking, or another process took what was there.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

impl AsyncRead for DescriptorInput {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.readiness.poll_ready(context));
            let free = buffer.initialize_unfilled();
            let most = free.len().min(CHUNK);
            match self.read_into(&mut free[..most]) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
