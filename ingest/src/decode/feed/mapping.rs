//! From one row to its candidates.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::Path;

use twox_hash::XxHash3_128;

use super::csv_row::{CsvRow, Span};
use super::error::FeedError;
use super::field::{Fields, NumberFrom, TextFrom};
use super::json_row::PointerTree;
use super::local_time::TimeReader;
use super::lookup::Lookup;
use super::settings::FeedSettings;
use crate::decode::cloudevent::decode_structured;
use crate::edge::FeedRules;
use crate::words::{
    Candidate, CandidateTime, EventKind, Mirrored, Number, Refusal, RefusalReason, text_limits,
};

/// What one row gives: its events in order, or one refusal of the whole row. A row whose `values` are all empty gives
/// nothing. The place in the list is the index of the event in its record.
pub type MappedRow<'a> = Vec<Result<Candidate<'a>, Refusal>>;

/// A feed, ready to map its rows. Shared between threads as it is.
#[derive(Debug)]
pub struct FeedMapper {
    pub(super) rules: FeedRules,
    pub(super) format: RowFormat,
}

/// How rows are written, and what is done with them.
#[derive(Debug)]
pub(super) enum RowFormat {
    Csv {
        columns: usize,
        delimiter: u8,
        mapping: Mapping,
    },
    Json {
        fields: PointerTree,
        mapping: Mapping,
    },
    CloudEvents,
}

/// Where each field of the event comes from.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) kind: EventKind,
    pub(super) id: IdFrom,
    pub(super) source: TextFrom,
    pub(super) time_slot: usize,
    pub(super) time: TimeReader,
    pub(super) lon: Option<NumberFrom>,
    pub(super) lat: Option<NumberFrom>,
    /// Property or category.
    pub(super) name: Option<TextFrom>,
    pub(super) value: Option<NumberFrom>,
    pub(super) values: Vec<ValueFrom>,
    /// UCUM code of the value, or the response unit.
    pub(super) unit: Option<TextFrom>,
    pub(super) sensor: Option<TextFrom>,
    pub(super) report: Option<TextFrom>,
    pub(super) op: Option<TextFrom>,
    pub(super) severity: Option<NumberFrom>,
    pub(super) channel: Option<TextFrom>,
    pub(super) reporter: Option<TextFrom>,
    pub(super) outcome: Option<TextFrom>,
    pub(super) office: Option<TextFrom>,
    /// By when another system means to be done: its slot, and how it is written.
    pub(super) due: Option<(usize, TimeReader)>,
    pub(super) status: Option<TextFrom>,
    pub(super) skills: Option<TextFrom>,
    pub(super) lookup: Option<Lookup>,
}

/// What makes the id.
#[derive(Debug)]
pub(super) enum IdFrom {
    Fields(Vec<TextFrom>),
    RowHash,
}

/// One of several readings in a row.
#[derive(Debug)]
pub(super) struct ValueFrom {
    pub(super) slot: usize,
    pub(super) property: String,
    pub(super) unit: Option<String>,
}

impl FeedMapper {
    /// Checks `settings` and gets ready. `base_dir` is where relative paths start; `columns` are those of the header
    /// line of a CSV file (without them the file is opened to read it).
    ///
    /// # Errors
    /// The first thing that is wrong: which key, what it holds, what is allowed; or a file that cannot be read.
    pub fn compile(
        settings: &FeedSettings,
        base_dir: &Path,
        columns: Option<&[String]>,
    ) -> Result<Self, FeedError> {
        super::compile::compile(settings, base_dir, columns)
    }

    /// What the edge has to know about this feed.
    pub fn rules(&self) -> FeedRules {
        self.rules.clone()
    }

    /// Maps one row. A byte order mark before it and line ends after it are not part of it.
    pub fn map<'a>(&'a self, payload: &'a [u8]) -> MappedRow<'a> {
        self.map_row(payload).unwrap_or_else(|refusal| vec![Err(refusal)])
    }

