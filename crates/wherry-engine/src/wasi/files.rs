//! Files of guests: the one place where it is decided what a path may reach, whatever the version of WASI.
//!
//! wasmtime-wasi keeps paths inside the folder that they start in, and writes out of folders that may only be read. What it
//! has no notion of is here: grants of single files, grants inside one another, devices and pipes, quotas, what is said
//! about a refusal, and paths that nobody granted, which the guest looks up in a root that is empty.
//! Start reading at [`Files::place`]; `files/operations.rs` does what was decided.

mod acts;
mod beneath;
mod beyond;
mod canonical;
mod errands;
mod grants;
mod listing;
mod nested;
mod operations;
mod prompt;
mod quota;
mod single;

use crate::limits::Limits;
use crate::monitor::{Access, Grant, Monitor};
use beneath::Identity;
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

pub use beneath::Opening;
pub use grants::Preopens;
pub use listing::Entry;
pub use operations::{Answer, Request};
pub use prompt::Prompt;
pub use quota::{Metered, OverQuota, Quota};
pub use single::Single;

/// How `open-at` opens, or that it cannot. The flags of WASI 0.2 and 0.3 have the same names, in types of their own that are in
/// scope where this stands.
macro_rules! opening {
    ($look:expr, $open:expr, $flags:expr) => {{
        let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if $flags.intersects(synchronous) {
            Err(wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode::Unsupported)
        } else {
            Ok($crate::wasi::files::Opening {
                follow: $look.contains(PathFlags::SYMLINK_FOLLOW),
                create: $open.contains(OpenFlags::CREATE),
                exclusive: $open.contains(OpenFlags::EXCLUSIVE),
                truncate: $open.contains(OpenFlags::TRUNCATE),
                directory: $open.contains(OpenFlags::DIRECTORY),
                read: $flags.contains(DescriptorFlags::READ),
                write: $flags.contains(DescriptorFlags::WRITE),
            })
        }
    }};
}
pub(super) use opening;

/// What a guest does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Asks what is there.
    Look,
    /// Reads a file.
    Read,
    /// Reads a folder.
    List,
    /// Writes to a file that is there.
    Write,
    /// Opens a file to write, which may not be there yet.
    Create,
    /// Makes a folder or a symbolic link.
    Make,
    /// Removes it.
    Remove,
    /// Gives it another name, or gives its name to something else.
    Rename,
    /// Gives it a second name.
    Link,
    /// Changes its times.
    Times,
}

impl Intent {
    /// In the words of an [`Access`].
    pub fn operation(self) -> &'static str {
        match self {
            Intent::Look => "look at",
            Intent::Read => "read",
            Intent::List => "list",
            Intent::Write | Intent::Create => "write",
            Intent::Make => "create",
            Intent::Remove => "remove",
            Intent::Rename => "rename",
            Intent::Link => "link",
            Intent::Times => "change the times of",
        }
    }

    /// Whether it needs a grant that can be written.
    pub fn changes(self) -> bool {
        !matches!(self, Intent::Look | Intent::Read | Intent::List)
    }

    /// Whether what it is about need not be there.
    fn makes(self) -> bool {
        matches!(
            self,
            Intent::Create | Intent::Make | Intent::Rename | Intent::Link
        )
    }
}

/// A folder that the guest starts from.
#[derive(Clone)]
struct Granted {
    /// What the guest calls it.
    guest: String,
    dir: Dir,
    identity: Identity,
    read_only: bool,
    /// As it is typed, with the right to write.
    writable: Grant,
    /// Single files that it shows; it holds nothing else then.
    files: Vec<(String, Arc<Single>)>,
    /// What is not in it was not granted.
    bare: bool,
}

/// What a descriptor of the guest is called, and which grant its rights come from.
#[derive(Debug, Clone)]
pub struct Named {
    /// As the guest named it.
    pub path: String,
    grant: usize,
}

/// Where a path leads.
pub enum Place {
    /// Where wasmtime-wasi finds it.
    Here,
    /// The name `name` in another folder, with the rights of another grant.
    In(Arc<File>, String, usize),
    /// A folder that was granted by itself.
    Root(usize),
    /// A file that was granted by itself.
    Single(Arc<Single>),
}

