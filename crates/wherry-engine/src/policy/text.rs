//! Policies as text: a file that `--policy` reads, and the command line that means the same.
//!
//! ```toml
//! dir = ["data::/in:ro", "out"]
//! allow-net = ["db.example.com:5432"]
//! memory = "256MiB"
//! ```
//!
//! The keys are the names of the flags under *Grants* and *Limits*, and a value is what the flag takes; folders and files that
//! are not absolute are looked up beside the policy. [`read`] reads by the table of flags; [`said`] turns a policy and limits
//! back into flags, which [`toml`] and [`command_line`] print.

use std::path::Path;

use toml::de::DeValue;

use super::{KeyValue, Policy, Secret};
use crate::bounds::Bounds;
use crate::environment::Environment;
use crate::flags::{self, FLAGS, Flag, Group};
use crate::limits::{Limits, typed_duration, typed_size};
use crate::monitor::Grant;
use crate::nearest::nearest;
use crate::options::Invocation;
use crate::settings::at;
use crate::shell;
use crate::toml_file::{self, Sort};
use crate::{Error, Kind, Result};

/// How messages call it.
const SORT: Sort = Sort {
    name: "a policy",
    example: "dir = [\"data::/in:ro\"]",
};

/// Reads the policy in a file into `run`, on top of what it holds: lists add up, the rest is replaced.
///
/// # Errors
/// [`Kind::Grant`] when there is no such file, [`Kind::Usage`] with line and column for what is no policy, and what the
/// flags of its keys refuse.
pub fn read(run: &mut Invocation, file: &str, environment: &Environment) -> Result<()> {
    Source::open(file, environment)?.apply(run)?;
    run.options.policy = Some(environment.folder().join(file));
    Ok(())
}

/// Reads the text of a policy that stands in a file into `run`; the file is what messages call it, and paths start beside it.
///
/// # Errors
/// As [`read`].
pub fn read_part(run: &mut Invocation, text: &str, file: &str, environment: &Environment) -> Result<()> {
    let path = environment.folder().join(file);
    let folder = path.parent().unwrap_or(Path::new("/"));
    parse(run, text, &format!("`{file}`"), &environment.within(folder))
}

/// Reads the text of a policy into `run`. `place` is what messages call it; paths in it start at the environment's folder.
///
/// # Errors
/// As [`read`].
pub fn parse(run: &mut Invocation, text: &str, place: &str, environment: &Environment) -> Result<()> {
    let source = Source {
        text: text.to_owned(),
        place: place.to_owned(),
        environment: environment.clone(),
    };
    source.apply(run)
}

/// A policy as text, and where its paths start.
pub(super) struct Source {
    text: String,
    pub place: String,
    pub environment: Environment,
}

impl Source {
    /// Reads a file.
    pub fn open(file: &str, environment: &Environment) -> Result<Self> {
        if file.is_empty() {
            return Err(Error::new(Kind::Usage, "an empty path").with_hint("name a file"));
        }
        let path = environment.folder().join(file);
        let text = toml_file::read(&path, &SORT)?.ok_or_else(|| {
            Error::new(Kind::Grant, format!("there is no file `{file}`"))
                .with_hint("check the path, or write a policy with `wherry run --learn FILE`")
        })?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        Ok(Self {
            text,
            place: format!("`{file}`"),
            environment: environment.within(folder),
        })
    }

    fn apply(&self, run: &mut Invocation) -> Result<()> {
        self.pairs(|flag, value, place| {
            (flag.set)(run, value, &self.environment).map_err(|error| at(place, &error))
        })
    }

