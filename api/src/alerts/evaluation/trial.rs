//! What a rule would say: of the present state (a dry run), and of the past as it is kept (a back-test). Nothing is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::rules::{
    Expected, Instances, Judged, Of, Row, Rule, Transition, TransitionKind, Verdict, What,
};
use riskgrid_ingest::grid::{CellSet, GridSnapshot};
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};
use serde_json::{Value, json};

use super::clocks::Clocks;
use super::sums::{Levels, Scan, Summed, absent};
use super::times::micros;
use super::{QueryFailure, composite, queries, surface};
use crate::alerts::Alerting;
use crate::alerts::store::DecisionsError;

/// Instances that an answer lists.
const MOST_LISTED: usize = 1_000;
/// How long a back-test may take.
const LONGEST: Duration = Duration::from_mins(2);

/// Why a trial could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// The rule's query failed.
    #[error(transparent)]
    Query(#[from] QueryFailure),
    /// What is asked cannot be tried.
    #[error("{0}")]
    Impossible(String),
    /// It would take longer than it may.
    #[error(
        "it ran longer than {}; ask for a shorter span, or give the rule a longer `every`",
        humantime::format_duration(LONGEST)
    )]
    TooLong,
    /// The database.
    #[error(transparent)]
    Decisions(#[from] DecisionsError),
}

/// What the rule finds now.
pub(crate) async fn dry_run(alerting: &Alerting, rule: &Rule) -> Result<Value, TrialError> {
    let Some(snapshot) = alerting.snapshot() else {
        return Err(TrialError::Impossible(
            "the grid is not there yet; try again".to_owned(),
        ));
    };
    let clocks = Clocks {
        wall: EventTime::from_micros((alerting.clock)()),
        is_caught_up: alerting.is_caught_up(&snapshot),
        patience: alerting.sight().map(|sight| sight.patience).unwrap_or_default(),
    };
    let rows = rows_now(alerting, &snapshot, &clocks, rule).await?;
    let over: Vec<&Row> = rows.iter().filter(|row| is_over(row)).collect();
    let listed = over.iter().take(MOST_LISTED).map(|row| {
        json!({"instance": row.key.text(), "cell": row.cell.map(|cell| format!("{cell:x}")),
            "value": row.judged.map(|judged| judged.value)})
    });
    let (firing, pending) = if rule.hold.is_zero() {
        (over.len(), 0)
    } else {
        (0, over.len())
    };
    Ok(
        json!({"rule": rule, "instances": rows.len(), "over": listed.collect::<Vec<Value>>(),
        "would": {"firing": firing, "pending": pending}}),
    )
}

fn is_over(row: &Row) -> bool {
    row.judged.is_some_and(|judged| judged.verdict == Verdict::Over)
}

