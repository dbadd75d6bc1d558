//! Files of WASI 0.1, and of the `wasi_unstable` before it: the same functions under two names of a module.
//!
//! wasmtime-wasi keeps the numbers of descriptors to itself. [`Numbers`] follows them: which resource of the table stands
//! behind which number. A path is opened by `files.rs`; wasmtime-wasi gives it a number by opening a file that does no harm,
//! whose place in the table it then takes. The file that was closed last keeps its number for the next one.

use super::files::{Answer, Entry, Intent, Named, Opening, Request, next_handle};
use crate::guest::Guest;
use crate::limits::Limit;
use std::fs::File as HostFile;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, LazyLock};
use wasmtime::component::Resource;
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, bail};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};
use wasmtime_wasi::p1::types::{
    Ciovec, Errno, Fd, Fdflags, Fstflags, Iovec, Lookupflags, Oflags, Rights, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp,
};
use wasmtime_wasi::{FsPerms, OpenMode, WasiView as _};
use wiggle::{GuestMemory, GuestPtr};

/// The longest path that is looked at.
const LONGEST: u32 = 1 << 16;

/// The most bytes of one read at a given place.
const MOST_READ: u32 = 1 << 16;

/// What stands behind a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
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
    slots: Vec<Slot>,
    /// The number of the one [`Slot::Idle`], and its resource.
    idle: Option<(u32, u32)>,
    /// The folder that was read last, from its beginning, with its number.
    listing: Option<(u32, Vec<Entry>)>,
}

impl Numbers {
    fn slot(&self, fd: i32) -> Slot {
        let number = usize::try_from(fd.cast_unsigned()).unwrap_or(usize::MAX);
        self.slots.get(number).copied().unwrap_or(Slot::Free)
    }

    fn set(&mut self, fd: u32, slot: Slot) {
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

type Answered<T> = wasmtime::Result<Result<T, Errno>>;

/// What the guest hears of a failure; what is no answer ends it.
fn answered<T>(result: FsResult<T>) -> Answered<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) => Ok(Err(Errno::from(error.downcast()?))),
    }
}

fn number(errno: Errno) -> i32 {
    errno as i32
}

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

    fn slot(&mut self, fd: i32) -> Slot {
        self.learn_numbers();
        self.files.numbers.slot(fd)
    }

    /// The folder behind a number.
    fn folder(&mut self, fd: i32) -> Result<u32, Errno> {
        match self.slot(fd) {
            Slot::Folder(handle) => Ok(handle),
            Slot::File(_) => Err(Errno::Notdir),
            _ => Err(Errno::Badf),
        }
    }

    fn file(&mut self, handle: u32) -> wasmtime::Result<File> {
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
    async fn install(
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
    fn idle(&mut self, fd: i32, handle: u32) -> wasmtime::Result<bool> {
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

/// Runs `$body` with the memory of the guest that calls.
macro_rules! within {
    ($caller:ident, $guest:ident, $memory:ident, $body:block) => {{
        let export = $caller.get_export("memory");
        let fuel = $caller.as_context_mut().hostcall_fuel();
        #[allow(unused_mut, reason = "not every function writes")]
        let (mut $memory, $guest) = match &export {
            Some(Extern::Memory(memory)) => {
                let (bytes, guest) = memory.data_and_store_mut(&mut $caller);
                (GuestMemory::Unshared(bytes), guest)
            }
            Some(Extern::SharedMemory(memory)) => (GuestMemory::Shared(memory.data()), $caller.data_mut()),
            _ => bail!("missing required memory export"),
        };
        $guest.wasi.set_hostcall_fuel(fuel);
        $body
    }};
}

/// Leaves the guest with an error number.
macro_rules! heard {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(errno) => return Ok(number(errno)),
        }
    };
}

/// A function as it is, but not on a number whose file was closed.
macro_rules! open_only {
    ($linker:ident, $module:literal, $raw:path, $name:literal, ($($argument:ident: $kind:ty),*) $($wait:tt)*) => {
        $linker.func_wrap_async($module, $name, |mut caller: Caller<'_, Guest>, (fd, $($argument,)*): (i32, $($kind,)*)| {
            Box::new(async move {
                within!(caller, guest, memory, {
                    if guest.slot(fd) == Slot::Idle {
                        return Ok(number(Errno::Badf));
                    }
                    $raw(&mut guest.wasi, &mut memory, fd, $($argument),*) $($wait)*
                })
            })
        })?;
    };
}

