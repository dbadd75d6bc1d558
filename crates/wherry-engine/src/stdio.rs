//! The standard streams of a guest: the terminal's own, files, memory, or nothing.
//!
//! Output is written at once and as it is: no buffer stands between a guest and the descriptor, so that pipes and
//! terminals see what a native program would show. What both outputs write counts against one limit.

use crate::error::{Error, Kind};
use crate::heard::Heard;
use crate::limits::{Limit, Limits, in_bytes};
use crate::monitor::Monitor;
#[cfg(unix)]
use crate::readiness::{Descriptor, READY_BYTES, Readiness, may_block};
use crate::whole_input::WholeInput;
use crate::witness::{Stream, Witness};
use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::{ClosedInputStream, MemoryInputPipe};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// The most that one write hands over; the guest writes the rest with its next one.
const CHUNK: usize = 64 << 10;

/// Where a guest reads from.
#[derive(Default)]
pub enum Input {
    /// At once at the end.
    #[default]
    Empty,
    /// What this process reads.
    Inherit,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file or pipe.
    File(File),
    /// What an embedding program gives it, in a run that is not deterministic.
    Stream(Box<dyn StdinStream + Sync>),
}

/// Where a guest writes to.
#[derive(Default)]
pub enum Output {
    /// Nowhere.
    #[default]
    Discard,
    /// Where this process writes, by the number of the descriptor.
    Inherit(Standard),
    /// Into memory.
    Buffer(Buffer),
    /// A file or pipe.
    File(File),
    /// To an embedding program, which bounds what it takes itself.
    Stream(Box<dyn StdoutStream + Sync>),
    /// To who takes it as it comes, up to the limit.
    Sink(Arc<dyn Sink>),
}

/// Takes what a guest writes, and never holds it up.
pub trait Sink: Send + Sync {
    /// The next bytes.
    fn take(&self, bytes: &[u8]);
}

/// One of this process's own outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Whose thread a guest runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// One that ends with the process; another one watches the time.
    Own,
    /// One of an embedding program, which wants it back in time: it is never held up.
    Shared,
    /// One that is left behind when a file holds it up; the standard streams do not.
    Apart,
}

/// The three standard streams.
#[derive(Default)]
pub struct Stdio {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Standard error.
    pub error: Output,
    /// Who sees what passes through the streams of a deterministic run.
    pub witness: Option<Arc<Witness>>,
}

impl Stdio {
    /// The streams of this process.
    #[must_use]
    pub fn inherit() -> Self {
        Self {
            input: Input::Inherit,
            output: Output::Inherit(Standard::Out),
            error: Output::Inherit(Standard::Err),
            witness: None,
        }
    }

    /// The outputs of this process, and an input that is at its end.
    #[must_use]
    pub fn outputs() -> Self {
        Self {
            input: Input::Empty,
            ..Self::inherit()
        }
    }

    /// Hands the streams to a guest; gives what it may write, where that is limited.
    ///
    /// With a witness they are those of a deterministic run: no terminal, and read in whole pieces.
    pub(crate) fn attach(
        self,
        builder: &mut WasiCtxBuilder,
        limits: &Limits,
        thread: Thread,
        monitor: &Arc<Monitor>,
    ) -> Option<Arc<Room>> {
        match &self.witness {
            Some(witness) => {
                let input = WholeInput::new(self.input.reader(), Arc::clone(witness));
                read_from(builder, monitor, input);
            }
            None => self.input.attach(builder, monitor),
        }
        let room = limits.output.map(|limit| Arc::new(Room::new(limit)));
        let witness = |stream| self.witness.clone().map(|witness| (witness, stream));
        if let Some(stream) = attached(self.output, room.clone(), witness(Stream::Output), thread) {
            builder.stdout(stream);
        }
        if let Some(stream) = attached(self.error, room.clone(), witness(Stream::Error), thread) {
            builder.stderr(stream);
        }
        room
    }
}

