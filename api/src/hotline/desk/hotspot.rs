//! Whether a hotspot was solved: what was reported there before its alert and after its case was closed, beside the rings around it
//! and the rest of its district.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use h3o::{CellIndex, LatLng, Resolution};
use riskgrid_analytics::hotline::solved::{Outcome, WeeklyCounts, outcome};
use riskgrid_analytics::permission::Permission;
use riskgrid_ingest::grid::{GridSnapshot, Span};
use riskgrid_ingest::places::Places;
use riskgrid_ingest::{DAY, EventTime, LayerIndex, LayerKind};
use serde_json::{Value, json};

use super::Desk;
use super::reported::ALERT_SOURCE;
use super::who::Officer;
use crate::database::read_from_row;
use crate::hotline::store::{StoreError, case, case_id};
use crate::problem::Problem;

/// Weeks of each span.
const WEEKS: usize = 8;
const WEEK: i64 = 7 * DAY;
/// What is reported on the day after closing is of before.
const SETTLING: i64 = DAY;
/// Rings around the hotspot to which it may have gone.
const RINGS: u32 = 3;
/// What the level of areas is called that the rest of is compared; where none is, the second from the top.
const DISTRICT: &str = "district";

#[derive(Clone, Debug)]
struct Hotspot {
    rule_id: String,
    layer: String,
    cell: Option<i64>,
    fired_at: i64,
    evidence: String,
}

read_from_row!(Hotspot {
    rule_id,
    layer,
    cell,
    fired_at,
    evidence
});

struct Other {
    cell: i64,
}

read_from_row!(Other { cell });

/// What is compared: where, and when.
struct Compared {
    layer: LayerIndex,
    cell: CellIndex,
    rings: BTreeSet<CellIndex>,
    district: Option<Arc<str>>,
    hotspots: Vec<CellIndex>,
    before: Vec<Span>,
    after: Vec<Span>,
    seen: Arc<Permission>,
}

/// Reports a week.
#[derive(Default)]
struct Counts {
    here: [u64; WEEKS],
    around: [u64; WEEKS],
    elsewhere: [u64; WEEKS],
}

impl Hotspot {
    /// Where the window begins that raised it.
    fn window_start(&self) -> i64 {
        let evidence: Value = serde_json::from_str(&self.evidence).unwrap_or_default();
        let start = evidence["window"]["start"]
            .as_str()
            .and_then(EventTime::parse_rfc3339);
        start.map_or(self.fired_at, EventTime::micros)
    }
}

