//! How much work compiling may be at the most, told from what is counted on the way to it.
//!
//! A compiler takes about as long as there is code, but for code that was made to hold it up: some kilobytes of branches among
//! many variables, of loops in one another or of calls under many handlers keep it busy for minutes. What grows faster than
//! the code is counted here, and weighed as the worst programs of `tests/hostile/bombs.py` were measured, on a slow machine and
//! rounded up. The sum decides one thing: whether code is compiled on threads of this process, which nothing can end, or in a
//! process that a limit can end. Too high an estimate costs the start of that process, once; ordinary small programs stay far
//! below. Start reading at [`Effort`].

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// The most time of a processor that may go into code that is compiled in this process.
const SHORT: Duration = Duration::from_secs(2);

/// The most memory for that, beside what goes with time.
const SMALL: u64 = 64 << 20;

/// What any compiling takes of memory, and for how many nanoseconds it takes one byte more.
const MEMORY_AT_LEAST: u64 = 32 << 20;
const NANOSECONDS_PER_BYTE: u64 = 5;

/// An upper bound for what compiling takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Nanoseconds of one processor.
    nanoseconds: u64,
    /// Bytes of memory that do not go with time: pictures of memories and tables.
    bytes: u64,
}

impl Effort {
    /// More than anything.
    pub const ENDLESS: Effort = Effort {
        nanoseconds: u64::MAX,
        bytes: u64::MAX,
    };

    fn nanoseconds(nanoseconds: u64) -> Self {
        Self {
            nanoseconds,
            bytes: 0,
        }
    }

    /// How long it may take.
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }

    /// How many bytes of memory it may take.
    #[must_use]
    pub fn memory(self) -> u64 {
        MEMORY_AT_LEAST
            .saturating_add(self.bytes)
            .saturating_add(self.nanoseconds / NANOSECONDS_PER_BYTE)
    }

    /// Whether it is little enough to be left to itself when nobody waits for it any more.
    #[must_use]
    pub fn is_small(self) -> bool {
        self.time() <= SHORT && self.bytes <= SMALL
    }
}

impl Add for Effort {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_add(other.nanoseconds),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Effort {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// A thing in a file that takes time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A type, for which calls into and out of a guest may need code.
    Type,
    /// An import or export.
    Name,
    /// A function, whatever it does.
    Function,
    /// A segment of data or elements, a global, a table, a memory.
    Part,
    /// A definition of a component.
    Definition,
}

/// What so many things take.
#[must_use]
pub fn of_things(thing: Thing, count: u64) -> Effort {
    let each = match thing {
        Thing::Type => 100_000,
        Thing::Function => 60_000,
        Thing::Name | Thing::Definition => 15_000,
        Thing::Part => 3_000,
    };
    Effort::nanoseconds(count.saturating_mul(each))
}

/// What a picture of a memory takes that has `size` bytes at its start.
#[must_use]
pub fn of_memory(size: u64) -> Effort {
    // wasmtime draws none that is larger, unless it is made of data.
    let bytes = size.min(16 << 20);
    Effort {
        nanoseconds: bytes,
        bytes,
    }
}

/// What a picture of a table takes that has `elements` at its start.
#[must_use]
pub fn of_table(elements: u64) -> Effort {
    let drawn = elements.min(1 << 20);
    Effort {
        nanoseconds: drawn * 40,
        bytes: drawn * 16,
    }
}

/// What the bodies of functions take, as far as it can be told before they are read: so many `bytes` in one of them, with
/// `values` in its variables, or at most in one of its calls and branches.
#[must_use]
pub fn of_body(bytes: u64, values: u64) -> Effort {
    Effort::nanoseconds(bytes.saturating_mul(3_000 + values).saturating_add(values * 100))
}

/// What so many calls between components and their modules take, of `values` at the most.
#[must_use]
pub fn of_calls(count: u64, values: u64) -> Effort {
    Effort::nanoseconds(count.saturating_mul(values).saturating_mul(150))
}

/// What is counted in the body of one function.
#[derive(Debug, Clone, Copy, Default)]
pub struct Body {
    /// Its variables, parameters included.
    pub variables: u64,
    /// The most values that one call or branch may hand over, where it is many.
    pub values: u64,
    /// Places that code goes on at from more than one other.
    pub branches: u64,
    /// Loops.
    pub loops: u64,
    /// Calls, and instructions that the compiler makes several blocks or a call of.
    pub calls: u64,
    /// Handlers that calls are under, summed up over the calls.
    pub handlers: u64,
    /// The deepest nesting.
    pub nesting: u64,
}

impl Body {
    /// What its instructions take, beyond [`of_body`].
    #[must_use]
    pub fn effort(&self) -> Effort {
        let product = |factors: &[u64]| {
            factors
                .iter()
                .fold(1_u64, |sum, factor| sum.saturating_mul(*factor))
        };
        let nanoseconds = [
            product(&[self.calls, 60_000]),
            product(&[self.calls, self.calls, 25]),
            product(&[self.loops, self.loops, 200 + self.nesting]),
            product(&[self.variables, self.branches, self.branches, 2]),
            product(&[self.calls + self.branches, self.values, 2_000]),
            product(&[self.handlers, self.calls + self.nesting, 100]),
        ];
        Effort::nanoseconds(nanoseconds.into_iter().fold(0, u64::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overflows() {
        let most = u64::MAX / 4;
        let body = Body {
            variables: most,
            values: most,
            branches: most,
            loops: most,
            calls: most,
            handlers: most,
            nesting: most,
        };
        for effort in [
            body.effort(),
            of_body(u64::MAX, 1 << 40),
            of_things(Thing::Type, u64::MAX),
            Effort::ENDLESS + Effort::ENDLESS,
        ] {
            assert!(!effort.is_small());
            assert_eq!(effort.time(), Duration::from_nanos(u64::MAX));
        }
        assert_eq!(of_memory(u64::MAX).bytes, 16 << 20);
        assert!(of_table(u64::MAX).bytes < SMALL);
    }

    #[test]
    fn an_ordinary_function_is_little_work() {
        // What prints numbers in a C library, the largest function of small programs.
        let body = Body {
            variables: 40,
            branches: 900,
            loops: 30,
            calls: 60,
            nesting: 25,
            ..Body::default()
        };
        assert!((body.effort() + of_body(9_000, 40)).time() < Duration::from_millis(150));
    }
}
