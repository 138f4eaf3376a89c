//! `bursts(layer => 'flooding', resolution => 8, window => INTERVAL '1 hour')`: where more happened than the past explains.
//!
//! One row a cell of the study area, cells ascending: `cell, value, expected, size, p, q, recurrence_days,
//! recurrence_days_area, enough, baseline_events, excluded, statistic, alarm`. The study area is made of the cells with an
//! event in the window or in the past windows.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, UInt32Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use riskgrid_ingest::grid::{Metric, Span};
use riskgrid_ingest::{DAY, HOUR};

use super::arguments::{Arguments, Length};
use super::local::column;
use super::statistic::{AnsweredCall, BYTES_OF_A_CELL, CellStatistic, Definition};
use crate::series::{BurstTimes, Groups};
use crate::sql::{SqlError, cell_field, commented};
use crate::statistics::bursts::{
    BurstOptions, BurstTable, DayModel, Farrington, bursts, looks_factor, recurrence_days,
    recurrence_days_of_area,
};
use crate::statistics::{CellSeries, FalseDiscovery, StatisticsError, q_values};

const USUAL_BASELINE: i64 = 56 * DAY;
const USUAL_GAP: i64 = DAY;
const USUAL_EXCLUDE_P: f64 = 1e-4;
const USUAL_MIN_COUNT: u64 = 3;

pub(super) static BURSTS: Definition = Definition {
    name: "bursts",
    arguments: &[
        "layer",
        "metric",
        "resolution",
        "window",
        "at",
        "domain",
        "model",
        "baseline",
        "gap",
        "area",
        "exclude_p",
        "min_count",
        "evaluate_every",
    ],
    usual_window: Length::of_micros(HOUR),
    schema: || Arc::clone(&SCHEMA),
    read,
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let number = |name, comment| column(name, DataType::Float64, true, comment);
    let fields: Vec<Field> = vec![
        commented(cell_field("cell", false), "H3 cell of the study area"),
        column("value", DataType::UInt64, false, "events in the window"),
        number("expected", "events that the past explains"),
        number(
            "size",
            "size of the negative binomial law; null for the Poisson law",
        ),
        column(
            "p",
            DataType::Float64,
            true,
            "chance of so many events or more; null for models that have a statistic instead",
        ),
        column(
            "q",
            DataType::Float64,
            true,
            "false discovery rate over the study area",
        ),
        number(
            "recurrence_days",
            "days between such windows of this cell, by chance",
        ),
        number(
            "recurrence_days_area",
            "days between such windows of any cell of the study area: what rules promise",
        ),
        column(
            "enough",
            DataType::Boolean,
            false,
            "whether value is at least min_count",
        ),
        column(
            "baseline_events",
            DataType::UInt64,
            false,
            "the cell's past events",
        ),
        column(
            "excluded",
            DataType::UInt32,
            false,
            "its past windows that were left out as bursts",
        ),
        number(
            "statistic",
            "C1, C2, C3 or the CUSUM; null for other models and where the series is too short",
        ),
        column(
            "alarm",
            DataType::Boolean,
            true,
            "whether that is beyond the model's limit",
        ),
    ];
    Arc::new(Schema::new(fields))
});

fn read(args: &Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError> {
    let metric = args.text("metric")?.unwrap_or(Metric::Count.as_str());
    if metric != Metric::Count.as_str() {
        return Err(args.refuse("metric", &format!("'{metric}'"), "'count'"));
    }
    let model = args.text("model")?.unwrap_or("negbin");
    let Some((_, model)) = MODELS.iter().find(|(name, _)| *name == model) else {
        let names: Vec<String> = MODELS.iter().map(|(name, _)| format!("'{name}'")).collect();
        return Err(args.refuse("model", &format!("'{model}'"), &names.join(", ")));
    };
    let exclude_p = args.float("exclude_p")?.unwrap_or(USUAL_EXCLUDE_P);
    if !(0.0..1.0).contains(&exclude_p) {
        return Err(args.refuse("exclude_p", &exclude_p.to_string(), "a number from 0 to below 1"));
    }
    Ok(Arc::new(Bursts {
        model: *model,
        baseline: args.micros("baseline")?.unwrap_or(USUAL_BASELINE),
        gap: args.micros("gap")?.unwrap_or(USUAL_GAP),
        groups: match args.text("area")? {
            None | Some("parent") => Groups::Parent,
            Some(level) => Groups::Level(level.to_owned()),
        },
        exclude_p,
        min_count: args.whole("min_count", u64::MAX)?.unwrap_or(USUAL_MIN_COUNT),
        every: args.micros("evaluate_every")?,
    }))
}

/// What the window is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Model {
    /// All past windows, by a negative binomial law.
    NegativeBinomial,
    /// The same window of the days before.
    Days(DayModel),
    /// Windows at the same hour of the week.
    Farrington,
}