    fn map_row<'a>(&'a self, payload: &'a [u8]) -> Result<MappedRow<'a>, Refusal> {
        let text = std::str::from_utf8(payload).map_err(|error| {
            let detail = format!("not UTF-8 from byte {}", error.valid_up_to());
            Refusal::new(RefusalReason::Malformed, detail)
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match &self.format {
            RowFormat::Csv {
                columns,
                delimiter,
                mapping,
            } => with_spans(|spans| {
                let row = CsvRow::split(text, *delimiter, *columns, spans)?;
                mapping.map(&row, text)
            }),
            RowFormat::Json { fields, mapping } => {
                text_limits::check_levels(text.as_bytes())?;
                mapping.map(&fields.read(text)?, text)
            }
            RowFormat::CloudEvents => Ok(vec![decode_structured(text.as_bytes())]),
        }
    }
}

/// Lends this thread's room for the fields of a CSV record, so that no row allocates it.
fn with_spans<R>(work: impl FnOnce(&mut Vec<Span>) -> R) -> R {
    thread_local! {
        static SPANS: Cell<Vec<Span>> = const { Cell::new(Vec::new()) };
    }
    let mut spans = SPANS.take();
    let result = work(&mut spans);
    SPANS.set(spans);
    result
}

impl Mapping {
    fn map<'a>(&'a self, row: &impl Fields<'a>, text: &'a str) -> Result<MappedRow<'a>, Refusal> {
        let first_reason = |refusal| self.first_reason(row, text, refusal);
        if self.values.is_empty() {
            return Ok(vec![Ok(self.candidate(row, text).map_err(first_reason)?)]);
        }
        let mut shared = None;
        let mut events = Vec::with_capacity(self.values.len());
        for from in &self.values {
            let value = match row.number(from.slot) {
                Ok(Number::Missing) => continue,
                Ok(value) => value,
                Err(refusal) => {
                    events.push(Err(first_reason(refusal)));
                    continue;
                }
            };
            if shared.is_none() {
                shared = Some(self.candidate(row, text).map_err(first_reason)?);
            }
            let Some(candidate) = &shared else { continue };
            events.push(Ok(from.event(candidate, value)));
        }
        Ok(events)
    }

