//! What was counted, in the text format of Prometheus (version 0.0.4).

use crate::observe::metrics::{BOUNDS, Counted};
use std::fmt::{Display, Write as _};

/// The media type of it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Samples, one family after the other.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample, with what it is of.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if number == 0 { '{' } else { ',' });
            for letter in text.chars() {
                match letter {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family of one sample.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

/// One of the counters.
type Read = fn(&Counted) -> u64;

/// Writes what was counted of requests, by the name of the application; that of those that are nobody's is empty.
pub fn write(text: &mut Text, applications: &[(&str, Counted)]) {
    let name = "wherry_requests_total";
    text.family(name, "counter", "Requests that are over, by method and status.");
    for (application, counted) in applications {
        for (method, status, count) in &counted.requests {
            let labels = [
                ("application", *application),
                ("method", *method),
                ("status", &status.to_string()),
            ];
            text.sample(name, &labels, count);
        }
    }
    durations(text, applications);
    let families: [(&str, &str, &str, Read); 5] = [
        (
            "wherry_requests_active",
            "gauge",
            "Requests that came and are not over.",
            |counted| counted.began.saturating_sub(counted.ended),
        ),
        (
            "wherry_instances_total",
            "counter",
            "Instances of guests that were made.",
            |counted| counted.instances,
        ),
        (
            "wherry_request_body_bytes_total",
            "counter",
            "Bytes of request bodies that came.",
            |counted| counted.received,
        ),
        (
            "wherry_response_body_bytes_total",
            "counter",
            "Bytes of answers' bodies that were handed to connections.",
            |counted| counted.sent,
        ),
        (
            "wherry_guest_memory_peak_bytes",
            "gauge",
            "The most memory that one guest had, since the start.",
            |counted| counted.peak,
        ),
    ];
    for (name, kind, help, read) in families {
        text.family(name, kind, help);
        for (application, counted) in applications {
            text.sample(name, &[("application", *application)], read(counted));
        }
    }
}

fn durations(text: &mut Text, applications: &[(&str, Counted)]) {
    let name = "wherry_request_duration_seconds";
    text.family(
        name,
        "histogram",
        "From the head of a request to the last byte of its answer.",
    );
    for (application, counted) in applications {
        let mut below = 0;
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        for (bound, count) in bounds.zip(counted.buckets) {
            below += count;
            text.sample(
                &format!("{name}_bucket"),
                &[("application", *application), ("le", bound)],
                below,
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds are told as a float")]
        let seconds = counted.nanoseconds as f64 / 1e9;
        text.sample(&format!("{name}_sum"), &[("application", *application)], seconds);
        text.sample(&format!("{name}_count"), &[("application", *application)], below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_application_is_called_is_a_label() {
        let mut text = Text::default();
        text.family("a", "counter", "Help.");
        text.sample("a", &[("x", "1\"2\\3\n4"), ("y", "")], 5);
        assert_eq!(
            text.finish(),
            "# HELP a Help.\n# TYPE a counter\na{x=\"1\\\"2\\\\3\\n4\",y=\"\"} 5\n"
        );
    }

    #[test]
    fn buckets_are_added_up() {
        let mut counted = Counted {
            nanoseconds: 1_500_000_000,
            ..Counted::default()
        };
        (counted.buckets[0], counted.buckets[3], counted.buckets[18]) = (1, 2, 4);
        let mut text = Text::default();
        durations(&mut text, &[("shop", counted)]);
        let text = text.finish();
        for line in [
            "_bucket{application=\"shop\",le=\"0.000025\"} 1",
            "_bucket{application=\"shop\",le=\"0.0001\"} 1",
            "_bucket{application=\"shop\",le=\"0.00025\"} 3",
            "_bucket{application=\"shop\",le=\"10\"} 3",
            "_bucket{application=\"shop\",le=\"+Inf\"} 7",
            "_sum{application=\"shop\"} 1.5",
            "_count{application=\"shop\"} 7",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
