//! Spans in OpenTelemetry's own encoding: version 1 of `opentelemetry.proto.collector.trace`, as protobuf.
//!
//! Only the messages and fields that are sent stand here, by their numbers in the protocol.

use crate::observe::spans::{self, Finished, Value};
use prost::{Message, Oneof};
use std::time::{SystemTime, UNIX_EPOCH};

/// The media type of it.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Status 2: something went wrong.
const ERROR: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
#[expect(clippy::struct_field_names, reason = "the protocol calls it so")]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// The spans of some requests, from the service of that name.
#[must_use]
pub fn encode(service: &str, finished: Vec<Finished>) -> Vec<u8> {
    let spans = finished.into_iter().flat_map(|finished| {
        let Finished { trace, state, spans } = finished;
        let state = state.and_then(|state| state.to_str().map(str::to_owned).ok());
        let state = state.unwrap_or_default();
        spans
            .into_iter()
            .map(move |span| encoded(trace, state.clone(), span))
    });
    let scope = Scope {
        name: "wherry".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let request = Request {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    attribute("service.name", service.into()),
                    attribute("process.pid", i64::from(std::process::id()).into()),
                ],
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.collect(),
            }],
        }],
    };
    request.encode_to_vec()
}

fn encoded(trace: u128, state: String, span: spans::Span) -> Span {
    Span {
        trace_id: trace.to_be_bytes().into(),
        span_id: span.id.to_be_bytes().into(),
        trace_state: state,
        parent_span_id: span
            .parent
            .map(|parent| parent.to_be_bytes().into())
            .unwrap_or_default(),
        name: span.name,
        kind: span.kind as i32,
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: span
            .attributes
            .into_iter()
            .map(|(name, value)| attribute(name, value))
            .collect(),
        status: span.error.map(|message| Status { message, code: ERROR }),
        flags: 1,
    }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => Any::Text(text),
        Value::Number(number) => Any::Number(number),
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