async fn rows_now(
    alerting: &Alerting,
    snapshot: &Arc<GridSnapshot>,
    clocks: &Clocks,
    rule: &Rule,
) -> Result<Vec<Row>, TrialError> {
    let bucket = snapshot.calendar.bucket();
    match &rule.what {
        What::Threshold(threshold) => {
            let Some(scan) = Scan::of(rule) else {
                return Ok(sensors_now(snapshot, rule));
            };
            let Some(index) = snapshot.layers.find(&scan.layer) else {
                return Ok(Vec::new());
            };
            let Some(layer) = snapshot.layers.get(index) else {
                return Ok(Vec::new());
            };
            let Some(times) = clocks.of(snapshot, &layer.domain) else {
                return Ok(Vec::new());
            };
            let every = threshold.every.map_or(bucket, micros);
            // With what there is of the open bucket, where that only grows.
            let at = if threshold.only_grows_over() {
                times.newest.max(times.complete_to).ceil(every)
            } else {
                times.complete_to.floor(every)
            };
            let everywhere = CellSet::all();
            let seen = rule.seen.cells().unwrap_or(&everywhere);
            let mut levels = Levels::default();
            let summed = Summed::new(snapshot, (index, layer), &scan, seen, &mut levels, at);
            Ok(summed.all_rows(rule, threshold))
        }
        What::Sql(watch) => {
            let sight = alerting.sight().ok_or_else(not_yet)?;
            let at = clocks
                .of(snapshot, &watch.domain)
                .map_or(clocks.wall, |times| times.complete_to);
            let at = at.floor(watch.every.map_or(bucket, micros));
            Ok(queries::rows_of(sight, snapshot, rule, watch, at).await?)
        }
        What::Risk(watch) => {
            let sight = alerting.sight().ok_or_else(not_yet)?;
            let permission = rule.seen.permission().map(|permission| &**permission);
            let newest = (sight.surface)(permission);
            let found = newest.and_then(|newest| surface::rows_of(&newest, rule, watch, &snapshot.places));
            Ok(found.map(|(_, _, rows)| rows).unwrap_or_default())
        }
        What::Composite(of) => {
            let now = clocks
                .of(snapshot, LIVE_DOMAIN)
                .map_or(clocks.wall, |times| times.now);
            let since = now.plus(-micros(of.within)).micros();
            let alerts = alerting
                .decisions
                .alerts_of_members(of.members.names(), since)
                .await?;
            Ok(composite::rows_of(rule, of, &alerts, snapshot, now).1)
        }
        What::NoData(of) => {
            let (Expected::Fixed(limit), Of::Sensor) = (of.expected, of.of) else {
                return Err(TrialError::Impossible(
                    "what a rule on silence learns is not known before it listens; give `expected` a duration to try it"
                        .to_owned(),
                ));
            };
            let layer = of.layer.as_deref().unwrap_or_default();
            let rows = snapshot
                .sensors()
                .into_iter()
                .filter(|(key, _)| *key.scope == *layer);
            let rows = rows.filter_map(|(key, sensor)| {
                let reading = sensor.reading?;
                let silent = clocks.wall.since(reading.time);
                let is_silent = silent > micros(limit) && silent <= micros(of.forget);
                Some(Row {
                    key: riskgrid_analytics::rules::InstanceKey::Text(key.name.clone()),
                    cell: Some(reading.value.0.cell),
                    judged: Some(Judged {
                        verdict: if is_silent { Verdict::Over } else { Verdict::Clear },
                        value: silent as f64 / 1e6,
                    }),
                })
            });
            Ok(rows.collect())
        }
    }
}

fn not_yet() -> TrialError {
    TrialError::Impossible("the server is not ready yet; try again".to_owned())
}

/// The newest readings of the rule's layer.
fn sensors_now(snapshot: &GridSnapshot, rule: &Rule) -> Vec<Row> {
    let (Some(sensors), Some(limit)) = (rule.what.on_sensors(), rule.what.limit()) else {
        return Vec::new();
    };
    let scale = snapshot
        .layers
        .find(&sensors.layer)
        .and_then(|index| snapshot.layers.get(index))
        .map(|layer| layer.scale());
    let Some(scale) = scale else { return Vec::new() };
    let of_layer = snapshot
        .sensors()
        .into_iter()
        .filter(|(key, _)| *key.scope == *sensors.layer);
    let rows = of_layer.filter_map(|(key, sensor)| {
        let (place, units) = sensor.reading?.value;
        let value = scale.value(units as f64);
        let is_within = super::sums::is_in(&snapshot.places, &rule.areas, place.cell)
            && rule.seen.admits(Some(&sensors.layer), Some(place.cell));
        is_within.then(|| Row {
            key: riskgrid_analytics::rules::InstanceKey::Text(key.name.clone()),
            cell: Some(place.cell),
            judged: Some(Judged {
                verdict: limit.judge(value),
                value,
            }),
        })
    });
    rows.collect()
}

/// Beginning and end of a span that holds events.
type Filled = (EventTime, EventTime);

/// One alert that would have been.
#[derive(Clone, Debug)]
struct Episode {
    instance: String,
    cell: Option<u64>,
    fired_at: EventTime,
    ended_at: Option<EventTime>,
    value: f64,
    peak: f64,
}

/// What really happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) at: EventTime,
    pub(crate) cell: u64,
}

