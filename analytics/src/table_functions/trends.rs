//! `trends(layer => 'noise', resolution => 8, window => INTERVAL '90 days')`: which cells rise or fall, and how steeply.
//!
//! One row a cell of the study area, cells ascending: `cell, n, s, var_s, z, p, q, tau, slope_per_day, intercept, missing`.
//! Steps of whole days are local days. At a named time the last step is the one that holds what is just before it; else it
//! is the last that is complete, as a half-filled one would look like a decline.

use std::fmt;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, UInt32Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use riskgrid_ingest::grid::{GridSnapshot, Span};
use riskgrid_ingest::{DAY, LayerIndex};

use super::arguments::{Arguments, Length};
use super::cells_question::AskedWindow;
use super::local::column;
use super::statistic::{AnsweredCall, BYTES_OF_A_CELL, CellStatistic, Definition, refused};
use crate::series::{StepLength, steps_back};
use crate::sql::{SqlError, cell_field, commented};
use crate::statistics::{
    Absent, FalseDiscovery, MAX_STEPS, StatisticsError, Trend, TrendMethod, TrendTable, check_steps, trends,
};

/// The longest season and lag: no series is longer.
const MOST: u64 = MAX_STEPS as u64;
/// No grid keeps days for longer.
const KEPT_AT_MOST: i64 = 40_000 * DAY;
const USUAL_SEASON: u64 = 7;
const USUAL_LAG: u64 = 3;

pub(super) static TRENDS: Definition = Definition {
    name: "trends",
    arguments: &[
        "layer",
        "metric",
        "resolution",
        "window",
        "step",
        "at",
        "domain",
        "method",
        "season",
        "lag",
        "fdr",
    ],
    usual_window: Length::days(90),
    schema: || Arc::clone(&SCHEMA),
    read,
};

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let number = |name, comment| column(name, DataType::Float64, true, comment);
    Arc::new(Schema::new(vec![
        commented(cell_field("cell", false), "H3 cell of the study area"),
        column("n", DataType::UInt32, false, "steps that have a value"),
        column(
            "s",
            DataType::Int64,
            true,
            "Mann-Kendall's S: pairs of steps that rise less those that fall; null below 10 values, or 2 of a season",
        ),
        number("var_s", "variance of s without a trend"),
        number("z", "(s - sign of s) / square root of var_s"),
        column(
            "p",
            DataType::Float64,
            false,
            "two-sided p, 1 where z is undefined",
        ),
        column(
            "q",
            DataType::Float64,
            false,
            "false discovery rate over the study area",
        ),
        number("tau", "s over the pairs that are compared"),
        number(
            "slope_per_day",
            "median slope of these pairs (Sen), in the metric's unit a day",
        ),
        number(
            "intercept",
            "median of the metric less that of the steps, from the window's start, at this slope",
        ),
        column("missing", DataType::UInt32, false, "steps without a value"),
    ]))
});

fn read(args: &Arguments<'_>) -> Result<Arc<dyn CellStatistic>, SqlError> {
    let season = args.whole("season", MOST)?.unwrap_or(USUAL_SEASON);
    let lag = args.whole("lag", MOST)?.unwrap_or(USUAL_LAG);
    if season == 0 {
        return Err(args.refuse("season", "0", &format!("a whole number from 1 to {MOST}")));
    }
    let method = match args.text("method")?.unwrap_or("seasonal") {
        "plain" => TrendMethod::Plain,
        "seasonal" => TrendMethod::Seasonal(season as usize),
        "hamed_rao" => TrendMethod::HamedRao(lag as usize),
        other => {
            let other = format!("'{other}'");
            return Err(args.refuse("method", &other, "'plain', 'seasonal' or 'hamed_rao'"));
        }
    };
    let fdr = args
        .text("fdr")?
        .map_or(Ok(FalseDiscovery::default()), FalseDiscovery::from_argument);
    let step = args.micros("step")?.map_or(StepLength::Days(1), StepLength::of);
    Ok(Arc::new(Trends {
        method,
        step,
        fdr: fdr.map_err(|error| refused(args.function, error))?,
    }))
}

