//! Files of WASI 0.2: what `files.rs` decides, in the types of `wasi:filesystem`.
//!
//! Reading goes to wasmtime-wasi as it is. Streams that write go through the quota; a full table is an error that the guest
//! hears, and no trap.

use super::files::{Answer, Entry, Intent, Metered, Named, OverQuota, Prompt, Request, next_handle, opening};
use crate::guest::Guest;
use crate::limits::Limit;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DirectoryEntry, ErrorCode, Host as _, HostDescriptor as _,
    HostDirectoryEntryStream as _, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, ReaddirIterator};

/// The interfaces, in the version that wasmtime-wasi defines and that stands for all of 0.2.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
const PREOPENS: &str = "wasi:filesystem/preopens@0.2.12";

type Told<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
type Folder = Resource<Descriptor>;

/// What the guest hears; what is no answer ends it.
fn told<T>(result: FsResult<T>) -> Told<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// A function of ours in place of one of wasmtime-wasi's.
macro_rules! ours {
    ($types:ident, $name:literal, ($($argument:ident: $kind:ty),*), $guest:ident, $body:expr) => {
        $types.func_wrap_async($name, |mut store: StoreContextMut<'_, Guest>, ($($argument,)*): ($($kind,)*)| {
            Box::new(async move {
                let $guest = store.data_mut();
                let done: FsResult<_> = async { $body }.await;
                told(done)
            })
        })?;
    };
}

/// Puts the functions about files over those of wasmtime-wasi.
///
/// # Errors
/// When the engine refuses a definition.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(PREOPENS)?.func_wrap(
        "get-directories",
        |mut store: StoreContextMut<'_, Guest>, (): ()| Ok((store.data_mut().directories()?,)),
    )?;
    let mut types = linker.instance(TYPES)?;
    paths(&mut types)?;
    contents(&mut types)?;
    listings(&mut types)?;
    types.func_wrap(
        "filesystem-error-code",
        |mut store: StoreContextMut<'_, Guest>, (error,): (Resource<wasmtime::Error>,)| {
            let guest = store.data_mut();
            let over = guest
                .wasi
                .ctx()
                .table
                .get(&error)?
                .downcast_ref::<OverQuota>()
                .is_some();
            let code = if over {
                Some(ErrorCode::Quota)
            } else {
                guest.wasi.filesystem().filesystem_error_code(error)?
            };
            Ok((code,))
        },
    )
}

fn paths(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    ours!(types, "[method]descriptor.open-at",
        (fd: Folder, look: PathFlags, path: String, open: OpenFlags, flags: DescriptorFlags), guest,
        open_at(guest, fd, path, look, (open, flags)).await);
    ours!(types, "[method]descriptor.stat-at", (fd: Folder, look: PathFlags, path: String), guest,
        stat_at(guest, fd, path, look).await);
    ours!(types, "[method]descriptor.metadata-hash-at", (fd: Folder, look: PathFlags, path: String), guest,
        hash_at(guest, fd, path, look).await);
    ours!(types, "[method]descriptor.create-directory-at", (fd: Folder, path: String), guest,
        done(guest.at(fd.rep(), path, Request::MakeFolder).await));
    ours!(types, "[method]descriptor.remove-directory-at", (fd: Folder, path: String), guest,
        done(guest.at(fd.rep(), path, Request::RemoveFolder).await));
    ours!(types, "[method]descriptor.unlink-file-at", (fd: Folder, path: String), guest,
        done(guest.at(fd.rep(), path, Request::RemoveFile).await));
    ours!(types, "[method]descriptor.symlink-at", (fd: Folder, target: String, path: String), guest,
        done(guest.at(fd.rep(), path, Request::Symlink(target)).await));
    ours!(types, "[method]descriptor.set-times-at",
        (fd: Folder, look: PathFlags, path: String, access: NewTimestamp, modification: NewTimestamp), guest,
        done(guest.at(fd.rep(), path, Request::Times(follows(look), access, modification)).await));
    ours!(types, "[method]descriptor.readlink-at", (fd: Folder, path: String), guest,
    match guest.at(fd.rep(), path, Request::ReadLink).await {
        Ok(Answer::Link(target)) => Ok(target),
        Ok(_) => Err(ErrorCode::Io.into()),
        Err(error) => Err(error),
    });
    ours!(types, "[method]descriptor.rename-at", (fd: Folder, old: String, to: Folder, new: String), guest,
        guest.between((fd.rep(), old), (to.rep(), new), Intent::Rename).await);
    ours!(types, "[method]descriptor.link-at",
    (fd: Folder, look: PathFlags, old: String, to: Folder, new: String), guest,
    if follows(look) {
        Err(ErrorCode::Invalid.into())
    } else {
        guest.between((fd.rep(), old), (to.rep(), new), Intent::Link).await
    });
    Ok(())
}

