//! What a run is granted, and how people write it: `--dir data::/in:ro`, `--env TOKEN`.
//!
//! [`Policy::default`] grants nothing. Start reading at [`Policy::grant_dir`] and [`Policy::grant_env`], which
//! read one flag each. What does not exist on the host is an error, never an empty grant.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
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

impl Policy {
    /// Grants a folder, as in `--dir HOST[::GUEST][:ro]`.
    ///
    /// HOST may hold colons itself: the last `::` divides. Without GUEST the guest sees the folder under the
    /// name that was given. A HOST that is not absolute is looked up in the current folder.
    ///
    /// # Errors
    /// [`Kind::Grant`] when the host has no such folder, [`Kind::Usage`] when a part is empty or the guest
    /// path is taken.
    pub fn grant_dir(&mut self, text: &str, environment: &Environment) -> Result<()> {
        let (host, guest, read_only) = divide(text);
        if host.is_empty() || guest.is_empty() {
            return Err(Error::new(Kind::Usage, "an empty path")
                .with_hint("the form is `HOST[::GUEST][:ro]`, such as `data::/in:ro`"));
        }
        let path = environment.folder().join(host);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(Error::new(Kind::Grant, format!("`{host}` is not a folder"))
                    .with_hint("grant the folder that holds the file"));
            }
            Err(error) => return Err(no_folder(host, &error)),
        }
        self.add_dir(DirGrant {
            host: path,
            guest: guest.to_owned(),
            read_only,
        })
    }

    /// Grants a folder that was looked up already.
    ///
    /// # Errors
    /// [`Kind::Usage`] when another grant has the guest path.
    pub fn add_dir(&mut self, grant: DirGrant) -> Result<()> {
        if let Some(other) = self.dirs.iter().find(|dir| same_guest(&dir.guest, &grant.guest)) {
            let message = format!(
                "`{}` and `{}` would both be `{}` in the guest",
                other.host.display(),
                grant.host.display(),
                grant.guest
            );
            return Err(
                Error::new(Kind::Usage, message).with_hint("give one of them another name: `HOST::GUEST`")
            );
        }
        self.dirs.push(grant);
        Ok(())
    }

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

    /// Starts the guest in a folder of its own.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is empty.
    pub fn set_workdir(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Err(
                Error::new(Kind::Usage, "an empty path").with_hint("name a folder that the guest sees")
            );
        }
        self.workdir = Some(text.to_owned());
        Ok(())
    }

    /// The folder that the guest starts in, as a grant under the name `.`; `None` where nothing was said.
    ///
    /// `None` as well beside a grant of `/`: the C library of WASI 0.1 cannot tell relative paths from absolute ones then.
    ///
    /// # Errors
    /// [`Kind::Grant`] when it is in none of the folders that were granted, or no folder.
    pub fn current_dir(&self) -> Result<Option<DirGrant>> {
        let Some(workdir) = &self.workdir else {
            return Ok(None);
        };
        let refused = |why: &str| {
            Error::new(
                Kind::Grant,
                format!("the guest cannot start in `{workdir}`: {why}"),
            )
            .with_hint("grant the folder with `--dir HOST::GUEST`, and name GUEST or a folder in it")
        };
        let within = |dir: &DirGrant| plain(workdir).strip_prefix(plain(&dir.guest)).ok();
        // Of two grants, one inside the other, the guest sees the inner one there.
        let granted = self.dirs.iter().filter_map(|dir| Some((dir, within(dir)?)));
        let Some((dir, rest)) = granted.min_by_key(|(_, rest)| rest.components().count()) else {
            return Err(refused("it is in no folder that was granted"));
        };
        let real = |path: &Path| {
            path.canonicalize()
                .map_err(|_| refused("there is no such folder"))
        };
        let host = real(&dir.host.join(rest))?;
        // By a link or by `..` it would be a folder that nobody granted.
        if !host.starts_with(real(&dir.host)?) {
            return Err(refused("it leads out of the folder that was granted"));
        }
        if self.dirs.iter().any(|dir| plain(&dir.guest) == Path::new("/")) {
            return Ok(None);
        }
        Ok(Some(DirGrant {
            host,
            guest: ".".to_owned(),
            read_only: dir.read_only,
        }))
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

/// Divides `HOST[::GUEST][:ro]`.
fn divide(text: &str) -> (&str, &str, bool) {
    // `C:ro` would be a file on a drive, not drive `C` read-only.
    let drive = cfg!(windows) && text.len() == 4 && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let (rest, read_only) = match text.strip_suffix(":ro") {
        Some(rest) if !drive => (rest, true),
        _ => (text, false),
    };
    match rest.rsplit_once("::") {
        Some((host, guest)) => (host, guest, read_only),
        None => (rest, rest, read_only),
    }
}

/// Two spellings of one guest path.
fn same_guest(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

/// A guest path as guests look it up: without `./` in front or `/` behind.
fn plain(path: &str) -> &Path {
    let path = path.strip_prefix("./").unwrap_or(path);
    Path::new(if path == "." { "" } else { path })
}

/// Why a folder cannot be granted, with the likely slip of the pen.
fn no_folder(host: &str, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no folder `{host}`"),
        _ => Error::io(host, error).message().to_owned(),
    };
    let hint = match host.rsplit_once(':') {
        Some((_, "rw" | "RW")) => {
            "a folder can be written unless `:ro` follows it: leave `:rw` out".to_owned()
        }
        Some((_, "RO")) => "`:ro` is in small letters".to_owned(),
        Some((folder, guest)) if !folder.is_empty() && guest.starts_with('/') => {
            format!("two colons divide the host's path from the guest's: `{folder}::{guest}`")
        }
        _ => "make it first, or check the path: it starts at the current folder unless it starts with `/`"
            .to_owned(),
    };
    Error::new(Kind::Grant, message).with_hint(hint)
}

/// The host's value of a variable.
fn copied(name: &str, environment: &Environment) -> Result<String> {
    if name.is_empty() {
        return Err(Error::new(Kind::Usage, "an empty name")
            .with_hint("the form is `NAME=VALUE`, or `NAME` to copy the host's value"));
    }
    let value = environment.get(name).ok_or_else(|| {
        Error::new(Kind::Grant, format!("the variable `{name}` is not set here"))
            .with_hint(format!("set it, or give a value: `{name}=VALUE`"))
    })?;
    value.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(Kind::Grant, format!("the value of `{name}` here is not UTF-8"))
            .with_hint(format!("give a value: `{name}=VALUE`"))
    })
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
    fn a_folder_is_divided_at_the_last_double_colon() {
        for (text, parts) in [
            ("data", ("data", "data", false)),
            ("data:ro", ("data", "data", true)),
            ("data::/in", ("data", "/in", false)),
            ("data::/in:ro", ("data", "/in", true)),
            ("a::b::/in", ("a::b", "/in", false)),
            ("a:b", ("a:b", "a:b", false)),
            ("::", ("", "", false)),
        ] {
            assert_eq!(divide(text), parts, "{text}");
        }
    }

    #[test]
    fn a_guest_path_is_granted_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let mut policy = Policy::default();
        policy.grant_dir("data", &here(&folder)).unwrap();
        let error = policy.grant_dir(".::./data/", &here(&folder)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(policy.dirs.len(), 1);
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
