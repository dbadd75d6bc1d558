//! Environment variables that a guest is granted: `--env TOKEN`, `--env-file vars`.
//!
//! Start reading at [`Policy::grant_env`].

use std::fs::File;
use std::io::Read as _;

use super::Policy;
use crate::environment::Environment;
use crate::{Error, Kind, Result};

/// The most bytes that a file of variables may have.
const MOST_ENV_FILE: u64 = 1 << 20;

impl Policy {
    /// Grants a variable, as in `--env NAME[=VALUE]`. NAME alone copies the host's value. A later grant of
    /// the same name replaces an earlier one.
    ///
    /// # Errors
    /// [`Kind::Grant`] when the host has no such variable or its value is not UTF-8, [`Kind::Usage`] when
    /// the name is not one.
    pub fn grant_env(&mut self, text: &str, environment: &Environment) -> Result<()> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (text, copied(text, environment)?),
        };
        self.add_env(name, value)
    }

    /// Grants the variables of a file: `NAME=VALUE` or `NAME` on each line, `#` for comments, quotes as in a
    /// shell.
    ///
    /// # Errors
    /// [`Kind::Grant`] when the file cannot be read, [`Kind::Usage`] with the line when it is malformed.
    pub fn grant_env_file(&mut self, text: &str, environment: &Environment) -> Result<()> {
        let lines = read_env_file(text, environment)?;
        for (index, line) in lines.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            self.grant_line(line, environment).map_err(|error| {
                let hint = error
                    .hint()
                    .unwrap_or("a line is `NAME=VALUE`, `NAME='a value'` or `NAME`")
                    .to_owned();
                Error::new(
                    error.kind(),
                    format!("`{text}` line {}: {}", index + 1, error.message()),
                )
                .with_hint(hint)
            })?;
        }
        Ok(())
    }

    /// Grants one line of a file of variables.
    fn grant_line(&mut self, line: &str, environment: &Environment) -> Result<()> {
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        match line.split_once('=') {
            Some((name, value)) => self.add_env(name.trim_end(), unquoted(value.trim_start())?),
            None => self.add_env(line, copied(line, environment)?),
        }
    }

    /// Adds a variable, or replaces the one of the same name.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the name is empty, or name or value hold what no environment can carry.
    pub fn add_env(&mut self, name: &str, value: String) -> Result<()> {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::new(Kind::Usage, "not the name and value of a variable")
                .with_hint("the form is `NAME=VALUE`, or `NAME` to copy the host's value"));
        }
        match self.env.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.env.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

/// The host's value of a variable.
fn copied(name: &str, environment: &Environment) -> Result<String> {
    if name.is_empty() {
        return Err(Error::new(Kind::Usage, "an empty name")
            .with_hint("the form is `NAME=VALUE`, or `NAME` to copy the host's value"));
    }
    let value = environment.text(name).map(str::to_owned);
    value.map_err(|error| error.with_hint(format!("set it, or give a value: `{name}=VALUE`")))
}

/// Reads a file of variables whole.
fn read_env_file(name: &str, environment: &Environment) -> Result<String> {
    let path = environment.folder().join(name);
    let fail = |message: String| {
        Error::new(Kind::Grant, message).with_hint("name a text file with lines of `NAME=VALUE`")
    };
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MOST_ENV_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| fail(Error::io(name, &error).message().to_owned()))?;
    if bytes.len() as u64 > MOST_ENV_FILE {
        return Err(fail(format!(
            "`{name}` is over 1MiB, which no file of variables is"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| fail(format!("`{name}` is not UTF-8")))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The value on a line of a file of variables: quotes and escapes read as a shell does, a comment left out.
fn unquoted(text: &str) -> Result<String> {
    let open = || Error::new(Kind::Usage, "a quote that is not closed");
    let (value, rest) = match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'').ok_or_else(open)?;
            (value.to_owned(), rest)
        }
        Some('"') => double_quoted(&text[1..]).ok_or_else(open)?,
        _ => {
            let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
            (text[..end].trim_end().to_owned(), "")
        }
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        return Ok(value);
    }
    Err(Error::new(
        Kind::Usage,
        format!("`{rest}` after the closing quote"),
    ))
}

/// Reads up to the closing double quote: the value, and what follows.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('"' | '\\' | '$' | '`') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn here(folder: &tempfile::TempDir) -> Environment {
        let variables = vec![(OsString::from("TOKEN"), OsString::from("secret"))];
        Environment::new(variables, folder.path().to_owned())
    }

    #[test]
    fn a_file_of_variables_reads_as_a_shell_would() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "\u{feff}# settings\n\nA=1\nexport B = two words # note\nC='#$x'\nD=\"a\\n\\\"b\\\"\" # note\nTOKEN\nA=2\nE=\n";
        std::fs::write(folder.path().join("vars"), lines).unwrap();
        let mut policy = Policy::default();
        policy.grant_env_file("vars", &here(&folder)).unwrap();
        let expected = [
            ("A", "2"),
            ("B", "two words"),
            ("C", "#$x"),
            ("D", "a\n\"b\""),
            ("TOKEN", "secret"),
            ("E", ""),
        ];
        let found: Vec<_> = policy
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_malformed_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (line, message) in [
            ("=1", "`vars` line 1: not the name and value of a variable"),
            ("A='b", "`vars` line 1: a quote that is not closed"),
            ("A=\"b\" c", "`vars` line 1: `c` after the closing quote"),
            ("MISSING", "`vars` line 1: the variable `MISSING` is not set here"),
        ] {
            std::fs::write(folder.path().join("vars"), line).unwrap();
            let error = Policy::default()
                .grant_env_file("vars", &here(&folder))
                .unwrap_err();
            assert_eq!(error.message(), message);
        }
    }
}
