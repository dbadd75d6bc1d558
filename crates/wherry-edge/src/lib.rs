//! The HTTP data plane: a server that gives each request a fresh sandbox.
//!
//! An [`application::Application`] is a program that answers requests, with what it was granted; a [`server::Server`] is a
//! listener in front of several, which a [`routing::Table`] chooses from. A request goes from `server` to `service`, which checks
//! it and asks for room, to `application`, which makes its guest, and `running`, which drives that guest inside the
//! connection's task. Nothing here knows Python, or prints: what failed is kept for who asks.

// What a guest may reach is deep inside the futures that run it: connections, their pool, and what looks names up for them.
#![recursion_limit = "256"]

mod admission;
pub mod application;
mod arriving;
mod body;
mod calls;
pub mod cgi;
mod compression;
mod connection;
mod development;
mod exchange;
pub mod files;
mod full;
mod gate;
mod head;
mod lean;
mod neighbour;
pub mod observe;
mod pool;
mod pump;
mod refusal;
pub mod routing;
mod running;
mod sandboxes;
pub mod server;
mod service;
pub mod settings;
pub mod statistics;
mod streams;
mod tasks;
pub mod tls;
mod turns;
