//! What must come out, for people, for programs, and cell by cell.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use h3o::Resolution;
use riskgrid_fixtures::load::{Truth, has_values};
use riskgrid_ingest::EventTime;
use serde_json::{Value, json};

use super::plan::Plan;

/// `grid.resolution` by default.
pub(super) const RESOLUTION: Resolution = Resolution::Nine;

/// As `--expect` writes it.
pub(super) fn as_json(truth: &Truth, plan: &Plan) -> Value {
    let layers: serde_json::Map<_, _> = truth
        .layers
        .iter()
        .map(|(layer, totals)| {
            let sum = has_values(layer).then(|| totals.sum_millionths as f64 / 1e6);
            ((*layer).to_owned(), json!({"count": totals.count, "sum": sum}))
        })
        .collect();
    json!({
        "seed": plan.options.seed,
        "start": EventTime::from_micros(plan.options.start_micros).to_string(),
        "read": truth.lines,
        "accepted": truth.accepted(),
        "duplicate": truth.duplicates,
        "refused": truth.refused,
        "late": truth.late,
        "news": truth.news,
        "layers": layers,
    })
}

/// As it is printed.
pub(super) fn as_text(truth: &Truth, took: Duration) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(truth, took, &mut text);
    text
}

fn write_text(truth: &Truth, took: Duration, text: &mut String) -> std::fmt::Result {
    let seconds = took.as_secs_f64();
    let rate = truth.lines as f64 / seconds.max(1e-3);
    writeln!(
        text,
        "sent {} lines in {seconds:.1} s, {rate:.0} a second",
        truth.lines
    )?;
    writeln!(
        text,
        "expected: read {} = accepted {} + duplicate {} + refused {}; {} of the accepted are late, {} are updates and closes, which no layer counts",
        truth.lines,
        truth.accepted(),
        truth.duplicates,
        truth.refused_total(),
        truth.late,
        truth.news,
    )?;
    writeln!(text, "\n{:<16}{:>14}{:>20}", "layer", "count", "sum")?;
    for (layer, totals) in &truth.layers {
        let sum = decimal(layer, totals.sum_millionths);
        writeln!(text, "{layer:<16}{:>14}{sum:>20}", totals.count)?;
    }
    if !truth.refused.is_empty() {
        writeln!(text, "\n{:<16}{:>14}", "refused", "count")?;
        for (reason, count) in &truth.refused {
            writeln!(text, "{reason:<16}{count:>14}")?;
        }
    }
    writeln!(text)
}

/// As `--expect-cells` writes it, with the columns of
/// `SELECT layer, cell, bucket, sum(count), sum(sum) FROM cells GROUP BY layer, cell, bucket`.
pub(super) fn write_cells(truth: &Truth, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "layer,cell,bucket,count,sum")?;
    for (bucket, totals) in &truth.cells {
        writeln!(
            out,
            "{},{},{},{},{}",
            bucket.layer,
            bucket.cell,
            EventTime::from_micros(bucket.minute_micros),
            totals.count,
            decimal(bucket.layer, totals.sum_millionths)
        )?;
    }
    Ok(())
}

/// The sum with its decimals, exactly; empty for a layer without values, as NULL is in CSV.
fn decimal(layer: &str, millionths: i128) -> String {
    if !has_values(layer) {
        return String::new();
    }
    let sign = if millionths < 0 { "-" } else { "" };
    let (whole, rest) = (
        millionths.unsigned_abs() / 1_000_000,
        millionths.unsigned_abs() % 1_000_000,
    );
    let text = format!("{sign}{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_short() {
        for (layer, millionths, text) in [
            ("wind", 4_420_000, "4.42"),
            ("water_level", -500_000, "-0.5"),
            ("wind", 0, "0"),
            ("power", 123_456_789_012_345_678_900, "123456789012345.6789"),
            ("rescue", 0, ""),
        ] {
            assert_eq!(decimal(layer, millionths), text);
        }
    }
}
