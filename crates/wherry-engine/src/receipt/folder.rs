//! The digest of a folder: names, kinds, contents and targets of links, in one order on every machine.
//!
//! Each entry is a line, and the digest is that over all lines in the order of the paths, byte by byte:
//! `file SHA256 BYTES PATH`, `folder PATH`, `link TARGET PATH` or `other PATH`, where PATH begins at the folder, its parts
//! divided by `/`, and PATH and TARGET are written as JSON strings. Times, owners and permissions are not in it: a
//! deterministic run does not see them.

use crate::witness::Seen;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// How many entries are in it and in what is in it.
    pub entries: u64,
    /// SHA-256 over the lines of the entries.
    pub sha256: String,
}

impl Folder {
    /// Looks at a folder, or at a single file.
    ///
    /// # Errors
    /// Those of the host.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut walk = Walk {
            digest: Sha256::new(),
            entries: 0,
        };
        if path.is_dir() {
            walk.folder(path, "")?;
        } else {
            walk.entry(path, "")?;
        }
        Ok(Self {
            entries: walk.entries,
            sha256: crate::mode::hex(&walk.digest.finalize()),
        })
    }
}

struct Walk {
    digest: Sha256,
    entries: u64,
}

impl Walk {
    fn folder(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.sort_by(|one, other| one.as_encoded_bytes().cmp(other.as_encoded_bytes()));
        for inner in names {
            let place = format!("{name}{}", inner.to_string_lossy());
            self.entry(&path.join(&inner), &place)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, place: &str) -> io::Result<()> {
        let kind = if place.is_empty() {
            fs::metadata(path)?.file_type()
        } else {
            fs::symlink_metadata(path)?.file_type()
        };
        if kind.is_file() {
            let Seen { bytes, sha256 } = Seen::of(File::open(path)?)?;
            self.line(&format!("file {sha256} {bytes}"), place);
        } else if kind.is_dir() {
            self.line("folder", place);
            self.folder(path, &format!("{place}/"))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(path)?;
            self.line(&format!("link {}", quoted(&target.to_string_lossy())), place);
        } else {
            self.line("other", place);
        }
        Ok(())
    }

    fn line(&mut self, what: &str, place: &str) {
        self.entries += 1;
        self.digest.update(what);
        self.digest.update(" ");
        self.digest.update(quoted(place));
        self.digest.update("\n");
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("b")).unwrap();
        fs::write(path.join("b/c"), "abc").unwrap();
        fs::write(path.join("a"), "").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let lines = format!("file {nothing} 0 \"a\"\nfolder \"b\"\nfile {abc} 3 \"b/c\"\n");
        let first = Folder::of(path).unwrap();
        assert_eq!(first.entries, 3);
        assert_eq!(first.sha256, crate::mode::hex(&Sha256::digest(lines)));
        fs::write(path.join("b/c"), "abd").unwrap();
        assert_ne!(Folder::of(path).unwrap(), first);
        fs::write(path.join("b/c"), "abc").unwrap();
        assert_eq!(Folder::of(path).unwrap(), first);
        fs::rename(path.join("a"), path.join("A")).unwrap();
        assert_ne!(Folder::of(path).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("one", &link).unwrap();
        let first = Folder::of(folder.path()).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("other", &link).unwrap();
        assert_ne!(Folder::of(folder.path()).unwrap(), first);
    }
}
