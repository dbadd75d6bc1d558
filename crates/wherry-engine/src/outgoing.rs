//! Who hears of the requests that a guest sends, and may answer them; and how programs around the engine send their own.

use crate::network;
pub use crate::network::pool::Pool;
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use std::pin::Pin;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, WasiBody};

/// Is told how a request ended: the status of its answer, or the name of an error. It is dropped when nobody waits any more.
pub type Sent = Box<dyn FnOnce(Result<StatusCode, String>) + Send>;

/// An answer on its way. Who drops it wants none any more.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

/// Answers a request in this process.
pub type Nearby = Box<dyn FnOnce(Request<WasiBody>) -> Answering + Send>;

/// Hears of requests.
pub trait Outgoing: Send + Sync {
    /// A guest wants to send a request, to which fields may be added; whether it is granted comes out at its end. Nobody is told
    /// of it where there is nothing.
    fn sends(self: Arc<Self>, request: &mut Parts) -> Option<Sent>;

    /// Who answers a granted request for this URL without the network, if anybody does.
    fn nearby(&self, uri: &Uri) -> Option<Nearby>;
}

/// How HTTP/1.1 is spoken with servers that the system trusts; `None` when the ciphers cannot be set up.
#[must_use]
pub fn tls() -> Option<Arc<rustls::ClientConfig>> {
    let mut config = network::tls::config().ok()?.as_ref().clone();
    config.alpn_protocols.clear();
    Some(Arc::new(config))
}
