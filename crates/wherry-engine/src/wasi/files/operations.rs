//! What guests do with paths, done where [`super::Files::place`] says: by wasmtime-wasi, or in the folder that was found.
//!
//! WASI 0.1 and 0.2 end here; 0.3 has other types and the same steps.

use super::acts::{act, act_on, finished};
use super::beneath::{self, Opened, Opening};
use super::beyond::intent_of;
use super::{Intent, Named, Place, READ_ONLY, Single};
use crate::guest::Guest;
use crate::monitor::{Access, Monitor};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::fs::File as HostFile;
use std::io;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor as _, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::runtime::spawn_blocking;
use wasmtime_wasi::{FsPerms, OpenMode, ResourceTable, WasiView as _};

/// What is done with one path.
#[derive(Debug, Clone)]
pub enum Request {
    /// Asks what is there; follows a symbolic link or not.
    Stat(bool),
    /// Asks which file it is.
    Hash(bool),
    /// Asks both at once, as WASI 0.1 does.
    Both(bool),
    /// Makes a folder.
    MakeFolder,
    /// Removes an empty folder.
    RemoveFolder,
    /// Removes a file.
    RemoveFile,
    /// Reads a symbolic link.
    ReadLink,
    /// Changes the times of access and of modification.
    Times(bool, NewTimestamp, NewTimestamp),
    /// Makes a symbolic link with this content.
    Symlink(String),
}

impl Request {
    pub(crate) fn intent(&self) -> Intent {
        match self {
            Request::Stat(_) | Request::Hash(_) | Request::Both(_) | Request::ReadLink => Intent::Look,
            Request::MakeFolder | Request::Symlink(_) => Intent::Make,
            Request::RemoveFolder | Request::RemoveFile => Intent::Remove,
            Request::Times(..) => Intent::Times,
        }
    }

    fn follows(&self) -> bool {
        matches!(
            self,
            Request::Stat(true) | Request::Hash(true) | Request::Both(true) | Request::Times(true, ..)
        )
    }
}

/// What comes of a [`Request`].
#[derive(Debug)]
pub enum Answer {
    /// It was done.
    Done,
    /// What is there.
    Stat(DescriptorStat),
    /// Which file it is.
    Hash(MetadataHashValue),
    /// What is there, and which file it is.
    Both(DescriptorStat, MetadataHashValue),
    /// The content of a symbolic link.
    Link(String),
}

/// Where a file is opened, and with whose rights.
pub struct Spot {
    folder: Arc<HostFile>,
    name: String,
    single: Option<Arc<Single>>,
    perms: FsPerms,
    grant: Option<usize>,
    waits: bool,
    /// Paths are walked here, and the links at their ends were followed already.
    walked: bool,
}

/// Who does what a [`Request`] asks.
pub enum Errand {
    /// wasmtime-wasi, from this folder.
    Host(Dir),
    /// The kernel, with a name in a folder.
    Folder(Arc<HostFile>, String),
    /// The kernel, with a file that was granted by itself.
    Single(Arc<Single>),
}

/// Who renames, or makes a hard link.
pub enum Move {
    /// wasmtime-wasi, between these folders.
    Host(Dir, Dir),
    /// The kernel, with names in folders.
    Folders((Arc<HostFile>, String), (Arc<HostFile>, String)),
}

