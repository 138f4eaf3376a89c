//! Why TLS cannot be spoken with what the files hold.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;

/// TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`server.tls`: {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificate and key cannot be used.
    #[error(
        "`server.tls`: {} with {}: {source}; cert holds the certificate and those up to its authority in PEM, key its private key",
        chain.display(), key.display()
    )]
    Pair {
        /// The file of the certificate.
        chain: PathBuf,
        /// That of the key.
        key: PathBuf,
        /// Why.
        source: PairError,
    },
    /// The authorities of clients cannot be used.
    #[error("`server.tls.client_ca` {}: {source}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: AuthoritiesError,
    },
    /// The library refuses.
    #[error("`server.tls`: {0}")]
    Rustls(#[from] rustls::Error),
    /// The library refuses to look at certificates of clients.
    #[error("`server.tls`: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// A certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The file of the certificate is no PEM.
    #[error("no certificate in PEM: {0}")]
    Chain(pem::Error),
    /// It holds none.
    #[error("there is no certificate")]
    NoCertificate,
    /// It does not say until when it holds.
    #[error("its end of validity cannot be read")]
    NoEnd,
    /// It holds no more.
    #[error("it has expired {seconds} s ago")]
    Expired {
        /// Since when.
        seconds: i64,
    },
    /// The file of the key is no PEM.
    #[error("no private key in PEM: {0}")]
    Key(pem::Error),
    /// The key is another's.
    #[error("they do not fit each other: {0}")]
    Apart(rustls::Error),
}

impl PairError {
    pub(super) fn of(self, chain: &Path, key: &Path) -> TlsError {
        TlsError::Pair {
            chain: chain.to_owned(),
            key: key.to_owned(),
            source: self,
        }
    }
}

/// A file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It cannot be read, or is no PEM.
    #[error("{0}")]
    Pem(#[from] pem::Error),
    /// It holds a certificate that vouches for none.
    #[error("{0}")]
    Unfit(#[from] rustls::Error),
    /// It holds none.
    #[error("it holds no certificate in PEM")]
    Empty,
}
