//! What a run is granted, and how people write it: `--dir data::/in:ro`, `--env TOKEN`.
//!
//! [`Policy::default`] grants nothing. Start reading at [`Policy::grant_dir`] and [`Policy::grant_env`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Kind, Result};

/// The most bytes that a file of variables may have.
const MOST_ENV_FILE: u64 = 1 << 20;

/// One folder of the host that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// The folder on the host.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// The guest cannot change anything in it.
    pub read_only: bool,
}

/// What a run is granted. The default is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Folders, in the order they were given; no two share a guest path.
    pub dirs: Vec<DirGrant>,
    /// Environment variables; no name comes twice.
    pub env: Vec<(String, String)>,
    /// The guest path that the guest starts in.
    pub workdir: Option<String>,
}
