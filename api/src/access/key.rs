//! A key: `rgk_` id(12) `_` secret(43) check(6), in base 62. Whoever holds the text is let in; it is shown once, and kept as
//! its hash only.

use std::fmt;

use subtle::ConstantTimeEq;

use super::base62;
use super::scram::scram_verifier;
use crate::digest::sha256;

const PREFIX: &str = "rgk_";
const ID: usize = 12;
const SECRET: usize = 43;
const CHECK: usize = 6;
const LENGTH: usize = PREFIX.len() + ID + 1 + SECRET + CHECK;

/// A whole key. Nothing shows it but [`reveal`](Self::reveal).
#[derive(Clone)]
pub struct Key {
    text: String,
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// By which it is looked up; no secret.
    pub id: String,
    /// SHA-256 of the whole text: 256 random bits need no slow hash.
    pub hash: [u8; 32],
    /// What PostgreSQL's SCRAM-SHA-256 checks, its password being the whole text.
    pub scram: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({}…)", self.id())
    }
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self::of(&base62::random(ID)?, &secret))
    }

    fn of(id: &str, secret: &[u8; 32]) -> Self {
        let mut text = format!("{PREFIX}{id}_{}", base62::encode(secret, SECRET));
        text += &check(&text);
        Self { text }
    }

    /// Reads a key; none when it has not the form of one, or the check digits do not fit: then nothing is looked up.
    pub fn parse(text: &str) -> Option<Self> {
        if !has_form(text) {
            return None;
        }
        let (body, digits) = text.split_at_checked(LENGTH - CHECK)?;
        (check(body) == digits).then(|| Self {
            text: text.to_owned(),
        })
    }

    /// By which it is looked up.
    pub fn id(&self) -> &str {
        self.text.get(PREFIX.len()..PREFIX.len() + ID).unwrap_or_default()
    }

    /// The text, for its owner.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the whole text.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.text.as_bytes())
    }

    /// What is kept of it.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn stored(&self) -> Result<StoredKey, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(StoredKey {
            id: self.id().to_owned(),
            hash: self.hash(),
            scram: scram_verifier(self.text.as_bytes(), &salt),
        })
    }
}

/// Whether a text has the form of a key, whatever its check digits say.
pub(super) fn has_form(text: &str) -> bool {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(id, rest)| {
        id.len() == ID && rest.len() == SECRET + CHECK && base62::are_digits(id) && base62::are_digits(rest)
    })
}

/// Whether two hashes are the same, in a time that does not tell how far they are.
pub fn is_same_hash(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// CRC-32 (ISO-HDLC) of all before it.
fn check(body: &str) -> String {
    base62::encode(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECK)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: &str = "rgk_Gold3nKey001_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2wOvcL";

    fn golden() -> Key {
        let secret: [u8; 32] = std::array::from_fn(|place| place as u8);
        Key::of("Gold3nKey001", &secret)
    }

    #[test]
    fn the_golden_key_is_written_hashed_and_read() {
        let key = golden();
        assert_eq!(key.reveal(), GOLDEN);
        assert_eq!(
            crate::digest::hex(&key.hash()),
            "a6272235a5410cfdd5efea5f3000167a564ce7e5d3250d65780cf7f8fc645cb4"
        );
        assert_eq!(Key::parse(GOLDEN).unwrap().id(), "Gold3nKey001");
    }

    #[test]
    fn a_key_is_shown_by_its_id_alone() {
        assert_eq!(format!("{:?}", golden()), "Key(Gold3nKey001…)");
    }

    #[test]
    fn new_keys_differ_in_id_and_secret() {
        let (one, other) = (Key::random().unwrap(), Key::random().unwrap());
        assert!(one.id() != other.id() && one.reveal()[17..] != other.reveal()[17..]);
        assert_eq!(one.reveal().len(), 66);
    }

    #[test]
    fn what_is_kept_of_a_key_is_salted_anew_each_time() {
        let (one, other) = (golden().stored().unwrap(), golden().stored().unwrap());
        assert_eq!(one.hash, other.hash);
        assert_ne!(one.scram, other.scram);
        assert!(!one.scram.contains("Gold3n"));
    }

    proptest! {
        #[test]
        fn every_key_is_read_back(id in "[0-9A-Za-z]{12}", secret in any::<[u8; 32]>()) {
            let key = Key::of(&id, &secret);
            let read = Key::parse(key.reveal()).unwrap();
            prop_assert_eq!(read.id(), id.as_str());
            prop_assert!(is_same_hash(&read.hash(), &key.hash()));
        }

        #[test]
        fn a_key_with_one_other_letter_is_none(place in 0_usize..66, letter in "[0-9A-Za-z_]") {
            let mut text = GOLDEN.to_owned();
            text.replace_range(place..=place, &letter);
            prop_assert_eq!(Key::parse(&text).is_some(), text == GOLDEN);
        }

        #[test]
        fn any_text_is_read_or_not(text in "\\PC{0,80}|rgk_[\\PC]{0,12}_[0-9A-Za-z]{49}") {
            let _ = Key::parse(&text);
        }
    }
}