/// A function of ours in place of one of wasmtime-wasi's.
macro_rules! ours {
    ($linker:ident, $module:literal, $name:literal, ($($argument:ident: $kind:ty),*), $guest:ident, $memory:ident, $body:block) => {
        $linker.func_wrap_async($module, $name, |mut caller: Caller<'_, Guest>, ($($argument,)*): ($($kind,)*)| {
            Box::new(async move { within!(caller, $guest, $memory, $body) })
        })?;
    };
}

/// Everything about files under one name of the module.
macro_rules! files {
    ($linker:ident, $module:literal, $raw:ident, $layout:expr) => {{
        open_only!($linker, $module, $raw::fd_advise, "fd_advise", (a: i64, b: i64, c: i32) .await);
        open_only!($linker, $module, $raw::fd_allocate, "fd_allocate", (a: i64, b: i64));
        open_only!($linker, $module, $raw::fd_datasync, "fd_datasync", () .await);
        open_only!($linker, $module, $raw::fd_fdstat_get, "fd_fdstat_get", (a: i32) .await);
        open_only!($linker, $module, $raw::fd_fdstat_set_flags, "fd_fdstat_set_flags", (a: i32));
        open_only!($linker, $module, $raw::fd_fdstat_set_rights, "fd_fdstat_set_rights", (a: i64, b: i64));
        open_only!($linker, $module, $raw::fd_filestat_set_times, "fd_filestat_set_times", (a: i64, b: i64, c: i32) .await);
        open_only!($linker, $module, $raw::fd_read, "fd_read", (a: i32, b: i32, c: i32) .await);
        open_only!($linker, $module, $raw::fd_seek, "fd_seek", (a: i64, b: i32, c: i32) .await);
        open_only!($linker, $module, $raw::fd_sync, "fd_sync", () .await);
        open_only!($linker, $module, $raw::fd_tell, "fd_tell", (a: i32));
        ours!($linker, $module, "fd_write", (fd: i32, iovs: i32, len: i32, out: i32), guest, memory, {
            if let Some(written) = write(guest, &mut memory, (fd, iovs, len), None).await? {
                return reply(&mut memory, out, written);
            }
            $raw::fd_write(&mut guest.wasi, &mut memory, fd, iovs, len, out).await
        });
        ours!($linker, $module, "fd_pwrite", (fd: i32, iovs: i32, len: i32, at: i64, out: i32), guest, memory, {
            if let Some(written) = write(guest, &mut memory, (fd, iovs, len), Some(at.cast_unsigned())).await? {
                return reply(&mut memory, out, written);
            }
            $raw::fd_pwrite(&mut guest.wasi, &mut memory, fd, iovs, len, at, out).await
        });
        ours!($linker, $module, "fd_filestat_set_size", (fd: i32, size: i64), guest, memory, {
            let grown = heard!(grow(guest, fd, size.cast_unsigned())?);
            let result = $raw::fd_filestat_set_size(&mut guest.wasi, &mut memory, fd, size).await?;
            if result != 0 {
                guest.files.quota.give_back(grown);
            }
            Ok(result)
        });
        ours!($linker, $module, "fd_pread", (fd: i32, iovs: i32, len: i32, at: i64, out: i32), guest, memory, {
            match guest.slot(fd) {
                Slot::File(handle) => {
                    let read = read_at(guest, &mut memory, handle, (iovs, len), at.cast_unsigned()).await?;
                    reply(&mut memory, out, read)
                }
                Slot::Idle => Ok(number(Errno::Badf)),
                _ => $raw::fd_pread(&mut guest.wasi, &mut memory, fd, iovs, len, at, out).await,
            }
        });
        ours!($linker, $module, "fd_filestat_get", (fd: i32, out: i32), guest, memory, {
            let found = match guest.slot(fd) {
                Slot::Idle => return Ok(number(Errno::Badf)),
                Slot::File(handle) | Slot::Folder(handle) => heard!(answered(guest.found(handle))?),
                Slot::Free | Slot::Stream => None,
            };
            let Some((stat, hash)) = found else {
                return $raw::fd_filestat_get(&mut guest.wasi, &mut memory, fd, out).await;
            };
            write_bytes(&mut memory, out, &$layout(&stat, hash))?;
            Ok(0)
        });
        ours!($linker, $module, "fd_readdir", (fd: i32, buf: i32, len: i32, cookie: i64, out: i32), guest, memory, {
            let used = read_folder(guest, &mut memory, fd, (buf, len), cookie.cast_unsigned()).await?;
            reply(&mut memory, out, used)
        });
        ours!($linker, $module, "fd_close", (fd: i32), guest, memory, {
            let slot = guest.slot(fd);
            match slot {
                Slot::Idle => return Ok(number(Errno::Badf)),
                Slot::File(handle) if guest.idle(fd, handle)? => return Ok(0),
                _ => {}
            }
            let result = $raw::fd_close(&mut guest.wasi, &mut memory, fd).await?;
            if result == 0 {
                guest.files.numbers.set(fd.cast_unsigned(), Slot::Free);
            }
            Ok(result)
        });
        ours!($linker, $module, "fd_renumber", (fd: i32, to: i32), guest, memory, {
            let slot = guest.slot(fd);
            if slot == Slot::Idle || guest.slot(to) == Slot::Idle {
                return Ok(number(Errno::Badf));
            }
            let result = $raw::fd_renumber(&mut guest.wasi, &mut memory, fd, to).await?;
            if result == 0 && fd != to {
                guest.files.numbers.listing = None;
                guest.files.numbers.set(to.cast_unsigned(), slot);
                guest.files.numbers.set(fd.cast_unsigned(), Slot::Free);
            }
            Ok(result)
        });
        paths!($linker, $module, $layout);
    }};
}

