//! One request, from its head to the beginning of its answer.
//!
//! What is not a request is refused, as far as the parser lets it pass: see `head`. What is one gets a place and a guest.

use crate::admission::{Places, Shared};
use crate::application::Application;
use crate::arriving::{Content, Pace, read_over};
use crate::body::Answer;
use crate::calls::Own;
use crate::cgi::Between;
use crate::compression::Negotiated;
use crate::connection::HEAD_SIZE;
use crate::development::{explained, wants_page};
use crate::exchange::End;
use crate::head::{Arrival, check};
use crate::observe::Observer;
use crate::observe::identity::REQUEST_ID;
use crate::observe::record::{Record, Recorded};
use crate::refusal::refusal;
use crate::routing::{Route, Table};
use crate::running::{Failure, Running};
use crate::statistics::{Account, Statistics};
use arc_swap::ArcSwap;
use http::header::{CONNECTION, CONTENT_LENGTH, SERVER, TRAILER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all connections of a server share.
pub struct Service {
    /// Who answers what.
    pub table: ArcSwap<Table>,
    /// Who is let in, of the requests for all applications.
    pub admission: Shared,
    /// What is counted.
    pub statistics: Statistics,
    /// Who tells of it.
    pub observer: Observer,
    /// Whether errors of guests are shown to their clients.
    pub dev: bool,
    /// What the answers say of the server, if anything.
    pub name: Option<HeaderValue>,
    /// How long the body of a request may take.
    pub pace: Pace,
    /// Connections are closed behind the next answer.
    pub stopping: AtomicBool,
    /// What is served could not be loaded again.
    pub stale: AtomicBool,
    /// Where it listens, for requests of its own guests.
    pub own: Option<Own>,
    /// How many of those one request leads to, each from the answer to the one before.
    pub call_depth: u32,
}

/// A connection, as far as its requests are to know of it.
pub struct Connection {
    /// Who answers.
    pub service: Arc<Service>,
    /// How its requests come.
    pub arrival: Arrival,
    /// How many requests of guests these come of; none where it is a connection of the network.
    pub depth: u32,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.depth == 0 {
            self.service.statistics.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Connection {
    /// Answers a request.
    pub async fn answer(self: Arc<Self>, request: Request<Content>) -> Response<Recorded> {
        let mut record = Record::new(&self, &request);
        let response = self.service.answer(request, &mut record).await;
        let status = response.status();
        response.map(|answer| record.answered(status, answer))
    }
}

impl Service {
    /// Answers a request, with the fields that all answers have.
    async fn answer(&self, request: Request<Content>, record: &mut Record) -> Response<Answer> {
        let version = request.version();
        let html = self.dev && wants_page(request.headers());
        let mut response = match self.serve(request, record).await {
            Ok(response) => response,
            Err(Refused {
                status,
                why: Some(failure),
            }) if self.dev => explained(status, record, &failure, html),
            Err(Refused { status, .. }) => refusal(status, &record.id),
        };
        let headers = response.headers_mut();
        if let Some(name) = &self.name
            && !headers.contains_key(SERVER)
        {
            headers.insert(SERVER, name.clone());
        }
        if version != Version::HTTP_2 && self.stopping.load(Ordering::Relaxed) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn serve(
        &self,
        request: Request<Content>,
        record: &mut Record,
    ) -> Result<Response<Answer>, Refused> {
        let arrival = record.arrival();
        let (mut parts, incoming) = request.into_parts();
        let route = match check(&mut parts, arrival).and_then(|()| self.route(&parts)) {
            Ok(route) => route,
            Err(status) => return Err(refuse(&self.statistics.unrouted, status, incoming).into()),
        };
        let exchange = record.assign(route);
        let (route, account) = (exchange.seen().route(), exchange.seen().account());
        let application = &route.application;
        if record.depth() > 0
            && let Err(status) = self.check_call(record.depth(), &parts, account)
        {
            return Err(refuse(account, status, incoming).into());
        }
        let negotiated = application.settings().compress.then(|| Negotiated::of(&parts));
        let packed = |answer| match negotiated {
            Some(negotiated) => negotiated.compress(answer),
            None => answer,
        };
        if let Some(mut answer) = application.file(&parts, &route.prefix).await {
            if answer.status().is_client_error() {
                answer.headers_mut().insert(REQUEST_ID, record.id.value());
            }
            read_over(incoming);
            return Ok(packed(answer));
        }
        if incoming.size_hint().lower() > application.settings().max_request {
            return Err(refuse(account, StatusCode::PAYLOAD_TOO_LARGE, incoming).into());
        }
        let head = parts.method == Method::HEAD;
        let Some(places) = self.places(application, record.depth()).await else {
            account.busy.fetch_add(1, Ordering::Relaxed);
            read_over(incoming);
            return Err(StatusCode::SERVICE_UNAVAILABLE.into());
        };
        let between = Between {
            client: record.client().address,
            port: record.port(),
            server: arrival.address,
            script: route.prefix.len(),
        };
        let call = application.call(parts, incoming, between, self.pace, &exchange);
        let mut running = Running::new(call, Arc::clone(&exchange), application, places);
        match running.head().await {
            Ok((status, fields)) => Ok(packed(answer(running, status, fields, head))),
            Err(failure) => {
                exchange.seen().tell(&failure);
                Err(Refused {
                    status: status_of(&failure),
                    why: Some(failure),
                })
            }
        }
    }

    /// Counts a request that no parser could read.
    pub fn note_malformed(&self) {
        self.statistics.malformed.fetch_add(1, Ordering::Relaxed);
        self.statistics.unrouted.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Who answers; 404 where nobody does.
    fn route(&self, parts: &Parts) -> Result<Arc<Route>, StatusCode> {
        let host = parts.uri.host().unwrap_or_default();
        // RFC 9110, 9.3.7: of all of the server, which whoever has its root may speak for.
        let path = match parts.uri.path() {
            "*" => "/",
            path => path,
        };
        let table = self.table.load();
        let route = table.find(host, path);
        route.map(Arc::clone).ok_or(StatusCode::NOT_FOUND)
    }

    /// What no connection sees to of a request of a guest: that its head is no larger than others may be, and that it is not
    /// one of a circle.
    fn check_call(&self, depth: u32, parts: &Parts, account: &Account) -> Result<(), StatusCode> {
        // As RFC 9113, 6.5.2 counts them.
        let fields = parts.headers.iter();
        let size: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        if size > HEAD_SIZE as usize {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        if depth > self.call_depth {
            let words = format!(
                "{}: requests of applications to one another go deeper than `call-depth = {}`",
                account.name, self.call_depth
            );
            let hint = "if they go in no circle, raise `call-depth` in the configuration of the server";
            self.statistics.keep(words, Some(hint));
            return Err(StatusCode::LOOP_DETECTED);
        }
        Ok(())
    }

    /// A place with the application first: who has to wait there keeps no other application's request waiting. A request of a
    /// guest waits for none of the server's, as its guest has one meanwhile, and those who have all might wait for each other.
    async fn places(&self, application: &Application, depth: u32) -> Option<Places> {
        let admission = &application.admission;
        let place = admission.enter().await?;
        let alone = self.table.load().applications().len() == 1;
        let own = match depth {
            0 => self.admission.enter(admission, alone).await?,
            _ => self.admission.try_enter(admission, alone)?,
        };
        Some((place, own))
    }
}

/// An answer that is the server's own.
struct Refused {
    status: StatusCode,
    /// What is wrong with the guest, where that is why.
    why: Option<Failure>,
}

impl From<StatusCode> for Refused {
    fn from(status: StatusCode) -> Self {
        Self { status, why: None }
    }
}

/// Counts a request that is not served, and reads its body over.
fn refuse(account: &Account, status: StatusCode, incoming: Content) -> StatusCode {
    account.refused.fetch_add(1, Ordering::Relaxed);
    read_over(incoming);
    status
}

fn status_of(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Trap(_) | Failure::NoAnswer | Failure::TooMuch => StatusCode::INTERNAL_SERVER_ERROR,
        Failure::Time => StatusCode::GATEWAY_TIMEOUT,
        Failure::Request(status) => *status,
        Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer of a guest that gave its head.
fn answer(running: Running, status: StatusCode, fields: HeaderMap, head: bool) -> Response<Answer> {
    // RFC 9110, 6.4.1: answers to HEAD, and those with no content or not modified, have no body.
    let bodiless = head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let (body, length) = if bodiless {
        unread(running, status)
    } else {
        body(running)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    if let Answer::Whole {
        trailers: Some(trailers),
        ..
    } = response.body()
        && let Some(names) = names(trailers)
        && !response.headers().contains_key(TRAILER)
    {
        response.headers_mut().insert(TRAILER, names);
    }
    response
}

/// No body; its length is what the body would have had, as far as that is known.
fn unread(running: Running, status: StatusCode) -> (Answer, Option<u64>) {
    let length = {
        let state = running.exchange().state();
        let whole = matches!(state.end(), End::Finished(_)) && status.is_success();
        state.declared().or_else(|| whole.then(|| state.written()))
    };
    running.go_on();
    (
        Answer::whole(""),
        length.filter(|_| status != StatusCode::NO_CONTENT),
    )
}

/// The body, whole where it is.
fn body(running: Running) -> (Answer, Option<u64>) {
    let mut state = running.exchange().state();
    let declared = state.declared();
    if let End::Finished(trailers) = state.end() {
        let trailers = trailers.clone();
        let bytes = state.take();
        drop(state);
        let length = trailers.is_none().then_some(bytes.len() as u64);
        running.go_on();
        return (Answer::Whole { bytes, trailers }, length);
    }
    drop(state);
    let guest = Some(Box::new(running));
    (
        Answer::Streamed {
            guest,
            left: declared,
        },
        declared,
    )
}

/// What trailers are called, for the field that announces them: RFC 9110, 6.6.2.
fn names(trailers: &HeaderMap) -> Option<HeaderValue> {
    let names: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).ok()
}
