//! The HTTP server, as Python starts and stops it. No Python runs while it answers.

use crate::door::through;
use crate::errors::raise;
use crate::limits::Limits;
use crate::loading::{Wanted, with_program};
use crate::policy::Policy;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wherry_edge::application::Application;
use wherry_edge::server::{Options, Server as EdgeServer};
use wherry_engine::error::{Error, Kind};
use wherry_engine::limits::{duration, size};
use wherry_engine::mode::Mode;
use wherry_engine::program::Source;

/// A server that runs. Private: `wherry.edge.Server` wraps it.
#[pyclass(frozen, module = "wherry._native")]
pub struct Server {
    server: EdgeServer,
}

#[pymethods]
impl Server {
    /// Loads a path, or bytes under a name for messages, and serves it at an address such as `127.0.0.1:8080`.
    #[new]
    #[pyo3(signature = (source, name, policy, limits, address, *, max_request, concurrency, queue, wait, named))]
    #[expect(clippy::too_many_arguments, reason = "each is an option of its own in Python")]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        name: String,
        policy: &Policy,
        limits: &Limits,
        address: &str,
        max_request: &str,
        concurrency: usize,
        queue: usize,
        wait: &str,
        named: bool,
    ) -> PyResult<Self> {
        let source = match source.cast::<PyBytes>() {
            Ok(bytes) => Source::Bytes {
                bytes: bytes.as_bytes().to_vec(),
                name: name.clone(),
            },
            Err(_) => Source::Path(source.extract::<PathBuf>()?),
        };
        let read = || {
            let options = Options {
                address: listening(address)?,
                concurrency: concurrency.max(1),
                queue,
                wait: duration(wait)?,
                named,
            };
            Ok((options, size(max_request)?))
        };
        let (options, max_body) = read().map_err(|error| raise(py, error))?;
        let wanted = Wanted {
            mode: Mode::Interruptible,
            stack: limits.inner.stack,
            pooled: true,
            target: None,
            name,
            precompiled: false,
        };
        let (policy, granted) = (policy.inner.clone(), limits.inner.clone());
        let server = with_program(py, source, wanted, &limits.inner, |program| {
            let application = Application::new(program, policy, granted, max_body)?;
            EdgeServer::start(application, &options)
        })?;
        Ok(Self { server })
    }

    /// Where it listens, as host and port.
    fn address(&self) -> (String, u16) {
        let address = self.server.address();
        (address.ip().to_string(), address.port())
    }

    /// Whether guests get the lean host, which has HTTP and nothing else.
    fn is_lean(&self) -> bool {
        self.server.application().is_lean()
    }

    /// Takes no more connections, and waits for what runs for up to so many seconds; says whether all came to its end.
    fn stop(&self, py: Python<'_>, seconds: f64) -> PyResult<bool> {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4);
        through(py, || Ok(self.server.stop(time)))
    }

    /// Its counters, by name.
    fn statistics(&self) -> BTreeMap<&'static str, u64> {
        let statistics = self.server.statistics();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BTreeMap::from([
            ("connections", read(&statistics.connections)),
            ("requests", read(&statistics.requests)),
            ("active", read(&statistics.active)),
            ("waiting", self.server.waiting() as u64),
            ("busy", read(&statistics.busy)),
            ("refused", read(&statistics.refused)),
            ("failed", read(&statistics.failed)),
            ("late", read(&statistics.late)),
        ])
    }

    /// What went wrong since this was asked last, each with the number of its request; waits up to so many seconds.
    fn failures(&self, py: Python<'_>, seconds: f64) -> PyResult<Vec<String>> {
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        through(py, || Ok(self.server.statistics().failures(wait)))
    }
}

/// An address to listen at, which is a number and no name.
fn listening(text: &str) -> wherry_engine::Result<SocketAddr> {
    let named = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| {
        Error::new(Kind::Usage, format!("`{text}` is no address to listen at"))
            .with_hint("such as `127.0.0.1:8080`, `[::1]:8080`, or `0.0.0.0:80` for all of this machine")
    })
}