/// What is known of the files of one guest.
pub struct Files {
    granted: Vec<Granted>,
    singles: Vec<Arc<Single>>,
    /// By the number of their resource.
    names: Vec<Option<Named>>,
    /// A path may lead from one grant into another.
    nests: bool,
    /// Reading and writing may hold the thread up.
    pub(super) waits: bool,
    /// The thread may be left behind, or its process simply end: what is looked at for a hint may take its time.
    pub(crate) patient: bool,
    /// A file system did not answer in time that was asked for a hint: none is asked any more.
    unanswered: AtomicBool,
    /// Bytes written.
    pub(super) quota: Arc<Quota>,
    /// Handles that may be open.
    pub(super) handles: u64,
    pub(super) numbers: super::preview1::Numbers,
    /// What is still to be read of folders that are read in an order of our own, by the number of their stream.
    pub(super) listings: HashMap<u32, std::vec::IntoIter<Entry>>,
    /// Everything that differs between machines is made up: order of folders, times, numbers of files.
    pub(super) canonical: Option<canonical::Canonical>,
}

impl Files {
    /// What `preopens` granted, now that `wasi` has opened it.
    ///
    /// # Errors
    /// Those of the kernel for a folder that cannot be looked at.
    pub fn new(
        mut preopens: Preopens,
        wasi: &mut WasiP1Ctx,
        limits: &Limits,
        waits: bool,
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            nests: preopens.nests,
            granted: preopens.granted(wasi)?,
            singles: preopens.singles,
            names: Vec::new(),
            waits,
            patient: false,
            unanswered: AtomicBool::new(false),
            quota: Arc::new(Quota::new(limits.write)),
            handles: u64::from(limits.handles),
            numbers: super::preview1::Numbers::default(),
            listings: HashMap::new(),
            canonical: preopens.time.map(canonical::Canonical::new),
        })
    }

    /// Counts anew what is limited for each request to a guest.
    pub(crate) fn renew(&self) {
        self.quota.renew();
    }

    /// Takes bytes off what may be written, all of them or none; the limit where they are too many.
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), u64> {
        let taken = self.quota.take(bytes);
        if taken == bytes {
            return Ok(());
        }
        self.quota.give_back(taken);
        Err(self.quota.limit().unwrap_or(u64::MAX))
    }

    /// How many handles may be open at once.
    pub(crate) fn handles(&self) -> u64 {
        self.handles
    }

    /// How many folders the guest starts from.
    pub(super) fn preopened(&self) -> usize {
        self.granted.len()
    }

    /// Whether what is in a folder is read here: its order is made up, or the folder itself.
    pub(super) fn lists(&self, handle: u32) -> bool {
        let bare = |named: &Named| self.granted[named.grant].bare;
        self.canonical.is_some() || self.named(handle).is_some_and(bare)
    }

    /// Which of the folders that the guest starts from this is.
    pub(super) fn grant_of(&self, dir: &Dir) -> Option<usize> {
        self.granted
            .iter()
            .position(|granted| Arc::ptr_eq(&granted.dir.dir, &dir.dir))
    }

    /// Gives the resource `handle` the name of a folder that the guest starts from.
    pub(super) fn name_preopen(&mut self, handle: u32, grant: usize) {
        if let Some(granted) = self.granted.get(grant) {
            let path = granted.guest.clone();
            self.name(handle, Some(Named { path, grant }));
        }
    }

    /// Gives a resource its name, or none, as another one may have had its number.
    pub(super) fn name(&mut self, handle: u32, named: Option<Named>) {
        let place = handle as usize;
        if self.names.len() <= place {
            if named.is_none() {
                return;
            }
            self.names.resize(place + 1, None);
        }
        self.names[place] = named;
    }

    fn named(&self, handle: u32) -> Option<&Named> {
        self.names.get(handle as usize)?.as_ref()
    }

    /// What a guest means by `path`, seen from `handle`.
    pub(super) fn spelled(&self, handle: u32, path: &str) -> String {
        self.named(handle)
            .map_or_else(|| path.to_owned(), |named| joined(&named.path, path))
    }

    /// Where `path` leads from the folder `handle`, and whether the guest may do there what it wants.
    ///
    /// # Errors
    /// What the guest is answered when it may not; it was noted then.
    pub(super) fn place(
        &mut self,
        monitor: &Monitor,
        table: &ResourceTable,
        handle: u32,
        path: &str,
        (intent, follow): (Intent, bool),
    ) -> Result<Place, ErrorCode> {
        let Some(named) = self.named(handle) else {
            return Ok(Place::Here);
        };
        let grant = named.grant;
        if self.granted[grant].bare {
            return self.beyond(monitor, (handle, grant), path, (intent, follow));
        }
        let place = if self.nests {
            let Ok(Descriptor::Dir(dir)) = table.get(&Resource::new_borrow(handle)) else {
                return Ok(Place::Here);
            };
            let start = Arc::clone(&dir.dir);
            self.resolve(start, grant, path, follow)
                .map_err(|error| self.judged(monitor, table, handle, path, intent, error))?
        } else {
            Place::Here
        };
        self.permit(monitor, place, (handle, grant), path, intent)
    }

    /// Refuses what the rights of the place do not cover.
    fn permit(
        &mut self,
        monitor: &Monitor,
        place: Place,
        (handle, grant): (u32, usize),
        path: &str,
        intent: Intent,
    ) -> Result<Place, ErrorCode> {
        let access = || self.access(handle, path, intent);
        let fixed = matches!(
            intent,
            Intent::Make | Intent::Remove | Intent::Rename | Intent::Link
        );
        let governing = match &place {
            Place::Root(_) | Place::Single(_) if fixed => {
                monitor.refused(access(), "it was granted by itself and keeps its place", None);
                return Err(ErrorCode::Busy);
            }
            Place::Single(single) => {
                if intent.changes() && single.read_only {
                    monitor.refused(access(), READ_ONLY, Some(single.writable.clone()));
                    return Err(ErrorCode::NotPermitted);
                }
                return Ok(place);
            }
            Place::Here => grant,
            Place::In(_, _, other) | Place::Root(other) => *other,
        };
        let granted = &self.granted[governing];
        if !intent.changes() || !granted.read_only {
            return Ok(place);
        }
        let access = access();
        if !monitor.learns(&access, &granted.writable) {
            monitor.refused(access, READ_ONLY, Some(granted.writable.clone()));
            return Err(ErrorCode::NotPermitted);
        }
        self.make_writable(governing);
        Ok(place)
    }

    /// What is said of an access.
    fn access(&self, handle: u32, path: &str, intent: Intent) -> Access {
        Access {
            subject: crate::monitor::Subject::File,
            operation: intent.operation(),
            target: self.spelled(handle, path),
        }
    }

    /// Notes that an access went well, where that is wanted.
    pub(crate) fn went_well(&self, monitor: &Monitor, handle: u32, path: &str, intent: Intent) {
        if monitor.records() {
            monitor.granted(|| self.access(handle, path, intent));
        }
    }

    /// Notes that an access failed that nobody refused, where that is wanted.
    pub(super) fn went_wrong(
        &self,
        monitor: &Monitor,
        handle: u32,
        path: &str,
        intent: Intent,
        error: ErrorCode,
    ) {
        if monitor.records() {
            monitor.failed(|| self.access(handle, path, intent), error.name());
        }
    }

    /// Notes why an access was refused that `error` ended, or that it failed, and what the guest is answered.
    pub(super) fn judged(
        &self,
        monitor: &Monitor,
        table: &ResourceTable,
        handle: u32,
        path: &str,
        intent: Intent,
        error: ErrorCode,
    ) -> ErrorCode {
        match error {
            ErrorCode::CrossDevice | ErrorCode::NotPermitted => {
                let Ok(Descriptor::Dir(dir)) = table.get(&Resource::new_borrow(handle)) else {
                    return error;
                };
                if self.leads_out(Arc::clone(&dir.dir), handle, path) {
                    let lift = self.outside(handle, path);
                    monitor.refused(self.access(handle, path, intent), LEADS_OUT, lift);
                    return ErrorCode::NotPermitted;
                }
            }
            ErrorCode::NoEntry if self.perhaps_absolute(monitor, handle, path, intent) => return error,
            _ => {}
        }
        self.went_wrong(monitor, handle, path, intent, error);
        error
    }

    /// Whether the guest may change an open file or folder, whatever it was opened for.
    ///
    /// # Errors
    /// What the guest is answered when it may not; it was noted then.
    pub(super) fn permit_open(
        &mut self,
        monitor: &Monitor,
        table: &mut ResourceTable,
        handle: u32,
        intent: Intent,
    ) -> Result<(), ErrorCode> {
        let opened = Resource::<Descriptor>::new_borrow(handle);
        let (perms, identity) = match table.get(&opened).map_err(|_| ErrorCode::BadDescriptor)? {
            Descriptor::File(file) => (file.perms, beneath::identity(&file.file)?),
            Descriptor::Dir(dir) => (dir.perms, beneath::identity(&dir.dir)?),
        };
        let Some(named) = self.named(handle).filter(|_| perms.write_not_permitted()) else {
            return Ok(());
        };
        let grant = named.grant;
        let access = self.access(handle, ".", intent);
        let single = self.single_of(identity);
        let lift = single.map_or_else(
            || self.granted[grant].writable.clone(),
            |single| single.writable.clone(),
        );
        if !monitor.learns(&access, &lift) {
            monitor.refused(access, READ_ONLY, Some(lift));
            return Err(ErrorCode::NotPermitted);
        }
        match table.get_mut(&opened).map_err(|_| ErrorCode::BadDescriptor)? {
            Descriptor::File(file) => file.perms = FsPerms::ReadWrite,
            Descriptor::Dir(dir) => dir.perms = FsPerms::ReadWrite,
        }
        Ok(())
    }

    /// Whether a path that was refused leads out of the folder that it starts in, now that it can take its time.
    fn leads_out(&self, folder: Arc<File>, handle: u32, path: &str) -> bool {
        let grant = self.named(handle).map(|named| named.grant);
        let found = grant.map(|grant| self.resolve(folder, grant, path, true));
        matches!(found, Some(Err(ErrorCode::CrossDevice)))
    }

    /// Notes that a device, a pipe or a socket was not opened.
    pub(super) fn special(&self, monitor: &Monitor, handle: u32, path: &str, intent: Intent) -> ErrorCode {
        monitor.refused(self.access(handle, path, intent), SPECIAL, None);
        ErrorCode::NotPermitted
    }

    /// Refuses one more handle, and says so.
    pub(super) fn struck_handles(&self, monitor: &Monitor) -> ErrorCode {
        monitor.struck(crate::limits::Limit::Handles, "open", self.handles);
        ErrorCode::InsufficientMemory
    }

    /// Whether two folders have their rights from one grant.
    fn same_grant(&self, one: u32, other: u32) -> bool {
        self.named(one).map(|named| named.grant) == self.named(other).map(|named| named.grant)
    }
}

