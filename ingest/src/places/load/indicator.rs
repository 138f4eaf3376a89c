//! Indicators: one number an area, from files like those of `[[population]]`.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;

use super::error::{FileProblem, PlaceError};
use super::files::Source;
use super::settings::IndicatorSettings;
use crate::places::AreaIndex;

/// The values of an indicator by the id of their area; rows of areas that were not loaded are passed over. `table` is how
/// the configuration calls it.
///
/// # Errors
/// The first thing that is wrong with the file.
pub fn load_indicator(
    table: &'static str,
    settings: &IndicatorSettings,
    folder: &Path,
    areas: &AreaIndex,
) -> Result<HashMap<Arc<str>, f64>, PlaceError> {
    let mut values = HashMap::new();
    read(settings, folder, areas, &mut values).map_err(|problem| problem.of(table, &settings.file))?;
    Ok(values)
}

fn read(
    settings: &IndicatorSettings,
    folder: &Path,
    areas: &AreaIndex,
    values: &mut HashMap<Arc<str>, f64>,
) -> Result<(), FileProblem> {
    let source = Source::new(&settings.file, folder, settings.delimiter, None)
        .reads([Some(&settings.value)])
        .reads_joined(Some(&settings.area));
    let mut found = false;
    source.read(&mut |row| {
        let id = row.joined("area", &settings.area)?;
        let Some(known) = areas.get(&id) else {
            return Ok(());
        };
        found = true;
        let Some(value) = row.number("value", &settings.value)? else {
            return Ok(());
        };
        if !value.is_finite() {
            return Err(format!("`value` is {value}; it must be a number").into());
        }
        if values.insert(Arc::clone(&known.id), value).is_some() {
            return Err(format!("area `{id}` has a value already; leave one out").into());
        }
        Ok(())
    })?;
    if found {
        Ok(())
    } else {
        Err("none of its rows is of an area that was loaded; `area` must give ids of [[areas]]".into())
    }
}
