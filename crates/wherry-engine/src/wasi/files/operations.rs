//! What guests do with paths, done where [`super::Files::place`] says: by wasmtime-wasi, or in the folder that was found.
//!
//! WASI 0.1 and 0.2 end here; 0.3 has other types and the same steps.

use super::beneath::{Opened, Opening};
use super::beyond::intent_of;
use super::errands::{Errand, Move, Spot};
use super::{Intent, Named, Place, READ_ONLY};
use crate::guest::Guest;
use crate::monitor::{Access, Monitor};
use std::fs::File as HostFile;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, ErrorCode, MetadataHashValue, NewTimestamp,
};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::{FsPerms, OpenMode, WasiView as _};

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

impl super::Files {
    fn rights(&self, grant: usize) -> FsPerms {
        if self.granted[grant].read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        }
    }
}
