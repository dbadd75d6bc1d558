//! What is counted of requests, so cheaply that it is always on.
//!
//! Each thread counts in a place of its own, and who asks adds them up: no lock, and no memory that two threads write to, on
//! the way of a request. Methods and statuses are counted exactly; a method has its table when it first comes.

use http::Method;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

/// The methods that are counted by name, as RFC 9110 and RFC 5789 have them; all others share the last.
pub const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "_OTHER",
];

/// The first number that a status may be, and how many there are.
const FIRST_STATUS: u16 = 100;
const STATUSES: usize = 900;

/// Upper bounds of durations, in nanoseconds, and the same in seconds for who reads them.
pub const BOUNDS: [(u64, &str); 18] = [
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
];

/// More places than this are not worth their memory.
const MOST_PLACES: usize = 16;

/// Counters of one application, or of requests that are nobody's.
#[derive(Debug)]
pub struct Metrics {
    places: Box<[Place]>,
    /// The most memory that one guest used, in bytes.
    peak: AtomicU64,
}

/// What one thread counts; two lie on different lines of the processors' caches.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place {
    began: AtomicU64,
    ended: AtomicU64,
    nanoseconds: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    instances: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len() + 1],
    statuses: [OnceLock<Box<Statuses>>; METHODS.len()],
}

#[derive(Debug)]
struct Statuses([AtomicU64; STATUSES]);

/// A request that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The number of its method: see [`method_number`].
    pub method: usize,
    /// Its status.
    pub status: u16,
    /// From its head to the last byte of its answer.
    pub duration: Duration,
    /// Bytes in the body of the answer.
    pub sent: u64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests that came.
    pub began: u64,
    /// Requests that are over.
    pub ended: u64,
    /// How long all of those took.
    pub nanoseconds: u64,
    /// Bytes of bodies out.
    pub sent: u64,
    /// Bytes of bodies in.
    pub received: u64,
    /// Guests that were made.
    pub instances: u64,
    /// The most memory that one guest used, in bytes.
    pub peak: u64,
    /// How many took so long, up to each of [`BOUNDS`] and beyond; not added up.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// How many were of each method and status, where any was.
    pub requests: Vec<(&'static str, u16, u64)>,
}