/// What a rule on cells or areas would have said between two times, of what is kept of them.
pub(crate) fn back_test(
    snapshot: &GridSnapshot,
    rule: &Rule,
    (from, to): (EventTime, EventTime),
    truth: Option<&[Truth]>,
) -> Result<Value, TrialError> {
    let (What::Threshold(threshold), Some(scan)) = (&rule.what, Scan::of(rule)) else {
        return Err(TrialError::Impossible(
            "a back-test plays sums of the grid again: thresholds per cell and per area; of sensors single readings are not kept"
                .to_owned(),
        ));
    };
    let index = snapshot.layers.find(&scan.layer);
    let layer = index.and_then(|index| Some((index, snapshot.layers.get(index)?)));
    let Some((index, layer)) = layer else {
        return Err(TrialError::Impossible(format!(
            "there is no layer `{}`",
            scan.layer
        )));
    };
    let every = threshold.every.map_or(snapshot.calendar.bucket(), micros);
    let window = micros(scan.window);
    let everywhere = CellSet::all();
    let seen = rule.seen.cells().unwrap_or(&everywhere);
    let mut levels = Levels::default();
    let mut state = Instances::new();
    let mut episodes: Vec<Episode> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let (mut evaluations, mut skipped) = (0_u64, 0_u64);
    let begun = Instant::now();
    let filled = filled_spans(snapshot, index, from.plus(-window), to);
    let mut at = from.ceil(every);
    let mut rows_before: Option<(Vec<Filled>, Vec<Row>)> = None;
    while at <= to {
        if evaluations.is_multiple_of(1_024) && begun.elapsed() > LONGEST {
            return Err(TrialError::TooLong);
        }
        let start = at.plus(-window);
        let span = snapshot.snap(index, start, at);
        if (span.start, span.end) != (start, at) {
            // No kept steps fit it.
            skipped += 1;
            at = at.plus(every);
            continue;
        }
        evaluations += 1;
        let within = filled_within(&filled, start, at);
        let is_idle = within.is_empty() && state.instances() == 0;
        if !is_idle {
            let is_same = rows_before.as_ref().is_some_and(|(before, _)| *before == within);
            if !is_same {
                let summed = Summed::new(snapshot, (index, layer), &scan, seen, &mut levels, at);
                rows_before = Some((within.to_vec(), summed.all_rows(rule, threshold)));
            }
            let rows = rows_before
                .as_ref()
                .map(|(_, rows)| rows.clone())
                .unwrap_or_default();
            for row in &rows {
                if let (Some(place), Some(judged)) = (open.get(&*row.key.text()), row.judged)
                    && let Some(episode) = episodes.get_mut(*place)
                {
                    let is_worse = threshold.limit.comparison.is_upward() == (judged.value > episode.peak);
                    if is_worse {
                        episode.peak = judged.value;
                    }
                }
            }
            let evaluated = state.evaluate(rule, rows, absent(threshold), at);
            note(&evaluated.transitions, &mut episodes, &mut open);
            state.forget_past(&rule.id, at);
        }
        at = at.plus(every);
    }
    let days = to.since(from) as f64 / 86_400e6;
    let listed = episodes.iter().take(MOST_LISTED * 10).map(|episode| {
        json!({"instance": episode.instance, "cell": episode.cell.map(|cell| format!("{cell:x}")),
            "fired_at": episode.fired_at.to_string(), "ended_at": episode.ended_at.map(|at| at.to_string()),
            "value": episode.value, "peak": episode.peak})
    });
    let per_year = if days > 0.0 {
        episodes.len() as f64 * 365.25 / days
    } else {
        0.0
    };
    let listed: Vec<Value> = listed.collect();
    Ok(
        json!({"evaluations": evaluations, "skipped": skipped, "knowledge": "final", "episodes": listed, "days": days,
        "per_year": per_year, "budget_per_year": null, "truth": truth.map(|truth| compared(&episodes, truth))}),
    )
}

