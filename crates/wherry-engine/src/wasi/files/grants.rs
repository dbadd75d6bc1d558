//! The folders that a guest starts from: those of its policy, those that only show single files, and the empty root.
//!
//! A guest whose C library finds no folder for a path answers itself that nothing is there, and nobody hears of it. The root
//! is a folder that was removed as soon as it was made: nothing can be found or made in it, and every try is seen.

use super::beneath;
use super::{Granted, Place, Single};
use crate::error::{Error, Kind, Result};
use crate::monitor::Grant;
use crate::policy::{Clock, DirGrant, Policy};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemView as _};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// What the guest will start from, in the order that it sees.
pub struct Preopens {
    plans: Vec<Plan>,
    /// In place of the plans, for a guest that was granted no files.
    root: Option<&'static Root>,
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

    fn of(dir: &DirGrant) -> Self {
        Self {
            guest: dir.guest.clone(),
            host: Some(dir.host.clone()),
            read_only: dir.read_only,
            writable: writable(dir),
            files: Vec::new(),
        }
    }

    /// Opens it for the guest that is built.
    fn open(&self, builder: &mut WasiCtxBuilder) -> Result<()> {
        let permissions = if self.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        let Some(host) = self.host.as_deref().or(EMPTY.as_deref()) else {
            let message = format!(
                "`{}` cannot be granted alone: no folder can be made for it",
                self.guest
            );
            return Err(Error::new(Kind::Grant, message).with_hint("grant the folder that holds the file"));
        };
        builder
            .preopened_dir(host, &self.guest, permissions)
            .map_err(|error| ungranted(host, &error))?;
        Ok(())
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
    /// Opens in `builder` what `policy` grants, to a guest that `waits` for files on its own thread or does not.
    ///
    /// # Errors
    /// [`Kind::Grant`] for what cannot be opened.
    pub fn open(policy: &Policy, builder: &mut WasiCtxBuilder, waits: bool) -> Result<Self> {
        let current = policy.current_dir()?;
        let time = policy.deterministic.then_some(match policy.clock() {
            Clock::Virtual { start, .. } => start,
            Clock::Host | Clock::Withheld => Duration::ZERO,
        });
        if policy.dirs.is_empty() && current.is_none() {
            return Ok(Self {
                plans: Vec::new(),
                root: Root::shared(waits),
                singles: Vec::new(),
                nests: false,
                time,
            });
        }
        let (plans, singles) = planned(policy.dirs.iter().chain(current.as_ref()))?;
        for plan in &plans {
            plan.open(builder)?;
        }
        Ok(Self {
            nests: nests(&plans, &singles, policy),
            plans,
            root: None,
            singles,
            time,
        })
    }

    /// How many folders the guest sees that are none.
    pub fn made_up(&self) -> usize {
        let planned = self.plans.iter().filter(|plan| plan.host.is_none()).count();
        planned + usize::from(self.root.is_some())
    }

    /// What they are, in `wasi`, which was built from the builder.
    ///
    /// # Errors
    /// Those of the kernel for a folder that cannot be looked at.
    pub(super) fn granted(&mut self, wasi: &mut WasiP1Ctx) -> wasmtime::Result<Vec<Granted>> {
        if let Some(root) = self.root {
            *wasi.filesystem().ctx = root.context.clone();
            return Ok(vec![root.granted.clone()]);
        }
        granted(std::mem::take(&mut self.plans), wasi)
    }
}

/// The folders for what was granted, and the files among it.
fn planned<'a>(dirs: impl Iterator<Item = &'a DirGrant>) -> Result<(Vec<Plan>, Vec<Arc<Single>>)> {
    let (files, folders): (Vec<_>, Vec<_>) = dirs.partition(|dir| dir.host.is_file());
    let mut plans: Vec<Plan> = folders.into_iter().map(Plan::of).collect();
    let mut singles = Vec::new();
    for dir in files {
        let single = Arc::new(
            Single::of(&dir.host, dir.read_only, writable(dir))
                .map_err(|error| ungranted(&dir.host, &error))?,
        );
        singles.push(Arc::clone(&single));
        show(&mut plans, &dir.guest, single);
    }
    // The C library of WASI 0.1 cannot tell `.` from `/`.
    let rooted = |plan: &Plan| matches!(plan.guest.as_str(), "." | "./" | "/");
    if EMPTY.is_some() && !plans.iter().any(rooted) {
        plans.push(Plan::bare("/"));
    }
    Ok((plans, singles))
}

/// What the folders of `wasi` are, which were planned.
fn granted(plans: Vec<Plan>, wasi: &mut WasiP1Ctx) -> wasmtime::Result<Vec<Granted>> {
    let mut view = wasi.filesystem();
    let opened = view.get_directories()?;
    let mut granted = Vec::with_capacity(plans.len());
    for (plan, (handle, _)) in plans.into_iter().zip(opened) {
        if let Descriptor::Dir(dir) = view.table.delete(handle)? {
            granted.push(plan.granted(dir)?);
        }
    }
    Ok(granted)
}

/// The root of guests that were granted no files: opened once, as all of them see the same.
struct Root {
    context: WasiFilesystemCtx,
    granted: Granted,
}

impl Root {
    fn shared(waits: bool) -> Option<&'static Self> {
        static ROOTS: [LazyLock<Option<Root>>; 2] = [
            LazyLock::new(|| Root::open(false)),
            LazyLock::new(|| Root::open(true)),
        ];
        ROOTS[usize::from(waits)].as_ref()
    }

    fn open(waits: bool) -> Option<Self> {
        let plan = Plan::bare("/");
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(waits);
        plan.open(&mut builder).ok()?;
        let mut wasi = builder.build_p1();
        let granted = granted(vec![plan], &mut wasi).ok()?.pop()?;
        Some(Self {
            context: wasi.filesystem().ctx.clone(),
            granted,
        })
    }
}

/// The folder that nothing is in: a name for a descriptor that stays open.
static EMPTY: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    use std::os::fd::IntoRawFd;
    let folder = tempfile::tempdir().ok()?.keep();
    let opened = File::open(&folder);
    std::fs::remove_dir(&folder).ok()?;
    let name = format!("/proc/self/fd/{}", opened.ok()?.into_raw_fd());
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