    /// Hands over each flag with its value, one at a time, and the place for messages about it.
    pub fn pairs(&self, mut each: impl FnMut(&'static Flag, &str, &str) -> Result<()>) -> Result<()> {
        toml_file::keys(&self.text, &self.place, &SORT, |key, value, found| {
            let place = format!("{} {found}", self.place);
            let flag = known(key).map_err(|error| at(&place, &error))?;
            let one = std::slice::from_ref(value);
            let many: Vec<_>;
            let values = match value {
                DeValue::Array(values) if flag.repeatable => {
                    many = values.iter().map(|value| value.get_ref().clone()).collect();
                    &many
                }
                _ => one,
            };
            for value in values {
                let text = toml_file::written(flag, value).map_err(|error| at(&place, &error))?;
                let shown = flag.shown(&text);
                each(flag, &text, &format!("{place}, `{} = {shown}`", flag.name))?;
            }
            Ok(())
        })
    }
}

/// Whether a policy can say what a flag says.
#[must_use]
pub fn sayable(flag: &Flag) -> bool {
    match flag.name {
        "policy" => false,
        "deterministic" => true,
        _ => matches!(flag.group, Group::Grants | Group::Limits),
    }
}

/// The flag of a key.
fn known(key: &str) -> Result<&'static Flag> {
    if let Some(flag) = flags::by_name(key).filter(|flag| sayable(flag)) {
        return Ok(flag);
    }
    let key = key.escape_debug().to_string();
    let (message, hint) = match flags::by_name(&key) {
        Some(_) if key == "policy" => (
            "a policy cannot stand on another".to_owned(),
            "copy what the other one says".to_owned(),
        ),
        Some(_) => (
            format!("`{key}` is neither a grant nor a limit"),
            format!("it is said for each run: `wherry run --{key}`"),
        ),
        None => {
            let names = FLAGS.iter().filter(|flag| sayable(flag)).map(|flag| flag.name);
            (
                format!("there is no key `{key}`"),
                match nearest(&key, names) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => {
                        "the keys are the flags under Grants and Limits in `wherry run --help`".to_owned()
                    }
                },
            )
        }
    };
    Err(Error::new(Kind::Usage, message).with_hint(hint))
}

/// The flags that mean `policy` and `limits` where nothing else is granted and `defaults` hold; values of variables are in
/// it, those of secrets are not.
#[must_use]
pub fn said(policy: &Policy, limits: &Limits, defaults: &Limits) -> Vec<Grant> {
    let mut said = grants(policy);
    let differing = amounts(limits).into_iter().zip(amounts(defaults));
    said.extend(
        differing
            .filter(|(now, default)| now != default)
            .map(|((flag, value), _)| Grant { flag, value }),
    );
    said
}

/// The flags that mean a policy, in the order of help.
fn grants(policy: &Policy) -> Vec<Grant> {
    let Policy {
        dirs,
        env,
        workdir,
        net,
        http,
        listen,
        dns,
        resolver,
        config,
        secrets,
        kv,
        clock,
        random,
        deterministic,
    } = policy;
    let mut said = Vec::new();
    let mut say = |flag: &'static str, values: Vec<String>| {
        said.extend(values.into_iter().map(|value| Grant { flag, value }));
    };
    let pairs = |pairs: &[(String, String)]| {
        let typed = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        typed.collect()
    };
    say("dir", dirs.iter().map(ToString::to_string).collect());
    say("env", pairs(env));
    say("workdir", workdir.iter().cloned().collect());
    say("allow-net", net.iter().map(ToString::to_string).collect());
    say("allow-http", http.iter().map(ToString::to_string).collect());
    say("allow-listen", listen.iter().map(ToString::to_string).collect());
    say("allow-dns", dns.then(|| "true".to_owned()).into_iter().collect());
    say("resolver", resolver.iter().map(ToString::to_string).collect());
    say("config", pairs(config));
    say("secret", secrets.iter().map(typed_secret).collect());
    say("kv", typed_kv(kv).into_iter().collect());
    say("clock", clock.iter().map(ToString::to_string).collect());
    say("random", random.iter().map(ToString::to_string).collect());
    say(
        "deterministic",
        deterministic.then(|| "true".to_owned()).into_iter().collect(),
    );
    said
}

