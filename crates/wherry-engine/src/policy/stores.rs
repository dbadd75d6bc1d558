//! What `wasi:config` and `wasi:keyvalue` answer: `--config`, `--secret`, `--kv`.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Policy;
use crate::environment::Environment;
use crate::{Error, Kind, Result};

/// The most bytes that a secret may have.
const MOST_SECRET: u64 = 1 << 20;

/// A value that is never shown: not in errors, not in logs, not by `Debug`. Where it came from may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// A secret from memory or from a variable.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self { value, file: None }
    }

    /// The value, for the guest alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

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
    /// Grants a configuration value, as in `--config NAME=VALUE`. A later grant of the same name replaces an earlier one.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is not of that form, or the name is a secret's.
    pub fn grant_config(&mut self, text: &str) -> Result<()> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::new(Kind::Usage, "not a name and value").with_hint("the form is `NAME=VALUE`")
        })?;
        self.add_config(name, value.to_owned())
    }

    /// Adds a configuration value, or replaces the one of the same name.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the name is empty or a secret's.
    pub fn add_config(&mut self, name: &str, value: String) -> Result<()> {
        if name.is_empty() {
            return Err(Error::new(Kind::Usage, "an empty name").with_hint("the form is `NAME=VALUE`"));
        }
        if self.secrets.iter().any(|(other, _)| other == name) {
            return Err(both(name));
        }
        match self.config.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.config.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Grants a secret: `NAME` takes the value of the variable of that name here, `NAME@FILE` that of a file, without the
    /// end of its last line.
    ///
    /// # Errors
    /// [`Kind::Grant`] when there is no such variable or file, [`Kind::Usage`] when a part is empty. Neither says what was
    /// typed where that may be the value itself.
    pub fn grant_secret(&mut self, text: &str, environment: &Environment) -> Result<()> {
        let form = "the form is `NAME`, which is a variable here, or `NAME@FILE`";
        let (name, file) = match text.split_once('@') {
            Some((name, file)) => (name, Some(file)),
            None => (text, None),
        };
        if name.contains('=') {
            return Err(Error::new(
                Kind::Usage,
                "a secret's value is not typed, where others would see it",
            )
            .with_hint(form));
        }
        let value = match file {
            Some("") => return Err(Error::new(Kind::Usage, "an empty path").with_hint(form)),
            Some(file) => read_secret(name, file, &environment.folder().join(file))?,
            None => Secret::new(variable(name, environment)?),
        };
        self.add_secret(name, value)
    }

    /// Adds a secret, or replaces the one of the same name.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the name is empty, cannot be typed, or is that of a configuration value.
    pub fn add_secret(&mut self, name: &str, value: Secret) -> Result<()> {
        if name.is_empty() || name.contains(['=', '@']) {
            return Err(
                Error::new(Kind::Usage, "not a name: it is empty, or has `=` or `@` in it")
                    .with_hint("the form is `NAME[@FILE]`"),
            );
        }
        if self.config.iter().any(|(other, _)| other == name) {
            return Err(both(name));
        }
        match self.secrets.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.secrets.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Keeps what the guest stores in a file, as in `--kv PATH`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is empty, [`Kind::Grant`] when it cannot be a file.
    pub fn set_kv(&mut self, text: &str, environment: &Environment) -> Result<()> {
        if text.is_empty() {
            return Err(Error::new(Kind::Usage, "an empty path").with_hint("name a file"));
        }
        let path = environment.folder().join(text);
        if path.is_dir() {
            return Err(Error::new(Kind::Grant, format!("`{text}` is a folder"))
                .with_hint("name a file in it; it is made when it is not there"));
        }
        if !path.parent().is_some_and(Path::is_dir) {
            return Err(
                Error::new(Kind::Grant, format!("there is no folder for `{text}`"))
                    .with_hint("make the folder first; the file is made when it is not there"),
            );
        }
        self.kv = KeyValue::Sqlite(path);
        Ok(())
    }
}

fn both(name: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("`{name}` would be a configuration value and a secret"),
    )
    .with_hint("grant it as one of the two, or give one another name")
}

/// The value of a variable here. What was typed for its name may be the value itself, so no message has it.
fn variable(name: &str, environment: &Environment) -> Result<String> {
    let value = environment.text(name).map(str::to_owned);
    value.map_err(|error| {
        Error::new(
            error.kind(),
            "there is no variable of that name here, or its value is not UTF-8",
        )
        .with_hint("set the variable, or name a file: `NAME@FILE`")
    })
}

/// The contents of a file.
fn read_secret(name: &str, file: &str, path: &Path) -> Result<Secret> {
    let fail = |message: String| {
        Error::new(Kind::Grant, message)
            .with_hint(format!("name a text file that holds the value: `{name}@FILE`"))
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_SECRET + 1).read_to_end(&mut bytes))
        .map_err(|error| fail(Error::io(file, &error).message().to_owned()))?;
    if bytes.len() as u64 > MOST_SECRET {
        return Err(fail(format!("`{file}` is over 1MiB, which no secret is")));
    }
    let mut value = String::from_utf8(bytes).map_err(|_| fail(format!("`{file}` is not UTF-8")))?;
    // An editor or `echo` ends the line; a key or password does not.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    Ok(Secret {
        value,
        file: Some(path.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn here(folder: &tempfile::TempDir) -> Environment {
        let variables = vec![(OsString::from("TOKEN"), OsString::from("hunter2"))];
        Environment::new(variables, folder.path().to_owned())
    }

    #[test]
    fn a_secret_is_a_variable_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for (contents, value) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("", ""),
        ] {
            std::fs::write(folder.path().join("f"), contents).unwrap();
            let mut policy = Policy::default();
            policy.grant_secret("N@f", &here(&folder)).unwrap();
            assert_eq!(policy.secrets[0].1.reveal(), value, "{contents:?}");
        }
        let mut policy = Policy::default();
        policy.grant_secret("TOKEN", &here(&folder)).unwrap();
        assert_eq!(policy.secrets[0].1.reveal(), "hunter2");
        assert!(!format!("{policy:?}").contains("hunter2"));
    }

    #[test]
    fn errors_about_a_secret_do_not_show_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), b"hunter2\xff").unwrap();
        for text in ["TOKEN=hunter2", "hunter2", "N@f", "@f", "N@", "N@missing"] {
            let error = Policy::default().grant_secret(text, &here(&folder)).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn a_name_is_a_value_or_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut policy = Policy::default();
        policy.grant_config("TOKEN=1").unwrap();
        policy.grant_config("TOKEN=2=3").unwrap();
        assert_eq!(policy.config, [("TOKEN".to_owned(), "2=3".to_owned())]);
        assert_eq!(
            policy.grant_secret("TOKEN", &here(&folder)).unwrap_err().kind(),
            Kind::Usage
        );
    }
}
