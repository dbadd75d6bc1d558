//! Clocks and randomness, which every guest has unless they are withheld or fixed: `--clock`, `--random`.

use super::Policy;
use crate::{Error, Kind, Result};
use std::fmt;
use std::time::Duration;

/// What time a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The host's.
    #[default]
    Host,
    /// None: a guest that asks is refused.
    Withheld,
    /// A clock of its own that begins at `start` after 1970 and moves on by `step` each time it is read.
    Virtual {
        /// Wall time at the start, since 1970-01-01 UTC.
        start: Duration,
        /// What each reading adds.
        step: Duration,
    },
}

/// What randomness a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Randomness {
    /// The host's.
    #[default]
    Host,
    /// None: a guest that asks is refused.
    Withheld,
    /// A sequence that follows from the seed.
    Seeded(u64),
}

/// As `--clock` takes it.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clock::Host => f.write_str("host"),
            Clock::Withheld => f.write_str("none"),
            Clock::Virtual { start, step } => write!(f, "{}+{}", start.as_secs(), step.as_nanos()),
        }
    }
}

/// As `--random` takes it.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Randomness::Host => f.write_str("host"),
            Randomness::Withheld => f.write_str("none"),
            Randomness::Seeded(seed) => write!(f, "{seed}"),
        }
    }
}

impl Policy {
    /// Reads `host`, `none`, or when a virtual clock begins, as in `--clock 2024-01-01T00:00:00Z`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else.
    pub fn set_clock(&mut self, text: &str) -> Result<()> {
        self.clock = match text {
            "host" => Clock::Host,
            "none" => Clock::Withheld,
            _ => return Err(Error::new(Kind::Usage, "not a clock").with_hint("a clock is `host` or `none`")),
        };
        Ok(())
    }

    /// Reads `host`, `none` or a seed, as in `--random 42`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else.
    pub fn set_random(&mut self, text: &str) -> Result<()> {
        self.random = match text {
            "host" => Randomness::Host,
            "none" => Randomness::Withheld,
            seed => Randomness::Seeded(seed.parse().map_err(|_| {
                Error::new(Kind::Usage, "not a source of randomness")
                    .with_hint("it is `host`, `none`, or a seed from 0 to 18446744073709551615")
            })?),
        };
        Ok(())
    }
}
