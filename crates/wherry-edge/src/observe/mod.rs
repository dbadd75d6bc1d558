//! What people expect to see of a server: who asked for what and what came of it, as logs, counters and traces; who the
//! client is behind proxies; and an address of its own for who watches.
//!
//! Everything costs next to nothing where nobody asked for it. On the way of a request there is no lock, no file and no
//! wait: counters belong to threads, lines and spans go to threads of their own, and are dropped and counted when those
//! cannot keep up. Start at [`Observer`], then [`record::Record`].

pub mod access;
pub mod admin;
pub mod context;
pub mod export;
pub mod exposition;
pub mod guests;
pub mod identity;
pub mod lines;
pub mod metrics;
mod otlp;
mod process;
pub mod proxies;
pub mod record;
mod report;
pub mod settings;
pub mod spans;

use crate::observe::access::Line;
use crate::observe::export::{Collector, Exporter};
use crate::observe::exposition::Text;
use crate::observe::guests::GuestLog;
use crate::observe::identity::falls_into;
use crate::observe::lines::{Lines, Place};
use crate::observe::proxies::Proxies;
use crate::observe::spans::Tracer;
use crate::settings::ServerSettings;
use std::sync::Arc;
use std::time::SystemTime;
use wherry_engine::error::Result;

/// Who sees to it that a server can be watched.
pub struct Observer {
    access: Option<(Lines<Line>, f64)>,
    guests: Arc<GuestLog>,
    tracer: Option<Arc<Tracer>>,
    proxies: Proxies,
}

impl Observer {
    /// Opens what has to be open, and starts the threads.
    ///
    /// # Errors
    /// Those of [`Lines::start`], [`Collector::new`] and [`Exporter::start`].
    pub fn start(settings: &ServerSettings) -> Result<Self> {
        let access = settings.log.as_ref().map(|log| {
            let lines = Lines::start(Place::named(&log.file), log.format)?;
            Ok((lines, log.sample))
        });
        let guest_log = &settings.guest_log;
        let place = guest_log.file.as_deref().map_or(Place::Err, Place::named);
        let lines = Lines::start(place, guest_log.format)?;
        let tracer = settings.traces.as_ref().map(|traces| {
            let collector = Collector::new(&traces.endpoint, &traces.headers, &traces.service)?;
            let exporter = Exporter::start(collector)?;
            Ok(Arc::new(Tracer::new(exporter, traces.sample)))
        });
        Ok(Self {
            access: access.transpose()?,
            guests: Arc::new(GuestLog::new(lines, guest_log.limit)),
            tracer: tracer.transpose()?,
            proxies: Proxies::new(settings.trusted_proxies.clone(), settings.forwarded),
        })
    }

    /// The proxies that are believed.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The log of what guests say.
    #[must_use]
    pub fn guests(&self) -> &Arc<GuestLog> {
        &self.guests
    }

    /// Opens the files of all logs anew, after they were moved.
    ///
    /// # Errors
    /// Those of [`Lines::reopen`].
    pub fn reopen(&self) -> Result<()> {
        let access = self.access.as_ref().map(|(lines, _)| lines.reopen());
        let guests = self.guests.lines().reopen();
        access.unwrap_or(Ok(())).and(guests)
    }

    /// Writes and sends what waits. What comes afterwards goes nowhere.
    pub fn end(&self) {
        if let Some((lines, _)) = &self.access {
            lines.end();
        }
        self.guests.lines().end();
        if let Some(tracer) = &self.tracer {
            tracer.exporter().end();
        }
    }

    /// Whether anybody wants to know more of requests than their number.
    fn is_curious(&self) -> bool {
        self.access.is_some() || self.tracer.is_some()
    }

    /// Writes a line, if it is one of those that are written: all that went wrong, and of the others a part.
    fn log(&self, line: Line) {
        let Some((lines, sample)) = &self.access else {
            return;
        };
        let wrong = line.status >= 400 || !line.complete;
        if wrong || falls_into(line.id.spread(), *sample) {
            lines.hand(line);
        }
    }

    /// Writes what became of lines and spans.
    pub fn expose(&self, text: &mut Text) {
        let guests = self.guests.lines();
        let mut logs = vec![("guest", guests.written(), guests.dropped())];
        if let Some((lines, _)) = &self.access {
            logs.push(("access", lines.written(), lines.dropped()));
        }
        let families = [
            ("wherry_log_lines_total", "Lines that were written, by log."),
            (
                "wherry_log_lines_dropped_total",
                "Lines that could not be written in time, or at all.",
            ),
        ];
        for (number, (name, help)) in families.into_iter().enumerate() {
            text.family(name, "counter", help);
            for (log, written, dropped) in &logs {
                let value = if number == 0 { written } else { dropped };
                text.sample(name, &[("log", *log)], value);
            }
        }
        if let Some(tracer) = &self.tracer {
            let exporter = tracer.exporter();
            text.single(
                "wherry_spans_exported_total",
                "counter",
                "Spans that the collector took.",
                exporter.exported(),
            );
            text.single(
                "wherry_spans_dropped_total",
                "counter",
                "Spans that the collector did not take, or that had no room.",
                exporter.dropped(),
            );
        }
    }
}

/// A time as RFC 3339 has it, in UTC, to the microsecond.
#[must_use]
pub fn stamp(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default();
    format!("{time:.6}")
}
