//! The rows of the duty table, found by what they are about and where.

use std::collections::HashMap;

use riskgrid_ingest::EventTime;

use crate::hotline::CaseKind;

/// How many levels areas have: 1 a city to 4 a community grid.
pub const AREA_LEVELS: u8 = 4;

/// What of cases a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All of them.
    Any,
    /// Those of layers of this group.
    Group(String),
    /// Those of this layer.
    Layer(String),
}

/// When cases were reported, by the calendar of the hotline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hours {
    /// In a span of it.
    Open,
    /// Outside.
    Closed,
}

impl Hours {
    /// The name in data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A row: who has the cases that it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyRow {
    /// Its name.
    pub id: String,
    /// What they are about.
    pub subject: Subject,
    /// One of the areas that they lie in.
    pub area: Option<String>,
    /// What callers want.
    pub kind: Option<CaseKind>,
    /// By which way they came.
    pub channel: Option<String>,
    /// When they were reported.
    pub hours: Option<Hours>,
    /// From when on it holds.
    pub valid_from: Option<EventTime>,
    /// Until when.
    pub valid_to: Option<EventTime>,
    /// The office that leads.
    pub office: String,
    /// Offices that assist.
    pub with: Vec<String>,
    /// Of rows that are alike otherwise the largest is taken.
    pub priority: i64,
    /// It is asked only where no other row fits, or when a case came back too often.
    pub fallback: bool,
}

impl DutyRow {
    pub(super) fn is_valid_at(&self, time: EventTime) -> bool {
        self.valid_from.is_none_or(|from| from <= time) && self.valid_to.is_none_or(|to| time < to)
    }
}

/// All rows; one that exists has no two that tie.
#[derive(Clone, Debug, Default)]
pub struct DutyTable {
    rows: Vec<DutyRow>,
    by_subject_and_area: HashMap<(Subject, Option<String>), Vec<usize>>,
}

impl PartialEq for DutyTable {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl DutyTable {
    pub(super) fn of(rows: Vec<DutyRow>) -> Self {
        let mut by_subject_and_area: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            let key = (row.subject.clone(), row.area.clone());
            by_subject_and_area.entry(key).or_default().push(place);
        }
        Self {
            rows,
            by_subject_and_area,
        }
    }

    /// The rows as they were written.
    pub fn rows(&self) -> &[DutyRow] {
        &self.rows
    }

    /// The rows of this subject and area.
    pub(super) fn of_subject_and_area(
        &self,
        subject: Subject,
        area: Option<&str>,
    ) -> impl Iterator<Item = &DutyRow> {
        let places = self.by_subject_and_area.get(&(subject, area.map(str::to_owned)));
        places
            .into_iter()
            .flatten()
            .filter_map(|place| self.rows.get(*place))
    }
}
