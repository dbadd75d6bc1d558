//! One invocation as a record: [`Invocation`].
//!
//! A [`Policy`] and [`Limits`] mean the same in every place; the rest of this file belongs to one command that
//! someone typed: what to run and to call, what to write, what to keep quiet about.

use std::path::PathBuf;

use crate::cache::{Cache, DEFAULT_CAP};
use crate::environment::Environment;
use crate::limits::Limits;
use crate::mode::{HERE, PULLEY};
use crate::policy::Policy;
use crate::{Error, Kind, Result};

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

impl Invocation {
    /// The guest's arguments, its own name first.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let file = self.file.file_name().unwrap_or(self.file.as_os_str());
        let name = self.options.rerun.clone().or_else(|| self.options.name.clone());
        let name = name.unwrap_or_else(|| file.to_string_lossy().into_owned());
        std::iter::once(name).chain(self.args.iter().cloned()).collect()
    }
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: WAVE for values.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// Its name, as `--format` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
        }
    }
}

/// How one run is done.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line"
)]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What the program is called, for itself and in messages, in place of its file.
    pub name: Option<String>,
    /// The call to make instead of running the program, such as `add(1, 2)`.
    pub invoke: Option<String>,
    /// The function of a core module that it starts with, if not `_start`.
    pub entry: Option<String>,
    /// How the result of [`Options::invoke`] is printed.
    pub format: Format,
    /// Where to write a profile of the run.
    pub profile: Option<PathBuf>,
    /// Where to write a core dump if the guest traps.
    pub coredump: Option<PathBuf>,
    /// The file holds compiled code, and the user said so on purpose.
    pub precompiled: bool,
    /// What to compile for when it is not this machine's processor.
    pub target: Option<String>,
    /// Where to write what the guest reached and was refused.
    pub audit: Option<PathBuf>,
    /// Where to write the smallest policy that covers the run.
    pub learn: Option<PathBuf>,
    /// The policy that was read with `--policy`.
    pub policy: Option<PathBuf>,
    /// The files of variables that were read with `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// While learning, allow everything without asking.
    pub allow_all: bool,
    /// Where to write what ran, with what, and what came out.
    pub receipt: Option<PathBuf>,
    /// The run is done again to verify its receipt, under this name and with its output thrown away.
    pub rerun: Option<String>,
    /// Someone said that fuel is not to end the run.
    pub unmetered: bool,
    /// Show where an error came from.
    pub debug: bool,
    /// No progress and no warnings.
    pub quiet: bool,
}

/// Where compiled code is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// The folder; `None` is the system's place for it.
    pub dir: Option<PathBuf>,
    /// Most bytes to keep.
    pub size: u64,
    /// Neither look there nor keep anything.
    pub off: bool,
}

impl CacheOptions {
    /// The folder, chosen or the system's; `None` where there is neither, as for a user without a home.
    #[must_use]
    pub fn folder(&self, environment: &Environment) -> Option<PathBuf> {
        let usual = || Cache::default_folder(&|name| environment.get(name).cloned());
        self.dir.clone().or_else(usual)
    }

    /// The cache, for this process; `None` where it is off or there is no place for one.
    ///
    /// # Errors
    /// As [`Cache::open`]. Without a cache everything works, only slower.
    pub fn open(&self) -> Result<Option<Cache>> {
        let usual = || Cache::default_folder(&|name| std::env::var_os(name));
        match self.dir.clone().or_else(usual) {
            Some(folder) if !self.off => Cache::open(&folder, self.size).map(Some),
            _ => Ok(None),
        }
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            dir: None,
            size: DEFAULT_CAP,
            off: false,
        }
    }
}

/// Reads `text` or `json`.
///
/// # Errors
/// [`Kind::Usage`] for anything else.
pub fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(Error::new(Kind::Usage, "not a format").with_hint("the formats are `text` and `json`")),
    }
}

/// Reads the value of a switch where one is written out: in a variable or a settings file.
///
/// # Errors
/// [`Kind::Usage`] for anything but the usual words for yes and no.
pub fn switch(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Error::new(Kind::Usage, "neither yes nor no").with_hint("write `true` or `false`")),
    }
}

/// Reads what to compile for in order to run it here: the portable interpreter, or any processor of this kind.
///
/// # Errors
/// [`Kind::Usage`] for targets that cannot run here.
pub fn target(text: &str) -> Result<String> {
    if text == PULLEY || HERE == Some(text) {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Usage, "not a target that can run here").with_hint(
        "`wherry run` takes `--target pulley64`, or the triple of this machine; `wherry compile --target` builds for others",
    ))
}

/// Reads the path of a file or folder.
///
/// # Errors
/// [`Kind::Usage`] when it is empty.
pub fn path(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(Error::new(Kind::Usage, "an empty path").with_hint("name a file or a folder"));
    }
    Ok(PathBuf::from(text))
}
