//! What is in files and folders, and the records that say so, as WASI 0.1 lays them out in the memory of a guest.

use super::numbers::Slot;
use super::{Answered, answered, write_bytes};
use crate::guest::Guest;
use crate::limits::Limit;
use crate::wasi::files::Entry;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use wasmtime_wasi::p1::types::{Ciovec, Errno, Fd, Iovec};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorStat, DescriptorType, MetadataHashValue};
use wiggle::{GuestMemory, GuestPtr};

/// The most bytes of one read at a given place.
const MOST_READ: u32 = 1 << 16;

/// The first buffer that is not empty; WASI 0.1 reads and writes no more at once.
fn first<T>(
    memory: &GuestMemory<'_>,
    (iovs, len): (i32, i32),
    buffer: impl Fn(T) -> (GuestPtr<u8>, u32),
) -> wasmtime::Result<GuestPtr<[u8]>>
where
    T: wiggle::GuestType,
{
    for iov in GuestPtr::<[T]>::new((iovs.cast_unsigned(), len.cast_unsigned())).iter() {
        let (start, len) = buffer(memory.read(iov?)?);
        if len > 0 {
            return Ok(start.as_array(len));
        }
    }
    Ok(GuestPtr::new((0, 0)))
}

/// Writes to a file under a quota; nothing where wasmtime-wasi is to write, because there is none, or it is no file.
pub(super) async fn write(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    (fd, iovs, len): (i32, i32, i32),
    at: Option<u64>,
) -> wasmtime::Result<Option<Result<u32, Errno>>> {
    let Slot::File(_) = guest.slot(fd) else {
        return Ok((guest.slot(fd) == Slot::Idle).then_some(Err(Errno::Badf)));
    };
    let quota = Arc::clone(&guest.files.quota);
    let Some(limit) = quota.limit() else {
        return Ok(None);
    };
    let buffer = first(memory, (iovs, len), |iov: Ciovec| (iov.buf, iov.buf_len))?;
    let taken = quota.take(buffer.len().into());
    if taken == 0 && buffer.len() > 0 {
        guest.monitor.struck(Limit::Write, "write", limit);
        return Ok(Some(Err(Errno::Dquot)));
    }
    // The same call on a memory of its own, which holds one buffer of what may be written.
    let part = u32::try_from(taken)?;
    let data = GuestPtr::<[u8]>::new((buffer.offset().0, part));
    let mut own = [8_u32.to_le_bytes(), part.to_le_bytes()].concat();
    own.extend_from_slice(&memory.as_cow(data)?);
    guest.wasi.set_hostcall_fuel(usize::MAX);
    let (fd, iovs) = (Fd::from(fd.cast_unsigned()), GuestPtr::new((0, 1)));
    let own = &mut GuestMemory::Unshared(&mut own);
    let written = match at {
        Some(at) => guest.wasi.fd_pwrite(own, fd, iovs, at).await,
        None => guest.wasi.fd_write(own, fd, iovs).await,
    };
    let written = match written {
        Ok(written) => Ok(written),
        Err(error) => Err(error.downcast()?),
    };
    quota.give_back(taken - u64::from(*written.as_ref().unwrap_or(&0)));
    Ok(Some(written))
}

/// Takes from the quota what a file grows by when its size is set.
pub(super) fn grow(guest: &mut Guest, fd: i32, size: u64) -> Answered<u64> {
    let slot = guest.slot(fd);
    let (Slot::File(handle), Some(limit)) = (slot, guest.files.quota.limit()) else {
        return Ok(if slot == Slot::Idle {
            Err(Errno::Badf)
        } else {
            Ok(0)
        });
    };
    let now = guest.file(handle)?.file.metadata().map_or(0, |found| found.len());
    let growth = size.saturating_sub(now);
    let taken = guest.files.quota.take(growth);
    if taken < growth {
        guest.files.quota.give_back(taken);
        guest.monitor.struck(Limit::Write, "write", limit);
        return Ok(Err(Errno::Dquot));
    }
    Ok(Ok(growth))
}

