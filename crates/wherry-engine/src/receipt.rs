//! Receipts: what a deterministic run was given and what came of it, so that another run can be held against it.
//!
//! A [`Draft`] is begun before the guest starts and finished when it has ended; [`verify`](crate::verify) reads receipts.
//! Values of variables and of the configuration are there as digests, those of secrets not at all. The fields are described
//! in `docs/receipts.md`, and for programs in `docs/receipt.schema.json`.

mod folder;

pub use folder::Folder;

use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::mode::{Mode, hex};
use crate::options::Invocation;
use crate::policy::Policy;
use crate::witness::{Seen, Stream, Witness};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of the form.
pub const FORM: u32 = 1;

/// The version of wasmtime, which is pinned.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// What ran, with what, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`FORM`].
    pub receipt: u32,
    /// Version of Wherry.
    pub wherry: String,
    /// Name and version of the engine.
    pub engine: String,
    /// Mode of the engine.
    pub mode: String,
    /// What ran.
    pub program: Ran,
    /// What it was given.
    pub given: Given,
    /// What it read.
    pub inputs: Inputs,
    /// What it wrote.
    pub outputs: Outputs,
    /// How it ended.
    pub end: End,
    /// Fuel used.
    pub fuel: u64,
    /// Where things were, for who runs it again; nothing depends on it.
    pub places: Places,
    /// SHA-256 over all but this field and `places`, as [`Receipt::digest_of`] has it.
    pub digest: String,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// SHA-256 of the file.
    pub sha256: String,
    /// The call of `--invoke`; `None` for the program itself.
    pub invoke: Option<String>,
    /// The function that it started with, where `--entry` said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// How the result of a call was printed.
    pub format: String,
}

/// What it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Arguments, the name of the program first.
    pub arguments: Vec<String>,
    /// Variables, by name.
    pub environment: Vec<Named>,
    /// Values of the configuration, by name.
    pub config: Vec<Named>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// Folders, in the order of the guest's paths.
    pub folders: Vec<Granted>,
    /// The guest's folder at the start.
    pub workdir: Option<String>,
    /// The clock, as `--clock` takes it.
    pub clock: String,
    /// The randomness, as `--random` takes it.
    pub random: String,
    /// Limits, each as its flag takes it; what has no effect on a run that ended by itself is left out.
    pub limits: Vec<Limit>,
}

/// A name, and the digest of its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
    /// SHA-256 of the value.
    pub sha256: String,
}

/// A folder that was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// Under this path of the guest's.
    pub guest: String,
    /// Without the right to write.
    pub read_only: bool,
}

/// A limit as its flag takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The flag, without dashes.
    pub flag: String,
    /// Its value.
    pub value: String,
}

/// What a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// What it read of its standard input.
    pub stdin: Seen,
    /// The folders before it ran, in the order of [`Given::folders`].
    pub folders: Vec<Folder>,
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Standard output.
    pub stdout: Seen,
    /// Standard error.
    pub stderr: Seen,
    /// What `--invoke` printed.
    pub result: Option<Seen>,
    /// The folders after it ran, in the order of [`Given::folders`].
    pub folders: Vec<Folder>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// `exit`, `trap`, `memory`, `fuel` or `output`.
    pub cause: String,
    /// The exit code of the command.
    pub code: u8,
}

/// Where things were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// The program.
    pub program: PathBuf,
    /// The folders, in the order of [`Given::folders`].
    pub folders: Vec<PathBuf>,
}

