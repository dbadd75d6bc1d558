//! Certificates of the server: read from files, chosen by the name that a client asks for, and read again when they change.
//!
//! What cannot be read is an error at the start, and later changes nothing: the certificates before it are kept.

use arc_swap::ArcSwap;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use wherry_engine::error::{Error, Kind, Result};

/// The protocols of HTTP in the handshake, the better one first: RFC 9113, 3.2 and RFC 7301, 6.
pub const HTTP_2: &[u8] = b"h2";
/// See [`HTTP_2`].
const HTTP_1: &[u8] = b"http/1.1";

/// A certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Files {
    /// The certificate, and those between it and one that clients trust, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// The certificates of a server.
#[derive(Debug)]
pub struct Certificates {
    files: Vec<Files>,
    loaded: ArcSwap<Vec<Arc<CertifiedKey>>>,
    /// What the files were like when they were read.
    seen: Mutex<Vec<Stamp>>,
}

/// By what a changed file is known: where it is, how long it is and when it was written.
type Stamp = Option<(u64, u64, SystemTime)>;

impl Certificates {
    /// Reads certificates; the first one is for clients that name none of them.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a file that is not there, [`Kind::Usage`] for one that holds no certificate or key, or the key
    /// of another certificate.
    pub fn new(files: Vec<Files>) -> Result<Self> {
        let seen = Mutex::new(stamps(&files));
        let loaded = files.iter().map(load).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            files,
            loaded: ArcSwap::from_pointee(loaded),
            seen,
        })
    }

    /// Reads the files again if they have changed; says whether they had.
    ///
    /// # Errors
    /// As for [`Certificates::new`]; then all stays as it was.
    pub fn reload(&self) -> Result<bool> {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        // Also when they cannot be read: that is told once, and not again before they change.
        *seen = now;
        let loaded = self.files.iter().map(load).collect::<Result<Vec<_>>>()?;
        self.loaded.store(Arc::new(loaded));
        Ok(true)
    }
}

impl Certificates {
    /// What there is to say of certificates that clients will not take today.
    #[must_use]
    pub fn untimely(&self) -> Vec<String> {
        let loaded = self.loaded.load();
        let each = self.files.iter().zip(loaded.iter());
        let told = each.filter_map(|(files, key)| {
            let why = untimely(key)?;
            Some(format!(
                "the certificate in `{}` {why}",
                files.certificate.display()
            ))
        });
        told.collect()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.load();
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| loaded.iter().find(|key| is_for(key, &name)));
        named.or_else(|| loaded.first()).cloned()
    }
}

/// How connections are secured.
///
/// # Errors
/// [`Kind::Internal`] when the ciphers cannot be set up.
pub fn configuration(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>> {
    let failed = |error: rustls::Error| Error::new(Kind::Internal, format!("TLS cannot be set up: {error}"));
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(failed)?;
    Ok(Arc::new(config))
}

/// Whether a certificate is for this name.
fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

/// Why a certificate is not for today. It is verified as a client would, which looks at the time first; whom one trusts is not
/// known here.
fn untimely(key: &CertifiedKey) -> Option<&'static str> {
    let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from).ok()?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let verified = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::now(),
        algorithms,
    );
    match verified {
        Err(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some("has expired"),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some("is not valid yet")
            }
            _ => None,
        },
        _ => None,
    }
}

fn stamps(files: &[Files]) -> Vec<Stamp> {
    let paths = files.iter().flat_map(|files| [&files.certificate, &files.key]);
    paths.map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

fn load(files: &Files) -> Result<Arc<CertifiedKey>> {
    let refused = |path: &Path, what: &str, hint: &str| {
        Err(Error::new(Kind::Usage, format!("`{}` {what}", path.display())).with_hint(hint))
    };
    let (certificate, key) = (&files.certificate, &files.key);
    let text = read(certificate)?;
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => chain,
        _ => {
            return refused(
                certificate,
                "holds no certificate",
                "it has `-----BEGIN CERTIFICATE-----`",
            );
        }
    };
    let text = read(key)?;
    let Ok(private) = PrivateKeyDer::from_pem_slice(&text) else {
        let encrypted = text.windows(9).any(|words| words == b"ENCRYPTED");
        return if encrypted {
            refused(
                key,
                "holds a key that is encrypted",
                "`openssl pkey -in KEY -out PLAIN` takes the password off",
            )
        } else {
            refused(key, "holds no key", "it has `-----BEGIN PRIVATE KEY-----`")
        };
    };
    let Ok(signing) = ring::sign::any_supported_type(&private) else {
        return refused(
            key,
            "holds a key that is not supported",
            "ECDSA P-256 or P-384, Ed25519, or RSA from 2048 bits on",
        );
    };
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let what = format!("is not the key of the certificate in `{}`", certificate.display());
            refused(
                key,
                &what,
                "the first certificate of the file has to be the server's own",
            )
        }
        Err(error) => refused(
            certificate,
            &format!("holds a certificate that cannot be read: {error}"),
            "as PEM, of X.509",
        ),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::io(path.display(), &error).with_hint("a certificate and its key are two files in PEM")
    })
}
