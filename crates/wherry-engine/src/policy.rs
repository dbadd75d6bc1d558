//! What a run is granted, the same in every place: `--dir data::/in:ro`, `--allow-net example.com:443`.
//!
//! [`Policy::default`] grants no file, no variable, no address and no name lookup; clocks, randomness and stores in memory
//! are there. Each file below this one holds one sort of grant, with the parser of its flag.

mod addresses;
mod ambient;
pub mod beyond;
mod folders;
mod network;
pub mod plain;
mod requests;
mod stores;
pub mod text;
mod variables;

pub use addresses::{canonical, special};
pub use ambient::{Clock, Randomness};
pub use folders::DirGrant;
pub use network::{Host, HostPattern, ListenRule, NetRule, Ports, host, is_local};
pub use requests::{HttpRule, default_port, plain};
pub use stores::{KeyValue, Secret};

use std::net::SocketAddr;

/// What a run is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Folders, in the order they were given; no two share a guest path.
    pub dirs: Vec<DirGrant>,
    /// Environment variables; no name comes twice.
    pub env: Vec<(String, String)>,
    /// The guest path that the guest starts in.
    pub workdir: Option<String>,
    /// Where the guest may connect to by TCP and UDP.
    pub net: Vec<NetRule>,
    /// Where the guest may send HTTP requests to.
    pub http: Vec<HttpRule>,
    /// Where the guest may listen.
    pub listen: Vec<ListenRule>,
    /// The guest may look any name up.
    pub dns: bool,
    /// The server that is asked for addresses of names; the system, where there is none.
    pub resolver: Option<SocketAddr>,
    /// What `wasi:config` answers; no name comes twice.
    pub config: Vec<(String, String)>,
    /// What `wasi:config` answers as well, and nobody else sees.
    pub secrets: Vec<(String, Secret)>,
    /// What `wasi:keyvalue` stands on.
    pub kv: KeyValue,
    /// What was said of the time that the guest sees; [`Policy::clock`] is what holds.
    pub clock: Option<Clock>,
    /// What was said of the randomness that the guest sees; [`Policy::randomness`] is what holds.
    pub random: Option<Randomness>,
    /// The guest sees nothing that differs from one run or machine to the next.
    pub deterministic: bool,
}

impl Policy {
    /// Whether the guest reaches files of the host, which the kernel may hold for as long as it likes.
    #[must_use]
    pub fn reaches_files(&self) -> bool {
        !self.dirs.is_empty() || matches!(self.kv, KeyValue::Sqlite(_))
    }
}
