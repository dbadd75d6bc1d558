//! The address for who watches: whether the server is alive and ready, and what it counted. Nothing can be changed here.

use crate::observe::exposition;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use wherry_engine::error::{Error, Kind, Result};

/// How long who asks may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The most connections at once.
const CONNECTIONS: usize = 64;

/// How long none is accepted when the process has no more descriptors.
const RECOVERY: Duration = Duration::from_millis(50);

/// What can be asked of a server.
pub trait Watched: Send + Sync + 'static {
    /// Why it is not ready for requests, if it is not.
    fn unready(&self) -> Option<&'static str>;

    /// What it counted, in the text format of Prometheus.
    fn metrics(&self) -> String;

    /// The same as JSON.
    fn statistics(&self) -> serde_json::Value;
}

/// Listens there.
///
/// # Errors
/// [`Kind::Usage`] when the address cannot be listened at.
pub async fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(address).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound.map_err(|error| {
        let message = format!("cannot listen at {address} for administration: {error}");
        Error::new(Kind::Usage, message).with_hint("another port, or port 0 for any that is free")
    })
}

/// Answers until the runtime ends.
pub async fn serve(listener: TcpListener, watched: Arc<impl Watched>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(RECOVERY).await;
            continue;
        };
        let watched = Arc::clone(&watched);
        tokio::spawn(async move {
            let answering = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answer(request.method(), request.uri().path(), &*watched);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .serve_connection(TokioIo::new(stream), answering);
            let _ = connection.await;
            drop(place);
        });
    }
}

fn answer(method: &Method, path: &str, watched: &dyn Watched) -> Response<Full<Bytes>> {
    let found = match path {
        "/health" => Some((StatusCode::OK, "text/plain; charset=utf-8", "alive\n".to_owned())),
        "/ready" => Some(match watched.unready() {
            None => (StatusCode::OK, "text/plain; charset=utf-8", "ready\n".to_owned()),
            Some(why) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                format!("not ready: {why}\n"),
            ),
        }),
        "/metrics" => Some((StatusCode::OK, exposition::CONTENT_TYPE, watched.metrics())),
        "/statistics" => Some((
            StatusCode::OK,
            "application/json",
            format!("{:#}\n", watched.statistics()),
        )),
        _ => None,
    };
    let (status, media, body) = match found {
        Some(_) if !matches!(*method, Method::GET | Method::HEAD) => (
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain; charset=utf-8",
            "only GET and HEAD\n".to_owned(),
        ),
        Some(found) => found,
        None => (
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "there are /health, /ready, /metrics and /statistics\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
