//! Clocks and randomness, which every guest has unless they are withheld or fixed: `--clock`, `--random`.

use super::Policy;
use crate::{Error, Kind, Result, limits};
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::time::Duration;

/// When a virtual clock begins that nobody set: 2000-01-01T00:00:00Z. Archives know no time before 1980.
const START: Duration = Duration::from_hours(24 * 10_957);

/// What each reading adds to a virtual clock unless something else was said.
const STEP: Duration = Duration::from_micros(1);

/// What time a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The host's.
    Host,
    /// None: a guest that asks is refused.
    Withheld,
    /// A clock of its own, which begins at `start` and moves on by `step` each time it is read; a wait moves it on at once.
    Virtual {
        /// Wall time at the start, since 1970-01-01 UTC.
        start: Duration,
        /// What each reading adds.
        step: Duration,
    },
}

/// What randomness a guest sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// The host's.
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
            Clock::Virtual { start, step } => {
                let time = SignedDuration::try_from(*start).map(Timestamp::from_duration);
                match time {
                    Ok(Ok(time)) => write!(f, "{time}")?,
                    _ => write!(f, "{}", start.as_secs())?,
                }
                write!(f, "+{}", limits::typed_duration(*step))
            }
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

impl Clock {
    /// The virtual clock of `--deterministic`: from 2000-01-01T00:00:00Z, a microsecond for each reading.
    pub const VIRTUAL: Self = Self::Virtual {
        start: START,
        step: STEP,
    };
}

impl Policy {
    /// Reads `host`, `none`, or when a virtual clock begins and what each reading adds, as in
    /// `--clock 2024-01-01T00:00:00Z+1ms`; the time is RFC 3339, or seconds since 1970.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else.
    pub fn set_clock(&mut self, text: &str) -> Result<()> {
        self.clock = Some(match text {
            "host" => Clock::Host,
            "none" => Clock::Withheld,
            _ => virtual_clock(text)?,
        });
        Ok(())
    }

    /// The clock that the guest sees.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let unsaid = if self.deterministic {
            Clock::VIRTUAL
        } else {
            Clock::Host
        };
        self.clock.unwrap_or(unsaid)
    }

    /// The randomness that the guest sees.
    #[must_use]
    pub fn randomness(&self) -> Randomness {
        let unsaid = if self.deterministic {
            Randomness::Seeded(0)
        } else {
            Randomness::Host
        };
        self.random.unwrap_or(unsaid)
    }

    /// Reads `host`, `none` or a seed, as in `--random 42`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything else.
    pub fn set_random(&mut self, text: &str) -> Result<()> {
        self.random = Some(match text {
            "host" => Randomness::Host,
            "none" => Randomness::Withheld,
            seed => Randomness::Seeded(seed.parse().map_err(|_| {
                Error::new(Kind::Usage, "not a source of randomness")
                    .with_hint("it is `host`, `none`, or a seed from 0 to 18446744073709551615")
            })?),
        });
        Ok(())
    }
}

/// Reads `START[+STEP]`.
fn virtual_clock(text: &str) -> Result<Clock> {
    // The offset of a time, as in `+02:00`, begins with a plus as well.
    if let Some(start) = instant(text) {
        return Ok(Clock::Virtual { start, step: STEP });
    }
    let parts = text.rsplit_once('+');
    let parts = parts.and_then(|(start, step)| Some((instant(start)?, span(step)?)));
    let (start, step) = parts.ok_or_else(|| {
        Error::new(Kind::Usage, "not a clock").with_hint(
            "a clock is `host`, `none`, or the time at which one begins, such as `2024-01-01T00:00:00Z`, or with what \
             each reading adds `2024-01-01T00:00:00Z+1ms`",
        )
    })?;
    Ok(Clock::Virtual { start, step })
}

/// Reads a time that is not before 1970: RFC 3339, or seconds.
fn instant(text: &str) -> Option<Duration> {
    match text.parse::<Timestamp>() {
        Ok(time) => Duration::try_from(time.as_duration()).ok(),
        Err(_) => text.bytes().next()?.is_ascii_digit().then(|| span(text))?,
    }
}

/// Reads a stretch of time that may be zero.
fn span(text: &str) -> Option<Duration> {
    if matches!(text, "0" | "0s") {
        return Some(Duration::ZERO);
    }
    limits::duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_the_host_s_or_none_or_begins_at_a_time() {
        let at = |start: u64, step: Duration| Clock::Virtual {
            start: Duration::from_secs(start),
            step,
        };
        for (text, clock) in [
            ("host", Clock::Host),
            ("none", Clock::Withheld),
            ("0", at(0, STEP)),
            ("1700000000", at(1_700_000_000, STEP)),
            ("1700000000+1ms", at(1_700_000_000, Duration::from_millis(1))),
            (
                "1700000000.5+7ns",
                Clock::Virtual {
                    start: Duration::from_millis(1_700_000_000_500),
                    step: Duration::from_nanos(7),
                },
            ),
            ("1700000000+0", at(1_700_000_000, Duration::ZERO)),
            ("2000-01-01T00:00:00Z", Clock::VIRTUAL),
            ("2000-01-01T02:00:00+02:00", Clock::VIRTUAL),
            ("2000-01-01T02:00:00+02:00+1us", Clock::VIRTUAL),
            ("2000-01-01T00:00:00Z+0s", at(946_684_800, Duration::ZERO)),
        ] {
            let mut policy = Policy::default();
            policy.set_clock(text).unwrap();
            assert_eq!(policy.clock, Some(clock), "{text}");
            policy.set_clock(&clock.to_string()).unwrap();
            assert_eq!(policy.clock, Some(clock), "{text} as it is typed");
        }
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for text in [
            "",
            "now",
            "2000-01-01",
            "-5",
            "+1s",
            "1969-12-31T23:59:59Z",
            "0+",
            "0+x",
            "s",
        ] {
            let error = Policy::default().set_clock(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
        }
    }
}
