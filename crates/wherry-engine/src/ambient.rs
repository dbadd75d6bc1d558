//! Clocks and randomness of a guest: the host's, withheld, or its own.
//!
//! The wrappers stand in front of what wasmtime-wasi offers, in [`modules`] for WASI 0.1 and in [`components`] for 0.2 and
//! 0.3. They ask [`Guest::may_read_clock`] and [`Guest::may_draw`], which note what happened, and go round wasmtime-wasi
//! where it would wait for the host's time or draw from the host's randomness.

pub mod components;
pub mod modules;

use crate::clock::{MonotonicTime, VirtualClock, WallTime};
use crate::error::{Error, Kind};
use crate::guest::Guest;
use crate::monitor::{Access, Grant, Subject};
use crate::policy::{Clock, Policy, Randomness};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::sync::Arc;
use wasmtime_wasi::WasiCtxBuilder;

/// Which clock and which randomness a guest has.
pub struct Ambient {
    /// The guest's own clock; `None` for the host's.
    pub clock: Option<Arc<VirtualClock>>,
    clock_withheld: bool,
    /// The guest's own randomness; `None` for the host's.
    random: Option<Seeded>,
    /// The most random bytes that it gets at once.
    most: u64,
    random_withheld: bool,
}

impl Ambient {
    /// What `policy` says, for the guest that is built.
    pub(crate) fn of(policy: &Policy, most: u64, builder: &mut WasiCtxBuilder) -> Self {
        let clock = match policy.clock() {
            Clock::Virtual { start, step } => Some(Arc::new(VirtualClock::new(start, step))),
            Clock::Host | Clock::Withheld => None,
        };
        if let Some(clock) = &clock {
            builder
                .wall_clock(WallTime(Arc::clone(clock)))
                .monotonic_clock(MonotonicTime(Arc::clone(clock)));
        }
        let random = match policy.randomness() {
            Randomness::Seeded(seed) => Some(Seeded::new(seed)),
            Randomness::Host | Randomness::Withheld => None,
        };
        Self {
            clock,
            clock_withheld: policy.clock() == Clock::Withheld,
            random,
            most,
            random_withheld: policy.randomness() == Randomness::Withheld,
        }
    }
}

/// Random bytes that follow from a seed: the key stream of `ChaCha20`, whose key is the seed in little-endian
/// followed by zeros, and whose nonce is zero. Each request takes the next bytes, up to a multiple of four.
struct Seeded(ChaCha20Rng);

impl Seeded {
    fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha20Rng::from_seed(key))
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

impl Guest {
    /// Whether the guest has a clock, be it to read it or to wait by it.
    fn may_read_clock(&self, operation: &'static str, target: &str) -> bool {
        let access = || Access {
            subject: Subject::Clock,
            operation,
            target: target.to_owned(),
        };
        self.admits(self.ambient.clock_withheld, "clock", access)
    }

    /// Whether the guest has randomness.
    fn may_draw(&self, target: &str) -> bool {
        let access = || Access {
            subject: Subject::Random,
            operation: "read",
            target: target.to_owned(),
        };
        self.admits(self.ambient.random_withheld, "random", access)
    }

    fn admits(&self, withheld: bool, flag: &'static str, access: impl Fn() -> Access) -> bool {
        let host = || Grant {
            flag,
            value: "host".to_owned(),
        };
        if withheld && !self.monitor.learns(&access(), &host()) {
            self.monitor.refused(access(), "it is withheld", Some(host()));
            return false;
        }
        self.monitor.granted(access);
        true
    }
}

/// For interfaces that have no error of their own to say it with: the guest ends. What would allow it, the monitor knows.
fn withheld(what: &str) -> wasmtime::Error {
    Error::new(
        Kind::Trap,
        format!("the guest asked for {what}, which is withheld from it"),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_key_of_chacha20() {
        // RFC 8439, appendix A.1: the key stream of the key that is all zeros.
        let mut bytes = [0; 8];
        let mut seeded = Seeded::new(0);
        seeded.fill(&mut bytes);
        assert_eq!(bytes, [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(
            seeded.number().to_le_bytes(),
            [0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28]
        );
        assert_ne!(Seeded::new(1).number(), Seeded::new(2).number());
    }
}
