//! The duty table from its data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Days;
use riskgrid_ingest::EventTime;
use serde_json::Value;

use super::rows::{DutyRow, DutyTable, Hours, Subject};
use crate::hotline::CaseKind;
use crate::hotline::calendar::{Calendar, read_date};
use crate::hotline::reading::{InvalidData, Members, Problems, joined, word};

/// Longest id or name.
const LONGEST_NAME: usize = 128;
/// Most rows of a table.
const MOST_ROWS: usize = 100_000;
/// Most offices that assist.
const MOST_WITH: usize = 100;
/// Largest priority, either way.
const LARGEST_PRIORITY: i64 = 1_000_000;

/// Why a duty table was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuty {
    /// Rows that cannot be read.
    #[error(transparent)]
    Data(#[from] InvalidData),
    /// Two rows of which neither is better, both valid at the same time.
    #[error(
        "rows `{first}` and `{second}` fit the same cases with the same priority at the same time; give them another priority, \
         condition or validity"
    )]
    Ambiguous {
        /// The one that stands first.
        first: String,
        /// The other.
        second: String,
    },
}

impl DutyTable {
    /// Reads `{"rows": [{"id", "layer" | "group", "area", "kind", "channel", "hours", "valid_from", "valid_to", "office", "with",
    /// "priority", "fallback"}]}`. A validity is an instant, or a date of `calendar`, whose `valid_to` is its end.
    ///
    /// # Errors
    /// [`InvalidDuty`] with every key that is wrong, or the first two rows that tie.
    pub fn from_json(value: &Value, calendar: &Calendar) -> Result<Self, InvalidDuty> {
        let mut problems = Problems::default();
        let rows = Members::of(value, "", &mut problems).map(|mut members| {
            members.required("rows", "a list of rows", Value::as_array);
            let mut ids = BTreeSet::new();
            let mut rows = Vec::new();
            for (place, value) in members.list("rows", MOST_ROWS).iter().enumerate() {
                let path = format!("rows[{place}]");
                let Some(row) = read_row(value, &path, calendar, members.problems()) else {
                    continue;
                };
                if !ids.insert(row.id.clone()) {
                    let found = format!("\"{}\", twice", row.id);
                    members
                        .problems()
                        .complain(&joined(&path, "id"), &found, "an id of its own");
                }
                rows.push(row);
            }
            members.finish();
            rows
        });
        let rows = problems.finish(rows)?;
        match tied(&rows) {
            Some((first, second)) => Err(InvalidDuty::Ambiguous {
                first: first.id.clone(),
                second: second.id.clone(),
            }),
            None => Ok(Self::of(rows)),
        }
    }
}

fn read_row(value: &Value, path: &str, calendar: &Calendar, problems: &mut Problems) -> Option<DutyRow> {
    let mut members = Members::of(value, path, problems)?;
    let allowed = format!("a text of 1 to {LONGEST_NAME} characters");
    let id = members.required("id", &allowed, |value| word(value, LONGEST_NAME));
    let layer = members.word("layer", LONGEST_NAME);
    let group = members.word("group", LONGEST_NAME);
    let subject = match (layer, group) {
        (Some(_), Some(_)) => {
            members.complain("group", "nothing beside `layer`");
            None
        }
        (Some(layer), None) => Some(Subject::Layer(layer)),
        (None, Some(group)) => Some(Subject::Group(group)),
        (None, None) => Some(Subject::Any),
    };
    let area = members.word("area", LONGEST_NAME);
    let kind = members.optional("kind", CaseKind::ALLOWED, |value| {
        CaseKind::from_name(value.as_str()?)
    });
    let channel = members.word("channel", LONGEST_NAME);
    let hours = members.optional("hours", "open, closed", |value| match value.as_str()? {
        "open" => Some(Hours::Open),
        "closed" => Some(Hours::Closed),
        _ => None,
    });
    let valid_from = members.optional("valid_from", "an RFC 3339 time, or a date", |value| {
        moment(value, calendar, 0)
    });
    let valid_to = members.optional(
        "valid_to",
        "an RFC 3339 time, or a date, after `valid_from`",
        |value| moment(value, calendar, 1).filter(|to| valid_from.is_none_or(|from| from < *to)),
    );
    let office = members.required("office", &allowed, |value| word(value, LONGEST_NAME));
    let with = members.optional("with", "a list of at most 100 names of offices", |value| {
        let list = value.as_array().filter(|list| list.len() <= MOST_WITH)?;
        list.iter().map(|name| word(name, LONGEST_NAME)).collect()
    });
    let priority = members.optional("priority", "a whole number of -1000000 to 1000000", |value| {
        value
            .as_i64()
            .filter(|priority| (-LARGEST_PRIORITY..=LARGEST_PRIORITY).contains(priority))
    });
    let fallback = members.flag("fallback");
    members.finish();
    Some(DutyRow {
        id: id?,
        subject: subject?,
        area,
        kind,
        channel,
        hours,
        valid_from,
        valid_to,
        office: office?,
        with: with.unwrap_or_default(),
        priority: priority.unwrap_or(0),
        fallback,
    })
}

/// An instant, or the beginning of a date that is `later` days after the one that is written.
fn moment(value: &Value, calendar: &Calendar, later: u64) -> Option<EventTime> {
    let text = value.as_str()?;
    let date = read_date(text).and_then(|date| date.checked_add_days(Days::new(later)));
    date.map(|date| calendar.midnight(date))
        .or_else(|| EventTime::parse_rfc3339(text))
}

/// Two rows with the same conditions and priority, both valid at some time.
fn tied(rows: &[DutyRow]) -> Option<(&DutyRow, &DutyRow)> {
    let mut alike: BTreeMap<_, Vec<&DutyRow>> = BTreeMap::new();
    for row in rows {
        let conditions = (&row.subject, &row.area, row.kind, &row.channel, row.hours);
        let key = (conditions, row.priority, row.fallback);
        alike.entry(key).or_default().push(row);
    }
    alike.into_values().find_map(|mut rows| {
        // `None` begins first.
        rows.sort_by_key(|row| row.valid_from);
        rows.windows(2).find_map(|pair| match pair {
            [one, other]
                if one
                    .valid_to
                    .is_none_or(|to| other.valid_from.is_none_or(|from| from < to)) =>
            {
                Some((*one, *other))
            }
            _ => None,
        })
    })
}
