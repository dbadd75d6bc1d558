//! This process's own standard input, read as a native program would: what the guest asks for, and no byte more.
//!
//! The next program of a shell's group reads on where the guest stopped. A thread that reads ahead would break that, and
//! cost a detour for each read; so the guest's own thread reads. It does so only when there is something to read, and until
//! then waits with all else that the guest waits for.

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The most that one read hands over.
const CHUNK: usize = 64 << 10;

/// The standard input of this process; all streams of it share one registration with the kernel.
#[derive(Clone, Default)]
pub struct ProcessInput {
    waiter: Arc<OnceLock<Option<AsyncFd<OwnedFd>>>>,
}

impl ProcessInput {
    fn descriptor() -> BorrowedFd<'static> {
        rustix::stdio::stdin()
    }

    /// What the kernel tells of the descriptor, made at the first wait; `None` for what is always ready, such as a file.
    fn waiter(&self) -> Option<&AsyncFd<OwnedFd>> {
        let register = || {
            let own = rustix::io::fcntl_dupfd_cloexec(Self::descriptor(), 3).ok()?;
            // SAFETY: the descriptor is open, ours, and closed by nobody but the registration when that is dropped.
            unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) }.ok()
        };
        self.waiter.get_or_init(register).as_ref()
    }

    /// Whether a read would not block: there are bytes, the end, or an error to be had.
    fn is_ready() -> bool {
        let descriptor = Self::descriptor();
        let mut asked = [PollFd::new(&descriptor, PollFlags::IN)];
        poll(&mut asked, Some(&Timespec::default())) != Ok(0)
    }

    /// Completes when a read would not block.
    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if Self::is_ready() {
                return Poll::Ready(());
            }
            // Without a registration the read may block, as it would in a native program.
            let Some(waiter) = self.waiter() else {
                return Poll::Ready(());
            };
            match ready!(waiter.poll_read_ready(context)) {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn read_into(buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(Self::descriptor(), &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                // A program started without standard input: nothing to read.
                Err(rustix::io::Errno::BADF) => return Ok(0),
                other => return other.map_err(Into::into),
            }
        }
    }
}

/// Reads that block, for who asks for them.
impl io::Read for ProcessInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read_into(buffer)
    }
}

impl IsTerminal for ProcessInput {
    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&io::stdin())
    }
}

impl StdinStream for ProcessInput {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for ProcessInput {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }
}

impl InputStream for ProcessInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 || !Self::is_ready() {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(CHUNK));
        match Self::read_into(&mut buffer) {
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

impl AsyncRead for ProcessInput {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_ready(context));
            let free = buffer.initialize_unfilled();
            let most = free.len().min(CHUNK);
            match Self::read_into(&mut free[..most]) {
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
