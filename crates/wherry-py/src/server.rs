//! The HTTP server and its applications, as Python starts and stops them. No Python runs while they answer.

use crate::door::through;
use crate::errors::raise;
use crate::limits::Limits;
use crate::loading::{Wanted, with_program};
use crate::policy::Policy;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wherry_edge::application::{Alone, Application as EdgeApplication, Imported};
use wherry_edge::cgi::Start;
use wherry_edge::server::Server as EdgeServer;
use wherry_edge::settings;
use wherry_engine::mode::{Mode, Pool};
use wherry_engine::program::{LoadOptions, Program, Source, load_restored};
use wherry_engine::restored::Image;
use wherry_tools::prepared::{self, Import, Meaning};

/// What a component exports that is called for each request.
const HANDLER: &str = "wasi:http/incoming-handler@0.2.";

/// An application that is compiled and linked. Private: `wherry.edge.Application` makes it.
#[pyclass(frozen, module = "wherry._native")]
pub struct Application {
    inner: Arc<EdgeApplication>,
}

#[pymethods]
impl Application {
    /// Loads a path, or bytes under a name for messages, or nothing where there are files alone; `settings` are
    /// `wherry.edge.settings.ApplicationSettings` as JSON. A command gets these `arguments`, its name first, and a core module that is one starts with `entry`. Files are
    /// of the `package` of that digest, where there is one.
    #[new]
    #[pyo3(signature = (source, name, policy, limits, settings, arguments=Vec::new(), entry=None, package=None))]
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "the fields of one call, which Python names and pyo3 extracts by value"
    )]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        name: String,
        policy: &Policy,
        limits: &Limits,
        settings: &[u8],
        arguments: Vec<String>,
        entry: Option<String>,
        package: Option<String>,
    ) -> PyResult<Self> {
        let settings = settings::read(settings).map_err(|error| raise(py, error))?;
        let granted = limits.inner.clone();
        if source.is_none() {
            let inner = through(py, || EdgeApplication::of_files(granted, settings))?;
            return Ok(Self {
                inner: Arc::new(inner),
            });
        }
        let start = Start { arguments, entry };
        let source = match source.cast::<PyBytes>() {
            Ok(bytes) => Source::Bytes {
                bytes: bytes.as_bytes().to_vec(),
                name: name.clone(),
            },
            Err(_) => Source::Path(source.extract::<PathBuf>()?),
        };
        let wanted = Wanted {
            // Fuel costs each instruction something, so it is counted where it is limited.
            mode: if limits.inner.fuel.is_some() {
                Mode::Metered
            } else {
                Mode::Interruptible
            },
            stack: limits.inner.stack,
            pooled: Some(Pool::Requests),
            prepared: true,
            target: None,
            name,
            precompiled: false,
        };
        let policy = policy.inner.clone();
        let application = with_program(py, source, wanted, &limits.inner, |program, options| {
            EdgeApplication::new(
                program,
                |program| alone(program, options),
                policy,
                granted,
                settings,
                start,
                package.as_deref(),
            )
        })?;
        Ok(Self {
            inner: Arc::new(application),
        })
    }

    /// An application of this process itself, which listens at `path`.
    #[staticmethod]
    fn neighbour(py: Python<'_>, path: PathBuf, limits: &Limits, settings: &[u8]) -> PyResult<Self> {
        let settings = settings::read(settings).map_err(|error| raise(py, error))?;
        let inner = EdgeApplication::of_neighbour(path, limits.inner.clone(), settings);
        Ok(Self {
            inner: Arc::new(inner.map_err(|error| raise(py, error))?),
        })
    }
}

/// The one module of a component, where that is all there is to it; else it is served as it is.
fn alone(program: &Program, options: &LoadOptions<'_>) -> Option<Alone> {
    let apart = prepared::apart(&program.bytes().ok()?, HANDLER, "handle").ok()?;
    let takes: Vec<_> = apart.takes.iter().map(|item| item.name.as_str()).collect();
    let lean =
        |interface: &str| interface.starts_with("wasi:http/types@0.2.") || interface.starts_with("wasi:io/");
    let known = |import: &Import| match &import.means {
        Meaning::Calls(item) | Meaning::Drops(item) => lean(&item.interface),
    };
    if takes != ["incoming-request", "response-outparam"] || !apart.imports.iter().all(known) {
        return None;
    }
    let images = apart.images.into_iter().map(|image| Image {
        memory: image.memory,
        pages: image.pages,
        bytes: image.bytes,
    });
    let images: Vec<_> = images.collect();
    let program = load_restored(apart.module, program.name.clone(), &images, options).ok()?;
    let imports = apart.imports.into_iter().map(|import| {
        let drops = matches!(import.means, Meaning::Drops(_));
        let (Meaning::Calls(item) | Meaning::Drops(item)) = import.means;
        Imported {
            module: import.module,
            name: import.name,
            interface: item.interface,
            item: item.name,
            drops,
        }
    });
    Some(Alone {
        program,
        imports: imports.collect(),
        handle: apart.function,
        memory: apart.memory,
        realloc: apart.realloc,
        initialize: apart.initialize,
        globals: apart.globals,
    })
}

