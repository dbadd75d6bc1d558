//! Lines on their way into a file, off the way of requests.
//!
//! Who has a line hands it over and goes on: the line is made and written on a thread of its own. When that cannot keep up,
//! or the file takes no more, lines are dropped and counted; nobody waits. The thread sleeps while there is nothing to
//! write, and gathers what comes for a moment when there is, so that handing over costs no call into the system.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::stdio::duplicate;

/// How many lines wait at the most, and how many bytes they may have.
const MOST_LINES: usize = 16 << 10;
/// See [`MOST_LINES`].
const MOST_BYTES: usize = 16 << 20;

/// How long lines are gathered for.
const GATHERING: Duration = Duration::from_millis(20);

/// How many bytes are written at once.
const PIECE: usize = 64 << 10;

/// How long what waits may take to be written when all ends.
const ENDING: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard output of the process.
    Out,
    /// Standard error of the process.
    Err,
    /// A file, which is appended to.
    File(PathBuf),
}

/// What becomes lines.
pub trait Entry: Send + 'static {
    /// How they are written.
    type Form: Send + 'static;

    /// The bytes that it holds while it waits, besides itself.
    fn size(&self) -> usize;

    /// Writes it to the end of `lines`, with the end of its line.
    fn write(&self, form: &Self::Form, lines: &mut Vec<u8>);
}

/// The beginning of the way.
pub struct Lines<E> {
    sender: SyncSender<Message<E>>,
    place: Place,
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

/// What goes the way.
enum Message<E> {
    Entry(E),
    /// Something else is to be looked at.
    Look,
}

#[derive(Default)]
struct Shared {
    /// Bytes that wait.
    waiting: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    end: AtomicBool,
    /// The file that takes the place of the one there is.
    next: Mutex<Option<File>>,
}

impl<E: Entry> Lines<E> {
    /// Opens the place, and starts the thread.
    ///
    /// # Errors
    /// [`Kind::Io`] when it cannot be opened, [`Kind::Internal`] when the system gives no thread.
    pub fn start(place: Place, form: E::Form) -> Result<Self> {
        let file = place.open()?;
        let (sender, receiver) = sync_channel(MOST_LINES);
        let (ending, ended) = sync_channel(0);
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name("wherry-log".into())
            .spawn(move || {
                write(file, &form, &receiver, &writing);
                drop(ending);
            });
        started.map_err(|error| Error::new(Kind::Internal, format!("no thread for a log: {error}")))?;
        Ok(Self {
            sender,
            place,
            shared,
            ended: Mutex::new(ended),
        })
    }

    /// Hands a line over, or drops it.
    pub fn hand(&self, entry: E) {
        let size = entry.size() + size_of::<E>();
        let waiting = self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        if waiting + size > MOST_BYTES || self.sender.try_send(Message::Entry(entry)).is_err() {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file of that name anew: what is handed over from now on goes there.
    ///
    /// # Errors
    /// [`Kind::Io`] when it cannot be opened; then all stays as it was.
    pub fn reopen(&self) -> Result<()> {
        if matches!(self.place, Place::File(_)) {
            let file = self.place.open()?;
            *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            let _ = self.sender.try_send(Message::Look);
        }
        Ok(())
    }

    /// How many lines were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// How many were dropped, or could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl<E> Lines<E> {
    /// Writes what waits, and ends.
    pub fn end(&self) {
        self.shared.end.store(true, Ordering::Relaxed);
        let _ = self.sender.try_send(Message::Look);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // The reader of a pipe that has stopped is not waited for.
        let _ = ended.recv_timeout(ENDING);
    }
}

impl<E> Drop for Lines<E> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Place {
    /// `-` is standard output.
    #[must_use]
    pub fn named(text: &str) -> Self {
        if text == "-" {
            Self::Out
        } else {
            Self::File(text.into())
        }
    }

    fn open(&self) -> Result<File> {
        match self {
            Self::Out => duplicate(1),
            Self::Err => duplicate(2),
            Self::File(path) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true);
                // Logs tell of people.
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
                options.open(path).map_err(|error| {
                    let message = format!("cannot write the log `{}`: {error}", path.display());
                    Error::new(Kind::Io, message).with_hint("its folder has to be there, and writable")
                })
            }
        }
    }
}

/// Writes lines until all that was handed over is written, and no more will come.
fn write<E: Entry>(mut file: File, form: &E::Form, receiver: &Receiver<Message<E>>, shared: &Shared) {
    let (mut lines, mut count) = (Vec::with_capacity(PIECE), 0);
    while let Ok(first) = receiver.recv() {
        let mut message = Some(first);
        while message.is_some() {
            while let Some(next) = message.or_else(|| receiver.try_recv().ok()) {
                message = None;
                let Message::Entry(entry) = next else { continue };
                let size = entry.size() + size_of::<E>();
                shared.waiting.fetch_sub(size, Ordering::Relaxed);
                entry.write(form, &mut lines);
                count += 1;
                if lines.len() >= PIECE {
                    flush(&mut file, &mut lines, &mut count, shared);
                }
            }
            flush(&mut file, &mut lines, &mut count, shared);
            if shared.end.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(GATHERING);
            message = receiver.try_recv().ok();
        }
    }
}

/// Writes what was gathered, to the file that is asked for by now.
fn flush(file: &mut File, lines: &mut Vec<u8>, count: &mut u64, shared: &Shared) {
    if let Some(next) = shared.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
        *file = next;
    }
    let counter = match write_all(file, lines, &shared.end) {
        Ok(()) => &shared.written,
        Err(_) => &shared.dropped,
    };
    counter.fetch_add(std::mem::take(count), Ordering::Relaxed);
    lines.clear();
}

