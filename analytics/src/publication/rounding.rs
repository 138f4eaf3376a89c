//! Rounding that nobody can predict and that is always the same.

use std::fmt;

use hmac_sha256::HMAC;

/// What the rounding's key is for: another use of the reporter key gives other numbers.
const PURPOSE: &[u8] = b"riskgrid.public.rounding.v1";

/// Made of the key that hashes reporters; all nodes have the same.
#[derive(Clone)]
pub struct RoundingKey([u8; 32]);

/// The one place in space and time that a number stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) layer: &'a str,
    /// 0 for the whole layer.
    pub(super) cell: u64,
    /// Microseconds.
    pub(super) start: i64,
    pub(super) seconds: u32,
}

impl RoundingKey {
    /// Of the reporter key's bytes as they are stored.
    pub fn of(reporter_key: &[u8]) -> Self {
        Self(HMAC::mac(PURPOSE, reporter_key))
    }

    /// A number below `k`.
    pub(super) fn offset(&self, place: Place<'_>, k: u64) -> u64 {
        let mut message = Vec::with_capacity(place.layer.len() + 21);
        message.extend_from_slice(place.layer.as_bytes());
        message.push(0);
        message.extend_from_slice(&place.cell.to_be_bytes());
        message.extend_from_slice(&place.start.to_be_bytes());
        message.extend_from_slice(&place.seconds.to_be_bytes());
        let mac = HMAC::mac(&message, self.0);
        let (first, _) = mac.split_at(size_of::<u64>());
        let number = first.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        number % k.max(1)
    }

    /// `count` to a multiple of `k`, up or down: on average right, and each multiple may stand for k counts or more.
    pub(super) fn rounded(&self, place: Place<'_>, count: u64, k: u64) -> u64 {
        let k = k.max(1);
        (count + self.offset(place, k)) / k * k
    }
}

impl fmt::Debug for RoundingKey {
    /// It is a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RoundingKey")
    }
}
