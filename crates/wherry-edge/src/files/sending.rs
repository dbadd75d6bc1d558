//! The bytes of files that are too large for memory, on their way out: read piece by piece, as fast as the client takes them.

use bytes::Bytes;
use http_body::Frame;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// How much is read at once.
const PIECE: u64 = 128 << 10;

/// What is sent, in its order.
pub enum Part {
    /// Bytes that are there.
    Bytes(Bytes),
    /// These of the file.
    File(Range<u64>),
}

impl Part {
    /// How many bytes it is.
    pub fn size(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File(range) => range.end - range.start,
        }
    }
}

/// A file, or parts of one, with what stands between them.
pub struct Sending {
    file: Arc<File>,
    parts: VecDeque<Part>,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Sending {
    /// Parts of a file.
    pub fn new(file: File, parts: impl IntoIterator<Item = Part>) -> Self {
        let parts: VecDeque<Part> = parts.into_iter().collect();
        Self {
            file: Arc::new(file),
            left: parts.iter().map(Part::size).sum(),
            parts,
            reading: None,
        }
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next of them.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                break read.map_err(io::Error::other).flatten();
            }
            match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    self.parts.pop_front();
                    break Ok(bytes);
                }
                Some(Part::File(range)) if range.is_empty() => {
                    self.parts.pop_front();
                }
                Some(Part::File(range)) => {
                    let piece = range.start..range.end.min(range.start + PIECE);
                    range.start = piece.end;
                    let file = Arc::clone(&self.file);
                    let reading = move || read(&file, piece);
                    self.reading = Some(tokio::task::spawn_blocking(reading));
                }
            }
        };
        match piece {
            Ok(bytes) => {
                self.left -= bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                // What breaks off has bytes left, so that nobody takes it for whole.
                self.parts.clear();
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

/// All of a piece; a file that has become shorter has no such piece.
fn read(file: &File, piece: Range<u64>) -> io::Result<Bytes> {
    let size = usize::try_from(piece.end - piece.start).unwrap_or_default();
    let mut bytes = vec![0; size];
    #[cfg(unix)]
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, piece.start)?;
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < size {
            let at = piece.start + done as u64;
            match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
    }
    Ok(bytes.into())
}
