//! A listener, its connections, and how they come to an end.
//!
//! A server runs on threads of its own, one for each processor, and lives until it is stopped. Stopping takes in what the
//! system has accepted already, has the clients close by themselves, then closes what is idle, and waits for the rest.
//! Connections may be handed to it too, by what serves in the same process and needs no address for it.

use crate::admission::Shared;
use crate::application::Application;
use crate::arriving::Pace;
use crate::calls::Own;
use crate::connection::{Connections, Times};
use crate::observe::{Observer, admin};
use crate::routing::Table;
use crate::service::Service;
use crate::settings::ServerSettings;
use crate::statistics::Statistics;
use crate::tls::{Certificates, configuration};
use arc_swap::ArcSwap;
use http::HeaderValue;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use wherry_engine::environment::outlive_closed_pipes;
use wherry_engine::error::{Error, Kind, Result};

/// How long clients are told that the server ends before idle connections are closed.
const NOTICE: Duration = Duration::from_millis(200);

/// How long no connection is accepted when the process has no more descriptors.
const RECOVERY: Duration = Duration::from_millis(50);

/// How long it is not said again that the process has none.
const REMINDER: Duration = Duration::from_secs(10);

/// How often it is looked at what guests left and nobody needed since.
const TIDYING: Duration = Duration::from_secs(10);

/// How often it is looked at whether certificates have changed.
const RENEWAL: Duration = Duration::from_secs(1);

/// What connections are served with.
struct Parts {
    service: Arc<Service>,
    times: Times,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
}

