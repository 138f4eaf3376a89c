//! Who asks, and what they may: keys and how they are kept.

mod base62;
mod jcs;
mod key;
mod scram;

pub use jcs::canonical;
pub use key::{Key, StoredKey, is_same_hash, sha256};

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
