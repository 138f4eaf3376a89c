//! The token of a link by which a caller says, once, what came of their case: it says for itself which case and until when, and
//! nobody can make one without the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::HMAC;
use subtle::ConstantTimeEq as _;

/// What the key is for.
const PURPOSE: &[u8] = b"riskgrid-rate-v1";
const BODY: usize = 1 + 16 + 2 + 8 + 8;
const MAC: usize = 16;
/// How long a token is as text.
pub const TOKEN_LENGTH: usize = 68;

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatingToken {
    /// Which key it was made with.
    pub key: u8,
    /// The sixteen bytes of the case's id.
    pub case: [u8; 16],
    /// The round that is rated.
    pub round: u16,
    /// Seconds since the epoch; at this instant it is over.
    pub expires: u64,
    /// Random, so that two of one round differ.
    pub nonce: [u8; 8],
}

impl RatingToken {
    /// As text, under the key of that number.
    pub fn encode(&self, key: &[u8; 32]) -> String {
        let body = self.body();
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&mac(&body, key));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a text; `key_of` answers the key of a number. `None` for anything that was not made with such a key: who shows it
    /// is told no more.
    pub fn decode(text: &str, key_of: impl Fn(u8) -> Option<[u8; 32]>) -> Option<Self> {
        if text.len() != TOKEN_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, shown) = bytes.split_first_chunk::<BODY>()?;
        let (number, rest) = body.split_first()?;
        let (case, rest) = rest.split_first_chunk::<16>()?;
        let (round, rest) = rest.split_first_chunk::<2>()?;
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (nonce, _) = rest.split_first_chunk::<8>()?;
        let key = key_of(*number)?;
        bool::from(mac(body, &key).ct_eq(shown)).then(|| Self {
            key: *number,
            case: *case,
            round: u16::from_be_bytes(*round),
            expires: u64::from_be_bytes(*expires),
            nonce: *nonce,
        })
    }

    fn body(&self) -> [u8; BODY] {
        let mut body = Vec::with_capacity(BODY);
        body.push(self.key);
        body.extend_from_slice(&self.case);
        body.extend_from_slice(&self.round.to_be_bytes());
        body.extend_from_slice(&self.expires.to_be_bytes());
        body.extend_from_slice(&self.nonce);
        let mut fixed = [0; BODY];
        fixed.copy_from_slice(&body);
        fixed
    }
}

fn mac(body: &[u8; BODY], key: &[u8; 32]) -> [u8; MAC] {
    let whole = HMAC::mac([PURPOSE, body].concat(), key);
    let mut first = [0; MAC];
    first.copy_from_slice(whole.split_at(MAC).0);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = {
        let mut key = [0; 32];
        let mut place = 0;
        while place < 32 {
            key[place] = place as u8;
            place += 1;
        }
        key
    };
    const TOKEN: &str = "AXjBBojXqRQm04A7U3cyOr0AAQAAAABpzGAAAQIDBAUGBwgiW6evzMTPJGS15Tp2iogB";

    fn golden() -> RatingToken {
        RatingToken {
            key: 1,
            case: 0x78c1_0688_d7a9_1426_d380_3b53_7732_3abd_u128.to_be_bytes(),
            round: 1,
            expires: 1_775_001_600,
            nonce: [1, 2, 3, 4, 5, 6, 7, 8],
        }
    }

    fn decoded(text: &str) -> Option<RatingToken> {
        RatingToken::decode(text, |number| (number == 1).then_some(KEY))
    }

    #[test]
    fn the_token_is_the_contracts_and_is_read_back() {
        assert_eq!(golden().encode(&KEY), TOKEN);
        assert_eq!(decoded(TOKEN), Some(golden()));
    }

    #[test]
    fn no_other_text_is_a_token() {
        for place in 0..TOKEN_LENGTH {
            for letter in ["A", "_", "9"] {
                let mut text = TOKEN.to_owned();
                text.replace_range(place..=place, letter);
                assert!(text == TOKEN || decoded(&text).is_none(), "{text}");
            }
        }
        for text in [
            "",
            "A",
            &TOKEN[1..],
            &format!("{TOKEN}A"),
            &"é".repeat(34),
            &golden().encode(&[0; 32]),
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
        let unknown = RatingToken { key: 2, ..golden() };
        assert_eq!(decoded(&unknown.encode(&KEY)), None);
    }
}