impl Input {
    fn attach(self, builder: &mut WasiCtxBuilder, monitor: &Arc<Monitor>) {
        match self {
            Input::Empty => read_from(builder, monitor, Closed),
            #[cfg(unix)]
            Input::Inherit => read_from(builder, monitor, crate::stdin::DescriptorInput::process()),
            #[cfg(not(unix))]
            Input::Inherit => read_from(builder, monitor, tokio::io::stdin()),
            Input::Bytes(bytes) => read_from(builder, monitor, MemoryInputPipe::new(bytes)),
            Input::Stream(stream) => read_from(builder, monitor, stream),
            #[cfg(unix)]
            Input::File(file) => read_from(builder, monitor, crate::stdin::DescriptorInput::file(file)),
            #[cfg(not(unix))]
            Input::File(file) => read_from(builder, monitor, wasmtime_wasi::cli::InputFile::new(file)),
        }
    }

    /// The same as something to read from, with no buffer of its own.
    fn reader(self) -> Box<dyn Read + Send> {
        match self {
            Input::Empty | Input::Stream(_) => Box::new(io::empty()),
            #[cfg(unix)]
            Input::Inherit => Box::new(crate::stdin::DescriptorInput::process()),
            #[cfg(not(unix))]
            Input::Inherit => Box::new(io::stdin()),
            Input::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            #[cfg(unix)]
            Input::File(file) => Box::new(crate::stdin::DescriptorInput::file(file)),
            #[cfg(not(unix))]
            Input::File(file) => Box::new(file),
        }
    }
}

/// What a guest writes to, unless that is nowhere.
fn attached(
    output: Output,
    room: Option<Arc<Room>>,
    witness: Option<(Arc<Witness>, Stream)>,
    thread: Thread,
) -> Option<Box<dyn StdoutStream + Sync>> {
    let target = match output {
        Output::Stream(stream) => return Some(stream),
        Output::Discard if witness.is_none() => return None,
        Output::Discard => Target::Nowhere,
        Output::Inherit(standard) => Target::Standard(standard),
        Output::Buffer(buffer) => Target::Buffer(buffer),
        Output::File(file) => Target::File(Arc::new(file)),
        Output::Sink(sink) => Target::Sink(sink),
    };
    Some(Box::new(Writer::new(target, room, witness, thread)))
}

/// Has the guest read from `input`, and who records hear of it.
fn read_from(builder: &mut WasiCtxBuilder, monitor: &Arc<Monitor>, input: impl StdinStream + 'static) {
    if monitor.records() {
        builder.stdin(Heard::new(input, Arc::clone(monitor)));
    } else {
        builder.stdin(input);
    }
}

/// Bytes that a guest wrote, shared with whoever reads them.
#[derive(Debug, Clone, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// Takes what was written so far.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn append(&self, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
    }
}

/// What may still be written.
pub struct Room {
    limit: u64,
    left: AtomicU64,
    struck: AtomicBool,
}

impl Room {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            left: AtomicU64::new(limit),
            struck: AtomicBool::new(false),
        }
    }

    /// Whether all that was written had room. The streams of WASI 0.3 tell a guest that a write failed, and not why: who
    /// drives it has to ask.
    ///
    /// # Errors
    /// [`Kind::Output`] when the limit struck.
    pub fn check(&self) -> crate::Result<()> {
        if self.struck.load(Ordering::Relaxed) {
            Err(self.error())
        } else {
            Ok(())
        }
    }

    /// Counts anew; false when the limit struck.
    pub(crate) fn renew(&self) -> bool {
        self.left.store(self.limit, Ordering::Relaxed);
        !self.struck.load(Ordering::Relaxed)
    }

    /// Takes room for `wanted` bytes and says how many there was room for.
    fn take(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(wanted))
            })
            .unwrap_or(0);
        usize::try_from(before.min(wanted)).unwrap_or(usize::MAX)
    }

    fn strike(&self) -> Error {
        self.struck.store(true, Ordering::Relaxed);
        self.error()
    }

    fn error(&self) -> Error {
        Error::new(
            Kind::Output,
            format!(
                "the guest wrote more output than the limit of {}",
                in_bytes(self.limit)
            ),
        )
        .with_hint(Limit::Output.hint(self.limit))
    }
}

