//! Files of WASI 0.3: what `files.rs` decides, in the types of its `wasi:filesystem`.
//!
//! A guest may have many calls under way, so that none holds the store while it waits: each looks first, does what was
//! decided without the guest, and notes the end.

use super::files::{Answer, Entry, Intent, Quota, Request, opening, put};
use crate::guest::Guest;
use crate::limits::Limit;
use crate::monitor::{Access as Noted, Monitor};
use crate::network::mapped;
use std::fs::File as HostFile;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureReader, Linker, LinkerInstance, Resource, Source, StreamConsumer, StreamReader,
    StreamResult,
};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as before;
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, HostDescriptorWithStore,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::FilesystemResult;

const TYPES: &str = "wasi:filesystem/types@0.3.0";
const PREOPENS: &str = "wasi:filesystem/preopens@0.3.0";

type Told<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
type Folder = Resource<Descriptor>;
type Ended = FutureReader<Result<(), ErrorCode>>;

/// What the guest hears; what is no answer ends it.
fn told<T>(result: FsResult<T>) -> Told<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(code(error.downcast()?)),)),
    }
}

fn as_it_is<T>(result: FilesystemResult<T>) -> Told<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// A function of ours in place of one of wasmtime-wasi's.
macro_rules! ours {
    ($types:ident, $name:literal, ($($argument:ident: $kind:ty),*), $store:ident, $body:expr) => {
        $types.func_wrap_concurrent($name, |$store: &Accessor<Guest>, ($($argument,)*): ($($kind,)*)| {
            Box::pin(async move { told($body) })
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
    streams(&mut types)
}

fn paths(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    ours!(types, "[method]descriptor.open-at",
        (fd: Folder, look: PathFlags, path: String, open: OpenFlags, flags: DescriptorFlags), store,
        open_at(store, fd, path, look, (open, flags)).await);
    ours!(types, "[method]descriptor.stat-at", (fd: Folder, look: PathFlags, path: String), store,
    match at(store, fd, path, Request::Stat(follows(look))).await {
        Ok(Answer::Stat(found)) => Ok(stat(found)),
        Ok(_) => Err(before::ErrorCode::Io.into()),
        Err(error) => Err(error),
    });
    ours!(types, "[method]descriptor.metadata-hash-at", (fd: Folder, look: PathFlags, path: String), store,
    match at(store, fd, path, Request::Hash(follows(look))).await {
        Ok(Answer::Hash(hash)) => Ok(MetadataHashValue { lower: hash.lower, upper: hash.upper }),
        Ok(_) => Err(before::ErrorCode::Io.into()),
        Err(error) => Err(error),
    });
    ours!(types, "[method]descriptor.readlink-at", (fd: Folder, path: String), store,
    match at(store, fd, path, Request::ReadLink).await {
        Ok(Answer::Link(target)) => Ok(target),
        Ok(_) => Err(before::ErrorCode::Io.into()),
        Err(error) => Err(error),
    });
    ours!(types, "[method]descriptor.create-directory-at", (fd: Folder, path: String), store,
        at(store, fd, path, Request::MakeFolder).await.map(|_| ()));
    ours!(types, "[method]descriptor.remove-directory-at", (fd: Folder, path: String), store,
        at(store, fd, path, Request::RemoveFolder).await.map(|_| ()));
    ours!(types, "[method]descriptor.unlink-file-at", (fd: Folder, path: String), store,
        at(store, fd, path, Request::RemoveFile).await.map(|_| ()));
    ours!(types, "[method]descriptor.symlink-at", (fd: Folder, target: String, path: String), store,
        at(store, fd, path, Request::Symlink(target)).await.map(|_| ()));
    ours!(types, "[method]descriptor.set-times-at",
        (fd: Folder, look: PathFlags, path: String, access: NewTimestamp, modification: NewTimestamp), store,
        at(store, fd, path, Request::Times(follows(look), time(access), time(modification))).await.map(|_| ()));
    ours!(types, "[method]descriptor.rename-at", (fd: Folder, old: String, to: Folder, new: String), store,
        between(store, (fd, old), (to, new), Intent::Rename).await);
    ours!(types, "[method]descriptor.link-at",
    (fd: Folder, look: PathFlags, old: String, to: Folder, new: String), store,
    if follows(look) {
        Err(before::ErrorCode::Invalid.into())
    } else {
        between(store, (fd, old), (to, new), Intent::Link).await
    });
    Ok(())
}

fn contents(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    types.func_wrap_concurrent(
        "[method]descriptor.stat",
        |store: &Accessor<Guest>, (fd,): (Folder,)| {
            Box::pin(async move {
                if let Some(found) = store.with(|mut store| store.get().found(fd.rep())).transpose() {
                    return told(found.map(|(found, _)| stat(found)));
                }
                let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
                as_it_is(<WasiFilesystem as HostDescriptorWithStore<Guest>>::stat(&files, fd).await)
            })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.metadata-hash",
        |store: &Accessor<Guest>, (fd,): (Folder,)| {
            Box::pin(async move {
                if let Some(found) = store.with(|mut store| store.get().found(fd.rep())).transpose() {
                    return told(found.map(|(_, hash)| MetadataHashValue {
                        lower: hash.lower,
                        upper: hash.upper,
                    }));
                }
                let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
                as_it_is(<WasiFilesystem as HostDescriptorWithStore<Guest>>::metadata_hash(&files, fd).await)
            })
        },
    )?;
    ours!(types, "[method]descriptor.set-size", (fd: Folder, size: u64), store,
        set_size(store, fd, size).await);
    ours!(types, "[method]descriptor.set-times",
        (fd: Folder, access: NewTimestamp, modification: NewTimestamp), store,
        set_times(store, fd, access, modification).await);
    Ok(())
}

fn streams(types: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, Guest>, (fd, at): (Folder, u64)| {
            let told = store.data().told(fd.rep(), Intent::Read);
            let (data, end) = WasiFilesystem::read_via_stream(files(store.as_context_mut()), fd, at)?;
            Ok(((data, telling(store, end, told)?),))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, Guest>, (fd, data, at): (Folder, StreamReader<u8>, u64)| {
            let told = store.data().told(fd.rep(), Intent::Write);
            let end = write(store.as_context_mut(), fd, data, Some(at))?;
            Ok((telling(store, end, told)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, Guest>, (fd, data): (Folder, StreamReader<u8>)| {
            let told = store.data().told(fd.rep(), Intent::Write);
            let end = write(store.as_context_mut(), fd, data, None)?;
            Ok((telling(store, end, told)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, Guest>, (fd,): (Folder,)| {
            let told = store.data().told(fd.rep(), Intent::List);
            let (entries, end) = read_folder(store.as_context_mut(), fd)?;
            Ok(((entries, telling(store, end, told)?),))
        },
    )
}

/// The same end, and who wants to hears of it when it is none that was hoped for.
fn telling(
    store: StoreContextMut<'_, Guest>,
    end: Ended,
    told: Option<(Arc<Monitor>, Noted)>,
) -> wasmtime::Result<Ended> {
    let Some((monitor, access)) = told else {
        return Ok(end);
    };
    mapped(store, end, Ok(()), move |end| {
        // That the quota was used up was noted as what it is.
        if let Err(code) = &end
            && !matches!(code, ErrorCode::Quota)
        {
            monitor.failed(|| access, before_code(code).name());
        }
        end
    })
}

async fn set_times(
    store: &Accessor<Guest>,
    fd: Folder,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> FsResult<()> {
    let rep = fd.rep();
    store.with(|mut store| store.get().permit_open(rep, Intent::Times))?;
    let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
    let done =
        <WasiFilesystem as HostDescriptorWithStore<Guest>>::set_times(&files, fd, access, modification).await;
    ended(store, rep, Intent::Times, done)
}

/// Notes that it failed, in the words of the generation before.
fn ended(store: &Accessor<Guest>, handle: u32, intent: Intent, done: FilesystemResult<()>) -> FsResult<()> {
    let done = match done {
        Ok(()) => Ok(()),
        Err(error) => Err(before_code(&error.downcast().map_err(FsError::trap)?).into()),
    };
    store.with(|mut store| store.get().ended(handle, intent, done))
}

fn follows(look: PathFlags) -> bool {
    look.contains(PathFlags::SYMLINK_FOLLOW)
}

async fn open_at(
    store: &Accessor<Guest>,
    fd: Folder,
    path: String,
    look: PathFlags,
    (open, flags): (OpenFlags, DescriptorFlags),
) -> FsResult<Folder> {
    let opening = opening!(look, open, flags)?;
    let spot = store.with(|mut store| store.get().spot(fd.rep(), &path, opening))?;
    let opened = spot.open(opening).await;
    store.with(|mut store| {
        let guest = store.get();
        let opened = guest.opened(fd.rep(), &path, opening, &spot, opened)?;
        guest.hold(opened)
    })
}

async fn at(store: &Accessor<Guest>, fd: Folder, path: String, request: Request) -> FsResult<Answer> {
    let intent = request.intent();
    let errand = store.with(|mut store| store.get().errand(fd.rep(), &path, &request))?;
    let answer = errand.run(&path, request).await;
    store.with(|mut store| store.get().answered(fd.rep(), &path, intent, answer))
}

async fn between(
    store: &Accessor<Guest>,
    (fd, old): (Folder, String),
    (to, new): (Folder, String),
    intent: Intent,
) -> FsResult<()> {
    let (from, to) = ((fd.rep(), old.as_str()), (to.rep(), new.as_str()));
    let moving = store.with(|mut store| store.get().moving(from, to, intent))?;
    let moved = moving.run((from.1, to.1), intent).await;
    store.with(|mut store| store.get().moved(from, to, intent, moved))
}

async fn set_size(store: &Accessor<Guest>, fd: Folder, size: u64) -> FsResult<()> {
    let rep = fd.rep();
    store.with(|mut store| store.get().permit_open(rep, Intent::Write))?;
    let growth = store.with(|mut store| store.get().grow(&fd, size))?;
    let files = store.with_getter::<WasiFilesystem>(Guest::filesystem);
    let done = <WasiFilesystem as HostDescriptorWithStore<Guest>>::set_size(&files, fd, size).await;
    if done.is_err() {
        store.with(|mut store| store.get().files.quota.give_back(growth));
    }
    ended(store, rep, Intent::Write, done)
}

fn files(store: StoreContextMut<'_, Guest>) -> Access<'_, Guest, WasiFilesystem> {
    Access::new(store, |guest| guest.filesystem())
}

/// Writes what comes through a stream: wasmtime-wasi where there is no quota.
fn write(
    mut store: StoreContextMut<'_, Guest>,
    fd: Folder,
    mut data: StreamReader<u8>,
    at: Option<u64>,
) -> wasmtime::Result<Ended> {
    let guest = store.data_mut();
    let quota = Arc::clone(&guest.files.quota);
    if quota.limit().is_none() {
        return match at {
            Some(at) => WasiFilesystem::write_via_stream(files(store), fd, data, at),
            None => WasiFilesystem::append_via_stream(files(store), fd, data),
        };
    }
    let file = match guest.wasi.ctx().table.get(&fd)? {
        Descriptor::File(file) if file.perms.write_not_permitted() => Err(ErrorCode::NotPermitted),
        Descriptor::File(file) => Ok(Arc::clone(&file.file)),
        Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor),
    };
    let monitor = Arc::clone(&guest.monitor);
    let (ended, end) = oneshot::channel();
    match file {
        Ok(file) => data.pipe(
            &mut store,
            Writing {
                file,
                at,
                quota,
                monitor,
                ended: Some(ended),
            },
        )?,
        Err(error) => {
            data.close(&mut store)?;
            let _ = ended.send(Err(error));
        }
    }
    FutureReader::new(store, end)
}

/// Writes a stream into a file, under a quota.
struct Writing {
    file: Arc<HostFile>,
    at: Option<u64>,
    quota: Arc<Quota>,
    monitor: Arc<Monitor>,
    ended: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl Writing {
    fn end(&mut self, result: Result<(), ErrorCode>) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(result);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = put(&self.file, self.at, bytes)?;
        self.at = self.at.map(|at| at.saturating_add(written as u64));
        Ok(written)
    }
}

impl StreamConsumer<Guest> for Writing {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let taken = self.quota.take(bytes.len() as u64);
        if taken == 0 && !bytes.is_empty() {
            self.monitor
                .struck(Limit::Write, "write", self.quota.limit().unwrap_or_default());
            return self.end(Err(ErrorCode::Quota));
        }
        let most = usize::try_from(taken).unwrap_or(usize::MAX);
        let written = self.write(&bytes[..most]);
        self.quota
            .give_back(taken - written.as_ref().map_or(0, |written| *written as u64));
        match written {
            Ok(written) => {
                source.mark_read(written);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => self.end(Err(error.into())),
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.end(Ok(()));
    }
}

fn read_folder(
    mut store: StoreContextMut<'_, Guest>,
    fd: Folder,
) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Ended)> {
    let guest = store.data_mut();
    if !guest.files.lists(fd.rep()) {
        return WasiFilesystem::read_directory(files(store), fd);
    }
    let (entries, end) = match guest.entries_now(fd.rep()) {
        Ok(entries) => (entries, Ok(())),
        Err(error) => (Vec::new(), Err(code(error.downcast()?))),
    };
    let entry = |Entry { name, kind, .. }: Entry| DirectoryEntry {
        type_: sort(kind),
        name,
    };
    let entries: Vec<DirectoryEntry> = entries.into_iter().map(entry).collect();
    let entries = StreamReader::new(&mut store, entries)?;
    Ok((
        entries,
        FutureReader::new(store, async move { wasmtime::error::Ok(end) })?,
    ))
}

fn time(time: NewTimestamp) -> before::NewTimestamp {
    match time {
        NewTimestamp::NoChange => before::NewTimestamp::NoChange,
        NewTimestamp::Now => before::NewTimestamp::Now,
        NewTimestamp::Timestamp(Instant { seconds, nanoseconds }) => {
            before::NewTimestamp::Timestamp(Datetime {
                seconds: u64::try_from(seconds).unwrap_or(0),
                nanoseconds,
            })
        }
    }
}

fn stat(found: before::DescriptorStat) -> DescriptorStat {
    let time = |time: Option<Datetime>| {
        time.map(|time| Instant {
            seconds: i64::try_from(time.seconds).unwrap_or(i64::MAX),
            nanoseconds: time.nanoseconds,
        })
    };
    DescriptorStat {
        type_: sort(found.type_),
        link_count: found.link_count,
        size: found.size,
        data_access_timestamp: time(found.data_access_timestamp),
        data_modification_timestamp: time(found.data_modification_timestamp),
        status_change_timestamp: time(found.status_change_timestamp),
    }
}

fn sort(kind: before::DescriptorType) -> DescriptorType {
    match kind {
        before::DescriptorType::BlockDevice => DescriptorType::BlockDevice,
        before::DescriptorType::CharacterDevice => DescriptorType::CharacterDevice,
        before::DescriptorType::Directory => DescriptorType::Directory,
        before::DescriptorType::Fifo => DescriptorType::Fifo,
        before::DescriptorType::SymbolicLink => DescriptorType::SymbolicLink,
        before::DescriptorType::RegularFile => DescriptorType::RegularFile,
        before::DescriptorType::Socket => DescriptorType::Socket,
        before::DescriptorType::Unknown => DescriptorType::Other(None),
    }
}

/// The same errors have the same names, but for those that nothing here answers.
macro_rules! same {
    ($($name:ident)*) => {
        fn code(code: before::ErrorCode) -> ErrorCode {
            match code {
                $(before::ErrorCode::$name => ErrorCode::$name,)*
                before::ErrorCode::WouldBlock => ErrorCode::Busy,
            }
        }

        fn before_code(code: &ErrorCode) -> before::ErrorCode {
            match code {
                $(ErrorCode::$name => before::ErrorCode::$name,)*
                _ => before::ErrorCode::Io,
            }
        }
    };
}

same!(Access Already BadDescriptor Busy Deadlock Quota Exist FileTooLarge IllegalByteSequence InProgress
        Interrupted Invalid Io IsDirectory Loop TooManyLinks MessageSize NameTooLong NoDevice NoEntry NoLock
        InsufficientMemory InsufficientSpace NotDirectory NotEmpty NotRecoverable Unsupported NoTty NoSuchDevice
        Overflow NotPermitted Pipe ReadOnly InvalidSeek TextFileBusy CrossDevice);
