//! What was decided, done without the guest: by wasmtime-wasi from a folder, or by the kernel with a name in one.
//!
//! A guest of WASI 0.3 may have many of these under way.

use super::acts::{act, act_on, finished};
use super::beneath::{self, Opened, Opening};
use super::operations::{Answer, Request};
use super::{Intent, Single};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::fs::File as HostFile;
use std::io;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::runtime::spawn_blocking;
use wasmtime_wasi::{FsPerms, OpenMode, ResourceTable};

/// Where a file is opened, and with whose rights.
pub struct Spot {
    pub(super) folder: Arc<HostFile>,
    pub(super) name: String,
    pub(super) single: Option<Arc<Single>>,
    pub(super) perms: FsPerms,
    pub(super) grant: Option<usize>,
    pub(super) waits: bool,
    /// Paths are walked here, and the links at their ends were followed already.
    pub(super) walked: bool,
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
            Some(single) => single.open(opening),
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
