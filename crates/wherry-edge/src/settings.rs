//! What a server and its applications are told, as Python's `wherry.edge.settings` has it: the fields are the same, and cross as JSON.

use crate::observe::proxies::Family;
use crate::observe::settings::{GuestLog, Log, Traces, ranges};
use crate::tls::Files;
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use wherry_engine::error::{Error, Kind, Result};
use wherry_engine::limits::{duration, or_none, size};

/// What an application is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ApplicationSettings {
    /// What logs and counters call it.
    pub name: String,
    /// The requests that are for it: see [`crate::routing`].
    pub routes: Vec<String>,
    /// Whether who runs the server said so, and not its own manifest.
    #[serde(default)]
    pub routes_said: bool,
    /// Bytes in the body of a request.
    #[serde(deserialize_with = "bytes")]
    pub max_request: u64,
    /// Bytes in the body of an answer of a guest.
    #[serde(deserialize_with = "bytes_or_none")]
    pub max_response: Option<u64>,
    /// Requests that are answered at once.
    pub concurrency: usize,
    /// Requests that wait for that.
    pub queue: usize,
    /// How long they wait.
    #[serde(deserialize_with = "time")]
    pub wait: Duration,
    /// Requests that one instance answers, of which the later ones can see what the earlier ones left; one where nothing is said.
    pub reuse: Option<NonZeroU32>,
    /// Of those, how many at once; one after the other where nothing is said.
    pub instance_concurrency: Option<NonZeroU32>,
    /// The folder whose files are looked for before a guest is made.
    pub r#static: Option<PathBuf>,
    /// Whether answers are compressed for clients that take it.
    pub compress: bool,
}

impl ApplicationSettings {
    /// How many requests one instance answers, and how many of them at once.
    #[must_use]
    pub fn reuse(&self) -> Reuse {
        Reuse {
            most: self.reuse.map_or(1, NonZeroU32::get),
            at_once: self.instance_concurrency.map_or(1, NonZeroU32::get),
        }
    }
}

/// How instances are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// Requests that one answers.
    pub most: u32,
    /// Of those, how many at once.
    pub at_once: u32,
}

/// What a server is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerSettings {
    /// Where it listens; port 0 is one of the system's choice.
    #[serde(deserialize_with = "listening")]
    pub address: SocketAddr,
    /// Requests that are answered at once, those of all applications together.
    pub total_concurrency: usize,
    /// How many requests of guests to applications beside them one request leads to, each from the answer to the one before.
    pub call_depth: u32,
    /// Whether answers name the server.
    pub server_header: bool,
    /// Whether errors of guests are shown to their clients.
    pub dev: bool,
    /// Certificates and their keys; none for a server without TLS.
    pub tls: Vec<Files>,
    /// How long the handshake of TLS may take.
    #[serde(deserialize_with = "time")]
    pub handshake_time: Duration,
    /// How long the head of a request may take.
    #[serde(deserialize_with = "time")]
    pub head_time: Duration,
    /// How long a client may say nothing between two requests.
    #[serde(deserialize_with = "time")]
    pub idle_time: Duration,
    /// How long a guest may have to wait for the body of its request.
    #[serde(deserialize_with = "time")]
    pub body_time: Duration,
    /// Bytes of it in a second that make that time longer.
    #[serde(deserialize_with = "bytes")]
    pub body_rate: u64,
    /// How long a client may take in nothing of its answer.
    #[serde(deserialize_with = "time")]
    pub write_time: Duration,
    /// The access log; none unless it is asked for.
    pub log: Option<Log>,
    /// The log of what guests print.
    pub guest_log: GuestLog,
    /// Where traces go; nowhere unless it is said.
    pub traces: Option<Traces>,
    /// The proxies that are believed.
    #[serde(deserialize_with = "ranges")]
    pub trusted_proxies: Vec<IpNet>,
    /// Which fields they write.
    pub forwarded: Family,
    /// Where who watches asks; nowhere unless it is said.
    #[serde(deserialize_with = "listening_or_not")]
    pub admin: Option<SocketAddr>,
}

/// Reads settings.
///
/// # Errors
/// [`Kind::Usage`] that says which of them is wrong, and how.
pub fn read<Settings: DeserializeOwned>(json: &[u8]) -> Result<Settings> {
    // By way of a value, as errors would speak of lines and columns of the text that nobody wrote.
    let value: serde_json::Value = serde_json::from_slice(json)
        .map_err(|error| Error::new(Kind::Usage, format!("settings are no JSON: {error}")))?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.into_inner().to_string());
        let (message, hint) = inner.split_once('\n').unwrap_or((&inner, ""));
        let error = Error::new(Kind::Usage, format!("{path}: {message}"));
        if hint.is_empty() {
            error
        } else {
            error.with_hint(hint)
        }
    })
}

/// An error as serde carries it: its hint on a line of its own.
fn carried<E: serde::de::Error>(error: &Error) -> E {
    E::custom(format!(
        "{}\n{}",
        error.message(),
        error.hint().unwrap_or_default()
    ))
}

/// Bytes as people write them.
pub(crate) fn bytes<'de, D, N>(deserializer: D) -> std::result::Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    size(&String::deserialize(deserializer)?).map_err(|error| carried(&error))
}

fn bytes_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    or_none(&String::deserialize(deserializer)?, size).map_err(|error| carried(&error))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    duration(&String::deserialize(deserializer)?).map_err(|error| carried(&error))
}

fn listening<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<SocketAddr, D::Error> {
    address(&String::deserialize(deserializer)?)
}

fn listening_or_not<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<SocketAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| address(&text)).transpose()
}

/// An address to listen at, which is a number and no name.
fn address<E: serde::de::Error>(text: &str) -> std::result::Result<SocketAddr, E> {
    let named = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| {
        let hint = "such as `127.0.0.1:8080`, `[::1]:8080`, or `0.0.0.0:80` for all of this machine";
        let error = Error::new(Kind::Usage, format!("`{text}` is no address to listen at"));
        carried(&error.with_hint(hint))
    })
}
