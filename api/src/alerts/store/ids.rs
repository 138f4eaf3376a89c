//! Ids: random ones for what people make, hashes for what is derived.

use twox_hash::XxHash3_128;

use super::DecisionsError;

/// 128 random bits in hex.
pub fn random_hex() -> Result<String, DecisionsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// The `webhook-id` of one transition for one endpoint: the same on every attempt, replay and restart.
pub fn webhook_id(endpoint: &str, (alert, number): (&str, i64)) -> String {
    let key = format!("{}:{endpoint}{}:{alert}{number}", endpoint.len(), alert.len());
    format!("msg_{:032x}", XxHash3_128::oneshot(key.as_bytes()))
}
