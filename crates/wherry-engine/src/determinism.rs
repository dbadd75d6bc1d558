//! What `--deterministic` asks of a run: nothing that differs from one machine, run or neighbour to the next.
//!
//! The switch is [`Policy::deterministic`]. Each part is done where it belongs: code in `mode`, clocks and randomness in
//! `ambient`, streams in `stdio`, growth in `guest`. Here stands what the rest of a policy and the limits have to be.

use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::policy::{KeyValue, Policy};

/// The fuel of a deterministic run that was given none: a run has to end on any machine.
pub const FUEL: u64 = 1_000_000_000_000;

/// The limits of a run: where it is deterministic, with fuel.
///
/// # Errors
/// [`Kind::Usage`] for a policy that grants what no two runs would find the same.
pub fn settle(policy: &Policy, limits: &Limits) -> Result<Limits> {
    let mut limits = limits.clone();
    if !policy.deterministic {
        return Ok(limits);
    }
    let Policy {
        net,
        http,
        listen,
        dns,
        kv,
        ..
    } = policy;
    let network = [
        ("allow-net", !net.is_empty()),
        ("allow-http", !http.is_empty()),
        ("allow-listen", !listen.is_empty()),
        ("allow-dns", *dns),
        ("kv", *kv != KeyValue::Memory),
    ];
    if let Some((flag, _)) = network.into_iter().find(|(_, granted)| *granted) {
        let why = if flag == "kv" {
            "what a file of another run holds"
        } else {
            "the network"
        };
        return Err(Error::new(
            Kind::Usage,
            format!("`--deterministic` and `--{flag}` exclude each other: no two runs see {why} alike"),
        )
        .with_hint(format!(
            "leave one of them out; give the guest what it needs as files or on standard input, \
                            without `--{flag}`"
        )));
    }
    limits.fuel = limits.fuel.or(Some(FUEL));
    Ok(limits)
}

#[cfg(test)]
mod code;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deterministic_run_has_fuel_and_no_network() {
        let mut policy = Policy::default();
        let limits = Limits::terminal();
        assert_eq!(settle(&policy, &limits).unwrap().fuel, None);
        policy.deterministic = true;
        assert_eq!(settle(&policy, &limits).unwrap().fuel, Some(FUEL));
        let given = Limits {
            fuel: Some(5),
            ..limits.clone()
        };
        assert_eq!(settle(&policy, &given).unwrap().fuel, Some(5));
        for flag in ["allow-net", "allow-http", "allow-listen", "allow-dns", "kv"] {
            let mut policy = policy.clone();
            match flag {
                "allow-net" => policy.allow_net("db:5432").unwrap(),
                "allow-http" => policy.allow_http("https://api.example.com").unwrap(),
                "allow-listen" => policy.allow_listen("127.0.0.1:80").unwrap(),
                "allow-dns" => policy.dns = true,
                _ => policy.kv = KeyValue::Sqlite("file".into()),
            }
            let error = settle(&policy, &limits).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.message().contains(flag), "{flag}: {}", error.message());
        }
    }
}
