//! What people expect to see of a server: who asked for what and what came of it, as logs, counters and traces; who the
//! client is behind proxies; and an address of its own for who watches.
//!
//! Everything costs next to nothing where nobody asked for it. On the way of a request there is no lock, no file and no
//! wait: counters belong to threads, lines and spans go to threads of their own, and are dropped and counted when those
//! cannot keep up. Start at [`metrics::Metrics`], [`lines::Lines`] and [`spans::Trace`].

pub mod access;
pub mod admin;
pub mod context;
pub mod export;
pub mod exposition;
pub mod guests;
pub mod identity;
pub mod lines;
pub mod metrics;
pub mod otlp;
pub mod process;
pub mod proxies;
pub mod spans;

use std::time::SystemTime;

/// A time as RFC 3339 has it, in UTC, to the microsecond.
#[must_use]
pub fn stamp(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.6}")
}
