//! One request, from its head to the last byte of its answer, for whoever tells of it.
//!
//! A [`Record`] goes with the request through the service, and then with the body of the answer. When it goes, the request is
//! over, whatever ended it: that is the one place where it is counted, and its line and span are made; so they agree.

use crate::body::Answer;
use crate::calls::Calls;
use crate::exchange::Exchange;
use crate::head::Arrival;
use crate::observe::access::Line;
use crate::observe::guests::Speaker;
use crate::observe::identity::RequestId;
use crate::observe::metrics::{Ended, METHODS, method_number};
use crate::observe::proxies::Client;
use crate::observe::spans::{Kind, Span, Trace, Value};
use crate::routing::Route;
use crate::running::Failure;
use crate::service::Connection;
use crate::statistics::Account;
use bytes::Bytes;
use http::header::{HOST, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};
use wherry_engine::guest::Guest;

/// What the status is said to be of a request whose client went before there was an answer, as nginx has it.
const GONE: u16 = 499;

/// A request while it is answered.
pub struct Record {
    /// The connection that it came on; no other thread counts who holds it.
    connection: Arc<Connection>,
    /// What is known of it once it is somebody's.
    exchange: Option<Arc<Exchange>>,
    began: Instant,
    method: usize,
    status: u16,
    sent: u64,
    complete: bool,
    /// What it is called.
    pub id: RequestId,
    client: Client,
    trace: Option<Arc<Trace>>,
    /// What more there is to tell of it, where somebody wants to know.
    line: Option<Box<Line>>,
}

/// What is known of a request, for its guest and for who tells of that one.
pub struct Seen {
    id: RequestId,
    client: Client,
    route: Arc<Route>,
    trace: Option<Arc<Trace>>,
    connection: Arc<Connection>,
}

/// An answer that notes what was sent of it.
pub struct Recorded {
    answer: Answer,
    broken: bool,
    record: Record,
}

/// Notes the most memory that a guest had, when it goes.
pub struct Peak(Arc<AtomicUsize>, Arc<Account>);

impl Record {
    /// A request came; it is nobody's for now.
    pub fn new<B>(connection: &Arc<Connection>, request: &Request<B>) -> Self {
        let observer = &connection.service.observer;
        let (fields, proxies) = (request.headers(), observer.proxies());
        let Arrival { peer, secure, .. } = connection.arrival;
        // What a guest says of who asks and what for is its own word, whichever proxies are at the address of the server.
        let (id, client) = match connection.depth {
            0 => (
                proxies.name(peer.ip(), fields),
                proxies.client(peer, secure, fields),
            ),
            _ => (RequestId::new(), Client::of(peer, secure)),
        };
        let mut record = Self {
            connection: Arc::clone(connection),
            exchange: None,
            began: Instant::now(),
            method: method_number(request.method()),
            status: GONE,
            sent: 0,
            complete: false,
            id,
            client,
            trace: None,
            line: None,
        };
        if observer.is_curious() {
            record.trace = observer.tracer.as_ref().map(|tracer| tracer.trace(fields));
            record.line = Some(Box::new(record.line(request)));
        }
        record
    }

    fn line<B>(&self, request: &Request<B>) -> Line {
        let fields = request.headers();
        Line {
            time: SystemTime::now(),
            client: self.client.address,
            method: request.method().clone(),
            target: request.uri().clone(),
            host: fields.get(HOST).cloned(),
            version: request.version(),
            status: GONE,
            bytes: 0,
            duration: Duration::ZERO,
            complete: false,
            application: None,
            route: None,
            id: self.id.clone(),
            trace: self.trace.as_ref().map(|trace| trace.context.trace),
            referer: fields.get(REFERER).cloned(),
            agent: fields.get(USER_AGENT).cloned(),
        }
    }

    /// What the application is called that it is for.
    pub fn application(&self) -> Option<&str> {
        let exchange = self.exchange.as_ref()?;
        Some(&exchange.seen().account().name)
    }

    /// How it came.
    pub fn arrival(&self) -> Arrival {
        self.connection.arrival
    }

    /// Of how many requests of guests it comes.
    pub fn depth(&self) -> u32 {
        self.connection.depth
    }

    /// Who it comes from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client's port, where no proxy stands between.
    pub fn port(&self) -> Option<u16> {
        let peer = self.connection.arrival.peer;
        (self.depth() == 0 && peer.ip().to_canonical() == self.client.address).then(|| peer.port())
    }

    /// It goes this route; gives where its answer will be.
    pub fn assign(&mut self, route: Arc<Route>) -> Arc<Exchange> {
        route.account.metrics.began();
        if let Some(line) = &mut self.line {
            line.application = Some(Arc::clone(&route.account.name));
            line.route = Some(Arc::clone(&route.pattern));
        }
        let most = route.application.settings().max_response;
        let seen = Seen {
            id: self.id.clone(),
            client: self.client.clone(),
            route,
            trace: self.trace.clone(),
            connection: Arc::clone(&self.connection),
        };
        let exchange = Arc::new(Exchange::new(seen, most));
        self.exchange = Some(Arc::clone(&exchange));
        exchange
    }

