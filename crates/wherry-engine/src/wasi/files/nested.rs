//! Paths where grants lie inside one another: walked one name at a time, so that each step sees whose rights it is under.
//!
//! A folder or file that was granted by itself keeps its own rights wherever it is met: by path, by symbolic link, by `..`,
//! under another name. It is known by device and number, which no renaming changes.

use super::beneath::{self, Identity};
use super::{Files, Place};
use rustix::fs::FileType;
use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::sync::Arc;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// As many symbolic links as Linux follows in one path.
const LINKS: usize = 40;

/// Where the walk is: folders from the first one on, each with the grant that its rights come from.
type Trail = Vec<(Arc<File>, usize)>;

impl Files {
    /// Walks `path` from `folder`.
    ///
    /// # Errors
    /// What the guest is answered: [`ErrorCode::CrossDevice`] where the path leads out.
    pub(super) fn resolve(
        &self,
        folder: Arc<File>,
        grant: usize,
        path: &str,
        follow: bool,
    ) -> Result<Place, ErrorCode> {
        let mut trail: Trail = vec![(folder, grant)];
        let mut names: VecDeque<String> = names(path)?;
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            let last = names.is_empty();
            match name.as_str() {
                "." => continue,
                ".." if trail.len() == 1 => return Err(ErrorCode::CrossDevice),
                ".." => {
                    trail.pop();
                    continue;
                }
                _ => {}
            }
            let Some((top, grant)) = trail.last().cloned() else {
                return Err(ErrorCode::Invalid);
            };
            if let Some(place) = self.mounted(&top, grant, &name) {
                match place {
                    place if last => return Ok(place),
                    Place::Root(inner) => trail.push((Arc::clone(&self.granted[inner].dir.dir), inner)),
                    _ => return Err(ErrorCode::NotDirectory),
                }
                continue;
            }
            let Some(stat) = there(&top, &name)? else {
                return if last {
                    Ok(Place::In(top, name, grant))
                } else {
                    Err(ErrorCode::NoEntry)
                };
            };
            match beneath::type_of(&stat) {
                FileType::Symlink if last && !follow => return Ok(Place::In(top, name, grant)),
                FileType::Symlink => {
                    links += 1;
                    detour(&mut names, &top, &name, links)?;
                }
                FileType::Directory if last => {
                    let owner = self.folder_of(beneath::identity_of(&stat));
                    return Ok(owner.map_or(Place::In(top, name, grant), Place::Root));
                }
                FileType::Directory => trail.push(self.enter(&top, &name, grant)?),
                _ if last => {
                    let single = self.single_of(beneath::identity_of(&stat));
                    return Ok(single.map_or(Place::In(top, name, grant), Place::Single));
                }
                _ => return Err(ErrorCode::NotDirectory),
            }
        }
        // The path ended in a folder that it has been to.
        let (top, grant) = trail.pop().ok_or(ErrorCode::Invalid)?;
        let root = Arc::ptr_eq(&top, &self.granted[grant].dir.dir);
        Ok(if root {
            Place::Root(grant)
        } else {
            Place::In(top, ".".to_owned(), grant)
        })
    }

    /// The folder that was granted by itself and is this one.
    pub(super) fn folder_of(&self, identity: Identity) -> Option<usize> {
        self.granted
            .iter()
            .position(|granted| !granted.bare && granted.identity == identity)
    }

    /// The file that was granted by itself and is this one.
    pub(super) fn single_of(&self, identity: Identity) -> Option<Arc<super::Single>> {
        self.singles
            .iter()
            .find(|single| single.identity == identity)
            .cloned()
    }

    fn enter(&self, folder: &File, name: &str, grant: usize) -> Result<(Arc<File>, usize), ErrorCode> {
        let entered = beneath::step(folder, name)?;
        Ok(match self.folder_of(beneath::identity(&entered)?) {
            Some(inner) => (Arc::clone(&self.granted[inner].dir.dir), inner),
            None => (entered, grant),
        })
    }

    /// What the guest was granted under a name in a folder that was granted, whatever the host has there.
    fn mounted(&self, folder: &Arc<File>, grant: usize, name: &str) -> Option<Place> {
        let outer = &self.granted[grant];
        if !Arc::ptr_eq(folder, &outer.dir.dir) {
            return None;
        }
        let guest = super::joined(&outer.guest, name);
        let same = |granted: &super::Granted| granted.guest.trim_end_matches('/') == guest;
        let folder = self
            .granted
            .iter()
            .position(|granted| !granted.bare && same(granted));
        folder
            .map(Place::Root)
            .or_else(|| Place::shown(&outer.files, name))
    }
}

/// What a name stands for, if there is anything.
fn there(folder: &File, name: &str) -> Result<Option<rustix::fs::Stat>, ErrorCode> {
    match beneath::look(folder, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names of a path; a slash at the end asks for a folder.
fn names(path: &str) -> Result<VecDeque<String>, ErrorCode> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    if path.starts_with('/') {
        return Err(ErrorCode::CrossDevice);
    }
    let names = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned);
    let folder = path.ends_with('/').then(|| ".".to_owned());
    Ok(names.chain(folder).collect())
}

/// Goes on where a symbolic link leads.
fn detour(rest: &mut VecDeque<String>, folder: &File, name: &str, links: usize) -> Result<(), ErrorCode> {
    if links > LINKS {
        return Err(ErrorCode::Loop);
    }
    for part in names(&link(folder, name)?)?.into_iter().rev() {
        rest.push_front(part);
    }
    Ok(())
}

fn link(folder: &File, name: &str) -> Result<String, ErrorCode> {
    let target: CString = rustix::fs::readlinkat(folder, name, Vec::new()).map_err(std::io::Error::from)?;
    target.into_string().map_err(|_| ErrorCode::IllegalByteSequence)
}