/// One output of a guest.
#[derive(Clone)]
struct Writer {
    target: Target,
    room: Option<Arc<Room>>,
    /// Who sees what is written, where the run is deterministic.
    witness: Option<(Arc<Witness>, Stream)>,
    /// Asked before each write, where that must not hold the thread up; found out at the first.
    #[cfg(unix)]
    readiness: Option<Arc<std::sync::OnceLock<Option<Readiness>>>>,
}

#[derive(Clone)]
enum Target {
    File(Arc<File>),
    Standard(Standard),
    Buffer(Buffer),
    Sink(Arc<dyn Sink>),
    Nowhere,
}

impl Writer {
    #[cfg_attr(
        not(unix),
        expect(unused_variables, reason = "nothing is known of the descriptors there")
    )]
    fn new(
        target: Target,
        room: Option<Arc<Room>>,
        witness: Option<(Arc<Witness>, Stream)>,
        thread: Thread,
    ) -> Self {
        Self {
            #[cfg(unix)]
            readiness: (thread != Thread::Own).then(Arc::default),
            target,
            room,
            witness,
        }
    }

    /// What tells when it can be written; `None` for what never holds the thread up.
    #[cfg(unix)]
    fn readiness(&self) -> Option<&Readiness> {
        let found = self.readiness.as_ref()?;
        found.get_or_init(|| self.target.readiness()).as_ref()
    }

    /// The same for guests that see whether there is room. What a deterministic one may write in one go is the same wherever
    /// it goes.
    #[cfg(unix)]
    fn seen_readiness(&self) -> Option<&Readiness> {
        self.readiness().filter(|_| self.witness.is_none())
    }

    /// The most that one write may hand over now; 0 where it would hold the thread up.
    #[cfg(unix)]
    fn permit(&self) -> usize {
        match self.seen_readiness() {
            Some(readiness) if readiness.is_ready() => READY_BYTES,
            Some(_) => 0,
            None => CHUNK,
        }
    }

    #[cfg(not(unix))]
    fn permit(&self) -> usize {
        CHUNK
    }

    /// Completes when something can be written; says how much.
    fn poll_permit(&self, context: &mut Context<'_>) -> Poll<usize> {
        #[cfg(unix)]
        if let Some(readiness) = self.seen_readiness() {
            return readiness.poll_ready(context).map(|()| READY_BYTES);
        }
        let _ = context;
        Poll::Ready(usize::MAX)
    }

    /// Writes all of it, or up to the limit; `Err(Ok(..))` is the limit, `Err(Err(..))` the host.
    fn put(&self, bytes: &[u8]) -> std::result::Result<(), std::result::Result<Error, io::Error>> {
        let room = self
            .room
            .as_ref()
            .map_or(bytes.len(), |room| room.take(bytes.len()));
        let written = self.write_held(&bytes[..room]);
        match &self.witness {
            Some((witness, stream)) => {
                written.map_err(|error| Ok(witness.fail(*stream, &error)))?;
                witness.saw(*stream, &bytes[..room]);
            }
            None => written.map_err(Err)?,
        }
        match &self.room {
            Some(limit) if room < bytes.len() => Err(Ok(limit.strike())),
            _ => Ok(()),
        }
    }

    /// Writes all of it; where that holds up the thread of a deterministic guest, until the guest is stopped.
    fn write_held(&self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(unix)]
        if let (Some(readiness), Some(_)) = (self.readiness(), &self.witness) {
            return bytes.chunks(READY_BYTES).try_for_each(|piece| {
                if !readiness.hold() {
                    return Err(io::Error::other("the guest was stopped"));
                }
                self.write_all(piece)
            });
        }
        self.write_all(bytes)
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.target {
            Target::File(file) => (&**file).write_all(bytes),
            Target::Standard(standard) => standard.write_all(bytes),
            Target::Buffer(buffer) => {
                buffer.append(bytes);
                Ok(())
            }
            Target::Sink(sink) => {
                sink.take(bytes);
                Ok(())
            }
            Target::Nowhere => Ok(()),
        }
    }
}

