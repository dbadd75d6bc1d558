//! What a run may use up, and how people write it: `256MiB`, `1m30s`, `10M`.
//!
//! A [`Limits`] is complete: every limit has a value, and what no flag, variable or file says comes from
//! [`Limits::terminal`] or [`Limits::embedded`]. The parsers at the end of the file read what people type;
//! their errors say what is wrong with the text alone, and the caller adds where the text came from.

use std::time::Duration;

use crate::bounds::Bounds;
use crate::{Error, Kind, Result};

const MIB: u64 = 1 << 20;

/// The least stack that a guest can be given, in bytes: less does not carry the engine's own frames.
pub const LEAST_STACK: usize = 64 << 10;
/// The most stack that a guest can be given, in bytes: it is reserved for each running guest.
pub const MOST_STACK: usize = 256 << 20;

/// What one run may use up. `None` is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all memories of the guest together.
    pub memory: u64,
    /// Wall time from the first instruction of the guest.
    pub timeout: Option<Duration>,
    /// Units of fuel; about one for each instruction.
    pub fuel: Option<u64>,
    /// Bytes written to standard output and standard error together.
    pub output: Option<u64>,
    /// Bytes of stack.
    pub stack: usize,
    /// Open files, folders, sockets and other handles at once.
    pub handles: u32,
    /// Connections at once.
    pub connections: u32,
    /// HTTP requests sent.
    pub outgoing: Option<u64>,
    /// Bytes written to files, and by which files grow.
    pub write: Option<u64>,
    /// Bytes sent and received over the network, both together.
    pub transfer: Option<u64>,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// From a request to the first byte of its answer.
    pub first_byte_timeout: Duration,
    /// Between two pieces of an answer.
    pub between_bytes_timeout: Duration,
    /// Core instances at once.
    pub instances: u32,
    /// Tables at once.
    pub tables: u32,
    /// What a file may hold to be compiled at all.
    pub bounds: Bounds,
    /// From the first byte of a file that is read until its code is there.
    pub compile_timeout: Option<Duration>,
    /// Bytes of memory for the process that compiles what is large.
    pub compile_memory: Option<u64>,
}

impl Limits {
    /// The limits of a process that a person started in a terminal and can end with Ctrl-C.
    #[must_use]
    pub fn terminal() -> Self {
        Self {
            memory: 512 * MIB,
            timeout: None,
            fuel: None,
            output: None,
            stack: 1 << 20,
            handles: 1024,
            connections: 64,
            outgoing: None,
            write: None,
            transfer: Some(1 << 30),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_mins(1),
            between_bytes_timeout: Duration::from_mins(1),
            instances: 10_000,
            tables: 10_000,
            bounds: Bounds::default(),
            compile_timeout: Some(Duration::from_mins(10)),
            compile_memory: Some(4 << 30),
        }
    }

    /// The limits of a guest inside another program, which cannot watch it: 30 s, 64 MiB of captured output.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            timeout: Some(Duration::from_secs(30)),
            output: Some(64 * MIB),
            ..Self::terminal()
        }
    }
}

/// One of the limits, for messages about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::timeout`].
    Timeout,
    /// [`Limits::fuel`].
    Fuel,
    /// [`Limits::output`].
    Output,
    /// [`Limits::stack`].
    Stack,
    /// [`Limits::handles`].
    Handles,
    /// [`Limits::connections`].
    Connections,
    /// [`Limits::outgoing`].
    Outgoing,
    /// [`Limits::write`].
    Write,
    /// [`Limits::transfer`].
    Transfer,
}

impl Limit {
    /// Its flag, without dashes, and a value that would do more often.
    pub(crate) const fn flag(self) -> (&'static str, &'static str) {
        match self {
            Limit::Memory => ("memory", "2GiB"),
            Limit::Timeout => ("timeout", "1m"),
            Limit::Fuel => ("fuel", "10G"),
            Limit::Output => ("max-output", "1GiB"),
            Limit::Stack => ("stack", "8MiB"),
            Limit::Handles => ("max-handles", "10k"),
            Limit::Connections => ("max-connections", "1k"),
            Limit::Outgoing => ("max-outgoing", "1k"),
            Limit::Write => ("max-write", "1GiB"),
            Limit::Transfer => ("max-transfer", "10GiB"),
        }
    }

    /// What a guest has had when a limit of this value struck: `1MiB written`.
    #[must_use]
    pub fn reached(self, value: u64) -> String {
        match self {
            Limit::Memory => format!("{} of memory", in_bytes(value)),
            Limit::Timeout => format!("{value} nanoseconds"),
            Limit::Fuel => format!("{value} of fuel"),
            Limit::Output => format!("{} of output", in_bytes(value)),
            Limit::Stack => format!("{} of stack", in_bytes(value)),
            Limit::Handles => format!("{value} open handles"),
            Limit::Connections => format!("{value} connections"),
            Limit::Outgoing => format!("{value} requests"),
            Limit::Write => format!("{} written", in_bytes(value)),
            Limit::Transfer => format!("{} sent and received", in_bytes(value)),
        }
    }