const MODELS: [(&str, Model); 6] = [
    ("negbin", Model::NegativeBinomial),
    ("ears_c1", Model::Days(DayModel::EarsC1)),
    ("ears_c2", Model::Days(DayModel::EarsC2)),
    ("ears_c3", Model::Days(DayModel::EarsC3)),
    ("cusum", Model::Days(DayModel::Cusum)),
    ("farrington", Model::Farrington),
];

#[derive(Debug)]
struct Bursts {
    model: Model,
    baseline: i64,
    gap: i64,
    groups: Groups,
    exclude_p: f64,
    min_count: u64,
    /// None: as often as the window is long.
    every: Option<i64>,
}

/// The answer by columns; one that is empty is null.
#[derive(Default)]
struct Columns {
    cells: Vec<u64>,
    values: Vec<u64>,
    expected: Vec<Option<f64>>,
    size: Vec<Option<f64>>,
    p: Vec<f64>,
    q: Vec<f64>,
    recurrence_days: Vec<Option<f64>>,
    recurrence_days_area: Vec<Option<f64>>,
    baseline_events: Vec<u64>,
    excluded: Vec<u32>,
    statistic: Vec<Option<(f64, bool)>>,
}

impl Bursts {
    fn days_and_looks(&self, window: Span) -> (f64, f64) {
        let length = window.end.since(window.start) as f64;
        let every = self.every.map_or(length, |every| every as f64);
        (length / DAY as f64, looks_factor(every / length))
    }

    fn by_all_windows(&self, call: &AnsweredCall<'_>, window: Span) -> Result<Columns, StatisticsError> {
        let times = BurstTimes {
            window,
            baseline: self.baseline,
            gap: self.gap,
        };
        let study = call.reading().bursts(&times, &self.groups)?;
        (call.reserve)(study.cells.len().saturating_mul(BYTES_OF_A_CELL))?;
        let (days, looks) = self.days_and_looks(window);
        let options = BurstOptions {
            exclude_p: self.exclude_p,
            days,
            looks,
        };
        let BurstTable {
            expected,
            size,
            p,
            q,
            recurrence_days,
            recurrence_days_area,
            baseline_events,
            excluded,
        } = bursts(&study.past, &study.window, &options, call.stop)?;
        Ok(Columns {
            cells: study.cells,
            values: study.window.values,
            expected: expected.into_iter().map(Some).collect(),
            size: size
                .into_iter()
                .map(|size| size.is_finite().then_some(size))
                .collect(),
            p,
            q,
            recurrence_days: recurrence_days.into_iter().map(Some).collect(),
            recurrence_days_area: recurrence_days_area.into_iter().map(Some).collect(),
            baseline_events,
            excluded,
            statistic: Vec::new(),
        })
    }

    fn by_days(
        call: &AnsweredCall<'_>,
        series: CellSeries,
        model: DayModel,
    ) -> Result<Columns, StatisticsError> {
        let mut columns = Columns::default();
        each_series(call, &series, |past, value, all| {
            columns.values.push(value);
            columns.baseline_events.push(past.iter().sum::<f64>() as u64);
            columns.statistic.push(model.judge(all));
        })?;
        columns.cells = series.cells;
        Ok(columns)
    }