    /// Of a row that is refused for one field: a text that is too long is told before.
    #[cold]
    fn first_reason<'a>(&'a self, row: &impl Fields<'a>, text: &'a str, refusal: Refusal) -> Refusal {
        fn read<'a>(from: Option<&'a TextFrom>, row: &impl Fields<'a>) -> Option<Cow<'a, str>> {
            from.and_then(|from| from.read(row).ok().flatten())
        }
        let texts = Candidate {
            id: self.id.read(row, text).ok().flatten(),
            source: read(Some(&self.source), row),
            name: read(self.name.as_ref(), row),
            sensor: read(self.sensor.as_ref(), row),
            report: read(self.report.as_ref(), row),
            op: read(self.op.as_ref(), row),
            channel: read(self.channel.as_ref(), row),
            reporter: read(self.reporter.as_ref(), row),
            outcome: read(self.outcome.as_ref(), row),
            status: read(self.status.as_ref(), row),
            ..Candidate::empty(self.kind)
        };
        text_limits::check(&texts).err().unwrap_or(refusal)
    }

    /// What another system says of the case, if it says something.
    fn mirrored<'a>(&'a self, row: &impl Fields<'a>) -> Result<Option<Box<Mirrored>>, Refusal> {
        if self.due.is_none() && self.office.is_none() {
            return Ok(None);
        }
        let text = match &self.due {
            Some((slot, _)) => row.text(*slot)?,
            None => None,
        };
        let due = match (&self.due, text) {
            (Some((_, reader)), Some(text)) => match reader.read(&text) {
                CandidateTime::Resolved(due) => Some(due),
                CandidateTime::Invalid(why) => {
                    return Err(Refusal::new(RefusalReason::InvalidTime, format!("`due`: {why}")));
                }
                CandidateTime::Missing | CandidateTime::Rfc3339(_) => None,
            },
            _ => None,
        };
        let office = match &self.office {
            Some(from) => from.read(row)?.filter(|office| !office.is_empty()),
            None => None,
        };
        if let Some(office) = &office {
            text_limits::check_word("office", office)?;
        }
        let said = Mirrored {
            due,
            office: office.map(Cow::into_owned),
        };
        Ok((said != Mirrored::default()).then(|| Box::new(said)))
    }

    /// The row as one candidate; of a row with several values, what they share.
    fn candidate<'a>(&'a self, row: &impl Fields<'a>, text: &'a str) -> Result<Candidate<'a>, Refusal> {
        let read = |from: &'a Option<TextFrom>| from.as_ref().map_or(Ok(None), |from| from.read(row));
        let number =
            |from: &'a Option<NumberFrom>| from.as_ref().map_or(Ok(Number::Missing), |from| from.read(row));
        let time = row
            .text(self.time_slot)?
            .map_or(CandidateTime::Missing, |text| self.time.read(&text));
        let (unit, value_unit) = match self.kind {
            EventKind::Position => (read(&self.unit)?, None),
            EventKind::Observation | EventKind::Report => (None, read(&self.unit)?),
        };
        let mut candidate = Candidate {
            kind: self.kind,
            id: self.id.read(row, text)?,
            source: self.source.read(row)?,
            time,
            lon: number(&self.lon)?,
            lat: number(&self.lat)?,
            name: read(&self.name)?,
            value: number(&self.value)?,
            value_unit,
            sensor: read(&self.sensor)?,
            report: read(&self.report)?,
            op: read(&self.op)?,
            severity: number(&self.severity)?,
            channel: read(&self.channel)?,
            reporter: read(&self.reporter)?,
            outcome: read(&self.outcome)?,
            unit,
            status: read(&self.status)?,
            skills: match &self.skills {
                Some(from) => from.read_list(row)?,
                None => Vec::new(),
            },
            mirrored: self.mirrored(row)?,
            lookup_missed: None,
        };
        if let Some(lookup) = &self.lookup {
            let key = row.text(lookup.key_slot)?;
            lookup.apply(key.as_deref(), &mut candidate);
        }
        Ok(candidate)
    }
}

impl ValueFrom {
    fn event<'a>(&'a self, shared: &Candidate<'a>, value: Number<'a>) -> Candidate<'a> {
        let mut candidate = shared.clone();
        candidate.id = shared.id.as_deref().map(|id| {
            let mut own = String::with_capacity(id.len() + 1 + self.property.len());
            own.push_str(id);
            own.push(':');
            own.push_str(&self.property);
            Cow::Owned(own)
        });
        candidate.name = Some(Cow::Borrowed(&self.property));
        candidate.value = value;
        candidate.value_unit = self.unit.as_deref().map(Cow::Borrowed);
        candidate
    }
}

impl IdFrom {
    fn read<'a>(&'a self, row: &impl Fields<'a>, text: &'a str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let fields = match self {
            Self::RowHash => {
                let hash = XxHash3_128::oneshot(text.trim_end_matches(['\r', '\n']).as_bytes());
                return Ok(Some(Cow::Owned(format!("{hash:032x}"))));
            }
            Self::Fields(fields) => fields,
        };
        if let [only] = fields.as_slice() {
            return only.read(row);
        }
        let mut joined = String::new();
        for (index, field) in fields.iter().enumerate() {
            let Some(part) = field.read(row)? else {
                return Ok(None);
            };
            if index > 0 {
                joined.push(':');
            }
            joined.push_str(&part);
        }
        Ok(Some(Cow::Owned(joined)))
    }
}
