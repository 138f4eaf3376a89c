//! An entry of the journal and its bytes.

use crate::words::EventTime;

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub struct AtMost {
    /// Entries.
    pub entries: usize,
    /// About how many bytes of them.
    pub bytes: usize,
}

/// One entry: the events of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its offset.
    pub offset: i64,
    /// When it was received.
    pub received: EventTime,
    /// Its events, structured CloudEvents in JSON.
    pub events: Vec<Vec<u8>>,
}

/// Bytes of the entry of these events.
pub(super) fn bytes_of(events: &[Vec<u8>]) -> usize {
    8 + events.iter().map(|event| event.len() + 4).sum::<usize>()
}

/// The key of the entry at an offset.
pub(super) fn key(offset: i64) -> [u8; 8] {
    (offset.max(0) as u64).to_be_bytes()
}

/// The bytes that an entry is written as which is read from these, as a start reads it; none when they are no entry. This is
/// for fuzzing.
pub fn rewritten(key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let entry = decode(key, value)?;
    Some(encode(entry.received, &entry.events))
}

/// Received (8 bytes), then each event with its length (4 bytes).
pub(super) fn encode(received: EventTime, events: &[Vec<u8>]) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes_of(events));
    value.extend_from_slice(&received.micros().to_le_bytes());
    for event in events {
        value.extend_from_slice(&(event.len() as u32).to_le_bytes());
        value.extend_from_slice(event);
    }
    value
}

pub(super) fn received_of(value: &[u8]) -> Option<EventTime> {
    let (received, _) = value.split_first_chunk::<8>()?;
    Some(EventTime::from_micros(i64::from_le_bytes(*received)))
}

pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<JournalEntry> {
    let offset = u64::from_be_bytes(key.try_into().ok()?) as i64;
    let received = received_of(value)?;
    let mut rest = value.get(8..)?;
    let mut events = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (event, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        events.push(event.to_vec());
        rest = tail;
    }
    rest.is_empty().then_some(JournalEntry {
        offset,
        received,
        events,
    })
}
