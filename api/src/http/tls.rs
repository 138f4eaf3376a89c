//! TLS of this server: one certificate for all that listens, looked at anew while it runs, and the names in those of clients.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls_error::{AuthoritiesError, PairError, TlsError};
use super::validity::ends_at;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// By which a client says that it speaks HTTP/2.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// A certificate with its key, read anew when its files change.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    /// The bytes of both files as they were looked at last, good or not.
    seen: Mutex<(Vec<u8>, Vec<u8>)>,
}

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// The files cannot be read, hold no certificate or key, or do not fit; or the certificate has expired at `now`, in seconds
    /// since 1970.
    fn open(chain: PathBuf, key: PathBuf, now: i64) -> Result<Self, TlsError> {
        let files = read_files(&chain, &key)?;
        let certified = certified(&files, now).map_err(|why| why.of(&chain, &key))?;
        Ok(Self {
            chain,
            key,
            current: ArcSwap::from_pointee(certified),
            seen: Mutex::new(files),
        })
    }

    /// Looks at the files: takes what is new and good, and says so; what is not good is said once and not taken.
    fn look(&self, now: i64) {
        let files = match read_files(&self.chain, &self.key) {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the certificate is not renewed; the one before is used on"
                );
                return;
            }
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == files {
            return;
        }
        match certified(&files, now) {
            Ok(certified) => {
                self.current.store(Arc::new(certified));
                tracing::info!(file = %self.chain.display(), "the certificate is renewed");
            }
            Err(why) => {
                let error = why.of(&self.chain, &self.key);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the certificate is not renewed; the one before is used on"
                );
            }
        }
        *seen = files;
    }
}

fn read_files(chain: &Path, key: &Path) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    Ok((read(chain)?, read(key)?))
}

fn certified((chain, key): &(Vec<u8>, Vec<u8>), now: i64) -> Result<CertifiedKey, PairError> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(PairError::Chain)?;
    let leaf = chain.first().ok_or(PairError::NoCertificate)?;
    let end = ends_at(leaf).ok_or(PairError::NoEnd)?;
    if end < now {
        return Err(PairError::Expired { seconds: now - end });
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(PairError::Key)?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(PairError::Apart)
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// What TLS of this server needs.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM file of the certificate and those up to its authority.
    pub chain: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// How clients are asked for a certificate, if they are.
    pub clients: Option<ClientCertificates>,
}

/// How clients are asked for a certificate.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// PEM file of the authorities that vouch for them.
    pub authorities: PathBuf,
    /// Who shows none is not served.
    pub must_show_one: bool,
}

/// What makes connections speak TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is there is not good at `now`, in seconds since 1970.
    pub(crate) fn open(settings: TlsSettings, now: i64) -> Result<Self, TlsError> {
        let certificate = Arc::new(Certificate::open(settings.chain, settings.key, now)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let builder = match settings.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let authorities = authorities(&clients.authorities)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
                let verifier = if clients.must_show_one {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificate) as _;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    /// Makes a connection speak TLS.
    ///
    /// # Errors
    /// The other side does not, or takes longer than `patience`.
    pub(super) async fn accept<S>(&self, stream: S, patience: Duration) -> io::Result<TlsStream<S>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let deadline = Instant::now() + patience;
        tokio::time::timeout_at(deadline, self.acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Looks at the files of the certificate now and then, and when the process gets SIGHUP, until the runtime ends. `clock`
    /// tells seconds since 1970.
    pub(crate) async fn keep_renewed(self, clock: fn() -> i64) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => Some(hang_up),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP is not heard");
                None
            }
        };
        loop {
            let heard = async {
                match &mut hang_up {
                    Some(hang_up) => hang_up.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = heard => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let certificate = Arc::clone(&self.certificate);
            // Files may be slow.
            if tokio::task::spawn_blocking(move || certificate.look(clock()))
                .await
                .is_err()
            {
                tracing::error!("looking at the certificate panicked");
            }
        }
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let wrong = |source| TlsError::Authorities {
        path: file.to_owned(),
        source,
    };
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.into()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.into()))?;
        store.add(certificate).map_err(|error| wrong(error.into()))?;
    }
    if store.is_empty() {
        return Err(wrong(AuthoritiesError::Empty));
    }
    Ok(store)
}

/// The names in the certificate that a client has shown and that its authority vouches for: `dns:…`, `uri:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientNames(pub(crate) Arc<[String]>);

impl ClientNames {
    /// Those of a connection; none when the client has shown no certificate.
    pub(super) fn of<S>(stream: &TlsStream<S>) -> Option<Self> {
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates()?.first()?;
        let certificate = webpki::EndEntityCert::try_from(leaf).ok()?;
        let dns = certificate.valid_dns_names().map(|name| format!("dns:{name}"));
        let uri = certificate.valid_uri_names().map(|name| format!("uri:{name}"));
        Some(Self(dns.chain(uri).collect()))
    }
}

/// The connection of a request speaks TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// A connection below TLS.
pub(super) type Wire = super::patience::Patient<TcpStream>;
