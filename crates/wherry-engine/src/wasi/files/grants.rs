//! The folders that a guest starts from: those of its policy, those that only show single files, and the empty root.
//!
//! A guest whose C library finds no folder for a path answers itself that nothing is there, and nobody hears of it. The root
//! is a folder that was removed as soon as it was made: nothing can be found or made in it, and every try is seen.

use super::beneath::{self, Identity};
use super::{Granted, Place};
use crate::error::{Error, Kind, Result};
use crate::monitor::Grant;
use crate::policy::{Clock, DirGrant, Policy};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// A file that was granted by itself.
pub struct Single {
    /// Only to know it by, and to open it again.
    pub file: File,
    /// Which file it is.
    pub identity: Identity,
    /// It may not be written.
    pub read_only: bool,
    /// As it is typed, with the right to write.
    pub writable: Grant,
}

/// What the guest will start from, in the order that it sees.
pub struct Preopens {
    pub(super) plans: Vec<Plan>,
    pub(super) singles: Vec<Arc<Single>>,
    pub(super) nests: bool,
    /// When all files are from, in a run that must be the same on each machine.
    pub(super) time: Option<Duration>,
}

/// One folder that the guest will start from.
pub(super) struct Plan {
    guest: String,
    /// On the host; none for a folder that is made up.
    host: Option<PathBuf>,
    read_only: bool,
    writable: Grant,
    files: Vec<(String, Arc<Single>)>,
}

impl Plan {
    pub fn granted(self, dir: Dir) -> std::io::Result<Granted> {
        Ok(Granted {
            identity: beneath::identity(&dir.dir)?,
            bare: self.host.is_none(),
            guest: self.guest,
            dir,
            read_only: self.read_only,
            writable: self.writable,
            files: self.files,
        })
    }

    fn bare(guest: &str) -> Self {
        Self {
            guest: guest.to_owned(),
            host: None,
            read_only: true,
            writable: Grant {
                flag: "dir",
                value: guest.to_owned(),
            },
            files: Vec::new(),
        }
    }
}

impl Preopens {
    /// Opens in `builder` what `policy` grants.
    ///
    /// # Errors
    /// [`Kind::Grant`] for what cannot be opened.
    pub fn open(policy: &Policy, builder: &mut WasiCtxBuilder) -> Result<Self> {
        let mut plans: Vec<Plan> = Vec::new();
        let mut files = Vec::new();
        let current = policy.current_dir()?;
        for dir in policy.dirs.iter().chain(current.as_ref()) {
            if dir.host.is_file() {
                files.push(dir);
            } else {
                plans.push(Plan {
                    guest: dir.guest.clone(),
                    host: Some(dir.host.clone()),
                    read_only: dir.read_only,
                    writable: writable(dir),
                    files: Vec::new(),
                });
            }
        }
        let mut singles = Vec::new();
        for dir in files {
            let single = Arc::new(single(dir).map_err(|error| ungranted(&dir.host, &error))?);
            singles.push(Arc::clone(&single));
            show(&mut plans, &dir.guest, single);
        }
        // The C library of WASI 0.1 cannot tell `.` from `/`.
        if EMPTY.is_some()
            && !plans
                .iter()
                .any(|plan| matches!(plan.guest.as_str(), "." | "./" | "/"))
        {
            plans.push(Plan::bare("/"));
        }
        for plan in &plans {
            let permissions = if plan.read_only {
                FsPerms::ReadOnly
            } else {
                FsPerms::ReadWrite
            };
            let Some(host) = plan.host.as_deref().or(EMPTY.as_deref()) else {
                let message = format!(
                    "`{}` cannot be granted alone: no folder can be made for it",
                    plan.guest
                );
                return Err(
                    Error::new(Kind::Grant, message).with_hint("grant the folder that holds the file")
                );
            };
            builder
                .preopened_dir(host, &plan.guest, permissions)
                .map_err(|error| ungranted(host, &error))?;
        }
        let nests = nests(&plans, &singles, policy);
        Ok(Self {
            plans,
            singles,
            nests,
            time: policy.deterministic.then_some(match policy.clock {
                Clock::Virtual { start, .. } => start,
                Clock::Host | Clock::Withheld => Duration::ZERO,
            }),
        })
    }
}