#[cfg(unix)]
impl Target {
    /// What tells when it can be written; `None` for what never holds a thread up.
    fn readiness(&self) -> Option<Readiness> {
        let descriptor = match self {
            Target::File(file) => Descriptor::Own(Arc::clone(file)),
            Target::Standard(Standard::Out) => Descriptor::Process(rustix::stdio::stdout()),
            Target::Standard(Standard::Err) => Descriptor::Process(rustix::stdio::stderr()),
            Target::Buffer(_) | Target::Sink(_) | Target::Nowhere => return None,
        };
        may_block(&descriptor).then(|| Readiness::writing(descriptor))
    }
}

impl Standard {
    /// Writes past the standard library's buffers.
    #[cfg(unix)]
    fn write_all(self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Standard::Out => rustix::io::write(rustix::stdio::stdout(), bytes),
                Standard::Err => rustix::io::write(rustix::stdio::stderr(), bytes),
            };
            match written {
                Ok(count) => bytes = &bytes[count..],
                Err(rustix::io::Errno::INTR) => {}
                // The other side of a pipe may have made it non-blocking.
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(std::time::Duration::from_millis(1)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes and flushes.
    #[cfg(not(unix))]
    fn write_all(self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Standard::Out => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Standard::Err => io::stderr().write_all(bytes).and_then(|()| io::stderr().flush()),
        }
    }
}

impl IsTerminal for Writer {
    fn is_terminal(&self) -> bool {
        match &self.target {
            _ if self.witness.is_some() => false,
            Target::File(file) => io::IsTerminal::is_terminal(&**file),
            Target::Standard(Standard::Out) => io::IsTerminal::is_terminal(&io::stdout()),
            Target::Standard(Standard::Err) => io::IsTerminal::is_terminal(&io::stderr()),
            Target::Buffer(_) | Target::Sink(_) | Target::Nowhere => false,
        }
    }
}

impl StdoutStream for Writer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_permit(context)).await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        #[cfg(unix)]
        if self.readiness.is_some() && bytes.len() > self.permit() {
            return Err(StreamError::trap("a write of more than was permitted"));
        }
        self.put(&bytes).map_err(|error| match error {
            Ok(limit) => StreamError::Trap(limit.into()),
            Err(host) if host.kind() == io::ErrorKind::BrokenPipe => StreamError::Closed,
            Err(host) => StreamError::LastOperationFailed(host.into()),
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.permit())
    }

    // The one of the trait waits afterwards until more could be written, which may never be.
    async fn blocking_write_and_flush(&mut self, mut bytes: bytes::Bytes) -> StreamResult<()> {
        while !bytes.is_empty() {
            self.ready().await;
            let most = bytes.len().min(self.permit());
            self.write(bytes.split_to(most))?;
        }
        Ok(())
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_permit(context)).min(bytes.len());
        let bytes = &bytes[..most];
        Poll::Ready(match self.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(Ok(limit)) => Err(io::Error::other(limit)),
            Err(Err(host)) => Err(host),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An input that is at its end.
struct Closed;

impl IsTerminal for Closed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl wasmtime_wasi::cli::StdinStream for Closed {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::InputStream> {
        Box::new(ClosedInputStream)
    }
}

/// A file of our own for an open descriptor of this process.
///
/// # Errors
/// [`Kind::Io`] when there is no such descriptor, or none left.
#[cfg(unix)]
pub fn duplicate(descriptor: i32) -> crate::Result<File> {
    use std::os::fd::{BorrowedFd, OwnedFd};
    let failed = |error: &io::Error| Error::io(format_args!("file descriptor {descriptor}"), error);
    if descriptor < 0 {
        return Err(failed(&io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: the number is not -1, and it is borrowed only for the call that duplicates it, which says when it is closed.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let owned: OwnedFd =
        rustix::io::fcntl_dupfd_cloexec(borrowed, 3).map_err(|error| failed(&error.into()))?;
    Ok(File::from(owned))
}

/// Descriptors are not numbers on this system.
///
/// # Errors
/// [`Kind::Unsupported`] always.
#[cfg(not(unix))]
pub fn duplicate(_: i32) -> crate::Result<File> {
    Err(Error::new(
        Kind::Unsupported,
        "guests cannot write to descriptors on this system",
    )
    .with_hint("capture the output, and write it yourself"))
}
