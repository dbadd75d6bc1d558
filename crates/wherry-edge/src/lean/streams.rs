//! `wasi:io`: the two streams that a lean guest has, and what it waits for.
//!
//! Only what may wait is asynchronous. A guest that waits is polled again by the task of its connection: when bytes of the
//! request arrive, and when bytes of the answer were taken.

use super::{Awaited, InputStream, IoError, Lean, OutputStream, Pollable, Slot, plain, resource, unknown};
use crate::exchange::ROOM;
use bytes::Bytes;
use std::fmt::Display;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, WasmList};
use wasmtime::{Result, StoreContextMut, bail, format_err};

type Store<'a> = StoreContextMut<'a, Lean>;
pub type Streamed<T> = std::result::Result<T, StreamError>;
type Returned<'a, T> = Box<dyn Future<Output = Result<(T,)>> + Send + 'a>;
type Input = Resource<InputStream>;
type Output = Resource<OutputStream>;

/// The most that one call writes and waits for, as the interface has it.
pub const BLOCKING_WRITE: usize = 4096;

/// `stream-error` of `wasi:io/streams`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// Links `wasi:io`.
pub fn add_to_linker(linker: &mut Linker<Lean>) -> Result<()> {
    let mut error = linker.instance("wasi:io/error@0.2.12")?;
    resource::<IoError>(&mut error, "error")?;
    error.func_wrap("[method]error.to-debug-string", plain(to_debug_string))?;
    poll(&mut linker.instance("wasi:io/poll@0.2.12")?)?;
    let mut streams = linker.instance("wasi:io/streams@0.2.12")?;
    input(&mut streams)?;
    output(&mut streams)?;
    both(&mut streams)
}

fn poll(poll: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<Pollable>(poll, "pollable")?;
    poll.func_wrap("[method]pollable.ready", plain(ready))?;
    poll.func_wrap_async(
        "[method]pollable.block",
        |mut store: Store<'_>, (handle,): (Resource<Pollable>,)| {
            Box::new(async move {
                let awaited = store.data_mut().awaited(&handle)?;
                store.data_mut().wait(awaited).await;
                Ok(())
            })
        },
    )?;
    poll.func_wrap_async(
        "poll",
        |mut store: Store<'_>, (handles,): (Vec<Resource<Pollable>>,)| -> Returned<'_, Vec<u32>> {
            Box::new(async move { Ok((store.data_mut().poll_all(&handles).await?,)) })
        },
    )
}

fn input(streams: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<InputStream>(streams, "input-stream")?;
    streams.func_wrap(
        "[method]input-stream.read",
        plain(|lean, (_stream, most): (Input, u64)| Ok(lean.read(most)?.map(Vec::from))),
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-read",
        |mut store: Store<'_>, (_stream, most): (Input, u64)| -> Returned<'_, Streamed<Vec<u8>>> {
            Box::new(async move {
                store.data_mut().wait(Awaited::Input).await;
                Ok((store.data_mut().read(most)?.map(Vec::from),))
            })
        },
    )?;
    streams.func_wrap(
        "[method]input-stream.skip",
        plain(|lean, (_stream, most): (Input, u64)| lean.skip(most)),
    )?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-skip",
        |mut store: Store<'_>, (_stream, most): (Input, u64)| -> Returned<'_, Streamed<u64>> {
            Box::new(async move {
                store.data_mut().wait(Awaited::Input).await;
                Ok((store.data_mut().skip(most)?,))
            })
        },
    )?;
    streams.func_wrap(
        "[method]input-stream.subscribe",
        plain(|lean, (_stream,): (Input,)| lean.pollable(Awaited::Input)),
    )
}

