//! What one policy grants beyond another. Start reading at [`beyond`].

use std::time::Duration;

use super::addresses::{special, within};
use super::plain::{Line, describe};
use super::{Clock, DirGrant, HostPattern, HttpRule, Policy, Ports, Randomness};
use crate::environment::Environment;
use crate::limits::Limits;
use crate::options::Invocation;
use crate::policy::text::said;

/// What `other` grants and `policy` does not cover, in plain words.
#[must_use]
pub fn beyond(policy: &Invocation, other: &Invocation, environment: &Environment) -> Vec<Line> {
    let rest = uncovered(&policy.policy, &other.policy);
    let mut lines = describe(&rest, environment);
    lines.extend(raised(&policy.limits, &other.limits));
    lines
}

/// The grants of `other` that none of `policy` covers.
fn uncovered(policy: &Policy, other: &Policy) -> Policy {
    let mut rest = other.clone();
    rest.dirs
        .retain(|dir| !policy.dirs.iter().any(|own| covers_folder(own, dir)));
    rest.env.retain(|variable| !policy.env.contains(variable));
    rest.config.retain(|value| !policy.config.contains(value));
    rest.secrets.retain(|secret| !policy.secrets.contains(secret));
    rest.net.retain(|rule| {
        let covers = |own: &super::NetRule| covers(&own.host, own.ports, &rule.host, rule.ports);
        !policy.net.iter().any(covers)
    });
    rest.http
        .retain(|rule| !policy.http.iter().any(|own| covers_request(own, rule)));
    rest.listen.retain(|rule| {
        let covers = |own: &super::ListenRule| covers(&own.host, own.ports, &rule.host, rule.ports);
        !policy.listen.iter().any(covers)
    });
    rest.dns &= !policy.dns;
    // Where a guest starts, and who is asked for addresses, lets it reach nothing more.
    rest.workdir = None;
    rest.resolver = None;
    if rest.kv == policy.kv {
        rest.kv = super::KeyValue::default();
    }
    rest.clock = Some(rest.clock()).filter(|clock| seen(*clock) > seen(policy.clock()));
    let (random, own) = (rest.randomness(), policy.randomness());
    rest.random = (drawn(random) > drawn(own)).then_some(random);
    // It takes away, and what it leaves is compared above.
    rest.deterministic = false;
    rest
}

/// How much of the host a clock shows: one of the guest's own shows nothing of it.
fn seen(clock: Clock) -> u8 {
    match clock {
        Clock::Withheld => 0,
        Clock::Virtual { .. } => 1,
        Clock::Host => 2,
    }
}

/// The same for randomness.
fn drawn(random: Randomness) -> u8 {
    match random {
        Randomness::Withheld => 0,
        Randomness::Seeded(_) => 1,
        Randomness::Host => 2,
    }
}

fn covers_folder(own: &DirGrant, other: &DirGrant) -> bool {
    let real = |dir: &DirGrant| dir.host.canonicalize().unwrap_or_else(|_| dir.host.clone());
    real(other).starts_with(real(own)) && (other.read_only || !own.read_only)
}

fn covers(own: &HostPattern, ports: Ports, other: &HostPattern, others: Ports) -> bool {
    let ports = match (ports, others) {
        (Ports::Any, _) => true,
        (Ports::One(own), Ports::One(other)) => own == other,
        (Ports::One(_), Ports::Any) => false,
    };
    ports && covers_host(own, other)
}

/// Whether all that one pattern covers is covered by another; in doubt it is not.
fn covers_host(own: &HostPattern, other: &HostPattern) -> bool {
    match other {
        _ if own == other => true,
        HostPattern::Name(name) => own.covers_name(name),
        HostPattern::Below(name) => match own {
            HostPattern::Any => own.covers_name(name),
            HostPattern::Below(above) => name.ends_with(&format!(".{above}")),
            _ => false,
        },
        HostPattern::Range(address, bits) => match own {
            HostPattern::Range(network, wide) => wide <= bits && within(*address, *network, *wide),
            HostPattern::Any => {
                let whole = if address.is_ipv4() { 32 } else { 128 };
                *bits == whole && special(*address).is_none()
            }
            _ => false,
        },
        HostPattern::Any => false,
    }
}

