//! The columns of `risk`: what each is, and its values, made only where they are asked for.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, ListBuilder, StringArray, StringBuilder, UInt64Array,
    new_null_array,
};
use arrow::datatypes::{DataType, Field};

use crate::risk::surface::{AllRow, AllSurface, Explained, LayerSurface, Row, RowFacts, Surface};
use crate::sql::{cell_field, commented};
use crate::tables::columns::{field, time_type, times};

/// What all layers together are called.
pub(super) const ALL: &str = "*";

pub(super) fn fields() -> Vec<Field> {
    let share = |name: &str, comment: &str| field(name, DataType::Float64, true, comment);
    let number = share;
    vec![
        commented(cell_field("cell", false), "H3 cell of the base resolution"),
        field(
            "layer",
            DataType::Utf8,
            false,
            "id of the layer; * for all layers of one clock together",
        ),
        field(
            "at",
            time_type(),
            false,
            "the moment of the surface: the end of the bucket that holds now, of the layer's clock",
        ),
        field(
            "risk",
            DataType::Float64,
            false,
            "R, 0 to 1: Hg^0.5 · exposure^0.25 · vulnerability^0.25, with Hg = hazard · trust",
        ),
        field(
            "risk_low",
            DataType::Float64,
            false,
            "R with all that is missing at 0.05",
        ),
        field(
            "risk_high",
            DataType::Float64,
            false,
            "R with all that is missing at 1",
        ),
        field(
            "risk_if_true",
            DataType::Float64,
            false,
            "R if the hazard were certain (trust 1)",
        ),
        share(
            "hazard",
            "H, 0 to 1: of reports 0.75 · level + 0.25 · surprise (by default), of observations the loudest sensor in reach",
        ),
        share(
            "level",
            "A'/(A' + half_level), 0 to 1; of observations the hazard",
        ),
        share(
            "surprise",
            "z/(z + 4) where z is above 0, 0 to 1; NULL without a baseline",
        ),
        number(
            "intensity",
            "A': marks (count + severity_factor · weight) that fade by half each half_life, after the flood cap and the spread",
        ),
        number(
            "expected",
            "E': the intensity that the cell's own past has at this hour; NULL without a baseline",
        ),
        number(
            "z",
            "(intensity - expected) in standard deviations; NULL without a baseline",
        ),
        field(
            "stale",
            DataType::Boolean,
            true,
            "the sensor that gives the hazard is past its valid_for: held or fading",
        ),
        share(
            "exposure",
            "E, 0.05 to 1: people, facilities and infrastructure there",
        ),
        number("population", "residents of the cell; NULL where none are known"),
        number("facilities", "weight of the facilities in the cell"),
        number("infrastructure", "weight of the infrastructure in the cell"),
        share(
            "vulnerability",
            "V, 0.05 to 1: √(susceptibility · lack_of_coping), each at least 0.05",
        ),
        share(
            "susceptibility",
            "S, 0 to 1: weighted mean of the indicators; 0.5 where missing",
        ),
        share(
            "lack_of_coping",
            "Q, 0 to 1: how far help is away; 0.5 where missing",
        ),
        share(
            "corroboration",
            "C, 0 to 1: how sure one is, by independent channels and devices of the hazard group in and round the cell",
        ),
        number(
            "sources",
            "estimated number of the cell's own sources in the last four half-lives",
        ),
        field(
            "channels",
            DataType::Int16,
            true,
            "classes of channel with evidence of the hazard group",
        ),
        share("trust", "g = 0.5 + 0.5 · corroboration"),
        number(
            "impact",
            "population · hazard · trust · vulnerability: people affected, for sharing resources; NULL without a population",
        ),
        number(
            "forecast",
            "marks expected over the next risk.forecast: 0.7 of the cell's past at these hours, 0.3 of what is going on; NULL without a baseline",
        ),
        field(
            "class",
            DataType::Utf8,
            true,
            "black_swan, grey_rhino, watch or normal",
        ),
        field(
            "mode",
            DataType::Utf8,
            true,
            "normal or emergency; changes no number",
        ),
        field(
            "missing",
            missing_type(),
            true,
            "what is not known: baseline, population, facilities, infrastructure, susceptibility, lack_of_coping",
        ),
        field(
            "model",
            DataType::Utf8,
            false,
            "hash of all keys of the model: compare rows of one model only",
        ),
        number(
            "loo_hazard",
            "risk less what it would be if all were as expected; NULL without a baseline",
        ),
        number("loo_exposure", "risk less what it would be with exposure 0.5"),
        number(
            "loo_vulnerability",
            "risk less what it would be with vulnerability 0.5",
        ),
        number("loo_trust", "risk less what it would be with trust 0.5"),
        number(
            "loo_layer",
            "risk of all layers less that without this one; 0 if it is the only one",
        ),
    ]
}

fn missing_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// Some rows of a layer, with what explains them once somebody asks.
pub(super) struct LayerRows<'a> {
    surface: &'a Surface,
    layer: &'a LayerSurface,
    rows: &'a [Row],
    explained: OnceCell<Vec<Option<Explained>>>,
    facts: OnceCell<Vec<RowFacts>>,
}

impl<'a> LayerRows<'a> {
    pub(super) const fn new(surface: &'a Surface, layer: &'a LayerSurface, rows: &'a [Row]) -> Self {
        Self {
            surface,
            layer,
            rows,
            explained: OnceCell::new(),
            facts: OnceCell::new(),
        }
    }

    fn of_row(&self, value: fn(&Row) -> f64) -> ArrayRef {
        let known = |number: f64| (!number.is_nan()).then_some(number);
        Arc::new(
            self.rows
                .iter()
                .map(|row| known(value(row)))
                .collect::<Float64Array>(),
        )
    }