impl Receipt {
    /// The digest over what a run depends on and what came of it.
    #[must_use]
    pub fn digest_of(&self) -> String {
        let bare = Self {
            digest: String::new(),
            places: Places {
                program: PathBuf::new(),
                folders: Vec::new(),
            },
            ..self.clone()
        };
        let value = serde_json::to_value(&bare).unwrap_or_default();
        let text = match value {
            serde_json::Value::Object(mut fields) => {
                fields.remove("digest");
                fields.remove("places");
                serde_json::Value::Object(fields).to_string()
            }
            other => other.to_string(),
        };
        digest(text.as_bytes())
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A receipt before its run has ended.
pub struct Draft {
    path: PathBuf,
    /// Who sees the streams.
    pub witness: Arc<Witness>,
    policy: Policy,
    before: Vec<Folder>,
}

impl Draft {
    /// Looks at what the run will find.
    ///
    /// # Errors
    /// [`Kind::Usage`] where no receipt can be written of such a run, and [`Kind::Io`] when a folder cannot be read.
    pub fn begin(path: &Path, invocation: &Invocation) -> Result<Self> {
        let Invocation { policy, options, .. } = invocation;
        let usage = |message: String, hint: &str| Error::new(Kind::Usage, message).with_hint(hint);
        if !policy.deterministic {
            return Err(usage(
                "`--receipt` is for runs that can be done again".to_owned(),
                "add `--deterministic`",
            ));
        }
        if options.precompiled {
            return Err(usage(
                "no receipt can be written of compiled code: it does not prove what it was compiled from"
                    .to_owned(),
                "run the program that it was compiled from",
            ));
        }
        if options.learn.is_some() {
            return Err(usage(
                "`--receipt` and `--learn` exclude each other".to_owned(),
                "run it again with `--policy` and the policy that was learned",
            ));
        }
        let mut policy = policy.clone();
        policy.dirs.sort_by(|one, other| one.guest.cmp(&other.guest));
        if let Some(dir) = policy.dirs.iter().find(|dir| within(path, &dir.host)) {
            return Err(usage(
                format!(
                    "the receipt `{}` would lie in `{}`, which the guest is granted",
                    path.display(),
                    dir.host.display()
                ),
                "write it somewhere else: a folder with the receipt in it is not the folder that the run found",
            ));
        }
        // What stays of an earlier run must not pass for a receipt of this one.
        match path.symlink_metadata() {
            Ok(found) if !found.is_file() => {
                return Err(usage(
                    format!("the receipt `{}` would be no file of its own", path.display()),
                    "name a file that is not there yet, or that may be replaced",
                ));
            }
            Ok(_) => std::fs::remove_file(path).map_err(|error| Error::io(path.display(), &error))?,
            Err(_) => {}
        }
        Ok(Self {
            path: path.to_owned(),
            witness: Arc::new(Witness::with_digests()),
            before: folders(&policy)?,
            policy,
        })
    }

    /// Writes the receipt of a run that used `fuel`, ended so, and printed `printed`.
    ///
    /// # Errors
    /// [`Kind::Io`] when a folder cannot be read or the receipt not be written.
    pub fn finish(
        &self,
        invocation: &Invocation,
        program: &str,
        end: End,
        fuel: u64,
        printed: Option<&str>,
    ) -> Result<()> {
        let after = folders(&self.policy)?;
        let seen = |stream| {
            let missing = || Error::new(Kind::Internal, "nobody watched the streams");
            self.witness.seen(stream).ok_or_else(missing)
        };
        let result = printed.map(|text| Seen::of(text.as_bytes())).transpose();
        let mut receipt = Receipt {
            receipt: FORM,
            wherry: env!("CARGO_PKG_VERSION").to_owned(),
            engine: ENGINE.to_owned(),
            mode: Mode::Deterministic.name().to_owned(),
            program: Ran {
                sha256: program.to_owned(),
                invoke: invocation.options.invoke.clone(),
                entry: invocation.options.entry.clone(),
                format: invocation.options.format.name().to_owned(),
            },
            given: given(invocation, &self.policy),
            inputs: Inputs {
                stdin: seen(Stream::Input)?,
                folders: self.before.clone(),
            },
            outputs: Outputs {
                stdout: seen(Stream::Output)?,
                stderr: seen(Stream::Error)?,
                result: result.map_err(|error| Error::io("the result", &error))?,
                folders: after,
            },
            end,
            fuel,
            places: Places {
                program: absolute(&invocation.file),
                folders: self.policy.dirs.iter().map(|dir| absolute(&dir.host)).collect(),
            },
            digest: String::new(),
        };
        receipt.digest = receipt.digest_of();
        write(&self.path, &receipt).map_err(|error| Error::io(self.path.display(), &error))
    }
}

/// Whether a run that ended so can be done again, and how its receipt says it.
#[must_use]
pub fn end(ended: std::result::Result<u8, Kind>) -> Option<End> {
    let (cause, code) = match ended {
        Ok(code) => ("exit", code),
        Err(Kind::Trap) => ("trap", 134),
        Err(Kind::Memory) => ("memory", 137),
        Err(Kind::Fuel) => ("fuel", 152),
        Err(Kind::Output) => ("output", 153),
        // Time and stack differ from machine to machine, and so does what the host fails in.
        Err(_) => return None,
    };
    Some(End {
        cause: cause.to_owned(),
        code,
    })
}

fn given(invocation: &Invocation, policy: &Policy) -> Given {
    let named = |pairs: &[(String, String)]| {
        let mut named: Vec<_> = pairs
            .iter()
            .map(|(name, value)| Named {
                name: name.clone(),
                sha256: digest(value.as_bytes()),
            })
            .collect();
        named.sort_by(|one, other| one.name.cmp(&other.name));
        named
    };
    Given {
        arguments: invocation.arguments(),
        environment: named(&policy.env),
        config: named(&policy.config),
        secrets: policy.secrets.iter().map(|(name, _)| name.clone()).collect(),
        folders: policy
            .dirs
            .iter()
            .map(|dir| Granted {
                guest: dir.guest.clone(),
                read_only: dir.read_only,
            })
            .collect(),
        workdir: policy.workdir.clone(),
        clock: policy.clock().to_string(),
        random: policy.randomness().to_string(),
        limits: limits(&invocation.limits),
    }
}

/// The limits that a run depends on.
fn limits(limits: &Limits) -> Vec<Limit> {
    // How long a run took has no place in it, and what is compiled is the same under any bound.
    let idle = [
        "timeout",
        "connect-timeout",
        "first-byte-timeout",
        "between-bytes-timeout",
        "compile-timeout",
        "compile-memory",
        "max-functions",
        "max-body",
        "max-nesting",
        "max-size",
    ];
    crate::policy::text::amounts(limits)
        .into_iter()
        .filter(|(flag, _)| !idle.contains(flag))
        .map(|(flag, value)| Limit {
            flag: flag.to_owned(),
            value,
        })
        .collect()
}

fn folders(policy: &Policy) -> Result<Vec<Folder>> {
    let folders = policy
        .dirs
        .iter()
        .map(|dir| Folder::of(&dir.host).map_err(|error| Error::io(dir.host.display(), &error)));
    folders.collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether a file would lie in a folder.
fn within(path: &Path, folder: &Path) -> bool {
    let parent = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| absolute(path));
    real(&parent).starts_with(real(folder))
}

/// Writes all of it or nothing.
fn write(path: &Path, receipt: &Receipt) -> std::io::Result<()> {
    let folder = absolute(path).parent().map(Path::to_owned).unwrap_or_default();
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, receipt)?;
    file.write_all(b"\n")?;
    file.persist(path)?;
    Ok(())
}
