//! What a request is called: in logs, in traces, in answers of the server, and for its guest.

use crate::observe::metrics::thread_number;
use http::{HeaderName, HeaderValue};
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

/// The field that carries it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken over.
const LONGEST: usize = 128;

/// The name of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// One of this server: different in each request, and in each process. It is written out only where somebody reads it.
    Own(u64),
    /// One that a proxy gave it.
    Given(HeaderValue),
}

impl RequestId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        thread_local! {
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        let number = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
        // No other thread has the upper bits.
        Self::Own(((thread_number() as u64) << 40) | (number & ((1 << 40) - 1)))
    }

    /// One that was given, if it is well formed: letters, digits and a few signs.
    #[must_use]
    pub fn given(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@~".contains(byte);
        let formed = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(plain);
        formed.then(|| Self::Given(value.clone()))
    }

    /// As a field's value.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        match self {
            Self::Given(value) => value.clone(),
            Self::Own(_) => {
                HeaderValue::try_from(self.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
            }
        }
    }

    /// A number that is spread evenly, for who takes some requests and not others.
    #[must_use]
    pub fn spread(&self) -> u64 {
        static SPREAD: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        match self {
            Self::Own(number) => SPREAD.hash_one(number),
            Self::Given(value) => SPREAD.hash_one(value.as_bytes()),
        }
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
        match self {
            Self::Own(number) => write!(formatter, "{:016x}-{number:x}", *PROCESS),
            Self::Given(value) => formatter.write_str(value.to_str().unwrap_or("unknown")),
        }
    }
}

/// Whether what is spread evenly falls into the part of all that `ratio` is.
#[must_use]
pub fn falls_into(spread: u64, ratio: f64) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the upper 53 bits are what a float holds exactly"
    )]
    let part = (spread >> 11) as f64 / (1_u64 << 53) as f64;
    part < ratio
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_is_another() {
        let named = || -> Vec<String> { (0..1000).map(|_| RequestId::new().to_string()).collect() };
        let other = std::thread::spawn(named).join().unwrap();
        let all: HashSet<String> = named().into_iter().chain(other).collect();
        assert_eq!(all.len(), 2000);
    }

    #[test]
    fn what_is_well_formed_is_taken_over() {
        for (text, taken) in [
            ("a", true),
            ("0af7651916cd43dd-8448eb211c80319c", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("a b", false),
            ("a\"b", false),
            ("a,b", false),
            ("a\\n", false),
            ("", false),
            ("x".repeat(128).as_str(), true),
            ("x".repeat(129).as_str(), false),
        ] {
            let value = HeaderValue::from_str(text).unwrap();
            let given = RequestId::given(&value);
            assert_eq!(given.is_some(), taken, "{text}");
            if let Some(given) = given {
                assert_eq!(given.to_string(), text);
                assert_eq!(given.value(), value);
            }
        }
        assert!(RequestId::given(&HeaderValue::from_bytes(b"\xc3\xa9").unwrap()).is_none());
    }

    #[test]
    fn a_ratio_takes_that_part() {
        let taken = (0..10_000)
            .filter(|_| falls_into(RequestId::new().spread(), 0.25))
            .count();
        assert!((2_200..2_800).contains(&taken), "{taken}");
        assert!((0..1000).all(|_| falls_into(RequestId::new().spread(), 1.0)));
        assert!((0..1000).all(|_| !falls_into(RequestId::new().spread(), 0.0)));
        assert!(falls_into(u64::MAX, 1.0));
    }
}
