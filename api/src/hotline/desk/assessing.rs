//! Freezing months, and how offices did in one: as it was frozen, and as it would be now.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;

use riskgrid_analytics::hotline::assessment::{
    AssessedUnit, Assessment, Month, OfficeRates, frozen_csv, sha256_hex,
};
use riskgrid_analytics::hotline::calendar::Calendar;
use riskgrid_analytics::hotline::published::{SUPPRESSED_BELOW, published_table};
use riskgrid_ingest::{DAY, EventTime, HOUR, SECOND};
use serde_json::{Value, json};

use super::shown::shown_in;
use super::units::{row_of, unit_of};
use super::{Desk, Officer};
use crate::hotline::store::{
    FrozenMonth, StoreError, assessed_of, begin_month, cases_of, end_month, frozen_month, insert_assessed,
    next_due,
};
use crate::problem::Problem;

/// Cases that are read at once.
const READ_AT_ONCE: usize = 500;
/// While another system's past is being read, its months are not whole. They are taken to be once nothing came for so long.
const QUIET: i64 = 10 * SECOND;
/// What another system did so long ago is its past.
pub(super) const PAST: i64 = DAY;
/// The earliest and the latest that a month begins anywhere, before and after it does in UTC.
const EAST: i64 = 14 * HOUR;
const WEST: i64 = 12 * HOUR;

/// A month that is frozen, as somebody sees it.
#[derive(Clone, Debug)]
pub struct SeenMonth {
    frozen: FrozenMonth,
    units: Vec<AssessedUnit>,
    /// As of now, where that was asked for.
    restated: Option<Vec<AssessedUnit>>,
}

impl Desk {
    /// Freezes the months whose time has come: how many.
    ///
    /// # Errors
    /// The database's: they are frozen later.
    pub async fn freeze_months(&self) -> Result<usize, Problem> {
        let now = (self.clock)();
        if now - self.past_came_at.load(Ordering::Relaxed) < QUIET {
            return Ok(0);
        }
        let (_, calendar) = self.data().calendar(&self.settings.duty_calendar);
        let mut count = 0;
        for month in self.months_with_dues(now).await? {
            let Some(frozen_at) = self.freezing_of(month, &calendar) else {
                continue;
            };
            if frozen_at <= now && self.freeze(month, frozen_at).await? {
                count += 1;
            }
        }
        Ok(count)
    }

    /// The months in which a `handle` is due that was before `now`, but those that are frozen.
    async fn months_with_dues(&self, now: i64) -> Result<BTreeSet<Month>, StoreError> {
        let mut reader = self.reader().await?;
        let mut months = BTreeSet::new();
        let mut after = i64::MIN;
        while let Some(due) = next_due(&mut reader, after).await?.filter(|due| *due <= now) {
            // Nobody knows of which zone it is before it is read.
            for at in [due - 1 - WEST, due - 1 + EAST] {
                months.insert(Month::of_date(EventTime::from_micros(at).to_utc().date_naive()));
            }
            let here = Month::of_date(EventTime::from_micros(due - 1 - WEST).to_utc().date_naive());
            let next = here.next().and_time(chrono::NaiveTime::MIN).and_utc();
            after = due.max(EventTime::from(next).micros() + WEST);
        }
        let mut left = BTreeSet::new();
        for month in months {
            if frozen_month(&mut reader, &month.to_string()).await?.is_none() {
                left.insert(month);
            }
        }
        Ok(left)
    }

    fn freezing_of(&self, month: Month, calendar: &Calendar) -> Option<i64> {
        let at = month.frozen_at(calendar, self.settings.freeze_on);
        at.ok().map(EventTime::micros)
    }

    /// Freezes a month as it was at `frozen_at`, in one transaction: whether it did. Of several nodes that come to it at once one
    /// does, for the others wait for its row of the month.
    async fn freeze(&self, month: Month, frozen_at: i64) -> Result<bool, Problem> {
        let units = self.units_of(month, frozen_at).await?;
        if units.is_empty() {
            return Ok(false);
        }
        let name = month.to_string();
        let mut transaction = self.database.begin().await?;
        if !begin_month(&mut transaction, &name, frozen_at).await? {
            return Ok(false);
        }
        for unit in &units {
            insert_assessed(&mut transaction, &row_of(month, unit)).await?;
        }
        let rows = assessed_of(&mut transaction, &name).await?;
        let stored: Vec<AssessedUnit> = rows.iter().map(unit_of).collect();
        let sha256 = sha256_hex(&frozen_csv(month, &stored));
        end_month(&mut transaction, &name, &sha256).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        tracing::info!(month = name, units = stored.len(), "a month is frozen");
        Ok(true)
    }

    /// A month that is frozen, as far as an officer sees its cases.
    ///
    /// # Errors
    /// 404: it is not frozen.
    pub async fn month_seen_by(
        &self,
        officer: &Officer,
        month: Month,
        is_restated: bool,
    ) -> Result<SeenMonth, Problem> {
        let (frozen, units) = self.month_of(month).await?;
        let restated = if is_restated {
            Some(self.units_of(month, (self.clock)().saturating_add(1)).await?)
        } else {
            None
        };
        let restated = match restated {
            Some(units) => Some(self.seen_units(officer, units).await?),
            None => None,
        };
        Ok(SeenMonth {
            frozen,
            units: self.seen_units(officer, units).await?,
            restated,
        })
    }

