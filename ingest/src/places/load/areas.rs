//! `[[areas]]`: polygons become areas, and find their parents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::error::{FileProblem, PlaceError, PlaceProblem};
use super::files::Source;
use super::row::{Geometry, Row, RowNumber, shape};
use super::settings::AreaSettings;
use crate::places::{Area, AreaIndex};
use crate::words::slug;

const TABLE: &str = "areas";
/// Areas of all levels.
const MOST_AREAS: usize = 100_000;
/// Corners of all of them: each takes about 150 bytes.
const MOST_CORNERS: usize = 5_000_000;
/// What a study area is called that is none of these.
const RESERVED: [&str; 2] = ["neighbours", "observed"];

/// Where an area came from, for messages about several of them.
struct Origin {
    id: Arc<str>,
    file: PathBuf,
    row: RowNumber,
}

/// Areas while they are read.
#[derive(Default)]
struct Reading {
    areas: Vec<Area>,
    origins: Vec<Origin>,
    corners: usize,
    /// The level above, of areas that find their parent by place.
    within: HashMap<Arc<str>, Arc<str>>,
}

/// All areas of these tables; populations of points are not in them yet.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn load(tables: &[AreaSettings], folder: &Path) -> Result<AreaIndex, PlaceError> {
    let mut reading = Reading::default();
    for (number, table) in tables.iter().enumerate() {
        let before = tables.get(..number).unwrap_or_default();
        check(table, before)
            .map_err(FileProblem::from)
            .and_then(|()| reading.read(table, folder))
            .map_err(|problem| problem.of(TABLE, &table.file))?;
    }
    reading.finish()
}

fn check(table: &AreaSettings, before: &[AreaSettings]) -> Result<(), PlaceProblem> {
    let level = &table.level;
    if slug(level) != *level {
        return Err(format!(
            "`level` is `{level}`; it must be [a-z0-9_]{{1,64}}, for example `{}`",
            slug(level)
        )
        .into());
    }
    match (&table.within, &table.parent) {
        (Some(_), Some(_)) => {
            Err("`within` and `parent` both say where the parent is from; leave one out".into())
        }
        (Some(within), None) if within == level || !before.iter().any(|table| table.level == *within) => {
            let known: Vec<&str> = before
                .iter()
                .map(|table| table.level.as_str())
                .filter(|known| known != level)
                .collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                format!("`{}`", known.join("`, `"))
            };
            Err(format!(
                "`within` is `{within}`; it must be a level of an [[areas]] table before this one, and those are: {known}"
            ).into())
        }
        _ => Ok(()),
    }
}

impl Reading {
    fn read(&mut self, table: &AreaSettings, folder: &Path) -> Result<(), FileProblem> {
        let level: Arc<str> = table.level.as_str().into();
        let source = Source::new(&table.file, folder, table.delimiter, table.wkt.as_deref())
            .reads([
                Some(&table.name),
                table.parent.as_ref(),
                table.population.as_ref(),
            ])
            .reads_joined(table.id.as_ref());
        let before = self.areas.len();
        source.read(&mut |row| {
            let (name, id) = row.name_and_id(&table.name, table.id.as_ref(), "area")?;
            let area = self.area(table, row, &level, Arc::clone(&id), name.clone());
            self.areas.push(area.map_err(|problem| problem.of(&name))?);
            if let Some(within) = &table.within {
                self.within.insert(Arc::clone(&id), within.as_str().into());
            }
            self.origins.push(Origin {
                id,
                file: table.file.clone(),
                row: row.number,
            });
            if self.areas.len() > MOST_AREAS {
                return Err(format!("there are more than {MOST_AREAS} areas in all; load fewer").into());
            }
            Ok(())
        })?;
        if self.areas.len() == before {
            return Err("it holds no area".into());
        }
        Ok(())
    }

    fn area(
        &mut self,
        table: &AreaSettings,
        row: &Row<'_>,
        level: &Arc<str>,
        id: Arc<str>,
        name: String,
    ) -> Result<Area, PlaceProblem> {
        if RESERVED.contains(&&*id) {
            return Err(format!(
                "the id `{id}` is a word of `domain` in table functions; give it another one with `id`"
            )
            .into());
        }
        let polygons = match &row.geometry {
            Some(Geometry::Polygons(polygons)) => polygons.clone(),
            Some(Geometry::Point(_)) => {
                return Err("its geometry is a Point; an area is a Polygon or MultiPolygon".into());
            }
            None => return Err("it has no geometry; an area is a Polygon or MultiPolygon".into()),
        };
        self.corners += polygons.iter().flatten().map(Vec::len).sum::<usize>();
        if self.corners > MOST_CORNERS {
            return Err(
                format!("all areas together have more than {MOST_CORNERS} corners; simplify them").into(),
            );
        }
        let people = table
            .population
            .as_ref()
            .map(|spec| row.people("population", spec))
            .transpose()?
            .flatten();
        Ok(Area {
            id,
            name,
            level: Arc::clone(level),
            parent: table
                .parent
                .as_ref()
                .and_then(|spec| row.text(spec))
                .map(Into::into),
            population: people.map(|people| people.round() as u64),
            shape: shape(polygons)?,
        })
    }

    fn finish(self) -> Result<AreaIndex, PlaceError> {
        let Self {
            areas,
            origins,
            within,
            ..
        } = self;
        let wrong = |origin: Option<&Origin>, problem: PlaceProblem| {
            let (row, file) = origin.map(|origin| (origin.row, origin.file.clone())).unzip();
            FileProblem { row, problem }.of(TABLE, &file.unwrap_or_default())
        };
        let mut index = AreaIndex::new(areas).map_err(|error| {
            let second = origins.iter().filter(|origin| origin.id == error.id).nth(1);
            wrong(second, error.into())
        })?;
        let orphan = |origin: &&Origin| {
            let parent = index.get(&origin.id).and_then(|area| area.parent.as_deref());
            parent.is_some_and(|parent| index.get(parent).is_none() || parent == &*origin.id)
        };
        if let Some(origin) = origins.iter().find(orphan) {
            let parent = index
                .get(&origin.id)
                .and_then(|area| area.parent.as_deref())
                .unwrap_or_default();
            let problem = format!(
                "its `parent` is `{parent}`, which is the id of no other area; load the level above too"
            );
            return Err(wrong(Some(origin), problem.into()));
        }
        index.complete(|index, area| {
            let parent = area.parent.clone().or_else(|| {
                let level = within.get(&area.id)?;
                let above = index
                    .areas_of(area.shape.point_inside())
                    .into_iter()
                    .find(|above| above.level == *level)?;
                Some(Arc::clone(&above.id))
            });
            (parent, area.population)
        });
        Ok(index)
    }
}
