//! Rules of kind `risk`: numbers and classes of the newest surface.

use std::collections::BTreeMap;

use h3o::Resolution;
use riskgrid_analytics::risk::Surface;
use riskgrid_analytics::rules::{
    Absent, InstanceKey, Judged, RiskMetric, RiskTest, RiskWatch, Row, Rule, Verdict,
};
use riskgrid_ingest::grid::parent_of;
use riskgrid_ingest::places::Places;
use riskgrid_ingest::{EventTime, LIVE_DOMAIN};

use super::sums::is_in;

/// The rows of a rule on a surface, with the moment and the clock that they are of; `None` while there is none of its layer.
pub(super) fn rows_of(
    surface: &Surface,
    rule: &Rule,
    watch: &RiskWatch,
    places: &Places,
) -> Option<(String, EventTime, Vec<Row>)> {
    let (clock, at, values) = if let Some(layer) = rule.layer() {
        let of_layer = surface
            .layers
            .iter()
            .find(|known| surface.model_of(known).is_some_and(|model| model.id == layer))?;
        let values: Vec<(u64, f64)> = of_layer
            .rows
            .iter()
            .map(|row| {
                let value = match &watch.test {
                    RiskTest::Class { class } => f64::from(u8::from(row.class.as_str() == class)),
                    RiskTest::Metric { metric, .. } => match metric {
                        RiskMetric::Risk => row.risk.risk,
                        RiskMetric::RiskIfTrue => row.risk.if_true,
                        RiskMetric::Level => surface
                            .explain(of_layer, row)
                            .map_or(f64::NAN, |why| why.index.level),
                        RiskMetric::Impact => {
                            let why = surface.explain(of_layer, row);
                            why.and_then(|why| why.impact).unwrap_or(f64::NAN)
                        }
                    },
                };
                (row.cell, value)
            })
            .collect();
        (&of_layer.clock, of_layer.at, values)
    } else {
        let live = surface.all.iter().find(|all| &*all.clock == LIVE_DOMAIN);
        let all = live.or(surface.all.first())?;
        let if_true = matches!(
            &watch.test,
            RiskTest::Metric {
                metric: RiskMetric::RiskIfTrue,
                ..
            }
        );
        let values = all.rows.iter().map(|row| {
            let value = if if_true { row.risk.if_true } else { row.risk.risk };
            (row.cell, value)
        });
        (&all.clock, all.at, values.collect())
    };
    let rows = coarsened(values, watch.resolution)
        .into_iter()
        .filter(|(cell, value)| value.is_finite() && is_in(places, &rule.areas, *cell))
        .map(|(cell, value)| Row {
            key: InstanceKey::Cell(cell),
            cell: Some(cell),
            judged: Some(judge(watch, value)),
        });
    Some((clock.to_string(), at, rows.collect()))
}

/// What the surface says of a cell that is not on it: nothing is to be feared there.
pub(super) fn absent(watch: &RiskWatch) -> Absent {
    Absent::Is(judge(watch, 0.0))
}

fn judge(watch: &RiskWatch, value: f64) -> Judged {
    let verdict = match &watch.test {
        RiskTest::Metric { limit, .. } => limit.judge(value),
        RiskTest::Class { .. } if value > 0.0 => Verdict::Over,
        RiskTest::Class { .. } => Verdict::Clear,
    };
    Judged { verdict, value }
}

/// The greatest value of each coarser cell.
fn coarsened(values: Vec<(u64, f64)>, resolution: Option<u8>) -> Vec<(u64, f64)> {
    let Some(resolution) = resolution.and_then(|resolution| Resolution::try_from(resolution).ok()) else {
        return values;
    };
    let mut greatest: BTreeMap<u64, f64> = BTreeMap::new();
    for (cell, value) in values {
        let parent = parent_of(cell, resolution);
        let known = greatest.entry(parent).or_insert(value);
        *known = known.max(value);
    }
    greatest.into_iter().collect()
}
