//! Files of WASI 0.1, and of the `wasi_unstable` before it: the same functions under two names of a module.
//!
//! Each takes its arguments out of the memory of the guest and leaves what is to be decided to `files.rs`. Start reading
//! at [`add_to_linker`]; `preview1/numbers.rs` knows what stands behind the number of a descriptor.

mod contents;
mod numbers;

use super::files::{Answer, Intent, Opening, Request};
use crate::guest::Guest;
use contents::{filestat, filestat_before, grow, read_at, read_folder, write};
use numbers::Slot;
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, bail};
use wasmtime_wasi::p1::types::{Errno, Fdflags, Fstflags, Lookupflags, Oflags, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::NewTimestamp;
use wiggle::{GuestMemory, GuestPtr};

pub use numbers::Numbers;

/// The longest path that is looked at.
const LONGEST: u32 = 1 << 16;

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
        open_only!($linker, $module, $raw::fd_seek, "fd_seek", (a: i64, b: i32, c: i32) .await);
        open_only!($linker, $module, $raw::fd_sync, "fd_sync", () .await);
        open_only!($linker, $module, $raw::fd_tell, "fd_tell", (a: i32));
        ours!($linker, $module, "fd_filestat_set_times", (fd: i32, a: i64, b: i64, c: i32), guest, memory, {
            heard!(permitted(guest, fd, Intent::Times)?);
            let done = $raw::fd_filestat_set_times(&mut guest.wasi, &mut memory, fd, a, b, c).await?;
            Ok(ended(guest, fd, Intent::Times, done))
        });
        ours!($linker, $module, "fd_read", (fd: i32, iovs: i32, len: i32, out: i32), guest, memory, {
            if guest.slot(fd) == Slot::Idle {
                return Ok(number(Errno::Badf));
            }
            let done = $raw::fd_read(&mut guest.wasi, &mut memory, fd, iovs, len, out).await?;
            Ok(ended(guest, fd, Intent::Read, done))
        });
        ours!($linker, $module, "fd_write", (fd: i32, iovs: i32, len: i32, out: i32), guest, memory, {
            let done = match write(guest, &mut memory, (fd, iovs, len), None).await? {
                Some(written) => reply(&mut memory, out, written)?,
                None => $raw::fd_write(&mut guest.wasi, &mut memory, fd, iovs, len, out).await?,
            };
            Ok(ended(guest, fd, Intent::Write, done))
        });
        ours!($linker, $module, "fd_pwrite", (fd: i32, iovs: i32, len: i32, at: i64, out: i32), guest, memory, {
            let done = match write(guest, &mut memory, (fd, iovs, len), Some(at.cast_unsigned())).await? {
                Some(written) => reply(&mut memory, out, written)?,
                None => $raw::fd_pwrite(&mut guest.wasi, &mut memory, fd, iovs, len, at, out).await?,
            };
            Ok(ended(guest, fd, Intent::Write, done))
        });
        ours!($linker, $module, "fd_filestat_set_size", (fd: i32, size: i64), guest, memory, {
            heard!(permitted(guest, fd, Intent::Write)?);
            let grown = heard!(grow(guest, fd, size.cast_unsigned())?);
            let result = $raw::fd_filestat_set_size(&mut guest.wasi, &mut memory, fd, size).await?;
            if result != 0 {
                guest.files.quota.give_back(grown);
            }
            Ok(ended(guest, fd, Intent::Write, result))
        });
        ours!($linker, $module, "fd_pread", (fd: i32, iovs: i32, len: i32, at: i64, out: i32), guest, memory, {
            match guest.slot(fd) {
                Slot::File(handle) => {
                    let read = read_at(guest, &mut memory, handle, (iovs, len), at.cast_unsigned()).await?;
                    let done = reply(&mut memory, out, read)?;
                    Ok(ended(guest, fd, Intent::Read, done))
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
            let done = reply(&mut memory, out, used)?;
            Ok(ended(guest, fd, Intent::List, done))
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

/// Whether what is open under a number may be changed.
fn permitted(guest: &mut Guest, fd: i32, intent: Intent) -> Answered<()> {
    match guest.slot(fd) {
        Slot::Idle => Ok(Err(Errno::Badf)),
        Slot::File(handle) | Slot::Folder(handle) => answered(guest.permit_open(handle, intent)),
        Slot::Free | Slot::Stream => Ok(Ok(())),
    }
}

/// Notes what did not work with what is open under a number. That a limit struck was noted as what it is.
fn ended(guest: &mut Guest, fd: i32, intent: Intent, done: i32) -> i32 {
    if done == 0
        && intent == Intent::Times
        && let Slot::File(handle) | Slot::Folder(handle) = guest.slot(fd)
    {
        // That it was opened does not tell that.
        guest.files.went_well(&guest.monitor, handle, ".", intent);
    }
    if done != 0
        && done != number(Errno::Dquot)
        && let Slot::File(handle) | Slot::Folder(handle) = guest.slot(fd)
        && let Some((monitor, access)) = guest.told(handle, intent)
    {
        monitor.failed(|| access, numbers::name(done));
    }
    done
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