    /// A value of its flag that is higher than this one, which struck.
    #[must_use]
    pub fn raised(self, value: u64) -> String {
        let (_, example) = self.flag();
        let twice = value.saturating_mul(2);
        let (usual, more) = match self {
            Limit::Timeout => {
                let usual = duration(example).map_or(0, |time| time.as_nanos());
                (usual, format!("{}s", twice.div_ceil(1_000_000_000)))
            }
            Limit::Fuel | Limit::Handles | Limit::Connections | Limit::Outgoing => {
                (count::<u64>(example).map_or(0, u128::from), twice.to_string())
            }
            Limit::Memory | Limit::Output | Limit::Stack | Limit::Write | Limit::Transfer => {
                let usual = size::<u64>(example).map_or(0, u128::from);
                let most = if self == Limit::Stack {
                    MOST_STACK as u64
                } else {
                    u64::MAX
                };
                (usual, typed_size(twice.min(most)))
            }
        };
        if u128::from(value) < usual {
            return example.to_owned();
        }
        more
    }

    /// How to raise it over the value at which it struck, in a terminal and in Python.
    #[must_use]
    pub fn hint(self, value: u64) -> String {
        if self == Limit::Stack && value >= MOST_STACK as u64 {
            return "no guest can have more stack".to_owned();
        }
        let (flag, example) = (self.flag().0, self.raised(value));
        let argument = flag.trim_start_matches("max-");
        format!("raise it with `--{flag} {example}`, in Python with `Limits({argument}=\"{example}\")`")
    }
}

/// A number of bytes as people write it: `512MiB`, `1000 bytes`.
#[must_use]
pub fn in_bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}

/// A size as a flag takes it: `512MiB`, `1000`.
#[must_use]
pub fn typed_size(bytes: u64) -> String {
    in_bytes(bytes).trim_end_matches(" bytes").to_owned()
}

/// A stretch of time as a flag takes it: `90s`, `250ms`.
#[must_use]
pub fn typed_duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if nanoseconds.is_multiple_of(unit) {
            return format!("{}{name}", nanoseconds / unit);
        }
    }
    format!("{nanoseconds}ns")
}

impl Default for Limits {
    fn default() -> Self {
        Self::terminal()
    }
}

/// Reads a stack size in bytes and holds it between [`LEAST_STACK`] and [`MOST_STACK`].
///
/// # Errors
/// [`Kind::Usage`] when it is not a size or outside these.
pub fn stack(text: &str) -> Result<usize> {
    let bytes: usize = size(text)?;
    if (LEAST_STACK..=MOST_STACK).contains(&bytes) {
        return Ok(bytes);
    }
    Err(Error::new(Kind::Usage, "a stack has between 64KiB and 256MiB")
        .with_hint("1MiB does for most programs"))
}

/// Reads `none` as no limit, and everything else with `parse`.
///
/// # Errors
/// Those of `parse`.
pub fn or_none<T>(text: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    if text.eq_ignore_ascii_case("none") {
        Ok(None)
    } else {
        parse(text).map(Some)
    }
}

/// Units of size. One letter is a power of 1024, as in Docker; `kB` and its kin are powers of 1000.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Units of a count: powers of 1000.
const COUNTS: &[(&str, u64)] = &[
    ("", 1),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
];