    async fn month_of(&self, month: Month) -> Result<(FrozenMonth, Vec<AssessedUnit>), Problem> {
        let mut reader = self.reader().await?;
        let Some(frozen) = frozen_month(&mut reader, &month.to_string()).await? else {
            let (_, calendar) = self.data().calendar(&self.settings.duty_calendar);
            let now = (self.clock)();
            let when = match self.freezing_of(month, &calendar).filter(|at| *at > now) {
                Some(at) => format!("it is frozen at {}", shown_in(calendar.zone(), at)),
                None => {
                    "no case of it was due, or what it says still comes; ask again in a minute".to_owned()
                }
            };
            return Err(Problem::not_found(format!("{month} is not frozen: {when}")));
        };
        let rows = assessed_of(&mut reader, &frozen.month).await?;
        Ok((frozen, rows.iter().map(unit_of).collect()))
    }

    async fn seen_units(
        &self,
        officer: &Officer,
        units: Vec<AssessedUnit>,
    ) -> Result<Vec<AssessedUnit>, StoreError> {
        if officer.sees_all() {
            return Ok(units);
        }
        let mut seen: HashSet<String> = HashSet::new();
        let mut reader = self.reader().await?;
        for piece in units.chunks(READ_AT_ONCE) {
            let ids: Vec<&str> = piece.iter().map(|unit| unit.case.as_str()).collect();
            let cases = cases_of(&mut reader, &ids).await?;
            let places = cases
                .iter()
                .filter(|case| officer.sees_place(&case.layer, case.position()));
            seen.extend(places.map(|case| case.id.clone()));
        }
        // Whose unit it is counts, and not who has the case now.
        let is_seen = |unit: &AssessedUnit| {
            let is_of_office = officer.offices.is_empty() || officer.works_in(&unit.office);
            is_of_office && seen.contains(&unit.case)
        };
        Ok(units.into_iter().filter(is_seen).collect())
    }

    /// What everybody may know of a month.
    ///
    /// # Errors
    /// 404: it is not frozen.
    pub async fn public_rates(&self, month: Month) -> Result<Value, Problem> {
        let (_, units) = self.month_of(month).await?;
        let counts = Assessment::rating_counts(&units);
        let (offices, cells): (Vec<&String>, Vec<Vec<u64>>) = counts
            .iter()
            .map(|(office, counts)| (office, counts.to_vec()))
            .unzip();
        let table = published_table(&cells, SUPPRESSED_BELOW);
        let assessment = Assessment::of(&units);
        let rates = offices.iter().enumerate().map(|(row, office)| {
            let is_open = table.as_ref().is_some_and(|table| table.is_row_open(row));
            let rates = assessment.offices.get(*office).filter(|_| is_open);
            public_rates_of(office, rates)
        });
        let rates: Vec<Value> = rates.collect();
        let table = table.map(|table| {
            json!({
                "offices": offices, "classes": [1, 2, 3, 4, 5], "cells": table.cells, "row_totals": table.row_totals,
                "column_totals": table.column_totals, "total": table.total,
            })
        });
        Ok(json!({"month": month.to_string(), "table": table, "rates": rates}))
    }
}

/// The rates of an office that may be told: of enough, and nothing of it hidden.
fn public_rates_of(office: &str, rates: Option<&OfficeRates>) -> Value {
    let mut shown = json!({"office": office});
    let none = OfficeRates::default();
    for (name, rate) in rates.unwrap_or(&none).rates() {
        shown[name] = if rate.of >= SUPPRESSED_BELOW {
            json!(rate)
        } else {
            Value::Null
        };
    }
    shown
}

fn offices_of(assessment: &Assessment) -> Vec<Value> {
    let offices = assessment.offices.iter().map(|(office, rates)| {
        let mut shown = json!(rates);
        shown["office"] = json!(office);
        shown
    });
    offices.collect()
}

impl SeenMonth {
    /// As JSON.
    pub fn shown(&self, desk: &Desk) -> Value {
        let (_, calendar) = desk.data().calendar(&desk.settings.duty_calendar);
        let assessment = Assessment::of(&self.units);
        let mut shown = json!({
            "month": self.frozen.month, "frozen_at": shown_in(calendar.zone(), self.frozen.frozen_at),
            "sha256": self.frozen.sha256, "offices": offices_of(&assessment), "city": assessment.city,
        });
        if let Some(restated) = &self.restated {
            let assessment = Assessment::of(restated);
            shown["restated"] = json!({"offices": offices_of(&assessment), "city": assessment.city});
        }
        shown
    }

    /// Its rows as text: those that are frozen, or as of now where that was asked for.
    pub fn csv(&self, month: Month) -> String {
        frozen_csv(month, self.restated.as_ref().unwrap_or(&self.units))
    }
}
