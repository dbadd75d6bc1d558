//! What the kernel does with a name in a folder, or with a file that was granted by itself, once its rights were looked at.

use super::Single;
use super::beneath;
use super::operations::{Answer, Request};
use rustix::fs::{AtFlags, FileType, Mode, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File as HostFile;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp,
};

pub(super) fn finished((): ()) -> Answer {
    Answer::Done
}

fn both(found: &Stat) -> Answer {
    Answer::Both(stat(found), hash(found))
}

/// Does it with a name in a folder whose rights were looked at; no symbolic link is followed.
pub(super) fn act(folder: &HostFile, name: &str, request: Request) -> io::Result<Answer> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    Ok(match request {
        Request::Stat(_) => Answer::Stat(stat(&beneath::look(folder, name)?)),
        Request::Hash(_) => Answer::Hash(hash(&beneath::look(folder, name)?)),
        Request::Both(_) => both(&beneath::look(folder, name)?),
        Request::MakeFolder => finished(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))?),
        Request::RemoveFolder => finished(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?),
        Request::RemoveFile => finished(rustix::fs::unlinkat(folder, name, AtFlags::empty())?),
        Request::ReadLink => {
            let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
            let text = target.into_string().map_err(|_| Errno::ILSEQ)?;
            Answer::Link(text)
        }
        Request::Times(_, access, modification) => finished(rustix::fs::utimensat(
            folder,
            name,
            &times(access, modification),
            nofollow,
        )?),
        // What another program would follow to wherever it likes is not made.
        Request::Symlink(target) if target.starts_with('/') => return Err(Errno::PERM.into()),
        Request::Symlink(target) => finished(rustix::fs::symlinkat(target, folder, name)?),
    })
}

/// Does it with a file that was granted by itself.
pub(super) fn act_on(single: &Single, request: &Request) -> io::Result<Answer> {
    Ok(match request {
        Request::Stat(_) => Answer::Stat(stat(&rustix::fs::fstat(&single.file)?)),
        Request::Hash(_) => Answer::Hash(hash(&rustix::fs::fstat(&single.file)?)),
        Request::Both(_) => both(&rustix::fs::fstat(&single.file)?),
        Request::Times(_, access, modification) => {
            finished(single.set_times(&times(*access, *modification))?)
        }
        Request::ReadLink => return Err(Errno::INVAL.into()),
        _ => return Err(Errno::BUSY.into()),
    })
}

/// What sort of file it is, in the words of the interface.
pub(super) fn kind(stat: &Stat) -> DescriptorType {
    match beneath::type_of(stat) {
        FileType::Directory => DescriptorType::Directory,
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        _ => DescriptorType::Unknown,
    }
}

/// Which file it is, in the form that wasmtime-wasi gives it.
pub(super) fn hash(stat: &Stat) -> MetadataHashValue {
    /// What wasmtime-wasi makes the upper half of.
    const UPPER: u64 = 4_614_256_656_552_045_848;
    let mut hasher = DefaultHasher::new();
    beneath::identity_of(stat).hash(&mut hasher);
    let lower = hasher.finish();
    MetadataHashValue {
        lower,
        upper: lower ^ UPPER,
    }
}

#[allow(
    clippy::cast_sign_loss,
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    reason = "differs by platform"
)]
pub(super) fn stat(stat: &Stat) -> DescriptorStat {
    let time = |seconds: i64, nanoseconds: u64| {
        Some(Datetime {
            seconds: u64::try_from(seconds).ok()?,
            nanoseconds: u32::try_from(nanoseconds).ok()?,
        })
    };
    DescriptorStat {
        type_: kind(stat),
        link_count: stat.st_nlink as u64,
        size: stat.st_size as u64,
        data_access_timestamp: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
        data_modification_timestamp: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
        status_change_timestamp: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
    }
}

#[allow(clippy::useless_conversion, reason = "differs by platform")]
fn times(access: NewTimestamp, modification: NewTimestamp) -> Timestamps {
    let time = |time: NewTimestamp| match time {
        NewTimestamp::NoChange => Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        NewTimestamp::Now => Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        },
        NewTimestamp::Timestamp(types::Datetime { seconds, nanoseconds }) => Timespec {
            tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
            tv_nsec: i64::from(nanoseconds % 1_000_000_000),
        },
    };
    Timestamps {
        last_access: time(access),
        last_modification: time(modification),
    }
}