/// A connection, and whose it is.
type Handed = (TcpStream, SocketAddr);

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    service: Arc<Service>,
    runtime: Handle,
    handing: mpsc::UnboundedSender<Handed>,
    certificates: Option<Arc<Certificates>>,
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
        raise_open_files();
        let runtime = runtime()?;
        let listener = runtime
            .block_on(TcpListener::bind(settings.address))
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let listener = listener.map_err(|error| {
            let message = format!("cannot listen at {}: {error}", settings.address);
            Error::new(Kind::Usage, message).with_hint("another port, or port 0 for any that is free")
        })?;
        Self::run(applications, settings, runtime, Some(listener))
    }

    /// Serves connections that are handed over by [`Server::connect`], and listens nowhere.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn within(applications: Vec<Arc<Application>>, settings: &ServerSettings) -> Result<Self> {
        Self::run(applications, settings, runtime()?, None)
    }

    fn run(
        applications: Vec<Arc<Application>>,
        settings: &ServerSettings,
        runtime: Runtime,
        listener: Option<(SocketAddr, TcpListener)>,
    ) -> Result<Self> {
        let observer = Observer::start(settings)?;
        let statistics = Statistics::new(observer.guests());
        let table = Table::new(applications, &statistics)?;
        let (address, listener) = listener.unzip();
        let address = address.unwrap_or(settings.address);
        let listens = listener.is_some();
        let certificates = listens.then(|| certificates(settings)).transpose()?.flatten();
        let tls = certificates.clone().map(configuration).transpose()?;
        if let Some(certificates) = &certificates {
            note_untimely(certificates, &statistics);
        }
        let service = Arc::new(Service {
            table: ArcSwap::from_pointee(table),
            admission: Shared::new(settings.total_concurrency),
            statistics,
            observer,
            dev: settings.dev,
            name: settings.server_header.then(|| HeaderValue::from_static("wherry")),
            pace: settings.into(),
            stopping: false.into(),
            stale: false.into(),
            own: listens.then(|| Own::new(address, certificates.is_some())),
            call_depth: settings.call_depth,
        });
        let watched = settings
            .admin
            .map(|address| watch_at(address, &runtime, &service));
        let admin = watched.transpose()?;
        let (stop, stopped) = watch::channel(None);
        let (handing, handed) = mpsc::unbounded_channel();
        let handle = runtime.handle().clone();
        let parts = Parts {
            service: Arc::clone(&service),
            times: settings.into(),
            tls: tls.map(TlsAcceptor::from),
            address,
        };
        if let Some(certificates) = &certificates {
            runtime.spawn(renew(Arc::clone(certificates), Arc::clone(&service)));
        }
        let serving = std::thread::Builder::new()
            .name("wherry-edge".into())
            .spawn(move || {
                outlive_closed_pipes();
                let whole = runtime.block_on(serve(listener, handed, parts, stopped));
                runtime.shutdown_background();
                whole
            });
        let thread = serving.map_err(|error| no_threads(&error))?;
        Ok(Self {
            address,
            admin,
            service,
            runtime: handle,
            handing,
            certificates,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// A connection to it that nobody else sees, for a client that is said to be `peer`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the server has stopped, [`Kind::Io`] when the system gives no sockets.
    pub fn connect(&self, peer: SocketAddr) -> Result<UnixStream> {
        let no_sockets = |error| Error::new(Kind::Io, format!("no connection can be made: {error}"));
        let (theirs, ours) = UnixStream::pair().map_err(no_sockets)?;
        ours.set_nonblocking(true).map_err(no_sockets)?;
        let _context = self.runtime.enter();
        // To the system they are streams alike; only what is asked of an address is not there.
        let ours = TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(ours))).map_err(no_sockets)?;
        let handed = self.handing.send((ours, peer));
        handed.map_err(|_| Error::new(Kind::Usage, "the server has stopped"))?;
        Ok(theirs)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where who watches asks, if anywhere.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Opens the files of its logs anew, after they were moved.
    ///
    /// # Errors
    /// [`Kind::Io`] when one cannot be opened; that one stays as it was.
    pub fn reopen(&self) -> Result<()> {
        self.service.observer.reopen()
    }

    /// Notes that what is served could not be loaded again; until it is, the server says that it is not ready.
    pub fn note_stale(&self) {
        self.service.stale.store(true, Ordering::Relaxed);
    }

    /// What it serves.
    #[must_use]
    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.service.table.load().applications().to_vec()
    }

    /// Serves these from the next request on; what runs comes to its end as it is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when routes are in each other's way, and as for [`Certificates::new`]; then all stays as it was.
    pub fn replace(&self, applications: Vec<Arc<Application>>) -> Result<()> {
        let table = Table::new(applications, &self.service.statistics)?;
        if let Some(certificates) = &self.certificates
            && certificates.reload()?
        {
            note_untimely(certificates, &self.service.statistics);
        }
        self.service.table.store(Arc::new(table));
        self.service.stale.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The counters of each application that there was, by its name and theirs; those of no application are under no name.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
        self.service.counters()
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
        let whole = thread.is_none_or(|thread| thread.join().unwrap_or(false));
        self.service.observer.end();
        whole
    }
}

impl From<&ServerSettings> for Times {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            handshake: settings.handshake_time,
            head: settings.head_time,
            idle: settings.idle_time,
            write: settings.write_time,
        }
    }
}

impl From<&ServerSettings> for Pace {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            time: settings.body_time,
            rate: settings.body_rate,
        }
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
    let runtime = builder
        .enable_all()
        .thread_name("wherry-edge")
        // A client that breaks off must not end the server, whatever the process does about closed pipes.
        .on_thread_start(outlive_closed_pipes)
        .build();
    runtime.map_err(|error| no_threads(&error))
}

/// What secures its connections, where it is to be HTTPS.
fn certificates(settings: &ServerSettings) -> Result<Option<Arc<Certificates>>> {
    let files = settings.tls.clone();
    let read = (!files.is_empty())
        .then(|| Certificates::new(files))
        .transpose()?;
    Ok(read.map(Arc::new))
}

/// Listens for who watches; says where.
fn watch_at(address: SocketAddr, runtime: &Runtime, service: &Arc<Service>) -> Result<SocketAddr> {
    let (address, listener) = runtime.block_on(admin::listen(address))?;
    runtime.spawn(admin::serve(listener, Arc::clone(service)));
    Ok(address)
}

fn no_threads(error: &std::io::Error) -> Error {
    Error::new(Kind::Internal, format!("the server cannot run: {error}"))
        .with_hint("the process may be out of file descriptors or threads: see `ulimit -n -u`")
}