fn output(streams: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    resource::<OutputStream>(streams, "output-stream")?;
    streams.func_wrap(
        "[method]output-stream.check-write",
        plain(|lean, (_stream,): (Output,)| Ok(lean.room())),
    )?;
    streams.func_wrap(
        "[method]output-stream.write",
        |mut store: Store<'_>, (_stream, bytes): (Output, WasmList<u8>)| {
            Ok((write(&mut store, &bytes, ROOM)?,))
        },
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-and-flush",
        |mut store: Store<'_>, (_stream, bytes): (Output, WasmList<u8>)| -> Returned<'_, Streamed<()>> {
            let written = write(&mut store, &bytes, BLOCKING_WRITE);
            Box::new(async move {
                let written = written?;
                store.data_mut().wait(Awaited::Output).await;
                Ok((written,))
            })
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.write-zeroes",
        plain(|lean, (_stream, count): (Output, u64)| lean.zeroes(count, ROOM)),
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |mut store: Store<'_>, (_stream, count): (Output, u64)| -> Returned<'_, Streamed<()>> {
            Box::new(async move {
                let written = store.data_mut().zeroes(count, BLOCKING_WRITE)?;
                store.data_mut().wait(Awaited::Output).await;
                Ok((written,))
            })
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.flush",
        plain(|lean, (_stream,): (Output,)| Ok(lean.open())),
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-flush",
        |mut store: Store<'_>, (_stream,): (Output,)| -> Returned<'_, Streamed<()>> {
            Box::new(async move {
                store.data_mut().wait(Awaited::Output).await;
                Ok((store.data_mut().open(),))
            })
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.subscribe",
        plain(|lean, (_stream,): (Output,)| lean.pollable(Awaited::Output)),
    )
}

/// From one stream to the other.
fn both(streams: &mut LinkerInstance<'_, Lean>) -> Result<()> {
    streams.func_wrap(
        "[method]output-stream.splice",
        plain(|lean, (_to, _from, most): (Output, Input, u64)| lean.splice(most)),
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-splice",
        |mut store: Store<'_>, (_to, _from, most): (Output, Input, u64)| -> Returned<'_, Streamed<u64>> {
            Box::new(async move {
                store.data_mut().wait(Awaited::Output).await;
                store.data_mut().wait(Awaited::Input).await;
                Ok((store.data_mut().splice(most)?,))
            })
        },
    )
}

/// Takes bytes of the guest over; more than there is room for, or than `most`, ends it.
fn write(store: &mut Store<'_>, bytes: &WasmList<u8>, most: usize) -> Result<Streamed<()>> {
    let taken = store.data().take_over(bytes.as_le_slice(&*store), most)?;
    store.data_mut().said(taken)
}

pub fn to_debug_string(lean: &mut Lean, (handle,): (Resource<IoError>,)) -> Result<String> {
    match lean.slot(&handle)? {
        Slot::Failure(words) => Ok((*words).to_owned()),
        _ => Err(unknown()),
    }
}

pub fn ready(lean: &mut Lean, (handle,): (Resource<Pollable>,)) -> Result<bool> {
    let awaited = lean.awaited(&handle)?;
    let mut context = Context::from_waker(Waker::noop());
    Ok(lean.poll_awaited(awaited, &mut context).is_ready())
}

fn too_many(count: impl Display) -> wasmtime::Error {
    format_err!("a write of {count} bytes is more than was allowed")
}

/// What became of bytes for the answer.
#[derive(Clone, Copy)]
enum Taken {
    All,
    Closed,
    /// They are more than the guest said.
    TooLong,
}

impl Lean {
    pub fn awaited(&mut self, handle: &Resource<Pollable>) -> Result<Awaited> {
        match self.slot(handle)? {
            Slot::Pollable(awaited) => Ok(*awaited),
            _ => Err(unknown()),
        }
    }

    fn poll_awaited(&mut self, awaited: Awaited, context: &mut Context<'_>) -> Poll<()> {
        match awaited {
            Awaited::Input => self.input.poll_filled(context),
            Awaited::Trailers => self.input.poll_ended(context),
            // Who takes the bytes out polls the guest again.
            Awaited::Output if self.free() == Some(0) => Poll::Pending,
            Awaited::Output => Poll::Ready(()),
        }
    }

    /// Something to wait for.
    pub fn pollable(&mut self, awaited: Awaited) -> Result<Resource<Pollable>> {
        self.push(Slot::Pollable(awaited))
    }

    /// Waits until some of these are ready; says which.
    pub async fn poll_all(&mut self, handles: &[Resource<Pollable>]) -> Result<Vec<u32>> {
        if handles.is_empty() {
            bail!("the list of what to wait for is empty");
        }
        let awaited: Result<Vec<_>> = handles.iter().map(|handle| self.awaited(handle)).collect();
        let awaited = awaited?;
        let ready = poll_fn(|context| {
            let ready: Vec<u32> = (0..)
                .zip(&awaited)
                .filter(|(_, awaited)| self.poll_awaited(**awaited, context).is_ready())
                .map(|(place, _)| place)
                .collect();
            if ready.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(ready)
            }
        });
        Ok(ready.await)
    }

    pub async fn wait(&mut self, awaited: Awaited) {
        poll_fn(|context| self.poll_awaited(awaited, context)).await;
    }

    /// What there is to read, up to `most` bytes.
    pub fn read(&mut self, most: u64) -> Result<Streamed<Bytes>> {
        let mut context = Context::from_waker(Waker::noop());
        if self.input.poll_filled(&mut context).is_pending() {
            return Ok(Ok(Bytes::new()));
        }
        if !self.input.waiting.is_empty() {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let size = self.input.waiting.len().min(most);
            return Ok(Ok(self.input.waiting.split_to(size)));
        }
        if std::mem::take(&mut self.input.failed) {
            return self.failure("the body of the request broke off").map(Err);
        }
        Ok(Err(StreamError::Closed))
    }

    /// What there is to read, thrown away.
    pub fn skip(&mut self, most: u64) -> Result<Streamed<u64>> {
        Ok(self.read(most)?.map(|bytes| bytes.len() as u64))
    }

    pub fn splice(&mut self, most: u64) -> Result<Streamed<u64>> {
        let Some(room) = self.free() else {
            return Ok(Err(StreamError::Closed));
        };
        let bytes = match self.read(most.min(room as u64))? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let said = self.write(&bytes, ROOM)?;
        Ok(said.map(|()| bytes.len() as u64))
    }

    /// As [`Lean::take_over`].
    pub fn write(&mut self, bytes: &[u8], most: usize) -> Result<Streamed<()>> {
        let taken = self.take_over(bytes, most)?;
        self.said(taken)
    }

    /// Takes over bytes for the answer. More than there is room for is an error, but for a guest that waits until there is
    /// room: that one may write `most`.
    fn take_over(&self, bytes: &[u8], most: usize) -> Result<Taken> {
        let exchange = self.exchange()?;
        let mut state = exchange.state();
        let Some(room) = state.room() else {
            return Ok(Taken::Closed);
        };
        if bytes.len() > most || (most == ROOM && bytes.len() > room) {
            return Err(too_many(bytes.len()));
        }
        Ok(if state.write(bytes) {
            Taken::All
        } else {
            Taken::TooLong
        })
    }

    /// What the guest is told of it.
    fn said(&mut self, taken: Taken) -> Result<Streamed<()>> {
        match taken {
            Taken::All => Ok(Ok(())),
            Taken::Closed => Ok(Err(StreamError::Closed)),
            Taken::TooLong => self.failure("the body is longer than its length").map(Err),
        }
    }

    /// How many bytes may be written now.
    pub fn room(&self) -> Streamed<u64> {
        let room = self.free();
        room.map(|room| room as u64).ok_or(StreamError::Closed)
    }

    pub fn zeroes(&mut self, count: u64, most: usize) -> Result<Streamed<()>> {
        let fits = usize::try_from(count).ok().filter(|count| *count <= most);
        let bytes = vec![0; fits.ok_or_else(|| too_many(count))?];
        self.write(&bytes, most)
    }

    pub fn open(&mut self) -> Streamed<()> {
        let room = self.free();
        room.map(drop).ok_or(StreamError::Closed)
    }

    fn failure(&mut self, words: &'static str) -> Result<StreamError> {
        Ok(StreamError::LastOperationFailed(self.push(Slot::Failure(words))?))
    }
}
