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

use super::validity::ends_at;
use crate::config::{ClientAuth, ConfigError, TlsSection};

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
    fn open(chain: PathBuf, key: PathBuf, now: i64) -> Result<Self, String> {
        let files = read_files(&chain, &key)?;
        let certified = certified(&files, now).map_err(|why| wrong(&chain, &key, &why))?;
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
                tracing::error!(%error, "the certificate is not renewed; the one before is used on");
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
                let error = wrong(&self.chain, &self.key, &why);
                tracing::error!(%error, "the certificate is not renewed; the one before is used on");
            }
        }
        *seen = files;
    }
}

fn read_files(chain: &Path, key: &Path) -> Result<(Vec<u8>, Vec<u8>), String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    Ok((read(chain)?, read(key)?))
}

fn wrong(chain: &Path, key: &Path, why: &str) -> String {
    format!(
        "`server.tls`: {} with {}: {why}; cert holds the certificate and those up to its authority in PEM, key its private key",
        chain.display(),
        key.display()
    )
}

fn certified((chain, key): &(Vec<u8>, Vec<u8>), now: i64) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("no certificate in PEM: {error}"))?;
    let leaf = chain.first().ok_or("there is no certificate")?;
    let end = ends_at(leaf).ok_or("its end of validity cannot be read")?;
    if end < now {
        return Err(format!("it has expired {} s ago", now - end));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("no private key in PEM: {error}"))?;
    let provider = rustls::crypto::ring::default_provider();
    let certified = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| format!("they do not fit each other: {error}"))?;
    Ok(certified)
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// What makes connections speak TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl Tls {
    /// As the configuration says; none when it says nothing. Relative paths begin at `folder`.
    ///
    /// # Errors
    /// Half of it is there, or what is there is not good at `now`, in seconds since 1970.
    pub(crate) fn open(settings: &TlsSection, folder: &Path, now: i64) -> Result<Option<Self>, ConfigError> {
        let (chain, key) = match (&settings.cert, &settings.key) {
            (Some(chain), Some(key)) => (folder.join(chain), folder.join(key)),
            (None, None) if settings.client_auth == ClientAuth::None => return Ok(None),
            _ => {
                return Err(ConfigError(
                    "`server.tls`: cert and key go together; set both, or neither".to_owned(),
                ));
            }
        };
        let certificate = Arc::new(Certificate::open(chain, key, now).map_err(ConfigError)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let wrong = |error: &dyn std::fmt::Display| ConfigError(format!("`server.tls`: {error}"));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| wrong(&error))?;
        let builder = match settings.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            asked => {
                let Some(file) = &settings.client_ca else {
                    return Err(wrong(
                        &"client_auth asks clients for certificates; client_ca must name the file of their authority",
                    ));
                };
                let file = folder.join(file);
                let authorities = authorities(&file).map_err(|why| {
                    ConfigError(format!("`server.tls.client_ca` {}: {why}", file.display()))
                })?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
                let verifier = if asked == ClientAuth::Optional {
                    verifier.allow_unauthenticated()
                } else {
                    verifier
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(&error))?)
            }
        };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&certificate) as _;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Some(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        }))
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

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
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