pub(super) async fn read_at(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    handle: u32,
    iovs: (i32, i32),
    at: u64,
) -> Answered<u32> {
    let buffer = first(memory, iovs, |iov: Iovec| (iov.buf, iov.buf_len))?;
    let file = guest.file(handle)?.file;
    let most = buffer.len().min(MOST_READ) as usize;
    let read = move || {
        let mut bytes = vec![0; most];
        file.read_at(&mut bytes, at).map(|read| {
            bytes.truncate(read);
            bytes
        })
    };
    let read = if guest.files.waits {
        read()
    } else {
        wasmtime_wasi::runtime::spawn_blocking(read).await
    };
    match read {
        Ok(bytes) => {
            let len = u32::try_from(bytes.len())?;
            memory.copy_from_slice(&bytes, GuestPtr::<[u8]>::new((buffer.offset().0, len)))?;
            Ok(Ok(len))
        }
        Err(error) => answered(Err(error.into())),
    }
}

/// Reads a folder from the entry `cookie` on: `.` and `..` first, then what is in it.
pub(super) async fn read_folder(
    guest: &mut Guest,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    (start, len): (i32, i32),
    cookie: u64,
) -> Answered<u32> {
    let handle = match guest.folder(fd) {
        Ok(handle) => handle,
        Err(Errno::Notdir) => return Ok(Err(Errno::Badf)),
        Err(errno) => return Ok(Err(errno)),
    };
    let known = matches!(&guest.files.numbers.listing, Some((number, _)) if *number == fd.cast_unsigned());
    if cookie == 0 || !known {
        let mut entries = vec![own(guest, handle, "."), own(guest, handle, "..")];
        match answered(guest.entries(handle).await)? {
            Ok(found) => entries.extend(found),
            Err(errno) => return Ok(Err(errno)),
        }
        guest.files.numbers.listing = Some((fd.cast_unsigned(), entries));
    }
    let entries = guest
        .files
        .numbers
        .listing
        .as_ref()
        .map_or(&[][..], |(_, entries)| entries);
    let room = len.cast_unsigned() as usize;
    let mut bytes = Vec::new();
    for (place, entry) in entries
        .iter()
        .enumerate()
        .skip(usize::try_from(cookie).unwrap_or(usize::MAX))
    {
        if bytes.len() >= room {
            break;
        }
        bytes.extend_from_slice(&(place as u64 + 1).to_le_bytes());
        bytes.extend_from_slice(&entry.number.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.name.len())?.to_le_bytes());
        bytes.extend_from_slice(&[filetype(entry.kind), 0, 0, 0]);
        bytes.extend_from_slice(entry.name.as_bytes());
    }
    bytes.truncate(room);
    write_bytes(memory, start, &bytes)?;
    Ok(Ok(u32::try_from(bytes.len())?))
}

/// The entry of a folder itself; of the one above it nothing is told.
fn own(guest: &mut Guest, handle: u32, name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: DescriptorType::Directory,
        number: guest.number_of(handle),
    }
}

fn filetype(kind: DescriptorType) -> u8 {
    match kind {
        DescriptorType::BlockDevice => 1,
        DescriptorType::CharacterDevice => 2,
        DescriptorType::Directory => 3,
        DescriptorType::RegularFile => 4,
        DescriptorType::SymbolicLink => 7,
        _ => 0,
    }
}

fn nanoseconds(time: Option<Datetime>) -> u64 {
    time.map_or(0, |time| {
        time.seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(time.nanoseconds.into())
    })
}

/// The record `filestat`.
pub(super) fn filestat(stat: &DescriptorStat, hash: MetadataHashValue) -> Vec<u8> {
    record(stat, hash, &stat.link_count.to_le_bytes(), 7)
}

/// The record `filestat` of `wasi_unstable`, which counts links in 32 bits.
pub(super) fn filestat_before(stat: &DescriptorStat, hash: MetadataHashValue) -> Vec<u8> {
    record(
        stat,
        hash,
        &u32::try_from(stat.link_count).unwrap_or(u32::MAX).to_le_bytes(),
        3,
    )
}

fn record(stat: &DescriptorStat, hash: MetadataHashValue, links: &[u8], gap: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&1_u64.to_le_bytes());
    bytes.extend_from_slice(&hash.lower.to_le_bytes());
    bytes.push(filetype(stat.type_));
    bytes.resize(bytes.len() + gap, 0);
    bytes.extend_from_slice(links);
    bytes.extend_from_slice(&stat.size.to_le_bytes());
    for time in [
        stat.data_access_timestamp,
        stat.data_modification_timestamp,
        stat.status_change_timestamp,
    ] {
        bytes.extend_from_slice(&nanoseconds(time).to_le_bytes());
    }
    bytes
}