fn contents(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    ours!(types, "[method]descriptor.stat", (fd: Folder), guest, match guest.found(fd.rep())? {
        Some((stat, _)) => Ok(stat),
        None => guest.wasi.filesystem().stat(fd).await,
    });
    ours!(types, "[method]descriptor.metadata-hash", (fd: Folder), guest, match guest.found(fd.rep())? {
        Some((_, hash)) => Ok(hash),
        None => guest.wasi.filesystem().metadata_hash(fd).await,
    });
    ours!(types, "[method]descriptor.read", (fd: Folder, most: u64, at: u64), guest, {
        let rep = fd.rep();
        let read = guest.wasi.filesystem().read(fd, most, at).await;
        guest.ended(rep, Intent::Read, read)
    });
    ours!(types, "[method]descriptor.write", (fd: Folder, bytes: Vec<u8>, at: u64), guest, {
        let rep = fd.rep();
        let written = write(guest, fd, bytes, at).await;
        guest.ended(rep, Intent::Write, written)
    });
    ours!(types, "[method]descriptor.set-size", (fd: Folder, size: u64), guest, {
        let rep = fd.rep();
        guest.permit_open(rep, Intent::Write)?;
        let done = set_size(guest, fd, size).await;
        guest.ended(rep, Intent::Write, done)
    });
    ours!(types, "[method]descriptor.set-times",
    (fd: Folder, access: NewTimestamp, modification: NewTimestamp), guest, {
        let rep = fd.rep();
        guest.permit_open(rep, Intent::Times)?;
        let done = guest.wasi.filesystem().set_times(fd, access, modification).await;
        guest.ended(rep, Intent::Times, done)
    });
    ours!(types, "[method]descriptor.read-via-stream", (fd: Folder, at: u64), guest, reader(guest, fd, at));
    ours!(types, "[method]descriptor.write-via-stream", (fd: Folder, at: u64), guest, writer(guest, fd, Some(at)));
    ours!(types, "[method]descriptor.append-via-stream", (fd: Folder), guest, writer(guest, fd, None));
    Ok(())
}

fn listings(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    ours!(types, "[method]descriptor.read-directory", (fd: Folder), guest, read_folder(guest, fd).await);
    ours!(types, "[method]directory-entry-stream.read-directory-entry", (stream: Resource<ReaddirIterator>), guest,
        read_entry(guest, stream).await);
    Ok(())
}

impl Guest {
    /// The folders that the guest starts from.
    ///
    /// # Errors
    /// When the table is full.
    pub(super) fn directories(&mut self) -> wasmtime::Result<Vec<(Folder, String)>> {
        let directories = self.wasi.filesystem().get_directories()?;
        for (grant, (handle, _)) in directories.iter().enumerate() {
            self.files.name_preopen(handle.rep(), grant);
        }
        Ok(directories)
    }

    /// Puts what was opened into the table.
    ///
    /// # Errors
    /// What the guest is answered when the table is full.
    pub(super) fn hold(&mut self, (descriptor, named): (Descriptor, Option<Named>)) -> FsResult<Folder> {
        self.room()?;
        let handle = self.wasi.ctx().table.push(descriptor)?;
        self.files.name(handle.rep(), named);
        Ok(handle)
    }

    /// A stream that is done when it returns, where the thread may be held up: wasmtime-wasi's own go by another one.
    fn prompt(&mut self, fd: &Folder, at: Option<u64>, intent: Intent) -> FsResult<Option<Prompt>> {
        if !self.files.waits {
            return Ok(None);
        }
        let told = self.told(fd.rep(), intent);
        Ok(match self.wasi.ctx().table.get(fd)? {
            Descriptor::File(file) => Some(Prompt {
                file: Arc::clone(&file.file),
                at,
                told,
            }),
            Descriptor::Dir(_) => None,
        })
    }

    /// Refuses when the table is full.
    fn room(&mut self) -> FsResult<()> {
        match next_handle(self.wasi.ctx().table) {
            Some(_) => Ok(()),
            None => Err(self.files.struck_handles(&self.monitor).into()),
        }
    }

    /// Bytes that a file grows by when it has this size; they are taken from the quota.
    pub(super) fn grow(&mut self, fd: &Folder, size: u64) -> FsResult<u64> {
        let Some(limit) = self.files.quota.limit() else {
            return Ok(0);
        };
        let now = match self.wasi.ctx().table.get(fd)? {
            Descriptor::File(file) => file.file.metadata()?.len(),
            Descriptor::Dir(_) => return Ok(0),
        };
        let growth = size.saturating_sub(now);
        let taken = self.files.quota.take(growth);
        if taken < growth {
            self.files.quota.give_back(taken);
            self.monitor.struck(Limit::Write, "write", limit);
            return Err(ErrorCode::Quota.into());
        }
        Ok(growth)
    }
}

fn follows(look: PathFlags) -> bool {
    look.contains(PathFlags::SYMLINK_FOLLOW)
}

