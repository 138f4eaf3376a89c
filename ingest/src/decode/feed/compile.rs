//! From settings to a [`FeedMapper`]: everything that can be wrong is found here, once, and told by its key.

use std::path::Path;

use super::checker::{Checker, Names};
use super::csv_row::read_header;
use super::error::FeedError;
use super::field::TextFrom;
use super::field_spec::FieldSpec;
use super::json_row::PointerTree;
use super::mapping::{FeedMapper, Mapping, RowFormat};
use super::settings::{AnonymousSources, FeedClock, FeedFormat, FeedOrigin, FeedSettings};
use crate::edge::FeedRules;
use crate::files::{check_start, read_header_line};
use crate::words::{EventKind, EventTime, LIVE_DOMAIN};

/// See [`FeedMapper::compile`].
pub(super) fn compile(
    settings: &FeedSettings,
    base_dir: &Path,
    columns: Option<&[String]>,
) -> Result<FeedMapper, FeedError> {
    let checker = Checker { settings, base_dir };
    let rules = checker.rules()?;
    checker.origin()?;
    let format = match settings.format {
        FeedFormat::CloudEvents => {
            checker.nothing_is_mapped()?;
            checker.lines()?;
            RowFormat::CloudEvents
        }
        FeedFormat::Json => {
            if settings.columns.is_some() {
                return Err(checker.invalid("columns", "there", "only CSV has columns: leave it out"));
            }
            checker.lines()?;
            let mut names = Names::Json(PointerTree::default());
            let mapping = checker.mapping(&mut names)?;
            match names {
                Names::Json(fields) => RowFormat::Json { fields, mapping },
                Names::Csv(_) => return Err(checker.invalid("format", "json", "its fields are not columns")),
            }
        }
        FeedFormat::Csv => {
            let delimiter = checker.delimiter()?;
            let columns = checker.columns(columns, delimiter)?;
            let number_of_columns = columns.len();
            RowFormat::Csv {
                mapping: checker.mapping(&mut Names::Csv(columns))?,
                columns: number_of_columns,
                delimiter,
            }
        }
    };
    Ok(FeedMapper { rules, format })
}

