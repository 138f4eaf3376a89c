//! Ids that follow from what they are about: the same on every machine and in every run.

use twox_hash::XxHash3_128;

/// XXH3-128 in hex of the parts, each after its length as eight bytes, little endian. An integer part is its own eight.
pub(crate) fn derived_id(parts: &[&[u8]]) -> String {
    let length: usize = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
    let mut bytes = Vec::with_capacity(length);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    format!("{:032x}", XxHash3_128::oneshot(&bytes))
}