/// The functions that take a path.
macro_rules! paths {
    ($linker:ident, $module:literal, $layout:expr) => {{
        ours!($linker, $module, "path_open",
            (fd: i32, look: i32, path: i32, len: i32, open: i32, rights: i64, _rest: i64, flags: i32, out: i32),
            guest, memory, {
            let path = heard!(text(&memory, path, len)?);
            let flags = heard!(Fdflags::try_from(flags).map_err(|_| Errno::Inval));
            let opening = heard!(opening(look, open, rights, flags));
            let opened = open_path(guest, fd, path, opening, flags).await?;
            reply(&mut memory, out, opened)
        });
        ours!($linker, $module, "path_filestat_get", (fd: i32, look: i32, path: i32, len: i32, out: i32), guest, memory, {
            let request = Request::Both(follows(look));
            match heard!(at(guest, &memory, fd, (path, len), request).await?) {
                Answer::Both(stat, hash) => {
                    let bytes = $layout(&stat, hash);
                    write_bytes(&mut memory, out, &bytes)?;
                    Ok(0)
                }
                _ => Ok(number(Errno::Io)),
            }
        });
        ours!($linker, $module, "path_filestat_set_times",
            (fd: i32, look: i32, path: i32, len: i32, access: i64, modification: i64, which: i32),
            guest, memory, {
            let (access, modification) = heard!(times(access, modification, which));
            let request = Request::Times(follows(look), access, modification);
            heard!(at(guest, &memory, fd, (path, len), request).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_create_directory", (fd: i32, path: i32, len: i32), guest, memory, {
            heard!(at(guest, &memory, fd, (path, len), Request::MakeFolder).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_remove_directory", (fd: i32, path: i32, len: i32), guest, memory, {
            heard!(at(guest, &memory, fd, (path, len), Request::RemoveFolder).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_unlink_file", (fd: i32, path: i32, len: i32), guest, memory, {
            heard!(at(guest, &memory, fd, (path, len), Request::RemoveFile).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_symlink", (to: i32, to_len: i32, fd: i32, path: i32, len: i32), guest, memory, {
            let target = heard!(text(&memory, to, to_len)?);
            heard!(at(guest, &memory, fd, (path, len), Request::Symlink(target)).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_readlink",
            (fd: i32, path: i32, len: i32, buf: i32, room: i32, out: i32), guest, memory, {
            match heard!(at(guest, &memory, fd, (path, len), Request::ReadLink).await?) {
                Answer::Link(target) => {
                    let bytes = &target.as_bytes()[..target.len().min(room.cast_unsigned() as usize)];
                    write_bytes(&mut memory, buf, bytes)?;
                    reply(&mut memory, out, Ok(u32::try_from(bytes.len())?))
                }
                _ => Ok(number(Errno::Io)),
            }
        });
        ours!($linker, $module, "path_rename",
            (fd: i32, old: i32, old_len: i32, to: i32, new: i32, new_len: i32), guest, memory, {
            let (old, new) = (heard!(text(&memory, old, old_len)?), heard!(text(&memory, new, new_len)?));
            heard!(between(guest, (fd, old), (to, new), Intent::Rename).await?);
            Ok(0)
        });
        ours!($linker, $module, "path_link",
            (fd: i32, look: i32, old: i32, old_len: i32, to: i32, new: i32, new_len: i32), guest, memory, {
            let (old, new) = (heard!(text(&memory, old, old_len)?), heard!(text(&memory, new, new_len)?));
            if follows(look) {
                return Ok(number(Errno::Inval));
            }
            heard!(between(guest, (fd, old), (to, new), Intent::Link).await?);
            Ok(0)
        });
    }};
}

/// Puts the functions about files over those of wasmtime-wasi.
///
/// # Errors
/// When the engine refuses a definition.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p0::wasi_unstable as before;
    use wasmtime_wasi::p1::wasi_snapshot_preview1 as snapshot;
    files!(linker, "wasi_snapshot_preview1", snapshot, filestat);
    files!(linker, "wasi_unstable", before, filestat_before);
    Ok(())
}

/// A text in the guest's memory.
fn text(memory: &GuestMemory<'_>, start: i32, len: i32) -> Answered<String> {
    let (start, len) = (start.cast_unsigned(), len.cast_unsigned());
    if len > LONGEST {
        return Ok(Err(Errno::Nametoolong));
    }
    match memory.as_cow_str(GuestPtr::<str>::new((start, len))) {
        Ok(text) => Ok(Ok(text.into_owned())),
        Err(wiggle::GuestError::InvalidUtf8(_)) => Ok(Err(Errno::Ilseq)),
        Err(error) => Err(error.into()),
    }
}

fn write_bytes(memory: &mut GuestMemory<'_>, start: i32, bytes: &[u8]) -> wasmtime::Result<()> {
    let room = GuestPtr::<[u8]>::new((start.cast_unsigned(), u32::try_from(bytes.len())?));
    Ok(memory.copy_from_slice(bytes, room)?)
}

/// Writes a number where the guest wants it.
fn reply(memory: &mut GuestMemory<'_>, out: i32, result: Result<u32, Errno>) -> wasmtime::Result<i32> {
    let value = heard!(result);
    memory.write(GuestPtr::<u32>::new(out.cast_unsigned()), value)?;
    Ok(0)
}

fn follows(look: i32) -> bool {
    Lookupflags::try_from(look).is_ok_and(|flags| flags.contains(Lookupflags::SYMLINK_FOLLOW))
}

fn opening(look: i32, open: i32, rights: i64, flags: Fdflags) -> Result<Opening, Errno> {
    let open = Oflags::try_from(open).map_err(|_| Errno::Inval)?;
    let rights = Rights::from_bits_truncate(rights.cast_unsigned());
    if flags.intersects(Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC) {
        return Err(Errno::Notsup);
    }
    Ok(Opening {
        follow: follows(look),
        create: open.contains(Oflags::CREAT),
        exclusive: open.contains(Oflags::EXCL),
        truncate: open.contains(Oflags::TRUNC),
        directory: open.contains(Oflags::DIRECTORY),
        read: rights.contains(Rights::FD_READ),
        write: rights.contains(Rights::FD_WRITE),
    })
}

fn times(access: i64, modification: i64, which: i32) -> Result<(NewTimestamp, NewTimestamp), Errno> {
    let which = Fstflags::try_from(which).map_err(|_| Errno::Inval)?;
    let time =
        |given: Fstflags, now: Fstflags, nanoseconds: u64| match (which.contains(given), which.contains(now))
        {
            (true, true) => Err(Errno::Inval),
            (true, false) => Ok(NewTimestamp::Timestamp(Datetime {
                seconds: nanoseconds / 1_000_000_000,
                nanoseconds: u32::try_from(nanoseconds % 1_000_000_000).unwrap_or_default(),
            })),
            (false, true) => Ok(NewTimestamp::Now),
            (false, false) => Ok(NewTimestamp::NoChange),
        };
    Ok((
        time(Fstflags::ATIM, Fstflags::ATIM_NOW, access.cast_unsigned())?,
        time(Fstflags::MTIM, Fstflags::MTIM_NOW, modification.cast_unsigned())?,
    ))
}

async fn open_path(
    guest: &mut Guest,
    fd: i32,
    path: String,
    opening: Opening,
    flags: Fdflags,
) -> Answered<u32> {
    let handle = match guest.folder(fd) {
        Ok(handle) => handle,
        Err(errno) => return Ok(Err(errno)),
    };
    match answered(guest.open_at(handle, path, opening).await)? {
        Ok((descriptor, named)) => guest.install((fd, handle), descriptor, named, flags).await,
        Err(errno) => Ok(Err(errno)),
    }
}

async fn at(
    guest: &mut Guest,
    memory: &GuestMemory<'_>,
    fd: i32,
    (path, len): (i32, i32),
    request: Request,
) -> Answered<Answer> {
    let (handle, path) = match (guest.folder(fd), text(memory, path, len)?) {
        (Ok(handle), Ok(path)) => (handle, path),
        (Err(errno), _) | (_, Err(errno)) => return Ok(Err(errno)),
    };
    answered(guest.at(handle, path, request).await)
}

async fn between(guest: &mut Guest, from: (i32, String), to: (i32, String), intent: Intent) -> Answered<()> {
    match (guest.folder(from.0), guest.folder(to.0)) {
        (Ok(one), Ok(other)) => answered(guest.between((one, from.1), (other, to.1), intent).await),
        (Err(errno), _) | (_, Err(errno)) => Ok(Err(errno)),
    }
}

/// The first buffer that is not empty; WASI 0.1 reads and writes no more at once.
fn first<T>(
    memory: &GuestMemory<'_>,
    (iovs, len): (i32, i32),
    buffer: impl Fn(T) -> (GuestPtr<u8>, u32),
) -> wasmtime::Result<GuestPtr<[u8]>>
where
    T: wiggle::GuestType,
{
    for iov in GuestPtr::<[T]>::new((iovs.cast_unsigned(), len.cast_unsigned())).iter() {
        let (start, len) = buffer(memory.read(iov?)?);
        if len > 0 {
            return Ok(start.as_array(len));
        }
    }
    Ok(GuestPtr::new((0, 0)))
}

/// Writes to a file under a quota; nothing where wasmtime-wasi is to write, because there is none, or it is no file.
async fn write(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    (fd, iovs, len): (i32, i32, i32),
    at: Option<u64>,
) -> wasmtime::Result<Option<Result<u32, Errno>>> {
    let Slot::File(_) = guest.slot(fd) else {
        return Ok((guest.slot(fd) == Slot::Idle).then_some(Err(Errno::Badf)));
    };
    let quota = Arc::clone(&guest.files.quota);
    let Some(limit) = quota.limit() else {
        return Ok(None);
    };
    let buffer = first(memory, (iovs, len), |iov: Ciovec| (iov.buf, iov.buf_len))?;
    let taken = quota.take(buffer.len().into());
    if taken == 0 && buffer.len() > 0 {
        guest.monitor.struck(Limit::Write, "write", limit);
        return Ok(Some(Err(Errno::Dquot)));
    }
    // The same call on a memory of its own, which holds one buffer of what may be written.
    let part = u32::try_from(taken)?;
    let data = GuestPtr::<[u8]>::new((buffer.offset().0, part));
    let mut own = [8_u32.to_le_bytes(), part.to_le_bytes()].concat();
    own.extend_from_slice(&memory.as_cow(data)?);
    guest.wasi.set_hostcall_fuel(usize::MAX);
    let (fd, iovs) = (Fd::from(fd.cast_unsigned()), GuestPtr::new((0, 1)));
    let own = &mut GuestMemory::Unshared(&mut own);
    let written = match at {
        Some(at) => guest.wasi.fd_pwrite(own, fd, iovs, at).await,
        None => guest.wasi.fd_write(own, fd, iovs).await,
    };
    let written = match written {
        Ok(written) => Ok(written),
        Err(error) => Err(error.downcast()?),
    };
    quota.give_back(taken - u64::from(*written.as_ref().unwrap_or(&0)));
    Ok(Some(written))
}

/// Takes from the quota what a file grows by when its size is set.
fn grow(guest: &mut Guest, fd: i32, size: u64) -> Answered<u64> {
    let slot = guest.slot(fd);
    let (Slot::File(handle), Some(limit)) = (slot, guest.files.quota.limit()) else {
        return Ok(if slot == Slot::Idle {
            Err(Errno::Badf)
        } else {
            Ok(0)
        });
    };
    let now = guest.file(handle)?.file.metadata().map_or(0, |found| found.len());
    let growth = size.saturating_sub(now);
    let taken = guest.files.quota.take(growth);
    if taken < growth {
        guest.files.quota.give_back(taken);
        guest.monitor.struck(Limit::Write, "write", limit);
        return Ok(Err(Errno::Dquot));
    }
    Ok(Ok(growth))
}

async fn read_at(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    handle: u32,
    iovs: (i32, i32),
    at: u64,
) -> Answered<u32> {
    let buffer = first(memory, iovs, |iov: Iovec| (iov.buf, iov.buf_len))?;
    let file = guest.file(handle)?.file;
    let most = buffer.len().min(MOST_READ) as usize;
    let read = move || {
        let mut bytes = vec![0; most];
        file.read_at(&mut bytes, at).map(|read| {
            bytes.truncate(read);
            bytes
        })
    };
    let read = if guest.files.waits {
        read()
    } else {
        wasmtime_wasi::runtime::spawn_blocking(read).await
    };
    match read {
        Ok(bytes) => {
            let len = u32::try_from(bytes.len())?;
            memory.copy_from_slice(&bytes, GuestPtr::<[u8]>::new((buffer.offset().0, len)))?;
            Ok(Ok(len))
        }
        Err(error) => answered(Err(error.into())),
    }
}

/// Reads a folder from the entry `cookie` on: `.` and `..` first, then what is in it.
async fn read_folder(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    (start, len): (i32, i32),
    cookie: u64,
) -> Answered<u32> {
    let handle = match guest.folder(fd) {
        Ok(handle) => handle,
        Err(Errno::Notdir) => return Ok(Err(Errno::Badf)),
        Err(errno) => return Ok(Err(errno)),
    };
    let known = matches!(&guest.files.numbers.listing, Some((number, _)) if *number == fd.cast_unsigned());
    if cookie == 0 || !known {
        let mut entries = vec![own(guest, handle, "."), own(guest, handle, "..")];
        match answered(guest.entries(handle).await)? {
            Ok(found) => entries.extend(found),
            Err(errno) => return Ok(Err(errno)),
        }
        guest.files.numbers.listing = Some((fd.cast_unsigned(), entries));
    }
    let entries = guest
        .files
        .numbers
        .listing
        .as_ref()
        .map_or(&[][..], |(_, entries)| entries);
    let room = len.cast_unsigned() as usize;
    let mut bytes = Vec::new();
    for (place, entry) in entries
        .iter()
        .enumerate()
        .skip(usize::try_from(cookie).unwrap_or(usize::MAX))
    {
        if bytes.len() >= room {
            break;
        }
        bytes.extend_from_slice(&(place as u64 + 1).to_le_bytes());
        bytes.extend_from_slice(&entry.number.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.name.len())?.to_le_bytes());
        bytes.extend_from_slice(&[filetype(entry.kind), 0, 0, 0]);
        bytes.extend_from_slice(entry.name.as_bytes());
    }
    bytes.truncate(room);
    write_bytes(memory, start, &bytes)?;
    Ok(Ok(u32::try_from(bytes.len())?))
}

/// The entry of a folder itself; of the one above it nothing is told.
fn own(guest: &mut Guest, handle: u32, name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: DescriptorType::Directory,
        number: guest.number_of(handle),
    }
}

fn filetype(kind: DescriptorType) -> u8 {
    match kind {
        DescriptorType::BlockDevice => 1,
        DescriptorType::CharacterDevice => 2,
        DescriptorType::Directory => 3,
        DescriptorType::RegularFile => 4,
        DescriptorType::SymbolicLink => 7,
        _ => 0,
    }
}

fn nanoseconds(time: Option<Datetime>) -> u64 {
    time.map_or(0, |time| {
        time.seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.nanoseconds.into())
    })
}

/// The record `filestat`.
fn filestat(stat: &DescriptorStat, hash: MetadataHashValue) -> Vec<u8> {
    record(stat, hash, &stat.link_count.to_le_bytes(), 7)
}

/// The record `filestat` of `wasi_unstable`, which counts links in 32 bits.
fn filestat_before(stat: &DescriptorStat, hash: MetadataHashValue) -> Vec<u8> {
    record(
        stat,
        hash,
        &u32::try_from(stat.link_count).unwrap_or(u32::MAX).to_le_bytes(),
        3,
    )
}

fn record(stat: &DescriptorStat, hash: MetadataHashValue, links: &[u8], gap: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes.extend_from_slice(&hash.lower.to_le_bytes());
    bytes.push(filetype(stat.type_));
    bytes.resize(bytes.len() + gap, 0);
    bytes.extend_from_slice(links);
    bytes.extend_from_slice(&stat.size.to_le_bytes());
    for time in [
        stat.data_access_timestamp,
        stat.data_modification_timestamp,
        stat.status_change_timestamp,
    ] {
        bytes.extend_from_slice(&nanoseconds(time).to_le_bytes());
    }
    bytes
}
