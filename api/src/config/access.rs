//! `[access]` and `[audit]`: who may what, and what is kept of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::values::Span;
use crate::access::{ClientSecret, Grant, NewKey, OidcSettings, Rights, read_private_file};
use crate::http::{ClientCertificates, TlsSettings};

/// `[access]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSection {
    /// A file with a key as `riskgrid keys new` prints it: that of the first admin. Read only while there never was a key.
    /// Default none.
    pub first_key_file: Option<PathBuf>,
    /// What requests without a credential are: `none`, or `public`, which sees what is published. Default `none`.
    pub anonymous: Anonymous,
    /// `[[access.certificates]]`: whom certificates of clients let in.
    pub certificates: Vec<CertificateSettings>,
    /// `[access.oidc]`: the issuer whose tokens let in.
    pub oidc: OidcSection,
    /// `[access.public]`: what `public` gets.
    pub public: PublicSection,
}

/// `[[access.certificates]]`: whoever shows a certificate with this name, from an authority of `server.tls.client_ca`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateSettings {
    /// The name, exactly: `dns:gateway.example` or `uri:spiffe://city/gateway`.
    pub san: String,
    /// What it may read and do, as of a key.
    pub role: Option<String>,
    /// It may bring events. Default false.
    pub ingest: bool,
    /// The layers that it reads. Default all.
    pub layers: Option<Vec<String>>,
    /// The areas. Default all.
    pub areas: Option<Vec<String>>,
    /// What it does at the hotline. Default nothing.
    pub duties: Option<Vec<String>>,
    /// For which offices. Default all.
    pub offices: Option<Vec<String>>,
    /// Beginnings of the `source` of events that it may bring. Default any.
    pub sources: Option<Vec<String>>,
}

impl CertificateSettings {
    /// The name and what it gives.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn grant(&self) -> Result<(String, Grant), ConfigError> {
        let what = format!("access.certificates` of `{}", self.san);
        if !(self.san.starts_with("dns:") || self.san.starts_with("uri:")) || self.san.len() <= 4 {
            return Err(ConfigError::Value(format!(
                "`{what}`: `san` must be written as dns:gateway.example or uri:spiffe://city/gateway"
            )));
        }
        let asked = NewKey {
            role: self.role.clone(),
            ingest: Some(self.ingest),
            layers: self.layers.clone(),
            areas: self.areas.clone(),
            duties: self.duties.clone(),
            offices: self.offices.clone(),
            sources: self.sources.clone(),
            ..NewKey::default()
        };
        Ok((self.san.clone(), given(&what, asked)?))
    }
}

/// `[access.oidc]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSection {
    /// The issuer, as its discovery document names itself. Default none (empty).
    pub issuer: String,
    /// What `aud` of its tokens must hold one of.
    pub audience: Vec<String>,
    /// What the issuer calls us, when browsers sign in by it. Default none (empty): they sign in with keys.
    pub client_id: String,
    /// A file that holds the secret of that client, and nothing else. Default none: a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Where in the claims the roles are: a JSON pointer to a text or a list. Default `/roles`.
    pub roles_claim: String,
    /// Where the name is by which people know somebody: a JSON pointer to a text. Default none (empty): pages show the subject.
    pub name_claim: String,
    /// `[[access.oidc.map]]`: what roles give; the first that a token has counts alone.
    pub map: Vec<OidcMapSettings>,
}

impl Default for OidcSection {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: Vec::new(),
            client_id: String::new(),
            client_secret_file: None,
            roles_claim: "/roles".to_owned(),
            name_claim: String::new(),
            map: Vec::new(),
        }
    }
}

/// `[[access.oidc.map]]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcMapSettings {
    /// What is in the claim.
    pub value: String,
    /// What it may read and do, as of a key.
    pub role: Option<String>,
    /// It may bring events. Default false.
    pub ingest: bool,
    /// The layers that it reads. Default all.
    pub layers: Option<Vec<String>>,
    /// The areas. Default all.
    pub areas: Option<Vec<String>>,
    /// What it does at the hotline. Default nothing.
    pub duties: Option<Vec<String>>,
    /// For which offices. Default all.
    pub offices: Option<Vec<String>>,
}

