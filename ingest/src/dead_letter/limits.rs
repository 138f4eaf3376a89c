//! How many dead letters are kept, and for how long.

use std::sync::atomic::Ordering;

use super::store::DeadLetterStore;
use super::{DeadLetterError, RAW_BYTES};
use crate::words::{DAY, EventTime, RefusalReason};

/// How long letters and what is kept of their records are kept, in microseconds after the record was received.
pub(super) const RAW_RETENTION: i64 = 30 * DAY;
/// Most letters that are kept; of more the oldest go, with what is kept of their records.
const MOST_LETTERS: usize = 1_000_000;
/// Most bytes of their records.
const MOST_RAW_BYTES: u64 = 4 << 30;
/// Bytes around a record, or of a note about one.
pub(super) const SMALL: usize = 4 << 10;

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) letters: usize,
    pub(super) raw_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            letters: MOST_LETTERS,
            raw_bytes: MOST_RAW_BYTES,
        }
    }
}

impl DeadLetterStore {
    /// Drops letters of records received 30 days or more before `now`, with what is kept of their records, and what was
    /// asked to be replayed then; and the oldest letters while there are more than the limits say. Returns how many.
    pub fn expire(&self, now: EventTime) -> Result<usize, DeadLetterError> {
        let store = self.store()?;
        self.ask(SMALL)?;
        store.expire_replays(now.plus(-RAW_RETENTION))?;
        self.shared.new_letters.store(0, Ordering::Relaxed);
        self.shared.new_bytes.store(0, Ordering::Relaxed);
        let by_age = now.plus(1 - RAW_RETENTION);
        let from = by_age.max(self.kept_from()?);
        let mut dropped = 0;
        for letter in self.iter() {
            let letter = letter?;
            if letter.time >= from {
                continue;
            }
            let key = letter.key().bytes();
            // The letter last: while it is there, what is left of it is found again.
            store.attributes.remove(key.as_slice())?;
            store.raw.remove(key.as_slice())?;
            store.letters.remove(key)?;
            dropped += 1;
        }
        if from > by_age {
            tracing::warn!(dropped, before = %from, "there are too many dead letters: the oldest are dropped; `riskgrid_dead_letters_dropped_total` counts them");
        }
        self.shared.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
        Ok(dropped)
    }

    /// The time of receipt from which on letters are kept, by their number and bytes.
    fn kept_from(&self) -> Result<EventTime, DeadLetterError> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for letter in self.iter() {
            let letter = letter?;
            // Of a longer one that is too large less is kept.
            let kept = match letter.reason {
                RefusalReason::TooLarge if !letter.is_lines() => letter.size.min(RAW_BYTES as u64),
                _ => letter.size,
            };
            bytes += kept;
            all.push((letter.time, kept));
        }
        let Limits { letters, raw_bytes } = self.shared.limits;
        if all.len() <= letters && bytes <= raw_bytes {
            return Ok(EventTime::from_micros(i64::MIN));
        }
        all.sort_unstable();
        let (mut left, mut from) = (all.len(), EventTime::from_micros(i64::MIN));
        for (time, kept) in all {
            if left <= letters && bytes <= raw_bytes {
                break;
            }
            left -= 1;
            bytes -= kept;
            // Those that were received at the same moment go together.
            from = time.plus(1);
        }
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{DeadLetter, HTTP_TOPIC};
    use super::*;
    use crate::words::Refusal;

    #[test]
    fn of_too_many_letters_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = DeadLetterStore::open(folder.path()).unwrap();
        let shared = Arc::get_mut(&mut store.shared).unwrap();
        shared.limits = Limits {
            letters: 10,
            raw_bytes: 1000,
        };
        let topic: Arc<str> = HTTP_TOPIC.into();
        let keep = |offset: i64, seconds: i64, bytes: usize| {
            let refusal = Refusal::new(RefusalReason::Malformed, "");
            let (time, record) = (EventTime::from_micros(seconds), vec![7; bytes]);
            let letter = DeadLetter::new((&topic, 0, offset, 0), time, &refusal, &record);
            store.insert(&letter, record.as_slice().into()).unwrap();
        };
        let offsets = || -> Vec<i64> { store.iter().map(|letter| letter.unwrap().offset).collect() };
        // The later the offset, the older.
        for offset in 0..15 {
            keep(offset, 100 - offset, 1);
        }
        let now = EventTime::from_micros(200);
        assert_eq!(store.expire(now).unwrap(), 5);
        assert_eq!(offsets(), (0..10).collect::<Vec<_>>());
        keep(20, 150, 995);
        // Five bytes more than fit.
        assert_eq!(store.expire(now).unwrap(), 5);
        assert_eq!(offsets(), [0, 1, 2, 3, 4, 20]);
        assert_eq!((store.expire(now).unwrap(), store.dropped()), (0, 10));
    }
}
