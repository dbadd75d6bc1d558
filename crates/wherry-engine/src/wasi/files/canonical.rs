//! What guests see of files where a run must be the same on each machine: made-up times and numbers.

use super::acts::{hash, stat};
use super::{Answer, Files};
use crate::guest::Guest;
use rustix::fs::Stat;
use std::collections::HashMap;
use std::time::Duration;
use wasmtime::component::Resource;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorStat, DescriptorType, MetadataHashValue};

/// Numbers and times that are the same on each machine.
#[derive(Debug)]
pub struct Canonical {
    time: Datetime,
    /// By the number that the host has.
    numbers: HashMap<u64, u64>,
}

impl Canonical {
    /// All times are `time` after 1970.
    pub fn new(time: Duration) -> Self {
        Self {
            time: Datetime {
                seconds: time.as_secs(),
                nanoseconds: time.subsec_nanos(),
            },
            numbers: HashMap::new(),
        }
    }

    /// The number of a file: which one it is of those that were seen.
    pub fn number(&mut self, host: u64) -> u64 {
        let next = self.numbers.len() as u64 + 1;
        *self.numbers.entry(host).or_insert(next)
    }

    fn hash(&mut self, host: &MetadataHashValue) -> MetadataHashValue {
        MetadataHashValue {
            lower: self.number(host.lower),
            upper: 0,
        }
    }

    fn stat(&self, stat: DescriptorStat) -> DescriptorStat {
        // What a folder takes up, and how its links are counted, is up to the file system.
        let folder = stat.type_ == DescriptorType::Directory;
        DescriptorStat {
            size: if folder { 0 } else { stat.size },
            link_count: if folder { 1 } else { stat.link_count },
            data_access_timestamp: Some(self.time),
            data_modification_timestamp: Some(self.time),
            status_change_timestamp: Some(self.time),
            ..stat
        }
    }
}

impl Files {
    /// What a guest may know of what was found.
    pub(super) fn shown(&mut self, answer: Answer) -> Answer {
        let Some(canonical) = &mut self.canonical else {
            return answer;
        };
        match answer {
            Answer::Stat(stat) => Answer::Stat(canonical.stat(stat)),
            Answer::Hash(hash) => Answer::Hash(canonical.hash(&hash)),
            Answer::Both(stat, hash) => Answer::Both(canonical.stat(stat), canonical.hash(&hash)),
            other => other,
        }
    }
}

impl Guest {
    /// What is known of an open file or folder; nothing where wasmtime-wasi is to say it.
    ///
    /// # Errors
    /// What the guest is answered.
    pub(crate) fn found(&mut self, handle: u32) -> FsResult<Option<(DescriptorStat, MetadataHashValue)>> {
        if self.files.canonical.is_none() {
            return Ok(None);
        }
        let found: Stat = match self
            .wasi
            .ctx()
            .table
            .get(&Resource::<Descriptor>::new_borrow(handle))?
        {
            Descriptor::File(file) => rustix::fs::fstat(&file.file),
            Descriptor::Dir(dir) => rustix::fs::fstat(&dir.dir),
        }
        .map_err(std::io::Error::from)?;
        match self.files.shown(Answer::Both(stat(&found), hash(&found))) {
            Answer::Both(stat, hash) => Ok(Some((stat, hash))),
            _ => Ok(None),
        }
    }
}
