//! What is in a folder, for guests that read it.

use super::acts::{hash, kind};
use super::beneath;
use crate::guest::Guest;
use rustix::fs::{Dir, Mode, OFlags};
use std::fs::File;
use std::sync::Arc;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::DescriptorType;
use wasmtime_wasi::runtime::spawn_blocking;

/// One name in a folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What sort of file it is.
    pub kind: DescriptorType,
    /// Which file it is, as guests see it.
    pub number: u64,
}

/// What is in `folder`, without `.` and `..`, in the order of the host.
///
/// # Errors
/// What the kernel says, and for a name that is no text.
pub fn entries(folder: &File) -> std::io::Result<Vec<Entry>> {
    // The descriptor of a folder may be one that only paths start from.
    let opened = rustix::fs::openat(
        folder,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut entries = Vec::new();
    for entry in Dir::new(opened)? {
        let entry = entry?;
        let name = entry.file_name().to_str().map_err(|_| rustix::io::Errno::ILSEQ)?;
        if matches!(name, "." | "..") {
            continue;
        }
        // What was removed since is not there any more.
        if let Ok(stat) = beneath::look(folder, name) {
            entries.push(Entry {
                name: name.to_owned(),
                kind: kind(&stat),
                number: hash(&stat).lower,
            });
        }
    }
    Ok(entries)
}

/// The single files that a folder shows.
pub fn shown(files: &[(String, Arc<super::Single>)]) -> Vec<Entry> {
    let entry = |(name, single): &(String, Arc<super::Single>)| {
        let stat = rustix::fs::fstat(&single.file).ok()?;
        Some(Entry {
            name: name.clone(),
            kind: kind(&stat),
            number: hash(&stat).lower,
        })
    };
    files.iter().filter_map(entry).collect()
}

impl Guest {
    /// What is in the folder `handle`, read on a thread that may wait.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) async fn entries(&mut self, handle: u32) -> FsResult<Vec<Entry>> {
        if self.files.waits || self.files.lists(handle) {
            return self.entries_now(handle);
        }
        let folder = self.dir(handle)?.dir;
        Ok(spawn_blocking(move || entries(&folder)).await?)
    }

    /// Which folder `handle` is, as guests see it.
    pub(crate) fn number_of(&mut self, handle: u32) -> u64 {
        let found = self
            .dir(handle)
            .ok()
            .and_then(|dir| rustix::fs::fstat(&dir.dir).ok());
        let number = found.map_or(0, |found| hash(&found).lower);
        match &mut self.files.canonical {
            Some(canonical) => canonical.number(number),
            None => number,
        }
    }

    /// What is in the folder `handle`, read at once.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn entries_now(&mut self, handle: u32) -> FsResult<Vec<Entry>> {
        let grant = self.files.named(handle).map(|named| named.grant);
        let mut entries = match grant.map(|grant| &self.files.granted[grant]) {
            Some(granted) if granted.bare => shown(&granted.files),
            _ => entries(&self.dir(handle)?.dir)?,
        };
        if let Some(canonical) = &mut self.files.canonical {
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            for entry in &mut entries {
                entry.number = canonical.number(entry.number);
            }
        }
        Ok(entries)
    }
}