    /// It is answered so.
    pub fn answered(mut self, status: StatusCode, answer: Answer) -> Recorded {
        self.status = status.as_u16();
        // Nobody asks for the body of such an answer.
        self.complete = METHODS[self.method] == "HEAD";
        Recorded {
            answer,
            broken: false,
            record: self,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        let service = &self.connection.service;
        let account = if let Some(exchange) = &self.exchange {
            exchange.seen().account()
        } else {
            service.statistics.unrouted.metrics.began();
            &service.statistics.unrouted
        };
        account.metrics.ended(&Ended {
            method: self.method,
            status: self.status,
            duration,
            sent: self.sent,
        });
        if let Some(mut line) = self.line.take() {
            (line.status, line.bytes, line.duration) = (self.status, self.sent, duration);
            line.complete = self.complete;
            if let Some(trace) = self.trace.take()
                && trace.context.sampled
            {
                trace.add(span(&line, &trace, &self.client));
            }
            service.observer.log(*line);
        }
    }
}

impl Seen {
    /// Who answers.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// What is noted of the application.
    pub fn account(&self) -> &Arc<Account> {
        &self.route.account
    }

    /// What the request is called.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// Who it comes from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The trace that it belongs to.
    pub fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.as_ref()
    }

    /// The host that the client asked for, where the request is for `host`.
    pub fn host<'a>(&'a self, host: Option<&'a str>) -> Option<&'a str> {
        self.client.host.as_deref().or(host)
    }

    /// The head of the request as its guest is to have it.
    pub fn informed(&self, mut parts: Parts) -> Parts {
        let host = parts.uri.authority().map(ToString::to_string);
        self.inform(&mut parts.headers, host.as_deref());
        let named = self.client.host.as_ref().map(|host| host.parse());
        if self.client.secure || named.is_some() {
            let mut uri = parts.uri.into_parts();
            uri.scheme = self.client.scheme().parse().ok();
            if let Some(Ok(authority)) = named {
                uri.authority = Some(authority);
            }
            parts.uri = http::Uri::from_parts(uri).unwrap_or_default();
        }
        parts
    }

    /// Has the guest know who asks and which trace that belongs to; nobody else's word on it is left in `fields`. `host` is
    /// whom the request is for.
    pub fn inform(&self, fields: &mut HeaderMap, host: Option<&str>) {
        self.client.tell(fields, host, &self.id);
        if let Some(trace) = &self.trace {
            trace.tell(fields);
        }
    }

    /// Whose word it is that its guest prints.
    pub fn speaker(&self) -> Arc<Speaker> {
        let trace = self.trace.as_ref().map(|trace| trace.context.trace);
        self.account().speaker(self.id.clone(), trace)
    }

    /// What becomes of the requests that the guest sends.
    pub fn calls(&self) -> Arc<Calls> {
        Calls::new(&self.connection, self.trace.as_ref())
    }

    /// Has the trace and the applications beside it hear of what the guest sends.
    pub fn listen(&self, guest: &mut Guest) {
        guest.hear(Some(self.calls()));
    }

    /// Keeps what went wrong.
    pub fn tell(&self, failure: &Failure) {
        self.account().tell(&self.id, failure);
    }
}

impl Peak {
    /// Of the guest with this counter.
    pub fn new(counter: Arc<AtomicUsize>, account: Arc<Account>) -> Self {
        account.metrics.instance();
        Self(counter, account)
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        let Self(counter, account) = self;
        account.metrics.memory(counter.load(Ordering::Relaxed));
    }
}

/// The span of a request, in the words of OpenTelemetry's conventions for HTTP.
fn span(line: &Line, trace: &Trace, client: &Client) -> Span {
    let path = line.target.path();
    let mut attributes: Vec<(&'static str, Value)> = vec![
        ("http.request.method", line.method.as_str().into()),
        ("http.response.status_code", i64::from(line.status).into()),
        ("url.path", path.into()),
        ("url.scheme", client.scheme().into()),
        ("network.protocol.version", version(line.version).into()),
        ("client.address", line.client.to_string().into()),
        ("wherry.request_id", line.id.to_string().into()),
    ];
    let host = line.host.as_ref().and_then(|host| host.to_str().ok());
    let texts = [
        ("http.route", line.route.as_deref()),
        ("wherry.application", line.application.as_deref()),
        ("server.address", host),
        (
            "user_agent.original",
            line.agent.as_ref().and_then(|agent| agent.to_str().ok()),
        ),
    ];
    for (name, text) in texts {
        attributes.extend(text.map(|text| (name, text.into())));
    }
    let error = match line.status {
        status if status >= 500 => Some(status.to_string()),
        GONE => Some("client went away".to_owned()),
        _ if !line.complete => Some("the answer broke off".to_owned()),
        _ => None,
    };
    if let Some(error) = &error {
        attributes.push(("error.type", error.clone().into()));
    }
    let name = match &line.route {
        Some(route) => format!("{} {route}", line.method),
        None => line.method.to_string(),
    };
    Span {
        id: trace.context.span,
        parent: trace.parent,
        name,
        kind: Kind::Server,
        start: line.time,
        end: line.time + line.duration,
        attributes,
        error,
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.answer).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => this.record.sent += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) => this.broken = true,
            None => this.record.complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // Of one that broke off nothing is left either.
        self.record.complete |= self.answer.is_end_stream() && !self.broken;
    }
}
