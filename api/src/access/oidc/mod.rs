//! Tokens of an OIDC issuer: who they are of, and what that gives.

mod issuer;
mod jwk;
mod login;
mod token;

use std::sync::Arc;

use serde_json::Value;

use self::issuer::{InvalidIssuer, Issuer, NoAnswer};
pub(super) use self::login::{Logins, NotSignedIn, PATIENCE, is_own_path};
use self::token::{Claims, Expected, Token};
use super::new_key::Grant;

/// Letters of a name.
const LONGEST_NAME: usize = 128;

/// What the configuration says of an issuer.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// Its name, by bytes.
    pub issuer: String,
    /// One of these is in `aud` of tokens for us.
    pub audiences: Vec<String>,
    /// What the issuer calls us, when browsers sign in by it; empty: they do not.
    pub client_id: String,
    /// What shows it that we are that client.
    pub client_secret: Option<ClientSecret>,
    /// Where in the claims the roles are: a JSON pointer to a text or a list.
    pub roles_claim: String,
    /// Where in the claims the name is by which people know somebody: a JSON pointer to a text; empty: nowhere.
    pub name_claim: String,
    /// What they give: the first that is there counts alone.
    pub map: Vec<(String, Grant)>,
}

/// A secret that nothing shows.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// This one.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClientSecret(…)")
    }
}

/// Whom a token is of.
#[derive(Clone, Debug)]
pub(super) struct OfToken {
    /// As the audit names them.
    pub(super) who: String,
    /// As people know them.
    pub(super) name: Option<String>,
    /// What they may.
    pub(super) grant: Grant,
    /// Until when, microseconds since 1970.
    pub(super) ends_at: i64,
}

/// Why a token lets nobody in.
#[derive(Clone, Debug)]
pub(super) enum NotOfToken {
    /// It is not good, or not for us, or not of now.
    Wrong,
    /// It is good, and no entry of the map gives anything.
    NoRole {
        /// As the audit names them.
        who: String,
    },
    /// Its issuer has not answered for too long.
    NoAnswer(NoAnswer),
}

/// Why an issuer cannot be one whose tokens let in.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOidc {
    /// Its address.
    #[error("`access.oidc.issuer`: {0}")]
    Issuer(#[from] InvalidIssuer),
    /// Where something is in its tokens.
    #[error("`access.oidc.{key}` is `{claim}`; it must be a JSON pointer such as /roles or /name")]
    Claim {
        /// The key of the configuration.
        key: &'static str,
        /// As it is written.
        claim: String,
    },
}

/// Judges the tokens of an issuer.
pub(super) struct Oidc {
    settings: OidcSettings,
    issuer: Arc<Issuer>,
}

impl Oidc {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// What of the settings cannot be.
    pub(super) fn new(settings: OidcSettings) -> Result<Self, InvalidOidc> {
        let issuer = Issuer::new(&settings.issuer)?;
        for (key, claim, is_optional) in [
            ("roles_claim", &settings.roles_claim, false),
            ("name_claim", &settings.name_claim, true),
        ] {
            let is_none = is_optional && claim.is_empty();
            if !is_none && !claim.starts_with('/') {
                return Err(InvalidOidc::Claim {
                    key,
                    claim: claim.clone(),
                });
            }
        }
        Ok(Self {
            settings,
            issuer: Arc::new(issuer),
        })
    }