#[derive(Debug)]
struct Trends {
    method: TrendMethod,
    step: StepLength,
    fdr: FalseDiscovery,
}

impl Trends {
    fn steps_of(&self, asked: AskedWindow) -> usize {
        let length = asked.at.since(asked.length.before(asked.at));
        usize::try_from(length.unsigned_abs().div_ceil(self.step.micros().unsigned_abs()))
            .unwrap_or(usize::MAX)
    }

    fn steps(&self, snapshot: &GridSnapshot, asked: AskedWindow) -> Vec<Span> {
        let end = self.step.end(&snapshot.calendar, asked.at, asked.is_named);
        let earliest = end.plus(-KEPT_AT_MOST);
        // One too many is what tells that they are.
        let number = self.steps_of(asked).min(MAX_STEPS + 1);
        steps_back(&snapshot.calendar, self.step, number, end, earliest)
    }
}

impl CellStatistic for Trends {
    fn window(&self, snapshot: &GridSnapshot, layer: LayerIndex, asked: AskedWindow) -> Span {
        let steps = self.steps(snapshot, asked);
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return asked.snapped(snapshot, layer);
        };
        Span {
            start: first.start,
            end: last.end,
        }
    }

    fn columns(&self, call: &AnsweredCall<'_>) -> Result<Option<Vec<ArrayRef>>, StatisticsError> {
        let question = call.question;
        let bucket = call.snapshot.calendar.bucket();
        if self.step.micros() % bucket != 0 {
            return Err(StatisticsError::argument(
                "step",
                format!("{} µs long", self.step.micros()),
                format!("a whole number of buckets of {} s", bucket / 1_000_000),
            ));
        }
        let Some(asked) = question.asked else {
            return Ok(None);
        };
        check_steps(self.steps_of(asked))?;
        let steps = self.steps(call.snapshot, asked);
        (call.reserve)(question.cells_of_area().saturating_mul(BYTES_OF_A_CELL))?;
        let series = call.reading().series(&steps, self.step)?;
        if series.known.is_empty() && !question.has_cells_without_events() {
            return Ok(None);
        }
        (call.reserve)(series.cells.len().saturating_mul(BYTES_OF_A_CELL))?;
        let TrendTable {
            cell,
            known,
            missing,
            trend,
            q,
        } = trends(&series, self.method, self.fdr, call.threads, call.stop)?;
        let number = |of: &dyn Fn(&Trend) -> f64| -> ArrayRef {
            let values = trend.iter().map(|trend| trend.as_ref().map(of));
            Arc::new(values.collect::<Float64Array>())
        };
        let in_unit = |units: f64| question.scale.value(units);
        let s: Int64Array = trend.iter().map(|trend| trend.map(|trend| trend.s)).collect();
        let p = trend.iter().map(|trend| trend.map_or(1.0, |trend| trend.p));
        debug_assert!(question.absent == Absent::Zero || series.zeros.is_empty());
        Ok(Some(vec![
            Arc::new(UInt64Array::from(cell)),
            Arc::new(UInt32Array::from(known)),
            Arc::new(s),
            number(&|trend| trend.variance),
            number(&|trend| trend.z),
            Arc::new(Float64Array::from_iter_values(p)),
            Arc::new(Float64Array::from(q)),
            number(&|trend| trend.tau),
            number(&|trend| in_unit(trend.slope) / self.step.days()),
            number(&|trend| in_unit(trend.intercept)),
            Arc::new(UInt32Array::from(missing)),
        ]))
    }

    fn permutations(&self) -> u32 {
        0
    }
}

impl fmt::Display for Trends {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "step={} days, ", self.step.days())?;
        match self.method {
            TrendMethod::Plain => write!(formatter, "method=plain"),
            TrendMethod::Seasonal(season) => write!(formatter, "method=seasonal of {season}"),
            TrendMethod::HamedRao(lag) => write!(formatter, "method=hamed_rao up to {lag}"),
        }
    }
}
