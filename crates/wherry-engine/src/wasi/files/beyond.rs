//! Paths that nobody granted: what would have to be granted for them, and what is done about them while a policy is learned.
//!
//! The C library of guests cuts the slash off a path before the host sees it. Whether `tmp/x` was `./tmp/x` or `/tmp/x` is
//! decided by what there is on the host, the current folder first.

use super::beneath::{self, Opening};
use super::{Files, Granted, Intent, Place, SPECIAL};
use crate::apart;
use crate::monitor::{Access, Grant, Monitor, Subject};
use crate::watch::Watch;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::{FsPerms, OpenMode};

const NOT_GRANTED: &str = "it was not granted";

/// How long a file system may think about a path that a guest was refused.
const MOMENT: Duration = Duration::from_millis(100);

/// Something on the host that a guest named without a grant.
struct Wanted {
    /// As the guest would write it.
    target: String,
    /// The folder that would have to be granted, as it is typed.
    folder: String,
    /// The rest of the path, in that folder.
    rest: String,
    /// It is a device, a pipe or a socket.
    special: bool,
}

impl Files {
    /// Where a path leads from a folder that holds nothing, or only files that were granted by themselves.
    ///
    /// # Errors
    /// What the guest is answered where nothing was granted.
    pub(super) fn beyond(
        &mut self,
        monitor: &Monitor,
        (handle, grant): (u32, usize),
        path: &str,
        (intent, follow): (Intent, bool),
    ) -> Result<Place, ErrorCode> {
        let granted = &self.granted[grant];
        let clean = clean(path);
        if !granted.files.is_empty() {
            if let Some(place) = Place::shown(&granted.files, &clean) {
                return self.permit(monitor, place, (handle, grant), path, intent);
            }
            if clean == "." && !intent.changes() {
                return Ok(Place::Here);
            }
        }
        let guest = granted.guest.trim_start_matches('/');
        let whole = match guest {
            "" | "." => clean,
            _ => format!("{guest}/{clean}"),
        };
        let Some(wanted) = self.looked(move || wanted(&whole, intent)).flatten() else {
            self.went_wrong(monitor, handle, path, intent, ErrorCode::NoEntry);
            return Err(ErrorCode::NoEntry);
        };
        let access = Access {
            subject: Subject::File,
            operation: intent.operation(),
            target: wanted.target.clone(),
        };
        if wanted.special && matches!(intent, Intent::Read | Intent::Write) {
            monitor.refused(access, SPECIAL, None);
            return Err(ErrorCode::NoEntry);
        }
        let lift = Grant {
            flag: "dir",
            value: wanted.folder.clone(),
        };
        // A look at the folder that it was started in is how many programs begin.
        if wanted.target == "." && intent == Intent::Look {
            self.went_wrong(monitor, handle, path, intent, ErrorCode::NoEntry);
            return Err(ErrorCode::NoEntry);
        }
        if monitor.learns(&access, &lift)
            && let Ok(learned) = self.learn(&lift, intent.changes())
        {
            let start = std::sync::Arc::clone(&self.granted[learned].dir.dir);
            return self.resolve(start, learned, &wanted.rest, follow);
        }
        monitor.refused(access, NOT_GRANTED, Some(lift));
        Err(ErrorCode::NoEntry)
    }

