//! What passed through the standard streams of a deterministic run: digests of it, and whether the host got in the way.
//!
//! A host that cannot read or write ends such a run: the guest would see what another run does not.

use crate::error::{Error, Kind, Result};
use crate::mode::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One of the three streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How many bytes there were, and their digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// How many bytes.
    pub bytes: u64,
    /// SHA-256 over them, in hexadecimal.
    pub sha256: String,
}

impl Seen {
    /// All that `reader` has, read in pieces.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of(mut reader: impl Read) -> io::Result<Self> {
        let mut running = Running::default();
        let mut piece = vec![0; 64 << 10];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(running.seen()),
                Ok(count) => running.add(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A digest that is still growing.
#[derive(Debug, Default, Clone)]
struct Running {
    digest: Sha256,
    bytes: u64,
}

impl Running {
    fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn seen(&self) -> Seen {
        Seen {
            bytes: self.bytes,
            sha256: hex(&self.digest.clone().finalize()),
        }
    }
}

/// What passed through the streams of one run.
#[derive(Debug, Default)]
pub struct Witness {
    /// Nobody asks for digests unless a receipt is written.
    digests: Option<Mutex<[Running; 3]>>,
    fault: OnceLock<String>,
}

impl Witness {
    /// One that keeps digests.
    #[must_use]
    pub fn with_digests() -> Self {
        Self {
            digests: Some(Mutex::default()),
            fault: OnceLock::new(),
        }
    }

    /// Whether digests are kept, of what is thrown away too.
    #[must_use]
    pub fn keeps_digests(&self) -> bool {
        self.digests.is_some()
    }

    /// Takes note of what passed.
    pub(crate) fn saw(&self, stream: Stream, bytes: &[u8]) {
        if let Some(digests) = &self.digests {
            digests.lock().unwrap_or_else(PoisonError::into_inner)[stream as usize].add(bytes);
        }
    }

    /// What passed through a stream so far; `None` where no digests are kept.
    #[must_use]
    pub fn seen(&self, stream: Stream) -> Option<Seen> {
        let digests = self.digests.as_ref()?;
        Some(digests.lock().unwrap_or_else(PoisonError::into_inner)[stream as usize].seen())
    }

    /// The host could not read or write.
    pub(crate) fn fail(&self, stream: Stream, error: &io::Error) -> Error {
        let name = match stream {
            Stream::Input => "standard input",
            Stream::Output => "standard output",
            Stream::Error => "standard error",
        };
        let fault = || Error::io(name, error).message().to_owned();
        fault_error(self.fault.get_or_init(fault))
    }

    /// Whether the host did what was asked of it.
    ///
    /// # Errors
    /// [`Kind::Io`] where it did not.
    pub fn check(&self) -> Result<()> {
        self.fault.get().map_or(Ok(()), |fault| Err(fault_error(fault)))
    }
}

fn fault_error(fault: &str) -> Error {
    Error::new(
        Kind::Io,
        format!("the run was ended, as no other would see this: {fault}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_all_bytes_whatever_the_pieces() {
        let witness = Witness::with_digests();
        witness.saw(Stream::Output, b"ab");
        witness.saw(Stream::Output, b"c");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let seen = witness.seen(Stream::Output).unwrap();
        assert_eq!((seen.bytes, seen.sha256.as_str()), (3, abc));
        assert_eq!(Seen::of(&b"abc"[..]).unwrap(), seen);
        assert_eq!(witness.seen(Stream::Input).unwrap().bytes, 0);
        assert_eq!(Witness::default().seen(Stream::Output), None);
    }

    #[test]
    fn a_fault_of_the_host_stays() {
        let witness = Witness::default();
        assert!(witness.check().is_ok());
        let error = witness.fail(Stream::Output, &io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.kind(), Kind::Io);
        assert_eq!(witness.check().unwrap_err().message(), error.message());
    }
}