    fn by_weeks(
        &self,
        call: &AnsweredCall<'_>,
        series: CellSeries,
        window: Span,
    ) -> Result<Columns, StatisticsError> {
        let (days, looks) = self.days_and_looks(window);
        let cells = series.cells.len();
        let mut columns = Columns::default();
        let mut tested = Vec::with_capacity(cells);
        each_series(call, &series, |past, value, _| {
            let judged = Farrington::of(value, past);
            columns.values.push(value);
            columns.baseline_events.push(past.iter().sum::<f64>() as u64);
            columns.expected.push(judged.map(|judged| judged.expected));
            let size = judged.map(|judged| 1.0 / judged.inverse_size);
            columns.size.push(size.filter(|size| size.is_finite()));
            let p = judged.map(|judged| judged.p);
            columns.p.push(p.unwrap_or(1.0));
            tested.push(p.unwrap_or(f64::NAN));
            columns
                .recurrence_days
                .push(p.map(|p| recurrence_days(p, days, looks)));
            columns
                .recurrence_days_area
                .push(p.map(|p| recurrence_days_of_area(p, days, looks, cells)));
        })?;
        columns.q = q_values(&tested, FalseDiscovery::BenjaminiHochberg);
        columns.cells = series.cells;
        Ok(columns)
    }
}

/// Calls `visit` for each cell with what was before, the window's count, and both together.
fn each_series(
    call: &AnsweredCall<'_>,
    series: &CellSeries,
    mut visit: impl FnMut(&[f64], u64, &[f64]),
) -> Result<(), StatisticsError> {
    (call.reserve)(series.cells.len().saturating_mul(BYTES_OF_A_CELL))?;
    let mut values = Vec::new();
    for cell in 0..series.cells.len() {
        series.write(cell, &mut values);
        if let Some((value, past)) = values.split_last() {
            visit(past, *value as u64, &values);
        }
    }
    Ok(())
}

impl CellStatistic for Bursts {
    fn columns(&self, call: &AnsweredCall<'_>) -> Result<Option<Vec<ArrayRef>>, StatisticsError> {
        let Some(window) = call.question.window else {
            return Ok(None);
        };
        (call.reserve)(call.question.cells_of_area().saturating_mul(BYTES_OF_A_CELL))?;
        let columns = match self.model {
            Model::NegativeBinomial => self.by_all_windows(call, window)?,
            Model::Days(model) => {
                let study = call.reading().days_before(window, self.baseline)?;
                Self::by_days(call, study.series, model)?
            }
            Model::Farrington => {
                let study = call.reading().weeks_before(window)?;
                self.by_weeks(call, study.series, window)?
            }
        };
        let rows = columns.cells.len();
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(columns.into_arrays(rows, self.min_count)))
    }

    fn permutations(&self) -> u32 {
        0
    }
}

impl Columns {
    fn into_arrays(self, rows: usize, min_count: u64) -> Vec<ArrayRef> {
        let enough: BooleanArray = self
            .values
            .iter()
            .map(|value| Some(*value >= min_count))
            .collect();
        let numbers = |values: Vec<Option<f64>>| -> ArrayRef {
            if values.is_empty() {
                return Arc::new(Float64Array::new_null(rows));
            }
            Arc::new(Float64Array::from(values))
        };
        let plain = |values: Vec<f64>| numbers(values.into_iter().map(Some).collect());
        let excluded = if self.excluded.is_empty() {
            vec![0; rows]
        } else {
            self.excluded
        };
        let statistic = self
            .statistic
            .iter()
            .map(|said| said.map(|(statistic, _)| statistic));
        let alarm: BooleanArray = if self.statistic.is_empty() {
            BooleanArray::new_null(rows)
        } else {
            self.statistic
                .iter()
                .map(|said| said.map(|(_, alarm)| alarm))
                .collect()
        };
        vec![
            Arc::new(UInt64Array::from(self.cells)),
            Arc::new(UInt64Array::from(self.values)),
            numbers(self.expected),
            numbers(self.size),
            plain(self.p),
            plain(self.q),
            numbers(self.recurrence_days),
            numbers(self.recurrence_days_area),
            Arc::new(enough),
            Arc::new(UInt64Array::from(self.baseline_events)),
            Arc::new(UInt32Array::from(excluded)),
            numbers(statistic.collect()),
            Arc::new(alarm),
        ]
    }
}

impl fmt::Display for Bursts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MODELS.iter().find(|(_, model)| *model == self.model);
        write!(formatter, "model={}", name.map_or("", |(name, _)| name))?;
        write!(formatter, ", baseline={} h", self.baseline / HOUR)
    }
}
