//! TLS for requests. Certificates are verified, always, against those that the system trusts; a guest has no say in it.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` in the environment of Wherry, never of the guest, name other certificates to trust.

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, OnceLock};
use wasmtime_wasi_http::Error;

/// The protocol of HTTP/2 in the handshake (RFC 9113, 3.1).
pub(super) const HTTP_2: &[u8] = b"h2";

/// How all requests of this process are secured: read once, when the first one is.
///
/// # Errors
/// [`Error::ConfigurationError`] when the ciphers cannot be set up.
pub(crate) fn config() -> Result<Arc<ClientConfig>, Error> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // A certificate that cannot be read is not trusted; without any, no server is.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Some(Arc::new(config))
    });
    config.clone().ok_or(Error::ConfigurationError)
}

/// What a failed handshake is called in `wasi:http`.
pub(super) fn failed(error: &std::io::Error) -> Error {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(rustls::Error::AlertReceived(alert)) => Error::TlsAlertReceived {
            alert_id: Some((*alert).into()),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}
