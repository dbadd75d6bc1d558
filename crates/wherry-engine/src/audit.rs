//! `--audit FILE`: what a guest reached outside its sandbox and what it was refused, as lines of JSON.
//!
//! Each line is written when it happens, without a buffer, so that the file tells what went before a trap, a time limit or
//! Ctrl-C. Values never come here, only names. `docs/audit.md` describes the lines, `docs/audit.schema.json` has their schema.
//! Start reading at [`Line`].

use crate::error::{Error, Kind, Result};
use crate::monitor::{Access, Counts, Monitor, Verdict};
use crate::policy::Policy;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The version of the format; it grows when a reader of an older one would be misled.
const VERSION: u32 = 1;

/// One line of the file.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    /// The first line: what is about to run.
    Start {
        version: u32,
        wherry: &'a str,
        program: &'a str,
        sha256: &'a str,
    },
    /// A grant that was used, a refusal or a failure, the first time.
    Access {
        time: f64,
        subject: &'a str,
        operation: &'a str,
        target: &'a str,
        verdict: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        allow: Option<Allow<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    },
    /// The last line: how it ended.
    End {
        time: f64,
        ended: &'a str,
        exit_code: u8,
        granted: u64,
        refused: u64,
        failed: u64,
        unnamed: u64,
        fuel: Option<u64>,
        peak_memory: Option<u64>,
    },
}

/// What would allow a refused access.
#[derive(Serialize)]
struct Allow<'a> {
    flag: &'a str,
    value: &'a str,
}

/// How a run ended, for the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// `exit`, or what ended the guest.
    pub how: &'static str,
    /// The exit code of the command.
    pub code: u8,
    /// Fuel that was used, where fuel was given and the guest came to rest soon enough to say it.
    pub fuel: Option<u64>,
    /// The most bytes that the guest used, where it began to run.
    pub peak_memory: Option<u64>,
}

/// The file that is being written; the guest's thread adds lines, any thread may end it.
#[derive(Clone)]
pub struct Audit(Arc<Mutex<Writing>>);

struct Writing {
    file: File,
    path: PathBuf,
    began: Instant,
    /// Nothing is written after the last line: a guest that was left behind may go on for a moment.
    ended: bool,
    failed: Option<std::io::Error>,
}

impl Audit {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// [`Kind::Usage`] for `-`, [`Kind::Io`] when the file cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Err(
                Error::new(Kind::Usage, "`--audit -`: standard output belongs to the guest")
                    .with_hint("name a file, such as `--audit audit.jsonl`"),
            );
        }
        let file = File::create(path).map_err(|error| unwritten(path, &error))?;
        Ok(Self(Arc::new(Mutex::new(Writing {
            file,
            path: path.to_owned(),
            began: Instant::now(),
            ended: false,
            failed: None,
        }))))
    }

    /// Writes the first line.
    ///
    /// # Errors
    /// As [`Audit::check`].
    pub fn start(&self, program: &str, digest: &str) -> Result<()> {
        self.write(|writing| {
            writing.began = Instant::now();
            writing.line(&Line::Start {
                version: VERSION,
                wherry: env!("CARGO_PKG_VERSION"),
                program,
                sha256: digest,
            });
        });
        self.check()
    }

    /// Writes an access.
    pub fn tell(&self, access: &Access, verdict: &Verdict) {
        let (name, why, lift, error) = match verdict {
            Verdict::Granted => ("granted", None, None, None),
            Verdict::Refused { why, lift } => ("refused", Some(why.as_str()), lift.as_ref(), None),
            Verdict::Failed { error } => ("failed", None, None, Some(error.as_str())),
        };
        self.write(|writing| {
            writing.line(&Line::Access {
                time: writing.time(),
                subject: access.subject.name(),
                operation: access.operation,
                target: &access.target,
                verdict: name,
                why,
                allow: lift.map(|grant| Allow {
                    flag: grant.flag,
                    value: &grant.value,
                }),
                error,
            });
        });
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// As [`Audit::check`].
    pub fn end(&self, ending: Ending, monitor: &Monitor) -> Result<()> {
        let Counts {
            granted,
            refused,
            failed,
            unnamed,
        } = monitor.counts();
        self.write(|writing| {
            writing.line(&Line::End {
                time: writing.time(),
                ended: ending.how,
                exit_code: ending.code,
                granted,
                refused,
                failed,
                unnamed,
                fuel: ending.fuel,
                peak_memory: ending.peak_memory,
            });
            writing.ended = true;
        });
        self.check()
    }

    /// Whether every line could be written; a run whose audit has holes is not worth going on with.
    ///
    /// # Errors
    /// [`Kind::Io`] with why not.
    pub fn check(&self) -> Result<()> {
        let writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &writing.failed {
            Some(error) => Err(unwritten(&writing.path, error)),
            None => Ok(()),
        }
    }

    fn write(&self, say: impl FnOnce(&mut Writing)) {
        let mut writing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !writing.ended && writing.failed.is_none() {
            say(&mut writing);
        }
    }
}

impl Writing {
    /// Seconds since the start, in whole microseconds.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of centuries fit")]
    fn time(&self) -> f64 {
        self.began.elapsed().as_micros() as f64 / 1e6
    }

    fn line(&mut self, line: &Line<'_>) {
        let written = serde_json::to_vec(line)
            .map_err(std::io::Error::from)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                self.file.write_all(&bytes)
            });
        self.failed = written.err();
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let why = Error::io(path.display(), error);
    Error::new(
        Kind::Io,
        format!("the audit file cannot be written: {}", why.message()),
    )
    .with_hint("`--audit` wants the path of a file in a folder that exists, on a disk with room")
}

/// Whether a guest with this policy could write the file itself.
#[must_use]
pub fn within_reach(path: &Path, policy: &Policy) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    policy
        .dirs
        .iter()
        .filter(|dir| !dir.read_only)
        .filter_map(|dir| dir.host.canonicalize().ok())
        .any(|host| path.starts_with(host))
}