const READ_ONLY: &str = "it was granted read-only";
const LEADS_OUT: &str = "the path leads out of the folder that was granted";
const SPECIAL: &str = "devices, pipes and sockets are never opened";

/// The next handle that a table gives out; none when it is full.
pub fn next_handle(table: &mut ResourceTable) -> Option<u32> {
    let probe = table.push(()).ok()?;
    let next = probe.rep();
    table.delete(probe).ok()?;
    Some(next)
}

/// The path of something in a folder, as the guest would write it.
fn joined(folder: &str, path: &str) -> String {
    let path = path.trim_start_matches("./");
    match (folder, path) {
        (_, "" | ".") => folder.to_owned(),
        (".", _) => format!("./{path}"),
        _ => format!("{}/{path}", folder.trim_end_matches('/')),
    }
}

/// Writes to a file at a place, or at its end.
///
/// # Errors
/// What the kernel says.
pub fn put(file: &File, at: Option<u64>, bytes: &[u8]) -> std::io::Result<usize> {
    use std::os::unix::fs::FileExt as _;
    match at {
        Some(at) => file.write_at(bytes, at),
        None => append(file, bytes),
    }
}

#[cfg(target_os = "linux")]
fn append(file: &File, bytes: &[u8]) -> std::io::Result<usize> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    Ok(pwritev2(
        file,
        &[std::io::IoSlice::new(bytes)],
        0,
        ReadWriteFlags::APPEND,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn append(file: &File, bytes: &[u8]) -> std::io::Result<usize> {
    use std::os::unix::fs::FileExt as _;
    file.write_at(bytes, file.metadata()?.len())
}