impl Default for Metrics {
    fn default() -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        let places = threads.next_power_of_two().min(MOST_PLACES);
        Self {
            places: std::iter::repeat_with(Place::default).take(places).collect(),
            peak: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// A request came.
    pub fn began(&self) {
        add(&self.place().began, 1);
    }

    /// A request is over.
    pub fn ended(&self, request: &Ended) {
        let place = self.place();
        let nanoseconds = u64::try_from(request.duration.as_nanos()).unwrap_or(u64::MAX);
        let statuses = place.statuses[request.method].get_or_init(Box::default);
        let status = usize::from(request.status.saturating_sub(FIRST_STATUS)).min(STATUSES - 1);
        add(&statuses.0[status], 1);
        add(&place.nanoseconds, nanoseconds);
        add(
            &place.buckets[BOUNDS.partition_point(|(bound, _)| *bound < nanoseconds)],
            1,
        );
        if request.sent > 0 {
            add(&place.sent, request.sent);
        }
        // Last, and read first: what is over is never more than what is counted of it.
        place.ended.fetch_add(1, Ordering::Release);
    }

    /// Bytes of a request's body came.
    pub fn received(&self, bytes: u64) {
        add(&self.place().received, bytes);
    }

    /// A guest was made.
    pub fn instance(&self) {
        add(&self.place().instances, 1);
    }

    /// A guest used so many bytes of memory at the most.
    pub fn memory(&self, bytes: usize) {
        let bytes = bytes as u64;
        if self.peak.load(Ordering::Relaxed) < bytes {
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Requests that came and are not over.
    #[must_use]
    pub fn active(&self) -> u64 {
        let ended: u64 = self.sum(|place| &place.ended);
        self.sum(|place| &place.began).saturating_sub(ended)
    }

    /// All of it, added up.
    #[must_use]
    pub fn read(&self) -> Counted {
        let ended = self
            .places
            .iter()
            .map(|place| place.ended.load(Ordering::Acquire))
            .sum();
        let mut buckets = [0; BOUNDS.len() + 1];
        for place in &self.places {
            for (bucket, counter) in buckets.iter_mut().zip(&place.buckets) {
                *bucket += counter.load(Ordering::Relaxed);
            }
        }
        Counted {
            ended,
            nanoseconds: self.sum(|place| &place.nanoseconds),
            sent: self.sum(|place| &place.sent),
            received: self.sum(|place| &place.received),
            instances: self.sum(|place| &place.instances),
            peak: self.peak.load(Ordering::Relaxed),
            buckets,
            requests: self.requests(),
            began: self.sum(|place| &place.began),
        }
    }

    fn requests(&self) -> Vec<(&'static str, u16, u64)> {
        let mut found = Vec::new();
        for (number, method) in METHODS.into_iter().enumerate() {
            let tables: Vec<&Statuses> = self
                .places
                .iter()
                .filter_map(|place| place.statuses[number].get().map(Box::as_ref))
                .collect();
            if tables.is_empty() {
                continue;
            }
            for (status, at) in (FIRST_STATUS..).zip(0..STATUSES) {
                let count: u64 = tables
                    .iter()
                    .map(|table| table.0[at].load(Ordering::Relaxed))
                    .sum();
                if count > 0 {
                    found.push((method, status, count));
                }
            }
        }
        found
    }

    fn sum(&self, counter: impl Fn(&Place) -> &AtomicU64) -> u64 {
        let read = |place| counter(place).load(Ordering::Relaxed);
        self.places.iter().map(read).sum()
    }

    fn place(&self) -> &Place {
        &self.places[thread_number() & (self.places.len() - 1)]
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; STATUSES])
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// The number of this thread, among those that count.
#[must_use]
pub fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Where a method stands among [`METHODS`].
#[must_use]
pub fn method_number(method: &Method) -> usize {
    let name = method.as_str();
    let others = METHODS.len() - 1;
    METHODS[..others]
        .iter()
        .position(|known| *known == name)
        .unwrap_or(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(method: &str, status: u16, microseconds: u64) -> Ended {
        Ended {
            method: method_number(&Method::from_bytes(method.as_bytes()).unwrap()),
            status,
            duration: Duration::from_micros(microseconds),
            sent: 10,
        }
    }

    #[test]
    fn requests_are_counted_by_method_and_status() {
        let metrics = Metrics::default();
        for (method, status) in [
            ("GET", 200),
            ("GET", 404),
            ("BREW", 418),
            ("get", 200),
            ("GET", 200),
        ] {
            metrics.began();
            metrics.ended(&ended(method, status, 20));
        }
        metrics.began();
        let counted = metrics.read();
        assert_eq!(
            counted.requests,
            [
                ("GET", 200, 2),
                ("GET", 404, 1),
                ("_OTHER", 200, 1),
                ("_OTHER", 418, 1)
            ]
        );
        assert_eq!((counted.began, counted.ended, counted.sent), (6, 5, 50));
        assert_eq!(metrics.active(), 1);
    }

    #[test]
    fn a_status_out_of_all_bounds_is_counted() {
        let metrics = Metrics::default();
        for status in [0, 99, 100, 999, u16::MAX] {
            metrics.ended(&ended("GET", status, 1));
        }
        assert_eq!(metrics.read().requests, [("GET", 100, 3), ("GET", 999, 2)]);
    }

    #[test]
    fn durations_fall_into_the_bucket_that_ends_with_them() {
        let metrics = Metrics::default();
        for microseconds in [0, 25, 26, 50, 10_000_000, 10_000_001] {
            metrics.ended(&ended("GET", 200, microseconds));
        }
        let buckets = metrics.read().buckets;
        assert_eq!(buckets[..3], [2, 2, 0]);
        assert_eq!(buckets[BOUNDS.len() - 1..], [1, 1]);
        assert_eq!(metrics.read().nanoseconds, 20_000_102_000);
    }

    #[test]
    fn what_many_threads_count_is_added_up() {
        let metrics = Metrics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        metrics.began();
                        metrics.ended(&ended("POST", 201, 1));
                    }
                });
            }
        });
        let counted = metrics.read();
        assert_eq!(counted.requests, [("POST", 201, 8000)]);
        assert_eq!(metrics.active(), 0);
        assert_eq!(counted.buckets.iter().sum::<u64>(), 8000);
    }

    #[test]
    fn the_bounds_say_the_same_twice() {
        for (nanoseconds, seconds) in BOUNDS {
            let parsed: f64 = seconds.parse().unwrap();
            assert_eq!(Duration::from_secs_f64(parsed), Duration::from_nanos(nanoseconds));
        }
        assert!(BOUNDS.is_sorted());
    }
}