/// Units of time, in nanoseconds.
const TIMES: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("", 1_000_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a number of bytes: `65536`, `64k`, `256MiB`, `1.5GB`.
///
/// # Errors
/// [`Kind::Usage`] when it is not a size, not a whole number of bytes, or does not fit `T`.
pub fn size<T: TryFrom<u64>>(text: &str) -> Result<T> {
    let hint = "a size is a number of bytes, or such as `64KiB`, `256MiB`, `1GiB`";
    let (bytes, rest) = amount(text, SIZES, "size").map_err(|error| error.with_hint(hint))?;
    whole(bytes, rest, "size").map_err(|error| error.with_hint(hint))
}

/// Reads a number of things: `1000`, `1_000`, `10M`.
///
/// # Errors
/// [`Kind::Usage`] when it is not a count or does not fit `T`.
pub fn count<T: TryFrom<u64>>(text: &str) -> Result<T> {
    let hint = "a count is a whole number, or such as `64k`, `10M`, `2G`";
    let (things, rest) = amount(text, COUNTS, "count").map_err(|error| error.with_hint(hint))?;
    whole(things, rest, "count").map_err(|error| error.with_hint(hint))
}

/// Reads a stretch of time that is longer than zero: `5s`, `250ms`, `1m30s`; a bare number is seconds.
///
/// # Errors
/// [`Kind::Usage`] when it is not a stretch of time, or zero, or longer than 500 years.
pub fn duration(text: &str) -> Result<Duration> {
    let fail = |message: String| {
        Error::new(Kind::Usage, message).with_hint("a duration is such as `5s`, `250ms`, `1m30s`, `2h`")
    };
    let (mut total, mut rest) = (0_u64, text);
    loop {
        let (nanoseconds, after) =
            amount(rest, TIMES, "duration").map_err(|error| fail(error.message().to_owned()))?;
        let too_long = || fail("too long a duration".to_owned());
        total = u64::try_from(nanoseconds)
            .ok()
            .and_then(|n| total.checked_add(n))
            .ok_or_else(too_long)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if total == 0 {
        return Err(fail("a duration must be longer than zero".to_owned()));
    }
    Ok(Duration::from_nanos(total))
}

/// The whole of the text was one amount, and it fits.
fn whole<T: TryFrom<u64>>(value: u128, rest: &str, what: &str) -> Result<T> {
    if !rest.is_empty() {
        return Err(Error::new(Kind::Usage, format!("not a {what}")));
    }
    let value = u64::try_from(value)
        .ok()
        .and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| Error::new(Kind::Usage, format!("too large a {what}")))
}

/// Reads one number with its unit off the front of `text`: what it comes to, and what follows.
fn amount<'a>(text: &'a str, units: &[(&str, u64)], what: &str) -> Result<(u128, &'a str)> {
    let fail = |message: String| Error::new(Kind::Usage, message);
    let digits = text
        .find(|c: char| !matches!(c, '0'..='9' | '_' | '.'))
        .unwrap_or(text.len());
    let (number, after) = text.split_at(digits);
    let letters = after
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(after.len());
    let (name, rest) = after.split_at(letters);

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |digits: &str| digits.chars().all(|c| c.is_ascii_digit());
    let whole = whole.replace('_', "");
    if whole.is_empty() || !plain(fraction) || number.starts_with('_') || number.ends_with(['.', '_']) {
        return Err(fail(format!("not a {what}")));
    }
    let unit = units.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name));
    let Some((_, scale)) = unit else {
        return Err(fail(format!("`{}` is not a unit of a {what}", name.trim())));
    };
    let too_large = || fail(format!("too large a {what}"));
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let scaled = u128::from(whole) * u128::from(*scale);
    if fraction.is_empty() {
        return Ok((scaled, rest));
    }
    // Eighteen decimals times the greatest unit stays far inside 128 bits.
    if fraction.len() > 18 {
        return Err(fail(format!("too many decimals for a {what}")));
    }
    let parts = fraction.parse::<u128>().map_err(|_| too_large())? * u128::from(*scale);
    let power = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| too_large())?);
    if parts % power != 0 {
        return Err(fail(format!(
            "not a whole number in the smallest unit of a {what}"
        )));
    }
    Ok((scaled + parts / power, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_struck_is_raised_over_its_value() {
        let most = MOST_STACK as u64;
        assert_eq!(stack(&Limit::Stack.raised(most - 1)).unwrap(), MOST_STACK);
        assert!(!Limit::Stack.hint(most).contains("raise"));
        for limit in [Limit::Memory, Limit::Write, Limit::Transfer, Limit::Output] {
            for value in [0, 1, 1000, 1 << 20, (1 << 20) + 1, 1 << 40] {
                assert!(
                    size::<u64>(&limit.raised(value)).unwrap() > value,
                    "{limit:?} {value}"
                );
            }
        }
        for limit in [Limit::Fuel, Limit::Handles, Limit::Connections, Limit::Outgoing] {
            for value in [0, 1, 1000, 10_000, 20_000_000_000] {
                assert!(
                    count::<u64>(&limit.raised(value)).unwrap() > value,
                    "{limit:?} {value}"
                );
            }
        }
        for seconds in [1, 60, 61, 10_000] {
            let raised = duration(&Limit::Timeout.raised(seconds * 1_000_000_000)).unwrap();
            assert!(raised > Duration::from_secs(seconds));
        }
    }

    #[test]
    fn sizes_are_exact() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64k", 65_536),
            ("64KiB", 65_536),
            ("64kB", 64_000),
            ("256MiB", 256 << 20),
            ("1.5GiB", 3 << 29),
            ("1_000", 1_000),
            ("2t", 2 << 40),
        ] {
            assert_eq!(size::<u64>(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for (text, message) in [
            ("", "not a size"),
            ("MiB", "not a size"),
            ("-1", "not a size"),
            ("1.", "not a size"),
            ("1..5k", "not a size"),
            ("_1", "not a size"),
            ("1MiB2", "not a size"),
            ("256 MX", "`MX` is not a unit of a size"),
            ("99999999999999999999", "too large a size"),
            ("99999999T", "too large a size"),
            ("0.3", "not a whole number in the smallest unit of a size"),
        ] {
            let error = size::<u64>(text).unwrap_err();
            assert_eq!((error.kind(), error.message()), (Kind::Usage, message), "{text}");
        }
        assert_eq!(size::<u32>("4GiB").unwrap_err().message(), "too large a size");
    }

    #[test]
    fn durations_are_exact() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("5", 5_000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("0.5h", 1_800_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for (text, message) in [
            ("", "not a duration"),
            ("0s", "a duration must be longer than zero"),
            ("5 parsecs", "`parsecs` is not a unit of a duration"),
            ("1000000d", "too long a duration"),
        ] {
            assert_eq!(duration(text).unwrap_err().message(), message, "{text}");
        }
    }
}
