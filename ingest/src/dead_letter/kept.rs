//! What is kept of a refused record.

use crate::words::BinaryAttributes;

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct KeptRecord<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its attributes, when it is in binary mode.
    pub attributes: Option<&'a BinaryAttributes<'a>>,
}

impl<'a> From<&'a [u8]> for KeptRecord<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            attributes: None,
        }
    }
}

/// A record as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its bytes, of one that was too large the first 64 KiB.
    pub bytes: Vec<u8>,
    /// Its attributes, when it was in binary mode.
    pub attributes: Option<BinaryAttributes<'static>>,
}
