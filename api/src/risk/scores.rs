//! How well each day was forecast: judged once it is over, newest first, as far back as four weeks after a start.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use riskgrid_analytics::permission::Permission;
use riskgrid_analytics::risk::RiskEngine;
use riskgrid_analytics::risk::evaluation::{DayScore, scores_of_day};
use riskgrid_analytics::tables::stored::{Column, Pages, StoredTable, Values};
use riskgrid_ingest::grid::{GridReader, GridSnapshot, Span, Step};
use tokio::task::JoinHandle;

/// Whole days that are judged after a start.
const DAYS_BACK: usize = 28;
/// Rows that are kept: those of a year of sixteen layers.
const MOST_ROWS: usize = 366 * 16 * 5;
/// Between two days that are judged.
const PAUSE: Duration = Duration::from_secs(1);
/// Where there is none to judge.
const LOOK: Duration = Duration::from_secs(30);

/// The rows of `forecast_scores`.
#[derive(Debug, Default)]
pub struct Scores {
    rows: RwLock<Arc<Vec<DayScore>>>,
}

impl Scores {
    /// Judges days until the task is aborted.
    pub(crate) fn follow(engine: RiskEngine, reader: GridReader) -> (Arc<Self>, JoinHandle<()>) {
        let scores = Arc::new(Self::default());
        let task = tokio::spawn(judge_days(Arc::clone(&scores), engine, reader));
        (scores, task)
    }

    /// All that are known.
    pub fn rows(&self) -> Arc<Vec<DayScore>> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, scores: Vec<DayScore>) {
        let mut rows = self.rows().as_ref().clone();
        rows.extend(scores);
        rows.sort_by(|a, b| b.day.cmp(&a.day).then_with(|| a.layer.cmp(&b.layer)));
        rows.truncate(MOST_ROWS);
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rows);
    }
}

async fn judge_days(scores: Arc<Scores>, engine: RiskEngine, reader: GridReader) {
    let mut judged: Vec<(String, Span)> = Vec::new();
    loop {
        let snapshot = reader.snapshot();
        let next = engine
            .model()
            .layers
            .iter()
            .find_map(|layer| Some((layer.id.clone(), next_day(&snapshot, &layer.id, &judged)?)));
        let Some((layer, day)) = next else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        judged.push((layer.clone(), day));
        // It makes surfaces of its own, and they are as those of a server that begins on that day.
        let mut engine = engine.clone();
        let made = tokio::task::spawn_blocking(move || scores_of_day(&mut engine, &snapshot, &layer, day));
        match made.await {
            Ok(rows) => scores.add(rows),
            Err(error) if error.is_cancelled() => return,
            Err(error) => tracing::error!(%error, "a day's forecast could not be judged"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The newest local day that is over, complete and not judged.
fn next_day(snapshot: &GridSnapshot, layer: &str, judged: &[(String, Span)]) -> Option<Span> {
    let index = snapshot.layers.find(layer)?;
    let first = snapshot.totals(index)?.first_time;
    let complete_to = snapshot.clock_of(index)?.complete_to?;
    let calendar = &snapshot.calendar;
    let mut end = calendar.span(Step::Day, complete_to).start;
    for _ in 0..DAYS_BACK {
        let day = calendar.span(Step::Day, end.plus(-1));
        if day.start <= first {
            return None;
        }
        if !judged.iter().any(|(of, known)| of == layer && *known == day) {
            return Some(day);
        }
        end = day.start;
    }
    None
}

/// The table, for one query: the layers that are seen, by those who see all places, as a score is of all of them.
pub(crate) fn scores_table(scores: &Scores, seen: &Permission) -> StoredTable<DayScore> {
    let mut rows = scores.rows().as_ref().clone();
    rows.retain(|score| seen.admits_place(None) && seen.admits_layer(Some(&score.layer)));
    StoredTable::new("forecast_scores", columns(), move |_| pages(rows.clone()))
}

fn pages(rows: Vec<DayScore>) -> Pages<DayScore> {
    futures::stream::iter([Ok(rows)]).boxed()
}

fn columns() -> Vec<Column<DayScore>> {
    let column = |name, comment, values| Column {
        name,
        comment,
        values,
    };
    let number = |name, comment, of: fn(&DayScore) -> f64| column(name, comment, Values::Number(of));
    vec![
        column("day", "start of the local day", Values::Time(|score| score.day)),
        column("layer", "id of the layer", Values::Text(|score| &score.layer)),
        column(
            "method",
            "risk, forecast, long_run_mean (the one to beat), last_week or even",
            Values::Text(|score| score.method.as_str()),
        ),
        column(
            "horizon_seconds",
            "how far each forecast looked",
            Values::Whole(|score| score.horizon / 1_000_000),
        ),
        column(
            "cells",
            "cells to choose from",
            Values::Whole(|score| score.cells as i64),
        ),
        number("events", "events of the day", |score| score.summary.events),
        number(
            "hit_rate_1",
            "share of the events in the 1 % of the cells that rank highest",
            |score| score.summary.hit_rate[0],
        ),
        number("hit_rate_5", "likewise in 5 %", |score| score.summary.hit_rate[1]),
        number("hit_rate_10", "likewise in 10 %", |score| {
            score.summary.hit_rate[2]
        }),
        number("pai_5", "hit_rate_5 over the share of cells", |score| {
            score.summary.accuracy[1]
        }),
        number("pei_5", "hits over the most that was possible, at 5 %", |score| {
            score.summary.efficiency[1]
        }),
        number(
            "ig",
            "information gain: nats per event over even shares",
            |score| score.summary.gain,
        ),
        number("log_score", "Poisson log score with totals, per event", |score| {
            score.summary.log_score
        }),
    ]
}
