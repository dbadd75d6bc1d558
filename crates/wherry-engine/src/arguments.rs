//! A command line as words: flags of the table, then FILE, then what belongs to the guest.
//!
//! This is the start-up path of `wherry run`, so it reads by [`FLAGS`](crate::flags::FLAGS) and knows nothing
//! of what the flags mean. The rules are those of POSIX and GNU: `--name VALUE`, `--name=VALUE`, `-n VALUE`,
//! `-nVALUE`, `-qn VALUE`, and `--` ends the flags. The first word that is no flag is FILE.

use std::ffi::OsString;

use crate::flags::{self, FLAGS, Flag};
use crate::nearest::nearest;
use crate::{Error, Kind, Result};

/// A command line, divided.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// Each flag with its value, in the order they were typed; a switch has the value `true`.
    pub flags: Vec<(&'static Flag, String)>,
    /// FILE and the guest's arguments; empty when there is no FILE.
    pub rest: &'a [OsString],
}

/// Divides the words after `wherry run`.
///
/// # Errors
/// [`Kind::Usage`] for a flag that does not exist, or that lacks its value or has one too many.
pub fn divide(words: &[OsString]) -> Result<Arguments<'_>> {
    let (mut flags, mut rest) = (Vec::new(), words);
    while read_flag(&mut rest, &mut flags)? {}
    Ok(Arguments { flags, rest })
}

/// Whether a flag stands before FILE, on a command line that may be wrong otherwise.
#[must_use]
pub fn has_flag(words: &[OsString], name: &str) -> bool {
    let (mut flags, mut rest) = (Vec::new(), words);
    // A mistake is skipped: its word is off `rest` by then.
    while read_flag(&mut rest, &mut flags).unwrap_or(true) {}
    flags.iter().any(|(flag, _)| flag.name == name)
}

/// Takes one flag with its value off the front of `rest`; false where the flags end.
fn read_flag(rest: &mut &[OsString], flags: &mut Vec<(&'static Flag, String)>) -> Result<bool> {
    let Some((word, after)) = rest.split_first() else {
        return Ok(false);
    };
    match word.as_encoded_bytes() {
        b"--" => {
            *rest = after;
            return Ok(false);
        }
        [b'-', _, ..] => *rest = after,
        _ => return Ok(false),
    }
    let word = text(word)?;
    match word.strip_prefix("--") {
        Some(long) => flags.push(read_long(long, rest)?),
        None => read_short(&word[1..], rest, flags)?,
    }
    Ok(true)
}

/// Reads what follows `--`, and its value.
fn read_long(long: &str, rest: &mut &[OsString]) -> Result<(&'static Flag, String)> {
    let (name, attached) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let flag = flags::by_name(name).ok_or_else(|| unknown_long(name))?;
    match attached {
        Some(_) if flag.is_switch() => Err(Error::new(Kind::Usage, format!("`--{name}` takes no value"))
            .with_hint(format!("write `--{name}` alone"))),
        Some(value) => Ok((flag, value.to_owned())),
        None => Ok((flag, value_of(flag, rest)?)),
    }
}

/// Reads what follows `-`: switches, and at the end perhaps a flag with its value.
fn read_short(letters: &str, rest: &mut &[OsString], flags: &mut Vec<(&'static Flag, String)>) -> Result<()> {
    for (at, letter) in letters.char_indices() {
        let flag = flags::by_short(letter).ok_or_else(|| unknown_short(letter, letters))?;
        let attached = &letters[at + letter.len_utf8()..];
        if flag.is_switch() || attached.is_empty() {
            flags.push((flag, value_of(flag, rest)?));
        } else {
            flags.push((flag, attached.to_owned()));
            break;
        }
    }
    Ok(())
}

/// The next word as the value of a flag; `true` for a switch.
fn value_of(flag: &Flag, rest: &mut &[OsString]) -> Result<String> {
    let Some(form) = flag.value else {
        return Ok("true".to_owned());
    };
    let Some((value, after)) = rest.split_first() else {
        return Err(
            Error::new(Kind::Usage, format!("`--{}` needs a value", flag.name))
                .with_hint(format!("the form is `--{} {form}`", flag.name)),
        );
    };
    *rest = after;
    text(value).map(str::to_owned)
}

/// A word as text.
fn text(word: &OsString) -> Result<&str> {
    word.to_str().ok_or_else(|| {
        Error::new(Kind::Usage, format!("`{}` is not UTF-8", word.display()))
            .with_hint("flags and their values are UTF-8, and so are the guest's arguments")
    })
}

/// There is no such long flag.
fn unknown_long(name: &str) -> Error {
    let hint = match nearest(name, FLAGS.iter().map(|flag| flag.name)) {
        Some(meant) => format!("did you mean `--{meant}`? What is for the guest goes after FILE"),
        None => "`wherry run --help` lists the flags; what is for the guest goes after FILE".to_owned(),
    };
    Error::new(
        Kind::Usage,
        format!("there is no flag `--{}`", name.escape_debug()),
    )
    .with_hint(hint)
}

/// There is no such short flag; perhaps a long one was meant.
fn unknown_short(letter: char, letters: &str) -> Error {
    let hint = match nearest(letters, FLAGS.iter().map(|flag| flag.name)) {
        Some(meant) => format!("did you mean `--{meant}`? What is for the guest goes after FILE"),
        None => "`wherry run --help` lists the flags; what is for the guest goes after FILE".to_owned(),
    };
    Error::new(
        Kind::Usage,
        format!("there is no flag `-{}`", letter.escape_debug()),
    )
    .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn every_way_to_write_a_flag_reads_the_same() {
        for line in [
            "--quiet --env A=1 f --env B",
            "-q --env=A=1 f --env B",
            "-qeA=1 -- f --env B",
            "-q -e A=1 f --env B",
        ] {
            let words = words(line);
            let arguments = divide(&words).unwrap();
            let flags: Vec<_> = arguments
                .flags
                .iter()
                .map(|(flag, value)| (flag.name, value.as_str()))
                .collect();
            assert_eq!(flags, [("quiet", "true"), ("env", "A=1")], "{line}");
            assert_eq!(arguments.rest, ["f", "--env", "B"], "{line}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("--memroy 1 f", "there is no flag `--memroy`"),
            ("-x f", "there is no flag `-x`"),
            ("--quiet=1 f", "`--quiet` takes no value"),
            ("-q --dir", "`--dir` needs a value"),
            ("-qe", "`--env` needs a value"),
        ] {
            assert_eq!(divide(&words(line)).unwrap_err().message(), message, "{line}");
        }
    }

    #[test]
    fn a_switch_is_found_before_file_alone() {
        for (line, found) in [
            ("--help", true),
            ("-qh", true),
            ("--wrong --dir x --help f", true),
            ("--dir --help f", false),
            ("f --help", false),
            ("-- --help", false),
            ("--dir", false),
            ("", false),
        ] {
            assert_eq!(has_flag(&words(line), "help"), found, "{line}");
        }
    }
}
