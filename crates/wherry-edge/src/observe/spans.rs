//! What a request was busy with, as spans of a trace.
//!
//! A [`Trace`] is the part of a trace that lies on this server: the span of the request, and those of its instance, its guest
//! and the requests that it sent. It goes to the exporter when the last of those who add to it lets go of it. A trace that
//! is not recorded is passed on all the same.

use crate::observe::context::{SpanContext, TRACESTATE, state};
use crate::observe::export::Exporter;
use crate::observe::identity::falls_into;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use wasmtime_wasi::I32Exit;
use wherry_engine::outgoing::Sent;

/// The most spans of one request; a guest can send any number of requests.
const MOST: usize = 256;

/// Whom a span is between, by its number in OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that goes on in the server.
    Internal = 1,
    /// A request that came.
    Server = 2,
    /// A request that was sent.
    Client = 3,
}

/// What is said of a span.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number.
    Number(i64),
}

/// A span that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its number in the trace.
    pub id: u64,
    /// The one that it is part of.
    pub parent: Option<u64>,
    /// What it is called.
    pub name: String,
    /// Whom it is between.
    pub kind: Kind,
    /// When it began.
    pub start: SystemTime,
    /// When it was over.
    pub end: SystemTime,
    /// What is said of it, by the names of OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// The spans of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The trace.
    pub trace: u128,
    /// What tracing systems pass along.
    pub state: Option<HeaderValue>,
    /// The spans.
    pub spans: Vec<Span>,
}

/// Which requests are recorded, and where that goes.
pub struct Tracer {
    exporter: Exporter,
    ratio: f64,
}

/// The part of a trace that lies on this server.
pub struct Trace {
    /// The span of the request.
    pub context: SpanContext,
    /// The span that it comes from.
    pub parent: Option<u64>,
    /// The span of the guest; what the guest sends comes from there.
    guest: u64,
    state: Option<HeaderValue>,
    spans: Mutex<Vec<Span>>,
    tracer: Arc<Tracer>,
}

impl Tracer {
    /// Exports there the part `ratio` of the requests that no trace comes with; of others those that are recorded before.
    #[must_use]
    pub fn new(exporter: Exporter, ratio: f64) -> Self {
        Self { exporter, ratio }
    }

    /// The trace of a request with these fields.
    #[must_use]
    pub fn trace(self: &Arc<Self>, fields: &HeaderMap) -> Arc<Trace> {
        let from = SpanContext::of(fields);
        let context = SpanContext {
            trace: from.map_or_else(|| fastrand::u128(1..), |from| from.trace),
            span: fresh(),
            sampled: from.map_or_else(|| falls_into(fastrand::u64(..), self.ratio), |from| from.sampled),
        };
        Arc::new(Trace {
            context,
            parent: from.map(|from| from.span),
            guest: fresh(),
            // Section 3.3 of Trace Context: without the one the other means nothing.
            state: from.and_then(|_| state(fields)),
            spans: Mutex::default(),
            tracer: Arc::clone(self),
        })
    }

    /// Who sends what is recorded.
    #[must_use]
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }
}

impl Trace {
    /// The same for what the guest is part of.
    fn of_guest(&self) -> SpanContext {
        SpanContext {
            span: self.guest,
            ..self.context
        }
    }

    /// Has the guest know which trace it is part of.
    pub fn tell(&self, fields: &mut HeaderMap) {
        self.put(self.of_guest(), fields);
    }

    fn put(&self, context: SpanContext, fields: &mut HeaderMap) {
        context.put(fields);
        match &self.state {
            Some(state) => drop(fields.insert(TRACESTATE, state.clone())),
            None => drop(fields.remove(TRACESTATE)),
        }
    }

    /// Begins the span of making an instance.
    #[must_use]
    pub fn instance(self: &Arc<Self>) -> Spanning {
        Spanning::new(self, fresh(), self.context.span, Kind::Internal, "instance")
    }

    /// Begins the span of the guest.
    #[must_use]
    pub fn guest(self: &Arc<Self>) -> Spanning {
        Spanning::new(self, self.guest, self.context.span, Kind::Internal, "guest")
    }

    /// Adds a span.
    pub fn add(&self, span: Span) {
        if !self.context.sampled {
            return;
        }
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        // That of the request comes last, and is there always.
        if spans.len() < MOST || span.kind == Kind::Server {
            spans.push(span);
        } else {
            self.tracer.exporter.drop_spans(1);
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let spans = std::mem::take(self.spans.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !spans.is_empty() {
            self.tracer.exporter.hand(Finished {
                trace: self.context.trace,
                state: self.state.take(),
                spans,
            });
        }
    }
}

/// A span that is not over; it is when this goes.
pub struct Spanning {
    trace: Arc<Trace>,
    span: Option<Span>,
}

impl Spanning {
    fn new(trace: &Arc<Trace>, id: u64, parent: u64, kind: Kind, name: &str) -> Self {
        let now = SystemTime::now();
        let span = Span {
            id,
            parent: Some(parent),
            name: name.to_owned(),
            kind,
            start: now,
            end: now,
            attributes: Vec::new(),
            error: None,
        };
        Self {
            trace: Arc::clone(trace),
            span: trace.context.sampled.then_some(span),
        }
    }

    fn say(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value.into()));
        }
    }

    /// The guest of this span came to its end.
    pub fn over<T>(running: Option<Self>, result: &wasmtime::Result<T>) {
        if let (Some(mut running), Err(error)) = (running, result) {
            match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => {}
                Some(I32Exit(code)) => running.fail(format!("exit {code}")),
                None => running.fail("trap"),
            }
        }
    }

    /// Notes that it went wrong.
    pub fn fail(&mut self, error: impl Into<String>) {
        if let Some(span) = &mut self.span {
            let error = error.into();
            span.attributes.push(("error.type", error.clone().into()));
            span.error = Some(error);
        }
    }
}

impl Drop for Spanning {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.end = SystemTime::now();
            self.trace.add(span);
        }
    }
}

impl Trace {
    /// Begins the span of a request that the guest sends.
    #[must_use]
    pub fn sends(self: &Arc<Self>, request: &mut http::request::Parts) -> Sent {
        // A guest with spans of its own in the same trace knows better which one the request comes from.
        let own = SpanContext::of(&request.headers).filter(|own| own.trace == self.context.trace);
        let parent = own.map_or(self.guest, |own| own.span);
        let context = SpanContext {
            span: fresh(),
            ..self.context
        };
        if own.is_some() {
            context.put(&mut request.headers);
        } else {
            self.put(context, &mut request.headers);
        }
        let method = request.method.as_str();
        let mut span = Spanning::new(self, context.span, parent, Kind::Client, method);
        span.say("http.request.method", method);
        if let Some(host) = request.uri.host() {
            span.say("server.address", host);
        }
        if let Some(port) = request.uri.port_u16() {
            span.say("server.port", i64::from(port));
        }
        // Without the query, which may hold keys.
        let scheme = request.uri.scheme_str().unwrap_or("http");
        let host = request.uri.authority().map_or("", |authority| authority.as_str());
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        span.say("url.full", format!("{scheme}://{host}{}", request.uri.path()));
        // What nobody waits for any more is over when this closure goes.
        Box::new(move |answered: Result<StatusCode, String>| match answered {
            Ok(status) => {
                span.say("http.response.status_code", i64::from(status.as_u16()));
                if status.as_u16() >= 400 {
                    span.fail(status.as_str());
                }
            }
            Err(error) => span.fail(error),
        })
    }
}

/// A number that no other span has.
fn fresh() -> u64 {
    fastrand::u64(1..)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}
