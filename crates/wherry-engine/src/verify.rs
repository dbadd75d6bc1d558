//! `wherry verify-run`: a run is done again from its receipt, and held against it.
//!
//! Nothing in a receipt is taken at its word: what is in it is given to a new run, which writes a receipt of its own, and the
//! two are compared field by field. Folders that the guest may write are copied first. Start reading at [`verify`].

use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::flags::{self, Group};
use crate::options::{self, Invocation, Options};
use crate::policy::Policy;
use crate::receipt::{FORM, Folder, Named, Receipt};
use crate::run::{How, run};
use crate::witness::Seen;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes that a receipt may have.
const MOST: u64 = 16 << 20;

/// What is not in a receipt, or somewhere else now.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The program; where it was unless given.
    pub file: Option<PathBuf>,
    /// Folders as `HOST::GUEST`; where they were unless given.
    pub dirs: Vec<String>,
    /// Variables as `NAME=VALUE`; this process's unless given.
    pub env: Vec<String>,
    /// Values of the configuration as `NAME=VALUE`.
    pub config: Vec<String>,
    /// Secrets as `NAME` or `NAME@FILE`.
    pub secrets: Vec<String>,
    /// How long the run may take.
    pub timeout: Option<Duration>,
}

/// Where a run is not what its receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, such as `outputs.stdout.sha256`.
    pub field: String,
    /// What the receipt says.
    pub receipt: String,
    /// What is so.
    pub run: String,
    /// Fields that are tried and cannot be checked by themselves: this one is as the receipt says, and one of them is not, or
    /// the other way round.
    pub causes: Vec<String>,
}

/// Does a run again; gives the fields in which the receipt says something else, none where it holds.
///
/// # Errors
/// [`Kind::Usage`] when something is missing that the run was given, [`Kind::NotFound`] and [`Kind::Io`] for what cannot be
/// read, and what ended the run without a receipt.
pub fn verify(path: &Path, found: &Found, how: &How<'_>) -> Result<Vec<Difference>> {
    let receipt = match read(path)? {
        Ok(receipt) => receipt,
        Err(message) => return Ok(vec![difference("receipt", &message, &"a receipt")]),
    };
    let mut differences = settled(&receipt);
    if !differences.is_empty() {
        return Ok(differences);
    }
    if receipt.digest != receipt.digest_of() {
        differences.push(difference("digest", &receipt.digest, &receipt.digest_of()));
    }
    let scratch = tempfile::tempdir().map_err(|error| Error::io("a temporary folder", &error))?;
    let invocation = match again(&receipt, found, scratch.path())? {
        Ok(invocation) => invocation,
        Err(difference) => {
            differences.push(difference);
            return Ok(differences);
        }
    };
    let altered = inputs(&receipt, &invocation)?;
    if !altered.is_empty() {
        differences.extend(altered);
        return Ok(differences);
    }
    let written = invocation.options.receipt.clone().unwrap_or_default();
    let ended = run(&invocation, how);
    let rerun = match read(&written) {
        Ok(Ok(rerun)) => rerun,
        Ok(Err(message)) => return Err(Error::new(Kind::Internal, message)),
        Err(unwritten) => {
            let error = ended.err().unwrap_or(unwritten);
            if !owed_to_settings(error.kind()) {
                return Err(error);
            }
            differences.push(Difference {
                causes: tried(&receipt),
                ..difference("end.cause", &receipt.end.cause, &error.message())
            });
            return Ok(differences);
        }
    };
    let before = differences.len();
    compare("", &comparable(&receipt), &comparable(&rerun), &mut differences);
    for difference in &mut differences[before..] {
        // What was given is in both as it is; the rest came of it.
        if !difference.field.starts_with("given.") {
            difference.causes = tried(&receipt);
        }
    }
    Ok(differences)
}

/// Whether a run of the same program ends so, or does not start, by what it was given, and not by where it runs.
fn owed_to_settings(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Memory | Kind::Stack | Kind::TooLarge | Kind::Link | Kind::Grant | Kind::NoExport | Kind::Value
    )
}

fn difference(field: impl Into<String>, receipt: &dyn Display, run: &dyn Display) -> Difference {
    Difference {
        field: field.into(),
        receipt: receipt.to_string(),
        run: run.to_string(),
        causes: Vec::new(),
    }
}

/// The fields that a run is given just as the receipt has them: who alters one of them is found out by what comes of it.
fn tried(receipt: &Receipt) -> Vec<String> {
    let Receipt { program, given, .. } = receipt;
    let fields = [
        ("program.invoke", program.invoke.is_some()),
        ("program.entry", program.entry.is_some()),
        ("program.format", program.invoke.is_some()),
        ("given.arguments", true),
        ("given.environment", true),
        ("given.config", true),
        ("given.secrets", true),
        ("given.folders", !given.folders.is_empty()),
        ("given.workdir", true),
        ("given.clock", true),
        ("given.random", true),
        ("given.limits", true),
    ];
    let tried = fields.into_iter().filter(|(_, there)| *there);
    tried.map(|(field, _)| field.to_owned()).collect()
}