impl Guest {
    /// Opens `path` from the folder `handle`: what to put into the table, and its name.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn open_at(
        &mut self,
        handle: u32,
        path: String,
        opening: Opening,
    ) -> FsResult<(Descriptor, Option<Named>)> {
        let spot = self.spot(handle, &path, opening)?;
        let opened = spot.open(opening).await;
        self.opened(handle, &path, opening, &spot, opened)
    }

    /// Where a path is opened.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn spot(&mut self, handle: u32, path: &str, opening: Opening) -> FsResult<Spot> {
        let intent = intent_of(opening);
        if opening.directory && (opening.create || opening.exclusive || opening.truncate) {
            return Err(self.failed(handle, path, intent, ErrorCode::Invalid.into()));
        }
        let table = self.wasi.ctx().table;
        let place = self
            .files
            .place(&self.monitor, table, handle, path, (intent, opening.follow))?;
        self.spot_at(place, handle, path, opening)
            .map_err(|error| self.failed(handle, path, intent, error))
    }

    fn spot_at(&mut self, place: Place, handle: u32, path: &str, opening: Opening) -> FsResult<Spot> {
        let table = self.wasi.ctx().table;
        let own = self.files.named(handle).map(|named| named.grant);
        let files = &self.files;
        let spot = |folder: &Arc<HostFile>, name: &str, perms: FsPerms, grant: Option<usize>| Spot {
            folder: Arc::clone(folder),
            name: name.to_owned(),
            single: None,
            perms,
            grant,
            waits: files.waits,
            walked: files.nests,
        };
        Ok(match place {
            Place::Here => match table.get(&Resource::<Descriptor>::new_borrow(handle))? {
                Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
                Descriptor::Dir(dir) if dir.perms.write_not_permitted() && opening.changes() => {
                    return Err(ErrorCode::NotPermitted.into());
                }
                Descriptor::Dir(dir) => spot(&dir.dir, path, dir.perms, own),
            },
            Place::In(folder, name, grant) => spot(&folder, &name, files.rights(grant), Some(grant)),
            Place::Root(grant) => spot(
                &files.granted[grant].dir.dir,
                ".",
                files.rights(grant),
                Some(grant),
            ),
            Place::Single(_) if opening.exclusive && opening.create => return Err(ErrorCode::Exist.into()),
            Place::Single(single) => {
                let rights = if single.read_only {
                    FsPerms::ReadOnly
                } else {
                    FsPerms::ReadWrite
                };
                let spot = spot(&files.granted[0].dir.dir, "", rights, own);
                Spot {
                    single: Some(single),
                    ..spot
                }
            }
        })
    }

    /// What to put into the table for what was opened, and its name.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn opened(
        &mut self,
        handle: u32,
        path: &str,
        opening: Opening,
        spot: &Spot,
        opened: FsResult<Opened>,
    ) -> FsResult<(Descriptor, Option<Named>)> {
        let intent = intent_of(opening);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(self.failed(handle, path, intent, error)),
        };
        let (perms, waits) = (spot.perms, self.files.waits);
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, opening.read || !opening.write);
        mode.set(OpenMode::WRITE, opening.changes());
        let (descriptor, grant) = match opened {
            Opened::Special => {
                return Err(self.files.special(&self.monitor, handle, path, intent).into());
            }
            Opened::File(..) if opening.directory => {
                return Err(self.failed(handle, path, intent, ErrorCode::NotDirectory.into()));
            }
            Opened::File(file, identity) => {
                // What was opened counts, whatever was there a moment ago.
                let single = self.files.single_of(identity).filter(|_| spot.single.is_none());
                if let Some(single) = single.filter(|single| opening.changes() && single.read_only) {
                    let access = self.files.access(handle, path, intent);
                    self.monitor
                        .refused(access, READ_ONLY, Some(single.writable.clone()));
                    return Err(ErrorCode::NotPermitted.into());
                }
                (Descriptor::File(File::new(file, perms, mode, waits)), spot.grant)
            }
            Opened::Folder(file, identity) => {
                let inner = self.files.folder_of(identity).filter(|_| self.files.nests);
                let perms = inner.map_or(perms, |inner| self.files.rights(inner));
                (
                    Descriptor::Dir(Dir::new(file, perms, mode, waits)),
                    inner.or(spot.grant),
                )
            }
        };
        self.files.went_well(&self.monitor, handle, path, intent);
        // Of a file that may be written nothing will be refused that has to be told by its name.
        let told =
            matches!(descriptor, Descriptor::Dir(_)) || perms.write_not_permitted() || self.monitor.records();
        let named = grant.filter(|_| told).map(|grant| Named {
            path: self.files.spelled(handle, path),
            grant,
        });
        Ok((descriptor, named))
    }

    /// Does something with `path` from the folder `handle`.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn at(&mut self, handle: u32, path: String, request: Request) -> FsResult<Answer> {
        let intent = request.intent();
        let errand = self.errand(handle, &path, &request)?;
        let answer = errand.run(&path, request).await;
        self.answered(handle, &path, intent, answer)
    }

    /// Notes how it ended, and makes up what differs between machines where it must not.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn answered(
        &mut self,
        handle: u32,
        path: &str,
        intent: Intent,
        answer: FsResult<Answer>,
    ) -> FsResult<Answer> {
        let answer = self.done(handle, path, intent, answer)?;
        Ok(self.files.shown(answer))
    }

    /// Who does what is asked with a path.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn errand(&mut self, handle: u32, path: &str, request: &Request) -> FsResult<Errand> {
        let how = (request.intent(), request.follows());
        let table = self.wasi.ctx().table;
        Ok(match self.files.place(&self.monitor, table, handle, path, how)? {
            Place::Here => Errand::Host(self.dir(handle)?),
            Place::In(folder, name, _) => Errand::Folder(folder, name),
            Place::Root(grant) => {
                Errand::Folder(Arc::clone(&self.files.granted[grant].dir.dir), ".".to_owned())
            }
            Place::Single(single) => Errand::Single(single),
        })
    }

    /// Notes how it ended.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn done<T>(
        &mut self,
        handle: u32,
        path: &str,
        intent: Intent,
        answer: FsResult<T>,
    ) -> FsResult<T> {
        match answer {
            Ok(answer) => {
                self.files.went_well(&self.monitor, handle, path, intent);
                Ok(answer)
            }
            Err(error) => Err(self.failed(handle, path, intent, error)),
        }
    }

    /// Renames, or makes a hard link.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn between(
        &mut self,
        from: (u32, String),
        to: (u32, String),
        intent: Intent,
    ) -> FsResult<()> {
        let moving = self.moving((from.0, &from.1), (to.0, &to.1), intent)?;
        let result = moving.run((&from.1, &to.1), intent).await;
        self.moved((from.0, &from.1), (to.0, &to.1), intent, result)
    }

    /// Who renames, or makes a hard link.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn moving(&mut self, from: (u32, &str), to: (u32, &str), intent: Intent) -> FsResult<Move> {
        let table = self.wasi.ctx().table;
        let source = self
            .files
            .place(&self.monitor, table, from.0, from.1, (intent, false))?;
        let target = self
            .files
            .place(&self.monitor, table, to.0, to.1, (intent, false))?;
        let same = match (&source, &target) {
            (Place::In(_, _, one), Place::In(_, _, other)) => one == other,
            _ => self.files.same_grant(from.0, to.0),
        };
        if intent == Intent::Link && !same {
            let access = self.files.access(from.0, from.1, intent);
            self.monitor
                .refused(access, "a hard link stays within one grant", None);
            return Err(ErrorCode::CrossDevice.into());
        }
        Ok(match (source, target) {
            (Place::In(folder, name, _), Place::In(other, new, _)) => {
                Move::Folders((folder, name), (other, new))
            }
            _ => Move::Host(self.dir(from.0)?, self.dir(to.0)?),
        })
    }

    /// Notes how it ended.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn moved(
        &mut self,
        from: (u32, &str),
        to: (u32, &str),
        intent: Intent,
        result: FsResult<()>,
    ) -> FsResult<()> {
        let result = self.done(from.0, from.1, intent, result);
        self.done(to.0, to.1, intent, result)
    }

    /// The folder behind a handle.
    pub(super) fn dir(&mut self, handle: u32) -> FsResult<Dir> {
        match self
            .wasi
            .ctx()
            .table
            .get(&Resource::<Descriptor>::new_borrow(handle))?
        {
            Descriptor::Dir(dir) => Ok(dir.clone()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// Whether an open file or folder may be changed.
    ///
    /// # Errors
    /// What the guest is answered when it may not.
    pub(crate) fn permit_open(&mut self, handle: u32, intent: Intent) -> FsResult<()> {
        let table = self.wasi.ctx().table;
        Ok(self.files.permit_open(&self.monitor, table, handle, intent)?)
    }

    /// Who hears what fails that is done with an open file or folder, where that is wanted.
    pub(crate) fn told(&self, handle: u32, intent: Intent) -> Option<(Arc<Monitor>, Access)> {
        let monitor = Some(&self.monitor).filter(|monitor| monitor.records())?;
        Some((Arc::clone(monitor), self.files.access(handle, ".", intent)))
    }

    /// Notes what was done with an open file or folder and did not work, where that is wanted, and what that it was opened for
    /// does not tell.
    ///
    /// # Errors
    /// Those of `result`.
    pub(crate) fn ended<T>(&self, handle: u32, intent: Intent, result: FsResult<T>) -> FsResult<T> {
        if result.is_ok() && intent == Intent::Times {
            self.files.went_well(&self.monitor, handle, ".", intent);
        }
        if let Err(error) = &result
            && self.monitor.records()
            && let Some(code) = error.downcast_ref()
            // That a limit struck was noted as what it is.
            && !matches!(code, ErrorCode::Quota | ErrorCode::InsufficientMemory)
        {
            self.files.went_wrong(&self.monitor, handle, ".", intent, *code);
        }
        result
    }

    /// Notes why an access was refused, or that it failed.
    fn failed(&mut self, handle: u32, path: &str, intent: Intent, error: FsError) -> FsError {
        let table = self.wasi.ctx().table;
        match error.downcast() {
            Ok(code) => self
                .files
                .judged(&self.monitor, table, handle, path, intent, code)
                .into(),
            Err(trap) => FsError::trap(trap),
        }
    }
}

impl Spot {
    /// Opens it, on a thread that may wait.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) async fn open(&self, mut opening: Opening) -> FsResult<Opened> {
        opening.follow &= !self.walked;
        let (folder, name) = (Arc::clone(&self.folder), self.name.clone());
        let single = self.single.clone();
        let open = move || match single {
            Some(single) => beneath::open_again(&single.file, opening),
            None => beneath::open(&folder, &name, opening),
        };
        let opened = if self.waits {
            open()
        } else {
            spawn_blocking(open).await
        };
        match opened {
            Err(error) if is(&error, Errno::NOSYS) => self.left_to_the_host(opening).await,
            Err(error) if is(&error, Errno::XDEV) => Err(ErrorCode::CrossDevice.into()),
            opened => Ok(opened?),
        }
    }

    /// Opens where the kernel cannot hold a path inside a folder: wasmtime-wasi can, name by name.
    async fn left_to_the_host(&self, opening: Opening) -> FsResult<Opened> {
        let dir = Dir::new(
            self.folder.try_clone()?,
            self.perms,
            OpenMode::READ | OpenMode::WRITE,
            self.waits,
        );
        let mut desk = Desk::default();
        let folder = desk.put(dir)?;
        let mut view = desk.view();
        let borrowed = || Resource::new_borrow(folder.rep());
        let follow = path_flags(opening.follow);
        let looked = view.stat_at(borrowed(), follow, self.name.clone()).await;
        let special = matches!(&looked, Ok(stat) if !matches!(stat.type_,
            DescriptorType::Directory | DescriptorType::RegularFile | DescriptorType::SymbolicLink));
        if special {
            return Ok(Opened::Special);
        }
        let (open_flags, flags) = flags(opening);
        let opened = view
            .open_at(borrowed(), follow, self.name.clone(), open_flags, flags)
            .await?;
        let (file, is_dir) = match view.table.delete(opened)? {
            Descriptor::File(File { file, .. }) => (file, false),
            Descriptor::Dir(Dir { dir, .. }) => (dir, true),
        };
        let identity = beneath::identity(&file)?;
        let file = Arc::try_unwrap(file).map_err(|_| ErrorCode::Io)?;
        Ok(if is_dir {
            Opened::Folder(file, identity)
        } else {
            Opened::File(file, identity)
        })
    }
}

impl Errand {
    /// Does it.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn run(self, path: &str, request: Request) -> FsResult<Answer> {
        match self {
            Errand::Host(dir) => asked(dir, path.to_owned(), request).await,
            Errand::Folder(folder, name) => Ok(act(&folder, &name, request)?),
            Errand::Single(single) => Ok(act_on(&single, &request)?),
        }
    }
}