impl Preopens {
    /// How many folders the guest sees that are none.
    pub fn made_up(&self) -> usize {
        self.plans.iter().filter(|plan| plan.host.is_none()).count()
    }
}

/// The folder that nothing is in: a name for a descriptor that stays open.
static EMPTY: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    use std::os::fd::IntoRawFd;
    let opened = tempfile::tempdir()
        .and_then(|folder| File::open(folder.path()))
        .ok()?;
    let name = format!("/proc/self/fd/{}", opened.into_raw_fd());
    Some(PathBuf::from(name)).filter(|name| name.is_dir())
});

/// The grant that the guest could write with.
fn writable(dir: &DirGrant) -> Grant {
    let here = std::env::current_dir().unwrap_or_default();
    let host = match dir.host.strip_prefix(&here) {
        Ok(inside) if inside.as_os_str().is_empty() => Path::new("."),
        Ok(inside) => inside,
        Err(_) => &dir.host,
    };
    let grant = DirGrant {
        host: host.to_owned(),
        guest: dir.guest.clone(),
        read_only: false,
    };
    Grant {
        flag: "dir",
        value: grant.to_string(),
    }
}

fn single(dir: &DirGrant) -> std::io::Result<Single> {
    use rustix::fs::{Mode, OFlags};
    // What the name leads to now is what was granted, whatever it leads to later.
    let file = File::from(rustix::fs::open(
        &dir.host,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )?);
    Ok(Single {
        identity: beneath::identity(&file)?,
        file,
        read_only: dir.read_only,
        writable: writable(dir),
    })
}

/// Puts a file where the guest sees it: in a folder that shows it and nothing else, or that it was granted.
fn show(plans: &mut Vec<Plan>, guest: &str, single: Arc<Single>) {
    let guest = guest.strip_prefix("./").unwrap_or(guest);
    let there = |plan: &Plan| {
        let (rest, host) = (
            Path::new(guest).strip_prefix(plain(&plan.guest)).ok()?,
            plan.host.as_ref()?,
        );
        File::open(host.join(rest))
            .and_then(|file| beneath::identity(&file))
            .ok()
    };
    if plans.iter().any(|plan| there(plan) == Some(single.identity)) {
        return;
    }
    let (folder, name) = match guest.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", guest),
    };
    let plan = match plans.iter().position(|plan| plain(&plan.guest) == plain(folder)) {
        Some(known) => &mut plans[known],
        None => plans.push_mut(Plan::bare(folder)),
    };
    plan.files.push((name.to_owned(), single));
}

fn plain(guest: &str) -> &Path {
    let guest = guest.strip_prefix("./").unwrap_or(guest);
    Path::new(if guest == "." { "" } else { guest })
}

/// Whether a path may lead from one grant into another, on the host or in the guest.
fn nests(plans: &[Plan], singles: &[Arc<Single>], policy: &Policy) -> bool {
    let real: Vec<PathBuf> = policy
        .dirs
        .iter()
        .filter_map(|dir| dir.host.canonicalize().ok())
        .collect();
    let folders: Vec<&Plan> = plans.iter().filter(|plan| plan.host.is_some()).collect();
    let inside = |paths: &[&Path]| {
        let within = |(place, path): (usize, &&Path)| {
            paths
                .iter()
                .enumerate()
                .any(|(other, folder)| other != place && path.starts_with(folder))
        };
        paths.iter().enumerate().any(within)
    };
    let hosts: Vec<&Path> = real.iter().map(PathBuf::as_path).collect();
    let guests: Vec<&Path> = folders.iter().map(|plan| plain(&plan.guest)).collect();
    let shown = folders.iter().any(|plan| !plan.files.is_empty());
    (inside(&hosts) || inside(&guests) || shown) && (folders.len() > 1 || !singles.is_empty())
}

fn ungranted(host: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(
        Kind::Grant,
        format!("`{}` cannot be granted: {error}", host.display()),
    )
    .with_hint("grant a folder that exists and that you may read")
}

impl Place {
    /// The file that is shown under a name.
    pub(super) fn shown(files: &[(String, Arc<Single>)], name: &str) -> Option<Self> {
        let (_, single) = files.iter().find(|(known, _)| known == name)?;
        Some(Place::Single(Arc::clone(single)))
    }
}
