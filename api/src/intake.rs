//! The HTTP intake: reads the events of a request, judges what can be judged now, and makes the rest durable.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use riskgrid_ingest::dead_letter::{DeadLetter, DeadLetterStore, HTTP_TOPIC};
use riskgrid_ingest::decode::cloudevent::{BinaryAttributes, decode_structured};
use riskgrid_ingest::edge::{Edge, FeedRules, PartitionClock, PlaceCache};
use riskgrid_ingest::grid::GridReader;
use riskgrid_ingest::source::journal::{Journal, JournalError};
use riskgrid_ingest::source::kafka::{DeadLetterTopic, EventProducer};
use riskgrid_ingest::{EventKind, EventTime, LIVE_DOMAIN, Refusal, RefusalReason, Writer};
use serde::Serialize;
use serde_json::value::RawValue;

/// Where accepted events become durable.
pub enum Log {
    /// The embedded journal.
    Journal(Journal),
    /// Kafka, acknowledged by all in-sync replicas.
    Kafka(Box<EventProducer>),
}

/// The answer to `POST /v1/events`.
#[derive(Debug, Serialize)]
pub struct IntakeAnswer {
    /// Events that are durable in the log.
    pub accepted: usize,
    /// Events that were refused.
    pub refused: Vec<RefusedEvent>,
}

/// One refused event of a request.
#[derive(Debug, Serialize)]
pub struct RefusedEvent {
    /// Which one, counted from 0; blank lines do not count.
    pub index: usize,
    /// Why, from the closed list.
    pub reason: RefusalReason,
    /// What was seen and what is allowed.
    pub detail: String,
}

/// Nothing of the request is kept; trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IntakeUnavailable(String);

/// How a request holds its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestForm {
    /// One event, structured mode.
    Structured,
    /// A JSON array of events.
    Batch,
    /// One event a line.
    Lines,
}

