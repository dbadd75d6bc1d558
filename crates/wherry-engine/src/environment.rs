//! The process around an invocation, as a value: its variables and its current folder.
//!
//! What people type is read against this and never against the process itself, so that tests need not
//! change the process and two threads may read two different ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Kind, Result};

/// Variables and current folder of a process.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

impl Environment {
    /// An environment of these variables, in this folder.
    #[must_use]
    pub fn new(variables: Vec<(OsString, OsString)>, folder: PathBuf) -> Self {
        Self { variables, folder }
    }

    /// The environment of this process.
    ///
    /// # Errors
    /// [`Kind::NotFound`] or [`Kind::Io`] when the current folder was removed or may not be read.
    pub fn of_process() -> Result<Self> {
        let folder = std::env::current_dir().map_err(|error| Error::io("the current folder", &error))?;
        Ok(Self::new(std::env::vars_os().collect(), folder))
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsString> {
        self.variables
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The value of a variable as text.
    ///
    /// # Errors
    /// [`Kind::Grant`] where it is not set, or not UTF-8. The message has the name of the variable, and never its value.
    pub fn text(&self, name: &str) -> Result<&str> {
        let refused = |message: String| Error::new(Kind::Grant, message);
        let value = self
            .get(name)
            .ok_or_else(|| refused(format!("the variable `{name}` is not set here")))?;
        value
            .to_str()
            .ok_or_else(|| refused(format!("the value of `{name}` here is not UTF-8")))
    }

    /// The current folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same variables in another folder.
    #[must_use]
    pub fn within(&self, folder: &Path) -> Self {
        Self::new(self.variables.clone(), folder.to_owned())
    }

    /// Where the user's settings are: the base directory of the XDG specification, on Windows `%APPDATA%`.
    #[must_use]
    pub fn user_file(&self) -> Option<PathBuf> {
        let absolute = |name: &str| {
            self.get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CONFIG_HOME")
            .or_else(|| if cfg!(windows) { absolute("APPDATA") } else { None })
            .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
        Some(base.join("wherry").join("config.toml"))
    }

    /// Where the settings of the project in the current folder are.
    #[must_use]
    pub fn project_file(&self) -> PathBuf {
        self.folder.join(".wherry.toml")
    }
}

/// Lets a closed pipe end this process, as it ends any program of a shell: `wherry run ... | head -1`.
///
/// Python and Rust ignore the signal and get an error from each write instead, which a guest would have to
/// handle and most do not.
pub fn end_on_closed_pipe() {
    #[cfg(unix)]
    // SAFETY: the default action of a signal is no code of ours that could run at a bad moment.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Has writing to a closed pipe, or to a connection that is gone, fail in this thread, where it would end the process.
pub fn outlive_closed_pipes() {
    #[cfg(unix)]
    // SAFETY: plain calls on a signal set that is initialised before it is used; a null pointer asks for no old mask.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}
