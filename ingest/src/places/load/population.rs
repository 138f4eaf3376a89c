//! `[[population]]`: people of areas, or at points.

use std::path::Path;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::error::{FileProblem, PlaceError};
use super::files::Source;
use super::settings::PopulationSettings;
use crate::decode::feed::IdSettings;
use crate::places::{AreaIndex, PeopleAt};

const TABLE: &str = "population";
/// Points of all tables.
const MOST_POINTS: usize = 5_000_000;

/// Reads the tables: figures of areas go into `areas`; points are given back, and the areas whose figure is their sum.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn load(
    tables: &[PopulationSettings],
    folder: &Path,
    areas: &mut AreaIndex,
) -> Result<(Vec<PeopleAt>, HashSet<Arc<str>>), PlaceError> {
    let mut figures = HashMap::new();
    let mut points = Vec::new();
    for table in tables {
        let read = match &table.area {
            Some(area) => read_figures(table, area, folder, areas, &mut figures),
            None => read_points(table, folder, &mut points),
        };
        read.map_err(|problem| problem.of(TABLE, &table.file))?;
    }
    let mut at_points: HashMap<Arc<str>, f64> = HashMap::new();
    for point in &points {
        for area in areas.areas_of([point.lon, point.lat]) {
            *at_points.entry(Arc::clone(&area.id)).or_default() += point.people;
        }
    }
    // A figure of the area itself is better than the sum of points, which may leave some of its people out.
    let mut summed_areas = HashSet::new();
    areas.complete(|_, area| {
        let figure = area.population.or_else(|| figures.get(&area.id).copied());
        let summed = || at_points.get(&area.id).map(|people| people.round() as u64);
        let people = figure.or_else(summed);
        if figure.is_none() && people.is_some() {
            summed_areas.insert(Arc::clone(&area.id));
        }
        (area.parent.clone(), people)
    });
    Ok((points, summed_areas))
}

fn read_figures(
    table: &PopulationSettings,
    area: &IdSettings,
    folder: &Path,
    areas: &AreaIndex,
    figures: &mut HashMap<Arc<str>, u64>,
) -> Result<(), FileProblem> {
    if table.lon.is_some() || table.lat.is_some() || table.wkt.is_some() {
        return Err("`area` and a place both say where people live; leave one out".into());
    }
    let source = Source::new(&table.file, folder, table.delimiter, None)
        .reads([Some(&table.value)])
        .reads_joined(Some(area));
    let mut found = false;
    source.read(&mut |row| {
        let id = row.joined("area", area)?;
        let Some(known) = areas.get(&id) else {
            return Ok(());
        };
        found = true;
        let Some(people) = row.people("value", &table.value)? else {
            return Ok(());
        };
        if known.population.is_some()
            || figures
                .insert(Arc::clone(&known.id), people.round() as u64)
                .is_some()
        {
            return Err(format!("area `{id}` has a population already; leave one out").into());
        }
        Ok(())
    })?;
    if found {
        Ok(())
    } else {
        Err("none of its rows is of an area that was loaded; `area` must give ids of [[areas]]".into())
    }
}

fn read_points(
    table: &PopulationSettings,
    folder: &Path,
    points: &mut Vec<PeopleAt>,
) -> Result<(), FileProblem> {
    let source = Source::new(&table.file, folder, table.delimiter, table.wkt.as_deref()).reads([
        Some(&table.value),
        table.lon.as_ref(),
        table.lat.as_ref(),
    ]);
    let before = points.len();
    source.read(&mut |row| {
        let [lon, lat] = row.place(table.lon.as_ref(), table.lat.as_ref())?;
        if let Some(people) = row.people("value", &table.value)? {
            points.push(PeopleAt { lon, lat, people });
        }
        if points.len() > MOST_POINTS {
            return Err(format!(
                "there are more than {MOST_POINTS} points in all; take a coarser grid of population"
            )
            .into());
        }
        Ok(())
    })?;
    if points.len() == before {
        Err("it holds no people".into())
    } else {
        Ok(())
    }
}
