//! Signing a browser in by an issuer: the authorization code flow with PKCE (RFC 7636), a state and a nonce.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::issuer::NoAnswer;
use super::token::{Expected, Token};
use super::{NotOfToken, OfToken, Oidc};
use crate::access::key::is_same_hash;
use crate::digest::sha256;

/// How long a browser may take at the issuer.
pub(in crate::access) const PATIENCE: Duration = Duration::from_mins(10);
/// Browsers that are at the issuer at a time.
const MOST: u64 = 10_000;
/// Largest answer with a token.
const LARGEST: usize = 64 << 10;

/// Browsers that are at the issuer.
pub(in crate::access) struct Logins {
    pending: Cache<String, Arc<Pending>>,
}

struct Pending {
    nonce: String,
    verifier: String,
    return_to: String,
    /// SHA-256 of the cookie of the browser that was sent there: no other may come back in its place.
    browser: [u8; 32],
}

/// A browser that is about to be sent to the issuer.
pub(in crate::access) struct Sent {
    /// Where it is sent.
    pub(in crate::access) to: String,
    /// The cookie by which it is known when it comes back.
    pub(in crate::access) cookie: String,
}

/// A browser that came back.
pub(in crate::access) struct Returned {
    /// Who signed in.
    pub(in crate::access) of: OfToken,
    /// The page that it was to see.
    pub(in crate::access) return_to: String,
}

/// Why nobody was signed in.
#[derive(Debug)]
pub(in crate::access) enum NotSignedIn {
    /// It is another browser, or came too late.
    Unknown,
    /// The issuer refuses, in its own word.
    Refused(String),
    /// It does not answer as it should.
    NoAnswer(SignInProblem),
    /// It vouches for somebody to whom nothing is given.
    NoRole {
        /// As the audit names them.
        who: String,
    },
}

