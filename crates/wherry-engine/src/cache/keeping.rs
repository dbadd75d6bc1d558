//! Looking after the cache: what is in it, what goes first, what is damaged, what was left behind.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime};

use super::folder::Opened;
use super::{Cache, SUFFIX, TEMPORARY, index};
use crate::compiled::{self, Header};
use crate::error::{Error, Result};

/// How old an unlocked temporary file must be on a file system without locks.
const LEFT_BEHIND: Duration = Duration::from_hours(1);

/// What backup programs look for to leave a folder out (bford.info/cachedir).
const TAG: (&str, &[u8]) = (
    "CACHEDIR.TAG",
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Compiled code of Wherry's.\n",
);

/// One piece of compiled code in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of its file.
    pub file: String,
    /// What it is.
    pub header: Header,
    /// Bytes on disk.
    pub size: u64,
    /// When it was last used, within ten minutes.
    pub used: SystemTime,
}

/// What [`Cache::verify`] found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The name of the file.
    pub file: String,
    /// Why it was removed; `None` for one that is whole.
    pub problem: Option<String>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file of ours, as listed.
struct Listed {
    name: String,
    size: u64,
    used: SystemTime,
}

impl Cache {
    /// All entries that can be trusted, the last used first.
    ///
    /// # Errors
    /// [`crate::Kind::Io`].
    pub fn ls(&self) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = self
            .listed(SUFFIX)?
            .into_iter()
            .filter_map(|Listed { name, size, used }| {
                let (_, header) = self.trusted(&name).ok()??;
                Some(Entry {
                    file: name,
                    header,
                    size,
                    used,
                })
            })
            .collect();
        entries.sort_by(|one, other| other.used.cmp(&one.used).then_with(|| one.file.cmp(&other.file)));
        Ok(entries)
    }

    /// Checks the contents of every entry against the digest in its trailer, and removes what is damaged.
    ///
    /// # Errors
    /// [`crate::Kind::Io`].
    pub fn verify(&self) -> Result<Vec<Verdict>> {
        let names = self
            .folder
            .names()
            .map_err(|error| Error::io(self.path().display(), &error))?;
        let mut verdicts: Vec<Verdict> = names
            .into_iter()
            .filter(|name| name.ends_with(SUFFIX))
            .map(|file| {
                let problem = self.problem(&file);
                if problem.is_some() {
                    let _ = self.folder.remove(&file);
                }
                Verdict { file, problem }
            })
            .collect();
        verdicts.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(verdicts)
    }

    fn problem(&self, name: &str) -> Option<String> {
        match self.trusted(name) {
            Ok(Some((mut file, header))) => {
                if name != super::entry_name(&header.source, &header.fingerprint) {
                    return Some("it is not what its name says".into());
                }
                match compiled::is_intact(&mut file, &header) {
                    Ok(true) => None,
                    Ok(false) => Some("its contents were changed".into()),
                    Err(error) => Some(error.to_string()),
                }
            }
            Ok(None) => None,
            Err(why) => Some(why),
        }
    }

    /// Removes what no run of this Wherry will use: files left behind by killed processes, entries that cannot be trusted
    /// or are of another version, records of entries that are gone, and what is over the cap.
    ///
    /// # Errors
    /// [`crate::Kind::Io`].
    pub fn prune(&self) -> Result<Cleared> {
        let mut cleared = Cleared::default();
        for left in self.listed(TEMPORARY)? {
            if self.is_left_behind(&left) {
                self.clear_one(&left, &mut cleared);
            }
        }
        let mut kept = Vec::new();
        for entry in self.listed(SUFFIX)? {
            match self.trusted(&entry.name) {
                Ok(Some((_, header))) if header.wherry == env!("CARGO_PKG_VERSION") => {
                    kept.push((entry, header));
                }
                _ => self.clear_one(&entry, &mut cleared),
            }
        }
        for record in self.listed(index::SUFFIX)? {
            let digest = self.recorded(&record.name);
            if !digest.is_some_and(|digest| kept.iter().any(|(_, header)| header.source == digest)) {
                self.clear_one(&record, &mut cleared);
            }
        }
        self.evict(
            kept.into_iter().map(|(entry, _)| entry).collect(),
            None,
            &mut cleared,
        );
        Ok(cleared)
    }

    /// Removes everything of ours.
    ///
    /// # Errors
    /// [`crate::Kind::Io`].
    pub fn clear(&self) -> Result<Cleared> {
        let mut cleared = Cleared::default();
        for file in self.listed("")? {
            let ours = file.name.ends_with(SUFFIX) || file.name.ends_with(index::SUFFIX);
            if ours || (file.name.starts_with(TEMPORARY) && self.is_left_behind(&file)) {
                self.clear_one(&file, &mut cleared);
            }
        }
        Ok(cleared)
    }

    /// Evicts what was not used for longest until all fits under the cap, but not `newest`; best effort.
    pub(super) fn make_room(&self, newest: &str) {
        if let Ok(entries) = self.listed(SUFFIX) {
            if entries.len() == 1 {
                self.tag();
            }
            self.evict(entries, Some(newest), &mut Cleared::default());
        }
    }

    fn evict(&self, mut entries: Vec<Listed>, newest: Option<&str>, cleared: &mut Cleared) {
        let mut sum: u64 = entries.iter().map(|entry| entry.size).sum();
        if sum <= self.cap {
            return;
        }
        entries.sort_by_key(|entry| entry.used);
        for entry in entries {
            if sum <= self.cap {
                break;
            }
            if newest != Some(&entry.name) {
                self.clear_one(&entry, cleared);
                sum -= entry.size;
            }
        }
    }

    /// Has backup programs leave the cache out; best effort.
    fn tag(&self) {
        use std::io::Write;
        if let Ok(mut file) = self.folder.create(TAG.0) {
            let _ = file.write_all(TAG.1);
        }
    }

    /// The trusted files whose names begin or end with `mark`.
    fn listed(&self, mark: &str) -> Result<Vec<Listed>> {
        let names = self
            .folder
            .names()
            .map_err(|error| Error::io(self.path().display(), &error))?;
        let marked = names
            .into_iter()
            .filter(|name| name.ends_with(mark) || name.starts_with(mark));
        Ok(marked
            .filter_map(|name| {
                let found = self.folder.status(&name)?;
                Some(Listed {
                    name,
                    size: found.size,
                    used: found.modified,
                })
            })
            .collect())
    }

    fn clear_one(&self, file: &Listed, cleared: &mut Cleared) {
        if self.folder.remove(&file.name).is_ok() {
            cleared.files += 1;
            cleared.bytes += file.size;
        }
    }

    /// Whether the process that was writing a temporary file is gone: it held a lock.
    fn is_left_behind(&self, listed: &Listed) -> bool {
        let Ok(Opened::Trusted(file)) = self.folder.read(&listed.name) else {
            return false;
        };
        match File::try_lock(&file) {
            Ok(()) => true,
            Err(std::fs::TryLockError::WouldBlock) => false,
            Err(std::fs::TryLockError::Error(_)) => SystemTime::now()
                .duration_since(listed.used)
                .is_ok_and(|age| age > LEFT_BEHIND),
        }
    }

    fn recorded(&self, name: &str) -> Option<String> {
        let Ok(Opened::Trusted(mut file)) = self.folder.read(name) else {
            return None;
        };
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        serde_json::from_str::<index::Known>(&text)
            .ok()
            .map(|known| known.digest)
    }
}