/// A secret as its flag takes it: where its value is, and never the value.
fn typed_secret((name, secret): &(String, Secret)) -> String {
    match secret.file() {
        Some(file) => format!("{name}@{}", file.display()),
        None => name.clone(),
    }
}

/// The file of a store, where it is in one.
fn typed_kv(kv: &KeyValue) -> Option<String> {
    match kv {
        KeyValue::Memory => None,
        KeyValue::Sqlite(path) => Some(path.display().to_string()),
    }
}

/// Every limit as its flag takes it, in the order of help.
pub(crate) fn amounts(limits: &Limits) -> Vec<(&'static str, String)> {
    let Limits {
        memory,
        timeout,
        fuel,
        output,
        stack,
        handles,
        connections,
        outgoing,
        write,
        transfer,
        connect_timeout,
        first_byte_timeout,
        between_bytes_timeout,
        instances,
        tables,
        bounds,
        compile_timeout,
        compile_memory,
    } = limits;
    let Bounds {
        functions,
        body,
        nesting,
        size,
    } = bounds;
    let none = || "none".to_owned();
    let bytes = |limit: &Option<u64>| limit.map_or_else(none, typed_size);
    vec![
        ("memory", typed_size(*memory)),
        ("timeout", timeout.map_or_else(none, typed_duration)),
        ("fuel", fuel.map_or_else(none, |fuel| fuel.to_string())),
        ("max-output", bytes(output)),
        ("stack", typed_size(*stack as u64)),
        ("max-handles", handles.to_string()),
        ("max-connections", connections.to_string()),
        (
            "max-outgoing",
            outgoing.map_or_else(none, |most| most.to_string()),
        ),
        ("max-write", bytes(write)),
        ("max-transfer", bytes(transfer)),
        ("connect-timeout", typed_duration(*connect_timeout)),
        ("first-byte-timeout", typed_duration(*first_byte_timeout)),
        ("between-bytes-timeout", typed_duration(*between_bytes_timeout)),
        ("max-instances", instances.to_string()),
        ("max-tables", tables.to_string()),
        ("max-functions", functions.to_string()),
        ("max-body", typed_size(*body)),
        ("max-nesting", nesting.to_string()),
        ("max-size", typed_size(*size)),
        (
            "compile-timeout",
            compile_timeout.map_or_else(none, typed_duration),
        ),
        ("compile-memory", bytes(compile_memory)),
    ]
}

/// Flags as the file that [`read`] reads, in the order of help; what is said twice stands once.
#[must_use]
pub fn toml(said: &[Grant]) -> String {
    let mut text = String::new();
    for flag in FLAGS {
        let mut values: Vec<&str> = Vec::new();
        for grant in said.iter().filter(|grant| grant.flag == flag.name) {
            if !values.contains(&grant.value.as_str()) {
                values.push(&grant.value);
            }
        }
        let Some(last) = values.last() else { continue };
        let quoted = |value: &str| ::toml::Value::from(value).to_string();
        let written = match values.as_slice() {
            _ if flag.is_switch() => (*last).to_owned(),
            [one] if flag.repeatable => format!("[{}]", quoted(one)),
            many if flag.repeatable => {
                let lines = many.iter().map(|value| format!("    {},\n", quoted(value)));
                format!("[\n{}]", lines.collect::<String>())
            }
            _ => quoted(last),
        };
        text.extend([flag.name, " = ", &written, "\n"]);
    }
    text
}

/// Flags as someone would type them, quoted for a shell.
#[must_use]
pub fn command_line(said: &[Grant]) -> String {
    let words = said.iter().map(|grant| match flags::by_name(grant.flag) {
        Some(flag) if flag.is_switch() => shell::flag(grant.flag, None),
        _ => shell::flag(grant.flag, Some(&grant.value)),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, unix))]
mod any;
#[cfg(test)]
mod tests;
