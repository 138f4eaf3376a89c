//! Composites: what the alerts of their members come to, at one cell, in one area, or anywhere.

use std::collections::{BTreeMap, BTreeSet};

use h3o::{CellIndex, Resolution};
use riskgrid_analytics::rules::{By, Composite, InstanceKey, Judged, Members, Row, Rule, Verdict};
use riskgrid_ingest::EventTime;
use riskgrid_ingest::grid::GridSnapshot;

use super::sums::is_in;
use super::times::micros;
use crate::alerts::store::MemberAlert;

/// Cells of a finer resolution than an alert's own that it stands for; of more it stands for none.
const MOST_CELLS: u64 = 2_401;

/// The rows of a composite at `now`, and the newest time at which anything of them changed.
pub(super) fn rows_of(
    rule: &Rule,
    composite: &Composite,
    alerts: &[MemberAlert],
    snapshot: &GridSnapshot,
    now: EventTime,
) -> (Option<EventTime>, Vec<Row>) {
    let within = micros(composite.within);
    let mut newest = None;
    // Of each instance the members that have an alert there.
    let mut members: BTreeMap<InstanceKey, (Option<u64>, BTreeSet<&str>)> = BTreeMap::new();
    for alert in alerts {
        let counts_until = alert
            .resolved_at
            .map(|ended| EventTime::from_micros(ended).plus(within));
        let changed = match counts_until {
            Some(until) if until <= now => until,
            _ => EventTime::from_micros(alert.fired_at),
        };
        newest = newest.max(Some(changed));
        // Less than `within` ago.
        if counts_until.is_some_and(|until| until <= now) {
            continue;
        }
        for (key, cell) in places_of(composite, alert, snapshot) {
            let is_within = cell.is_none_or(|cell| is_in(&snapshot.places, &rule.areas, cell));
            if is_within {
                let known = members.entry(key).or_insert_with(|| (cell, BTreeSet::new()));
                known.1.insert(&alert.rule);
            }
        }
    }
    let needed = match &composite.members {
        Members::All(names) => names.len(),
        Members::Any(_) => 1,
    };
    let rows = members.into_iter().map(|(key, (cell, found))| {
        let is_over = found.len() >= needed;
        Row {
            key,
            cell,
            judged: Some(Judged {
                verdict: if is_over { Verdict::Over } else { Verdict::Clear },
                value: found.len() as f64,
            }),
        }
    });
    (newest, rows.collect())
}

/// The instances of a composite that an alert stands for.
fn places_of(
    composite: &Composite,
    alert: &MemberAlert,
    snapshot: &GridSnapshot,
) -> Vec<(InstanceKey, Option<u64>)> {
    match composite.by {
        By::None => vec![(InstanceKey::Text("".into()), None)],
        By::Area => {
            let level = composite.level.as_deref();
            let areas = &snapshot.places.areas;
            // An alert of an area rule lies in that area.
            let own = (alert.cell.is_none()).then(|| alert.instance.clone());
            let ids = alert.areas.iter().chain(&own);
            ids.filter(|id| areas.get(id).is_some_and(|area| Some(&*area.level) == level))
                .map(|id| (InstanceKey::Text(id.as_str().into()), None))
                .collect()
        }
        By::Cell => {
            let Some(cell) = alert.cell.and_then(|cell| CellIndex::try_from(cell).ok()) else {
                return Vec::new();
            };
            let resolution = composite
                .resolution
                .and_then(|resolution| Resolution::try_from(resolution).ok());
            let resolution = resolution.unwrap_or(snapshot.resolution);
            let key = |cell: CellIndex| (InstanceKey::Cell(cell.into()), Some(u64::from(cell)));
            if resolution <= cell.resolution() {
                // By its centre: the parent may be another cell.
                return vec![key(h3o::LatLng::from(cell).to_cell(resolution))];
            }
            if cell.children_count(resolution) > MOST_CELLS {
                return Vec::new();
            }
            cell.children(resolution).map(key).collect()
        }
    }
}
