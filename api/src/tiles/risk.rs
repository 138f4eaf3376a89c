//! Tiles of the risk surface: where to go, how sure that is, what kind of surprise it is, what is next.

use h3o::Resolution;
use riskgrid_analytics::risk::BANDS;
use riskgrid_analytics::risk::class::Class;
use riskgrid_analytics::risk::surface::{LayerSurface, Row, Surface};
use riskgrid_ingest::grid::parent_of;
use serde_json::{Value, json};

use super::values::CellValues;

/// All layers together.
pub const ALL_LAYERS: &str = "*";
/// Risks are shown to so many decimals: then a tile, and its tag, change only when a person could see it.
const DECIMALS: f64 = 1000.0;
/// The names of the classes, by number.
pub(crate) const CLASS_NAMES: [&str; 4] = [
    Class::BlackSwan.as_str(),
    Class::GreyRhino.as_str(),
    Class::Watch.as_str(),
    Class::Normal.as_str(),
];

/// A number of the surface that maps show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RiskMetric {
    /// R; of a coarser cell the greatest below it.
    Risk,
    /// R if the hazard were certain, likewise.
    RiskIfTrue,
    /// The gravest class below it.
    Class,
    /// Marks expected next, summed.
    Forecast,
}

impl RiskMetric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Risk, Self::RiskIfTrue, Self::Class, Self::Forecast];

    /// Its name in requests and tiles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::RiskIfTrue => "risk_if_true",
            Self::Class => "class",
            Self::Forecast => "forecast",
        }
    }

    /// The metric called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    /// Whether all layers together have it.
    pub const fn is_of_all(self) -> bool {
        matches!(self, Self::Risk | Self::RiskIfTrue)
    }

    /// Its colours: fixed, whatever the data of the moment.
    pub fn legend(self) -> Value {
        match self {
            Self::Risk | Self::RiskIfTrue => {
                json!({ "scheme": "bands", "metric": self.as_str(), "limits": BANDS, "low": 0, "high": 1 })
            }
            Self::Class => json!({ "scheme": "classes", "metric": self.as_str(), "classes": CLASS_NAMES }),
            Self::Forecast => json!({ "scheme": "sequential", "metric": self.as_str() }),
        }
    }

    fn merge(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Risk | Self::RiskIfTrue => a.max(b),
            // The gravest has the least number.
            Self::Class => a.min(b),
            // Where one is not known the sum is not.
            Self::Forecast => a + b,
        }
    }
}

/// The numbers of a layer, or of all, at a resolution; `None` where it is not on the surface.
pub(crate) fn values(
    surface: &Surface,
    layer: &str,
    metric: RiskMetric,
    resolution: Resolution,
) -> Option<CellValues> {
    let rows: Vec<(u64, f64)> = if layer == ALL_LAYERS {
        let rows = surface.all.iter().flat_map(|all| &all.rows);
        let mut rows: Vec<(u64, f64)> = rows
            .map(|row| match metric {
                RiskMetric::RiskIfTrue => (row.cell, row.risk.if_true),
                _ => (row.cell, row.risk.risk),
            })
            .collect();
        // Of several clocks each is in order, and not all together.
        rows.sort_unstable_by_key(|(cell, _)| *cell);
        rows
    } else {
        let position = surface.model.layers.iter().position(|model| model.id == layer)?;
        let of_layer = surface.layers.iter().find(|of_layer| of_layer.layer == position);
        of_layer.map_or_else(Vec::new, |of_layer| {
            let rows = of_layer.rows.iter();
            rows.map(|row| (row.cell, number(surface, of_layer, row, metric)))
                .collect()
        })
    };
    Some(rolled_up(&rows, metric, resolution))
}

fn number(surface: &Surface, layer: &LayerSurface, row: &Row, metric: RiskMetric) -> f64 {
    match metric {
        RiskMetric::Risk => row.risk.risk,
        RiskMetric::RiskIfTrue => row.risk.if_true,
        RiskMetric::Class => Class::ALL
            .iter()
            .position(|class| *class == row.class)
            .map_or(f64::NAN, |number| number as f64),
        RiskMetric::Forecast => surface.forecast(layer, row).unwrap_or(f64::NAN),
    }
}

/// `rows` ascend by cell, so the children of a cell follow each other.
fn rolled_up(rows: &[(u64, f64)], metric: RiskMetric, resolution: Resolution) -> CellValues {
    let mut rolled = CellValues {
        resolution: u8::from(resolution),
        metric_is_integer: metric == RiskMetric::Class,
        ..CellValues::default()
    };
    for (cell, value) in rows {
        let parent = parent_of(*cell, resolution);
        if let (Some(last), Some(count), Some(merged)) = (
            rolled.cells.last(),
            rolled.counts.last_mut(),
            rolled.values.last_mut(),
        ) && *last == parent
        {
            *count += 1;
            *merged = metric.merge(*merged, *value);
        } else {
            rolled.cells.push(parent);
            rolled.counts.push(1);
            rolled.values.push(*value);
        }
    }
    for value in &mut rolled.values {
        *value = (*value * DECIMALS).round() / DECIMALS;
    }
    rolled
}

#[cfg(test)]
mod tests {
    use h3o::CellIndex;

    use super::*;

    #[test]
    fn a_coarser_cell_has_the_greatest_risk_the_gravest_class_and_the_sum_of_what_is_next() {
        let parent = CellIndex::try_from(0x0884_11ca_1b7f_ffff).expect("a cell");
        let mut cells: Vec<u64> = parent.children(Resolution::Nine).map(u64::from).collect();
        cells.sort_unstable();
        let rows: Vec<(u64, f64)> = cells.into_iter().zip([0.25, 0.123_456, 2.0]).collect();
        for (metric, expected) in [
            (RiskMetric::Risk, 2.0),
            (RiskMetric::Class, 0.123),
            (RiskMetric::Forecast, 2.373),
        ] {
            let rolled = rolled_up(&rows, metric, Resolution::Eight);
            assert_eq!((rolled.cells, rolled.counts), (vec![u64::from(parent)], vec![3]));
            assert_eq!(rolled.values, [expected]);
        }
        assert_eq!(
            rolled_up(&rows, RiskMetric::Risk, Resolution::Nine).cells.len(),
            3
        );
    }
}
