//! A listener, its connections, and how they come to an end.
//!
//! A server runs on threads of its own, one for each processor, and lives until it is stopped. Stopping takes in what the
//! system has accepted already, has the clients close by themselves, then closes what is idle, and waits for the rest.

use crate::admission::Admission;
use crate::application::Application;
use crate::routing::Table;
use crate::service::Service;
use crate::settings::ServerSettings;
use crate::statistics::Statistics;
use arc_swap::ArcSwap;
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use wherry_engine::error::{Error, Kind, Result};

/// How long a client may take for the head of a request, and say nothing between two.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// The most bytes in the head of a request, and in the pieces that a body is read in.
const HEAD_SIZE: usize = 64 << 10;

/// The most requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// How long clients are told that the server ends before idle connections are closed.
const NOTICE: Duration = Duration::from_millis(200);

/// How long no connection is accepted when the process has no more descriptors.
const RECOVERY: Duration = Duration::from_millis(50);

/// How long a request waits for a place that those of other applications have taken.
const WAIT: Duration = Duration::from_secs(10);

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    service: Arc<Service>,
    /// When all has to be over, once it was stopped.
    stop: watch::Sender<Option<Instant>>,
    thread: Mutex<Option<JoinHandle<bool>>>,
}

impl Server {
    /// Listens and serves; when this returns the first request can come.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the address cannot be listened at or routes are in each other's way, [`Kind::Internal`] when the
    /// system gives no threads.
    pub fn start(applications: Vec<Arc<Application>>, settings: &ServerSettings) -> Result<Self> {
        let statistics = Arc::new(Statistics::default());
        let table = Table::new(applications, &statistics)?;
        let runtime = runtime()?;
        let listener = runtime
            .block_on(TcpListener::bind(settings.address))
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listener.map_err(|error| {
            let message = format!("cannot listen at {}: {error}", settings.address);
            Error::new(Kind::Usage, message).with_hint("another port, or port 0 for any that is free")
        })?;
        let service = Arc::new(Service {
            table: ArcSwap::from_pointee(table),
            // Who waits here has a place with its application, and those are counted.
            admission: Admission::new(settings.total_concurrency, usize::MAX, WAIT),
            statistics,
            name: settings.server_header.then(|| HeaderValue::from_static("wherry")),
            address,
            stopping: false.into(),
        });
        let (stop, stopped) = watch::channel(None);
        let shared = Arc::clone(&service);
        let serving = std::thread::Builder::new()
            .name("wherry-edge".into())
            .spawn(move || {
                let whole = runtime.block_on(serve(listener, &shared, stopped));
                runtime.shutdown_background();
                whole
            });
        let thread = serving.map_err(|error| no_threads(&error))?;
        Ok(Self {
            address,
            service,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it serves.
    #[must_use]
    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.service.table.load().applications().to_vec()
    }

    /// Serves these from the next request on; what runs comes to its end as it is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when routes are in each other's way; then all stays as it was.
    pub fn replace(&self, applications: Vec<Arc<Application>>) -> Result<()> {
        let table = Table::new(applications, &self.service.statistics)?;
        self.service.table.store(Arc::new(table));
        Ok(())
    }

    /// How many requests have a place with their application and wait for one of the server.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.service.admission.waiting()
    }

    /// What it counted.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.service.statistics
    }

    /// Takes no more connections, lets what runs come to its end for up to `time`, and ends; says whether all of it did.
    pub fn stop(&self, time: Duration) -> bool {
        self.stop.send_replace(Some(Instant::now() + time));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_none_or(|thread| thread.join().unwrap_or(false))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// One thread does without the machinery that spreads work over several.
fn runtime() -> Result<Runtime> {
    let mut builder = match available_parallelism().map_or(1, usize::from) {
        1 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = builder.enable_all().thread_name("wherry-edge").build();
    runtime.map_err(|error| no_threads(&error))
}

fn no_threads(error: &std::io::Error) -> Error {
    Error::new(Kind::Internal, format!("the server cannot run: {error}"))
        .with_hint("the process may be out of file descriptors or threads: see `ulimit -n -u`")
}

/// Serves until it is stopped; says whether all that ran came to its end in time.
async fn serve(
    listener: TcpListener,
    service: &Arc<Service>,
    mut stopped: watch::Receiver<Option<Instant>>,
) -> bool {
    // On a task, so that it is one among the connections.
    let accepting = {
        let (service, graceful) = (Arc::clone(service), GracefulShutdown::new());
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => connect(stream, &service, &graceful),
                        Err(_) => tokio::time::sleep(RECOVERY).await,
                    },
                    _ = stopped.changed() => break,
                }
            }
            // What the system has accepted already is served too.
            if let Ok(listener) = listener.into_std() {
                while let Ok((stream, _)) = listener.accept() {
                    let taken = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = taken {
                        connect(stream, &service, &graceful);
                    }
                }
            }
            graceful
        })
    };
    let asked = stopped.wait_for(Option::is_some).await;
    let deadline = asked
        .ok()
        .and_then(|deadline| *deadline)
        .unwrap_or_else(Instant::now);
    service.stopping.store(true, Ordering::Relaxed);
    let ending = async {
        if let Ok(graceful) = accepting.await {
            tokio::time::sleep(NOTICE).await;
            graceful.shutdown().await;
        }
    };
    tokio::time::timeout_at(deadline.into(), ending).await.is_ok()
}

fn connect(stream: TcpStream, service: &Arc<Service>, graceful: &GracefulShutdown) {
    service.statistics.connections.fetch_add(1, Ordering::Relaxed);
    // It only makes small answers later.
    let _ = stream.set_nodelay(true);
    let client = stream.peer_addr().ok();
    let service = Arc::clone(service);
    let answering = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request, client).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(HEAD_TIME)
        .max_header_list_size(64 << 10);
    let connection = builder
        .serve_connection(TokioIo::new(stream), answering)
        .into_owned();
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // A client that breaks off needs no answer, and what is malformed has got one.
        let _ = connection.await;
    });
}