/// Serves until it is stopped; says whether all that ran came to its end in time.
async fn serve(
    listener: Option<TcpListener>,
    handed: mpsc::UnboundedReceiver<Handed>,
    parts: Parts,
    mut stopped: watch::Receiver<Option<Instant>>,
) -> bool {
    let service = Arc::clone(&parts.service);
    let (close, closing) = watch::channel(false);
    let (alive, mut gone) = mpsc::channel(1);
    let connections = Arc::new(Connections {
        service: parts.service,
        times: parts.times,
        tls: parts.tls,
        address: parts.address,
        closing,
        alive,
    });
    // On a task, so that it is one among the connections.
    let accepting = tokio::spawn(accept(listener, handed, connections, stopped.clone()));
    let tidying = tokio::spawn(tidy(Arc::clone(&service)));
    let asked = stopped.wait_for(Option::is_some).await;
    tidying.abort();
    let deadline = asked
        .ok()
        .and_then(|deadline| *deadline)
        .unwrap_or_else(Instant::now);
    service.stopping.store(true, Ordering::Relaxed);
    let ending = async {
        if accepting.await.is_ok() {
            tokio::time::sleep(NOTICE).await;
            close.send_replace(true);
            // Nothing is ever sent: it ends when no connection is left.
            while gone.recv().await.is_some() {}
        }
    };
    tokio::time::timeout_at(deadline.into(), ending).await.is_ok()
}

/// Takes connections until the server is stopped, and those that the system has accepted by then.
async fn accept(
    listener: Option<TcpListener>,
    mut handed: mpsc::UnboundedReceiver<Handed>,
    connections: Arc<Connections>,
    mut stopped: watch::Receiver<Option<Instant>>,
) {
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            accepted = next(listener.as_ref()) => match accepted {
                Ok((stream, peer)) => connect(stream, peer, &connections),
                Err(error) => {
                    if told.is_none_or(|told| told.elapsed() > REMINDER) {
                        told = Some(Instant::now());
                        let statistics = &connections.service.statistics;
                        let words = format!("server: no more connections fit: {error}");
                        statistics.keep(words, Some("`ulimit -Hn` is the most that it may be given"));
                    }
                    tokio::time::sleep(RECOVERY).await;
                }
            },
            Some((stream, peer)) = handed.recv() => connect(stream, peer, &connections),
            _ = stopped.changed() => break,
        }
    }
    while let Ok((stream, peer)) = handed.try_recv() {
        connect(stream, peer, &connections);
    }
    if let Some(Ok(listener)) = listener.map(TcpListener::into_std) {
        while let Ok((stream, peer)) = listener.accept() {
            let taken = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = taken {
                connect(stream, peer, &connections);
            }
        }
    }
}

/// The next connection that is made to an address, where there is one.
async fn next(listener: Option<&TcpListener>) -> std::io::Result<Handed> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn connect(stream: TcpStream, peer: SocketAddr, connections: &Arc<Connections>) {
    let statistics = &connections.service.statistics;
    statistics.connections.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(Arc::clone(connections).serve(stream, peer));
}

/// Now and then has the applications give back what their guests have not needed for long.
async fn tidy(service: Arc<Service>) {
    loop {
        tokio::time::sleep(TIDYING).await;
        for application in service.table.load_full().applications() {
            application.tidy();
        }
    }
}

/// Reads certificates again when their files change, for as long as the server runs.
async fn renew(certificates: Arc<Certificates>, service: Arc<Service>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let reading = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || reading.reload()).await {
            Ok(Ok(true)) => note_untimely(&certificates, &service.statistics),
            Ok(Err(error)) => {
                let words = format!("server: the certificates stay as they are: {}", error.message());
                service.statistics.keep(words, error.hint());
            }
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

fn note_untimely(certificates: &Certificates, statistics: &Statistics) {
    for told in certificates.untimely() {
        statistics.keep(format!("server: {told}"), None);
    }
}

/// As many files as this process may have open at all: each connection is one.
fn raise_open_files() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    // Where it may not, what there is has to do.
    let _ = setrlimit(Resource::Nofile, raised);
}
