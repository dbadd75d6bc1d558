//! Counts what a guest uses of the host's memory, and refuses what is over its limit.
//!
//! One [`Meter`] belongs to each store, and the engine asks it before any linear memory, table or heap of garbage-collected
//! objects grows, all instances of the guest together. What the host itself keeps for a guest (handles, HTTP fields,
//! buffers) is bounded beside it, in shares of the same limit: see [`Shares`].

use crate::error::{Error, Kind};
use crate::limits::Limits;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::ResourceLimiter;

/// Bytes that one element of a table stands for.
const TABLE_ELEMENT: usize = std::mem::size_of::<usize>();

/// Counts memory and tables of a guest.
#[derive(Debug)]
pub struct Meter {
    limit: usize,
    used: usize,
    /// What was used before it began to count anew.
    kept: usize,
    peak: Arc<AtomicUsize>,
    /// What was granted last: the engine may fail to get it from the system.
    granted: usize,
    refused: bool,
    /// That was said once.
    told: bool,
    /// What the host fails to give, though the limit allows it, ends the guest.
    strict: bool,
    instances: usize,
    tables: usize,
}

impl Meter {
    /// For a guest with these limits. With `strict`, what the host fails to give ends the guest.
    #[must_use]
    pub fn new(limits: &Limits, strict: bool) -> Self {
        Self {
            limit: usize::try_from(limits.memory).unwrap_or(usize::MAX),
            used: 0,
            kept: 0,
            peak: Arc::default(),
            granted: 0,
            refused: false,
            told: false,
            strict,
            instances: limits.instances as usize,
            tables: limits.tables as usize,
        }
    }

    /// Counts anew, for the next request to the same guest, which keeps what it has; false when it was refused some, or that
    /// is more than the limit.
    pub fn renew(&mut self) -> bool {
        let within = !self.refused;
        self.kept = self.kept.saturating_add(std::mem::take(&mut self.used));
        (self.granted, self.refused, self.told) = (0, false, false);
        within && self.kept <= self.limit
    }

    /// Forgets what came after `used` bytes were used: the guest was put back to what it was then.
    pub fn rewind(&mut self, used: usize) {
        (self.used, self.granted, self.refused, self.told) = (used, 0, false, false);
        self.peak.store(used, Ordering::Relaxed);
    }

    /// Whether the guest was refused memory that it asked for.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// The same, and only the first time that this is asked.
    pub(crate) fn newly_refused(&mut self) -> bool {
        self.refused && !std::mem::replace(&mut self.told, self.refused)
    }

    /// Bytes that the guest uses.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// The most bytes that it used at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The same for who looks on from another thread.
    #[must_use]
    pub fn watched(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.peak)
    }

    /// Bytes that the guest may use.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Takes bytes off what the guest may use; false when they are not there.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let Some(used) = self.used.checked_add(bytes).filter(|used| *used <= self.limit) else {
            self.refused = true;
            return false;
        };
        (self.used, self.granted) = (used, bytes);
        self.peak.fetch_max(used, Ordering::Relaxed);
        true
    }

    /// Takes back what was granted last, where it was the system that refused it.
    ///
    /// The engine calls this for failures that it did not ask about before, too; those never come from the system.
    fn failed(&mut self, error: &wasmtime::Error) {
        if error.root_cause().is::<io::Error>() {
            self.used -= std::mem::take(&mut self.granted);
            self.refused = true;
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Past its own maximum a memory cannot grow, whatever the limit is.
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // Past what its type can have a memory grows on no machine.
        if self.strict && !error.to_string().contains("type's limits") {
            return Err(host_failed("memory", &error));
        }
        self.failed(&error);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT);
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow(bytes))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if self.strict && !error.to_string().contains("overflow") {
            return Err(host_failed("table", &error));
        }
        self.failed(&error);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

/// A deterministic run ends where another machine would have let it go on.
fn host_failed(what: &str, error: &wasmtime::Error) -> wasmtime::Error {
    let message = format!("the host could not let the guest's {what} grow, which its limit allows: {error}");
    Error::new(Kind::Io, message).into()
}

/// What the host keeps for one guest at most, beside the guest's own memory.
///
/// Each is a share of the memory limit or of the number of handles, so that there is one thing to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Bytes in the fields of one HTTP message; all that a guest may have come to a quarter of its memory.
    pub fields: usize,
    /// Bytes in one piece of a request's body; of each request up to three wait to be sent, of all that a guest
    /// may have three sixteenths of its memory.
    pub body: usize,
    /// Bytes that one call hands over, as the host's own values.
    pub call: usize,
    /// Random bytes that one call asks for.
    pub random: u64,
    /// Handles of components to resources, their own included.
    pub components: usize,
    /// Tasks, streams, futures and sets of them, for guests that run several things at once.
    pub concurrent: usize,
}