impl Desk {
    /// What became of the hotspot of an alert whose case is closed.
    ///
    /// # Errors
    /// 404: there is no such case, or none that the officer sees; 409: nothing can be said yet, or any more.
    pub async fn hotspot_outcome(
        &self,
        officer: &Officer,
        alert: &str,
        snapshot: Arc<GridSnapshot>,
    ) -> Result<Value, Problem> {
        let no_such = || Problem::not_found("no case was made of an alert of this id, or none that you see");
        let mut reader = self.reader().await?;
        let found = case(&mut reader, &case_id(ALERT_SOURCE, alert)).await?;
        let case = found.filter(|case| officer.sees(case)).ok_or_else(no_such)?;
        let hotspot: Option<Hotspot> =
            sqlx::query_as("SELECT rule_id, layer, cell, fired_at, evidence FROM alerts WHERE id = $1")
                .bind(alert)
                .fetch_optional(&mut *reader)
                .await
                .map_err(StoreError::from)?;
        let hotspot = hotspot.ok_or_else(no_such)?;
        let Some(closed_at) = case.closed_at.filter(|_| {
            let state = case.state.as_str();
            state == "closed" || state == "finished"
        }) else {
            return Err(Problem::conflict(
                "the case of this alert is not closed: there is no time after it yet",
            ));
        };
        let cell = hotspot
            .cell
            .and_then(|cell| CellIndex::try_from(cell.cast_unsigned()).ok());
        let layer = snapshot.layers.find(&hotspot.layer).filter(|index| {
            let layer = snapshot.layers.get(*index);
            layer.is_some_and(|layer| layer.kind == LayerKind::Report)
        });
        let (Some(cell), Some(layer)) = (cell, layer) else {
            return Err(Problem::conflict(
                "only alerts on cells of layers of reports are places whose reports can be counted",
            ));
        };
        let begun = hotspot.window_start();
        let spans = Spans::of(&snapshot, layer, begun, closed_at.saturating_add(SETTLING));
        let spans = spans.map_err(|why| Problem::conflict(why.detail(self)))?;
        if (self.clock)() < spans.after_end() {
            let at = self.data().local(self, spans.after_end());
            return Err(Problem::conflict(format!(
                "{WEEKS} weeks after closing are compared; ask again at {at}"
            )));
        }
        let others: Vec<Other> = sqlx::query_as(
            "SELECT cell FROM alerts WHERE rule_id = $1 AND cell IS NOT NULL AND
                ((fired_at < $2 AND (resolved_at IS NULL OR resolved_at >= $3))
                  OR (fired_at < $4 AND (resolved_at IS NULL OR resolved_at >= $5)))",
        )
        .bind(&hotspot.rule_id)
        .bind(spans.before_end())
        .bind(spans.before_start())
        .bind(spans.after_end())
        .bind(spans.after_start())
        .fetch_all(&mut *reader)
        .await
        .map_err(StoreError::from)?;
        drop(reader);
        let seen = officer.caller.identity.permission.clone().ok_or_else(no_such)?;
        let compared = Compared {
            layer,
            cell,
            rings: cell
                .grid_disk::<Vec<_>>(RINGS)
                .into_iter()
                .filter(|other| *other != cell)
                .collect(),
            district: district_of(&self.places, cell),
            hotspots: others
                .iter()
                .filter_map(|other| CellIndex::try_from(other.cell.cast_unsigned()).ok())
                .collect(),
            before: spans.before,
            after: spans.after,
            seen,
        };
        let places = Arc::clone(&self.places);
        let counted = tokio::task::spawn_blocking(move || {
            let mut is_elsewhere = HashMap::new();
            let before = compared.count(&snapshot, &places, &compared.before, &mut is_elsewhere);
            let after = compared.count(&snapshot, &places, &compared.after, &mut is_elsewhere);
            (compared, before, after)
        });
        let (compared, before, after) = counted.await.map_err(|error| Problem::internal(&error))?;
        let result = judged(&before, &after);
        let data = self.data();
        let local = |span: Option<&Span>, end: bool| {
            span.map(|span| data.local(self, if end { span.end } else { span.start }.micros()))
        };
        let span =
            |weeks: &[Span]| json!({"from": local(weeks.first(), false), "to": local(weeks.last(), true)});
        let mut shown = json!(result);
        shown["alert"] = json!(alert);
        shown["case"] = json!(case.id);
        shown["layer"] = json!(hotspot.layer);
        shown["cells"] = json!([compared.cell.to_string()]);
        shown["district"] = json!(compared.district);
        shown["before"] = span(&compared.before);
        shown["after"] = span(&compared.after);
        let weeks =
            |name: fn(&Counts) -> &[u64; WEEKS]| json!({"before": name(&before), "after": name(&after)});
        shown["weeks"] = json!({
            "here": weeks(|counts| &counts.here), "around": weeks(|counts| &counts.around),
            "elsewhere": weeks(|counts| &counts.elsewhere),
        });
        Ok(shown)
    }
}

fn judged(before: &Counts, after: &Counts) -> Outcome {
    let weekly = |name: fn(&Counts) -> &[u64; WEEKS]| WeeklyCounts {
        before: name(before),
        after: name(after),
    };
    outcome(
        weekly(|counts| &counts.here),
        weekly(|counts| &counts.around),
        weekly(|counts| &counts.elsewhere),
    )
}

/// The area whose other cells are compared: the smallest called a district that holds the cell's centre, else the one that lies in
/// an area that lies in none, else that one.
fn district_of(places: &Places, cell: CellIndex) -> Option<Arc<str>> {
    let centre = LatLng::from(cell);
    let areas = places.areas.areas_of([centre.lng(), centre.lat()]);
    let is_top = |id: &str| places.areas.get(id).is_some_and(|area| area.parent.is_none());
    let named = areas.iter().find(|area| &*area.level == DISTRICT);
    let second = || {
        let mut below = areas.iter();
        below.find(|area| area.parent.as_deref().is_some_and(is_top))
    };
    let top = || areas.iter().find(|area| area.parent.is_none());
    let district = named.or_else(second).or_else(top)?;
    Some(Arc::clone(&district.id))
}

/// Both spans, week by week, at the steps that the grid keeps.
struct Spans {
    before: Vec<Span>,
    after: Vec<Span>,
}

