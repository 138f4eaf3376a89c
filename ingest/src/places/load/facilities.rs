//! `[[facilities]]`: points with a kind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{FileProblem, PlaceError, PlaceProblem};
use super::files::Source;
use super::row::{Row, RowNumber};
use super::settings::FacilitySettings;
use crate::places::{Facility, FacilityIndex};
use crate::words::slug;

const TABLE: &str = "facilities";
/// Facilities of all kinds.
const MOST_FACILITIES: usize = 1_000_000;
/// Bytes of the texts of one facility's properties.
const LONGEST_PROPERTIES: usize = 64 * 1024;

/// All facilities of these tables.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn load(tables: &[FacilitySettings], folder: &Path) -> Result<FacilityIndex, PlaceError> {
    let mut facilities = Vec::new();
    let mut origins: Vec<(Arc<str>, PathBuf, RowNumber)> = Vec::new();
    for table in tables {
        let before = facilities.len();
        read(table, folder, &mut |number, facility| {
            origins.push((Arc::clone(&facility.id), table.file.clone(), number));
            facilities.push(facility);
            if facilities.len() > MOST_FACILITIES {
                return Err(
                    format!("there are more than {MOST_FACILITIES} facilities in all; load fewer").into(),
                );
            }
            Ok(())
        })
        .and_then(|()| {
            let is_empty = facilities.len() == before;
            if is_empty {
                Err("it holds no facility".into())
            } else {
                Ok(())
            }
        })
        .map_err(|problem| problem.of(TABLE, &table.file))?;
    }
    FacilityIndex::new(facilities).map_err(|error| {
        let second = origins.iter().filter(|(id, ..)| *id == error.id).nth(1);
        let (row, file) = second.map(|(_, file, row)| (*row, file.as_path())).unzip();
        FileProblem {
            row,
            problem: error.into(),
        }
        .of(TABLE, file.unwrap_or(Path::new("")))
    })
}

fn read(
    table: &FacilitySettings,
    folder: &Path,
    take: &mut dyn FnMut(RowNumber, Facility) -> Result<(), PlaceProblem>,
) -> Result<(), FileProblem> {
    let names: Vec<Arc<str>> = table.properties.iter().map(|name| name.as_str().into()).collect();
    let source = Source::new(&table.file, folder, table.delimiter, table.wkt.as_deref())
        .reads([
            Some(&table.name),
            Some(&table.kind),
            table.lon.as_ref(),
            table.lat.as_ref(),
        ])
        .reads_joined(table.id.as_ref())
        .reads_named(&table.properties);
    source.read(&mut |row| {
        let (name, id) = row.name_and_id(&table.name, table.id.as_ref(), "facility")?;
        let facility = facility(table, row, &names, id, name.clone());
        take(row.number, facility.map_err(|problem| problem.of(&name))?)
    })
}

fn facility(
    table: &FacilitySettings,
    row: &Row<'_>,
    names: &[Arc<str>],
    id: Arc<str>,
    name: String,
) -> Result<Facility, PlaceProblem> {
    let kind = row.needed("kind", &table.kind)?;
    if slug(&kind) != kind {
        return Err(format!(
            "its `kind` is `{kind}`; it must be [a-z0-9_]{{1,64}}: map it, as in kind = {{ field = \"…\", map = {{ \"{kind}\" = \
             \"{}\" }} }}",
            slug(&kind)
        ).into());
    }
    let [lon, lat] = row.place(table.lon.as_ref(), table.lat.as_ref())?;
    let property = |name: &Arc<str>| Some((Arc::clone(name), row.fields.text(name)?.into_owned()));
    let properties: Vec<(Arc<str>, String)> = names.iter().filter_map(property).collect();
    if properties.iter().map(|(_, text)| text.len()).sum::<usize>() > LONGEST_PROPERTIES {
        return Err(format!("its properties have more than {LONGEST_PROPERTIES} bytes; keep fewer").into());
    }
    Ok(Facility {
        id,
        name,
        kind: kind.into(),
        lon,
        lat,
        properties,
    })
}