/// What is wrong with an issuer's part of a sign-in.
#[derive(Debug, thiserror::Error)]
pub(in crate::access) enum SignInProblem {
    /// It has not answered for too long.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// Its discovery document leaves out where to ask.
    #[error("the issuer names no {0}")]
    NoPlace(&'static str),
    /// This machine has no random numbers.
    #[error(transparent)]
    Random(#[from] getrandom::Error),
    /// Its answer with the token does not come, or breaks off.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// That answer does not end.
    #[error("its answer with the token is too large")]
    TooLarge,
    /// That answer cannot be read.
    #[error(transparent)]
    Unread(#[from] serde_json::Error),
    /// That answer has none.
    #[error("its answer holds no id_token")]
    NoToken,
    /// The token is for another, or not of now.
    #[error("its token is not one for us")]
    WrongToken,
}

impl<T: Into<SignInProblem>> From<T> for NotSignedIn {
    fn from(problem: T) -> Self {
        Self::NoAnswer(problem.into())
    }
}

#[derive(Deserialize)]
struct Answer {
    id_token: Option<String>,
    error: Option<String>,
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether a browser may be sent to this path of ours afterwards: one slash, and then nothing that a browser takes for the name
/// of another server.
pub(in crate::access) fn is_own_path(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && path.len() <= 2_000
        && !path.chars().any(|letter| letter.is_control() || letter == '\\')
}

impl Logins {
    pub(in crate::access) fn new() -> Self {
        Self {
            pending: Cache::builder().max_capacity(MOST).time_to_live(PATIENCE).build(),
        }
    }

    /// Sends a browser to the issuer, which sends it back to `back`.
    pub(in crate::access) async fn send(
        &self,
        oidc: &Oidc,
        back: &str,
        return_to: String,
    ) -> Result<Sent, NotSignedIn> {
        let places = oidc.issuer.places().await?;
        let place = places
            .authorization_endpoint
            .ok_or(SignInProblem::NoPlace("authorization_endpoint"))?;
        let (state, nonce, verifier, cookie) = (random()?, random()?, random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &oidc.settings.client_id)
            .append_pair("redirect_uri", back)
            .append_pair("scope", "openid profile")
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let joint = if place.contains('?') { '&' } else { '?' };
        let pending = Pending {
            nonce,
            verifier,
            return_to,
            browser: sha256(cookie.as_bytes()),
        };
        self.pending.insert(state, Arc::new(pending));
        Ok(Sent {
            to: format!("{place}{joint}{query}"),
            cookie,
        })
    }

    /// Who signed in, when the browser that was sent comes back with a code; `now` in microseconds since 1970.
    pub(in crate::access) async fn receive(
        &self,
        oidc: &Oidc,
        (state, code): (&str, Result<&str, &str>),
        cookie: &str,
        back: &str,
        now: i64,
    ) -> Result<Returned, NotSignedIn> {
        // Once only, whatever becomes of it.
        let pending = self.pending.remove(state).ok_or(NotSignedIn::Unknown)?;
        if !is_same_hash(&pending.browser, &sha256(cookie.as_bytes())) {
            return Err(NotSignedIn::Unknown);
        }
        let code = code.map_err(|error| NotSignedIn::Refused(error.chars().take(80).collect()))?;
        let text = oidc.id_token(code, &pending.verifier, back).await?;
        let of = oidc
            .judge_id_token(&text, &pending.nonce, now)
            .await
            .map_err(|why| match why {
                NotOfToken::Wrong => SignInProblem::WrongToken.into(),
                NotOfToken::NoAnswer(why) => why.into(),
                NotOfToken::NoRole { who } => NotSignedIn::NoRole { who },
            })?;
        Ok(Returned {
            of,
            return_to: pending.return_to.clone(),
        })
    }
}

impl Oidc {
    /// Gives the issuer a code, and gets a token.
    async fn id_token(&self, code: &str, verifier: &str, back: &str) -> Result<String, NotSignedIn> {
        let places = self.issuer.places().await?;
        let place = places
            .token_endpoint
            .ok_or(SignInProblem::NoPlace("token_endpoint"))?;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", back)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("code_verifier", verifier)
            .finish();
        let mut request = self
            .issuer
            .client()
            .post(place)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        if let Some(secret) = &self.settings.client_secret {
            request = request.basic_auth(&self.settings.client_id, Some(secret.reveal()));
        }
        let mut answer = request.send().await?;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if bytes.len() + piece.len() > LARGEST {
                return Err(SignInProblem::TooLarge.into());
            }
            bytes.extend_from_slice(&piece);
        }
        let answer: Answer = serde_json::from_slice(&bytes)?;
        if let Some(error) = answer.error {
            return Err(NotSignedIn::Refused(error.chars().take(80).collect()));
        }
        Ok(answer.id_token.ok_or(SignInProblem::NoToken)?)
    }

    /// As [`judge`](Self::judge), of an ID token: meant for our client, and for this sign-in.
    async fn judge_id_token(&self, text: &str, nonce: &str, now: i64) -> Result<OfToken, NotOfToken> {
        let token = Token::parse(text).ok_or(NotOfToken::Wrong)?;
        let keys = self.issuer.keys_for(&token).await;
        let keys = keys.map_err(NotOfToken::NoAnswer)?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            audiences: std::slice::from_ref(&self.settings.client_id),
            now: now.div_euclid(1_000_000),
        };
        let claims = token.verify(&keys, &expected).ok_or(NotOfToken::Wrong)?;
        let text = |name: &str| claims.all.get(name).and_then(serde_json::Value::as_str);
        let is_for_our_client = text("azp").is_none_or(|azp| azp == self.settings.client_id);
        if text("nonce") != Some(nonce) || !is_for_our_client {
            return Err(NotOfToken::Wrong);
        }
        self.given_to(&claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_back_to_pages_of_ours_alone() {
        for path in ["/", "/#map=1/2/3", "/console?x=//evil", "/v1/layers"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/\t/evil",
            "/a\\b",
            "/\n",
        ] {
            assert!(!is_own_path(path), "{path:?}");
        }
    }
}