/// A server that runs. Private: `wherry.edge.Server` wraps it.
#[pyclass(frozen, module = "wherry._native")]
pub struct Server {
    server: EdgeServer,
}

#[pymethods]
impl Server {
    /// Serves applications; `settings` are `wherry.edge.settings.ServerSettings` as JSON.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts lists by value")]
    fn new(py: Python<'_>, applications: Vec<PyRef<'_, Application>>, settings: &[u8]) -> PyResult<Self> {
        let settings = settings::read(settings).map_err(|error| raise(py, error))?;
        let applications = inner(&applications);
        let server = through(py, || EdgeServer::start(applications, &settings))?;
        Ok(Self { server })
    }

    /// Serves applications to those that [`Server::connect`] lets in, and listens nowhere.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts lists by value")]
    fn within(py: Python<'_>, applications: Vec<PyRef<'_, Application>>, settings: &[u8]) -> PyResult<Self> {
        let settings = settings::read(settings).map_err(|error| raise(py, error))?;
        let applications = inner(&applications);
        let server = through(py, || EdgeServer::within(applications, &settings))?;
        Ok(Self { server })
    }

    /// The descriptor of a connection to it, which is the caller's to close, for the client at `address` and `port`.
    fn connect(&self, py: Python<'_>, address: IpAddr, port: u16) -> PyResult<i32> {
        let connection = self.server.connect((address, port).into());
        Ok(connection.map_err(|error| raise(py, error))?.into_raw_fd())
    }

    /// Serves these from the next request on.
    #[expect(clippy::needless_pass_by_value, reason = "pyo3 extracts lists by value")]
    fn replace(&self, py: Python<'_>, applications: Vec<PyRef<'_, Application>>) -> PyResult<()> {
        let applications = inner(&applications);
        through(py, || self.server.replace(applications))
    }

    /// Where it listens, as host and port.
    fn address(&self) -> (String, u16) {
        let address = self.server.address();
        (address.ip().to_string(), address.port())
    }

    /// Whether guests of the application of that name get the lean host, which has HTTP and nothing else.
    fn is_lean(&self, application: &str) -> bool {
        self.find(application).is_some_and(|found| found.is_lean())
    }

    /// What was counted of the memories of its guests, where the application of that name was prepared.
    fn restored(&self, application: &str) -> Option<BTreeMap<&'static str, u64>> {
        let counts = self.find(application)?.restored()?;
        Some(BTreeMap::from([
            ("made", counts.made),
            ("reset", counts.reset),
            ("rewound", counts.rewound),
            ("asked", counts.asked),
            ("given_back", counts.given_back),
            ("lost", counts.lost),
            ("different", counts.different),
            ("waiting", counts.waiting),
            ("kept", counts.kept),
        ]))
    }

    /// Why the application of that name was not prepared.
    fn plain(&self, application: &str) -> Option<String> {
        self.find(application)?.plain().map(str::to_owned)
    }

    /// Whether guests of the application of that name are one module, without what makes it a component.
    fn is_direct(&self, application: &str) -> bool {
        self.find(application).is_some_and(|found| found.is_direct())
    }

    /// Takes no more connections, and waits for what runs for up to so many seconds; says whether all came to its end.
    fn stop(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
        through(py, || Ok(self.server.stop(time)))
    }

    /// Connections that it accepted.
    fn connections(&self) -> u64 {
        self.server.statistics().connections.load(Ordering::Relaxed)
    }

    /// The counters of each application that there was, by its name and theirs; those of no application are under no name.
    fn counters(&self) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
        self.server.counters()
    }

    /// Where who watches asks, as host and port.
    fn admin(&self) -> Option<(String, u16)> {
        let address = self.server.admin()?;
        Some((address.ip().to_string(), address.port()))
    }

    /// Opens the files of its logs anew.
    fn reopen(&self, py: Python<'_>) -> PyResult<()> {
        through(py, || self.server.reopen())
    }

    /// Notes that what is served could not be loaded again.
    fn note_stale(&self) {
        self.server.note_stale();
    }

    /// What went wrong since this was asked last, each with the number of its request and a hint; waits up to so many seconds.
    fn failures(&self, py: Python<'_>, seconds: f64) -> PyResult<Vec<(String, Option<String>)>> {
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let told = through(py, || Ok(self.server.statistics().failures(wait)))?;
        Ok(told.into_iter().map(|told| (told.words, told.hint)).collect())
    }
}

impl Server {
    fn find(&self, name: &str) -> Option<Arc<EdgeApplication>> {
        let served = self.server.applications();
        served
            .into_iter()
            .find(|application| application.settings().name == name)
    }
}

fn inner(applications: &[PyRef<'_, Application>]) -> Vec<Arc<EdgeApplication>> {
    applications
        .iter()
        .map(|application| Arc::clone(&application.inner))
        .collect()
}
