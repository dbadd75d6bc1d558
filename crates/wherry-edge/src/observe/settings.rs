//! What a server is told of how it is watched, as Python's `wherry.edge.settings` has it.

use crate::observe::{access, guests};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The access log.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Log {
    /// A path, or `-` for standard output.
    pub file: String,
    /// How it is written.
    pub format: access::Format,
    /// The part of the requests that it has, besides all that went wrong.
    #[serde(deserialize_with = "part")]
    pub sample: f64,
}

/// The log of what guests print.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuestLog {
    /// A path, or `-` for standard output; without one it is standard error.
    pub file: Option<String>,
    /// How it is written.
    pub format: guests::Format,
    /// The most bytes for one request.
    #[serde(deserialize_with = "crate::settings::bytes")]
    pub limit: usize,
}

/// Where traces go.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Traces {
    /// The URL of a collector.
    pub endpoint: String,
    /// The part of the requests that is recorded, of those that come without a trace.
    #[serde(deserialize_with = "part")]
    pub sample: f64,
    /// What the server is called there.
    pub service: String,
    /// Fields that the collector wants to see.
    pub headers: BTreeMap<String, String>,
}

/// A part of all, from 0 to 1.
fn part<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let part = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&part) {
        return Ok(part);
    }
    let message = format!("{part} is no part of the requests\na number from 0 for none to 1 for all of them");
    Err(de::Error::custom(message))
}

/// Ranges of addresses; an address alone is a range of one.
///
/// # Errors
/// That one is no range.
pub fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let range = |text: &String| {
        let alone = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| {
            let hint = "such as `10.0.0.0/8`, `192.0.2.7` or `fd00::/8`";
            de::Error::custom(format!("`{text}` is no range of addresses\n{hint}"))
        })
    };
    texts.iter().map(range).collect()
}