impl Move {
    /// Does it.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn run(self, (old, new): (&str, &str), intent: Intent) -> FsResult<()> {
        match self {
            Move::Folders((folder, name), (other, new)) => {
                let done = match intent {
                    Intent::Link => rustix::fs::linkat(&folder, &name, &other, &new, AtFlags::empty()),
                    _ => rustix::fs::renameat(&folder, &name, &other, &new),
                };
                Ok(done.map_err(io::Error::from)?)
            }
            Move::Host(folder, other) => {
                let mut desk = Desk::default();
                let (folder, other) = (desk.put(folder)?, desk.put(other)?);
                let (old, new) = (old.to_owned(), new.to_owned());
                match intent {
                    Intent::Link => {
                        desk.view()
                            .link_at(folder, PathFlags::empty(), old, other, new)
                            .await
                    }
                    _ => desk.view().rename_at(folder, old, other, new).await,
                }
            }
        }
    }
}

/// A place where wasmtime-wasi works without the guest's table.
#[derive(Default)]
struct Desk {
    table: ResourceTable,
    ctx: WasiFilesystemCtx,
}

impl Desk {
    fn put(&mut self, dir: Dir) -> FsResult<Resource<Descriptor>> {
        Ok(self.table.push(Descriptor::Dir(dir))?)
    }