impl OidcSection {
    /// The settings, if there is an issuer; `folder` is what a relative path begins from.
    ///
    /// # Errors
    /// What of it cannot be.
    pub fn settings(&self, folder: &Path) -> Result<Option<OidcSettings>, ConfigError> {
        if self.issuer.is_empty() {
            return Ok(None);
        }
        if self.audience.is_empty() || self.map.is_empty() {
            return Err(ConfigError::Value(
                "`access.oidc` has an issuer: set `audience`, which its tokens must be for, and at least one \
                 [[access.oidc.map]], or nobody is let in by it"
                    .to_owned(),
            ));
        }
        if self.audience.contains(&self.client_id) {
            return Err(ConfigError::Value(
                "`access.oidc.audience` has the `client_id`: then an ID token, which any page of that client gets, would do for \
                 everything; give the API an audience of its own"
                    .to_owned(),
            ));
        }
        let map = self.map.iter().map(|entry| {
            let what = format!("access.oidc.map` of `{}", entry.value);
            let asked = NewKey {
                role: entry.role.clone(),
                ingest: Some(entry.ingest),
                layers: entry.layers.clone(),
                areas: entry.areas.clone(),
                duties: entry.duties.clone(),
                offices: entry.offices.clone(),
                ..NewKey::default()
            };
            given(&what, asked).map(|grant| (entry.value.clone(), grant))
        });
        let read = |file: &PathBuf| read_private_file(&folder.join(file));
        let secret = self.client_secret_file.as_ref().map(read).transpose();
        let secret = secret.map_err(|error| ConfigError::of("`access.oidc.client_secret_file`", error))?;
        Ok(Some(OidcSettings {
            issuer: self.issuer.clone(),
            audiences: self.audience.clone(),
            client_id: self.client_id.clone(),
            client_secret: secret.map(|text| ClientSecret::new(text.trim().to_owned())),
            roles_claim: self.roles_claim.clone(),
            name_claim: self.name_claim.clone(),
            map: map.collect::<Result<_, _>>()?,
        }))
    }
}

/// What an entry gives, of which a key could be made.
fn given(what: &str, asked: NewKey) -> Result<Grant, ConfigError> {
    let what = format!("`{what}`");
    let asked = NewKey {
        name: Some("an entry".to_owned()),
        ..asked
    };
    match asked
        .check()
        .map_err(|unfit| ConfigError::of(&what, unfit))?
        .rights
    {
        Rights::Given(grant) => Ok(grant),
        Rights::Of { .. } => Err(ConfigError::Value(format!("{what}: it replaces no key"))),
    }
}

/// What requests without a credential are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Refused.
    #[default]
    None,
    /// Those of the role `public`.
    Public,
}

/// `[access.public]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicSection {
    /// Events that a cell needs to be shown, in one step; at least 3. Default 5.
    pub k: u64,
    /// Sources that it needs: bits of the bitmap of distinct sources. Default 3.
    pub min_sources: u32,
    /// How long after its end a step is waited for before it is published. Default `15m`.
    pub delay: Span,
    /// `public` may ask in SQL; it learns no more by it. Default false.
    pub sql: bool,
    /// Pages of any origin may read what requests without a credential are answered. Default false.
    pub cors: bool,
}

impl Default for PublicSection {
    fn default() -> Self {
        Self {
            k: 5,
            min_sources: 3,
            delay: Span::seconds(15 * 60),
            sql: false,
            cors: false,
        }
    }
}

/// `[server.tls]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// PEM file of the certificate and those up to its authority. Looked at anew every minute and on SIGHUP. Default none: no
    /// TLS.
    pub cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// PEM file of the authorities that vouch for clients.
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate: `none`, `optional`, `required`. Default `none`.
    pub client_auth: ClientAuth,
}

impl TlsSection {
    /// Whether this server speaks TLS.
    pub const fn is_on(&self) -> bool {
        self.cert.is_some()
    }

    /// What TLS needs; none when there is to be none. Relative paths begin at `folder`.
    ///
    /// # Errors
    /// Half of it is there.
    pub fn settings(&self, folder: &Path) -> Result<Option<TlsSettings>, ConfigError> {
        let (chain, key) = match (&self.cert, &self.key) {
            (Some(chain), Some(key)) => (folder.join(chain), folder.join(key)),
            (None, None) if self.client_auth == ClientAuth::None => return Ok(None),
            _ => {
                return Err(ConfigError::Value(
                    "`server.tls`: cert and key go together; set both, or neither".to_owned(),
                ));
            }
        };
        let clients = match (self.client_auth, &self.client_ca) {
            (ClientAuth::None, _) => None,
            (asked, Some(file)) => Some(ClientCertificates {
                authorities: folder.join(file),
                must_show_one: asked == ClientAuth::Required,
            }),
            (_, None) => {
                return Err(ConfigError::Value(
                    "`server.tls`: client_auth asks clients for certificates; client_ca must name the file of their authority"
                        .to_owned(),
                ));
            }
        };
        Ok(Some(TlsSettings { chain, key, clients }))
    }
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not.
    #[default]
    None,
    /// They may show one.
    Optional,
    /// They must.
    Required,
}

/// `[audit]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// How long rows are kept; whole days of UTC are trimmed. Default `400d`.
    pub keep: Span,
    /// Each question in SQL is a row, with its statement. Default false.
    pub queries: bool,
}

impl Default for AuditSection {
    fn default() -> Self {
        Self {
            keep: Span::seconds(400 * 24 * 3600),
            queries: false,
        }
    }
}
