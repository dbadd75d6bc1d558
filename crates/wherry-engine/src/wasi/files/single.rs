//! Files that were granted by themselves: held by a descriptor, and opened again through it each time a guest opens them.
//!
//! Linux opens a descriptor again, whatever has become of the name. Where the system cannot, the name is opened again, and
//! what is found there has to be the same file.

use super::beneath::{self, Identity, Opened, Opening};
use crate::monitor::Grant;
use rustix::fs::{Mode, OFlags, Timestamps};
use std::fs::File;
use std::io;
use std::path::Path;

/// A file that was granted by itself.
pub struct Single {
    /// Only to know it by, and to open it again.
    pub file: File,
    /// Which file it is.
    pub identity: Identity,
    /// It may not be written.
    pub read_only: bool,
    /// As it is typed, with the right to write.
    pub writable: Grant,
    #[cfg(not(target_os = "linux"))]
    host: std::path::PathBuf,
}

impl Single {
    /// The file `host`. What the name leads to now is what was granted, whatever it leads to later.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of(host: &Path, read_only: bool, writable: Grant) -> io::Result<Self> {
        let flags = beneath::PASSING | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(host, flags, Mode::empty())?);
        Ok(Self {
            identity: beneath::identity(&file)?,
            file,
            read_only,
            writable,
            #[cfg(not(target_os = "linux"))]
            host: host.to_owned(),
        })
    }

    #[cfg(target_os = "linux")]
    fn name(&self) -> String {
        use std::os::fd::AsRawFd as _;
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// Opens it once more.
    ///
    /// # Errors
    /// What the kernel says.
    #[cfg(target_os = "linux")]
    pub fn open(&self, opening: Opening) -> io::Result<Opened> {
        let flags = opening.flags() - OFlags::NOFOLLOW - OFlags::CREATE - OFlags::EXCL;
        beneath::sort(File::from(rustix::fs::open(self.name(), flags, Mode::empty())?))
    }

    /// Opens it once more, if its name still leads to it.
    ///
    /// # Errors
    /// What the kernel says; that there is no such file when it is another one.
    #[cfg(not(target_os = "linux"))]
    pub fn open(&self, opening: Opening) -> io::Result<Opened> {
        let flags = opening.flags() - OFlags::NOFOLLOW - OFlags::CREATE - OFlags::EXCL - OFlags::TRUNC;
        let file = File::from(rustix::fs::open(&self.host, flags, Mode::empty())?);
        if beneath::identity(&file)? != self.identity {
            return Err(io::ErrorKind::NotFound.into());
        }
        if opening.truncate {
            file.set_len(0)?;
        }
        beneath::sort(file)
    }

    /// Changes its times.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_times(&self, times: &Timestamps) -> io::Result<()> {
        // Linux changes nothing through a descriptor that paths only start from.
        #[cfg(target_os = "linux")]
        rustix::fs::utimensat(rustix::fs::CWD, self.name(), times, rustix::fs::AtFlags::empty())?;
        #[cfg(not(target_os = "linux"))]
        rustix::fs::futimens(&self.file, times)?;
        Ok(())
    }
}
