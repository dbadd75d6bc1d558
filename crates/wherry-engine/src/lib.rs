//! The engine under Wherry: compile, cache, instantiate, call, limits, WASI, capabilities.
//!
//! Nothing here knows Python, opens a listening socket or prints: stdout and stderr belong to the guest.
//! A program is loaded by [`program::load`]; what a guest may do and use is said by the policy and the
//! limits. Every failure is an [`error::Error`].

#[cfg(not(unix))]
compile_error!(
    "files of guests stand on `openat` and what belongs to it (crates/wherry-engine/src/wasi/files): a system without it \
     needs `beneath`, `acts`, `listing`, `nested`, `single` and `put` written for it; all else has its `cfg` and fallback"
);

pub mod ambient;
pub mod apart;
pub mod arguments;
mod audit;
pub mod bounds;
pub mod cache;
pub mod clock;
pub mod compile;
pub mod compiled;
mod core_values;
pub mod coredump;
pub mod determinism;
pub mod effort;
pub mod environment;
pub mod error;
pub mod exports;
pub mod flags;
pub mod fork;
pub mod guest;
mod heard;
pub mod hints;
pub mod hosting;
mod imports;
pub mod instance;
pub mod interfaces;
mod invoke;
pub mod launch;
mod learn;
pub mod limits;
pub mod linear_memory;
pub mod machine;
pub mod meter;
pub mod mode;
pub mod monitor;
mod nearest;
mod network;
pub mod options;
pub mod outgoing;
pub mod policy;
pub mod profile;
pub mod program;
#[cfg(unix)]
mod readiness;
pub mod receipt;
pub mod recognise;
mod recording;
mod registry;
pub mod restored;
pub mod run;
pub mod sandbox;
pub mod settings;
pub mod shell;
#[cfg(unix)]
mod stdin;
pub mod stdio;
mod stores;
pub mod templates;
pub mod ticker;
mod toml_file;
pub mod trap;
mod validate;
pub mod values;
pub mod verify;
pub mod wasi;
pub mod watch;
pub mod wave;
mod whole_input;
pub mod witness;

pub use error::{Error, Kind, Result};
