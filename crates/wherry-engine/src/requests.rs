//! Outgoing HTTP of guests: as long as nothing can be granted, each request is refused.

use wasmtime_wasi_http::{WasiBody, WasiHttpHooks};

/// Outgoing HTTP as long as nothing can be granted: each request is answered with the interface's own refusal.
pub struct NoRequests;

type Sent = Result<(), wasmtime_wasi_http::Error>;
type Response = (http::Response<WasiBody>, Box<dyn Future<Output = Sent> + Send>);

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<wasmtime_wasi_http::RequestOptions>,
        _processed: Box<dyn Future<Output = Sent> + Send>,
    ) -> Box<dyn Future<Output = Result<Response, wasmtime_wasi_http::Error>> + Send> {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}