/// Reads a receipt; the inner error says what about it is none.
fn read(path: &Path) -> Result<std::result::Result<Receipt, String>> {
    let io = |error: &std::io::Error| Error::io(path.display(), error);
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| io(&error))?;
    file.take(MOST + 1)
        .read_to_end(&mut text)
        .map_err(|error| io(&error))?;
    if text.len() as u64 > MOST {
        return Ok(Err("over 16MiB, which no receipt is".to_owned()));
    }
    Ok(serde_json::from_slice(&text).map_err(|error| error.to_string()))
}

/// What this version of Wherry must have in common with the one that wrote the receipt.
fn settled(receipt: &Receipt) -> Vec<Difference> {
    let pairs = [
        ("receipt", receipt.receipt.to_string(), FORM.to_string()),
        (
            "wherry",
            receipt.wherry.clone(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        (
            "engine",
            receipt.engine.clone(),
            crate::receipt::ENGINE.to_owned(),
        ),
        ("mode", receipt.mode.clone(), "deterministic".to_owned()),
    ];
    let differing = pairs.into_iter().filter(|(_, said, is)| said != is);
    differing
        .map(|(field, said, is)| difference(field, &said, &is))
        .collect()
}

/// The same run once more, with its receipt and copies of folders in `scratch`.
fn again(
    receipt: &Receipt,
    found: &Found,
    scratch: &Path,
) -> Result<std::result::Result<Invocation, Difference>> {
    let environment = Environment::of_process()?;
    let given = &receipt.given;
    let mut run = Invocation {
        file: found
            .file
            .clone()
            .unwrap_or_else(|| receipt.places.program.clone()),
        args: given.arguments.iter().skip(1).cloned().collect(),
        options: Options {
            invoke: receipt.program.invoke.clone(),
            entry: receipt.program.entry.clone(),
            receipt: Some(scratch.join("receipt.json")),
            rerun: Some(given.arguments.first().cloned().unwrap_or_default()),
            quiet: true,
            ..Options::default()
        },
        cache: crate::settings::ambient(&environment)?.cache,
        ..Invocation::default()
    };
    run.policy.deterministic = true;
    match options::format(&receipt.program.format) {
        Ok(format) => run.options.format = format,
        Err(error) => return Ok(Err(difference("program.format", &receipt.program.format, &error))),
    }
    for limit in &given.limits {
        let flag = flags::by_name(&limit.flag).filter(|flag| flag.group == Group::Limits);
        let set = flag.map(|flag| (flag.set)(&mut run, &limit.value, &environment));
        if !matches!(set, Some(Ok(()))) {
            let field = format!("given.limits.{}", limit.flag);
            return Ok(Err(difference(field, &limit.value, &"no limit")));
        }
    }
    run.limits.timeout = found.timeout;
    let ambient = [
        ("clock", &given.clock, run.policy.set_clock(&given.clock)),
        ("random", &given.random, run.policy.set_random(&given.random)),
    ];
    for (name, said, set) in ambient {
        if let Err(error) = set {
            return Ok(Err(difference(format!("given.{name}"), said, &error)));
        }
    }
    if let Some(difference) = values(receipt, found, &mut run.policy, &environment)? {
        return Ok(Err(difference));
    }
    grant(receipt, found, scratch, &mut run.policy, &environment)?;
    if let Some(workdir) = &given.workdir {
        run.policy.set_workdir(workdir)?;
    }
    Ok(Ok(run))
}

/// Variables, configuration and secrets, which a receipt does not hold.
fn values(
    receipt: &Receipt,
    found: &Found,
    policy: &mut Policy,
    environment: &Environment,
) -> Result<Option<Difference>> {
    let given = &receipt.given;
    for text in &found.env {
        policy.grant_env(text, environment)?;
    }
    for text in &found.config {
        policy.grant_config(text)?;
    }
    for text in &found.secrets {
        policy.grant_secret(text, environment)?;
    }
    for Named { name, sha256 } in &given.environment {
        if policy.env.iter().all(|(known, _)| known != name) {
            let value = environment.text(name).ok();
            let value = value.filter(|value| digest(value) == *sha256);
            let value = value.ok_or_else(|| missing("variable", name, "env"))?;
            policy.add_env(name, value.to_owned())?;
        }
    }
    for Named { name, .. } in &given.config {
        if policy.config.iter().all(|(known, _)| known != name) {
            return Err(missing("configuration value", name, "config"));
        }
    }
    for name in &given.secrets {
        if policy.secrets.iter().all(|(known, _)| known != name) {
            return Err(missing("secret", name, "secret"));
        }
    }
    let groups = [
        ("environment", &given.environment, &policy.env),
        ("config", &given.config, &policy.config),
    ];
    for (group, said, is) in groups {
        let altered = said.iter().find_map(|named| {
            let (_, value) = is.iter().find(|(name, _)| *name == named.name)?;
            let field = format!("given.{group}.{}", named.name);
            (digest(value) != named.sha256).then(|| difference(field, &named.sha256, &digest(value)))
        });
        if altered.is_some() {
            return Ok(altered);
        }
    }
    Ok(None)
}

fn missing(what: &str, name: &str, flag: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("the run was given the {what} `{name}`, and a receipt does not hold its value"),
    )
    .with_hint(format!("give it with `--{flag} {name}=VALUE`"))
}

fn digest(text: &str) -> String {
    crate::mode::hex(&Sha256::digest(text))
}

/// Grants the folders, copies of those that may be written.
fn grant(
    receipt: &Receipt,
    found: &Found,
    scratch: &Path,
    policy: &mut Policy,
    environment: &Environment,
) -> Result<()> {
    let mut places = Policy::default();
    for text in &found.dirs {
        places.grant_dir(text, environment)?;
    }
    let known = |guest: &str| receipt.given.folders.iter().any(|granted| granted.guest == guest);
    if let Some(dir) = places.dirs.iter().find(|dir| !known(&dir.guest)) {
        return Err(Error::new(
            Kind::Usage,
            format!("the run was granted no folder `{}`", dir.guest),
        )
        .with_hint("folders are named as the run named them: `--dir HOST::GUEST`"));
    }
    for (index, granted) in receipt.given.folders.iter().enumerate() {
        let place = places.dirs.iter().find(|dir| dir.guest == granted.guest);
        let host = match place {
            Some(dir) => dir.host.clone(),
            None => receipt.places.folders.get(index).cloned().unwrap_or_default(),
        };
        let host = if granted.read_only {
            host
        } else {
            let copied = scratch.join(index.to_string());
            copy(&host, &copied).map_err(|error| Error::io(host.display(), &error))?;
            copied
        };
        let mode = if granted.read_only { ":ro" } else { "" };
        policy.grant_dir(
            &format!("{}::{}{mode}", host.display(), granted.guest),
            environment,
        )?;
    }
    Ok(())
}

/// Copies a folder or file with all that is in it; links stay links.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            #[cfg(unix)]
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// What is not as the run found it.
fn inputs(receipt: &Receipt, run: &Invocation) -> Result<Vec<Difference>> {
    let io = |path: &Path, error: &std::io::Error| Error::io(path.display(), error);
    let mut differences = Vec::new();
    let program = File::open(&run.file)
        .and_then(Seen::of)
        .map_err(|error| io(&run.file, &error).with_hint("say where the program is now: `--file FILE`"))?;
    if program.sha256 != receipt.program.sha256 {
        differences.push(difference(
            "program.sha256",
            &receipt.program.sha256,
            &program.sha256,
        ));
    }
    for (index, granted) in receipt.given.folders.iter().enumerate() {
        let is = run.policy.dirs.iter().find(|dir| dir.guest == granted.guest);
        let Some(dir) = is else { continue };
        let is = Folder::of(&dir.host).map_err(|error| io(&dir.host, &error))?;
        let said = receipt.inputs.folders.get(index);
        if said != Some(&is) {
            let said = said.map_or_else(|| "nothing".to_owned(), |folder| folder.sha256.clone());
            differences.push(difference(
                format!("inputs.folders[{index}] ({})", granted.guest),
                &said,
                &is.sha256,
            ));
        }
    }
    Ok(differences)
}

/// What two receipts of one run have in common.
fn comparable(receipt: &Receipt) -> Value {
    let mut value = serde_json::to_value(receipt).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.remove("digest");
        fields.remove("places");
    }
    value
}

/// Lists where two values differ, by the path of fields to it.
fn compare(path: &str, receipt: &Value, run: &Value, differences: &mut Vec<Difference>) {
    match (receipt, run) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one
                .keys()
                .chain(other.keys().filter(|name| !one.contains_key(*name)))
            {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let none = Value::Null;
                let (one, other) = (one.get(name).unwrap_or(&none), other.get(name).unwrap_or(&none));
                compare(&path, one, other, differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}[{index}]"), one, other, differences);
            }
        }
        (one, other) if one != other => differences.push(difference(path, one, other)),
        _ => {}
    }
}
