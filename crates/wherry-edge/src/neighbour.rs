//! An application of the process itself, beside those in sandboxes: it is asked over a socket that nobody else sees.
//!
//! What the server bounds holds for it too: its time, the size of requests, how many it gets at once. What it uses up while it
//! answers is its own business.

use crate::arriving::Arriving;
use crate::cgi::Between;
use crate::exchange::Exchange;
use http::header::{CONNECTION, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::UnixStream;
use wherry_engine::error::{Error, Kind};

/// The field that tells it scheme, client and server; a client's own is dropped.
const ARRIVAL: HeaderName = HeaderName::from_static("x-wherry-arrival");

/// Fields that are of one connection and no other: RFC 9110, 7.6.1.
const HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// An application that listens at a path.
pub struct Neighbour {
    path: PathBuf,
}

impl Neighbour {
    /// The one that listens there.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Has it answer one request.
    ///
    /// # Errors
    /// It is gone, or its answer is none.
    pub async fn answer(
        &self,
        parts: Parts,
        between: &Between,
        arriving: Arriving,
        exchange: Arc<Exchange>,
    ) -> wasmtime::Result<()> {
        let stream = UnixStream::connect(&self.path).await.map_err(no_answer)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
        let bodiless = parts.method == Method::HEAD;
        let body = arriving.map_err(|_| std::io::Error::other("the request breaks off"));
        let parts = exchange.seen().informed(parts);
        let request = Request::from_parts(forwarded(parts, between)?, body);
        let asking = async {
            let response = sender.send_request(request).await.map_err(no_answer)?;
            give(response, bodiless, &exchange).await
        };
        let (mut asking, mut connection) = (pin!(asking), pin!(connection));
        let mut closed = false;
        poll_fn(|context| {
            // It moves what is asked and answered, and its errors are found there.
            closed = closed || connection.as_mut().poll(context).is_ready();
            asking.as_mut().poll(context)
        })
        .await
    }
}

/// The head of a request as it is sent on.
fn forwarded(mut parts: Parts, between: &Between) -> wasmtime::Result<Parts> {
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    let client = SocketAddr::new(between.client, between.port.unwrap_or_default());
    let arrival = format!("{scheme} {} {client}", between.server);
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(HOST, host);
    }
    let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.uri = target.parse::<Uri>().map_err(no_answer)?;
    parts.version = Version::HTTP_11;
    without_hops(&mut parts.headers);
    parts
        .headers
        .insert(ARRIVAL, HeaderValue::from_str(&arrival).map_err(no_answer)?);
    Ok(parts)
}

fn without_hops(fields: &mut HeaderMap) {
    for name in HOP {
        fields.remove(name);
    }
}

/// Hands on what it answers, as fast as it is taken: who takes a piece asks for the next.
async fn give(response: Response<Incoming>, bodiless: bool, exchange: &Exchange) -> wasmtime::Result<()> {
    let (head, mut body) = response.into_parts();
    let mut fields = head.headers;
    without_hops(&mut fields);
    if bodiless || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        exchange.state().stop_reading();
    }
    exchange.state().set_head(head.status, fields);
    let mut trailers = None;
    loop {
        let room = poll_fn(|_| match exchange.state().room() {
            Some(0) => Poll::Pending,
            room => Poll::Ready(room),
        });
        if room.await.is_none() {
            return Ok(());
        }
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => {
                    exchange.state().write(&bytes);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
            Some(Err(error)) => return Err(no_answer(error)),
            None => break,
        }
    }
    exchange.state().finish(trailers);
    Ok(())
}

fn no_answer(error: impl Display) -> wasmtime::Error {
    Error::new(Kind::Trap, format!("the application gave no answer: {error}")).into()
}
