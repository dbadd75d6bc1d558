//! What one invocation was asked to do, and where each setting of it came from.

use std::path::PathBuf;

use crate::limits::Limits;
use crate::options::{CacheOptions, Options};
use crate::policy::Policy;

/// A command line that was understood: `wherry run [OPTIONS] FILE [ARGS...]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    /// What to run.
    pub file: PathBuf,
    /// The guest's arguments, without its own name.
    pub args: Vec<String>,
    /// What the guest is granted.
    pub policy: Policy,
    /// What the guest may use up.
    pub limits: Limits,
    /// How the run is done.
    pub options: Options,
    /// Where compiled code is kept.
    pub cache: CacheOptions,
}
