//! What `--deterministic` asks of a run: nothing that differs from one machine, run or neighbour to the next.
//!
//! The switch is [`Policy::deterministic`]. Each part is done where it belongs: code in `mode`, clocks and randomness in
//! `ambient`, streams in `stdio`, growth in `guest`. Here stands what the rest of a policy and the limits have to be.

use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::options::Invocation;
use crate::policy::{Clock, KeyValue, Policy, Randomness};

/// The fuel of a deterministic run that was given none: a run has to end on any machine.
pub const FUEL: u64 = 1_000_000_000_000;

/// Gives a command line the limits that its policy asks for.
///
/// # Errors
/// As [`check`], and [`Kind::Usage`] where a deterministic run was to have no end.
pub fn settle(run: &mut Invocation) -> Result<()> {
    run.limits = limits(&run.policy, &run.limits)?;
    if run.policy.deterministic && run.options.unmetered {
        return Err(Error::new(
            Kind::Usage,
            "`--deterministic` and `--fuel none` exclude each other: fuel is what ends the run on every machine",
        )
        .with_hint(format!(
            "leave `--fuel none` out for {FUEL} units, or say how many: `--fuel 1000T`; or leave `--deterministic` out"
        )));
    }
    Ok(())
}

/// The limits of a run: where it is deterministic, with fuel.
///
/// # Errors
/// As [`check`].
pub fn limits(policy: &Policy, limits: &Limits) -> Result<Limits> {
    check(policy)?;
    let mut limits = limits.clone();
    if policy.deterministic {
        limits.fuel = limits.fuel.or(Some(FUEL));
    }
    Ok(limits)
}

/// Refuses a policy that asks for determinism and for what takes it away.
///
/// # Errors
/// [`Kind::Usage`] for a policy that grants what no two runs would find the same.
pub fn check(policy: &Policy) -> Result<()> {
    if !policy.deterministic {
        return Ok(());
    }
    let Policy {
        net,
        http,
        listen,
        dns,
        resolver,
        kv,
        clock,
        random,
        ..
    } = policy;
    let network = "give the guest what it needs as files or on standard input";
    let contradictions = [
        ("allow-net", !net.is_empty(), "the network", network),
        ("allow-http", !http.is_empty(), "the network", network),
        ("allow-listen", !listen.is_empty(), "the network", network),
        ("allow-dns", *dns, "the network", network),
        ("resolver", resolver.is_some(), "the network", network),
        (
            "kv",
            *kv != KeyValue::Memory,
            "what a file of another run holds",
            "what the guest stores is kept in memory then",
        ),
        (
            "clock host",
            *clock == Some(Clock::Host),
            "the host's clock",
            "the guest's clock begins in the year 2000 then, or where `--clock 2024-01-01T00:00:00Z` says",
        ),
        (
            "random host",
            *random == Some(Randomness::Host),
            "the host's randomness",
            "the guest's randomness follows from seed 0 then, or from the one that `--random 42` gives",
        ),
    ];
    match contradictions.into_iter().find(|(_, said, ..)| *said) {
        None => Ok(()),
        Some((flag, _, what, instead)) => Err(Error::new(
            Kind::Usage,
            format!("`--deterministic` and `--{flag}` exclude each other: no two runs see {what} alike"),
        )
        .with_hint(format!(
            "leave `--{flag}` out: {instead}; or leave `--deterministic` out"
        ))),
    }
}

#[cfg(test)]
mod code;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deterministic_run_has_fuel_and_nothing_of_the_host() {
        let mut policy = Policy::default();
        let limits = Limits::terminal();
        assert_eq!(super::limits(&policy, &limits).unwrap().fuel, None);
        policy.deterministic = true;
        assert_eq!(super::limits(&policy, &limits).unwrap().fuel, Some(FUEL));
        let given = Limits {
            fuel: Some(5),
            ..limits.clone()
        };
        assert_eq!(super::limits(&policy, &given).unwrap().fuel, Some(5));
        for flag in [
            "allow-net",
            "allow-http",
            "allow-listen",
            "allow-dns",
            "resolver",
            "kv",
            "clock host",
            "random host",
        ] {
            let mut policy = policy.clone();
            match flag {
                "allow-net" => policy.allow_net("db:5432").unwrap(),
                "allow-http" => policy.allow_http("https://api.example.com").unwrap(),
                "allow-listen" => policy.allow_listen("127.0.0.1:80").unwrap(),
                "allow-dns" => policy.dns = true,
                "resolver" => policy.set_resolver("127.0.0.1").unwrap(),
                "clock host" => policy.set_clock("host").unwrap(),
                "random host" => policy.set_random("host").unwrap(),
                _ => policy.kv = KeyValue::Sqlite("file".into()),
            }
            let error = super::limits(&policy, &limits).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.message().contains(flag), "{flag}: {}", error.message());
        }
    }
}
