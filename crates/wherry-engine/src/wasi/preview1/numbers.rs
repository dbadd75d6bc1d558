//! Which resource of the table stands behind which number of a descriptor; wasmtime-wasi keeps that to itself.
//!
//! A file gets its number by opening one that does no harm, whose place in the table it then takes. The file that was
//! closed last keeps its number for the next one, so that this costs a guest nothing that opens many, one after another.

use super::Answered;
use crate::guest::Guest;
use crate::wasi::files::{Entry, Named, next_handle};
use std::fs::File as HostFile;
use std::sync::LazyLock;
use wasmtime::bail;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};
use wasmtime_wasi::p1::types::{Errno, Fd, Fdflags, Lookupflags, Oflags, Rights, Whence};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::{FsPerms, OpenMode, WasiView as _};
use wiggle::{GuestMemory, GuestPtr};

/// What stands behind a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    Stream,
    Folder(u32),
    File(u32),
    /// A file that the guest has closed; wasmtime-wasi has not.
    Idle,
}

/// What stands behind the numbers of descriptors.
#[derive(Default)]
pub struct Numbers {
    pub(super) slots: Vec<Slot>,
    /// The number of the one [`Slot::Idle`], and its resource.
    idle: Option<(u32, u32)>,
    /// The folder that was read last, from its beginning, with its number.
    pub(super) listing: Option<(u32, Vec<Entry>)>,
}

/// The name that an error of an open file has in WASI 0.2.
pub(super) fn name(errno: i32) -> &'static str {
    use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
    let code = match Errno::try_from(errno) {
        Ok(Errno::Badf) => ErrorCode::BadDescriptor,
        Ok(Errno::Fbig) => ErrorCode::FileTooLarge,
        Ok(Errno::Inval) => ErrorCode::Invalid,
        Ok(Errno::Isdir) => ErrorCode::IsDirectory,
        Ok(Errno::Nomem) => ErrorCode::InsufficientMemory,
        Ok(Errno::Nospc) => ErrorCode::InsufficientSpace,
        Ok(Errno::Notdir) => ErrorCode::NotDirectory,
        Ok(Errno::Notsup) => ErrorCode::Unsupported,
        Ok(Errno::Overflow) => ErrorCode::Overflow,
        Ok(Errno::Perm) => ErrorCode::NotPermitted,
        Ok(Errno::Rofs) => ErrorCode::ReadOnly,
        Ok(Errno::Txtbsy) => ErrorCode::TextFileBusy,
        _ => ErrorCode::Io,
    };
    code.name()
}

impl Numbers {
    pub(super) fn slot(&self, fd: i32) -> Slot {
        let number = usize::try_from(fd.cast_unsigned()).unwrap_or(usize::MAX);
        self.slots.get(number).copied().unwrap_or(Slot::Free)
    }

    pub(super) fn set(&mut self, fd: u32, slot: Slot) {
        let number = fd as usize;
        if self.slots.len() <= number {
            self.slots.resize(number + 1, Slot::Free);
        }
        self.slots[number] = slot;
    }
}

/// A file that does no harm, and the folders that lead to it and to a folder.
struct Stand {
    file: Descriptor,
    to_file: Dir,
    to_folder: Dir,
}

static STAND: LazyLock<std::io::Result<Stand>> = LazyLock::new(|| {
    let dir =
        |path: &str| HostFile::open(path).map(|file| Dir::new(file, FsPerms::ReadOnly, OpenMode::READ, true));
    let null = HostFile::open("/dev/null")?;
    Ok(Stand {
        file: Descriptor::File(File::new(null, FsPerms::ReadOnly, OpenMode::empty(), true)),
        to_file: dir("/dev")?,
        to_folder: dir("/")?,
    })
});

impl Guest {
    /// Finds out which resources the folders are that the guest starts from, before anything else has a number.
    fn learn_numbers(&mut self) {
        if !self.files.numbers.slots.is_empty() {
            return;
        }
        // Whatever it answers: wasmtime-wasi gives out the first numbers when it is asked for the first time.
        let _ = self
            .wasi
            .fd_prestat_get(&mut GuestMemory::Unshared(&mut []), Fd::from(3));
        self.files.numbers.slots = vec![Slot::Stream; 3];
        let most = 16 + 2 * self.files.preopened();
        for handle in (0..).take(most) {
            let table = self.wasi.ctx().table;
            let Ok(Descriptor::Dir(dir)) = table.get(&Resource::new_borrow(handle)) else {
                continue;
            };
            if let Some(grant) = self.files.grant_of(dir) {
                self.files.name_preopen(handle, grant);
                self.files
                    .numbers
                    .set(u32::try_from(3 + grant).unwrap_or(u32::MAX), Slot::Folder(handle));
            }
        }
    }

    pub(super) fn slot(&mut self, fd: i32) -> Slot {
        self.learn_numbers();
        self.files.numbers.slot(fd)
    }

