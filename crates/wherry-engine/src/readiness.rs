//! Waiting for a pipe, socket or terminal without holding the thread up.
//!
//! A guest's own thread reads and writes, and only when that does not block: until then it waits with all else that the
//! guest waits for, so that a time limit, a cancellation and Ctrl-C reach it.

use crate::ticker::TICK;
use crate::watch::may_go_on;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that a pipe which is ready takes without blocking: `PIPE_BUF` of Linux, and no more than any other system's.
pub const READY_BYTES: usize = 4096;

/// An open file of this process, or one of ours.
#[derive(Clone)]
pub enum Descriptor {
    /// One of the process's own standard streams.
    Process(BorrowedFd<'static>),
    /// A file that was handed over.
    Own(Arc<File>),
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Descriptor::Process(descriptor) => *descriptor,
            Descriptor::Own(file) => file.as_fd(),
        }
    }
}

/// Whether a descriptor can be read, or written, without blocking. Copies share one registration with the kernel.
#[derive(Clone)]
pub struct Readiness {
    descriptor: Descriptor,
    interest: Interest,
    registration: Arc<OnceLock<Option<AsyncFd<OwnedFd>>>>,
}

impl Readiness {
    /// Of reading.
    pub fn reading(descriptor: Descriptor) -> Self {
        Self::new(descriptor, Interest::READABLE)
    }

    /// Of writing.
    pub fn writing(descriptor: Descriptor) -> Self {
        Self::new(descriptor, Interest::WRITABLE)
    }

    fn new(descriptor: Descriptor, interest: Interest) -> Self {
        Self {
            descriptor,
            interest,
            registration: Arc::default(),
        }
    }

    /// What the kernel tells of the descriptor, made at the first wait; `None` for what is always ready, such as a file.
    fn registration(&self) -> Option<&AsyncFd<OwnedFd>> {
        let register = || {
            let own = rustix::io::fcntl_dupfd_cloexec(&self.descriptor, 3).ok()?;
            // SAFETY: the descriptor is open, ours, and closed by nobody but the registration when that is dropped.
            unsafe { AsyncFd::register_with_interest(own, self.interest) }.ok()
        };
        self.registration.get_or_init(register).as_ref()
    }

    /// Whether it would not block: there are bytes or room, the end, or an error to be had.
    pub fn is_ready(&self) -> bool {
        let mut asked = [PollFd::new(&self.descriptor, self.flags())];
        poll(&mut asked, Some(&Timespec::default())) != Ok(0)
    }

    fn flags(&self) -> PollFlags {
        if self.interest.is_readable() {
            PollFlags::IN
        } else {
            PollFlags::OUT
        }
    }

    /// Completes when it would not block.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.is_ready() {
                return Poll::Ready(());
            }
            // Without a registration it may block, as it would in a native program.
            let Some(registration) = self.registration() else {
                return Poll::Ready(());
            };
            let cleared = if self.interest.is_readable() {
                ready!(registration.poll_read_ready(context)).map(|mut guard| guard.clear_ready())
            } else {
                ready!(registration.poll_write_ready(context)).map(|mut guard| guard.clear_ready())
            };
            if cleared.is_err() {
                return Poll::Ready(());
            }
        }
    }

    /// Waits on this thread until it would not block; false where the guest that the thread drives was stopped meanwhile.
    pub fn hold(&self) -> bool {
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.subsec_nanos().into(),
        };
        loop {
            match poll(&mut [PollFd::new(&self.descriptor, self.flags())], Some(&tick)) {
                Ok(0) | Err(Errno::INTR) if may_go_on() => {}
                Ok(0) | Err(Errno::INTR) => return false,
                _ => return true,
            }
        }
    }

    /// Waits until it would not block.
    pub async fn ready(&self) {
        std::future::poll_fn(|context| self.poll_ready(context)).await;
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether writing to a file may block: it is no regular file.
pub fn may_block(file: impl AsFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::RegularFile
    })
}
