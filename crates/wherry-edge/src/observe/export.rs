//! Spans on their way to a collector, by OTLP over HTTP, off the way of requests.
//!
//! They are gathered for a moment and sent together, on a thread of its own. A collector that is away is tried again a few
//! times; meanwhile no more than so many are kept, and the others dropped and counted.

use crate::observe::otlp::{CONTENT_TYPE, encode};
use crate::observe::spans::Finished;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE as TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;
use wherry_engine::error::{Error, Kind, Result};

/// How many requests' spans wait at the most.
const MOST_WAITING: usize = 4096;

/// How many are sent together.
const TOGETHER: usize = 512;

/// How long they are gathered for.
const GATHERING: Duration = Duration::from_secs(1);

/// How long a collector may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the same is sent, and how long to wait before it is sent again; then twice as long.
const ATTEMPTS: u32 = 4;
/// See [`ATTEMPTS`].
const PAUSE: Duration = Duration::from_millis(500);

/// How long what waits may take to be sent when all ends.
const ENDING: Duration = Duration::from_secs(3);

/// Who sends spans.
pub struct Exporter {
    sender: SyncSender<Option<Finished>>,
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

#[derive(Default)]
struct Shared {
    exported: AtomicU64,
    dropped: AtomicU64,
    end: AtomicBool,
}

/// Where spans go.
pub struct Collector {
    target: Uri,
    fields: HeaderMap,
    service: String,
}

impl Collector {
    /// One at a URL such as `http://127.0.0.1:4318`, which gets these fields with each request. A URL without a path is
    /// completed as the specification of the exporter has it.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is no URL, or no field.
    pub fn new(endpoint: &str, fields: &BTreeMap<String, String>, service: &str) -> Result<Self> {
        let wrong = |what: String| {
            Error::new(Kind::Usage, what).with_hint(
                "a collector's URL is such as `http://127.0.0.1:4318` or `https://traces.example.com/v1/traces`",
            )
        };
        let refused = || wrong(format!("`{endpoint}` is no URL of a collector"));
        let uri: Uri = endpoint.parse().map_err(|_| refused())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().filter(|_| known).ok_or_else(refused)?;
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let target = if uri.path() == "/" {
            let whole = format!("{}://{authority}/v1/traces", uri.scheme_str().unwrap_or("http"));
            whole.parse().map_err(|_| refused())?
        } else {
            uri
        };
        let mut all = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name
                .parse()
                .map_err(|_| wrong(format!("`{name}` is no name of a field")))?;
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| wrong(format!("the field `{name}` has no such value")))?;
            value.set_sensitive(true);
            all.insert(name, value);
        }
        all.insert(TYPE, HeaderValue::from_static(CONTENT_TYPE));
        all.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("wherry/", env!("CARGO_PKG_VERSION"))),
        );
        Ok(Self {
            target,
            fields: all,
            service: service.to_owned(),
        })
    }

    /// Sends; says whether it arrived, or whether it is worth another attempt.
    async fn send(&self, body: Bytes) -> std::result::Result<(), bool> {
        let host = self.target.host().unwrap_or_default();
        let secure = self.target.scheme_str() == Some("https");
        let port = self.target.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, port)).await.map_err(|_| true)?;
        if secure {
            let name = bare.to_owned().try_into().map_err(|_| false)?;
            let connector = TlsConnector::from(wherry_engine::outgoing::tls().ok_or(false)?);
            let stream = connector.connect(name, stream).await.map_err(|_| true)?;
            self.request(stream, body).await
        } else {
            self.request(stream, body).await
        }
    }

    async fn request<S>(&self, stream: S, body: Bytes) -> std::result::Result<(), bool>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = Request::post(self.target.path_and_query().map_or("/", |path| path.as_str()))
            .body(Full::new(body.clone()))
            .map_err(|_| false)?;
        *request.headers_mut() = self.fields.clone();
        let authority = self.target.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).map_err(|_| false)?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| true)?;
        let mut answered = pin!(async {
            let answer = sender.send_request(request).await.map_err(|_| true)?;
            let status = answer.status();
            // What it says is not needed; its connection ends with it.
            let _ = answer.into_body().frame().await;
            match status {
                status if status.is_success() => Ok(()),
                // OTLP: only these are to be tried again.
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => Err(true),
                _ => Err(false),
            }
        });
        tokio::select! {
            answered = &mut answered => answered,
            // A connection that is over has handed its answer on, if there was one.
            _ = connection => answered.await,
        }
    }
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the system gives none.
    pub fn start(collector: Collector) -> Result<Self> {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let (ending, ended) = sync_channel(0);
        let shared = Arc::new(Shared::default());
        let failed =
            |error: std::io::Error| Error::new(Kind::Internal, format!("no thread for traces: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let exporting = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name("wherry-traces".into())
            .spawn(move || {
                export(&runtime, &collector, &receiver, &exporting);
                runtime.shutdown_background();
                drop(ending);
            });
        started.map_err(failed)?;
        Ok(Self {
            sender,
            shared,
            ended: Mutex::new(ended),
        })
    }

    /// Hands the spans of a request over, or drops them.
    pub fn hand(&self, finished: Finished) {
        let count = finished.spans.len() as u64;
        if self.sender.try_send(Some(finished)).is_err() {
            self.drop_spans(count);
        }
    }

    /// Counts spans that go nowhere.
    pub fn drop_spans(&self, count: u64) {
        self.shared.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// How many spans the collector has.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.shared.exported.load(Ordering::Relaxed)
    }

    /// How many it will never have.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Sends what waits, and ends.
    pub fn end(&self) {
        self.shared.end.store(true, Ordering::Relaxed);
        let _ = self.sender.try_send(None);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(ENDING);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends until no more will come.
fn export(runtime: &Runtime, collector: &Collector, receiver: &Receiver<Option<Finished>>, shared: &Shared) {
    while let Ok(first) = receiver.recv() {
        let mut gathered: Vec<Finished> = first.into_iter().collect();
        let until = Instant::now() + GATHERING;
        while gathered.len() < TOGETHER {
            let left = if shared.end.load(Ordering::Relaxed) {
                Duration::ZERO
            } else {
                until.saturating_duration_since(Instant::now())
            };
            match receiver.recv_timeout(left) {
                Ok(next) => gathered.extend(next),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let more = gathered.len() == TOGETHER;
        let count: usize = gathered.iter().map(|finished| finished.spans.len()).sum();
        if count > 0 {
            let body = encode(&collector.service, gathered);
            let arrived = runtime.block_on(send(collector, body.into(), shared));
            let counter = if arrived {
                &shared.exported
            } else {
                &shared.dropped
            };
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
        if shared.end.load(Ordering::Relaxed) && !more {
            return;
        }
    }
}

/// Sends the same until it arrives, or that has no prospect.
async fn send(collector: &Collector, body: Bytes, shared: &Shared) -> bool {
    for attempt in 0..ATTEMPTS {
        match tokio::time::timeout(PATIENCE, collector.send(body.clone())).await {
            Ok(Ok(())) => return true,
            Ok(Err(false)) => return false,
            Ok(Err(true)) | Err(_) => {}
        }
        if attempt + 1 == ATTEMPTS || shared.end.load(Ordering::Relaxed) {
            return false;
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_is_completed() {
        for (endpoint, target) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://a.example/otlp", "https://a.example/otlp"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ] {
            let collector = Collector::new(endpoint, &BTreeMap::new(), "wherry").unwrap();
            assert_eq!(collector.target.to_string(), target);
        }
    }

    #[test]
    fn what_is_no_collector_is_an_error() {
        for endpoint in [
            "",
            "127.0.0.1:4318",
            "grpc://a.example",
            "http://",
            "http://me@a.example",
        ] {
            let error = Collector::new(endpoint, &BTreeMap::new(), "wherry")
                .err()
                .unwrap();
            assert_eq!(error.kind(), Kind::Usage, "{endpoint}");
        }
        let fields = BTreeMap::from([("a b".to_owned(), "c".to_owned())]);
        assert!(Collector::new("http://127.0.0.1:4318", &fields, "wherry").is_err());
    }
}