/// The spans that hold any event of a layer, ascending.
fn filled_spans(
    snapshot: &GridSnapshot,
    index: riskgrid_ingest::LayerIndex,
    from: EventTime,
    to: EventTime,
) -> Vec<Filled> {
    let slices = snapshot.slices(index, riskgrid_ingest::grid::StartsWithin::ALL);
    let spans = slices
        .iter()
        .filter(|slice| slice.rows() > 0 && slice.span.start < to && slice.span.end > from);
    spans.map(|slice| (slice.span.start, slice.span.end)).collect()
}

fn filled_within(filled: &[Filled], start: EventTime, end: EventTime) -> &[Filled] {
    let first = filled.partition_point(|(_, until)| *until <= start);
    let last = filled.partition_point(|(from, _)| *from < end);
    filled.get(first..last).unwrap_or_default()
}

fn note(transitions: &[Transition], episodes: &mut Vec<Episode>, open: &mut BTreeMap<String, usize>) {
    for transition in transitions {
        if transition.kind == TransitionKind::Firing {
            open.insert(transition.instance.clone(), episodes.len());
            episodes.push(Episode {
                instance: transition.instance.clone(),
                cell: transition.cell,
                fired_at: transition.at,
                ended_at: None,
                value: transition.value,
                peak: transition.value,
            });
        } else if let Some(episode) = open
            .remove(&transition.instance)
            .and_then(|place| episodes.get_mut(place))
        {
            episode.ended_at = Some(transition.at);
        }
    }
}

/// A hit: an episode within one ring and an hour of what happened.
fn compared(episodes: &[Episode], truth: &[Truth]) -> Value {
    const NEAR: i64 = 3_600_000_000;
    let is_near = |episode: &Episode, truth: &Truth| {
        let cells = episode.cell.and_then(|cell| h3o::CellIndex::try_from(cell).ok());
        let cells = cells.zip(h3o::CellIndex::try_from(truth.cell).ok());
        let begins = episode.fired_at.plus(-NEAR) <= truth.at;
        let ends = episode.ended_at.is_none_or(|ended| truth.at <= ended.plus(NEAR));
        begins
            && ends
            && cells.is_some_and(|(own, other)| {
                let other = h3o::LatLng::from(other).to_cell(own.resolution());
                own.grid_disk_safe(1).any(|near| near == other)
            })
    };
    let mut leads: Vec<f64> = Vec::new();
    let mut missed = 0_u64;
    for one in truth {
        let first = episodes
            .iter()
            .filter(|episode| is_near(episode, one))
            .map(|episode| episode.fired_at)
            .min();
        match first {
            Some(first) => leads.push(one.at.since(first) as f64 / 1e6),
            None => missed += 1,
        }
    }
    let false_alarms = episodes
        .iter()
        .filter(|episode| !truth.iter().any(|one| is_near(episode, one)))
        .count();
    leads.sort_unstable_by(f64::total_cmp);
    let lead = leads.get(leads.len() / 2).copied();
    json!({"hits": leads.len(), "missed": missed, "false": false_alarms, "lead_s": lead})
}

/// What really happened, as somebody's query tells: its columns `time` and `cell`.
pub(crate) async fn truth_of(
    alerting: &Alerting,
    snapshot: &Arc<GridSnapshot>,
    (permission, who): (&Arc<Permission>, &str),
    sql: &str,
) -> Result<Vec<Truth>, TrialError> {
    let sight = alerting.sight().ok_or_else(not_yet)?;
    let rows = queries::objects_of(sight, snapshot, (permission, who), sql).await?;
    let read = rows.iter().map(|row| {
        let at = row
            .get("time")
            .and_then(Value::as_str)
            .and_then(EventTime::parse_rfc3339);
        let cell = row
            .get("cell")
            .and_then(Value::as_str)
            .and_then(|cell| cell.parse::<h3o::CellIndex>().ok());
        let (at, cell) = at.zip(cell)?;
        Some(Truth {
            at,
            cell: cell.into(),
        })
    });
    read.collect::<Option<Vec<Truth>>>().ok_or_else(|| {
        TrialError::Impossible("`truth` must give the columns time and cell, neither of them NULL".to_owned())
    })
}
