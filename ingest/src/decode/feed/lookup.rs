//! A look-up file: fields that hold for one key from one instant to another.

use std::borrow::Cow;
use std::io::{self, BufReader};
use std::path::Path;

use hashbrown::HashMap;

use super::local_time::TimeReader;
use super::settings::LookupSettings;
use crate::files::open_plain_or_gzip;
use crate::words::{Candidate, CandidateTime, EventKind, EventTime, Number};

/// The loaded file.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The field of the feed that holds the key.
    pub(super) key_slot: usize,
    key_name: String,
    targets: Vec<Target>,
    rows: HashMap<String, Vec<Row>>,
}

#[derive(Debug)]
struct Row {
    from: EventTime,
    to: EventTime,
    /// One for each target; empty means missing.
    texts: Vec<String>,
    lon: Number<'static>,
    lat: Number<'static>,
}

/// A field that a look-up file may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Lon,
    Lat,
    Name,
    Sensor,
    Unit,
    Channel,
    Status,
}

impl Target {
    /// The field that the settings call `name`, for events of `kind`.
    pub(super) fn parse(name: &str, kind: EventKind) -> Option<Self> {
        match (name, kind) {
            ("lon", _) => Some(Self::Lon),
            ("lat", _) => Some(Self::Lat),
            ("category", EventKind::Report) | ("property", EventKind::Observation) => Some(Self::Name),
            ("sensor", EventKind::Observation) => Some(Self::Sensor),
            ("unit", EventKind::Observation | EventKind::Position) => Some(Self::Unit),
            ("channel", EventKind::Report) => Some(Self::Channel),
            ("status", EventKind::Position) => Some(Self::Status),
            _ => None,
        }
    }
}

impl Lookup {
    /// Reads the file at `path`. `targets` are the fields to give, each with the column that holds it.
    ///
    /// # Errors
    /// An I/O error of its own, or of the kind `InvalidData` with what is wrong in which line.
    pub(super) fn load(
        path: &Path,
        settings: &LookupSettings,
        targets: &[(Target, &str)],
        key_slot: usize,
        times: &TimeReader,
    ) -> io::Result<Self> {
        let reader = BufReader::new(open_plain_or_gzip(path)?);
        let mut reader = csv::ReaderBuilder::new().from_reader(reader);
        let header = reader.headers()?.clone();
        let column = |name: &str| {
            let found = header.iter().position(|column| column.trim() == name);
            found.ok_or_else(|| {
                let known = header.iter().collect::<Vec<_>>().join("`, `");
                invalid(format!("it has no column `{name}`, but `{known}`"))
            })
        };
        let key = column(&settings.key)?;
        let from = settings.from.as_deref().map(column).transpose()?;
        let to = settings.to.as_deref().map(column).transpose()?;
        let columns = targets
            .iter()
            .map(|(_, name)| column(name))
            .collect::<io::Result<Vec<_>>>()?;

        let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |column: usize| record.get(column).unwrap_or_default();
            let instant = |column: Option<usize>, open_end: i64| match times.read(column.map_or("", cell)) {
                CandidateTime::Resolved(time) => Ok(time),
                CandidateTime::Invalid(why) => Err(invalid(format!("line {line}: {why}"))),
                CandidateTime::Missing | CandidateTime::Rfc3339(_) => Ok(EventTime::from_micros(open_end)),
            };
            let mut row = Row {
                from: instant(from, i64::MIN)?,
                to: instant(to, i64::MAX)?,
                texts: columns.iter().map(|column| cell(*column).to_owned()).collect(),
                lon: Number::Missing,
                lat: Number::Missing,
            };
            for ((target, name), text) in targets.iter().zip(&row.texts) {
                let place = match target {
                    Target::Lon => &mut row.lon,
                    Target::Lat => &mut row.lat,
                    _ => continue,
                };
                if !text.trim().is_empty() {
                    let number = text
                        .trim()
                        .parse()
                        .map_err(|_| invalid(format!("line {line}: `{name}` is `{text}`, not a number")))?;
                    *place = Number::Value(number);
                }
            }
            rows.entry_ref(cell(key)).or_default().push(row);
        }
        Ok(Self {
            key_slot,
            key_name: settings.key.clone(),
            targets: targets.iter().map(|(target, _)| *target).collect(),
            rows,
        })
    }

    /// Adds the fields of the first row that holds for `key` at the candidate's time; without one, says so in
    /// `lookup_missed`.
    ///
    /// With a time that cannot be read no row can be told, and the event is refused for its time: then the key's first
    /// row stands in, so that no field seems to be missing. Without a time nothing is added: that is what is missing.
    pub(super) fn apply<'a>(&'a self, key: Option<&str>, candidate: &mut Candidate<'a>) {
        if candidate.time == CandidateTime::Missing {
            return;
        }
        let rows = key
            .and_then(|key| self.rows.get(key))
            .map_or(&[][..], Vec::as_slice);
        let found = match &candidate.time {
            CandidateTime::Resolved(time) => rows.iter().find(|row| row.from <= *time && *time <= row.to),
            _ => rows.first(),
        };
        let Some(row) = found else {
            let shown: String = key.unwrap_or_default().chars().take(40).collect();
            candidate.lookup_missed = Some(match &candidate.time {
                CandidateTime::Resolved(time) => format!("{} `{shown}` at {time}", self.key_name),
                _ => format!("{} `{shown}`", self.key_name),
            });
            return;
        };
        for (target, text) in self.targets.iter().zip(&row.texts) {
            let text = (!text.is_empty()).then_some(Cow::Borrowed(text.as_str()));
            match target {
                Target::Lon => candidate.lon = row.lon.clone(),
                Target::Lat => candidate.lat = row.lat.clone(),
                Target::Name => candidate.name = text,
                Target::Sensor => candidate.sensor = text,
                Target::Unit if candidate.kind == EventKind::Position => candidate.unit = text,
                Target::Unit => candidate.value_unit = text,
                Target::Channel => candidate.channel = text,
                Target::Status => candidate.status = text,
            }
        }
    }
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}
