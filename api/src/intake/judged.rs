//! What became of the events of one request: those to be logged, those to be told, and the rest.

use std::sync::Arc;

use riskgrid_ingest::dead_letter::{
    DeadLetter, DeadLetterStore, HTTP_EVENTS, HTTP_LINES, HTTP_TOPIC, RAW_BYTES,
};
use riskgrid_ingest::source::kafka::DeadLetterTopic;
use riskgrid_ingest::{EventKind, EventTime, Refusal, RefusalReason};

/// Refused events of a request that are told one by one, in its answer and as a dead letter each.
pub const MOST_TOLD: usize = 10_000;
/// Bytes of refused events beyond those that share a dead letter: brokers take records of this size.
const SHARED_LETTER: usize = 256 << 10;

/// The events of one request.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) accepted: Vec<(EventKind, String, Vec<u8>)>,
    pub(super) told: Vec<Refused>,
    rest: Vec<Rest>,
    /// All that were refused.
    pub(super) refused: usize,
    /// All.
    count: usize,
}

pub(super) struct Refused {
    pub(super) index: usize,
    pub(super) refusal: Refusal,
    bytes: Vec<u8>,
}

/// Refused events that share a dead letter, one a line.
struct Rest {
    first: usize,
    refusal: Refusal,
    count: usize,
    lines: Vec<u8>,
}

impl Judged {
    /// All events that there were.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Adds the next event and what was judged of it.
    pub(super) fn add(&mut self, bytes: &[u8], judged: Result<(EventKind, String), Refusal>) {
        let index = self.count;
        self.count += 1;
        match judged {
            Ok((kind, source)) => self.accepted.push((kind, source, bytes.to_vec())),
            Err(refusal) => self.refuse(index, refusal, bytes),
        }
    }

    fn refuse(&mut self, index: usize, refusal: Refusal, bytes: &[u8]) {
        self.refused += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(Refused {
                index,
                refusal,
                bytes: bytes.to_vec(),
            });
            return;
        }
        let bytes = match refusal.reason {
            RefusalReason::TooLarge => bytes.get(..RAW_BYTES).unwrap_or(bytes),
            _ => bytes,
        };
        let has_room = |rest: &&mut Rest| rest.lines.len() + bytes.len() < SHARED_LETTER;
        if let Some(rest) = self.rest.last_mut().filter(has_room) {
            rest.add(bytes);
            return;
        }
        let mut rest = Rest {
            first: index,
            refusal,
            count: 0,
            lines: Vec::new(),
        };
        rest.add(bytes);
        self.rest.push(rest);
    }

    /// Bytes of all that was refused.
    pub(super) fn bytes_refused(&self) -> usize {
        let told = self.told.iter().map(|refused| refused.bytes.len());
        told.chain(self.rest.iter().map(|rest| rest.lines.len())).sum()
    }

    /// Keeps what was refused under `offset`, durably.
    pub(super) fn keep_refused(
        &self,
        offset: i64,
        now: EventTime,
        store: &DeadLetterStore,
        topic: Option<&DeadLetterTopic>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let name: Arc<str> = HTTP_TOPIC.into();
        let keep = |partition: i32, index: usize, refusal: &Refusal, bytes: &[u8]| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let letter = DeadLetter::new((&name, partition, offset, index), now, refusal, bytes);
            if let Some(topic) = topic {
                topic.send(&letter, bytes)?;
            }
            store.insert(&letter, bytes.into())?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        for Refused {
            index,
            refusal,
            bytes,
        } in &self.told
        {
            keep(HTTP_EVENTS, *index, refusal, bytes)?;
        }
        for rest in &self.rest {
            let detail = format!(
                "{} events, one a line, refused beyond the first {MOST_TOLD} of their request; the first of them: {}",
                rest.count, rest.refusal.detail
            );
            keep(
                HTTP_LINES,
                rest.first,
                &Refusal::new(rest.refusal.reason, detail),
                &rest.lines,
            )?;
        }
        Ok(store.persist()?)
    }
}

impl Rest {
    fn add(&mut self, bytes: &[u8]) {
        self.count += 1;
        // Between the parts of JSON a line's end is a blank; inside its texts there is none.
        let blank = |byte: &u8| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        };
        self.lines.extend(bytes.iter().map(blank));
        self.lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use riskgrid_ingest::dead_letter::LetterKey;

    use super::*;

    #[test]
    fn no_refused_event_is_lost_and_letters_are_few() {
        let folder = tempfile::tempdir().unwrap();
        let store = DeadLetterStore::open(folder.path()).unwrap();
        let mut judged = Judged::default();
        let body: Vec<String> = (0..60_000)
            .map(|number| format!("[{number},\n\"junk\"]"))
            .collect();
        for event in &body {
            let refusal = Refusal::new(RefusalReason::Malformed, "junk");
            judged.add(event.as_bytes(), Err(refusal));
        }
        assert_eq!((judged.refused, judged.told.len()), (60_000, MOST_TOLD));
        judged
            .keep_refused(7, EventTime::from_micros(1), &store, None)
            .unwrap();
        let letters: Vec<DeadLetter> = store.iter().map(Result::unwrap).collect();
        assert!(
            (MOST_TOLD + 2..MOST_TOLD + 10).contains(&letters.len()),
            "{}",
            letters.len()
        );
        let mut kept = Vec::new();
        for letter in &letters {
            let raw = store.raw(&letter.key()).unwrap().unwrap().bytes;
            assert_eq!(raw.len() as u64, letter.size);
            if letter.partition == HTTP_LINES {
                kept.extend(
                    super::super::split::lines(&raw).map(|line| String::from_utf8_lossy(line).into_owned()),
                );
            } else {
                kept.push(String::from_utf8_lossy(&raw).replace('\n', " "));
            }
        }
        let sent: Vec<String> = body.iter().map(|event| event.replace('\n', " ")).collect();
        assert_eq!(kept, sent);
        assert_eq!(store.next_http_offset().unwrap(), 8);
        let last: LetterKey = letters.last().unwrap().key();
        assert!(last.index >= MOST_TOLD as u32);
    }
}
