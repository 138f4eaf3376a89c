//! Values of keys: sizes (`64MiB`); spans of time are read as everywhere.

use std::fmt;

pub use riskgrid_ingest::words::Timespan as Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of bytes: a whole number, or text with a unit (`KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`). A type of our own, for
/// bytesize takes `1m` for a million bytes, rounds fractions, and prints `64.0 MiB` where the page of defaults has `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Of so many mebibytes.
    pub const fn mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    /// As a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "kB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 > 0 && self.0.is_multiple_of(1 << shift) {
                return write!(formatter, "{}{unit}", self.0 >> shift);
            }
        }
        self.0.fmt(formatter)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is not a size like 65536, 64KiB or 1GiB"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_size_is_read_as_it_is_written(bytes in 0_u64..1 << 50, shift in 0_u32..13) {
            let size = ByteSize(bytes << shift);
            prop_assert_eq!(ByteSize::parse(&size.to_string()), Some(size));
        }
    }

    #[test]
    fn units() {
        assert_eq!(ByteSize::parse("64 MiB"), Some(ByteSize(64 << 20)));
        assert_eq!(ByteSize::parse("5GB"), Some(ByteSize(5_000_000_000)));
        assert_eq!(ByteSize::parse("5 gigs"), None);
        assert_eq!(ByteSize::parse("99999999999GiB"), None);
    }
}
