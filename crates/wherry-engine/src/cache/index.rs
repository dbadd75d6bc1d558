//! From a path to the digest of what lies there, without reading it.
//!
//! Hashing a big file at each start costs more than running it from the cache. A record per path holds what the system
//! says of the file (size, times, inode) and the digest that was found; when the system says the same again, the digest
//! is the same. A file that was changed within the resolution of its times would look unchanged ("racily clean" in
//! the words of git's index), so nothing is recorded of a file that is younger than two seconds.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::mode::hex;

/// The coarsest times of a file system in use: two seconds, on FAT.
const SETTLED: Duration = Duration::from_secs(2);

/// The end of the names of index files.
pub(super) const SUFFIX: &str = ".path";

/// What the system says of a file; equal for equal contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    size: u64,
    /// Nanoseconds since 1970.
    modified: i128,
    changed: i128,
    inode: u64,
    device: u64,
}

impl Identity {
    /// The identity of the file that `found` describes.
    #[must_use]
    #[cfg(unix)]
    pub fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            size: found.size(),
            modified: nanoseconds(found.mtime(), found.mtime_nsec()),
            changed: nanoseconds(found.ctime(), found.ctime_nsec()),
            inode: found.ino(),
            device: found.dev(),
        }
    }

    /// The identity of the file that `found` describes.
    #[must_use]
    #[cfg(not(unix))]
    pub fn of(found: &Metadata) -> Self {
        let since = |time: std::io::Result<SystemTime>| time.map_or(0, nanoseconds);
        Self {
            size: found.len(),
            modified: since(found.modified()),
            changed: since(found.created()),
            inode: 0,
            device: 0,
        }
    }

    /// Whether the file has lain unchanged for long enough that its next change will show.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let now = nanoseconds(now);
        let settled = i128::try_from(SETTLED.as_nanos()).unwrap_or(i128::MAX);
        now - self.modified > settled && now - self.changed > settled
    }

    /// The same file, as if it had been written earlier.
    #[cfg(test)]
    pub(crate) fn aged(&self, age: Duration) -> Self {
        let age = i128::try_from(age.as_nanos()).unwrap_or(0);
        Self {
            modified: self.modified - age,
            changed: self.changed - age,
            ..self.clone()
        }
    }
}

fn nanoseconds(time: SystemTime) -> i128 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// What is recorded of one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What the system said.
    pub(super) identity: Identity,
    /// SHA-256 over the contents, in hexadecimal.
    pub digest: String,
    /// Whether it needs the asynchronous component machinery.
    pub concurrency: bool,
    /// The path, for people.
    pub(super) path: String,
    /// Why it was not prepared, and by which version of what prepares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plain: Option<(u32, String)>,
}

impl Known {
    /// Why that version of what prepares components did not prepare it.
    #[must_use]
    pub fn plain(&self, version: u32) -> Option<&str> {
        let (tried, why) = self.plain.as_ref()?;
        (*tried == version).then_some(why)
    }
}

/// The name of the record for `path`, which is absolute.
pub(super) fn record(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    format!("{}{SUFFIX}", hex(&digest[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(modified: u64, changed: u64) -> Identity {
        let nanoseconds = |seconds: u64| i128::from(seconds) * 1_000_000_000;
        Identity {
            size: 1,
            modified: nanoseconds(modified),
            changed: nanoseconds(changed),
            inode: 1,
            device: 1,
        }
    }

    #[test]
    fn only_what_is_older_than_two_seconds_is_settled() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        for (modified, changed, settled) in [
            (97, 97, true),
            (98, 97, false),
            (97, 98, false),
            (100, 100, false),
            (500, 97, false),
            (0, 97, true),
        ] {
            assert_eq!(
                identity(modified, changed).is_settled(now),
                settled,
                "{modified} {changed}"
            );
        }
    }

    #[test]
    fn a_rewritten_file_has_another_identity() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::write(&path, "one").expect("to write");
        let before = Identity::of(&path.metadata().expect("metadata"));
        std::fs::remove_file(&path).expect("to remove");
        std::fs::write(&path, "three").expect("to write");
        assert_ne!(before, Identity::of(&path.metadata().expect("metadata")));
    }
}