impl Checker<'_> {
    fn rules(&self) -> Result<FeedRules, FeedError> {
        let settings = self.settings;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let name = settings.name.as_str();
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) || name == LIVE_DOMAIN {
            let allowed = "a name is 1 to 64 of the characters a-z, 0-9 and _, and not `live`";
            return Err(self.invalid("name", name, allowed));
        }
        if let Some(bounds) = settings.bounds.filter(|bounds| !bounds.is_valid()) {
            let allowed = "[west, south, east, north] in degrees, within ±180 and ±90, is needed";
            return Err(self.invalid("bounds", &format!("{:?}", bounds.0), allowed));
        }
        if let Some(point) = settings
            .null_points
            .iter()
            .find(|point| !point.iter().all(|number| number.is_finite()))
        {
            return Err(self.invalid(
                "null_points",
                &format!("{point:?}"),
                "[lon, lat] in degrees is needed",
            ));
        }
        let instant = |key: &str, text: &Option<String>| match (settings.clock, text) {
            (FeedClock::Live, None) => Ok(None),
            (FeedClock::Live, Some(text)) => {
                Err(self.invalid(key, text, "only a feed with `clock = \"event\"` has it"))
            }
            (FeedClock::Event, None) => {
                Err(self.missing(key, "a feed with `clock = \"event\"` needs it, in RFC 3339"))
            }
            (FeedClock::Event, Some(text)) => EventTime::parse_rfc3339(text)
                .map(Some)
                .ok_or_else(|| self.invalid(key, text, "RFC 3339 is needed, such as 2015-01-01T00:00:00Z")),
        };
        let valid =
            instant("valid_from", &settings.valid_from)?.zip(instant("valid_to", &settings.valid_to)?);
        if let Some((from, to)) = valid
            && to < from
        {
            return Err(self.invalid("valid_to", &to.to_string(), "it must not be before `valid_from`"));
        }
        Ok(FeedRules {
            domain: match settings.clock {
                FeedClock::Live => LIVE_DOMAIN.to_owned(),
                FeedClock::Event => name.to_owned(),
            },
            valid,
            null_points: settings.null_points.clone(),
            bounds: settings.bounds,
            anonymous_distinct: settings.anonymous == AnonymousSources::Distinct,
        })
    }

    fn origin(&self) -> Result<(), FeedError> {
        match &self.settings.from {
            FeedOrigin::Kafka { topic } if topic.is_empty() => {
                Err(self.invalid("from.kafka", topic, "the name of a topic is needed"))
            }
            FeedOrigin::File {
                speed: Some(speed), ..
            } if !(speed.is_finite() && *speed > 0.0) => {
                let allowed = "a number over 0 is needed; leave it out to play as fast as it goes";
                Err(self.invalid("from.speed", &speed.to_string(), allowed))
            }
            _ => Ok(()),
        }
    }

    fn file_error(&self, path: &Path, source: std::io::Error) -> FeedError {
        FeedError::File {
            feed: self.settings.name.clone(),
            key: "from.file".to_owned(),
            path: path.to_owned(),
            source,
        }
    }

    /// That a file of lines of JSON begins as one, where it is there already; that of CSV is read for its header.
    fn lines(&self) -> Result<(), FeedError> {
        let FeedOrigin::File { path, .. } = &self.settings.from else {
            return Ok(());
        };
        let path = self.base_dir.join(path);
        match check_start(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(self.file_error(&path, error))
            }
            // Read later, and told then.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn delimiter(&self) -> Result<u8, FeedError> {
        let delimiter = self.settings.delimiter;
        match u8::try_from(delimiter) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(byte),
            _ => {
                let allowed = "one ASCII character is needed that is neither a quote nor a line break";
                Err(self.invalid("delimiter", &delimiter.escape_default().to_string(), allowed))
            }
        }
    }

    fn columns(&self, header: Option<&[String]>, delimiter: u8) -> Result<Vec<String>, FeedError> {
        match (&self.settings.from, &self.settings.columns, header) {
            (FeedOrigin::File { .. }, Some(_), _) => Err(self.invalid(
                "columns",
                "there",
                "the header line of the file names them: leave it out",
            )),
            (FeedOrigin::File { .. }, None, Some(header)) => Ok(header.to_vec()),
            (FeedOrigin::File { path, .. }, None, None) => {
                let path = self.base_dir.join(path);
                let file_error = |source| self.file_error(&path, source);
                let line = read_header_line(&path, delimiter).map_err(file_error)?;
                read_header(&line, delimiter)
                    .map_err(|why| file_error(std::io::Error::new(std::io::ErrorKind::InvalidData, why)))
            }
            (FeedOrigin::Kafka { .. }, Some(columns), _) if !columns.is_empty() => Ok(columns.clone()),
            (FeedOrigin::Kafka { .. }, _, _) => Err(self.missing(
                "columns",
                "a Kafka message has no header line; name its columns in order",
            )),
        }
    }

    /// Each key that maps something, whether it is there, and the kinds of event that have it.
    pub(super) fn mapped_keys(&self) -> Vec<(&'static str, bool, &'static [EventKind])> {
        use EventKind::{Observation, Position, Report};
        let s = self.settings;
        vec![
            ("category", s.category.is_some(), &[Report]),
            ("severity", s.severity.is_some(), &[Report]),
            ("report", s.report.is_some(), &[Report]),
            ("op", s.op.is_some(), &[Report]),
            ("channel", s.channel.is_some(), &[Report]),
            ("reporter", s.reporter.is_some(), &[Report]),
            ("outcome", s.outcome.is_some(), &[Report]),
            ("due", s.due.is_some(), &[Report]),
            ("office", s.office.is_some(), &[Report]),
            ("sensor", s.sensor.is_some(), &[Observation]),
            ("property", s.property.is_some(), &[Observation]),
            ("value", s.value.is_some(), &[Observation]),
            ("values", !s.values.is_empty(), &[Observation]),
            ("unit", s.unit.is_some(), &[Observation, Position]),
            ("status", s.status.is_some(), &[Position]),
            ("skills", s.skills.is_some(), &[Position]),
            ("source", s.source.is_some(), &[Observation, Report, Position]),
            ("id", s.id.is_some(), &[Observation, Report, Position]),
            ("time", s.time.is_some(), &[Observation, Report, Position]),
            ("lon", s.lon.is_some(), &[Observation, Report, Position]),
            ("lat", s.lat.is_some(), &[Observation, Report, Position]),
            ("lookup", s.lookup.is_some(), &[Observation, Report, Position]),
        ]
    }

    fn nothing_is_mapped(&self) -> Result<(), FeedError> {
        let settings = self.settings;
        let mut keys = self.mapped_keys();
        keys.push(("event", settings.event.is_some(), &[]));
        keys.push(("columns", settings.columns.is_some(), &[]));
        match keys.iter().find(|(_, there, _)| *there) {
            Some((key, _, _)) => {
                Err(self.invalid(key, "there", "CloudEvents say it themselves: leave it out"))
            }
            None => Ok(()),
        }
    }

    fn mapping(&self, names: &mut Names) -> Result<Mapping, FeedError> {
        let s = self.settings;
        let Some(kind) = s.event else {
            return Err(self.missing("event", "say `observation`, `report` or `position`"));
        };
        for (key, there, kinds) in self.mapped_keys() {
            if there && !kinds.contains(&kind) {
                let allowed = format!("{} has no such field", kind_name(kind));
                return Err(self.invalid(key, "there", &allowed));
            }
        }
        self.check_needed(kind)?;
        for (key, there) in [
            ("property", s.property.is_some()),
            ("value", s.value.is_some()),
            ("unit", s.unit.is_some()),
        ] {
            if there && !s.values.is_empty() {
                return Err(self.invalid(key, "there", "each of `values` has its own"));
            }
        }

        let Some(time_settings) = &s.time else {
            return Err(self.missing("time", "name the field"));
        };
        let time = self.time("time", time_settings)?;
        let lookup = match &s.lookup {
            Some(lookup) => Some(self.lookup(lookup, kind, &time, names)?),
            None => None,
        };
        let mut text = |key: &str, spec: &Option<FieldSpec>| {
            spec.as_ref().map(|spec| self.text(key, spec, names)).transpose()
        };
        let Some(source) = text("source", &s.source)? else {
            return Err(self.missing("source", "say who sent it"));
        };
        let unit = text("unit", &s.unit)?;
        if let (EventKind::Observation, Some(TextFrom::Constant(code))) = (kind, &unit) {
            self.unit_code("unit", code)?;
        }
        Ok(Mapping {
            kind,
            source,
            unit,
            name: match kind {
                EventKind::Observation => text("property", &s.property)?,
                EventKind::Report | EventKind::Position => text("category", &s.category)?,
            },
            sensor: text("sensor", &s.sensor)?,
            report: text("report", &s.report)?,
            op: text("op", &s.op)?,
            channel: text("channel", &s.channel)?,
            reporter: text("reporter", &s.reporter)?,
            outcome: text("outcome", &s.outcome)?,
            office: text("office", &s.office)?,
            status: text("status", &s.status)?,
            skills: text("skills", &s.skills)?,
            due: match &s.due {
                Some(due) => Some((self.slot("due.field", &due.field, names)?, self.time("due", due)?)),
                None => None,
            },
            id: self.id(names)?,
            time_slot: self.slot("time.field", &time_settings.field, names)?,
            time,
            lon: self.number("lon", s.lon.as_ref(), names)?,
            lat: self.number("lat", s.lat.as_ref(), names)?,
            value: self.number("value", s.value.as_ref(), names)?,
            severity: self.number("severity", s.severity.as_ref(), names)?,
            values: self.values(names)?,
            lookup,
        })
    }

    /// Refuses a feed none of whose events could pass the edge.
    fn check_needed(&self, kind: EventKind) -> Result<(), FeedError> {
        let s = self.settings;
        let looked_up = |key: &str| {
            s.lookup
                .as_ref()
                .is_some_and(|lookup| lookup.fields.contains_key(key))
        };
        let each_has_values = !s.values.is_empty();
        let may_omit_place = s.op.is_some();
        let needed: &[(&str, bool)] = match kind {
            EventKind::Observation => &[
                ("lon", s.lon.is_some()),
                ("lat", s.lat.is_some()),
                ("sensor", s.sensor.is_some()),
                ("property", s.property.is_some() || each_has_values),
                ("value", s.value.is_some() || each_has_values),
            ],
            EventKind::Report => &[
                ("lon", s.lon.is_some() || may_omit_place),
                ("lat", s.lat.is_some() || may_omit_place),
                ("category", s.category.is_some() || may_omit_place),
            ],
            EventKind::Position => &[
                ("lon", s.lon.is_some()),
                ("lat", s.lat.is_some()),
                ("unit", s.unit.is_some()),
            ],
        };
        match needed.iter().find(|(key, there)| !there && !looked_up(key)) {
            Some((key, _)) => {
                let why = format!("{} needs it", kind_name(kind));
                Err(self.missing(key, &why))
            }
            None => Ok(()),
        }
    }
}

const fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Observation => "an observation",
        EventKind::Report => "a report",
        EventKind::Position => "a position",
    }
}