    /// What is found on the host for a hint; nothing where a file system takes its time over it. A guest may name any path.
    fn looked<T: Send + 'static>(&self, look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        if self.patient {
            return Some(look());
        }
        if self.unanswered.load(Ordering::Relaxed) {
            return None;
        }
        let watch = Watch {
            deadline: Some((Instant::now() + MOMENT, MOMENT)),
            ..Watch::default()
        };
        let found = apart::run(&watch, 0, look, || (), drop).ok();
        self.unanswered.store(found.is_none(), Ordering::Relaxed);
        found
    }

    /// The grant of a folder that is let through while a policy is learned.
    fn learn(&mut self, lift: &Grant, changes: bool) -> std::io::Result<usize> {
        let known = |granted: &Granted| granted.writable == *lift && !granted.bare;
        let place = if let Some(place) = self.granted.iter().position(known) {
            place
        } else {
            let file = std::fs::File::open(&lift.value)?;
            self.granted.push(Granted {
                guest: lift.value.clone(),
                identity: beneath::identity(&file)?,
                dir: Dir::new(file, FsPerms::ReadOnly, OpenMode::READ, self.waits),
                read_only: true,
                writable: lift.clone(),
                files: Vec::new(),
                bare: false,
            });
            self.nests = true;
            self.granted.len() - 1
        };
        if changes {
            self.make_writable(place);
        }
        Ok(place)
    }

    /// Lets a folder be written that was granted read-only, while a policy is learned.
    pub(super) fn make_writable(&mut self, grant: usize) {
        self.granted[grant].read_only = false;
        self.granted[grant].dir.perms = FsPerms::ReadWrite;
        // Folders that the guest has open still say otherwise: from now on it is decided here.
        self.nests = true;
    }

    /// Notes that something which is not in the folder `.` may have been meant by its whole path, which is not granted;
    /// whether that is so.
    pub(super) fn perhaps_absolute(
        &self,
        monitor: &Monitor,
        handle: u32,
        path: &str,
        intent: Intent,
    ) -> bool {
        if intent.makes() || self.named(handle).is_none_or(|named| named.path != ".") {
            return false;
        }
        let clean = clean(path);
        let whole = Path::new("/").join(&clean);
        let Some(folder) = whole.parent().filter(|folder| *folder != Path::new("/")) else {
            return false;
        };
        let covered = |granted: &Granted| !granted.bare && whole.starts_with(&granted.guest);
        let there = whole.clone();
        if self.granted.iter().any(covered) || !self.looked(move || there.is_file()).unwrap_or_default() {
            return false;
        }
        let lift = Grant {
            flag: "dir",
            value: folder.display().to_string(),
        };
        let access = Access {
            subject: Subject::File,
            operation: intent.operation(),
            target: whole.display().to_string(),
        };
        monitor.refused(access, NOT_GRANTED, Some(lift));
        true
    }

    /// What would allow a path that leads out, if anything can: a folder above the one that a relative path starts in.
    pub(super) fn outside(&self, handle: u32, path: &str) -> Option<Grant> {
        let named = self.named(handle)?;
        if named.path != "." || !path.starts_with("../") {
            return None;
        }
        let folder = Path::new(path).parent()?;
        // The C library looks for `../x` in a folder that is called `..`, and passes anything else through `.`.
        let plain = folder
            .components()
            .all(|part| part.as_os_str() != "." && !part.as_os_str().is_empty());
        (plain && folder.is_dir()).then(|| Grant {
            flag: "dir",
            value: folder.display().to_string(),
        })
    }
}

/// What is meant by a path that nobody granted; nothing where there is nothing on the host.
fn wanted(clean: &str, intent: Intent) -> Option<Wanted> {
    let absolute = format!("/{clean}");
    let candidates = [clean, absolute.as_str()];
    let there = |path: &&&str| std::fs::metadata(path).is_ok();
    if let Some(path) = candidates.iter().find(there) {
        return Some(known(path, intent));
    }
    if !intent.makes() {
        return None;
    }
    let held = |path: &&&str| folder(path).is_dir();
    candidates.iter().find(held).map(|path| beside(path))
}

/// What is there: a folder is granted itself, unless it is to be changed.
fn known(path: &str, intent: Intent) -> Wanted {
    let found = std::fs::metadata(path);
    let is_dir = found.as_ref().is_ok_and(std::fs::Metadata::is_dir);
    let special = found.is_ok_and(|found| !found.is_dir() && !found.is_file());
    if is_dir && (!intent.changes() || matches!(path, "." | "/")) {
        return Wanted {
            target: path.to_owned(),
            folder: path.to_owned(),
            rest: ".".to_owned(),
            special,
        };
    }
    Wanted {
        special,
        ..beside(path)
    }
}

/// Something in a folder.
fn beside(path: &str) -> Wanted {
    let relative = !path.starts_with('/') && !path.starts_with("..");
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    Wanted {
        target: if relative {
            format!("./{path}")
        } else {
            path.to_owned()
        },
        folder: folder(path).display().to_string(),
        rest: name.to_owned(),
        special: false,
    }
}

fn folder(path: &str) -> PathBuf {
    match Path::new(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A path without `.` and doubled slashes; `.` for the folder itself.
fn clean(path: &str) -> String {
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    if names.is_empty() {
        ".".to_owned()
    } else {
        names.join("/")
    }
}

/// The intent of opening something.
pub fn intent_of(opening: Opening) -> Intent {
    match opening {
        Opening { create: true, .. } => Intent::Create,
        opening if opening.changes() => Intent::Write,
        Opening { directory: true, .. } => Intent::List,
        _ => Intent::Read,
    }
}
