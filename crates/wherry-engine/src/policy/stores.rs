//! What `wasi:config` and `wasi:keyvalue` answer: `--config`, `--secret`, `--kv`.

use super::Policy;
use crate::environment::Environment;
use crate::{Error, Kind, Result};
use std::fmt;
use std::path::PathBuf;

/// A value that is never shown: not in errors, not in logs, not by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What `wasi:keyvalue` stands on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyValue {
    /// Memory that ends with the guest.
    #[default]
    Memory,
    /// A database in a file.
    Sqlite(PathBuf),
}

impl Policy {
    /// Grants a configuration value, as in `--config NAME=VALUE`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is not of that form.
    pub fn grant_config(&mut self, _text: &str) -> Result<()> {
        Err(Error::new(Kind::Usage, "not a name and value"))
    }

    /// Grants a secret: `NAME` takes the value of the variable of that name here, `NAME@FILE` that of a file.
    ///
    /// # Errors
    /// [`Kind::Grant`] when there is no such variable or file, [`Kind::Usage`] when a part is empty.
    pub fn grant_secret(&mut self, _text: &str, _environment: &Environment) -> Result<()> {
        Err(Error::new(Kind::Usage, "not a secret"))
    }

    /// Keeps what the guest stores in a file, as in `--kv PATH`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is empty.
    pub fn set_kv(&mut self, text: &str, environment: &Environment) -> Result<()> {
        if text.is_empty() {
            return Err(Error::new(Kind::Usage, "an empty path").with_hint("name a file"));
        }
        self.kv = KeyValue::Sqlite(environment.folder().join(text));
        Ok(())
    }
}
