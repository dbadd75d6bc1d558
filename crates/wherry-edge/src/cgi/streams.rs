//! The standard streams of a command: the body of its request, and what it answers.
//!
//! A command that waits is polled again by the task of its connection. What polls only what was woken, as the engine does for
//! WASI 0.3, is woken by [`Stdout::look`].

use super::head::{MOST, Reader};
use crate::arriving::Arriving;
use crate::exchange::Exchange;
use bytes::Bytes;
use http_body::Body as _;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wherry_engine::error::{Error, Kind};

/// What a command reads: the body, to its end.
#[derive(Clone)]
pub struct Stdin(Arc<Mutex<Unread>>);

struct Unread {
    arriving: Option<Arriving>,
    waiting: Bytes,
    failed: bool,
}

impl Stdin {
    /// The body of a request.
    pub fn new(arriving: Arriving) -> Self {
        Self(Arc::new(Mutex::new(Unread {
            arriving: Some(arriving),
            waiting: Bytes::new(),
            failed: false,
        })))
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unread {
    /// Completes when there are bytes, or the body is over.
    fn poll_filled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.waiting.is_empty()
            && let Some(arriving) = &mut self.arriving
        {
            match ready!(Pin::new(arriving).poll_frame(context)) {
                Some(Ok(frame)) => self.waiting = frame.into_data().unwrap_or_default(),
                ended => {
                    self.failed = ended.is_some();
                    self.arriving = None;
                }
            }
        }
        Poll::Ready(())
    }

    /// Up to so many bytes of those that are there; none at the end.
    fn take(&mut self, most: usize) -> io::Result<Bytes> {
        if self.waiting.is_empty() && self.failed {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let size = self.waiting.len().min(most);
        Ok(self.waiting.split_to(size))
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut unread = self.unread();
        ready!(unread.poll_filled(context));
        let bytes = unread.take(buffer.remaining())?;
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        poll_fn(|context| self.unread().poll_filled(context)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Stdin {
    fn read(&mut self, most: usize) -> StreamResult<Bytes> {
        let mut unread = self.unread();
        if unread
            .poll_filled(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            return Ok(Bytes::new());
        }
        match unread.take(most) {
            Ok(bytes) if bytes.is_empty() && most > 0 => Err(StreamError::Closed),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

/// What a command writes: first a head, then a body.
#[derive(Clone)]
pub struct Stdout(Arc<Written>);

struct Written {
    exchange: Arc<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Gone when the head is whole.
    reader: Option<Reader>,
    /// Why it is none.
    wrong: Option<String>,
    waiting: Option<Waker>,
}

impl Stdout {
    /// One that becomes the answer.
    pub fn new(exchange: Arc<Exchange>) -> Self {
        let state = State {
            reader: Some(Reader::default()),
            ..State::default()
        };
        Self(Arc::new(Written {
            exchange,
            state: Mutex::new(state),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for room, if there is some.
    pub fn look(&self) {
        if self.room() != Some(0)
            && let Some(waiting) = self.state().waiting.take()
        {
            waiting.wake();
        }
    }

    /// Why what was written so far is no answer.
    pub fn malformed(&self) -> Option<Error> {
        self.state().wrong.as_deref().map(no_answer)
    }

    /// Why it is none when no more comes.
    pub fn unfinished(&self) -> Option<Error> {
        let state = self.state();
        let empty = state.reader.as_ref()?.is_empty();
        Some(no_answer(if empty {
            "it wrote nothing"
        } else {
            "it ended before the empty line behind its head"
        }))
    }

    /// How much may be written now; `None` when nothing will be taken any more.
    fn room(&self) -> Option<usize> {
        let state = self.state();
        match (&state.wrong, &state.reader) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(MOST),
            (None, None) => self.0.exchange.state().room(),
        }
    }

    /// Takes bytes over; false when they are not wanted.
    fn put(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        let Some(reader) = &mut state.reader else {
            return self.0.exchange.state().write(bytes);
        };
        match reader.read(bytes) {
            Ok(None) => true,
            Ok(Some((status, fields, body))) => {
                state.reader = None;
                let mut answer = self.0.exchange.state();
                answer.set_head(status, fields);
                body.is_empty() || answer.write(body)
            }
            Err(wrong) => {
                state.wrong = Some(wrong);
                false
            }
        }
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        match self.room() {
            Some(0) => {
                self.state().waiting = Some(context.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }
}

fn no_answer(why: &str) -> Error {
    let error = Error::new(Kind::Trap, format!("the command gave no answer: {why}"));
    error.with_hint("it begins with fields such as `Content-Type: text/plain`, and an empty line")
}

impl IsTerminal for Stdout {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdout {
    async fn ready(&mut self) {
        poll_fn(|context| self.poll_room(context)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Stdout {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match self.room() {
            Some(room) if bytes.len() > room => Err(StreamError::trap("a write of more than was permitted")),
            Some(_) if self.put(&bytes) => Ok(()),
            _ => Err(StreamError::Closed),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.room().ok_or(StreamError::Closed)
    }

    // The one of the trait waits afterwards until more could be written, and the command may have no more.
    async fn blocking_write_and_flush(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        while !bytes.is_empty() {
            self.ready().await;
            let most = bytes.len().min(self.check_write()?);
            self.write(bytes.split_to(most))?;
        }
        Ok(())
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(context)).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(room)];
        Poll::Ready(if room > 0 && self.put(bytes) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
