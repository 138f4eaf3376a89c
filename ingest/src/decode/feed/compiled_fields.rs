//! The fields of a mapping: each name to its slot, each constant and map to the type that the event needs.

use super::checker::{Checker, Names};
use super::error::FeedError;
use super::field::{NumberFrom, TextFrom};
use super::field_spec::{FieldSpec, IdSettings, Scalar, TimeSettings};
use super::local_time::TimeReader;
use super::lookup::{Lookup, Target};
use super::mapping::{IdFrom, ValueFrom};
use super::settings::{FeedOrigin, LookupSettings, ValueSettings};
use crate::words::{EventKind, Unit};

/// Characters of the names of columns that a message shows.
const SHOWN_COLUMNS: usize = 1000;

impl Checker<'_> {
    /// The columns that there are, of which file, and what to do where they are all in one.
    fn known_columns(&self, columns: &[String]) -> String {
        let of_file = match &self.settings.from {
            FeedOrigin::File { path, .. } => format!(" of {}", self.base_dir.join(path).display()),
            FeedOrigin::Kafka { .. } => String::new(),
        };
        let shown: String = columns.join("`, `").chars().take(SHOWN_COLUMNS).collect();
        let other = [';', '\t', '|', ','].into_iter().find(|other| {
            *other != self.settings.delimiter && columns.iter().any(|name| name.contains(*other))
        });
        let advice = match (columns, other) {
            ([_], Some(other)) => format!(
                ": its fields seem to be parted by another character, set delimiter = \"{}\"",
                other.escape_default()
            ),
            _ => String::new(),
        };
        format!("the columns{of_file} are `{shown}`{advice}")
    }

    pub(super) fn slot(&self, key: &str, name: &str, names: &mut Names) -> Result<usize, FeedError> {
        match names {
            Names::Json(tree) => tree.slot(name).map_err(|why| self.invalid(key, name, why)),
            Names::Csv(columns) => {
                let mut places = columns.iter().enumerate().filter(|(_, column)| *column == name);
                match (places.next(), places.next()) {
                    (Some((slot, _)), None) => Ok(slot),
                    (Some(_), Some(_)) => {
                        Err(self.invalid(key, name, "two columns have this name: rename one"))
                    }
                    (None, _) => Err(self.invalid(key, name, &self.known_columns(columns))),
                }
            }
        }
    }

    pub(super) fn text(&self, key: &str, spec: &FieldSpec, names: &mut Names) -> Result<TextFrom, FeedError> {
        let (field, map, default) = match spec {
            FieldSpec::Const { constant } => return Ok(TextFrom::Constant(constant.to_string())),
            FieldSpec::Name(field) => (field, None, None),
            FieldSpec::Mapped { field, map, default } => (field, map.as_ref(), default.as_ref()),
        };
        Ok(TextFrom::Field {
            slot: self.slot(key, field, names)?,
            map: map.map(|map| {
                map.iter()
                    .map(|(from, to)| (from.clone(), to.to_string()))
                    .collect()
            }),
            default: default.map(Scalar::to_string),
            keep_unmapped: key == "op",
        })
    }

    pub(super) fn number(
        &self,
        key: &str,
        spec: Option<&FieldSpec>,
        names: &mut Names,
    ) -> Result<Option<NumberFrom>, FeedError> {
        let as_number = |scalar: &Scalar, part: &str| {
            scalar
                .as_number()
                .filter(|number| number.is_finite())
                .ok_or_else(|| {
                    self.invalid(
                        &format!("{key}.{part}"),
                        &scalar.to_string(),
                        "a number is needed",
                    )
                })
        };
        let (field, map, default) = match spec {
            None => return Ok(None),
            Some(FieldSpec::Const { constant }) => {
                return Ok(Some(NumberFrom::Constant(as_number(constant, "const")?)));
            }
            Some(FieldSpec::Name(field)) => (field, None, None),
            Some(FieldSpec::Mapped { field, map, default }) => (field, map.as_ref(), default.as_ref()),
        };
        let map = map.map(|map| {
            map.iter()
                .map(|(from, to)| Ok((from.clone(), as_number(to, &format!("map.{from}"))?)))
                .collect::<Result<_, FeedError>>()
        });
        Ok(Some(NumberFrom::Field {
            slot: self.slot(key, field, names)?,
            map: map.transpose()?,
            default: default.map(|default| as_number(default, "default")).transpose()?,
        }))
    }

    pub(super) fn id(&self, names: &mut Names) -> Result<IdFrom, FeedError> {
        let why = "name its fields, or say { hash = \"row\" }";
        match &self.settings.id {
            None => Err(self.missing("id", why)),
            Some(IdSettings::Hash { .. }) => Ok(IdFrom::RowHash),
            Some(IdSettings::Fields(fields)) if fields.is_empty() => Err(self.invalid("id", "[]", why)),
            Some(IdSettings::Fields(fields)) => fields
                .iter()
                .map(|field| self.text("id", field, names))
                .collect::<Result<_, _>>()
                .map(IdFrom::Fields),
        }
    }

    pub(super) fn values(&self, names: &mut Names) -> Result<Vec<ValueFrom>, FeedError> {
        let values = &self.settings.values;
        for (index, value) in values.iter().enumerate() {
            let is_taken = values
                .iter()
                .take(index)
                .any(|other| other.property == value.property);
            if value.property.is_empty() || is_taken {
                let allowed = "each of `values` needs a property of its own, as it ends the event's id";
                return Err(self.invalid("values.property", &value.property, allowed));
            }
            if let Some(code) = &value.unit {
                self.unit_code("values.unit", code)?;
            }
        }
        let from = |value: &ValueSettings, names: &mut Names| {
            Ok(ValueFrom {
                slot: self.slot("values.field", &value.field, names)?,
                property: value.property.clone(),
                unit: value.unit.clone(),
            })
        };
        values.iter().map(|value| from(value, names)).collect()
    }

    pub(super) fn unit_code(&self, key: &str, code: &str) -> Result<(), FeedError> {
        if Unit::parse(code).is_some() {
            return Ok(());
        }
        let allowed = format!("the UCUM codes are {}", crate::words::known_codes());
        Err(self.invalid(key, code, &allowed))
    }

    /// A time, written at `of`.
    pub(super) fn time(&self, of: &str, time: &TimeSettings) -> Result<TimeReader, FeedError> {
        TimeReader::new(time).map_err(|error| {
            let key = format!("{of}.{}", error.key);
            match error.value {
                Some(value) => self.invalid(&key, &value, &error.allowed),
                None => self.missing(&key, &error.allowed),
            }
        })
    }

    pub(super) fn lookup(
        &self,
        lookup: &LookupSettings,
        kind: EventKind,
        times: &TimeReader,
        names: &mut Names,
    ) -> Result<Lookup, FeedError> {
        let mut targets = Vec::new();
        for (field, column) in &lookup.fields {
            let key = format!("lookup.fields.{field}");
            let Some(target) = Target::parse(field, kind) else {
                let allowed = match kind {
                    EventKind::Observation => "it gives lon, lat, property, sensor and unit",
                    EventKind::Report => "it gives lon, lat, category and channel",
                    EventKind::Position => "it gives lon, lat, unit and status",
                };
                return Err(self.invalid(&key, column, allowed));
            };
            let given_twice = self
                .mapped_keys()
                .iter()
                .any(|(key, there, _)| *there && key == field);
            if given_twice
                || (!self.settings.values.is_empty() && matches!(field.as_str(), "property" | "unit"))
            {
                return Err(self.invalid(&key, column, "the feed itself gives this field"));
            }
            targets.push((target, column.as_str()));
        }
        if targets.is_empty() {
            return Err(self.missing("lookup.fields", "say which column gives which field"));
        }
        let key_slot = self.slot("lookup.key", &lookup.key, names)?;
        let path = self.base_dir.join(&lookup.file);
        Lookup::load(&path, lookup, &targets, key_slot, times).map_err(|error| {
            let feed = self.settings.name.clone();
            if error.kind() == std::io::ErrorKind::InvalidData {
                let detail = error.to_string();
                FeedError::Lookup { feed, path, detail }
            } else {
                let key = "lookup.file".to_owned();
                FeedError::File {
                    feed,
                    key,
                    path,
                    source: error,
                }
            }
        })
    }
}
