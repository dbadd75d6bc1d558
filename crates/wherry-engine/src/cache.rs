//! Compiled code on disk, shared by any number of processes.
//!
//! An entry is a file as [`crate::compiled`] writes it, named by what it was made from and for: the digest of its
//! source and the fingerprint of its engine. Entries are written under another name and renamed, so they are there whole or
//! not at all, and never changed, so they can be mapped. When anything is wrong with an entry it is a miss and
//! a warning, never an error: the cache makes starts faster and nothing else. Start reading at [`Cache::open`];
//! who may write to the folder is decided in [`folder`], how a path leads to a digest in [`index`].

use std::fs::{File, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use crate::compiled::{self, Header};
use crate::error::{Error, Kind, Result};

mod folder;
mod index;
mod keeping;

use folder::{Folder, Opened};
pub use index::{Identity, Known};
pub use keeping::{Cleared, Entry, Verdict};

/// What the cache may hold unless told otherwise: 4 GiB.
pub const DEFAULT_CAP: u64 = 4 << 30;

/// The end of the names of entries.
const SUFFIX: &str = ".cwasm";

/// The beginning of the names of files that are being written.
const TEMPORARY: &str = "tmp-";

/// How old the last use on record must be for a new one to be recorded.
const TOUCH_AFTER: Duration = Duration::from_mins(10);

/// A folder of compiled code; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: Arc<Folder>,
    cap: u64,
}

impl Cache {
    /// Opens the cache in `folder`, which is made where it is missing; entries over `cap` bytes in all are evicted.
    ///
    /// # Errors
    /// [`Kind::Io`] when the folder cannot be made, or belongs to someone else, or others may write to it.
    pub fn open(folder: &Path, cap: u64) -> Result<Self> {
        let shown = folder.display();
        match Folder::open(folder)
            .map_err(|error| Error::new(Kind::Io, Error::io(&shown, &error).message()))?
        {
            Ok(folder) => Ok(Self {
                folder: Arc::new(folder),
                cap,
            }),
            Err(why) => Err(Error::new(
                Kind::Io,
                format!("the cache `{shown}` is not safe to use: {}", why.why()),
            )
            .with_hint("`chmod 700` it, or set WHERRY_CACHE_DIR to a folder of your own")),
        }
    }

    /// The folder that the environment names: `WHERRY_CACHE_DIR`, or the system's place for caches.
    ///
    /// `None` where there is neither, as for a user without a home.
    #[must_use]
    pub fn default_folder(variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(own) = path("WHERRY_CACHE_DIR") {
            return Some(own);
        }
        let caches = if cfg!(windows) {
            path("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            path("HOME").map(|home| home.join("Library/Caches"))
        } else {
            // The XDG specification has relative paths ignored.
            path("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .or_else(|| path("HOME").map(|home| home.join(".cache")))
        };
        Some(caches?.join("wherry").join("code"))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The code for a source of `digest` under an engine of `fingerprint`, open to be mapped.
    ///
    /// `None` when there is none; an entry that cannot be trusted is one of these, and `warn` is told.
    #[must_use]
    pub fn lookup(&self, digest: &str, fingerprint: &str, warn: &dyn Fn(String)) -> Option<(File, Header)> {
        let name = entry_name(digest, fingerprint);
        match self.trusted(&name) {
            Ok(Some((file, header))) if header.source == digest && header.fingerprint == fingerprint => {
                touch(&file);
                Some((file, header))
            }
            Ok(Some(_)) => {
                self.distrust(&name, "it is not what its name says", warn);
                None
            }
            Ok(None) => None,
            Err(why) => {
                self.distrust(&name, &why, warn);
                None
            }
        }
    }

    /// Opens an entry and reads its header, or says why it is not to be trusted.
    fn trusted(&self, name: &str) -> Result<Option<(File, Header)>, String> {
        match self.folder.read(name).map_err(|error| error.to_string())? {
            Opened::Missing => Ok(None),
            Opened::Untrusted(why) => Err(why.why().to_owned()),
            Opened::Trusted(mut file) => {
                let header =
                    compiled::read_header(&mut file, name).map_err(|error| error.message().to_owned())?;
                Ok(Some((file, header)))
            }
        }
    }

    fn distrust(&self, name: &str, why: &str, warn: &dyn Fn(String)) {
        let _ = self.folder.remove(name);
        warn(format!(
            "cached code `{name}` is not used and compiled again: {why}"
        ));
    }

    /// Forgets an entry that turned out not to load.
    pub fn reject(&self, header: &Header, why: &str, warn: &dyn Fn(String)) {
        self.distrust(&entry_name(&header.source, &header.fingerprint), why, warn);
    }

    /// Keeps `image` under what `header` says, and makes room for it.
    ///
    /// # Errors
    /// Those of writing: a full disk, a folder that is read-only. Nothing is left behind then.
    pub fn insert(&self, header: &Header, image: &[u8]) -> io::Result<()> {
        let name = entry_name(&header.source, &header.fingerprint);
        self.write(&name, |file| compiled::write(file, header, image))?;
        self.make_room(&name);
        Ok(())
    }

    /// Writes a file whole or not at all.
    ///
    /// While it is being written it is locked, which tells it from what a killed process left behind.
    fn write(&self, name: &str, contents: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let (temporary, mut file) = self.temporary()?;
        let written = contents(&mut file).and_then(|()| self.folder.rename(&temporary, name));
        if written.is_err() {
            let _ = self.folder.remove(&temporary);
        }
        written
    }

    fn temporary(&self) -> io::Result<(String, File)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..100 {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let name = format!("{TEMPORARY}{}-{count}-{}", std::process::id(), now.subsec_nanos());
            match self.folder.create(&name) {
                Ok(file) => {
                    // Where files cannot be locked, age alone tells what was left behind.
                    let _ = file.lock();
                    if Folder::is_linked(&file) {
                        return Ok((name, file));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no name is free for a temporary file"))
    }

    /// The digest of the file at `path`, if it is recorded for just this `identity`.
    #[must_use]
    pub fn recall(&self, path: &Path, identity: &Identity) -> Option<Known> {
        let path = std::path::absolute(path).ok()?;
        let Ok(Opened::Trusted(file)) = self.folder.read(&index::record(&path)) else {
            return None;
        };
        let known: Known = serde_json::from_reader(io::BufReader::new(file)).ok()?;
        (known.identity == *identity).then_some(known)
    }

    /// Records the digest of the file at `path`, whose identity was the same before and after it was read; and why it was not
    /// prepared, by which version of what prepares.
    ///
    /// # Errors
    /// Those of writing.
    pub fn remember(
        &self,
        path: &Path,
        identity: &Identity,
        digest: &str,
        concurrency: bool,
        plain: Option<(u32, String)>,
    ) -> io::Result<()> {
        if !identity.is_settled(SystemTime::now()) {
            return Ok(());
        }
        let path = std::path::absolute(path)?;
        let known = Known {
            identity: identity.clone(),
            digest: digest.to_owned(),
            concurrency,
            path: path.to_string_lossy().into_owned(),
            plain,
        };
        let text = serde_json::to_vec(&known)?;
        self.write(&index::record(&path), |file| file.write_all(&text))
    }
}

fn entry_name(digest: &str, fingerprint: &str) -> String {
    format!("{digest}-{fingerprint}{SUFFIX}")
}

/// Records a use, for the eviction of what was not used for longest; seldom, as it writes.
fn touch(file: &File) {
    let now = SystemTime::now();
    let used = file.metadata().and_then(|found| found.modified());
    if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > TOUCH_AFTER)) {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}

#[cfg(test)]
mod tests;