/// The intake.
pub struct Intake {
    log: Log,
    edge: Edge,
    max_event: usize,
    reader: GridReader,
    dead_letters: DeadLetterStore,
    dead_letter_topic: Option<Arc<DeadLetterTopic>>,
    /// The offset of the next request with refused events, in the topic `http`.
    next_refused: AtomicI64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Intake {
    /// An intake into `log`. `next_refused` goes on where the store of dead letters stands.
    pub fn new(
        log: Log,
        edge: Edge,
        max_event: usize,
        reader: GridReader,
        dead_letters: DeadLetterStore,
        dead_letter_topic: Option<Arc<DeadLetterTopic>>,
        next_refused: i64,
    ) -> Self {
        Self {
            log,
            edge,
            max_event,
            reader,
            dead_letters,
            dead_letter_topic,
            next_refused: AtomicI64::new(next_refused),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Events accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Events refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Room of the journal's disk above the reserve; all there is when Kafka is the log.
    pub fn room(&self) -> u64 {
        match &self.log {
            Log::Journal(journal) => journal.room(),
            Log::Kafka(_) => u64::MAX,
        }
    }

    /// Takes the events of one request, received at `now`.
    ///
    /// # Errors
    /// The log or the disk is not there: nothing of the request is kept.
    pub async fn take(
        &self,
        events: Vec<Cow<'_, [u8]>>,
        now: EventTime,
    ) -> Result<IntakeAnswer, IntakeUnavailable> {
        let mut accepted = Vec::with_capacity(events.len());
        let mut refused = Vec::new();
        for (index, bytes) in events.into_iter().enumerate() {
            match self.judge(&bytes, now) {
                Ok((kind, source)) => accepted.push((kind, source, bytes.into_owned())),
                Err(refusal) => refused.push((index, refusal, bytes)),
            }
        }
        let count = accepted.len();
        let in_letters = refused.iter().map(|(_, _, bytes)| bytes.len());
        let in_log = accepted.iter().map(|(_, _, bytes)| bytes.len());
        self.ask_for_room(in_log.sum(), in_letters.sum())?;
        if count > 0 {
            self.append(accepted, now).await?;
        }
        if !refused.is_empty() {
            self.keep_refused(&refused, now)?;
        }
        self.accepted.fetch_add(count as u64, Ordering::Relaxed);
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        let refused = refused.into_iter().map(|(index, refusal, _)| RefusedEvent {
            index,
            reason: refusal.reason,
            detail: refusal.detail,
        });
        Ok(IntakeAnswer {
            accepted: count,
            refused: refused.collect(),
        })
    }

    /// Takes events that were refused, once more: each is judged as when it was received, and put into the log when it
    /// is valid now. Their letters say so when this returns. What a crash in between puts into the log without saying so
    /// is a duplicate there the next time.
    ///
    /// # Errors
    /// The log or the disk is not there: nothing of them is in the log.
    pub async fn take_again(
        &self,
        records: Vec<(DeadLetter, Vec<u8>)>,
        now: EventTime,
    ) -> Result<Vec<Result<(), Refusal>>, IntakeUnavailable> {
        let mut accepted = Vec::new();
        let mut results = Vec::with_capacity(records.len());
        for (letter, bytes) in records {
            let judged = self.judge(&bytes, letter.time);
            let result = judged.map(|(kind, source)| accepted.push((kind, source, bytes)));
            results.push((letter.key(), result));
        }
        let count = accepted.len();
        let in_log = accepted.iter().map(|(_, _, bytes)| bytes.len()).sum();
        self.ask_for_room(in_log, results.len())?;
        if count > 0 {
            self.append(accepted, now).await?;
            self.accepted.fetch_add(count as u64, Ordering::Relaxed);
        }
        let noted = results.iter().try_for_each(|(key, result)| match result {
            Ok(()) => self.dead_letters.mark_replayed(key, now),
            Err(refusal) => self.dead_letters.mark_refused(key, refusal),
        });
        if let Err(error) = noted.and_then(|()| self.dead_letters.persist()) {
            tracing::warn!(%error, "what became of replays is not noted with their dead letters");
        }
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// Before anything of a request is written: what is accepted and what is refused are kept both or neither.
    fn ask_for_room(&self, in_log: usize, in_letters: usize) -> Result<(), IntakeUnavailable> {
        let bytes = match &self.log {
            Log::Journal(_) => in_log + in_letters,
            Log::Kafka(_) => in_letters,
        };
        if bytes == 0 {
            return Ok(());
        }
        self.dead_letters
            .room()
            .ask(Writer::Intake, bytes as u64)
            .map(drop)
            .map_err(|none| IntakeUnavailable(none.to_string()))
    }

    /// Judges one event by itself, the catalogue and the layers known now. Lateness is its partition's to judge.
    fn judge(&self, bytes: &[u8], now: EventTime) -> Result<(EventKind, String), Refusal> {
        if bytes.len() > self.max_event {
            let detail = format!("{} bytes, edge.max_event is {}", bytes.len(), self.max_event);
            return Err(Refusal::new(RefusalReason::TooLarge, detail));
        }
        let rules = FeedRules {
            domain: LIVE_DOMAIN.to_owned(),
            ..FeedRules::default()
        };
        let layers = &self.reader.snapshot().layers;
        let mut places = PlaceCache::none(self.edge.resolution);
        let candidate = decode_structured(bytes)?;
        let judged = self.edge.judge(
            candidate,
            now,
            &rules,
            PartitionClock::default(),
            layers,
            &mut places,
        )?;
        Ok((judged.event.kind, judged.event.source.into_owned()))
    }

    async fn append(
        &self,
        accepted: Vec<(EventKind, String, Vec<u8>)>,
        now: EventTime,
    ) -> Result<(), IntakeUnavailable> {
        match &self.log {
            Log::Journal(journal) => {
                let events = accepted.into_iter().map(|(_, _, bytes)| bytes).collect();
                journal.append(now, events).await.map(drop).map_err(|error| {
                    if !matches!(error, JournalError::Busy) {
                        tracing::error!(%error, "the intake refuses events");
                    }
                    IntakeUnavailable(error.to_string())
                })
            }
            Log::Kafka(producer) => producer
                .produce(&accepted)
                .await
                .map_err(|error| IntakeUnavailable(error.to_string())),
        }
    }

    fn keep_refused(
        &self,
        refused: &[(usize, Refusal, Cow<'_, [u8]>)],
        now: EventTime,
    ) -> Result<(), IntakeUnavailable> {
        let topic: Arc<str> = HTTP_TOPIC.into();
        let offset = self.next_refused.fetch_add(1, Ordering::Relaxed);
        let keep = || -> Result<(), Box<dyn std::error::Error>> {
            for (index, refusal, bytes) in refused {
                let letter = DeadLetter::new((&topic, 0, offset, *index as u32), now, refusal, bytes);
                if let Some(topic) = &self.dead_letter_topic {
                    topic.send(&letter, bytes)?;
                }
                self.dead_letters.insert(&letter, bytes[..].into())?;
            }
            Ok(self.dead_letters.persist()?)
        };
        keep().map_err(|error| IntakeUnavailable(format!("refused events could not be kept: {error}")))
    }
}

/// The events of a body, as bytes of structured JSON each.
///
/// # Errors
/// A batch that is not a JSON array: then its events cannot be told apart.
pub fn split_body(form: RequestForm, body: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Refusal> {
    match form {
        RequestForm::Structured => Ok(vec![Cow::Borrowed(body)]),
        RequestForm::Lines => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            Ok(lines.filter(|line| !line.is_empty()).map(Cow::Borrowed).collect())
        }
        RequestForm::Batch => {
            let events: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| {
                Refusal::new(
                    RefusalReason::Malformed,
                    format!("the batch is not a JSON array of events: {error}"),
                )
            })?;
            Ok(events
                .into_iter()
                .map(|event| Cow::Borrowed(event.get().as_bytes()))
                .collect())
        }
    }
}

/// The structured form of an event in binary mode.
///
/// # Errors
/// `malformed` when the body is not JSON.
pub fn structured_from_binary(attributes: &BinaryAttributes<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    #[derive(Serialize)]
    struct Structured<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        specversion: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    }
    let malformed = |error: serde_json::Error| Refusal::new(RefusalReason::Malformed, error.to_string());
    let data = if body.trim_ascii().is_empty() {
        None
    } else {
        Some(serde_json::from_slice(body).map_err(malformed)?)
    };
    serde_json::to_vec(&Structured {
        specversion: attributes.specversion.as_deref(),
        id: attributes.id.as_deref(),
        source: attributes.source.as_deref(),
        r#type: attributes.kind.as_deref(),
        time: attributes.time.as_deref(),
        data,
    })
    .map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_falls_into_its_events() {
        let events = split_body(RequestForm::Lines, b"{\"a\":1}\r\n\n  {\"b\":2}\n").unwrap();
        assert_eq!(events, [&b"{\"a\":1}"[..], &b"{\"b\":2}"[..]]);
        let events = split_body(RequestForm::Batch, b"[ {\"a\": [1, 2]} , 5]").unwrap();
        assert_eq!(events, [&b"{\"a\": [1, 2]}"[..], &b"5"[..]]);
        assert!(split_body(RequestForm::Batch, b"[]").unwrap().is_empty());
        assert!(split_body(RequestForm::Batch, b"{}").is_err());
    }

    #[test]
    fn binary_mode_becomes_structured() {
        let mut attributes = BinaryAttributes::default();
        attributes.set("id", "a\"b".into());
        attributes.set("type", "t".into());
        let json = structured_from_binary(&attributes, b" {\"x\": 1.50} ").unwrap();
        assert_eq!(json, br#"{"id":"a\"b","type":"t","data":{"x": 1.50}}"#);
        assert!(structured_from_binary(&attributes, b"not json").is_err());
    }
}
