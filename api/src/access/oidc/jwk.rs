//! The public keys of an issuer (JWK, RFC 7517), as far as they verify signatures.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

/// Keys of one issuer.
const MOST: usize = 64;

/// How a token may be signed. Neither `none` nor anything with a shared secret is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// That of this name in `alg`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct PublicKey {
    /// By which tokens name it.
    pub(super) id: Option<String>,
    /// The one algorithm that it is for, if its issuer says so.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PublicKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Why an answer gives no keys.
#[derive(Debug, thiserror::Error)]
pub(in crate::access) enum InvalidSet {
    /// It is no set of keys.
    #[error("it is no set of keys: {0}")]
    NoSet(#[from] serde_json::Error),
    /// There are too many.
    #[error("it has {0} keys; at most {MOST} are read")]
    TooMany(usize),
}

/// Reads a set. Keys that verify nothing here, such as those for encryption, are passed over.
///
/// # Errors
/// It is no set of keys, or too large a one.
pub(super) fn read_set(json: &[u8]) -> Result<Vec<PublicKey>, InvalidSet> {
    let set: Set = serde_json::from_slice(json)?;
    if set.keys.len() > MOST {
        return Err(InvalidSet::TooMany(set.keys.len()));
    }
    let keys = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok());
    Ok(keys.filter_map(read).collect())
}

fn read(jwk: Jwk) -> Option<PublicKey> {
    if jwk.r#use.as_deref().is_some_and(|r#use| r#use != "sig") {
        return None;
    }
    let only = match jwk.alg.as_deref() {
        None => None,
        Some(name) => Some(Algorithm::from_name(name)?),
    };
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let point = |width: usize| {
        let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
        let is_whole = x.len() == width && y.len() == width;
        // Uncompressed, as SEC 1 writes it.
        is_whole.then(|| [&[4][..], &x, &y].concat())
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let modulus = bytes(&jwk.n)?;
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            Material::Rsa {
                modulus: modulus.get(zeros..)?.to_vec(),
                exponent: bytes(&jwk.e)?,
            }
        }
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x).filter(|x| x.len() == 32)?),
        _ => return None,
    };
    Some(PublicKey {
        id: jwk.kid,
        only,
        material,
    })
}

impl PublicKey {
    /// Whether it is for this algorithm: a key of one kind never verifies as one of another.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = match self.material {
            Material::Rsa { .. } => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        fits && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature of a message is its own. RSA keys of less than 2048 bits verify nothing.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.is_for(algorithm) {
            return false;
        }
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                let how = if algorithm == Algorithm::Ps256 {
                    &RSA_PSS_2048_8192_SHA256
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                key.verify(how, message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            Material::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        };
        verified.is_ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn keys_that_verify_nothing_here_are_passed_over() {
        let set = br#"{"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "RSA", "alg": "HS256", "n": "AQAB", "e": "AQAB"}, 7,
            {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let keys = read_set(set).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].id.as_deref(), Some("a"));
        assert!(keys[0].is_for(Algorithm::EdDsa) && !keys[0].is_for(Algorithm::Es256));
        assert!(read_set(b"[]").is_err());
        let many = format!("{{\"keys\": [{}]}}", vec!["{}"; 65].join(","));
        assert!(read_set(many.as_bytes()).unwrap_err().to_string().contains("65"));
    }

    #[test]
    fn the_example_of_rfc_8037_is_verified_and_nothing_beside_it() {
        let set = br#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let key = &read_set(set).unwrap()[0];
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = URL_SAFE_NO_PAD
            .decode("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
            .unwrap();
        assert!(key.verifies(Algorithm::EdDsa, message, &signature));
        assert!(!key.verifies(Algorithm::Rs256, message, &signature));
        assert!(!key.verifies(Algorithm::EdDsa, &message[1..], &signature));
        assert!(!key.verifies(Algorithm::EdDsa, message, &signature[1..]));
    }
}