fn done(answer: FsResult<Answer>) -> FsResult<()> {
    answer.map(|_| ())
}

async fn open_at(
    guest: &mut Guest,
    fd: Folder,
    path: String,
    look: PathFlags,
    (open, flags): (OpenFlags, DescriptorFlags),
) -> FsResult<Folder> {
    let opening = opening!(look, open, flags)?;
    let opened = guest.open_at(fd.rep(), path, opening).await?;
    guest.hold(opened)
}

async fn stat_at(guest: &mut Guest, fd: Folder, path: String, look: PathFlags) -> FsResult<DescriptorStat> {
    match guest.at(fd.rep(), path, Request::Stat(follows(look))).await? {
        Answer::Stat(stat) => Ok(stat),
        _ => Err(ErrorCode::Io.into()),
    }
}

async fn hash_at(
    guest: &mut Guest,
    fd: Folder,
    path: String,
    look: PathFlags,
) -> FsResult<MetadataHashValue> {
    match guest.at(fd.rep(), path, Request::Hash(follows(look))).await? {
        Answer::Hash(hash) => Ok(hash),
        _ => Err(ErrorCode::Io.into()),
    }
}

async fn write(guest: &mut Guest, fd: Folder, mut bytes: Vec<u8>, at: u64) -> FsResult<u64> {
    let quota = Arc::clone(&guest.files.quota);
    let taken = quota.take(bytes.len() as u64);
    if taken == 0 && !bytes.is_empty() {
        guest
            .monitor
            .struck(Limit::Write, "write", quota.limit().unwrap_or_default());
        return Err(ErrorCode::Quota.into());
    }
    bytes.truncate(usize::try_from(taken).unwrap_or(usize::MAX));
    let written = guest.wasi.filesystem().write(fd, bytes, at).await;
    quota.give_back(taken - written.as_ref().map_or(0, |written| *written));
    written
}

async fn set_size(guest: &mut Guest, fd: Folder, size: u64) -> FsResult<()> {
    let growth = guest.grow(&fd, size)?;
    let done = guest.wasi.filesystem().set_size(fd, size).await;
    if done.is_err() {
        guest.files.quota.give_back(growth);
    }
    done
}

fn reader(guest: &mut Guest, fd: Folder, at: u64) -> FsResult<Resource<DynInputStream>> {
    guest.room()?;
    let prompt = guest.prompt(&fd, Some(at), Intent::Read)?;
    let stream = guest.wasi.filesystem().read_via_stream(fd, at)?;
    let Some(prompt) = prompt else {
        return Ok(stream);
    };
    let table = guest.wasi.ctx().table;
    table.delete(stream)?;
    let prompt: DynInputStream = Box::new(prompt);
    Ok(table.push(prompt)?)
}

fn writer(guest: &mut Guest, fd: Folder, at: Option<u64>) -> FsResult<Resource<DynOutputStream>> {
    guest.room()?;
    let prompt = guest.prompt(&fd, at, Intent::Write)?;
    let mut view = guest.wasi.filesystem();
    let stream = match at {
        Some(at) => view.write_via_stream(fd, at),
        None => view.append_via_stream(fd),
    }?;
    let metered = guest.files.quota.limit().is_some();
    if prompt.is_none() && !metered {
        return Ok(stream);
    }
    let table = guest.wasi.ctx().table;
    let mut inner = table.delete(stream)?;
    if let Some(prompt) = prompt {
        inner = Box::new(prompt);
    }
    if metered {
        inner = Box::new(Metered {
            inner,
            quota: Arc::clone(&guest.files.quota),
            monitor: Arc::clone(&guest.monitor),
        });
    }
    Ok(table.push(inner)?)
}

async fn read_folder(guest: &mut Guest, fd: Folder) -> FsResult<Resource<ReaddirIterator>> {
    let rep = fd.rep();
    let stream = open_folder(guest, fd).await;
    guest.ended(rep, Intent::List, stream)
}

async fn open_folder(guest: &mut Guest, fd: Folder) -> FsResult<Resource<ReaddirIterator>> {
    guest.room()?;
    let ours = guest.files.lists(fd.rep());
    let entries = if ours {
        Some(guest.entries(fd.rep()).await?)
    } else {
        None
    };
    let stream = guest.wasi.filesystem().read_directory(fd).await?;
    guest.files.listings.remove(&stream.rep());
    if let Some(entries) = entries {
        guest.files.listings.insert(stream.rep(), entries.into_iter());
    }
    Ok(stream)
}

async fn read_entry(
    guest: &mut Guest,
    stream: Resource<ReaddirIterator>,
) -> FsResult<Option<DirectoryEntry>> {
    let Some(entries) = guest.files.listings.get_mut(&stream.rep()) else {
        return guest.wasi.filesystem().read_directory_entry(stream).await;
    };
    Ok(entries
        .next()
        .map(|Entry { name, kind, .. }| DirectoryEntry { type_: kind, name }))
}
