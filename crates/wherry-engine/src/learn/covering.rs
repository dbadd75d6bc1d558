//! The smallest policy that covers a run: of what was granted what was used, and what was allowed on the way.
//!
//! Folders are granted read-only where nothing in them was changed, and once where one lies in another; requests by the
//! methods and folders that they had. Variables stay as they
//! were named: WASI hands them over all at once, so that nobody sees which one a guest looked at. Limits stay as they were.

use super::requests;
use crate::environment::Environment;
use crate::error::Result;
use crate::flags;
use crate::limits::Limits;
use crate::monitor::{Access, Answer, Entry, Grant, Monitor, Subject, Verdict};
use crate::options::Invocation;
use crate::policy::{DirGrant, Host, HttpRule, KeyValue, NetRule, Policy, host, text};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

/// The flags of the smallest policy for the run that `monitor` saw, in a file in `folder`.
///
/// # Errors
/// Those of the flags that were allowed, where what they name is not there any more.
pub fn smallest(
    invocation: &Invocation,
    monitor: &Monitor,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Grant>> {
    // Where there was too much to record, what was granted is taken to have been used.
    let used = if monitor.counts().unnamed == 0 {
        used(&invocation.policy, &used_accesses(&monitor.entries()))
    } else {
        invocation.policy.clone()
    };
    with_answers(used, invocation, monitor, folder, environment)
}

/// The flags of what was granted and of what was allowed beyond.
///
/// # Errors
/// As [`smallest`].
pub fn grown(
    invocation: &Invocation,
    monitor: &Monitor,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Grant>> {
    with_answers(
        invocation.policy.clone(),
        invocation,
        monitor,
        folder,
        environment,
    )
}

/// The value of a grant as it is written down: a folder that is only looked at need not be changed.
#[must_use]
pub fn needed(access: &Access, grant: &Grant) -> String {
    let looks = grant.flag == "dir" && !access.changes() && !grant.value.ends_with(":ro");
    format!("{}{}", grant.value, if looks { ":ro" } else { "" })
}

/// What was allowed. A name is looked up before it is known for which port: where the guest connected then, that one is enough.
fn narrowed(answers: Vec<Answer>) -> Vec<Answer> {
    let allowed: Vec<Answer> = answers.into_iter().filter(|answer| answer.allowed).collect();
    let connected: Vec<(String, String)> = allowed
        .iter()
        .filter(|answer| answer.access.subject == Subject::Net && answer.grant.flag == "allow-net")
        .filter_map(|answer| answer.grant.value.rsplit_once(':'))
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .collect();
    let narrow = |answer: Answer| {
        let host = match answer.grant.value.strip_suffix(":*") {
            Some(host) if answer.access.subject == Subject::Dns => host.to_owned(),
            _ => return vec![answer],
        };
        if connected.iter().any(|(other, _)| *other == host) {
            return Vec::new();
        }
        // Connected to by an address that had to be granted itself.
        let by_address = connected.iter().filter(|(other, _)| is_address(other));
        let ports: BTreeSet<&String> = by_address.map(|(_, port)| port).collect();
        if ports.is_empty() {
            return vec![answer];
        }
        let at = |port: &&String| Answer {
            grant: Grant {
                value: format!("{host}:{port}"),
                ..answer.grant.clone()
            },
            ..answer.clone()
        };
        ports.iter().map(at).collect()
    };
    allowed.into_iter().flat_map(narrow).collect()
}

fn with_answers(
    policy: Policy,
    invocation: &Invocation,
    monitor: &Monitor,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Grant>> {
    let mut run = Invocation {
        policy,
        limits: invocation.limits.clone(),
        ..Invocation::default()
    };
    for answer in narrowed(monitor.answers()) {
        let value = needed(&answer.access, &answer.grant);
        if answer.grant.flag == "dir" {
            let mut one = Policy::default();
            one.grant_dir(&value, environment)?;
            one.dirs
                .into_iter()
                .for_each(|dir| add(&mut run.policy.dirs, dir));
        } else if answer.grant.flag == "allow-http" && monitor.counts().unnamed == 0 {
            let mut one = Policy::default();
            one.allow_http(&value)?;
            let entries = monitor.entries();
            for rule in narrowed_http(&one.http, &used_accesses(&entries)) {
                if !run.policy.http.contains(&rule) {
                    run.policy.http.push(rule);
                }
            }
        } else if let Some(flag) = flags::by_name(answer.grant.flag) {
            (flag.set)(&mut run, &value, environment)?;
        }
    }
    let mut said = filed(&mut run.policy, invocation, folder, environment)?;
    run.policy.dirs = merged(&run.policy.dirs);
    for dir in &mut run.policy.dirs {
        dir.host = beside(&dir.host, folder);
    }
    if let KeyValue::Sqlite(path) = &mut run.policy.kv {
        *path = beside(path, folder);
    }
    said.extend(text::said(&run.policy, &run.limits, &Limits::terminal()));
    Ok(said
        .into_iter()
        .map(|grant| unvalued(grant, environment))
        .collect())
}

/// Takes the variables that came from files out of a policy, and names the files.
fn filed(
    policy: &mut Policy,
    invocation: &Invocation,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<Grant>> {
    let mut said = Vec::new();
    for file in &invocation.options.env_files {
        let mut read = Policy::default();
        read.grant_env_file(&file.display().to_string(), environment)?;
        policy.env.retain(|variable| !read.env.contains(variable));
        let value = beside(file, folder).display().to_string();
        said.push(Grant {
            flag: "env-file",
            value,
        });
    }
    Ok(said)
}

/// A path as a policy in this folder names it, so that the two can be moved together.
fn beside(path: &Path, folder: &Path) -> PathBuf {
    match plain_host(path).strip_prefix(folder) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path.to_owned(),
    }
}

/// A variable whose value is the one here as its name alone, so that the value stands in no file.
fn unvalued(grant: Grant, environment: &Environment) -> Grant {
    let copied = match grant.value.split_once('=') {
        Some((name, value))
            if grant.flag == "env" && environment.get(name).is_some_and(|here| here == value) =>
        {
            Some(name.to_owned())
        }
        _ => None,
    };
    match copied {
        Some(value) => Grant { value, ..grant },
        None => grant,
    }
}

/// What needed a grant.
fn used_accesses(entries: &[Entry]) -> Vec<&Access> {
    entries
        .iter()
        .filter(|entry| match &entry.verdict {
            Verdict::Granted => true,
            // That something is not there is what the guest would hear without the grant.
            Verdict::Failed { error } => error != "no-entry",
            Verdict::Refused { .. } => false,
        })
        .map(|entry| &entry.access)
        .collect()
}

/// What of a policy was used.
fn used(policy: &Policy, granted: &[&Access]) -> Policy {
    let of = |subject: Subject| granted.iter().filter(move |access| access.subject == subject);
    let named = |subject: Subject, name: &str| of(subject).any(|access| access.target == name);
    let reached = |subject: Subject| of(subject).next().is_some();
    let mut used = policy.clone();
    used.dirs.clear();
    for access in of(Subject::File) {
        let workdir = policy.workdir.as_deref().unwrap_or_default();
        let here = || holding(&policy.dirs, &format!("{workdir}/{}", access.target));
        if let Some(dir) = holding(&policy.dirs, &access.target).or_else(here) {
            let read_only = dir.read_only || !access.changes();
            add(
                &mut used.dirs,
                DirGrant {
                    read_only,
                    ..dir.clone()
                },
            );
        }
    }
    used.net.retain(|rule| {
        let looked_up = of(Subject::Dns).any(|access| rule.host.covers_name(&access.target));
        looked_up || of(Subject::Net).any(|access| rule_covers(rule, &access.target))
    });
    used.http = narrowed_http(&policy.http, granted);
    used.listen.retain(|rule| {
        let at = |access: &&Access| access.target.parse().map_or(true, |address| rule.covers(address));
        of(Subject::Listen).any(at)
    });
    used.dns &= reached(Subject::Dns);
    used.config.retain(|(name, _)| named(Subject::Config, name));
    used.secrets.retain(|(name, _)| named(Subject::Secret, name));
    if !reached(Subject::KeyValue) {
        used.kv = KeyValue::default();
    }
    used
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Whether a rule covers `host:port`.
fn rule_covers(rule: &NetRule, target: &str) -> bool {
    let Some((name, port)) = target.rsplit_once(':') else {
        return true;
    };
    let Ok(port) = port.parse() else { return true };
    match host(name) {
        Some(Host::Name(name)) => rule.host.covers_name(&name) && rule.ports.cover(port),
        Some(Host::Address(address)) => rule.covers(SocketAddr::new(address, port)),
        None => true,
    }
}

/// What of these rules was used, each once.
fn narrowed_http(rules: &[HttpRule], granted: &[&Access]) -> Vec<HttpRule> {
    let mut narrow: Vec<HttpRule> = Vec::new();
    for rule in rules.iter().flat_map(|rule| requests::narrowed(rule, granted)) {
        if !narrow.contains(&rule) {
            narrow.push(rule);
        }
    }
    narrow
}

/// The folder that the guest sees a path in: of two, one in the other, the inner one.
fn holding<'a>(dirs: &'a [DirGrant], path: &str) -> Option<&'a DirGrant> {
    let path = plain(path);
    let within = |dir: &&DirGrant| path.starts_with(plain(&dir.guest));
    let depth = |dir: &&DirGrant| plain(&dir.guest).components().count();
    dirs.iter().filter(within).max_by_key(depth)
}

/// A guest path without the parts that lead nowhere.
fn plain(path: &str) -> PathBuf {
    Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// Adds a folder; of two grants of one the wider stays.
fn add(dirs: &mut Vec<DirGrant>, dir: DirGrant) {
    match dirs
        .iter_mut()
        .find(|known| plain(&known.guest) == plain(&dir.guest))
    {
        Some(known) => known.read_only &= dir.read_only,
        None => dirs.push(dir),
    }
}

/// The folders without those that another grants as well, under the same name and with at least the same rights.
fn merged(dirs: &[DirGrant]) -> Vec<DirGrant> {
    let covers = |outer: &DirGrant, inner: &DirGrant| {
        let below = |inner: &Path, outer: &Path| inner.strip_prefix(outer).ok().map(Path::to_owned);
        let guest = below(&plain(&inner.guest), &plain(&outer.guest));
        outer.guest != inner.guest
            && guest.is_some()
            && guest == below(&plain_host(&inner.host), &plain_host(&outer.host))
            && (!outer.read_only || inner.read_only)
    };
    let needed = |dir: &&DirGrant| !dirs.iter().any(|other| covers(other, dir));
    dirs.iter().filter(needed).cloned().collect()
}

fn plain_host(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests;
