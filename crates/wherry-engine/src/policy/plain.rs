//! A policy in plain words: what code under it may do here, with a warning where that is a great deal.
//!
//! Values are never shown, names are. What cannot be granted here, such as a folder of another machine, is said and is no
//! error. Start reading at [`explain`].

use std::path::Path;

use serde::Serialize;

use super::addresses::special;
use super::text::Source;
use super::{Clock, HostPattern, KeyValue, Policy, Ports, Randomness};
use crate::determinism;
use crate::environment::Environment;
use crate::flags::{Flag, Group};
use crate::options::Invocation;
use crate::settings::at;
use crate::{Error, Kind, Result};

/// Bits of a range of addresses that few stand behind, in IPv4 and in IPv6.
const NARROW: (u8, u8) = (24, 64);

/// Folders of a system that programs are seldom meant to see.
const SYSTEM: [&str; 7] = ["/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/boot"];

/// One thing that a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The flag that says it, without dashes.
    pub flag: &'static str,
    /// The value of the flag; of a variable or a configuration value only the name.
    pub value: String,
    /// What it means, as a sentence goes on after `it`.
    pub words: String,
    /// What to think of before granting it.
    pub warning: Option<String>,
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Explanation {
    /// What is granted.
    pub grants: Vec<Line>,
    /// What may be used up, where it differs from what holds in a terminal.
    pub limits: Vec<Line>,
}

/// Says in plain words what the policy in a file means here.
///
/// # Errors
/// As [`read`](super::text::read), for all but what cannot be granted here.
pub fn explain(file: &str, environment: &Environment) -> Result<Explanation> {
    let source = Source::open(file, environment)?;
    let mut explanation = Explanation::default();
    let mut whole = Invocation::default();
    source.pairs(|flag, value, place| {
        let mut run = Invocation::default();
        // What cannot be granted here is told below.
        let _ = (flag.set)(&mut whole, value, &source.environment);
        let set = (flag.set)(&mut run, value, &source.environment);
        let lines = match set {
            Ok(()) if flag.group == Group::Limits => {
                if run.limits == Invocation::default().limits {
                    return Ok(());
                }
                explanation.limits.push(limit(flag, value));
                return Ok(());
            }
            Ok(()) => describe(&run.policy, environment),
            Err(error) if error.kind() == Kind::Grant => vec![absent(flag, value, &error)],
            Err(error) => return Err(at(place, &error)),
        };
        explanation.grants.extend(lines);
        Ok(())
    })?;
    determinism::settle(&mut whole).map_err(|error| at(&source.place, &error))?;
    Ok(explanation)
}

/// A grant that means nothing here.
fn absent(flag: &'static Flag, value: &str, error: &Error) -> Line {
    Line {
        flag: flag.name,
        value: value.to_owned(),
        words: format!("has what `--{}` grants", flag.name),
        warning: Some(format!("not here: {}", error.message())),
    }
}

fn limit(flag: &'static Flag, value: &str) -> Line {
    let what = flag.help.split(", such as").next().unwrap_or(flag.help);
    let mut letters = what.chars();
    let lower = letters.next().map(|first| first.to_lowercase().to_string());
    Line {
        flag: flag.name,
        value: value.to_owned(),
        words: format!("{}{}: {value}", lower.unwrap_or_default(), letters.as_str()),
        warning: (value == "none").then(|| "without a limit".to_owned()),
    }
}

/// Each grant of a policy, in the order of help.
pub(super) fn describe(policy: &Policy, environment: &Environment) -> Vec<Line> {
    let mut lines = folders(policy, environment);
    lines.extend(network(policy));
    let mut say = |flag, value: &str, words: String| {
        lines.push(Line {
            flag,
            value: value.to_owned(),
            words,
            warning: None,
        });
    };
    for (name, _) in &policy.env {
        say("env", name, format!("sees the variable {name}"));
    }
    if let Some(folder) = &policy.workdir {
        say("workdir", folder, format!("starts in {folder}"));
    }
    for (name, _) in &policy.config {
        say("config", name, format!("reads the configuration value {name}"));
    }
    for (name, _) in &policy.secrets {
        say("secret", name, format!("reads the secret {name}"));
    }
    if let KeyValue::Sqlite(path) = &policy.kv {
        let path = path.display().to_string();
        say("kv", &path, format!("keeps keys and values in {path}"));
    }
    if let Some(clock) = policy.clock {
        let typed = clock.to_string();
        let words = match clock {
            Clock::Host => "sees the clock of this machine".to_owned(),
            Clock::Withheld => "sees no clock".to_owned(),
            Clock::Virtual { .. } => format!("sees a clock of its own: {typed}"),
        };
        say("clock", &typed, words);
    }
    if let Some(random) = policy.random {
        let typed = random.to_string();
        let words = match random {
            Randomness::Host => "sees the randomness of this machine".to_owned(),
            Randomness::Withheld => "sees no randomness".to_owned(),
            Randomness::Seeded(seed) => format!("sees randomness that follows from the seed {seed}"),
        };
        say("random", &typed, words);
    }
    if policy.deterministic {
        let words = "gives the same on each run and machine: a clock and a seed of its own, fuel, no network";
        say("deterministic", "true", words.to_owned());
    }
    lines
}

