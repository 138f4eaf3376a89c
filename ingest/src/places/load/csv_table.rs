//! Rows of a CSV file with a header line.

use std::borrow::Cow;
use std::io::Read;

use hashbrown::HashMap;

use super::error::{FileProblem, PlaceProblem};
use super::row::{Fields, Geometry, Row, RowNumber};
use crate::globe::wkt;

struct Record<'a> {
    columns: &'a HashMap<String, usize>,
    record: &'a csv::StringRecord,
}

impl Fields for Record<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = self.record.get(*self.columns.get(name)?)?;
        (!text.is_empty()).then_some(Cow::Borrowed(text))
    }
}

/// Calls `each` with every row. `names` are the columns that there must be; `wkt` is the one of geometries, if any.
pub(super) fn read(
    text: impl Read,
    delimiter: u8,
    names: &[&str],
    wkt: Option<&str>,
    each: &mut dyn FnMut(&Row<'_>) -> Result<(), PlaceProblem>,
) -> Result<(), FileProblem> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text);
    let header = reader.headers()?.clone();
    for name in names {
        match header.iter().filter(|column| column.trim() == *name).count() {
            1 => {}
            0 => {
                let known = header.iter().collect::<Vec<_>>().join("`, `");
                return Err(format!("it has no column `{name}`, but `{known}`").into());
            }
            _ => return Err(format!("it has more than one column `{name}`; rename one").into()),
        }
    }
    let columns: HashMap<String, usize> = header
        .iter()
        .enumerate()
        .map(|(index, name)| (name.trim().to_owned(), index))
        .collect();
    for record in reader.records() {
        let record = record?;
        let number = RowNumber {
            word: "line",
            number: record.position().map_or(0, csv::Position::line),
        };
        let fields = Record {
            columns: &columns,
            record: &record,
        };
        let geometry = wkt
            .and_then(|column| fields.text(column))
            .map(|text| well_known_text(&text))
            .transpose();
        geometry
            .and_then(|geometry| {
                each(&Row {
                    number,
                    fields: &fields,
                    geometry,
                })
            })
            .map_err(|problem| FileProblem::at(number, problem))?;
    }
    Ok(())
}

fn well_known_text(text: &str) -> Result<Geometry, PlaceProblem> {
    let geometry = wkt::parse(text).map_err(|error| PlaceProblem::WellKnownText {
        shown: text.chars().take(40).collect(),
        error,
    })?;
    Geometry::read(&geometry)
}
