//! The id of a case follows from the source and the name of its report, so that the same report is the same case everywhere.

use serde_json::json;

use crate::digest::{canonical, sha256};

/// Without letters that are taken for others.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The sixteen bytes of the id.
pub fn raw_case_id(source: &str, report: &str) -> [u8; 16] {
    let hash = sha256(canonical(&json!(["riskgrid-case-v1", source, report])).as_bytes());
    let mut raw = [0; 16];
    raw.copy_from_slice(&hash[..16]);
    raw
}

/// The id: 26 digits of base 32, with two zero bits in front.
pub fn case_id(source: &str, report: &str) -> String {
    let number = u128::from_be_bytes(raw_case_id(source, report));
    let digits = (0..26).rev().map(|place| {
        let digit = (number >> (5 * place)) & 31;
        char::from(CROCKFORD[digit as usize])
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_report_has_the_golden_id() {
        assert_eq!(case_id("//nyc/311", "123"), "3rr438hnx92gkd701vadvk4enx");
        assert_eq!(
            crate::digest::hex(&raw_case_id("//nyc/311", "123")),
            "78c10688d7a91426d3803b5377323abd"
        );
    }

    #[test]
    fn source_and_report_are_told_apart() {
        assert_ne!(case_id("//a", "b"), case_id("//ab", ""));
        assert_ne!(case_id("a\",\"b", "c"), case_id("a", "b\",\"c"));
    }
}
