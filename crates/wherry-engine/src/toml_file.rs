//! A TOML file that a person wrote with the names of flags as keys: the settings file, and a policy.
//!
//! Reads it whole, within bounds, and says of each key where it stands. What the keys mean is up to the caller.
//! Start reading at [`keys`].

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::flags::Flag;
use crate::{Error, Kind, Result};

/// The most bytes that such a file may have.
const MOST: u64 = 1 << 20;

/// What sort of file it is, for messages.
pub(crate) struct Sort {
    /// With its article: `a settings file`.
    pub name: &'static str,
    /// A line that is right in it.
    pub example: &'static str,
}

/// Where a key stands, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

impl Position {
    fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or(before);
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// The text of the file; `None` when there is none.
///
/// # Errors
/// [`Kind::Io`] when it cannot be read, [`Kind::Usage`] when it is too large or no text.
pub(crate) fn read(path: &Path, sort: &Sort) -> Result<Option<String>> {
    let unreadable = |error: &std::io::Error| Error::io(path.display(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let place = format!("`{}`", path.display());
    let mut bytes = Vec::new();
    file.take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MOST {
        let name = sort.name.trim_start_matches("a ");
        return Err(sort.malformed(&place, &format!("over 1MiB, which no {name} is")));
    }
    let text = String::from_utf8(bytes).map_err(|_| sort.malformed(&place, "not UTF-8"))?;
    Ok(Some(text))
}

/// Hands each key over with its value and where it stands, in the order of the file; `place` names the file in messages.
///
/// # Errors
/// [`Kind::Usage`] when it is not TOML, and those of `each`.
pub(crate) fn keys(
    text: &str,
    place: &str,
    sort: &Sort,
    mut each: impl FnMut(&str, &DeValue<'_>, Position) -> Result<()>,
) -> Result<()> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = Position::of(text, error.span().map_or(0, |span| span.start));
        sort.malformed(place, &format!("{at}: {}", error.message()))
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        each(
            key.get_ref(),
            value.get_ref(),
            Position::of(text, key.span().start),
        )?;
    }
    Ok(())
}

/// A value of TOML as it would be written on the command line.
///
/// # Errors
/// [`Kind::Usage`] when it is of no type that a flag takes.
pub(crate) fn written(flag: &Flag, value: &DeValue<'_>) -> Result<String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Boolean(on) if flag.is_switch() => Ok(on.to_string()),
        _ => {
            let form = match (flag.is_switch(), flag.repeatable) {
                (true, _) => "true".to_owned(),
                (_, true) => format!("[\"{}\"]", flag.value.unwrap_or("...")),
                _ => format!("\"{}\"", flag.default.or(flag.value).unwrap_or("...")),
            };
            Err(Error::new(
                Kind::Usage,
                format!("`{}` cannot be of type {}", flag.name, value.type_str()),
            )
            .with_hint(format!("write it as `{} = {form}`", flag.name)))
        }
    }
}

impl Sort {
    fn malformed(&self, place: &str, message: &str) -> Error {
        Error::new(Kind::Usage, format!("{place}: {message}")).with_hint(format!(
            "{} is TOML with lines such as `{}`",
            self.name, self.example
        ))
    }
}