/// Writes all of it. Another program may have made the pipe one that does not wait.
fn write_all(file: &mut File, mut bytes: &[u8], end: &AtomicBool) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !end.load(Ordering::Relaxed) => {
                std::thread::sleep(GATHERING);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{read_to_string, rename};

    struct Text(String);

    impl Entry for Text {
        type Form = ();

        fn size(&self) -> usize {
            self.0.len()
        }

        fn write(&self, (): &(), lines: &mut Vec<u8>) {
            lines.extend_from_slice(self.0.as_bytes());
            lines.push(b'\n');
        }
    }

    fn text(text: &str) -> Text {
        Text(text.to_owned())
    }

    #[test]
    fn what_was_handed_over_is_written_by_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let lines = Lines::start(Place::File(path.clone()), ()).unwrap();
        for number in 0..1000 {
            lines.hand(Text(number.to_string()));
        }
        lines.end();
        assert_eq!((lines.written(), lines.dropped()), (1000, 0));
        let read = read_to_string(&path).unwrap();
        assert!(read.lines().eq((0..1000).map(|number: i32| number.to_string())));
    }

    #[test]
    fn a_file_that_was_moved_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let lines = Lines::start(Place::File(path.clone()), ()).unwrap();
        lines.hand(text("before"));
        while lines.written() < 1 {
            std::thread::yield_now();
        }
        rename(&path, &old).unwrap();
        lines.hand(text("between"));
        while lines.written() < 2 {
            std::thread::yield_now();
        }
        lines.reopen().unwrap();
        lines.hand(text("after"));
        drop(lines);
        assert_eq!(read_to_string(old).unwrap(), "before\nbetween\n");
        assert_eq!(read_to_string(path).unwrap(), "after\n");
    }

    #[test]
    fn a_place_that_cannot_be_opened_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Place::File(folder.path().join("missing/log"));
        let error = Lines::<Text>::start(missing, ()).err().unwrap();
        assert_eq!(error.kind(), Kind::Io);
        assert!(error.message().contains("missing/log"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_is_counted() {
        let lines = Lines::start(Place::File("/dev/full".into()), ()).unwrap();
        lines.hand(text("lost"));
        lines.end();
        assert_eq!((lines.written(), lines.dropped()), (0, 1));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_waits_for_a_reader_that_has_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let lines = Lines::start(Place::File(pipe), ()).unwrap();
        let long = "x".repeat(100_000);
        for _ in 0..1000 {
            lines.hand(text(&long));
        }
        let (written, dropped) = (lines.written(), lines.dropped());
        assert!(dropped > 500 && written < 10, "{dropped} of 1000 were dropped");
        let shared = Arc::clone(&lines.shared);
        assert!(shared.waiting.load(Ordering::Relaxed) <= MOST_BYTES);
        drop(reader);
    }
}
