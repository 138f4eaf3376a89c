//! What `riskgrid generate` expects, against what the server answers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Victim;

/// Count and sum in millionths of each layer, cell and start of a minute.
type Cells = BTreeMap<(String, String, String), (u64, i128)>;

/// The generator's truth.
pub(crate) struct Truth {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    /// By reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// By layer.
    layers: BTreeMap<String, u64>,
    cells: Cells,
}

/// What `/metrics` says of the events of the log; it comes back from checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) duplicate: u64,
    /// By reason, without those of which there are none.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn of(page: &str) -> Self {
        let value = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse().ok());
        let result = |name: &str| {
            let start = format!("riskgrid_events_total{{result=\"{name}\"}} ");
            page.lines()
                .find(|line| line.starts_with(&start))
                .and_then(value)
                .unwrap_or(0)
        };
        let refused = page.lines().filter_map(|line| {
            let reason = line
                .strip_prefix("riskgrid_refused_total{reason=\"")?
                .split('"')
                .next()?;
            Some((reason.to_owned(), value(line).filter(|count| *count > 0)?))
        });
        Self {
            accepted: result("accepted"),
            duplicate: result("duplicate"),
            refused: refused.collect(),
        }
    }

    pub(crate) fn read(&self) -> u64 {
        self.accepted + self.duplicate + self.refused.values().sum::<u64>()
    }
}

impl Truth {
    /// The file of `--expect`.
    pub(crate) const TOTALS: &str = "totals.json";
    /// The file of `--expect-cells`.
    pub(crate) const CELLS: &str = "cells.csv";

    /// From these files.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(Self::TOTALS)).unwrap();
        let totals: Value = serde_json::from_str(&text).unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        let numbers = |name: &str, of: &dyn Fn(&Value) -> u64| {
            let object = totals[name].as_object().unwrap().iter();
            object.map(|(key, value)| (key.clone(), of(value))).collect()
        };
        let truth = Self {
            read: number(&totals["read"]),
            accepted: number(&totals["accepted"]),
            duplicate: number(&totals["duplicate"]),
            refused: numbers("refused", &number),
            layers: numbers("layers", &|layer| number(&layer["count"])),
            cells: cells(&std::fs::read_to_string(folder.join(Self::CELLS)).unwrap()),
        };
        let refused: u64 = truth.refused.values().sum();
        assert_eq!(truth.read, truth.accepted + truth.duplicate + refused);
        truth
    }

    /// Every layer, and every cell of every minute, holds what it must, once.
    pub(crate) async fn holds_in_cells(&self, victim: &impl Victim) {
        let layers = victim
            .csv("SELECT layer, sum(count) FROM cells GROUP BY layer")
            .await;
        assert_eq!(pairs(&layers), self.layers);
        let catalogue = victim
            .csv("SELECT layer, count FROM layers WHERE count > 0")
            .await;
        assert_eq!(pairs(&catalogue), self.layers);
        let found = victim
            .csv("SELECT layer, cell, bucket, sum(count) AS count, sum(sum) AS sum FROM cells WHERE bucket_seconds = 60 GROUP BY layer, cell, bucket")
            .await;
        let found = cells(&found);
        let wrong: Vec<_> = self
            .cells
            .iter()
            .filter(|(key, expected)| found.get(*key) != Some(expected))
            .map(|(key, expected)| format!("{key:?}: {:?}, not {expected:?}", found.get(key)))
            .collect();
        assert!(
            wrong.is_empty(),
            "{} of {} cells are wrong, such as {:?}",
            wrong.len(),
            self.cells.len(),
            &wrong[..wrong.len().min(5)]
        );
        assert_eq!(found.len(), self.cells.len());
        let rows = victim.csv("SELECT 'rows', count(*) FROM cells").await;
        assert_eq!(pairs(&rows)["rows"], self.cells.len() as u64);
        println!("{} cells of a minute are as expected", found.len());
    }
}

/// The rows of two columns, a name and a number.
pub(crate) fn pairs(csv: &str) -> BTreeMap<String, u64> {
    let rows = csv.lines().skip(1).map(|line| line.split_once(',').unwrap());
    rows.map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
        .collect()
}

fn cells(csv: &str) -> Cells {
    let mut cells = Cells::new();
    for line in csv.lines().skip(1) {
        let mut fields = line.split(',');
        let mut text = || fields.next().unwrap().to_owned();
        let key = (text(), text(), text());
        let (count, sum) = (text(), text());
        // Calls have no values, which is an empty field.
        let sum: f64 = if sum.is_empty() { 0.0 } else { sum.parse().unwrap() };
        let value = (count.parse().unwrap(), (sum * 1e6).round() as i128);
        assert_eq!(cells.insert(key, value), None, "twice: {line}");
    }
    cells
}