    /// Asks for the keys now and then, until the runtime ends.
    pub(super) fn keep_asking(&self) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.issuer).keep_asking()
    }

    /// Whom a token is of, at `now` in microseconds since 1970.
    pub(super) async fn judge(&self, text: &str, now: i64) -> Result<OfToken, NotOfToken> {
        let token = Token::parse(text).ok_or(NotOfToken::Wrong)?;
        let keys = self.issuer.keys_for(&token).await;
        let keys = keys.map_err(NotOfToken::NoAnswer)?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            audiences: &self.settings.audiences,
            now: now.div_euclid(1_000_000),
        };
        let claims = match token.verify(&keys, &expected) {
            // One that names no key may be of one that is new.
            None if token.key_id.is_none() => {
                let keys = self.issuer.keys_asked_anew().await;
                keys.and_then(|keys| token.verify(&keys, &expected))
            }
            claims => claims,
        };
        let claims = claims.ok_or(NotOfToken::Wrong)?;
        self.given_to(&claims)
    }

    /// Whether browsers sign in by it.
    pub(super) fn signs_browsers_in(&self) -> bool {
        !self.settings.client_id.is_empty()
    }

    fn given_to(&self, claims: &Claims) -> Result<OfToken, NotOfToken> {
        let who = format!("oidc:{}#{}", self.settings.issuer, claims.subject);
        let roles = claims.all.pointer(&self.settings.roles_claim);
        let Some(grant) = self.grant_of(roles) else {
            return Err(NotOfToken::NoRole { who });
        };
        Ok(OfToken {
            who,
            name: self.name_of(&claims.all),
            grant,
            ends_at: claims.ends_at.saturating_mul(1_000_000),
        })
    }

    /// The name that people know; what is on one line, and no longer than a name.
    fn name_of(&self, claims: &Value) -> Option<String> {
        let claim = Some(self.settings.name_claim.as_str()).filter(|claim| !claim.is_empty())?;
        let name = claims.pointer(claim)?.as_str()?.trim();
        let shown: String = name
            .chars()
            .filter(|letter| !letter.is_control())
            .take(LONGEST_NAME)
            .collect();
        (!shown.is_empty()).then_some(shown)
    }

    fn grant_of(&self, roles: Option<&Value>) -> Option<Grant> {
        let has = |wanted: &str| match roles {
            Some(Value::String(role)) => role == wanted,
            Some(Value::Array(all)) => all.iter().any(|role| role.as_str() == Some(wanted)),
            _ => false,
        };
        let first = self.settings.map.iter().find(|(value, _)| has(value));
        first.map(|(_, grant)| grant.clone())
    }
}

#[cfg(test)]
mod tests {
    use riskgrid_analytics::permission::Role;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_entry_that_is_among_the_roles_counts_alone() {
        // Without a provider of TLS no client can be built.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let grant = |role| Grant {
            role: Some(role),
            ..Grant::of_an_admin()
        };
        let oidc = Oidc::new(OidcSettings {
            issuer: "https://issuer.example".to_owned(),
            audiences: vec!["riskgrid".to_owned()],
            client_id: String::new(),
            client_secret: None,
            roles_claim: "/roles".to_owned(),
            name_claim: "/name".to_owned(),
            map: vec![
                ("duty".to_owned(), grant(Role::Operator)),
                ("staff".to_owned(), grant(Role::Analyst)),
            ],
        });
        let oidc = match oidc {
            Ok(oidc) => oidc,
            Err(why) => panic!("{why}"),
        };
        let role = |roles: Value| oidc.grant_of(Some(&roles)).and_then(|grant| grant.role);
        assert_eq!(role(json!(["staff", "duty"])), Some(Role::Operator));
        assert_eq!(role(json!("staff")), Some(Role::Analyst));
        assert_eq!(role(json!("duty staff")), None);
        assert_eq!(role(json!([])), None);
        assert!(oidc.grant_of(None).is_none());
        let name = |claims: Value| oidc.name_of(&claims);
        assert_eq!(
            name(json!({"name": " Ann\u{7} Lee "})),
            Some("Ann Lee".to_owned())
        );
        assert_eq!(
            (
                name(json!({"name": 7})),
                name(json!({"name": " "})),
                name(json!({}))
            ),
            (None, None, None)
        );
        assert_eq!(
            name(json!({"name": "n".repeat(500)})).map(|name| name.len()),
            Some(LONGEST_NAME)
        );
    }
}
