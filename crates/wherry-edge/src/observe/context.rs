//! Which trace a request belongs to, as W3C Trace Context (Recommendation of 23 November 2021) has it on the wire.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// The field with the trace and the span that a request comes from.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What tracing systems pass along with it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most bytes of `tracestate` that are passed on: 3.3.1.5 asks for at least 512.
const MOST_STATE: usize = 4096;

/// Section 3.2.2.5.1: the caller recorded it.
const SAMPLED: u8 = 1;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl SpanContext {
    /// What the fields of a request say; `None` where they say nothing, or nothing that is valid.
    #[must_use]
    pub fn of(fields: &HeaderMap) -> Option<Self> {
        let mut values = fields.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// Section 3.2.2: `version-trace-span-flags` in lower-case hexadecimal digits.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_at_checked(2)?;
        let version = hexadecimal(version)?;
        // Of a higher version the beginning is read as this one, if it goes on with a dash: section 3.2.4.
        let (known, further) = rest.split_at_checked(53)?;
        let goes_on = match version {
            0 => further.is_empty(),
            0xff => false,
            _ => further.is_empty() || further[0] == b'-',
        };
        let [b'-', trace @ ..] = known else { return None };
        let (trace, span) = trace.split_at(32);
        let [b'-', span @ ..] = span else { return None };
        let (span, flags) = span.split_at(16);
        let [b'-', flags @ ..] = flags else { return None };
        let trace = hexadecimal(trace).filter(|trace| *trace != 0)?;
        let span = u64::try_from(hexadecimal(span)?).ok().filter(|span| *span != 0)?;
        let flags = u8::try_from(hexadecimal(flags)?).ok()?;
        goes_on.then_some(Self {
            trace,
            span,
            sampled: flags & SAMPLED != 0,
        })
    }

    /// Puts it into the fields of a request, in place of what they said.
    pub fn put(&self, fields: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            fields.insert(TRACEPARENT, value);
        }
    }
}

impl fmt::Display for SpanContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.sampled)
        )
    }
}

/// What is passed along: several fields are one list (section 3.3.1.1). `None` where there is none, or too much of it.
#[must_use]
pub fn state(fields: &HeaderMap) -> Option<HeaderValue> {
    let mut all = Vec::new();
    for value in fields.get_all(TRACESTATE) {
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(value.as_bytes());
    }
    let passed =
        !all.is_empty() && all.len() <= MOST_STATE && all.iter().all(|byte| (0x20..0x7f).contains(byte));
    passed.then(|| HeaderValue::from_bytes(&all).ok()).flatten()
}

/// A number in lower-case digits; at most 32 of them.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn parsed(text: &str) -> Option<SpanContext> {
        SpanContext::parse(text.as_bytes())
    }

    #[test]
    fn what_is_valid_is_read() {
        for (text, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-ff"), true),
            (format!("00-{TRACE}-{SPAN}-02"), false),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), true),
        ] {
            let found = parsed(&text).expect(&text);
            assert_eq!(format!("{:032x}", found.trace), TRACE);
            assert_eq!(format!("{:016x}", found.span), SPAN);
            assert_eq!(found.sampled, sampled, "{text}");
        }
    }

    #[test]
    fn what_is_not_valid_is_nothing() {
        let zero_trace = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zero_trace}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}é-{SPAN}-01", &TRACE[2..]),
            format!("00-{TRACE}{SPAN}-01-00"),
        ] {
            assert_eq!(parsed(&text), None, "{text}");
        }
    }

    #[test]
    fn several_are_none() {
        let mut fields = HeaderMap::new();
        let one = format!("00-{TRACE}-{SPAN}-01");
        fields.append(TRACEPARENT, HeaderValue::try_from(&one).unwrap());
        assert_eq!(SpanContext::of(&fields).unwrap().to_string(), one);
        fields.append(TRACEPARENT, HeaderValue::try_from(&one).unwrap());
        assert_eq!(SpanContext::of(&fields), None);
    }

    #[test]
    fn what_is_passed_along_is_one_list() {
        let mut fields = HeaderMap::new();
        assert_eq!(state(&fields), None);
        fields.append(TRACESTATE, HeaderValue::from_static("a=1"));
        fields.append(TRACESTATE, HeaderValue::from_static("b=2,c=3"));
        assert_eq!(state(&fields).unwrap(), "a=1,b=2,c=3");
        fields.append(
            TRACESTATE,
            HeaderValue::try_from(format!("d={}", "x".repeat(MOST_STATE))).unwrap(),
        );
        assert_eq!(state(&fields), None);
    }
}