/// Why two spans cannot be compared.
enum NotKept {
    From(EventTime),
    Overlapping,
}

impl NotKept {
    fn detail(&self, desk: &Desk) -> String {
        match self {
            Self::From(at) => format!(
                "the grid keeps what was reported since {}; {WEEKS} weeks before the hotspot are compared",
                desk.data().local(desk, at.micros())
            ),
            Self::Overlapping => "the case was closed before the hotspot began".to_owned(),
        }
    }
}

impl Spans {
    /// The weeks before one time, ending at it or a step earlier, and those after another, beginning at it or a step later: what
    /// raised the hotspot, and the day after closing, are in neither.
    fn of(snapshot: &GridSnapshot, layer: LayerIndex, begun: i64, settled: i64) -> Result<Self, NotKept> {
        if settled < begun {
            return Err(NotKept::Overlapping);
        }
        let step_of = |at: i64| {
            let at = EventTime::from_micros(at);
            snapshot.snap(layer, at, at.plus(1))
        };
        let floor = |at: i64| step_of(at).start;
        let ceiling = |at: i64| {
            let step = step_of(at);
            if step.start.micros() == at {
                step.start
            } else {
                step.end
            }
        };
        let weeks = |edges: Vec<EventTime>| -> Vec<Span> {
            let pairs = edges.iter().zip(edges.iter().skip(1));
            pairs
                .map(|(start, end)| Span {
                    start: *start,
                    end: *end,
                })
                .collect()
        };
        let count = WEEKS as i64;
        let before: Vec<EventTime> = (0..=count)
            .map(|week| floor(begun - (count - week) * WEEK))
            .collect();
        let after: Vec<EventTime> = (0..=count).map(|week| ceiling(settled + week * WEEK)).collect();
        let kept = snapshot.days_kept_from(layer);
        if before.first().is_some_and(|first| *first < kept) {
            return Err(NotKept::From(kept));
        }
        Ok(Self {
            before: weeks(before),
            after: weeks(after),
        })
    }

    fn before_start(&self) -> i64 {
        self.before.first().map_or(i64::MIN, |span| span.start.micros())
    }

    fn before_end(&self) -> i64 {
        self.before.last().map_or(i64::MIN, |span| span.end.micros())
    }

    fn after_start(&self) -> i64 {
        self.after.first().map_or(i64::MAX, |span| span.start.micros())
    }

    fn after_end(&self) -> i64 {
        self.after.last().map_or(i64::MAX, |span| span.end.micros())
    }
}

impl Compared {
    fn count(
        &self,
        snapshot: &GridSnapshot,
        places: &Places,
        weeks: &[Span],
        is_elsewhere: &mut HashMap<u64, bool>,
    ) -> Counts {
        let mut counts = Counts::default();
        let resolution = self.cell.resolution();
        for (week, span) in weeks.iter().enumerate().take(WEEKS) {
            let sums = snapshot.sum(self.layer, *span, resolution);
            for (raw, count) in sums.cells().iter().zip(sums.count().iter()) {
                let Ok(cell) = CellIndex::try_from(*raw) else {
                    continue;
                };
                let of = if cell == self.cell {
                    &mut counts.here
                } else if self.rings.contains(&cell) {
                    &mut counts.around
                } else if *is_elsewhere
                    .entry(*raw)
                    .or_insert_with(|| self.is_elsewhere(places, cell))
                {
                    &mut counts.elsewhere
                } else {
                    continue;
                };
                if let Some(of_week) = of.get_mut(week) {
                    *of_week += count;
                }
            }
        }
        counts
    }

    /// Whether a cell is of the rest of the district: no hotspot then, and one that the asker sees.
    fn is_elsewhere(&self, places: &Places, cell: CellIndex) -> bool {
        let centre = LatLng::from(cell);
        let at = [centre.lng(), centre.lat()];
        let is_hotspot = self.hotspots.iter().any(|other| are_one_in_another(*other, cell));
        let is_of_district = self
            .district
            .as_ref()
            .is_none_or(|district| places.areas.ids_of(at).iter().any(|id| id == district));
        !is_hotspot && is_of_district && self.seen.admits_place(Some(at))
    }
}

fn are_one_in_another(one: CellIndex, other: CellIndex) -> bool {
    let resolution: Resolution = one.resolution().min(other.resolution());
    one.parent(resolution) == other.parent(resolution)
}