/// What one call may always hand over, in bytes, however small the memory limit.
const CALL_LEAST: usize = 16 << 20;

/// The most bytes in the fields of one HTTP message: no server takes more.
const FIELDS_MOST: usize = 128 << 10;

/// The fewest that a message can be made with.
const FIELDS_LEAST: usize = 4 << 10;

/// The most bytes in one piece of a body, and the fewest that sending is still quick with.
const BODY_MOST: usize = 64 << 10;
const BODY_LEAST: usize = 4 << 10;

/// The most random bytes in one call.
const RANDOM_MOST: u64 = 64 << 20;

/// Bytes of the host's memory that one handle of a component stands for, with what it refers to.
const COMPONENT_HANDLE: usize = 1 << 10;

/// Bytes of the host's memory that one task stands for: its stack, as far as it is touched, is most of it.
const TASK: usize = 32 << 10;

impl Shares {
    /// The shares under `limits`.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        let handles = (limits.handles as usize).max(1);
        Self {
            fields: (memory / 4 / handles).clamp(FIELDS_LEAST, FIELDS_MOST),
            body: (memory / 16 / handles).clamp(BODY_LEAST, BODY_MOST),
            call: memory.max(CALL_LEAST),
            random: limits.memory.clamp(1, RANDOM_MOST),
            components: (memory / COMPONENT_HANDLE).max(handles),
            concurrent: (memory / TASK).max(handles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(memory: u64) -> Meter {
        Meter::new(
            &Limits {
                memory,
                ..Limits::terminal()
            },
            false,
        )
    }

    #[test]
    fn growth_is_granted_to_the_last_byte() {
        let mut meter = meter(1000);
        assert!(meter.memory_growing(0, 600, None).expect("an answer"));
        assert!(meter.table_growing(10, 60, None).expect("an answer"));
        assert_eq!((meter.used(), meter.refused()), (1000, false));
        assert!(!meter.memory_growing(600, 601, None).expect("an answer"));
        assert_eq!((meter.used(), meter.peak(), meter.refused()), (1000, 1000, true));
    }

    #[test]
    fn each_request_is_counted_for_itself_and_all_of_them_together() {
        let mut meter = meter(1000);
        assert!(meter.memory_growing(0, 600, None).expect("an answer"));
        assert!(meter.renew());
        assert_eq!(meter.used(), 0);
        assert!(meter.memory_growing(600, 1000, None).expect("an answer"));
        assert!(meter.renew(), "1000 of 1000 are kept");
        assert!(meter.memory_growing(1000, 1001, None).expect("an answer"));
        assert!(!meter.renew(), "1001 of 1000 are kept");
    }

    #[test]
    fn a_guest_that_was_refused_memory_is_not_used_again() {
        let mut meter = meter(1000);
        assert!(!meter.memory_growing(0, 1001, None).expect("an answer"));
        assert!(!meter.renew());
    }

    #[test]
    fn growth_over_its_own_maximum_is_not_the_limit_s_fault() {
        let mut meter = meter(1000);
        assert!(!meter.memory_growing(0, 600, Some(599)).expect("an answer"));
        assert_eq!((meter.used(), meter.refused()), (0, false));
    }

    #[test]
    fn growth_that_the_system_refuses_is_not_used() {
        let mut meter = meter(1000);
        assert!(meter.memory_growing(0, 100, None).expect("an answer"));
        // What fails without having been asked about must not give anything back.
        meter
            .memory_grow_failed(wasmtime::Error::msg("over the maximum"))
            .expect("an answer");
        assert_eq!(meter.used(), 100);
        assert!(meter.memory_growing(100, 400, None).expect("an answer"));
        meter
            .memory_grow_failed(io::Error::from(io::ErrorKind::OutOfMemory).into())
            .expect("an answer");
        assert_eq!((meter.used(), meter.peak()), (100, 400));
        meter
            .memory_grow_failed(io::Error::from(io::ErrorKind::OutOfMemory).into())
            .expect("an answer");
        assert_eq!(meter.used(), 100);
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let mut meter = meter(u64::MAX);
        assert!(!meter.table_growing(0, usize::MAX, None).unwrap_or(true) || meter.used() == usize::MAX);
        assert!(!meter.memory_growing(0, usize::MAX, None).expect("an answer"));
    }

    #[test]
    fn shares_follow_the_limits() {
        let usual = Shares::of(&Limits::terminal());
        assert_eq!((usual.fields, usual.random), (128 << 10, 64 << 20));
        let small = Shares::of(&Limits {
            memory: 16 << 20,
            ..Limits::terminal()
        });
        assert_eq!((small.fields, small.call), (4 << 10, 16 << 20));
        assert_eq!(small.random, 16 << 20);
        assert!(small.components < usual.components && small.concurrent < usual.concurrent);
    }
}
