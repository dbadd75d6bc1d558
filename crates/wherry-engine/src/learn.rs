//! `--learn FILE`: what a guest asks for is asked of the person, and the smallest policy that covers the run is written.
//!
//! The person answers on the terminal itself (`/dev/tty`), so that the guest's standard input stays the guest's. With
//! `--allow-all` everything is allowed. Start reading at [`Lesson::begin`]; [`smallest`](covering::smallest) says what is
//! written.

mod covering;
mod requests;

use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::hints;
use crate::monitor::{Access, Ask, Grant, Monitor};
use crate::options::{Invocation, Options};
use crate::policy::text;
use crate::shell;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A policy that is being learned.
pub struct Lesson {
    path: PathBuf,
    /// The same as it was typed.
    typed: PathBuf,
    /// The file holds what the run was granted by `--policy`: it grows.
    grows: bool,
    environment: Environment,
    patience: Patience,
}

impl Lesson {
    /// Begins to learn, if the flags say so.
    ///
    /// # Errors
    /// [`Kind::Usage`] without a terminal where nobody said `--allow-all`, for `--allow-all` alone, and for a file that is
    /// there already; [`Kind::Io`] when the file cannot be written.
    pub fn begin(options: &Options) -> Result<Option<Self>> {
        let Some(typed) = &options.learn else {
            if options.allow_all {
                return Err(Error::new(
                    Kind::Usage,
                    "`--allow-all` allows everything while a policy is learned, and none is",
                )
                .with_hint("add `--learn policy.toml`, or grant what the guest needs"));
            }
            return Ok(None);
        };
        let environment = Environment::of_process()?;
        let path = environment.folder().join(typed);
        let grows = options.policy.as_ref() == Some(&path);
        if path.exists() && !grows {
            return Err(there_already(typed));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        tempfile::NamedTempFile::new_in(folder)
            .map(drop)
            .map_err(|error| unwritten(typed, &error))?;
        Ok(Some(Self {
            path,
            typed: typed.clone(),
            grows,
            environment,
            patience: Patience::default(),
        }))
    }

    /// Who is asked about each access.
    ///
    /// # Errors
    /// [`Kind::Usage`] when there is no terminal.
    pub fn ask(&self, allow_all: bool) -> Result<Ask> {
        if allow_all {
            return Ok(Box::new(|_, _| true));
        }
        let open = File::options().read(true).write(true).open("/dev/tty");
        let terminal = open.map_err(|_| {
            Error::new(
                Kind::Usage,
                "`--learn` asks on the terminal about each access, and there is no terminal",
            )
            .with_hint("add `--allow-all` to allow everything that the guest asks for, and look at the policy afterwards")
        })?;
        let (terminal, patience) = (Mutex::new(terminal), self.patience.clone());
        Ok(Box::new(move |access, grant| {
            let mut terminal = terminal.lock().unwrap_or_else(PoisonError::into_inner);
            patience.during(|| asked(&mut terminal, access, grant).unwrap_or(false))
        }))
    }

    /// How long the person has been asked so far; the guest is not charged for it.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.patience.spent()
    }

    /// Writes the policy, and says so in a line.
    ///
    /// # Errors
    /// [`Kind::Io`] when it cannot be written.
    pub fn write(&self, invocation: &Invocation, monitor: &Monitor) -> Result<String> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let said = if self.grows {
            covering::grown(invocation, monitor, folder, &self.environment)?
        } else {
            covering::smallest(invocation, monitor, folder, &self.environment)?
        };
        let program = invocation.file.file_name().unwrap_or(invocation.file.as_os_str());
        let program = hints::shown(&program.to_string_lossy());
        let text = format!(
            "# What `{program}` needed, learned by `wherry run --learn`.\n{}",
            text::toml(&said)
        );
        self.place(folder, &text)
            .map_err(|error| unwritten(&self.typed, &error))?;
        let flag = shell::flag("policy", Some(&self.typed.display().to_string()));
        Ok(format!(
            "wrote the policy that covers this run; use it with `{flag}`"
        ))
    }

    /// Puts the file in its place whole.
    fn place(&self, folder: &Path, text: &str) -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        // A temporary file is for one user; a policy is as any file that the user makes.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        let placed = if self.grows {
            file.persist(&self.path)
        } else {
            file.persist_noclobber(&self.path)
        };
        placed.map(drop).map_err(|error| error.error)
    }
}

/// The file is there already, and is not what the run was granted.
fn there_already(path: &Path) -> Error {
    let path = path.display().to_string();
    let message = format!("`{path}` is there already, and `--learn` overwrites nothing");
    let path = shell::quoted(&path);
    Error::new(Kind::Usage, message).with_hint(format!(
        "name another file, or let this one grow: `--policy {path} --learn {path}`"
    ))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let why = Error::io(path.display(), error);
    Error::new(
        Kind::Io,
        format!("the policy cannot be written: {}", why.message()),
    )
    .with_hint("`--learn` wants the path of a new file in a folder that exists")
}

/// Asks the person; anything but yes is no.
fn asked(terminal: &mut File, access: &Access, grant: &Grant) -> std::io::Result<bool> {
    let switch = crate::flags::by_name(grant.flag).is_some_and(crate::flags::Flag::is_switch);
    let flag = shell::flag(
        grant.flag,
        (!switch).then(|| covering::needed(access, grant)).as_deref(),
    );
    let wanted = hints::wanted(access);
    write!(
        terminal,
        "The guest wants to {wanted}\nAllow that, and all else that {flag} grants? [y/N] "
    )?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while terminal.read(&mut byte)? == 1 && byte != *b"\n" {
        answer.extend(byte);
    }
    let answer = String::from_utf8_lossy(&answer).trim().to_lowercase();
    Ok(answer == "y" || answer == "yes")
}

/// How long a person thought.
#[derive(Clone, Default)]
struct Patience(Arc<Mutex<(Duration, Option<Instant>)>>);

impl Patience {
    fn during<R>(&self, question: impl FnOnce() -> R) -> R {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
        let answer = question();
        let (spent, since) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *spent += since.take().map_or(Duration::ZERO, |since| since.elapsed());
        answer
    }

    fn spent(&self) -> Duration {
        let (spent, since) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *spent + since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
