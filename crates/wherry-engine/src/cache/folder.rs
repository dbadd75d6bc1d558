//! A folder that only we can write to.
//!
//! What the cache maps is machine code that runs with the user's own rights, so who may put files there is a matter of
//! safety. On Unix the folder is opened once and checked (owner, permissions), and all files are reached
//! through that descriptor, never through its path again: nobody can exchange the folder under us. A file is opened
//! without following links and checked after it was opened, so what was checked is what is read.
//! Elsewhere the user's profile is private by the system's own defaults, and paths are used.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a file must be for it to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untrusted {
    /// It belongs to another user.
    Owner,
    /// Others may write to it.
    Permissions,
    /// It is a link, a folder, a device.
    Kind,
}

impl Untrusted {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Owner => "it belongs to another user",
            Self::Permissions => "other users may write to it",
            Self::Kind => "it is not a regular file",
        }
    }
}

/// The result of opening a file that may be there and may be trusted.
pub(super) enum Opened {
    Trusted(File),
    Untrusted(Untrusted),
    Missing,
}

/// What is known of a file that may be trusted, without opening it.
pub(super) struct Status {
    /// Bytes.
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

#[cfg(unix)]
pub(super) use unix::Folder;

#[cfg(not(unix))]
pub(super) use elsewhere::Folder;

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    use std::time::{Duration, UNIX_EPOCH};

    use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
    use rustix::process::geteuid;

    use super::{File, Opened, Path, PathBuf, Status, Untrusted, io};

    /// The folder, held open.
    #[derive(Debug)]
    pub(in super::super) struct Folder {
        path: PathBuf,
        descriptor: OwnedFd,
    }

    /// Bits of a mode that let users other than the owner write.
    const OTHERS_WRITE: u32 = 0o022;

    impl Folder {
        /// Opens the folder, which is made with its parents where it is missing.
        pub(in super::super) fn open(path: &Path) -> io::Result<Result<Self, Untrusted>> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let descriptor = match openat(CWD, path, flags, Mode::empty()) {
                Err(rustix::io::Errno::NOENT) => {
                    std::fs::DirBuilder::new()
                        .recursive(true)
                        .mode(0o700)
                        .create(path)?;
                    openat(CWD, path, flags, Mode::empty())?
                }
                opened => opened?,
            };
            // A link is as good as its owner: someone else's could lead to any folder of ours.
            if std::fs::symlink_metadata(path)?.uid() != geteuid().as_raw() {
                return Ok(Err(Untrusted::Owner));
            }
            let found = rustix::fs::fstat(&descriptor)?;
            Ok(match untrusted(found.st_uid, found.st_mode) {
                Some(why) => Err(why),
                None => Ok(Self {
                    path: path.to_owned(),
                    descriptor,
                }),
            })
        }

        pub(in super::super) fn path(&self) -> &Path {
            &self.path
        }

        /// Opens the file `name` for reading.
        pub(in super::super) fn read(&self, name: &str) -> io::Result<Opened> {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let descriptor = match openat(&self.descriptor, name, flags, Mode::empty()) {
                Err(rustix::io::Errno::NOENT) => return Ok(Opened::Missing),
                Err(rustix::io::Errno::LOOP) => return Ok(Opened::Untrusted(Untrusted::Kind)),
                opened => opened?,
            };
            let found = rustix::fs::fstat(&descriptor)?;
            Ok(match untrusted_file(found.st_uid, found.st_mode) {
                Some(why) => Opened::Untrusted(why),
                None => Opened::Trusted(File::from(descriptor)),
            })
        }

        /// What is known of the file `name`, where that is there and may be trusted; among thousands opening each takes long.
        pub(in super::super) fn status(&self, name: &str) -> Option<Status> {
            let found = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let since = Duration::new(
                found.st_mtime.try_into().ok()?,
                u32::try_from(found.st_mtime_nsec).ok()?,
            );
            untrusted_file(found.st_uid, found.st_mode)
                .is_none()
                .then_some(Status {
                    size: found.st_size.try_into().ok()?,
                    modified: UNIX_EPOCH + since,
                })
        }

        /// Creates the file `name`, which must not be there.
        pub(in super::super) fn create(&self, name: &str) -> io::Result<File> {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(File::from(openat(
                &self.descriptor,
                name,
                flags,
                Mode::RUSR | Mode::WUSR,
            )?))
        }

        pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
        }

        pub(in super::super) fn remove(&self, name: &str) -> io::Result<()> {
            Ok(unlinkat(&self.descriptor, name, AtFlags::empty())?)
        }

        /// The names of all files; those that are not text are none of ours.
        pub(in super::super) fn names(&self) -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&self.descriptor)? {
                let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
                names.extend(name.into_string().ok().filter(|name| name != "." && name != ".."));
            }
            Ok(names)
        }

        /// Whether the file still has a name: another process may have removed it after it was created.
        pub(in super::super) fn is_linked(file: &File) -> bool {
            file.metadata().is_ok_and(|found| found.nlink() > 0)
        }
    }

    fn untrusted_file(owner: u32, mode: u32) -> Option<Untrusted> {
        if !FileType::from_raw_mode(mode).is_file() {
            return Some(Untrusted::Kind);
        }
        untrusted(owner, mode)
    }

    fn untrusted(owner: u32, mode: u32) -> Option<Untrusted> {
        if owner != geteuid().as_raw() {
            return Some(Untrusted::Owner);
        }
        (mode & OTHERS_WRITE != 0).then_some(Untrusted::Permissions)
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::{File, Opened, Path, PathBuf, Status, Untrusted, io};
    use crate::compiled::open_for_mapping;

    /// The folder, by its path.
    #[derive(Debug)]
    pub(in super::super) struct Folder {
        path: PathBuf,
    }

    impl Folder {
        pub(in super::super) fn open(path: &Path) -> io::Result<Result<Self, Untrusted>> {
            std::fs::create_dir_all(path)?;
            Ok(Ok(Self {
                path: path.to_owned(),
            }))
        }

        pub(in super::super) fn path(&self) -> &Path {
            &self.path
        }

        pub(in super::super) fn read(&self, name: &str) -> io::Result<Opened> {
            let path = self.path.join(name);
            match std::fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Missing),
                Ok(found) if !found.is_file() => return Ok(Opened::Untrusted(Untrusted::Kind)),
                found => found?,
            };
            Ok(Opened::Trusted(open_for_mapping(&path)?))
        }

        pub(in super::super) fn status(&self, name: &str) -> Option<Status> {
            let found = std::fs::symlink_metadata(self.path.join(name)).ok()?;
            found.is_file().then_some(Status {
                size: found.len(),
                modified: found.modified().ok()?,
            })
        }

        pub(in super::super) fn create(&self, name: &str) -> io::Result<File> {
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(self.path.join(name))
        }

        pub(in super::super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            std::fs::rename(self.path.join(from), self.path.join(to))
        }

        pub(in super::super) fn remove(&self, name: &str) -> io::Result<()> {
            std::fs::remove_file(self.path.join(name))
        }

        pub(in super::super) fn names(&self) -> io::Result<Vec<String>> {
            let entries = std::fs::read_dir(&self.path)?;
            Ok(entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect())
        }

        pub(in super::super) fn is_linked(_file: &File) -> bool {
            true
        }
    }
}