    fn explained(&self) -> &[Option<Explained>] {
        self.explained.get_or_init(|| {
            self.rows
                .iter()
                .map(|row| self.surface.explain(self.layer, row))
                .collect()
        })
    }

    fn of_parts(&self, value: fn(&Explained) -> Option<f64>) -> ArrayRef {
        let values = self
            .explained()
            .iter()
            .map(|explained| explained.as_ref().and_then(value));
        Arc::new(values.collect::<Float64Array>())
    }

    fn of_facts(&self, value: fn(&RowFacts) -> Option<f64>) -> ArrayRef {
        let facts = self.facts.get_or_init(|| {
            self.rows
                .iter()
                .map(|row| self.surface.facts_of(row.cell))
                .collect()
        });
        Arc::new(facts.iter().map(value).collect::<Float64Array>())
    }

    fn text<'t>(&self, text: impl Fn(&Row) -> &'t str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.rows.iter().map(text)))
    }

    fn missing(&self) -> ArrayRef {
        let mut missing = ListBuilder::new(StringBuilder::new());
        for explained in self.explained() {
            for name in explained.iter().flat_map(|explained| &explained.missing) {
                missing.values().append_value(name);
            }
            missing.append(true);
        }
        Arc::new(missing.finish())
    }

    /// The values of a field.
    pub(super) fn column(&self, field: &Field) -> ArrayRef {
        let id = self
            .surface
            .model_of(self.layer)
            .map_or("", |model| model.id.as_str());
        match field.name().as_str() {
            "cell" => Arc::new(UInt64Array::from_iter_values(
                self.rows.iter().map(|row| row.cell),
            )),
            "layer" => self.text(|_| id),
            "at" => times(self.rows.iter().map(|_| Some(self.layer.at))),
            "risk" => self.of_row(|row| row.risk.risk),
            "risk_low" => self.of_row(|row| row.risk.low),
            "risk_high" => self.of_row(|row| row.risk.high),
            "risk_if_true" => self.of_row(|row| row.risk.if_true),
            "hazard" => self.of_row(|row| row.hazard),
            "level" => self.of_parts(|parts| Some(parts.index.level)),
            "surprise" => self.of_parts(|parts| parts.index.surprise),
            "intensity" => self.of_row(|row| row.intensity),
            "expected" => self.of_parts(|parts| parts.expected),
            "z" => self.of_parts(|parts| parts.index.z),
            "stale" => Arc::new(
                self.rows
                    .iter()
                    .map(|row| Some(row.is_stale))
                    .collect::<BooleanArray>(),
            ),
            "exposure" => self.of_parts(|parts| Some(parts.stakes.exposure)),
            "population" => self.of_facts(|facts| facts.population),
            "facilities" => self.of_facts(|facts| Some(facts.facilities.unwrap_or(0.0))),
            "infrastructure" => self.of_facts(|facts| Some(facts.infrastructure.unwrap_or(0.0))),
            "vulnerability" => self.of_parts(|parts| Some(parts.stakes.vulnerability)),
            "susceptibility" => self.of_parts(|parts| Some(parts.stakes.susceptibility)),
            "lack_of_coping" => self.of_parts(|parts| Some(parts.stakes.lack_of_coping)),
            "corroboration" => self.of_row(|row| row.corroboration),
            "sources" => self.of_parts(|parts| Some(parts.sources)),
            "channels" => {
                let channels = self.rows.iter().map(|row| i16::from(row.channels));
                Arc::new(Int16Array::from_iter_values(channels))
            }
            "trust" => self.of_parts(|parts| Some(parts.trust)),
            "impact" => self.of_parts(|parts| parts.impact),
            "forecast" => self.of_parts(|parts| parts.forecast),
            "class" => self.text(|row| row.class.as_str()),
            "mode" => self.text(|row| self.surface.mode_of(row.cell)),
            "missing" => self.missing(),
            "model" => self.text(|_| &self.surface.model.hash),
            "loo_hazard" => self.of_parts(|parts| parts.leave_one_out.hazard),
            "loo_exposure" => self.of_parts(|parts| Some(parts.leave_one_out.exposure)),
            "loo_vulnerability" => self.of_parts(|parts| Some(parts.leave_one_out.vulnerability)),
            "loo_trust" => self.of_parts(|parts| Some(parts.leave_one_out.trust)),
            "loo_layer" => {
                let losses = self
                    .rows
                    .iter()
                    .map(|row| self.surface.loo_layer(self.layer, row));
                Arc::new(Float64Array::from_iter_values(losses))
            }
            // No other field is made above.
            _ => new_null_array(field.data_type(), self.rows.len()),
        }
    }
}

/// The values of a field of all layers together: only the risks, for what explains a cell is in the rows of its layers.
pub(super) fn column_of_all(surface: &Surface, all: &AllSurface, rows: &[AllRow], field: &Field) -> ArrayRef {
    let of_row = |value: fn(&AllRow) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(value)))
    };
    match field.name().as_str() {
        "cell" => Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.cell))),
        "layer" => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| ALL))),
        "at" => times(rows.iter().map(|_| Some(all.at))),
        "risk" => of_row(|row| row.risk.risk),
        "risk_low" => of_row(|row| row.risk.low),
        "risk_high" => of_row(|row| row.risk.high),
        "risk_if_true" => of_row(|row| row.risk.if_true),
        "model" => Arc::new(StringArray::from_iter_values(
            rows.iter().map(|_| &surface.model.hash),
        )),
        _ => new_null_array(field.data_type(), rows.len()),
    }
}
