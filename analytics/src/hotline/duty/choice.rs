//! The row that fits a case best, and why it does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use riskgrid_ingest::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::rows::{DutyRow, DutyTable, Hours, Subject};
use crate::hotline::CaseKind;

/// How many rows that lost are told.
const MOST_BEATEN: usize = 5;

/// Which condition is looked at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What a case is about: "by duty".
    #[default]
    Duty,
    /// Where it lies.
    Area,
}

/// What rows look at.
#[derive(Clone, Copy, Debug)]
pub struct DutyFacts<'a> {
    /// The case's layer.
    pub layer: &'a str,
    /// The hazard group of its layer.
    pub group: Option<&'a str>,
    /// What the caller wants.
    pub kind: CaseKind,
    /// By which way it came.
    pub channel: &'a str,
    /// The areas that it lies in, each with its level from the top: 1 a city, 4 a community grid.
    pub areas: &'a [(String, u8)],
    /// Whether it was reported while the hotline's calendar is open.
    pub hours: Hours,
    /// When it is dispatched.
    pub at: EventTime,
    /// Offices that returned it.
    pub excluded: &'a [String],
    /// How often it came back.
    pub returns: u32,
}

/// A row that fits and lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beaten {
    /// Its id.
    pub rule: String,
    /// The first condition by which it did.
    pub lost_at: &'static str,
}

/// The row that a case gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The row.
    pub row: &'a DutyRow,
    /// Category, area, kind, channel, hours: how narrow it is by each.
    pub specificity: [u8; 5],
    /// It was asked because no other fits, or the case came back too often; its office cannot return it.
    pub by_fallback: bool,
    /// The best of those that lost.
    pub beaten: Vec<Beaten>,
}

/// The place of a row among those that fit: the largest is taken.
type Rank<'a> = ([u8; 5], i64, Reverse<&'a str>);

impl DutyTable {
    /// The best row: after `most_returns` returns, or where nothing fits, the best fallback. `None`: no office.
    pub fn choose(&self, case: &DutyFacts<'_>, order: Order, most_returns: u32) -> Option<Choice<'_>> {
        let mut fitting: Vec<(Rank<'_>, &DutyRow)> = self
            .fitting(case)
            .map(|(level, row)| (rank(row, level, order), row))
            .collect();
        fitting.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        let is_first_hand = |row: &DutyRow| !row.fallback && !case.excluded.contains(&row.office);
        let by_fallback = most_returns <= case.returns || !fitting.iter().any(|(_, row)| is_first_hand(row));
        fitting.retain(|(_, row)| {
            if by_fallback {
                row.fallback
            } else {
                is_first_hand(row)
            }
        });
        let (best, beaten) = fitting.split_first()?;
        let beaten = beaten.iter().take(MOST_BEATEN);
        Some(Choice {
            row: best.1,
            specificity: in_order(best.0.0, order),
            by_fallback,
            beaten: beaten
                .map(|(rank, row)| Beaten {
                    rule: row.id.clone(),
                    lost_at: lost_at(&best.0, rank, order),
                })
                .collect(),
        })
    }

    /// The rows that fit, each with the level of the area that it names.
    fn fitting(&self, case: &DutyFacts<'_>) -> impl Iterator<Item = (u8, &DutyRow)> {
        let subjects = [
            Some(Subject::Layer(case.layer.to_owned())),
            case.group.map(|group| Subject::Group(group.to_owned())),
            Some(Subject::Any),
        ];
        let named = case.areas.iter().map(|(id, level)| (Some(id.as_str()), *level));
        let areas: Vec<(Option<&str>, u8)> = std::iter::once((None, 0)).chain(named).collect();
        let (kind, channel, hours, at) = (case.kind, case.channel.to_owned(), case.hours, case.at);
        subjects
            .into_iter()
            .flatten()
            .flat_map(move |subject| {
                let of_areas: Vec<(u8, &DutyRow)> = areas
                    .iter()
                    .flat_map(|(area, level)| {
                        let rows = self.of_subject_and_area(subject.clone(), *area);
                        rows.map(|row| (*level, row))
                    })
                    .collect();
                of_areas
            })
            .filter(move |(_, row)| {
                row.kind.is_none_or(|wanted| wanted == kind)
                    && row.channel.as_ref().is_none_or(|wanted| *wanted == channel)
                    && row.hours.is_none_or(|wanted| wanted == hours)
                    && row.is_valid_at(at)
            })
    }
}

impl Choice<'_> {
    /// What is kept with the case, and answered to who asks why it is whose it is.
    pub fn why(&self, version: u64) -> Value {
        let row = self.row;
        let (layer, group) = match &row.subject {
            Subject::Any => (None, None),
            Subject::Group(group) => (None, Some(group.as_str())),
            Subject::Layer(layer) => (Some(layer.as_str()), None),
        };
        let matched: BTreeMap<&str, &str> = [
            ("layer", layer),
            ("group", group),
            ("area", row.area.as_deref()),
            ("kind", row.kind.map(CaseKind::as_str)),
            ("channel", row.channel.as_deref()),
            ("hours", row.hours.map(Hours::as_str)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        json!({
            "version": version,
            "rule": row.id,
            "matched": matched,
            "fallback": self.by_fallback,
            "beaten": self.beaten,
        })
    }
}

fn rank(row: &DutyRow, area_level: u8, order: Order) -> Rank<'_> {
    let category = match row.subject {
        Subject::Any => 0,
        Subject::Group(_) => 1,
        Subject::Layer(_) => 2,
    };
    let specificity = [
        category,
        area_level,
        u8::from(row.kind.is_some()),
        u8::from(row.channel.is_some()),
        u8::from(row.hours.is_some()),
    ];
    (
        in_order(specificity, order),
        row.priority,
        Reverse(row.id.as_str()),
    )
}

/// Category before area, or area before category; done twice it is as before.
const fn in_order(specificity: [u8; 5], order: Order) -> [u8; 5] {
    let [category, area, kind, channel, hours] = specificity;
    match order {
        Order::Duty => specificity,
        Order::Area => [area, category, kind, channel, hours],
    }
}

fn lost_at(best: &Rank<'_>, beaten: &Rank<'_>, order: Order) -> &'static str {
    let names = match order {
        Order::Duty => ["category", "area", "kind", "channel", "hours"],
        Order::Area => ["area", "category", "kind", "channel", "hours"],
    };
    let differs = best
        .0
        .iter()
        .zip(beaten.0)
        .position(|(best, beaten)| *best != beaten);
    match differs.and_then(|place| names.get(place)) {
        Some(name) => name,
        None if best.1 != beaten.1 => "priority",
        None => "id",
    }
}
