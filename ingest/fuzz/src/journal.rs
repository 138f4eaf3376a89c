//! An entry of the journal: its key, of 8 bytes, and its value.

use riskgrid_ingest::source::journal::rewritten;

/// Reads it as a start does; what is one is written as the same bytes.
pub fn run(bytes: &[u8]) {
    let (key, value) = bytes.split_at(bytes.len().min(8));
    if let Some(again) = rewritten(key, value) {
        assert_eq!(again, value);
    }
}