    /// The folder behind a number.
    pub(super) fn folder(&mut self, fd: i32) -> Result<u32, Errno> {
        match self.slot(fd) {
            Slot::Folder(handle) => Ok(handle),
            Slot::File(_) => Err(Errno::Notdir),
            _ => Err(Errno::Badf),
        }
    }

    pub(super) fn file(&mut self, handle: u32) -> wasmtime::Result<File> {
        match self
            .wasi
            .ctx()
            .table
            .get(&Resource::<Descriptor>::new_borrow(handle))?
        {
            Descriptor::File(file) => Ok(file.clone()),
            Descriptor::Dir(_) => bail!("a file turned into a folder"),
        }
    }

    /// Gives what was opened a number, from the folder `fd` with the resource `handle`.
    pub(super) async fn install(
        &mut self,
        (fd, handle): (i32, u32),
        descriptor: Descriptor,
        named: Option<Named>,
        flags: Fdflags,
    ) -> Answered<u32> {
        let is_file = matches!(descriptor, Descriptor::File(_));
        let kept = Fdflags::APPEND | Fdflags::NONBLOCK;
        let mut no_memory = GuestMemory::Unshared(&mut []);
        let (number, new) = match self.files.numbers.idle.take() {
            Some((number, idle)) if is_file => {
                let fd = Fd::from(number);
                let positioned = self.wasi.fd_seek(&mut no_memory, fd, 0, Whence::Set).await;
                let flagged = self.wasi.fd_fdstat_set_flags(&mut no_memory, fd, flags & kept);
                if positioned.is_err() || flagged.is_err() {
                    bail!("a file that was closed is not there any more");
                }
                (number, idle)
            }
            idle => {
                let mut next = next_handle(self.wasi.ctx().table);
                if let (None, Some((number, _))) = (next, idle) {
                    // The one that was closed last is in the way.
                    self.files.numbers.set(number, Slot::Free);
                    let _ = self.wasi.fd_close(&mut no_memory, Fd::from(number)).await;
                    next = next_handle(self.wasi.ctx().table);
                } else {
                    self.files.numbers.idle = idle;
                }
                let Some(next) = next else {
                    self.files.struck_handles(&self.monitor);
                    return Ok(Err(Errno::Mfile));
                };
                (self.stand_in((fd, handle), is_file, flags & kept).await?, next)
            }
        };
        *self
            .wasi
            .ctx()
            .table
            .get_mut(&Resource::<Descriptor>::new_borrow(new))? = descriptor;
        self.files.name(new, named);
        let slot = if is_file {
            Slot::File(new)
        } else {
            Slot::Folder(new)
        };
        self.files.numbers.set(number, slot);
        Ok(Ok(number))
    }

    /// A number for something that does no harm.
    async fn stand_in(
        &mut self,
        (fd, handle): (i32, u32),
        is_file: bool,
        flags: Fdflags,
    ) -> wasmtime::Result<u32> {
        let stand = STAND
            .as_ref()
            .map_err(|error| wasmtime::format_err!("no file can be opened: {error}"))?;
        let (dir, path) = if is_file {
            (&stand.to_file, "null")
        } else {
            (&stand.to_folder, ".")
        };
        let borrowed = Resource::<Descriptor>::new_borrow(handle);
        let entry = self.wasi.ctx().table.get_mut(&borrowed)?;
        let own = std::mem::replace(entry, Descriptor::Dir(dir.clone()));
        let mut bytes = path.as_bytes().to_vec();
        let name = GuestPtr::<str>::new((0, u32::try_from(bytes.len())?));
        let (fd, rights) = (Fd::from(fd.cast_unsigned()), Rights::FD_READ);
        self.wasi.set_hostcall_fuel(bytes.len());
        let opened = self
            .wasi
            .path_open(
                &mut GuestMemory::Unshared(&mut bytes),
                fd,
                Lookupflags::empty(),
                name,
                Oflags::empty(),
                rights,
                rights,
                flags,
            )
            .await;
        *self.wasi.ctx().table.get_mut(&borrowed)? = own;
        match opened {
            Ok(number) => Ok(number.into()),
            Err(error) => bail!("no number for a file: {error:?}"),
        }
    }

    /// Closes a file for the guest; its number waits for the next one.
    pub(super) fn idle(&mut self, fd: i32, handle: u32) -> wasmtime::Result<bool> {
        let Ok(stand) = STAND.as_ref() else {
            return Ok(false);
        };
        if self.files.numbers.idle.is_some() {
            return Ok(false);
        }
        let number = fd.cast_unsigned();
        *self
            .wasi
            .ctx()
            .table
            .get_mut(&Resource::<Descriptor>::new_borrow(handle))? = stand.file.clone();
        self.files.name(handle, None);
        self.files.numbers.set(number, Slot::Idle);
        self.files.numbers.idle = Some((number, handle));
        Ok(true)
    }
}
