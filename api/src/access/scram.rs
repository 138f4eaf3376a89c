//! What PostgreSQL's SCRAM-SHA-256 (RFC 5802, RFC 7677) keeps of a password, in the form of its `pg_authid`.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{hmac, pbkdf2};

use crate::digest::sha256;

/// Those of RFC 7677: a key has 256 random bits, so more would only cost. No zero, which the
/// compiler sees.
const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// What checks a password.
pub(super) fn scram_verifier(password: &[u8], salt: &[u8; 16]) -> String {
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, password, &mut salted);
    let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = sha256(hmac::sign(&salted, b"Client Key").as_ref());
    let server = hmac::sign(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_key_is_verified_as_postgresql_does() {
        let key = b"rgk_Gold3nKey001_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2wOvcL";
        let salt: [u8; 16] = std::array::from_fn(|place| place as u8);
        assert_eq!(
            scram_verifier(key, &salt),
            "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$V1kS0YORgzMePicQXPD/3iY6oHydObMVIxFIF2ULHk0=:\
             DelnVmXEPCKABymuxhjqC9KRNbC4rN+6GZCXRhLS1Pk="
        );
    }
}
