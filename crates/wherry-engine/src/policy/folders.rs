//! Folders and files that a guest is granted: `--dir data::/in:ro`, and the one that it starts in.
//!
//! What does not exist on the host is an error, never an empty grant. Start reading at [`Policy::grant_dir`].

use std::fmt;
use std::path::{Path, PathBuf};

use super::Policy;
use crate::environment::Environment;
use crate::{Error, Kind, Result};

/// One folder or file of the host that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// The folder on the host.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// The guest cannot change anything in it.
    pub read_only: bool,
}

/// As `--dir` takes it.
impl fmt::Display for DirGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host.display())?;
        if self.host != Path::new(&self.guest) || self.guest.contains("::") {
            write!(f, "::{}", self.guest)?;
        }
        if self.read_only {
            f.write_str(":ro")
        } else if self.guest.ends_with(":ro") {
            // Not the end of the grant, but of the name.
            f.write_str("/")
        } else {
            Ok(())
        }
    }
}

impl Policy {
    /// Grants a folder or a file, as in `--dir HOST[::GUEST][:ro]`.
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
            Ok(found) if found.is_dir() || found.is_file() => {}
            Ok(_) => {
                return Err(
                    Error::new(Kind::Grant, format!("`{host}` is no folder and no file"))
                        .with_hint("devices, pipes and sockets cannot be granted"),
                );
            }
            Err(error) => return Err(no_folder(host, &error)),
        }
        self.add_dir(DirGrant {
            host: path,
            guest: guest.to_owned(),
            read_only,
        })
    }

    /// Grants a folder or file that was looked up already; granted twice, it may be written if either says so.
    ///
    /// # Errors
    /// [`Kind::Usage`] when another grant has the guest path.
    pub fn add_dir(&mut self, grant: DirGrant) -> Result<()> {
        if let Some(other) = self
            .dirs
            .iter_mut()
            .find(|dir| same_guest(&dir.guest, &grant.guest))
        {
            // The same once more may only add the right to write, as the hint at a refusal says.
            if other.host.canonicalize().ok() == grant.host.canonicalize().ok() {
                other.read_only &= grant.read_only;
                return Ok(());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn here(folder: &tempfile::TempDir) -> Environment {
        Environment::new(Vec::new(), folder.path().to_owned())
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
    fn granted_again_a_folder_may_be_written_if_either_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut policy = Policy::default();
        for (grant, read_only) in [
            (".::/in:ro", true),
            (".::/in:ro", true),
            (".::/in", false),
            (".::/in/:ro", false),
        ] {
            policy.grant_dir(grant, &here(&folder)).unwrap();
            assert_eq!(policy.dirs.len(), 1, "{grant}");
            assert_eq!(policy.dirs[0].read_only, read_only, "{grant}");
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
}