    fn view(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// Leaves it to wasmtime-wasi.
async fn asked(dir: Dir, path: String, request: Request) -> FsResult<Answer> {
    let mut desk = Desk::default();
    let folder = desk.put(dir)?;
    let again = Resource::new_borrow(folder.rep());
    let mut view = desk.view();
    Ok(match request {
        Request::Stat(follow) => Answer::Stat(view.stat_at(folder, path_flags(follow), path).await?),
        Request::Hash(follow) => Answer::Hash(view.metadata_hash_at(folder, path_flags(follow), path).await?),
        Request::Both(follow) => {
            let stat = view.stat_at(again, path_flags(follow), path.clone()).await?;
            Answer::Both(
                stat,
                view.metadata_hash_at(folder, path_flags(follow), path).await?,
            )
        }
        Request::MakeFolder => finished(view.create_directory_at(folder, path).await?),
        Request::RemoveFolder => finished(view.remove_directory_at(folder, path).await?),
        Request::RemoveFile => finished(view.unlink_file_at(folder, path).await?),
        Request::ReadLink => Answer::Link(view.readlink_at(folder, path).await?),
        Request::Times(follow, access, modification) => {
            let flags = path_flags(follow);
            finished(
                view.set_times_at(folder, flags, path, access, modification)
                    .await?,
            )
        }
        Request::Symlink(target) => finished(view.symlink_at(folder, target, path).await?),
    })
}

impl super::Files {
    fn rights(&self, grant: usize) -> FsPerms {
        if self.granted[grant].read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn path_flags(follow: bool) -> PathFlags {
    if follow {
        PathFlags::SYMLINK_FOLLOW
    } else {
        PathFlags::empty()
    }
}

fn flags(opening: Opening) -> (OpenFlags, DescriptorFlags) {
    let mut open = OpenFlags::empty();
    let mut flags = DescriptorFlags::empty();
    for (set, flag) in [
        (opening.create, OpenFlags::CREATE),
        (opening.exclusive, OpenFlags::EXCLUSIVE),
        (opening.truncate, OpenFlags::TRUNCATE),
        (opening.directory, OpenFlags::DIRECTORY),
    ] {
        open |= if set { flag } else { OpenFlags::empty() };
    }
    for (set, flag) in [
        (opening.read, DescriptorFlags::READ),
        (opening.write, DescriptorFlags::WRITE),
    ] {
        flags |= if set { flag } else { DescriptorFlags::empty() };
    }
    (open, flags)
}
