//! An issuer of tokens: its keys, asked for by discovery, kept, renewed, and used on for a while when it does not answer.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::header::CACHE_CONTROL;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::jwk::{InvalidSet, PublicKey, read_set};
use super::token::Token;

/// Largest answer of an issuer.
const LARGEST: usize = 256 << 10;
/// How long one request to it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Keys are kept for as long as the issuer says, between these.
const KEPT_AT_LEAST: Duration = Duration::from_mins(5);
const KEPT_AT_MOST: Duration = Duration::from_hours(1);
/// A token that names an unknown key makes us ask no more often.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long its request waits for that.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long keys are used after the issuer answered last.
const USED_ON: Duration = Duration::from_hours(24);

/// Why tokens cannot be judged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the issuer of tokens has not answered for too long: {}", .0.as_ref().map(ToString::to_string).unwrap_or_default())]
pub(in crate::access) struct NoAnswer(#[source] Option<Arc<IssuerProblem>>);

/// What is wrong with an issuer's answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::access) enum IssuerProblem {
    /// It names a place that cannot be believed.
    #[error(transparent)]
    Unsafe(#[from] UnsafePlace),
    /// There is none, or it breaks off.
    #[error("{place}: {}", innermost(.error))]
    Request {
        /// What was asked.
        place: String,
        /// What the client says.
        #[source]
        error: reqwest::Error,
    },
    /// It is no success.
    #[error("{place} answers {status}")]
    Status {
        /// What was asked.
        place: String,
        /// What it answers.
        status: StatusCode,
    },
    /// It does not end.
    #[error("{0} answers more than {LARGEST} bytes")]
    TooLarge(String),
    /// It is not of the form that it must have.
    #[error("{place}: {error}")]
    Unread {
        /// What was asked.
        place: String,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
    /// It gives no keys.
    #[error("{place}: {error}")]
    Keys {
        /// What was asked.
        place: String,
        /// Why.
        #[source]
        error: InvalidSet,
    },
    /// It is of another issuer.
    #[error("{place} names the issuer `{issuer}`; set access.oidc.issuer to it by the letter")]
    OtherName {
        /// What was asked.
        place: String,
        /// The name there.
        issuer: String,
    },
}

/// Why what is at a place cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafePlace {
    /// It is no URL.
    #[error("`{place}` is no address: {error}")]
    NoUrl {
        /// As it is written.
        place: String,
        /// Why.
        #[source]
        error: url::ParseError,
    },
    /// Anybody between could answer.
    #[error("`{0}` must begin with https://; http is for this machine only")]
    InClear(String),
}

/// Why an issuer cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIssuer {
    /// What is there cannot be believed.
    #[error(transparent)]
    Unsafe(#[from] UnsafePlace),
    /// There is no client for it.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// Where things of an issuer are, as its discovery document says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Discovered {
    issuer: String,
    jwks_uri: String,
    /// Where browsers are sent.
    pub(super) authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub(super) token_endpoint: Option<String>,
}

struct Known {
    keys: Vec<PublicKey>,
    places: Discovered,
    at: Instant,
    renew_at: Instant,
}

/// One issuer.
pub(super) struct Issuer {
    /// Its name, by bytes.
    pub(super) name: String,
    client: Client,
    known: ArcSwapOption<Known>,
    /// When it was asked last, and what went wrong then.
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    at: Option<Instant>,
    problem: Option<Arc<IssuerProblem>>,
}

impl Issuer {
    /// One of this name; nothing is asked yet.
    ///
    /// # Errors
    /// The name is no address that can be asked safely.
    pub(super) fn new(name: &str) -> Result<Self, InvalidIssuer> {
        safe(name)?;
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            name: name.to_owned(),
            client,
            known: ArcSwapOption::empty(),
            asked: Mutex::default(),
        })
    }

    /// The keys for a token: those that are known, or asked for now when it names another.
    ///
    /// # Errors
    /// None are known, or those that are have been for too long.
    pub(super) async fn keys_for(self: &Arc<Self>, token: &Token<'_>) -> Result<Arc<[PublicKey]>, NoAnswer> {
        let known = self.good();
        if let Some(known) = &known
            && token.has_key(&known.keys)
        {
            return Ok(known.keys.clone().into());
        }
        match self.keys_asked_anew().await {
            Some(keys) => Ok(keys),
            None => Err(NoAnswer(self.problem().await)),
        }
    }

    /// The keys as they are now, unless they were asked for a moment ago: then as they were.
    pub(super) async fn keys_asked_anew(self: &Arc<Self>) -> Option<Arc<[PublicKey]>> {
        let asking = Arc::clone(self);
        // To its end, whoever waits for it.
        let asking = tokio::spawn(async move { asking.ask_unless_just_asked().await });
        // What goes wrong is told with what is then known.
        let _ = tokio::time::timeout(PATIENCE, asking).await;
        self.good().map(|known| known.keys.clone().into())
    }

    /// Where it is asked for what.
    ///
    /// # Errors
    /// It has not answered yet, or not for too long.
    pub(super) async fn places(self: &Arc<Self>) -> Result<Discovered, NoAnswer> {
        if self.good().is_none() {
            self.ask_unless_just_asked().await;
        }
        match self.good() {
            Some(known) => Ok(known.places.clone()),
            None => Err(NoAnswer(self.problem().await)),
        }
    }

    /// For requests of our own to it.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    fn good(&self) -> Option<Arc<Known>> {
        self.known
            .load_full()
            .filter(|known| known.at.elapsed() < USED_ON)
    }

    async fn problem(&self) -> Option<Arc<IssuerProblem>> {
        self.asked.lock().await.problem.clone()
    }

    async fn ask_unless_just_asked(&self) {
        let mut asked = self.asked.lock().await;
        if asked.at.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
            asked.at = Some(Instant::now());
            self.ask(&mut asked).await;
        }
    }

    async fn ask(&self, asked: &mut Asked) {
        match self.fetch().await {
            Ok(known) => {
                if asked.problem.take().is_some() {
                    tracing::info!(issuer = self.name, "the issuer of tokens answers again");
                }
                self.known.store(Some(Arc::new(known)));
            }
            Err(problem) => {
                tracing::warn!(
                    issuer = self.name,
                    %problem,
                    "the issuer of tokens does not answer as it should"
                );
                asked.problem = Some(Arc::new(problem));
            }
        }
    }

    async fn fetch(&self) -> Result<Known, IssuerProblem> {
        let place = format!(
            "{}/.well-known/openid-configuration",
            self.name.trim_end_matches('/')
        );
        let (places, _): (Discovered, _) = self.get(&place).await?;
        if places.issuer != self.name {
            return Err(IssuerProblem::OtherName {
                place,
                issuer: places.issuer,
            });
        }
        for place in [
            Some(&places.jwks_uri),
            places.token_endpoint.as_ref(),
            places.authorization_endpoint.as_ref(),
        ] {
            place.map_or(Ok(()), |place| safe(place))?;
        }
        let (bytes, kept) = self.bytes(&places.jwks_uri).await?;
        let keys = read_set(&bytes).map_err(|error| IssuerProblem::Keys {
            place: places.jwks_uri.clone(),
            error,
        })?;
        let at = Instant::now();
        Ok(Known {
            keys,
            places,
            at,
            renew_at: at + kept * 3 / 4,
        })
    }

    async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<(T, Duration), IssuerProblem> {
        let (bytes, kept) = self.bytes(place).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| IssuerProblem::Unread {
            place: place.to_owned(),
            error,
        })?;
        Ok((value, kept))
    }

    /// An answer, and for how long it may be kept.
    async fn bytes(&self, place: &str) -> Result<(Vec<u8>, Duration), IssuerProblem> {
        let failed = |error: reqwest::Error| IssuerProblem::Request {
            place: place.to_owned(),
            error,
        };
        let mut answer = self.client.get(place).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(IssuerProblem::Status {
                place: place.to_owned(),
                status: answer.status(),
            });
        }
        let kept = answer
            .headers()
            .get(CACHE_CONTROL)
            .and_then(|value| value.to_str().ok())
            .and_then(max_age)
            .unwrap_or(KEPT_AT_LEAST)
            .clamp(KEPT_AT_LEAST, KEPT_AT_MOST);
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + piece.len() > LARGEST {
                return Err(IssuerProblem::TooLarge(place.to_owned()));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes, kept))
    }

    /// Asks at once, and then before the keys are old; until the runtime ends.
    pub(super) async fn keep_asking(self: Arc<Self>) {
        loop {
            let mut asked = self.asked.lock().await;
            asked.at = Some(Instant::now());
            self.ask(&mut asked).await;
            let is_well = asked.problem.is_none();
            drop(asked);
            let renew_at = self.known.load().as_ref().map(|known| known.renew_at);
            let next = renew_at
                .filter(|_| is_well)
                .unwrap_or_else(|| Instant::now() + ASK_AGAIN);
            tokio::time::sleep_until(next).await;
        }
    }
}

/// Whether what is there can be believed: over TLS, or from this machine.
fn safe(place: &str) -> Result<(), UnsafePlace> {
    let url = Url::parse(place).map_err(|error| UnsafePlace::NoUrl {
        place: place.to_owned(),
        error,
    })?;
    let is_here = url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        _ => Err(UnsafePlace::InClear(place.to_owned())),
    }
}

fn max_age(text: &str) -> Option<Duration> {
    let seconds = text
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    Some(Duration::from_secs(seconds.trim_matches('"').parse().ok()?))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_asked_over_tls_or_on_this_machine() {
        for place in [
            "https://issuer.example/x",
            "http://127.0.0.1:9/x",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert_eq!(safe(place), Ok(()), "{place}");
        }
        for place in [
            "http://issuer.example",
            "ftp://localhost",
            "issuer",
            "",
            "http://127.0.0.1.example",
        ] {
            assert!(safe(place).is_err(), "{place}");
        }
    }

    #[test]
    fn an_answer_says_how_long_it_may_be_kept() {
        assert_eq!(max_age("public, max-age=600"), Some(Duration::from_mins(10)));
        assert_eq!(max_age("no-store"), None);
        assert_eq!(max_age("max-age=soon"), None);
    }
}
