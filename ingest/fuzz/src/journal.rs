//! An entry of the journal: its key, of 8 bytes, and its value.

use riskgrid_ingest::source::journal::is_an_entry;

/// Reads it as a start does; what is one is written as the same bytes.
pub fn run(bytes: &[u8]) {
    let (key, value) = bytes.split_at(bytes.len().min(8));
    is_an_entry(key, value);
}