fn folders(policy: &Policy, environment: &Environment) -> Vec<Line> {
    let lines = policy.dirs.iter().map(|dir| {
        let host = dir.host.display();
        let does = if dir.read_only {
            "reads"
        } else {
            "reads, writes and deletes"
        };
        let seen = if dir.host == Path::new(&dir.guest) {
            String::new()
        } else {
            format!(", which it sees as {}", dir.guest)
        };
        Line {
            flag: "dir",
            value: dir.to_string(),
            words: format!("{does} what is in {host}{seen}"),
            warning: wide_folder(&dir.host, environment),
        }
    });
    lines.collect()
}

/// What is said of a folder that holds more than one would think of.
fn wide_folder(host: &Path, environment: &Environment) -> Option<String> {
    let real = host.canonicalize().unwrap_or_else(|_| host.to_owned());
    if real == Path::new("/") {
        return Some("that is every file of this machine".to_owned());
    }
    let home = environment
        .get("HOME")
        .map(Path::new)
        .and_then(|home| home.canonicalize().ok());
    if home.is_some_and(|home| home.starts_with(&real)) {
        return Some("that is the home folder, with keys and passwords in it".to_owned());
    }
    let system = SYSTEM.iter().any(|known| real.starts_with(known));
    system.then(|| "that is a folder of the system".to_owned())
}

fn network(policy: &Policy) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |flag, value: String, words: String, warning: Option<String>| {
        lines.push(Line {
            flag,
            value,
            words,
            warning,
        });
    };
    for rule in &policy.net {
        let words = format!("connects to {}", endpoint(&rule.host, rule.ports));
        say(
            "allow-net",
            rule.to_string(),
            words,
            wide_host(&rule.host, rule.ports),
        );
    }
    for rule in &policy.http {
        let methods = if rule.methods.is_empty() {
            String::new()
        } else {
            format!("{} ", rule.methods.join(", "))
        };
        let url = rule.to_string();
        let url = url.rsplit(' ').next().unwrap_or_default();
        let words = format!("sends {methods}requests to {url} and below");
        say(
            "allow-http",
            rule.to_string(),
            words,
            wide_host(&rule.host, rule.ports),
        );
    }
    for rule in &policy.listen {
        let words = format!("accepts connections at {}", endpoint(&rule.host, rule.ports));
        let all = matches!(&rule.host, HostPattern::Range(address, _) if address.is_unspecified())
            || rule.host == HostPattern::Any;
        let warning = all.then(|| "from every network that this machine is in".to_owned());
        say("allow-listen", rule.to_string(), words, warning);
    }
    if policy.dns {
        let warning = "a name that is looked up can carry data out".to_owned();
        say(
            "allow-dns",
            "true".to_owned(),
            "looks up any name".to_owned(),
            Some(warning),
        );
    }
    if let Some(server) = policy.resolver {
        say(
            "resolver",
            server.to_string(),
            format!("has names looked up by {server}"),
            None,
        );
    }
    lines
}

fn endpoint(host: &HostPattern, ports: Ports) -> String {
    let host = match host {
        HostPattern::Any => "any public host".to_owned(),
        HostPattern::Below(name) => format!("any host below {name}"),
        other => other.to_string(),
    };
    match ports {
        Ports::One(port) => format!("{host}, port {port}"),
        Ports::Any => format!("{host}, any port"),
    }
}

/// What is said of a rule that covers more than a few hosts, or what is not public.
fn wide_host(host: &HostPattern, ports: Ports) -> Option<String> {
    match host {
        HostPattern::Any => Some("that is the whole internet".to_owned()),
        HostPattern::Below(name) if !name.contains('.') => {
            Some("that is a whole top-level domain".to_owned())
        }
        HostPattern::Below(_) => Some("others may own names there".to_owned()),
        HostPattern::Range(address, bits) => {
            let narrow = if address.is_ipv4() { NARROW.0 } else { NARROW.1 };
            match special(*address) {
                Some(what) => Some(format!("that is {what}")),
                None if *bits < narrow => Some("that is a wide range of addresses".to_owned()),
                None => None,
            }
        }
        HostPattern::Name(name) if name == "localhost" => {
            Some("that is what runs on this machine".to_owned())
        }
        HostPattern::Name(_) => {
            (ports == Ports::Any).then(|| "that is every service of that host".to_owned())
        }
    }
}