fn covers_request(own: &HttpRule, other: &HttpRule) -> bool {
    let methods = own.methods.is_empty()
        || (!other.methods.is_empty() && other.methods.iter().all(|method| own.methods.contains(method)));
    let below = |path: &str| {
        path.strip_prefix(own.path.trim_end_matches('/'))
            .map(str::to_owned)
    };
    let path = below(&other.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    methods && path && own.scheme == other.scheme && covers(&own.host, own.ports, &other.host, other.ports)
}

/// Limits that are higher than those of another.
fn raised(limits: &Limits, other: &Limits) -> Vec<Line> {
    let mut lines = Vec::new();
    for grant in said(&Policy::default(), other, limits) {
        let mut alone = Invocation {
            limits: limits.clone(),
            ..Invocation::default()
        };
        let set = crate::flags::by_name(grant.flag).map(|flag| flag.set);
        let higher = set.is_some_and(|set| {
            // Both were read before; a value that reads and is less raises nothing.
            set(&mut alone, &grant.value, &Environment::default()).is_ok() && !lower(&alone.limits, limits)
        });
        if higher {
            lines.push(Line {
                flag: grant.flag,
                words: format!("has a higher limit: --{} {}", grant.flag, grant.value),
                value: grant.value,
                warning: None,
            });
        }
    }
    lines
}

/// Whether every limit is at most that of another.
fn lower(one: &Limits, other: &Limits) -> bool {
    let amount = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let time = |limit: Option<Duration>| limit.unwrap_or(Duration::MAX);
    time(one.timeout) <= time(other.timeout)
        && amount(one.fuel) <= amount(other.fuel)
        && amount(one.output) <= amount(other.output)
        && amount(one.outgoing) <= amount(other.outgoing)
        && amount(one.write) <= amount(other.write)
        && amount(one.transfer) <= amount(other.transfer)
        && time(one.compile_timeout) <= time(other.compile_timeout)
        && amount(one.compile_memory) <= amount(other.compile_memory)
        && one.memory <= other.memory
        && one.stack <= other.stack
        && one.handles <= other.handles
        && one.connections <= other.connections
        && one.connect_timeout <= other.connect_timeout
        && one.first_byte_timeout <= other.first_byte_timeout
        && one.between_bytes_timeout <= other.between_bytes_timeout
        && one.instances <= other.instances
        && one.tables <= other.tables
        && one.bounds.functions <= other.bounds.functions
        && one.bounds.body <= other.bounds.body
        && one.bounds.nesting <= other.bounds.nesting
        && one.bounds.size <= other.bounds.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(flags: &[(&str, &str)]) -> Invocation {
        let mut run = Invocation::default();
        for (name, value) in flags {
            let set = crate::flags::by_name(name).unwrap().set;
            set(&mut run, value, &Environment::default()).unwrap();
        }
        run
    }

    #[test]
    fn what_shows_less_of_the_host_is_not_beyond() {
        for (own, other, is) in [
            (("clock", "none"), ("clock", "0"), false),
            (("clock", "0"), ("clock", "host"), false),
            (("clock", "host"), ("clock", "0"), true),
            (("clock", "1"), ("clock", "none"), true),
            (("random", "none"), ("random", "7"), false),
            (("random", "7"), ("random", "host"), false),
            (("random", "host"), ("random", "none"), true),
            // What nobody mentions is the host's; determinism takes it away.
            (("clock", "none"), ("random", "host"), false),
            (("deterministic", "true"), ("allow-dns", "false"), false),
            (("allow-dns", "false"), ("deterministic", "true"), true),
        ] {
            let found = beyond(&granted(&[own]), &granted(&[other]), &Environment::default());
            assert_eq!(found.is_empty(), is, "{own:?} {other:?}");
        }
    }

    #[test]
    fn what_is_covered_is_not_beyond() {
        for (own, other, is) in [
            (("dir", "/"), ("dir", "/tmp:ro"), true),
            (("dir", "/tmp:ro"), ("dir", "/tmp"), false),
            (("dir", "/tmp"), ("dir", "/"), false),
            (("allow-net", "*:443"), ("allow-net", "example.com:443"), true),
            (("allow-net", "*:443"), ("allow-net", "example.com:80"), false),
            (("allow-net", "*:443"), ("allow-net", "localhost:443"), false),
            (("allow-net", "*:443"), ("allow-net", "10.0.0.1:443"), false),
            (
                ("allow-net", "*.example.com:*"),
                ("allow-net", "a.example.com:1"),
                true,
            ),
            (
                ("allow-net", "*.example.com:*"),
                ("allow-net", "*.a.example.com:1"),
                true,
            ),
            (
                ("allow-net", "*.example.com:*"),
                ("allow-net", "example.com:1"),
                false,
            ),
            (
                ("allow-net", "10.0.0.0/8:1"),
                ("allow-net", "10.1.0.0/16:1"),
                true,
            ),
            (
                ("allow-net", "10.1.0.0/16:1"),
                ("allow-net", "10.0.0.0/8:1"),
                false,
            ),
            (
                ("allow-http", "https://a.com/v1"),
                ("allow-http", "GET https://a.com/v1/x"),
                true,
            ),
            (
                ("allow-http", "https://a.com/v1"),
                ("allow-http", "https://a.com/v10"),
                false,
            ),
            (
                ("allow-http", "GET https://a.com/"),
                ("allow-http", "https://a.com/"),
                false,
            ),
            (("memory", "2GiB"), ("memory", "1GiB"), true),
            (("memory", "1GiB"), ("memory", "2GiB"), false),
            (("timeout", "5s"), ("timeout", "none"), false),
            (("env", "A=1"), ("env", "A=2"), false),
            (("env", "A=1"), ("env", "A=1"), true),
            (("allow-dns", "true"), ("allow-dns", "true"), true),
        ] {
            let lines = beyond(&granted(&[own]), &granted(&[other]), &Environment::default());
            assert_eq!(lines.is_empty(), is, "{own:?} {other:?}: {lines:?}");
        }
    }
}
