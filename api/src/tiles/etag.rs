//! Entity tags from content: equal tiles have equal tags on every replica and after every restart, changed ones do not.

use std::fmt;

use twox_hash::XxHash3_128;

use super::tile_id::TileId;
use super::values::Shown;

/// Enters the hash; to be changed whenever the same numbers are encoded otherwise, or browsers keep the old bytes.
const FORMAT: &str = "mvt 1";

/// 128-bit hash of what a tile shows. It does not depend on the coding of the answer, see [`ContentHash::etag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(u128);

/// How the body of an answer is coded; each coding has an `ETag` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// As it is.
    Identity,
    /// `Content-Encoding: gzip`.
    Gzip,
}

impl ContentHash {
    /// The strong `ETag` of an answer, with its quotes.
    pub fn etag(self, coding: ContentCoding) -> String {
        match coding {
            ContentCoding::Identity => format!("\"{self}\""),
            ContentCoding::Gzip => format!("\"{self}-gzip\""),
        }
    }
}

impl fmt::Display for ContentHash {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Collects what a tile shows, cell by cell in ascending order.
pub(crate) struct ContentHasher {
    bytes: Vec<u8>,
}

impl ContentHasher {
    pub(crate) fn new(layer: &str, metric: &str, tile: TileId, resolution: u8, cells: usize) -> Self {
        let mut bytes = Vec::with_capacity(64 + layer.len() + metric.len() + 25 * cells);
        for text in [FORMAT, layer, metric] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&[tile.z(), resolution]);
        bytes.extend_from_slice(&tile.x().to_le_bytes());
        bytes.extend_from_slice(&tile.y().to_le_bytes());
        Self { bytes }
    }

    pub(crate) fn add(&mut self, cell: u64, count: u64, shown: Option<Shown>) {
        let (kind, bits) = match shown {
            None => (0, 0),
            Some(Shown::Unsigned(value)) => (1, value),
            Some(Shown::Signed(value)) => (2, value as u64),
            Some(Shown::Double(value)) => (3, value.to_bits()),
            Some(Shown::Word { number, .. }) => (4, number),
        };
        self.bytes.extend_from_slice(&cell.to_le_bytes());
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&bits.to_le_bytes());
    }

    pub(crate) fn finish(self) -> ContentHash {
        ContentHash(XxHash3_128::oneshot(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(
        layer: &str,
        metric: &str,
        z: u8,
        resolution: u8,
        rows: &[(u64, u64, Option<Shown>)],
    ) -> ContentHash {
        let tile = TileId::new(z, 1, 1).expect("inside");
        let mut hasher = ContentHasher::new(layer, metric, tile, resolution, rows.len());
        for &(cell, count, shown) in rows {
            hasher.add(cell, count, shown);
        }
        hasher.finish()
    }

    #[test]
    fn each_part_of_the_content_changes_the_hash() {
        let rows = [(5, 1, Some(Shown::Unsigned(2))), (6, 1, None)];
        let all = [
            hash("noise", "sum", 3, 4, &rows),
            hash("nois", "esum", 3, 4, &rows),
            hash("noise", "max", 3, 4, &rows),
            hash("noise", "sum", 4, 4, &rows),
            hash("noise", "sum", 3, 5, &rows),
            hash("noise", "sum", 3, 4, &rows[..1]),
            hash("noise", "sum", 3, 4, &[(5, 1, Some(Shown::Signed(2))), rows[1]]),
            hash("noise", "sum", 3, 4, &[(5, 2, Some(Shown::Unsigned(2))), rows[1]]),
            hash("noise", "sum", 3, 4, &[rows[0], (6, 1, Some(Shown::Double(0.0)))]),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], hash("noise", "sum", 3, 4, &rows));
    }

    #[test]
    fn the_hash_is_the_same_on_every_machine() {
        // As PyPI's xxhash has it for the same bytes.
        let hash = hash("noise", "count", 3, 4, &[(5, 1, None)]);
        assert_eq!(hash.to_string(), "08ccd93f38b4c694e83a76596b19f5bc");
    }

    #[test]
    fn each_coding_has_a_tag_of_its_own() {
        let hash = hash("noise", "count", 3, 4, &[]);
        let (plain, gzip) = (hash.etag(ContentCoding::Identity), hash.etag(ContentCoding::Gzip));
        assert_ne!(plain, gzip);
        assert!(plain.starts_with('"') && plain.ends_with('"') && plain.len() == 34);
    }
}
