//! A token that an issuer signed (JWT, RFC 7519): read, verified, and judged by its claims (RFC 8725).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwk::{Algorithm, PublicKey};

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 60;
/// Longest time for which a token is made.
const LONGEST: i64 = 24 * 3_600;
/// Letters of a subject.
const LONGEST_SUBJECT: usize = 255;

/// A token as it was sent: nothing of it is believed yet.
pub(super) struct Token<'a> {
    algorithm: Algorithm,
    /// By which it names the key that signed it.
    pub(super) key_id: Option<String>,
    message: &'a [u8],
    signature: Vec<u8>,
    claims: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// What a token must say.
pub(super) struct Expected<'a> {
    /// `iss`, by bytes.
    pub(super) issuer: &'a str,
    /// One of these is in `aud`.
    pub(super) audiences: &'a [String],
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// What an issuer vouches for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claims {
    /// Of whom.
    pub(super) subject: String,
    /// Until when, with what clocks may be apart, in seconds since 1970.
    pub(super) ends_at: i64,
    /// All of it.
    pub(super) all: Value,
}

impl<'a> Token<'a> {
    /// Reads its head; none when it is no token, or one that may not be looked at further: signed in a way that is none of
    /// [`Algorithm`], or critical in ways that nobody here knows.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::from_name(&header.alg)?,
            key_id: header.kid,
            message: message.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
            claims,
        })
    }

    /// Whether some key could be the one that signed it.
    pub(super) fn has_key(&self, keys: &[PublicKey]) -> bool {
        keys.iter().any(|key| self.may_be_of(key))
    }

    fn may_be_of(&self, key: &PublicKey) -> bool {
        let is_named = self.key_id.is_none() || self.key_id == key.id;
        is_named && key.is_for(self.algorithm)
    }

    /// What it says, when one of the keys signed it and it is meant for us now.
    pub(super) fn verify(&self, keys: &[PublicKey], expected: &Expected<'_>) -> Option<Claims> {
        let is_signed = keys
            .iter()
            .any(|key| self.may_be_of(key) && key.verifies(self.algorithm, self.message, &self.signature));
        if !is_signed {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(self.claims).ok()?;
        judge(serde_json::from_slice(&claims).ok()?, expected)
    }
}

fn judge(claims: Map<String, Value>, expected: &Expected<'_>) -> Option<Claims> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return None;
    }
    let is_ours = |value: &Value| {
        value
            .as_str()
            .is_some_and(|aud| expected.audiences.iter().any(|ours| ours == aud))
    };
    let is_meant_for_us = match claims.get("aud")? {
        Value::Array(all) => all.iter().any(is_ours),
        one => is_ours(one),
    };
    let subject = text("sub").filter(|sub| !sub.is_empty() && sub.len() <= LONGEST_SUBJECT)?;
    let seconds = |name: &str| claims.get(name).and_then(as_seconds);
    let (exp, iat) = (seconds("exp")?, seconds("iat")?);
    let begins = match claims.get("nbf") {
        None => iat,
        Some(nbf) => as_seconds(nbf)?.max(iat),
    };
    let is_now = begins.saturating_sub(SKEW) <= expected.now && expected.now < exp.saturating_add(SKEW);
    if !is_meant_for_us || !is_now || exp.saturating_sub(iat) > LONGEST {
        return None;
    }
    Some(Claims {
        subject: subject.to_owned(),
        ends_at: exp.saturating_add(SKEW),
        all: Value::Object(claims),
    })
}

/// A NumericDate, which may have a fraction.
fn as_seconds(value: &Value) -> Option<i64> {
    const FURTHEST: f64 = 1e15;
    let seconds = value.as_f64().filter(|seconds| seconds.abs() < FURTHEST)?;
    Some(seconds.floor() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::super::jwk::read_set;
    use super::*;

    const NOW: i64 = 1_795_334_400;

    struct Signer {
        pair: EcdsaKeyPair,
        keys: Vec<PublicKey>,
    }

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .unwrap();
            let point = pair.public_key().as_ref();
            let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
            let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "x": part(1..33), "y": part(33..65)}]});
            let keys = read_set(set.to_string().as_bytes()).unwrap();
            Self { pair, keys }
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(header), part(claims));
            let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        fn judge(&self, header: &Value, claims: &Value) -> Option<Claims> {
            let text = self.sign(header, claims);
            let expected = Expected {
                issuer: "https://issuer.example",
                audiences: &["riskgrid".to_owned()],
                now: NOW,
            };
            Token::parse(&text)?.verify(&self.keys, &expected)
        }
    }

    fn header() -> Value {
        json!({"alg": "ES256", "kid": "k1", "typ": "JWT"})
    }

    fn claims() -> Value {
        json!({"iss": "https://issuer.example", "aud": ["other", "riskgrid"], "sub": "ann", "exp": NOW + 600, "iat": NOW - 60,
            "roles": ["analyst"]})
    }

    #[test]
    fn a_token_that_is_signed_for_us_now_is_believed() {
        let signer = Signer::new();
        let believed = signer.judge(&header(), &claims()).unwrap();
        assert_eq!((believed.subject.as_str(), believed.ends_at), ("ann", NOW + 660));
        assert_eq!(believed.all["roles"], json!(["analyst"]));
        for (member, value) in [
            ("aud", json!("riskgrid")),
            ("exp", json!(NOW - 59)),
            ("exp", json!(NOW as f64 + 0.5)),
            ("iat", json!(NOW + 60)),
            ("nbf", json!(NOW + 60)),
        ] {
            let mut changed = claims();
            changed[member] = value.clone();
            assert!(signer.judge(&header(), &changed).is_some(), "{member} {value}");
        }
        // Without a name any key that fits is tried.
        assert!(signer.judge(&json!({"alg": "ES256"}), &claims()).is_some());
    }

    #[test]
    fn a_token_of_others_or_for_others_or_not_of_now_is_not() {
        let signer = Signer::new();
        for (member, value) in [
            ("iss", json!("https://issuer.example/")),
            ("iss", Value::Null),
            ("aud", json!("client")),
            ("aud", json!([])),
            ("aud", Value::Null),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("exp", json!(NOW - 60)),
            ("exp", Value::Null),
            ("exp", json!("soon")),
            ("exp", json!(NOW + 25 * 3_600)),
            ("iat", json!(NOW + 61)),
            ("iat", Value::Null),
            ("nbf", json!(NOW + 61)),
            ("nbf", json!("now")),
        ] {
            let mut changed = claims();
            changed[member] = value.clone();
            assert_eq!(signer.judge(&header(), &changed), None, "{member} {value}");
        }
        for header in [
            json!({"alg": "none", "kid": "k1"}),
            json!({"alg": "HS256", "kid": "k1"}),
            json!({"alg": "es256", "kid": "k1"}),
            json!({"alg": "ES384", "kid": "k1"}),
            json!({"alg": "RS256", "kid": "k1"}),
            json!({"alg": "ES256", "kid": "k2"}),
            json!({"alg": "ES256", "kid": "../../k1"}),
            json!({"alg": "ES256", "kid": "k1", "crit": ["exp"], "exp": 1}),
            json!({"kid": "k1"}),
        ] {
            assert_eq!(signer.judge(&header, &claims()), None, "{header}");
        }
        let other = Signer::new();
        let text = other.sign(&header(), &claims());
        let expected = Expected {
            issuer: "https://issuer.example",
            audiences: &["riskgrid".to_owned()],
            now: NOW,
        };
        assert_eq!(Token::parse(&text).unwrap().verify(&signer.keys, &expected), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "\\PC{0,60}|[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
            let _ = Token::parse(&text);
        }
    }
}
