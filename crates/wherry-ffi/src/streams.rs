//! Streams and futures on both sides: those that a guest gave, and those that the caller gives and fills from a callback.
//!
//! Both are objects with a handle of their own, which is the number in the encoding.

use crate::encoding::Reader;
use crate::failure::{Failed, Failure, Status, freed, guarded, quietly};
use crate::handles::{Handle, get, keep};
use crate::imports::{CDestroy, CSource, Data, Source};
use crate::instance::Instance;
use crate::port::{Encoded, Owned, recycle};
use crate::strings::Out;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::instance::Pause;
use wherry_engine::values::{Feed, Incoming, Pipe, Taken};

/// A stream or future, as the caller holds it.
pub enum Stream {
    /// A guest gave it.
    Guest(Guest),
    /// The caller gives it.
    Own(Own),
}

/// The end of a stream that a guest writes.
pub struct Guest {
    incoming: Arc<Incoming<Encoded>>,
    /// Where it lives, once that is made.
    instance: Arc<OnceLock<Weak<Instance>>>,
    /// What was read last, which is lent to the caller.
    batch: Mutex<Vec<u8>>,
}

/// The end of a stream that the caller fills.
pub struct Own {
    /// What fills it, until it is given away.
    source: Mutex<Option<Source>>,
    /// Wakes the guest that waits for it.
    waiting: Arc<Mutex<Option<Waker>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.incoming.close();
    }
}

impl Stream {
    /// A stream that came out of a guest.
    pub fn of_guest(incoming: Arc<Incoming<Encoded>>, instance: Arc<OnceLock<Weak<Instance>>>) -> Self {
        Stream::Guest(Guest {
            incoming,
            instance,
            batch: Mutex::default(),
        })
    }

    /// What feeds a guest with it; `instance` is the place of that.
    ///
    /// # Errors
    /// [`Kind::Closed`] where it was given away, [`Kind::Value`] where it is of another guest or carries something else.
    pub fn feed(
        &self,
        pipe: Pipe,
        instance: &Arc<OnceLock<Weak<Instance>>>,
    ) -> Result<Box<dyn Feed<Encoded>>> {
        match self {
            Stream::Guest(guest) if !Arc::ptr_eq(&guest.instance, instance) => {
                Err(Error::new(Kind::Value, "this stream is of another instance")
                    .with_hint("read it, and give what it brings by `wherry_stream_new`"))
            }
            Stream::Guest(guest) if guest.incoming.pipe != pipe => Err(Error::new(
                Kind::Value,
                "this stream carries values of another type",
            )),
            Stream::Guest(guest) => Ok(Box::new(Arc::clone(&guest.incoming))),
            Stream::Own(own) => {
                let source = lock(&own.source).take();
                let source = source.ok_or_else(|| {
                    Error::new(Kind::Closed, "the stream was given away already")
                        .with_hint("make one for each guest that reads it")
                })?;
                Ok(Box::new(Filled {
                    source,
                    waiting: Arc::clone(&own.waiting),
                }))
            }
        }
    }

    /// Runs the guest until it has written something, and hands that over; no bytes are the end.
    fn read<R>(&self, take: impl FnOnce(&[u8]) -> R) -> Failed<R> {
        let Stream::Guest(guest) = self else {
            return Err(Failure::usage(
                "a stream that the caller gives is read by a guest",
            ));
        };
        let mut batch = lock(&guest.batch);
        recycle(std::mem::take(&mut *batch));
        loop {
            match guest.incoming.take() {
                Taken::Batch(read) => {
                    *batch = read.into_bytes();
                    return Ok(take(&batch));
                }
                Taken::Over => return Ok(take(&[])),
                Taken::Failed(error) => return Err(error.into()),
                Taken::Nothing => {}
            }
            let instance = guest.instance.get().and_then(Weak::upgrade);
            let closed = || Error::new(Kind::Closed, "the instance of the stream was released");
            instance.ok_or_else(closed)?.with(|room| {
                let read = room.instance.read(&guest.incoming, &Pause::default());
                read.or_else(|error| guest.incoming.fail(error))
            })?;
        }
    }
}

/// What a callback of the caller's feeds a guest with.
struct Filled {
    source: Source,
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl Feed<Encoded> for Filled {
    fn poll(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Owned>>> {
        // Before it is asked: what comes right after that is heard of.
        *lock(&self.waiting) = Some(cx.waker().clone());
        match self.source.ask(most) {
            Ok(None) => Poll::Pending,
            Ok(Some(bytes)) if bytes.is_empty() => Poll::Ready(Ok(None)),
            Ok(Some(bytes)) => {
                let reader = Reader::default();
                reader.set(&bytes);
                let whole = reader.whole();
                Poll::Ready(whole.map(|()| Some(Owned::Bytes(bytes))))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_stream_new(
    source: Option<CSource>,
    context: *mut c_void,
    destroy: Option<CDestroy>,
    out: *mut Handle,
    error: *mut Handle,
) -> Status {
    // Made first: whatever is refused below, the context is the library's to destroy.
    let data = Data::new(context, destroy);
    guarded(error, || {
        let out = Out::new(out, "stream")?;
        let source = source.ok_or_else(|| Failure::usage("the source is NULL"))?;
        let own = Own {
            source: Mutex::new(Some(Source::new(source, data))),
            waiting: Arc::default(),
        };
        out.write(keep(Arc::new(Stream::Own(own)))?);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_stream_ready(stream: Handle) -> Status {
    quietly(|| {
        let stream = get::<Stream>(stream)?;
        let Stream::Own(own) = &*stream else {
            return Err(Failure::usage(
                "a guest's stream is waited for by `wherry_stream_read`",
            ));
        };
        let waiting = lock(&own.waiting).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_stream_read(
    stream: Handle,
    batch: *mut *const u8,
    length: *mut usize,
    error: *mut Handle,
) -> Status {
    guarded(error, || {
        let batch = Out::new(batch, "batch")?;
        let length = Out::new(length, "length of the batch")?;
        let stream = get::<Stream>(stream)?;
        let (pointer, read) = stream.read(|bytes| (bytes.as_ptr(), bytes.len()))?;
        batch.write(pointer);
        length.write(read);
        Ok(())
    })
}

/// See `wherry.h`.
#[unsafe(no_mangle)]
pub extern "C" fn wherry_stream_free(stream: Handle) -> Status {
    freed::<Stream>(stream)
}
