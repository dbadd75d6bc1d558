//! What the kernel does for a guest inside one folder: nothing here follows a path out of it, waits, or hands a device over.
//!
//! Files are opened without waiting, so that a pipe without a writer holds nobody up, and looked at before they are handed
//! over. Where the kernel cannot hold a path inside a folder (`openat2` is Linux's own), [`open`] says so, and the caller
//! leaves it to wasmtime-wasi.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Which file it is, whatever its name: device and number.
pub type Identity = (u64, u64);

/// A folder is opened to go on from there, which needs no right to read it.
#[cfg(target_os = "linux")]
pub const PASSING: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
pub const PASSING: OFlags = OFlags::RDONLY;

/// How often a path is walked again because something was renamed meanwhile.
#[cfg(target_os = "linux")]
const TRIES: usize = 64;

/// How something is opened.
#[derive(Debug, Clone, Copy, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of the interface, under its names"
)]
pub struct Opening {
    /// A symbolic link at the end of the path is followed.
    pub follow: bool,
    /// Made when it is not there.
    pub create: bool,
    /// Refused when it is there.
    pub exclusive: bool,
    /// Emptied.
    pub truncate: bool,
    /// Refused when it is no folder.
    pub directory: bool,
    /// Opened to be read.
    pub read: bool,
    /// Opened to be written.
    pub write: bool,
}

impl Opening {
    /// Whether it needs a grant that can be written.
    pub fn changes(self) -> bool {
        self.create || self.truncate || self.write
    }

    /// The flags of the system.
    pub fn flags(self) -> OFlags {
        let access = match (self.read || !self.write, self.changes()) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        let mut flags = access | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        flags.set(OFlags::NOFOLLOW, !self.follow);
        flags.set(OFlags::CREATE, self.create);
        flags.set(OFlags::EXCL, self.create && self.exclusive);
        flags.set(OFlags::TRUNC, self.truncate);
        flags
    }
}

/// What was opened.
pub enum Opened {
    /// A folder.
    Folder(File, Identity),
    /// A regular file.
    File(File, Identity),
    /// A device, a pipe or a socket, closed again.
    Special,
}

/// Opens `path`, which cannot lead out of `folder`.
///
/// # Errors
/// `EXDEV` when the path leads out, `ENOSYS` when the kernel cannot tell, and all that the kernel says.
pub fn open(folder: &File, path: &str, opening: Opening) -> io::Result<Opened> {
    match walk(folder, path, opening.flags(), opening.create) {
        Ok(file) => sort(file),
        // What the kernel says of a pipe that nobody reads, and of a socket.
        Err(Errno::NXIO) => Ok(Opened::Special),
        Err(error) => Err(error.into()),
    }
}

/// Which file `file` is.
///
/// # Errors
/// What the kernel says.
pub fn identity(file: &File) -> io::Result<Identity> {
    Ok(identity_of(&rustix::fs::fstat(file)?))
}

/// Which file was looked at.
#[allow(
    clippy::useless_conversion,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "differs by platform"
)]
pub fn identity_of(stat: &Stat) -> Identity {
    (stat.st_dev as u64, u64::from(stat.st_ino))
}

/// What sort of file was looked at.
pub fn type_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Opens the folder `name` in `folder`, to go on from there.
///
/// # Errors
/// What the kernel says; `ENOTDIR` for a symbolic link.
pub fn step(folder: &File, name: &str) -> io::Result<Arc<File>> {
    let flags = PASSING | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Arc::new(File::from(rustix::fs::openat(
        folder,
        name,
        flags,
        Mode::empty(),
    )?)))
}

/// Looks at `name` in `folder`, and not at where a symbolic link leads.
///
/// # Errors
/// What the kernel says.
pub fn look(folder: &File, name: &str) -> io::Result<Stat> {
    Ok(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// What a file that was opened is; what is neither file nor folder is closed again.
///
/// # Errors
/// What the kernel says.
pub fn sort(file: File) -> io::Result<Opened> {
    let stat = rustix::fs::fstat(&file)?;
    let identity = identity_of(&stat);
    Ok(match type_of(&stat) {
        FileType::Directory => Opened::Folder(file, identity),
        FileType::RegularFile => Opened::File(file, identity),
        _ => Opened::Special,
    })
}

#[cfg(target_os = "linux")]
fn walk(folder: &File, path: &str, flags: OFlags, create: bool) -> rustix::io::Result<File> {
    use rustix::fs::ResolveFlags;
    let mode = if create {
        Mode::from_raw_mode(0o666)
    } else {
        Mode::empty()
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match rustix::fs::openat2(folder, path, flags, mode, resolve) {
            // Something was renamed on the way, and the kernel cannot tell whether `..` still leads to the same place.
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Some filters of system calls answer so to what they do not know.
            Err(Errno::PERM) => return Err(Errno::NOSYS),
            Ok(file) => return Ok(File::from(file)),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NOSYS)
}

#[cfg(not(target_os = "linux"))]
fn walk(_: &File, _: &str, _: OFlags, _: bool) -> rustix::io::Result<File> {
    Err(Errno::NOSYS)
}
