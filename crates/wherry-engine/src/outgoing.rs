//! Who hears of the requests that a guest sends; and how programs around the engine send their own.

use crate::network;
use http::StatusCode;
use http::request::Parts;
use std::sync::Arc;

/// Is told how a request ended: the status of its answer, or the name of an error. It is dropped when nobody waits any more.
pub type Sent = Box<dyn FnOnce(Result<StatusCode, String>) + Send>;

/// Hears of requests.
pub trait Outgoing: Send + Sync {
    /// A guest wants to send a request, to which fields may be added; whether it is granted comes out at its end.
    fn sends(self: Arc<Self>, request: &mut Parts) -> Sent;
}

/// How HTTP/1.1 is spoken with servers that the system trusts; `None` when the ciphers cannot be set up.
#[must_use]
pub fn tls() -> Option<Arc<rustls::ClientConfig>> {
    let mut config = network::tls::config().ok()?.as_ref().clone();
    config.alpn_protocols.clear();
    Some(Arc::new(config))
}
